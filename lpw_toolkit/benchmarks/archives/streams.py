"""Decompresses a tar as a stream, with bounded memory and ratio; all damage is one kind of
error."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from pathlib import Path
from typing import IO, Any, Protocol, Self

from lpw_toolkit.benchmarks.archives.limits import Limits, check_unpacked, refuse, refuse_damage
from lpw_toolkit.files.opening import open_stream

_BLOCK_BYTES = 1 << 18
#: What `xz -9` needs; a hostile header may ask for gigabytes.
_XZ_MEMORY_BYTES = 80 << 20
_TAR_MAGIC = b"ustar"
_ASCII = bytes(range(128))


def kind_of_stream(head: bytes) -> str | None:
    """The compression (`gz`, `bz2`, `xz`, `` for none) of a tar that begins with `head`; None for
    anything else."""
    for kind, magic in {"gz": b"\x1f\x8b\x08", "bz2": b"BZh", "xz": b"\xfd7zXZ\0"}.items():
        if head.startswith(magic):
            return kind
    plain = head[257:262] == _TAR_MAGIC or (len(head) == 512 and has_right_sum(head))
    return "" if plain else None


def has_right_sum(header: bytes) -> bool:
    """Whether the 512 bytes of a tar header are what their checksum says (old writers summed signed
    bytes)."""
    text = header[148:156].strip(b" \0")
    if not text or not all(48 <= byte <= 55 for byte in text):
        return False
    body = header[:148] + b" " * 8 + header[156:]
    total = sum(body)
    return int(text, 8) in (total, total - 256 * len(body.translate(None, _ASCII)))


class _Decompressor(Protocol):
    @property
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Unpacked(io.RawIOBase):
    """bz2 and xz streams, also several end to end, a block at a time."""

    def __init__(self, packed: IO[bytes], kind: str) -> None:
        self._packed, self._kind = packed, kind
        self._engine: _Decompressor | None = self._start()

    def _start(self) -> _Decompressor:
        return (
            bz2.BZ2Decompressor()
            if self._kind == "bz2"
            else lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)
        )

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = self._unpack(len(target))
        target[: len(data)] = data
        return len(data)

    def _unpack(self, size: int) -> bytes:
        while self._engine is not None:
            block = b""
            if self._engine.eof:
                block = (self._engine.unused_data or self._packed.read(_BLOCK_BYTES)).lstrip(b"\0")
                self._engine = self._start() if block else None
                if self._engine is None:
                    break
            elif self._engine.needs_input:
                block = self._packed.read(_BLOCK_BYTES)
                if not block:
                    raise EOFError("it ends in the middle")
            data = self._engine.decompress(block, size)
            if data:
                return data
        return b""


class TarStream:
    """The bytes of a tar, forwards only; plain ones skip by seeking.

    Args:
        kind: as `kind_of_stream` gives it.
    """

    def __init__(self, path: Path, kind: str, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._packed = open_stream(path, buffering=_BLOCK_BYTES)
        self.n_packed = os.fstat(self._packed.fileno()).st_size
        self._plain = not kind
        self._stream = self._open(kind)
        self.at = 0

    def _open(self, kind: str) -> IO[bytes] | gzip.GzipFile:
        if kind == "gz":
            return gzip.GzipFile(fileobj=self._packed, mode="rb")
        return (
            io.BufferedReader(_Unpacked(self._packed, kind), _BLOCK_BYTES) if kind else self._packed
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()

    @property
    def n_packed_read(self) -> int:
        """How far the file was read, in its own bytes."""
        return self._packed.tell()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or fewer at the end. Errors: LpwError for damage and for a bomb."""
        blocks, left = [], size
        while left:
            block = self._read_block(min(left, _BLOCK_BYTES))
            if not block:
                break
            blocks.append(block)
            left -= len(block)
        return b"".join(blocks)

    def _read_block(self, size: int) -> bytes:
        try:
            block = self._stream.read(size)
        except (EOFError, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
            if "memory" in str(error).lower():
                raise refuse(
                    self._path, "an xz stream that asks for more than 80 MiB", "one made by `xz -9`"
                ) from error
            raise refuse_damage(
                self._path, f"a damaged or cut off archive ({str(error).lower()})"
            ) from error
        self.at += len(block)
        if not self._plain:
            check_unpacked(self._path, self.at, self.n_packed, self._limits)
        return block

    def skip(self, size: int) -> None:
        """Goes `size` bytes on. Errors: LpwError when the archive ends before."""
        if self._plain:
            self.at += size
            if self.at > self.n_packed:
                raise refuse_damage(self._path, "an archive that ends inside a member")
            self._packed.seek(self.at)
            return
        while size:
            block = self._read_block(min(size, _BLOCK_BYTES))
            if not block:
                raise refuse_damage(self._path, "an archive that ends inside a member")
            size -= len(block)
