"""Checks the image files of a dataset against its index: hash, kind and size. A stopped check
resumes.

What was verified is kept in one append-only file: a first line that names the dataset's digest,
then a line for every checkpoint with `[row, bytes, mtime_ns, ctime_ns, inode]` of the images
verified since the last one, and a last line when every image was looked at. An image whose four
numbers are the same needs no second look; ctime cannot be set back, but a stranger's disk brings
its own. So each line begins with a mark by this user's key (`machine`), and one that came with
somebody else's folder is not even parsed.

The header is read even where the hash is right: the hash proves that the bytes are the ones
written, not that the width and height in the index are theirs.
"""

import errno
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.check.problems import MAX_ROWS_NAMED, Problem
from lpw_toolkit.dataset.image_format import (
    KIND_OF_SUFFIX,
    ImageBounds,
    ImageFaultError,
    read_image_header,
    vet_image,
)
from lpw_toolkit.files.appending import append_line
from lpw_toolkit.files.limits import explain_limit
from lpw_toolkit.files.machine import mark_text
from lpw_toolkit.files.opening import Folder, read_bytes
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.files.writing import atomic_write_text, describe_os_error, make_folder
from lpw_toolkit.progress import show_progress

STATE_FILE = "checked.jsonl"
CHECKPOINT_IMAGES, CHECKPOINT_S = 1_000, 5.0
_CHUNK_ROWS = 250
_N_THREADS = (
    2  # reading overlaps on a slow disk; from cache the interpreter lock lets no more than that run
)
_READ_BYTES = 16 << 20
# A file changed within the clock tick in which it was read keeps its mtime and ctime: too young to
# be remembered.
_YOUNG_NS = 100_000_000

#: A line: the mark of the header and the rows, then the rows.
_MARKED = b'{"mark":"%s","verified":%s}'
_LINE = re.compile(rb'\{"mark":"([0-9a-f]{64})","verified":([\[\]\d,-]+)\}')
_ENDED = b'{"ended": true}'

Signature = tuple[int, int, int, int]


class CheckState:
    """Which images were verified, and as what; lasts over runs.

    Args:
        file: where it is kept.
        digest: that of the dataset; a state of another dataset is not believed.
        n_images: number of rows in the index.
    """

    def __init__(self, file: Path, digest: str, n_images: int) -> None:
        self._file = file
        # The bounds too: what was verified under wider ones is looked at again.
        about = {
            "lpw_checked": 3,
            "digest": digest,
            "n_images": n_images,
            "bounds": list(ImageBounds.read()),
        }
        self._header = json.dumps(about)
        self._signatures = np.zeros((n_images, 4), dtype=np.int64)
        self._known = np.zeros(n_images, dtype=bool)
        self._new: list[list[int]] = []
        self._saved_s = time.monotonic()
        self._ended = False
        self.fault: str | None = None

    def start(self, *, incremental: bool) -> None:
        """Loads what can be believed: everything for an incremental check, an unfinished run for a
        full one.

        Errors: OSError, LpwError when the state cannot be written.
        """
        try:
            lines = read_bytes(self._file, "log_bytes").split(b"\n")
        except OSError:
            lines = []
        self._ended = _ENDED in lines
        if lines and lines[0] == self._header.encode() and (incremental or not self._ended):
            for line in lines[1:]:
                self._load(line)
            return
        self._ended = False
        make_folder(self._file.parent)
        atomic_write_text(self._file, self._header + "\n")

    def knows(self, row: int, folder: Folder, path: str) -> bool:
        """Whether the image of `row` was verified as the file that lies at `path` in `folder` now.
        Errors: OSError."""
        return bool(self._known[row]) and tuple(self._signatures[row].tolist()) == _signature(
            folder.stat(path)
        )

    def add(self, verified: list[tuple[int, Signature]]) -> None:
        """Remembers images, and saves them once enough have come together."""
        self._new.extend([row, *signature] for row, signature in verified)
        if len(self._new) >= CHECKPOINT_IMAGES or time.monotonic() - self._saved_s > CHECKPOINT_S:
            self.save()

    def save(self) -> None:
        """Writes what is not written yet; a fault is kept in `fault`: a full disk is no reason to
        stop reading."""
        self._saved_s = time.monotonic()
        if self._new:
            rows = json.dumps(self._new, separators=(",", ":"))
            mark = mark_text(self._header + rows)
            if mark:
                self._append(_MARKED % (mark.encode(), rows.encode()))
            else:
                self.fault = "no place for a key: set LPW_CONFIG to a folder that can be written"
            self._new = []

    def end(self) -> None:
        """Says that every image was looked at: the next full check begins anew."""
        self.save()
        if not self._ended:
            self._append(_ENDED)

    def _append(self, line: bytes) -> None:
        try:
            append_line(self._file, line)
        except OSError as error:
            self.fault = describe_os_error(error)

    def _load(self, line: bytes) -> None:
        known = _LINE.fullmatch(line)
        mark = known and mark_text(self._header + known[2].decode())
        if not known or not mark or not hmac.compare_digest(mark.encode(), known[1]):
            return  # torn, or somebody else's: its images are verified again
        rows = np.array(json.loads(known[2]), dtype=np.int64).reshape(-1, 5)
        rows = rows[(rows[:, 0] >= 0) & (rows[:, 0] < len(self._known))]
        self._signatures[rows[:, 0]], self._known[rows[:, 0]] = rows[:, 1:], True


