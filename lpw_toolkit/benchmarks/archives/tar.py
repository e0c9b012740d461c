"""Reads tar archives header by header, with bounds on each header.

Why our own: `tarfile` keeps an object for each member and reads extended headers of any size into
memory.
Ordinary files and folders with GNU or pax long names are all that a published dataset holds. Links,
devices, sparse files and whatever else a tar can say are refused by name.
Source: POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format".
"""

import os
from array import array
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from lpw_toolkit.benchmarks.archives.limits import (
    Limits,
    check_member,
    check_unpacked,
    refuse,
    refuse_damage,
)
from lpw_toolkit.benchmarks.archives.names import NameBook
from lpw_toolkit.benchmarks.archives.open_file import OpenArchive
from lpw_toolkit.benchmarks.archives.streams import TarStream, has_right_sum
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import open_stream
from lpw_toolkit.progress import show_progress

_BLOCK = 512
_MAX_NOTE_BYTES = 64 << 10  # a long name or the pax records of one member
_SHOWN_EVERY = 1_024  # members
_FILE, _FOLDER = (b"0", b"\0", b"7"), b"5"
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"S": "a sparse file",
    b"K": "a link with a long target",
}
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


class TarMember(NamedTuple):
    """One file of a tar: name as stored, bytes, and where they begin in the unpacked stream."""

    name: str
    size: int
    at: int


