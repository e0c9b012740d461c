"""Parses an ONNX file strictly and without a runtime: the model is complete in its file, and ends.

Runtimes read what protobuf forgives, as tensors in two parts: here whatever a writer of ONNX never
makes is refused, so that nobody reads more in the file than was looked at.

Source: onnx/onnx:onnx/onnx.proto (field numbers).
"""

from dataclasses import dataclass, field
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.networks.protobuf import Messages, RefusedModelError
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
    ("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"), "which runs its own loop"
)
_INT64 = 7
_DO = "export the model into one file"
_DO_LOOP = "export a network without loops"


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
    except RefusedModelError as error:
        got, expected, do = error.args
        raise LpwError(file.path, got, expected, do) from error
    except (ValueError, IndexError, RecursionError) as error:
        raise LpwError(
            file.path, "a file that is no ONNX model, or a damaged one", "an ONNX model", _DO
        ) from error


class _Reader(Messages):
    """Walks through a model once.

    Attributes:
        constants: numbers by name; None for what is no constant number, or is defined twice.
        loops: for each loop the names of how often it turns, and of the loops around it.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data, _DO)
        self.constants: dict[str, int | None] = {}
        self.loops: list[tuple[str, ...]] = []

    def check(self) -> None:
        """Errors: ValueError for no ONNX model, RefusedModelError for one that is not taken."""
        self._walk("model", 0, len(self.data), ())
        most = limit("model_turns")
        for names in self.loops:
            turns = 1
            for name in names:
                own = self.constants.get(name)
                if own is None:
                    raise RefusedModelError(
                        "a loop that may never end", "loops of a constant number of turns", _DO_LOOP
                    )
                turns *= max(own, 1)
                if turns > most:
                    got = explain_limit("model_turns", f"a loop of {turns} turns")
                    raise RefusedModelError(got, "a network that ends", _DO_LOOP)

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
        for number, value, length in self.iter_fields(start, end):
            if number in once and length >= 0:
                if number in seen:
                    raise ValueError(f"field {number} of a {message} twice")
                seen.add(number)
            if number == 1 and message == "port":
                self._define(self.text(value, length), None)
            if number == 1 and message == "metadata" and self.text(value, length) == "ort_config":
                raise RefusedModelError("settings for the runtime", "a model without them", _DO)
            if number in children and length >= 0:
                self._walk(children[number], value, value + length, around)

    def _walk_node(self, start: int, end: int, around: tuple[str, ...]) -> None:
        kind, domain, inputs, outputs, attributes = "", "", [], [], []
        for number, value, length in self.iter_fields(start, end):
            if number == 1:
                inputs.append(self.text(value, length))
            elif number == 2:
                outputs.append(self.text(value, length))
            elif number == 4:
                kind = self.text(value, length)
            elif number == 7:
                domain = self.text(value, length)
            elif number == 5 and length >= 0:
                attributes.append((value, value + length))
        if kind in _NEVER:
            raise RefusedModelError(f"a node {kind}, {_NEVER[kind]}", "a network for images", _DO)
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
        for number, value, length in self.iter_fields(start, end):
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
        """Errors: RefusedModelError where the values lie in another file."""
        tensor = _OnnxTensor()
        for number, value, length in self.iter_fields(start, end):
            if number == 13 or (number == 14 and value):
                raise RefusedModelError(
                    "weights in another file (external data)", "an ONNX model in one file", _DO
                )
            if number == 2:
                tensor.kind = value
            elif number == 8:
                tensor.name = self.text(value, length)
            elif number == 7:
                packed = self.iter_packed(value, length) if length >= 0 else iter([value])
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


def _first_value(tensor: _OnnxTensor) -> int | None:
    return tensor.values[0] if tensor.kind == _INT64 and len(tensor.values) == 1 else None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
