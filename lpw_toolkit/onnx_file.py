"""What an ONNX file refers to, read without a runtime: a model must lie whole in its one file.

Source: onnx/onnx:onnx/onnx.proto (field numbers).
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.writing import describe_os_error

# Of each message the fields that can lead to a tensor, with the message they hold.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DO = "export the model into one file"


def refuse_external_data(path: Path) -> None:
    """Makes sure that no runtime is led to another file: an ONNX model may name any path as the place of its weights.

    Errors: LpwError for such a model, and for a file that is no ONNX model.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            external = _has_external(data, 0, len(data), "model")
    except OSError as error:
        raise LpwError(path, describe_os_error(error), "a readable ONNX model", "check the file") from error
    except (ValueError, IndexError, RecursionError) as error:
        raise LpwError(path, "a file that is no ONNX model, or a damaged one", "an ONNX model", _DO) from error
    if external:
        raise LpwError(path, "weights in another file (external data)", "an ONNX model in one file", _DO)


def _has_external(data: mmap.mmap, start: int, end: int, message: str) -> bool:
    children = _CHILDREN[message]
    for number, value, length in _iter_fields(data, start, end):
        if message == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)):
            return True
        if number in children and length >= 0 and _has_external(data, value, value + length, children[number]):
            return True
    return False


def _iter_fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Field number, value and -1; for bytes instead of the value their place in `data`, and their length."""
    place = start
    while place < end:
        tag, place = _read_varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _read_varint(data, place)
            yield number, value, -1
        elif kind == 2:
            length, place = _read_varint(data, place)
            if place + length > end:
                raise ValueError("a field that ends beyond its message")
            yield number, place, length
            place += length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
    if place != end:
        raise ValueError("a message that ends within a field")


def _read_varint(data: mmap.mmap, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number of more than ten bytes")