@dataclass
class ImagesReport:
    """What came of the images: numbers of files verified now and known from before, and the
    problems."""

    n_verified: int = 0
    n_unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Images:
    """The images to be verified.

    Attributes:
        root: the folder that paths are relative to, held open.
        frames: the table of images (schema.FRAMES).
        rows: rows (N,) of `frames` to look at, ascending.
    """

    root: Folder
    frames: pa.Table
    rows: NDArray[np.int64]

    @cached_property
    def _order(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The first 8 bytes of each SHA-256, ascending, and the rows that they are of."""
        heads = pc.binary_slice(self.frames["sha256"].cast(pa.binary()), 0, 8).to_numpy(
            zero_copy_only=False
        )
        keys = np.frombuffer(b"".join(heads), np.uint64)
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def find(self, sha256: bytes) -> int:
        """The row of the image with this SHA-256, -1 for none; a search of its own through all rows
        takes too long."""
        keys, order = self._order
        at = int(np.searchsorted(keys, np.frombuffer(sha256[:8], np.uint64)[0]))
        rows = order[
            at : at + MAX_ROWS_NAMED
        ].tolist()  # of equal beginnings, which chance does not make
        return next((row for row in rows if self.frames["sha256"][row].as_py() == sha256), -1)


def check_images(images: Images, state: CheckState | None) -> ImagesReport:
    """Verifies every image of `images` that `state` does not know; what was verified is saved
    however the call ends."""
    report = ImagesReport()
    chunks = [images.rows[at : at + _CHUNK_ROWS] for at in range(0, len(images.rows), _CHUNK_ROWS)]
    checked = prefetch(lambda rows: _Chunk(images, state).check(rows), chunks, _N_THREADS)
    try:
        with show_progress("check", len(images.rows), "images") as progress:
            for chunk, done in zip(chunks, checked, strict=True):
                report.n_verified += len(done.verified)
                report.n_unchanged += done.n_unchanged
                report.problems += done.problems
                if state:
                    state.add(done.remembered())
                progress.advance(len(chunk))
    finally:
        checked.close()
        if state:
            state.save()
    return report


class _Chunk:
    def __init__(self, images: Images, state: CheckState | None) -> None:
        self._images, self._state = images, state
        self._start_ns = time.time_ns()
        self._bounds = ImageBounds.read()
        self.verified: list[tuple[int, Signature]] = []
        self.n_unchanged = 0
        self.problems: list[Problem] = []

    def check(self, rows: NDArray[np.int64]) -> "_Chunk":
        part = self._images.frames.select(["image", "sha256", "width", "height"]).take(
            pa.array(rows)
        )
        paths = pc.struct_field(part["image"].combine_chunks(), "path").to_pylist()
        wanted = zip(
            *(part[name].to_pylist() for name in ("sha256", "width", "height")), strict=True
        )
        for row, path, (sha256, width, height) in zip(rows.tolist(), paths, wanted, strict=True):
            try:
                self._check_file(row, path, sha256, (width, height))
            except OSError as error:
                odd = error.errno in (
                    errno.ELOOP,
                    errno.EINVAL,
                    errno.EISDIR,
                )  # a link, pipe, device or folder
                rule = "image-file" if odd else "image-missing"
                self.problems.append(Problem(path, row, rule, describe_os_error(error)))
        return self

    def remembered(self) -> list[tuple[int, Signature]]:
        return [
            (row, signature)
            for row, signature in self.verified
            if signature[2] < self._start_ns - _YOUNG_NS
        ]

    def _check_file(self, row: int, path: str, sha256: bytes, size: tuple[int, int]) -> None:
        if self._state and self._state.knows(row, self._images.root, path):
            self.n_unchanged += 1
            return
        descriptor = self._images.root.open_file(path)
        try:
            status = os.fstat(descriptor)
            if (
                status.st_size > self._bounds.n_bytes
            ):  # not read: a sparse file of many GB costs nothing to send
                what = explain_limit("image_bytes", f"{status.st_size} bytes")
                self.problems.append(Problem(path, row, "image-bound", what))
                return
            data, found = _read_and_hash(descriptor, status.st_size)
        finally:
            os.close(descriptor)
        problem = self._judge(row, path, data, found, sha256, size)
        if problem:
            self.problems.append(problem)
        else:
            self.verified.append((row, _signature(status)))

    def _judge(
        self, row: int, path: str, data: bytes, found: bytes, sha256: bytes, size: tuple[int, int]
    ) -> Problem | None:
        header = read_image_header(data)
        if found != sha256:
            other = self._images.find(found)
            what = (
                f"a {header.kind} of {header.width} x {header.height}"
                if header
                else "no whole JPEG or PNG header"
            )
            whose = f", which is the image of row {other}" if other >= 0 else ""
            return Problem(
                path,
                row,
                "image-hash",
                f"{found.hex()[:12]}… instead of {sha256.hex()[:12]}… ({what}){whose}",
            )
        if header is None or header.kind != KIND_OF_SUFFIX.get(
            f".{path.rpartition('.')[2].lower()}"
        ):
            return Problem(
                path,
                row,
                "image-kind",
                f"a {header.kind} file" if header else "neither JPEG nor PNG",
            )
        if not header.has_size(*size):
            return Problem(
                path,
                row,
                "image-size",
                f"{header.width} x {header.height}, not {size[0]} x {size[1]} pixels",
            )
        try:
            vet_image(data, header, self._bounds)
        except ImageFaultError as error:
            return Problem(
                path, row, "image-bound" if error.fault == "bound" else "image-whole", str(error)
            )
        return None


def _read_and_hash(descriptor: int, n_bytes: int) -> tuple[bytes, bytes]:
    """The `n_bytes` bytes of a file and their SHA-256; where it has grown meanwhile, at most
    `_READ_BYTES` more."""
    data = os.read(descriptor, min(n_bytes, _READ_BYTES) + 1)
    if len(data) != n_bytes:
        blocks, n_read = [data], len(data)
        while n_read <= n_bytes and (block := os.read(descriptor, _READ_BYTES)):
            blocks.append(block)
            n_read += len(block)
        data = b"".join(blocks)
    return data, hashlib.sha256(data).digest()


def _signature(status: os.stat_result) -> Signature:
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino & 0x7FFF_FFFF_FFFF_FFFF,
    )


def find_extra(names: Iterable[str], frames: pa.Table) -> list[Problem]:
    """Warnings for those of `names` (files of the dataset) that no row of `frames` names."""
    known = set(pc.struct_field(frames["image"].combine_chunks(), "path").to_pylist())
    extra = (name for name in names if name not in known)
    return [
        Problem(name, None, "image-extra", "a file that no row names", "warning") for name in extra
    ]