class TarTree(OpenArchive):
    """See `archives.RawTree`.

    Args:
        compression: as `streams.kind_of_stream` gives it.

    Errors: LpwError for an archive that is damaged or breaks a rule or limit: all of it is gone
    through first.
    """

    def __init__(self, path: Path, compression: str, limits: Limits) -> None:
        self._path, self._compression, self._limits = path, compression, limits
        self.kind = f"tar.{compression}" if compression else "tar"
        self.is_sequential = bool(compression)
        self._at, self._size = array("q"), array("q")
        self._kept: dict[str, bytes] = {}
        book = NameBook(path, limits)
        self._index(book)
        self._stored = book.names
        self.names = book.close()
        self._file = open_stream(path)

    def _index(self, book: NameBook) -> None:
        total = 0
        left = self._limits.kept_bytes
        with (
            TarStream(self._path, self._compression, self._limits) as stream,
            show_progress(f"index {self._path.name}", stream.n_packed, "bytes") as progress,
        ):
            shown = 0
            for member in iter_members(stream, self._path, book, self._limits):
                total += member.size
                check_unpacked(self._path, total, stream.n_packed, self._limits)
                self._at.append(member.at)
                self._size.append(member.size)
                name = book.names[-1]
                if (
                    self.is_sequential
                    and member.size <= left
                    and not name.lower().endswith(_IMAGE_SUFFIXES)
                ):
                    self._kept[name] = _read_whole(stream, member, self._path)
                    left -= member.size
                if len(self._at) % _SHOWN_EVERY == 0:
                    progress.advance(stream.n_packed_read - shown)
                    shown = stream.n_packed_read
            progress.advance(stream.n_packed - shown)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._stored)}

    def place_of(self, name: str) -> int:
        """Where its bytes begin."""
        return self._at[self._find(name)]

    def _find(self, name: str) -> int:
        if name not in self._row:
            raise LpwError(
                f"{self._path}, {name}",
                "no such member",
                "a member of the archive",
                "check the name",
            )
        return self._row[name]

    def read(self, name: str) -> bytes:
        """The bytes of one file; from a compressed tar that is one pass through it, but for kept
        small ones."""
        if name in self._kept:
            return self._kept[name]
        return next(data for _, data in self.iter_members([name]))

    def iter_members(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Each of `names` (ascending by `place_of`) with its bytes, in one pass. Errors:
        LpwError."""
        if self.is_sequential:
            with TarStream(self._path, self._compression, self._limits) as stream:
                for name in names:
                    row = self._find(name)
                    stream.skip(self._at[row] - stream.at)
                    yield (
                        name,
                        _read_whole(
                            stream, TarMember(name, self._size[row], self._at[row]), self._path
                        ),
                    )
            return
        for name in names:
            row = self._find(name)
            data = os.pread(self._file.fileno(), self._size[row], self._at[row])
            if len(data) != self._size[row]:
                raise refuse_damage(self._path, f"an archive that ends inside {name!r}")
            yield name, data


def _read_whole(stream: TarStream, member: TarMember, path: Path) -> bytes:
    data = stream.read(member.size)
    if len(data) != member.size:
        raise refuse_damage(path, f"an archive that ends inside {member.name!r}")
    return data


def iter_members(
    stream: TarStream, path: Path, book: NameBook, limits: Limits
) -> Iterator[TarMember]:
    """Every file of a tar in its order, its name added to `book`; its bytes may be read while it is
    the current one.

    Errors: LpwError.
    """
    long_name: str | None = None
    records: dict[str, str] = {}
    while True:
        header = stream.read(_BLOCK)
        if header == b"\0" * _BLOCK:
            # The rest must be zeros: something else behind the end mark would be read by one tool
            # and not by another.
            while block := stream.read(1 << 18):
                if block.strip(b"\0"):
                    raise refuse(path, "more data behind the end of the archive", "one archive")
            return
        if len(header) < _BLOCK:
            raise refuse_damage(path, "an archive that ends without its end mark")
        if not has_right_sum(header):
            raise refuse_damage(path, f"no tar header at byte {stream.at - _BLOCK}")
        size, kind = _read_number(header[124:136], path), header[156:157]
        if kind in (b"L", b"x", b"g"):
            book.count()
            note = _read_note(stream, size, path)
            if kind == b"L":
                long_name = _decode(note.split(b"\0")[0], path)
            else:
                records = {**records, **_read_records(note, path, everywhere=kind == b"g")}
            continue
        name = records.get("path") or long_name or _read_name(header, path)
        size = int(records["size"]) if records.get("size", "").isdecimal() else size
        long_name, records = None, {}
        yield from _take(stream, TarMember(name, size, stream.at), kind, path, book, limits)


def _take(
    stream: TarStream, member: TarMember, kind: bytes, path: Path, book: NameBook, limits: Limits
) -> Iterator[TarMember]:
    if kind not in (*_FILE, _FOLDER):
        what = _REFUSED.get(kind, f"an entry of the kind {kind!r}")
        raise refuse(path, f"{what} ({member.name[:80]!r})", "files and folders only")
    check_member(path, member.name[:80], member.size, None, limits)
    name = f"{member.name.removesuffix('/')}/" if kind == _FOLDER else member.name
    if book.add(name):
        yield member
    elif member.size:
        raise refuse(
            path,
            f"a folder with {member.size} bytes ({member.name[:80]!r})",
            "files and folders only",
        )
    end = member.at + member.size + -member.size % _BLOCK
    stream.skip(end - stream.at)


def _read_number(field: bytes, path: Path) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if not all(48 <= byte <= 55 for byte in text):
        raise refuse_damage(path, f"a size that is no number ({field!r})")
    return int(text or b"0", 8)


def _read_name(header: bytes, path: Path) -> str:
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return _decode(prefix + b"/" + name if prefix else name, path)


def _decode(name: bytes, path: Path) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse(path, f"a name that is no UTF-8 ({name[:80]!r})", "names in UTF-8") from error


def _read_note(stream: TarStream, size: int, path: Path) -> bytes:
    if size > _MAX_NOTE_BYTES:
        raise refuse(path, f"{size} bytes of notes on one member", f"at most {_MAX_NOTE_BYTES}")
    note = _read_whole(stream, TarMember("its notes", size, stream.at), path)
    stream.skip(-size % _BLOCK)
    return note


def _read_records(note: bytes, path: Path, *, everywhere: bool) -> dict[str, str]:
    """The pax records that say what is read and how; all others (times, owners) change nothing
    here."""
    found: dict[str, str] = {}
    at = 0
    while at < len(note):
        length, _, _ = note[at : at + 20].partition(b" ")
        n_bytes = int(length) if length.isdigit() and len(length) < 9 else 0
        record = note[at : at + n_bytes]
        if not record.endswith(b"\n") or b"=" not in record or len(record) != n_bytes:
            raise refuse_damage(path, "pax records that are not whole")
        key, _, value = record[len(length) + 1 : -1].partition(b"=")
        if key.startswith(b"GNU.sparse") or (key in (b"path", b"size", b"linkpath") and everywhere):
            raise refuse(path, f"the pax record {key[:40]!r}", "files and folders only")
        if key in (b"path", b"size"):
            found[key.decode()] = _decode(value, path)
        at += len(record)
    return found
