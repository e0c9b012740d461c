"""Reads zip archives from their own directory, with bounds on each entry.

Why our own: `zipfile` keeps about a kilobyte for each member (MARS: 1 GB; here 100 MB) and trusts
sizes until it reads. Members that overlap, are encrypted, links, of a false size or named twice are
refused before any is read.
Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
"""

import os
import stat
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from lpw_toolkit.benchmarks.archives.limits import (
    Limits,
    check_member,
    check_unpacked,
    refuse,
    refuse_damage,
)
from lpw_toolkit.benchmarks.archives.names import NameBook
from lpw_toolkit.benchmarks.archives.open_file import OpenArchive
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import open_stream

_END = struct.Struct("<4s4H2LH")
_END_64_PLACE = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s2B4HL2L2H")
#: What is kept of each member, in the smallest numbers that hold it.
_COLUMNS = {
    "method": "B",
    "crc": "I",
    "n_packed": "I",
    "n_unpacked": "I",
    "at": "q",
    "name_bytes": "H",
}
_MAX_COMMENT = 0xFFFF
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_UTF8 = 0x0800


class _Contents(NamedTuple):
    n_entries: int
    at: int
    size: int


class _Entry(NamedTuple):
    name: str
    method: int
    flags: int
    crc: int
    n_packed: int
    n_unpacked: int
    at: int
    mode: int
    name_bytes: int


