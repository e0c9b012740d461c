"""One matrix of whole numbers from a MATLAB file (version 5 to 7.2): wanted variable, wanted shape, no surprises."""

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

_HEADER_BYTES = 128
_COMPRESSED = 15  # element type miCOMPRESSED
#: Most that the file, and each compressed variable in it, may hold; the largest official one holds 0.4 MB.
MAX_BYTES = 64 << 20
_DO = "fetch the official file again"


def read_matrix(data: bytes, variable: str, shape: tuple[int | None, int | None], thing: object) -> NDArray[np.int64]:
    """The matrix called `variable` of whole numbers (R, C), int64.

    Args:
        data: the bytes of the file.
        shape: wanted rows and columns; None where any number will do.
        thing: what messages call the file.

    Errors: LpwError when it is no such file, cut short, far too big, or holds another variable, shape or type.
    Source: MATLAB, "MAT-File Format" (level 5).
    """
    _check_header(data, thing)
    _check_sizes(data, thing)
    found = _load(data, variable, thing)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf" or found.ndim != 2:
        got = f"a variable of type {_describe(found)}"
        raise LpwError(f"{thing}, variable {variable}", got, "a matrix of whole numbers", _DO)
    fits = all(want in (None, have) for want, have in zip(shape, found.shape, strict=True))
    if not fits or not found.size:
        wanted = " x ".join("any" if n is None else str(n) for n in shape)
        raise LpwError(f"{thing}, variable {variable}", f"{found.shape[0]} x {found.shape[1]} values", wanted, _DO)
    if not np.isfinite(found).all() or (np.abs(found) > np.iinfo(np.int32).max).any() or (found % 1 != 0).any():
        raise LpwError(f"{thing}, variable {variable}", "values that are no whole numbers", "whole numbers", _DO)
    return found.astype(np.int64)


def _check_header(data: bytes, thing: object) -> None:
    expected = "a MATLAB file of version 5 to 7.2"
    if data[:10] == b"MATLAB 7.3":
        raise LpwError(thing, "MATLAB version 7.3", expected, "save it in MATLAB with `save -v7`")
    if data[:10] != b"MATLAB 5.0":
        raise LpwError(thing, "another kind of file" if data else "an empty file", expected, _DO)
    if len(data) <= _HEADER_BYTES or data[126:128] not in (b"IM", b"MI"):
        raise LpwError(thing, f"a file cut short at {len(data)} bytes", "a whole MATLAB file", _DO)
    if len(data) > MAX_BYTES:
        raise LpwError(thing, f"{len(data)} bytes", f"at most {MAX_BYTES}", _DO)


def _check_sizes(data: bytes, thing: object) -> None:
    """No element ends behind the file's end or unpacks to more than `MAX_BYTES`: scipy would take whatever it asks."""
    order = "<" if data[126:128] == b"IM" else ">"
    at = _HEADER_BYTES
    while at < len(data):
        kind, size = struct.unpack(f"{order}II", data[at : at + 8].ljust(8, b"\0"))
        if at + 8 + size > len(data):
            raise LpwError(thing, f"a file cut short at {len(data)} bytes", "a whole MATLAB file", _DO)
        if kind == _COMPRESSED:
            _check_unpacked(data[at + 8 : at + 8 + size], thing)
        at += 8 + size


def _check_unpacked(packed: bytes, thing: object) -> None:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(packed, MAX_BYTES + 1)
    except zlib.error as error:
        raise LpwError(thing, f"a damaged file ({error})", "a whole MATLAB file", _DO) from error
    if len(unpacked) > MAX_BYTES:
        raise LpwError(thing, f"a variable of more than {MAX_BYTES} bytes", "a small matrix", _DO)
    if not stream.eof:
        raise LpwError(thing, "a variable that is cut short", "a whole MATLAB file", _DO)


def _load(data: bytes, variable: str, thing: object) -> Any:
    from scipy.io import loadmat, whosmat  # a tenth of a second, which `lpw --help` need not pay

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # scipy warns of what it could not read
            names = [name for name, *_ in whosmat(io.BytesIO(data))]
            found = loadmat(io.BytesIO(data), variable_names=[variable]) if variable in names else {}
    except Exception as error:  # scipy raises a dozen kinds, whatever the damage leads it to
        raise LpwError(thing, f"a damaged file ({error})", "a whole MATLAB file", _DO) from error
    if names.count(variable) != 1:
        got = f"variables {', '.join(names)}" if names else "no variable"
        raise LpwError(thing, got, f"variable {variable}, once", _DO)
    return found[variable]


def _describe(found: Any) -> str:
    if isinstance(found, np.ndarray):
        return f"{found.dtype.name} of {found.ndim} dimensions" if found.dtype.names is None else "struct"
    return type(found).__name__
