"""Reads protobuf messages strictly, without their schema: what no writer makes is refused.

Runtimes read what protobuf forgives (tags whose high bits are dropped, groups, numbers that are
longer than they need be): a reader that takes less than they do has looked at all that they see.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lpw_toolkit.files.limits import explain_limit, limit

_MAX_TAG = (1 << 32) - 1
_MAX_NAME = 4096  # bytes of a name that is looked at


class RefusedModelError(Exception):
    """A fault of a model, in words: what was found, what was expected and what helps."""


class Field(NamedTuple):
    """One field: `value` is a number, or the place of `length` bytes; `length` is -1 for a
    number."""

    number: int
    value: int
    length: int


class Messages:
    """The messages of one file.

    Args:
        data: the whole file.
        do: what helps where it has too many fields.
    """

    def __init__(self, data: bytes, do: str) -> None:
        self.data, self._do = data, do
        self.n_fields, self._max_fields = 0, limit("onnx_fields")

    def iter_fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of one message. Errors: ValueError for what no writer makes,
        RefusedModelError for too many."""
        data, place = self.data, start
        while place < end:
            self.n_fields += 1
            if self.n_fields > self._max_fields:
                raise RefusedModelError(
                    explain_limit("onnx_fields", "more fields"), "a network", self._do
                )
            tag, place = _read_varint(data, place)
            number, kind = tag >> 3, tag & 7
            if tag > _MAX_TAG or number == 0:
                raise ValueError("an invalid tag")
            if kind == 0:
                value, place = _read_varint(data, place)
                yield Field(number, value, -1)
            elif kind == 2:
                length, place = _read_varint(data, place)
                if place + length > end:
                    raise ValueError("a field that ends beyond its message")
                yield Field(number, place, length)
                place += length
            elif kind in (1, 5):
                place += 8 if kind == 1 else 4
            else:  # groups, and what is no wire type
                raise ValueError(f"wire type {kind}")
        if place != end:
            raise ValueError("a message that ends within a field")

    def iter_packed(self, place: int, length: int) -> Iterator[int]:
        """The numbers of a packed field."""
        end = place + length
        while place < end:
            value, place = _read_varint(self.data, place)
            yield value

    def text(self, place: int, length: int, most: int = _MAX_NAME) -> str:
        """A name. Errors: ValueError for a number in its place, or one of more than `most`
        bytes."""
        if not 0 <= length <= most:
            raise ValueError("an invalid name")
        return self.data[place : place + length].decode("utf-8", "replace")


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of at most 64 bits and the place behind it. Errors: ValueError for one that is too
    long."""
    value = data[place]
    place += 1
    if value < 128:
        return value, place
    value &= 127
    for shift in range(7, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if byte == 0 or value >> 64:
                break
            return value, place
    raise ValueError("a number that is longer than it need be")