class ZipTree(OpenArchive):
    """See `archives.RawTree`.

    Errors: LpwError for an archive that is damaged or breaks a rule or limit; the contents of
    members are verified when they are read.
    """

    kind = "zip"
    is_sequential = False

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._columns = {key: array(code) for key, code in _COLUMNS.items()}
        self._file = open_stream(path, buffering=1 << 18)
        try:
            book = NameBook(path, limits)
            self._index(book)
            self._stored = book.names
            self.names = book.close()
        except BaseException:
            self._file.close()
            raise

    def _index(self, book: NameBook) -> None:
        contents = _find_contents(self._file, self._path)
        n_packed, total = os.fstat(self._file.fileno()).st_size, 0
        if contents.n_entries > self._limits.max_members:
            raise refuse(
                self._path, f"{contents.n_entries} members", f"at most {self._limits.max_members}"
            )
        self._file.seek(contents.at)
        for _ in range(contents.n_entries):
            entry = _read_entry(self._file, self._path)
            _check_entry(entry, self._path, self._limits)
            if not book.add(entry.name):
                if entry.n_unpacked:
                    raise refuse(
                        self._path,
                        f"a folder with bytes ({entry.name[:80]!r})",
                        "files and folders only",
                    )
                continue
            total += entry.n_unpacked
            check_unpacked(self._path, total, n_packed, self._limits)
            for key, column in self._columns.items():
                column.append(getattr(entry, key))
        if self._file.tell() != contents.at + contents.size:
            raise refuse_damage(self._path, "a list of contents that is not as long as it says")
        self._refuse_overlaps(contents.at)

    def _refuse_overlaps(self, end: int) -> None:
        """Members that share bytes make a few kilobytes unpack to terabytes."""
        at, size, name_bytes = (
            np.array(self._columns[key], np.int64) for key in ("at", "n_packed", "name_bytes")
        )
        order = np.argsort(at, kind="stable")
        stops = (at + _LOCAL.size + name_bytes + size)[order]
        nexts = np.append(at[order][1:], end)
        if np.any(stops > nexts[: len(stops)]):
            raise refuse(self._path, "members that overlap", "each with bytes of its own")

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._stored)}

    def place_of(self, name: str) -> int:
        """Where it begins in the file."""
        return self._columns["at"][self._find(name)]

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
        """The bytes of one file, as long as they should be and with the right CRC. Errors:
        LpwError."""
        row = self._find(name)
        method, crc, n_packed, n_unpacked, at, name_bytes = (
            column[row] for column in self._columns.values()
        )
        start = self._find_data(name, at, name_bytes)
        packed = os.pread(self._file.fileno(), n_packed, start)
        data = packed if method == _STORED else self._inflate(name, packed, n_unpacked)
        if len(data) != n_unpacked or zlib.crc32(data) != crc:
            raise refuse_damage(self._path, f"{name!r} with other bytes than its checksum says")
        return data

    def _find_data(self, name: str, at: int, name_bytes: int) -> int:
        header = os.pread(self._file.fileno(), _LOCAL.size + name_bytes, at)
        if len(header) < _LOCAL.size + name_bytes:
            raise refuse_damage(self._path, f"an archive that ends before {name!r}")
        magic, *_, n_name, n_extra = _LOCAL.unpack_from(header)
        stored = header[_LOCAL.size :]
        same = (
            n_name == name_bytes
            and _decode(stored, self._path, _LOCAL.unpack_from(header)[3]).removeprefix("./")
            == name
        )
        if magic != b"PK\x03\x04" or not same:
            raise refuse_damage(self._path, f"{name!r} under another name in its own header")
        return int(at + _LOCAL.size + n_name + n_extra)

    def _inflate(self, name: str, packed: bytes, n_unpacked: int) -> bytes:
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = engine.decompress(packed, n_unpacked + 1)
        except zlib.error as error:
            raise refuse_damage(self._path, f"{name!r} that cannot be unpacked") from error
        return data

    def iter_members(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Each of `names` with its bytes."""
        for name in names:
            yield name, self.read(name)


def _find_contents(file: IO[bytes], path: Path) -> _Contents:
    """Where the list of contents lies. Errors: LpwError."""
    size = file.seek(0, os.SEEK_END)
    tail_at = max(0, size - _END.size - _MAX_COMMENT)
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0 and (
        len(tail) < at + _END.size or _END.unpack_from(tail, at)[-1] != len(tail) - at - _END.size
    ):
        at = tail.rfind(b"PK\x05\x06", 0, at)
    if at < 0:
        raise refuse_damage(path, "a zip without its end, cut off or with something behind it")
    _, disk, first_disk, here, n_entries, n_bytes, start, _ = _END.unpack_from(tail, at)
    end = tail_at + at
    if 0xFFFF in (here, n_entries) or 0xFFFFFFFF in (n_bytes, start):
        disk, first_disk, here, n_entries, n_bytes, start, end = _read_end_64(file, path, end)
    if disk or first_disk or here != n_entries:
        raise refuse(path, "one part of a zip in several parts", "a zip in one file")
    if start + n_bytes != end:
        raise refuse_damage(path, "a zip with bytes before its start, or a wrong list of contents")
    return _Contents(n_entries, start, n_bytes)


def _read_end_64(file: IO[bytes], path: Path, end: int) -> tuple[int, int, int, int, int, int, int]:
    file.seek(max(end - _END_64_PLACE.size, 0))
    place = file.read(_END_64_PLACE.size)
    if len(place) < _END_64_PLACE.size or place[:4] != b"PK\x06\x07":
        raise refuse_damage(path, "a zip without its second end")
    at = _END_64_PLACE.unpack(place)[2]
    file.seek(min(at, end))
    record = file.read(_END_64.size)
    if len(record) < _END_64.size or record[:4] != b"PK\x06\x06" or at + _END_64.size > end:
        raise refuse_damage(path, "a zip without its second end")
    _, _, _, _, disk, first_disk, here, n_entries, n_bytes, start = _END_64.unpack(record)
    return disk, first_disk, here, n_entries, n_bytes, start, at


def _read_entry(file: IO[bytes], path: Path) -> _Entry:
    header = file.read(_ENTRY.size)
    if len(header) < _ENTRY.size or header[:4] != b"PK\x01\x02":
        raise refuse_damage(path, "a list of contents that is cut off")
    fields = _ENTRY.unpack(header)
    flags, method, crc, n_packed, n_unpacked = (
        fields[5],
        fields[6],
        fields[9],
        fields[10],
        fields[11],
    )
    n_name, n_extra, n_comment, disk, _, attributes, at = fields[12:]
    name, extra = file.read(n_name), file.read(n_extra)
    file.seek(n_comment, os.SEEK_CUR)
    if len(name) < n_name or len(extra) < n_extra:
        raise refuse_damage(path, "a list of contents that is cut off")
    n_unpacked, n_packed, at = _read_extra(extra, (n_unpacked, n_packed, at), path)
    if disk not in (0, 0xFFFF):
        raise refuse(path, "one part of a zip in several parts", "a zip in one file")
    text = _decode(name, path, flags)
    return _Entry(text, method, flags, crc, n_packed, n_unpacked, at, attributes >> 16, n_name)


def _read_extra(extra: bytes, sizes: tuple[int, int, int], path: Path) -> tuple[int, ...]:
    """Sizes and place, each from the zip64 field where the entry itself has no room for it."""
    wanted = [i for i, value in enumerate(sizes) if value == 0xFFFFFFFF]
    at = 0
    while wanted and at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 0x0001 and length >= 8 * len(wanted) and at + 4 + length <= len(extra):
            values = struct.unpack_from(f"<{len(wanted)}Q", extra, at + 4)
            found = dict(zip(wanted, values, strict=True))
            return tuple(found.get(i, value) for i, value in enumerate(sizes))
        at += 4 + length
    if wanted:
        raise refuse_damage(path, "an entry whose size or place is missing")
    return sizes


def _decode(name: bytes, path: Path, flags: int) -> str:
    try:
        return name.decode("utf-8" if flags & _UTF8 or name.isascii() else "cp437")
    except UnicodeDecodeError as error:
        raise refuse(path, f"a name that is no UTF-8 ({name[:80]!r})", "names in UTF-8") from error


def _check_entry(entry: _Entry, path: Path, limits: Limits) -> None:
    shown = repr(entry.name[:80])
    if entry.flags & _ENCRYPTED:
        raise refuse(path, f"an encrypted member ({shown})", "a zip without a password")
    kind = stat.S_IFMT(entry.mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a symbolic link" if kind == stat.S_IFLNK else "a device, pipe or socket"
        raise refuse(path, f"{what} ({shown})", "files and folders only")
    if entry.method not in (_STORED, _DEFLATED):
        raise refuse(
            path, f"compression method {entry.method} ({shown})", "stored or deflated members"
        )
    if entry.method == _STORED and entry.n_packed != entry.n_unpacked:
        raise refuse_damage(path, f"two sizes for {shown}")
    check_member(path, entry.name[:80], entry.n_unpacked, entry.n_packed, limits)
    if entry.at >= 1 << 62 or entry.n_packed > limits.max_member_bytes + (1 << 20):
        raise refuse(
            path,
            f"{shown} packed into {entry.n_packed} bytes",
            f"at most {limits.max_member_bytes}",
        )
