"""Parses an ONNX file strictly and without a runtime: the model is complete in its file, and ends.

Runtimes read what protobuf forgives (tags whose high bits are dropped, groups, tensors in two
parts): here whatever a writer of ONNX never makes is refused, so that nobody reads more in the file
than was looked at.

Source: onnx/onnx:onnx/onnx.proto (field numbers).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.networks.weights import WeightsFile, read_weights

# Of each message the fields that can lead to a tensor or a loop, with the message they hold.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 14: "metadata", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 11: "port", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "port": {},
    "metadata": {},
}
# Messages that protobuf merges where they come twice; of a graph in parts each part is looked at,
# as the whole is.
_ONCE = {"training": {1, 2}, "attribute": {5, 6, 22}, "sparse": {1, 2}}
# Nodes of onnxruntime's own that no network for images has.
_NEVER = {"EPContext": "which names a file"} | dict.fromkeys(
    ("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"), "which goes on by itself"
)
_MAX_TAG = (1 << 32) - 1
_MAX_NAME = 4096  # bytes of a name that is looked at
_INT64 = 7
_DO = "export the model into one file"
_DO_LOOP = "export a network without loops"


class _RefusedError(Exception):
    """A fault of the model, in words: what was found, what was expected and what helps."""


class _Field(NamedTuple):
    """One field: `value` is a number, or the place of `length` bytes; `length` is -1 for a
    number."""

    number: int
    value: int
    length: int


@dataclass
class _OnnxTensor:
    name: str = ""
    kind: int = 0
    values: list[int] = field(default_factory=list)  # of int64, the first two


def refuse_external_data(path: Path) -> None:
    """`check_onnx` of the file that the user names `path`. Errors: LpwError."""
    check_onnx(read_weights(path))


def check_onnx(file: WeightsFile) -> None:
    """Checks that no runtime is led to another file, or into a loop without end.

    Errors: LpwError for such a model, and for a file that is no ONNX model as its writers make
    them.
    """
    try:
        if (
            file.data[4:8] == b"ORTM" or b"<net" in file.data[:4096]
        ):  # other formats that the runtimes tell by that
            raise ValueError("another format")
        _Reader(file.data).check()
    except _RefusedError as error:
        got, expected, do = error.args
        raise LpwError(file.path, got, expected, do) from error
    except (ValueError, IndexError, RecursionError) as error:
        raise LpwError(
            file.path, "a file that is no ONNX model, or a damaged one", "an ONNX model", _DO
        ) from error


class _Reader:
    """Walks through a model once.

    Attributes:
        constants: numbers by name; None for what is no constant number, or is defined twice.
        loops: for each loop the names of how often it turns, and of the loops around it.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.n_fields, self._max_fields = 0, limit("onnx_fields")
        self.constants: dict[str, int | None] = {}
        self.loops: list[tuple[str, ...]] = []

    def check(self) -> None:
        """Errors: ValueError for no ONNX model, _RefusedError for one that is not taken."""
        self._walk("model", 0, len(self.data), ())
        most = limit("model_turns")
        for names in self.loops:
            turns = 1
            for name in names:
                own = self.constants.get(name)
                if own is None:
                    raise _RefusedError(
                        "a loop that may never end", "loops of a constant number of turns", _DO_LOOP
                    )
                turns *= max(own, 1)
                if turns > most:
                    got = explain_limit("model_turns", f"a loop of {turns} turns")
                    raise _RefusedError(got, "a network that ends", _DO_LOOP)

    def _walk(self, message: str, start: int, end: int, around: tuple[str, ...]) -> None:
        if message == "node":
            self._walk_node(start, end, around)
            return
        if message == "tensor":
            tensor = self._read_tensor(start, end)
            self._define(tensor.name, _first_value(tensor))
            return
        children, once = _CHILDREN[message], set(_ONCE.get(message, ()))
        seen: set[int] = set()
        for number, value, length in self._iter_fields(start, end):
            if number in once and length >= 0:
                if number in seen:
                    raise ValueError(f"field {number} of a {message} twice")
                seen.add(number)
            if number == 1 and message == "port":
                self._define(self._text(value, length), None)
            if number == 1 and message == "metadata" and self._text(value, length) == "ort_config":
                raise _RefusedError("settings for the runtime", "a model without them", _DO)
            if number in children and length >= 0:
                self._walk(children[number], value, value + length, around)

    def _walk_node(self, start: int, end: int, around: tuple[str, ...]) -> None:
        kind, domain, inputs, outputs, attributes = "", "", [], [], []
        for number, value, length in self._iter_fields(start, end):
            if number == 1:
                inputs.append(self._text(value, length))
            elif number == 2:
                outputs.append(self._text(value, length))
            elif number == 4:
                kind = self._text(value, length)
            elif number == 7:
                domain = self._text(value, length)
            elif number == 5 and length >= 0:
                attributes.append((value, value + length))
        if kind in _NEVER:
            raise _RefusedError(f"a node {kind}, {_NEVER[kind]}", "a network for images", _DO)
        if kind == "Loop":
            around = (*around, inputs[0] if inputs else "")
            self.loops.append(around)
        found = [self._walk_attribute(first, last, around) for first, last in attributes]
        is_constant = kind == "Constant" and domain in ("", "ai.onnx") and len(found) == 1
        for name in outputs:
            self._define(name, found[0] if is_constant else None)

    def _walk_attribute(self, start: int, end: int, around: tuple[str, ...]) -> int | None:
        """Walks through an attribute; its number, where it has one and no other."""
        found: list[int | None] = []
        seen: set[int] = set()
        for number, value, length in self._iter_fields(start, end):
            if number in _ONCE["attribute"] and length >= 0:
                if number in seen:
                    raise ValueError(f"field {number} of an attribute twice")
                seen.add(number)
            if number == 3 and length < 0:
                found.append(_signed(value))
            elif number == 5 and length >= 0:
                found.append(_first_value(self._read_tensor(value, value + length)))
            elif number in _CHILDREN["attribute"] and length >= 0:
                self._walk(_CHILDREN["attribute"][number], value, value + length, around)
        return found[0] if len(found) == 1 else None

    def _read_tensor(self, start: int, end: int) -> _OnnxTensor:
        """Errors: _RefusedError where the values lie in another file."""
        tensor = _OnnxTensor()
        for number, value, length in self._iter_fields(start, end):
            if number == 13 or (number == 14 and value):
                raise _RefusedError(
                    "weights in another file (external data)", "an ONNX model in one file", _DO
                )
            if number == 2:
                tensor.kind = value
            elif number == 8:
                tensor.name = self._text(value, length)
            elif number == 7:
                packed = self._iter_packed(value, length) if length >= 0 else iter([value])
                tensor.values += [_signed(v) for v, _ in zip(packed, range(2), strict=False)][
                    : 2 - len(tensor.values)
                ]
            elif number == 9 and length >= 0:
                raw = self.data[value : value + min(length, 16)]
                tensor.values += [
                    int.from_bytes(raw[i : i + 8], "little", signed=True)
                    for i in range(0, len(raw), 8)
                ]
        return tensor

    def _define(self, name: str, value: int | None) -> None:
        self.constants[name] = value if name not in self.constants else None

    def _text(self, place: int, length: int) -> str:
        """A name. Errors: ValueError for a number in its place, or one without end."""
        if not 0 <= length <= _MAX_NAME:
            raise ValueError("a name that is none")
        return self.data[place : place + length].decode("utf-8", "replace")

    def _iter_packed(self, place: int, length: int) -> Iterator[int]:
        end = place + length
        while place < end:
            value, place = _read_varint(self.data, place)
            yield value

    def _iter_fields(self, start: int, end: int) -> Iterator[_Field]:
        """The fields of one message. Errors: ValueError for what no writer makes, _RefusedError for
        too many."""
        data, place = self.data, start
        while place < end:
            self.n_fields += 1
            if self.n_fields > self._max_fields:
                raise _RefusedError(explain_limit("onnx_fields", "more fields"), "a network", _DO)
            tag, place = _read_varint(data, place)
            number, kind = tag >> 3, tag & 7
            if tag > _MAX_TAG or number == 0:
                raise ValueError("a tag that is none")
            if kind == 0:
                value, place = _read_varint(data, place)
                yield _Field(number, value, -1)
            elif kind == 2:
                length, place = _read_varint(data, place)
                if place + length > end:
                    raise ValueError("a field that ends beyond its message")
                yield _Field(number, place, length)
                place += length
            elif kind in (1, 5):
                place += 8 if kind == 1 else 4
            else:  # groups, and what is no wire type
                raise ValueError(f"wire type {kind}")
        if place != end:
            raise ValueError("a message that ends within a field")


def _first_value(tensor: _OnnxTensor) -> int | None:
    return tensor.values[0] if tensor.kind == _INT64 and len(tensor.values) == 1 else None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


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
