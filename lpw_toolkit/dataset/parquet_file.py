"""A Parquet file that is opened once, verified against its manifest, and bounded in size.

Up to 8 MiB the file is read whole and parsed from memory; beyond that its footer is, and the rest
is read through the descriptor. What is verified is what is parsed: the path is never opened a
second time.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from lpw_toolkit.dataset.parquet_pages import TooLargeError, check_memory
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import open_file, read_descriptor

#: Files up to this size are read whole; of larger ones a manifest vouches for the size and the
#: footer.
SMALL_BYTES = 8 << 20
#: Most that one table may unpack to for each of its bytes, whatever the bound: hostile footers ask
#: for more.
MAX_UNPACKED_RATIO, MIN_UNPACKED_LIMIT = 400, 64 << 20
_VALUE_BYTES = 8  # an Arrow value takes about this much memory, however well it was packed
_TAIL_BYTES = 8  # length of the footer, and PAR1
_BLOCK_BYTES = 1 << 20
_RESTORE = "restore it, or run `lpw check`"
#: Thrift makes room for as many entries as a list claims, 1 kB each.
_MAX_LIST, _MAX_TEXT_BYTES = 100_000, 4 << 20


@dataclass(frozen=True)
class TableFacts:
    """What a manifest says of a table's file.

    Attributes:
        n_bytes: its size.
        sha256: of all its bytes, hex.
        footer_sha256: of its footer with length and magic, hex; None for files of up to 8 MiB, or
            where nobody said.
    """

    n_bytes: int
    sha256: str
    footer_sha256: str | None = None

    @property
    def is_size_only(self) -> bool:
        """Whether nothing but the size of a large file can be compared: an older version wrote its
        manifest."""
        return self.footer_sha256 is None and self.n_bytes > SMALL_BYTES


class OpenTable:
    """A Parquet file, held open: its footer is parsed, and nothing else of it yet.

    Args:
        path: without links.
        facts: what a manifest says of the file; None where nothing vouches for it.
        streamed: whether it will be read in batches.

    Attributes:
        file: reads it; page checksums are verified.

    Errors: OSError; MismatchError for another file than `facts` name; ValueError or
    pa.ArrowException for what is no Parquet file, TooLargeError (a ValueError) for one beyond the
    bounds.
    """

    def __init__(
        self, path: Path, facts: TableFacts | None = None, *, streamed: bool = False
    ) -> None:
        self._streamed = streamed
        descriptor = open_file(path)
        try:
            n_bytes = os.fstat(descriptor).st_size
            if facts and (wrong := _compare(_Identity(n_bytes, None, None), facts)):
                raise MismatchError(path, *wrong, _RESTORE)
            if n_bytes <= SMALL_BYTES:
                data = read_descriptor(descriptor, SMALL_BYTES)
                found = _identify(data) if facts else None
                self._source: pa.NativeFile = pa.BufferReader(data)
                tail = data[-_footer_bytes(data[-_TAIL_BYTES:], n_bytes) :]
            else:
                tail = _read_tail(descriptor, n_bytes)
                found = (
                    _Identity(n_bytes, None, hashlib.sha256(tail).hexdigest()) if facts else None
                )
                self._source = pa.OSFile(
                    f"/dev/fd/{descriptor}"
                )  # the same open file, for a reader of its own
        finally:
            os.close(descriptor)
        if facts and found and (wrong := _compare(found, facts)):
            raise MismatchError(path, *wrong, _RESTORE)
        self.file = self._open(tail)
        _check_footer(self.file.metadata, n_bytes)

    def _open(self, tail: bytes) -> pq.ParquetFile:
        bounds = {
            "thrift_string_size_limit": _MAX_TEXT_BYTES,
            "thrift_container_size_limit": _MAX_LIST,
        }
        footer = pq.ParquetFile(pa.BufferReader(tail), **bounds).metadata
        buffered = {"buffer_size": 1 << 20} if self._streamed else {}
        return pq.ParquetFile(
            self._source,
            metadata=footer,
            page_checksum_verification=True,
            pre_buffer=False,
            **bounds,
            **buffered,
        )

    def check_memory(self, columns: list[str]) -> None:
        """Refuses a file whose `columns` would take too much memory. Errors:
        `parquet_pages.check_memory`."""
        check_memory(self._source, self.file, columns, at_once=not self._streamed)

    def close(self) -> None:
        """Lets go of the file."""
        self.file.close(force=True)
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Identity:
    n_bytes: int
    sha256: str | None
    footer_sha256: str | None


def _identify(data: bytes) -> _Identity:
    return _Identity(len(data), hashlib.sha256(data).hexdigest(), None)


def _footer_bytes(end: bytes, n_bytes: int) -> int:
    """How many of the last bytes of a file are its footer. Errors: ValueError, TooLargeError."""
    if len(end) < _TAIL_BYTES or end[4:] != b"PAR1":
        raise ValueError("no Parquet file")
    size = int.from_bytes(end[:4], "little") + _TAIL_BYTES
    if size > n_bytes:
        raise ValueError("a footer that is longer than the file")
    if size > limit("footer_bytes"):
        raise TooLargeError(explain_limit("footer_bytes", f"a footer of {size} bytes"))
    return size


def _read_tail(descriptor: int, n_bytes: int) -> bytes:
    """The footer of an open file, with its length and magic. Errors: OSError, ValueError."""
    size = _footer_bytes(os.pread(descriptor, _TAIL_BYTES, n_bytes - _TAIL_BYTES), n_bytes)
    return os.pread(descriptor, size, n_bytes - size)


def _check_footer(metadata: pq.FileMetaData, n_bytes: int) -> None:
    """Errors: ValueError or TooLargeError for a footer that claims far more than a file of
    `n_bytes` should hold."""
    if metadata.num_rows > limit("table_rows"):
        raise TooLargeError(explain_limit("table_rows", f"{metadata.num_rows} rows"))
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    most = max(n_bytes * MAX_UNPACKED_RATIO, MIN_UNPACKED_LIMIT)
    if unpacked < 0 or metadata.num_rows < 0 or unpacked > most:
        raise ValueError(f"{n_bytes} bytes that claim to unpack to {unpacked}")
    if (
        metadata.num_rows * metadata.num_columns * _VALUE_BYTES > most
    ):  # equal values take no room in the file
        raise ValueError(f"{n_bytes} bytes that claim {metadata.num_rows} rows")
    if (
        any(group.num_rows < 0 for group in groups)
        or sum(group.num_rows for group in groups) != metadata.num_rows
    ):
        raise ValueError("row groups that are not the rows of the table")


def _compare(found: _Identity, facts: TableFacts) -> tuple[str, str] | None:
    """What was found and what was expected, in words; None where it is the file of `facts`."""
    if found.n_bytes != facts.n_bytes:
        return (
            f"another table ({found.n_bytes} bytes)",
            f"the one that dataset.json names ({facts.n_bytes} bytes)",
        )
    for what, have, want in (
        ("SHA-256", found.sha256, facts.sha256),
        ("SHA-256 of the footer", found.footer_sha256, facts.footer_sha256),
    ):
        if have is not None and want is not None and have != want:
            return (
                f"another table ({what} {have[:12]}…)",
                f"the one that dataset.json names ({want[:12]}…)",
            )
    return None


def describe_table(path: Path) -> dict[str, object]:
    """What `dataset.json` says of a table's file: bytes, sha256 and, beyond 8 MiB, footer_sha256
    (`TableFacts`).

    Errors: OSError; ValueError for a large file that is no Parquet file.
    """
    found = _look(path, whole=True)
    facts: dict[str, object] = {"bytes": found.n_bytes, "sha256": found.sha256}
    return facts | ({"footer_sha256": found.footer_sha256} if found.footer_sha256 else {})


def verify_table(path: Path, facts: TableFacts, *, whole: bool = False) -> str | None:
    """What is wrong with a table's file in words, by the check that reading it makes; None where it
    is that of `facts`.

    Args:
        whole: reads every byte of a large file too, not only its footer.

    Errors: OSError.
    """
    try:
        wrong = _compare(_look(path, whole=whole), facts)
    except ValueError as error:
        return f"a damaged file ({error})"
    return f"{wrong[0]}, not {wrong[1]}" if wrong else None


def _look(path: Path, *, whole: bool) -> _Identity:
    """What a manifest can say of a file. Errors: OSError, ValueError."""
    descriptor = open_file(path)
    try:
        n_bytes = os.fstat(descriptor).st_size
        if n_bytes <= SMALL_BYTES:
            return _identify(read_descriptor(descriptor, SMALL_BYTES))
        total: Any = hashlib.sha256() if whole else None
        while total and (block := os.read(descriptor, _BLOCK_BYTES)):
            total.update(block)
        footer = hashlib.sha256(_read_tail(descriptor, n_bytes)).hexdigest()
        return _Identity(n_bytes, total.hexdigest() if total else None, footer)
    finally:
        os.close(descriptor)
