"""Reads one integer matrix of a known shape from a MATLAB file (version 5 to 7.2).

Why our own: one changed byte ends `scipy.io.loadmat` with a segmentation fault (such a file is in
tests/benchmarks/test_matlab.py), and it unpacks as much as a file asks for.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.files.limits import explain_limit, limit

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
#: What a variable may be that is no matrix of numbers; the rest are number types of MATLAB.
_CLASSES = {
    1: "cell",
    2: "struct",
    3: "object",
    4: "text",
    5: "sparse matrix",
    16: "function",
    17: "opaque object",
}
_FIRST_NUMBER_CLASS, _LAST_NUMBER_CLASS = 6, 15
_COMPLEX = 0x800
#: Most that the file, and all compressed variables in it together, may hold; the largest official
#: one holds 0.2 MB.
_DO = "fetch the official file again"


@dataclass(frozen=True)
class _Element:
    """A piece of the file: its type, its bytes, and where the next one begins."""

    kind: int
    payload: bytes
    end: int


@dataclass(frozen=True)
class _Variable:
    """`body` begins where the values do."""

    name: str
    flags: int
    shape: tuple[int, ...]
    body: bytes


def read_matrix(
    data: bytes, variable: str, shape: tuple[int | None, int | None], thing: object
) -> NDArray[np.int64]:
    """The matrix called `variable` of whole numbers (R, C), int64.

    Args:
        data: the bytes of the file.
        shape: wanted rows and columns; None where any number will do.
        thing: what messages call the file.

    Errors: LpwError when it is no such file, cut short, far too big, or holds another variable,
    shape or type.
    Source: MATLAB, "MAT-File Format", level 5.
    """
    _check_header(data, thing)
    order = "<" if data[126:128] == b"IM" else ">"
    try:
        found = list(_iter_variables(data, order, thing))
        names = [v.name for v in found]
        if names.count(variable) != 1:
            got = (
                f"variables {join_names([name[:40] for name in names])}" if names else "no variable"
            )
            raise LpwError(thing, got, f"variable {variable}, once", _DO)
        return _read_values(
            found[names.index(variable)], shape, order, f"{thing}, variable {variable}"
        )
    except (struct.error, zlib.error, ValueError) as error:
        raise LpwError(thing, f"a damaged file ({error})", "a whole MATLAB file", _DO) from error


def _check_header(data: bytes, thing: object) -> None:
    expected = "a MATLAB file of version 5 to 7.2"
    if data[:10] == b"MATLAB 7.3":
        raise LpwError(thing, "MATLAB version 7.3", expected, "save it in MATLAB with `save -v7`")
    if data[:10] != b"MATLAB 5.0":
        raise LpwError(thing, "another kind of file" if data else "an empty file", expected, _DO)
    if len(data) <= _HEADER_BYTES:
        raise _cut_short(thing, data)
    if data[126:128] not in (b"IM", b"MI"):
        raise LpwError(thing, "a header without byte order", expected, _DO)
    if len(data) > limit("matlab_bytes"):
        raise LpwError(
            thing, explain_limit("matlab_bytes", f"{len(data)} bytes"), "a smaller file", _DO
        )


def _cut_short(thing: object, data: bytes) -> LpwError:
    return LpwError(
        thing, f"a file or variable cut short at {len(data)} bytes", "a whole MATLAB file", _DO
    )


def _iter_variables(data: bytes, order: str, thing: object) -> Iterator[_Variable]:
    at, left = _HEADER_BYTES, limit("matlab_bytes")
    while at < len(data):
        element = _take(data, at, order, thing)
        at = element.end
        if element.kind == _COMPRESSED:
            unpacked = _unpack(element.payload, left, thing)
            left -= len(unpacked)
            element = _take(unpacked, 0, order, thing)
        if element.kind == _MATRIX:
            yield _open_variable(element.payload, order, thing)


def _take(data: bytes, at: int, order: str, thing: object) -> _Element:
    """The element that begins at `at`; short ones keep size, type and bytes within eight bytes."""
    first, size = struct.unpack_from(f"{order}II", data.ljust(at + 8, b"\0"), at)
    if first >> 16:
        kind, size, start, end = first & 0xFFFF, first >> 16, at + 4, at + 8
        fits = size <= 4 and end <= len(data)
    else:
        kind, start = first, at + 8
        end = start + size + (0 if kind == _COMPRESSED else -size % 8)
        fits = start + size <= len(data)
    if not fits:
        raise _cut_short(thing, data)
    return _Element(kind, data[start : start + size], end)


def _unpack(packed: bytes, left: int, thing: object) -> bytes:
    stream = zlib.decompressobj()
    unpacked = stream.decompress(packed, left + 1)
    if len(unpacked) > left:
        raise LpwError(
            thing, f"variables of more than {limit('matlab_bytes')} bytes", "small matrices", _DO
        )
    if not stream.eof:
        raise _cut_short(thing, packed)
    return unpacked


def _open_variable(matrix: bytes, order: str, thing: object) -> _Variable:
    """A matrix element holds flags, shape and name, then its values."""
    flags = _take(matrix, 0, order, thing)
    shape = _take(matrix, flags.end, order, thing)
    name = _take(matrix, shape.end, order, thing)
    (bits,) = struct.unpack_from(f"{order}I", flags.payload)
    dimensions = tuple(np.frombuffer(shape.payload, f"{order}i4").tolist())
    return _Variable(
        name.payload.decode("ascii", "backslashreplace"), bits, dimensions, matrix[name.end :]
    )


def _read_values(
    variable: _Variable, shape: tuple[int | None, int | None], order: str, thing: object
) -> NDArray[np.int64]:
    kind, expected = variable.flags & 0xFF, "a matrix of whole numbers"
    if not _FIRST_NUMBER_CLASS <= kind <= _LAST_NUMBER_CLASS or variable.flags & _COMPLEX:
        got = (
            "complex numbers"
            if variable.flags & _COMPLEX
            else _CLASSES.get(kind, f"an unknown class ({kind})")
        )
        raise LpwError(thing, got, expected, _DO)
    if len(variable.shape) != 2:
        raise LpwError(thing, f"{len(variable.shape)} dimensions", expected, _DO)
    fits = all(want in (None, have) for want, have in zip(shape, variable.shape, strict=True))
    if not fits or min(variable.shape) < 1:
        wanted = " x ".join("any" if n is None else str(n) for n in shape)
        raise LpwError(thing, f"{variable.shape[0]} x {variable.shape[1]} values", wanted, _DO)
    element = _take(variable.body, 0, order, thing)
    if element.kind not in _NUMBERS:
        raise LpwError(thing, f"values of an unknown type ({element.kind})", expected, _DO)
    values = np.frombuffer(element.payload, order + _NUMBERS[element.kind])
    if len(values) != prod(variable.shape):
        raise LpwError(
            thing, f"{len(values)} values", f"{prod(variable.shape)} as its shape says", _DO
        )
    limit = np.iinfo(np.int32).max
    floats = values.astype(np.float64)
    if not np.isfinite(floats).all() or (floats % 1 != 0).any() or (np.abs(floats) > limit).any():
        raise LpwError(
            thing, "values that are no whole numbers", f"whole numbers up to {limit}", _DO
        )
    return values.reshape(variable.shape, order="F").astype(np.int64)
