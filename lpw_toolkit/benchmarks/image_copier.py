"""Copies the images of a raw tree: each is read once, verified, hashed and measured, and copied
unless it stays in place.

    names in the order of the tree --two threads--> bytes --> SHA-256, kind, size, copy --> parts
    that survive a kill

Bytes are copied unchanged. What is finished is kept in parts: SHA-256 of the part, then its rows. A
row with a fault is in no part, so that the next run looks at it again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.benchmarks.archives.archive import FolderTree, RawTree
from lpw_toolkit.dataset.exif import UPRIGHT
from lpw_toolkit.dataset.image_format import (
    KIND_OF_SUFFIX,
    ImageBounds,
    ImageFaultError,
    ImageHeader,
    read_image_header,
    vet_image,
)
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import Folder, read_bytes
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.files.writing import atomic_write, make_folder, sync_all, write_inside
from lpw_toolkit.progress import show_progress

_PART = np.dtype(
    [("row", "<i4"), ("width", "<i2"), ("height", "<i2"), ("sha256", "V32"), ("turned", "?")]
)
_PART_SUFFIX = ".part2"  # .part: of older versions, without `turned`
_BATCH_IMAGES, _BATCH_BYTES = 128, 8 << 20
_N_THREADS = 2  # the interpreter lock lets no more than that run; processes were no faster
_MAX_SIDE_PX = 32_767  # what the column can hold

Batch = list[tuple[int, bytes | None]]


@dataclass(frozen=True)
class CopiedImage:
    """Facts about the images.

    Attributes:
        width, height: int16 (N,) pixels, as displayed; 0 for an image with a fault.
        sha256: V32 (N,).
        turned: bool (N,): stored otherwise than displayed (EXIF orientation).
        faults: row and what is wrong with it, ascending.
    """

    width: NDArray[np.int16]
    height: NDArray[np.int16]
    sha256: NDArray[np.void]
    turned: NDArray[np.bool_]
    faults: dict[int, str]


@dataclass
class ImageCopier:
    """Takes the images of one import.

    Args:
        tree: where they are.
        names: of the images in it (N,).
        paths: of the copies, relative to `out`.
        out: the folder of the copies; None leaves the images where they are.
        parts: folder for finished parts, bound to all of the above.
        part_images: images between two checkpoints from which a stopped run resumes.
    """

    tree: RawTree
    names: list[str]
    paths: list[str]
    out: Path | None
    parts: Path
    part_images: int
    _folders: set[str] = field(default_factory=set)
    _held: Folder | None = None

    def take(self) -> CopiedImage:
        """Does what earlier runs have left to do. Errors: LpwError, OSError where a copy cannot be
        written."""
        rows = np.zeros(len(self.names), dtype=_PART)
        files = [
            file
            for file in list_folder(self.parts)
            if file.suffix == _PART_SUFFIX and file.stem.isdecimal() and _load_part(file, rows)
        ]
        left = np.flatnonzero(rows["width"] == 0).tolist()
        left.sort(key=lambda row: self.tree.place_of(self.names[row]))
        faults: dict[int, str] = {}
        waiting: list[NDArray[np.void]] = []
        number = 1 + max((int(file.stem) for file in files), default=0)
        with show_progress("import", len(left), "images") as progress:
            for done, bad in prefetch(self._take_batch, self._iter_batches(left), _N_THREADS):
                rows[done["row"]] = done
                faults |= bad
                waiting.append(done)
                progress.advance(len(done) + len(bad))
                if sum(map(len, waiting)) >= self.part_images:
                    self._publish(number, np.concatenate(waiting))
                    number, waiting = number + 1, []
        if waiting:
            self._publish(number, np.concatenate(waiting))
        return CopiedImage(
            rows["width"],
            rows["height"],
            rows["sha256"],
            rows["turned"],
            dict(sorted(faults.items())),
        )

    def _publish(self, number: int, done: NDArray[np.void]) -> None:
        if not len(done):
            return
        if self.out:
            sync_all()
        data = done.tobytes()
        atomic_write(
            self.parts / f"{number:06d}{_PART_SUFFIX}", hashlib.sha256(data).digest() + data
        )

    def _iter_batches(self, rows: list[int]) -> Iterator[Batch]:
        """Rows to be read by the threads, or rows with their bytes where only one can read."""
        n_images = min(_BATCH_IMAGES, self.part_images)
        if not self.tree.is_sequential:
            at = iter(rows)
            while batch := list(islice(at, n_images)):
                yield [(row, None) for row in batch]
            return
        read: Batch = []
        n_bytes = 0
        members = self.tree.iter_members(self.names[row] for row in rows)
        for row, (_, data) in zip(rows, members, strict=True):
            read.append((row, data))
            n_bytes += len(data)
            if len(read) >= n_images or n_bytes >= _BATCH_BYTES:
                yield read
                read, n_bytes = [], 0
        if read:
            yield read

    def _take_batch(self, batch: Batch) -> tuple[NDArray[np.void], dict[int, str]]:
        done: list[tuple[int, int, int, bytes, bool]] = []
        faults: dict[int, str] = {}
        bounds = ImageBounds.read()
        for row, data in batch:
            name = self.names[row]
            try:
                data = self._read(name) if data is None else data
            except LpwError as error:
                faults[row] = f"{name}: {error.got}"
                continue
            header = vet_copy(name, data, bounds)
            if isinstance(header, str):
                faults[row] = f"{name}: {header}"
                continue
            if self.out:
                path = self.paths[row]
                folder = path.rpartition("/")[0]
                if folder not in self._folders:
                    make_folder(self.out / folder)
                    self._folders.add(folder)
                self._held = self._held or Folder(self.out)
                write_inside(self._held, path, data)
            sha256 = hashlib.sha256(data).digest()
            turned = header.orientation != UPRIGHT
            done.append((row, header.width, header.height, sha256, turned))
        return np.array(done, dtype=_PART), faults

    def _read(self, name: str) -> bytes:
        if self.out is None and isinstance(self.tree, FolderTree) and name in self.tree.links:
            raise LpwError(name, "a link", "the file itself", "import a copy")
        return self.tree.read(name)


def vet_copy(name: str, data: bytes, bounds: ImageBounds | None = None) -> ImageHeader | str:
    """The header of an encoded image, or what is wrong with it; nothing is decoded.

    An image must be what its suffix says, whole to its end (a download that was cut off is not),
    and within the bounds of `files/limits.py`.
    """
    if not data:
        return "0 bytes"
    header = read_image_header(data)
    if header is None:
        return "neither a JPEG nor a PNG"
    wanted = KIND_OF_SUFFIX.get(PurePosixPath(name).suffix.lower())
    if header.kind != wanted:
        return f"a {header.kind} that is named otherwise"
    if not (0 < header.width <= _MAX_SIDE_PX and 0 < header.height <= _MAX_SIDE_PX):
        return f"{header.width} x {header.height} pixels"
    try:
        vet_image(data, header, bounds)
    except ImageFaultError as error:
        return str(error)
    return header


def _load_part(file: Path, rows: NDArray[np.void]) -> bool:
    """Fills `rows` from a finished part; False, and nothing filled, where it is damaged. Errors:
    OSError."""
    data = read_bytes(file, "table_bytes")
    if hashlib.sha256(data[32:]).digest() != data[:32] or len(data[32:]) % _PART.itemsize:
        return False
    part = np.frombuffer(data, dtype=_PART, offset=32)
    if len(part) and (part["row"].min() < 0 or part["row"].max() >= len(rows)):
        return False
    rows[part["row"]] = part
    return True
