"""What an ONNX file says of its inputs and outputs, read without a runtime.

The kind of a model is told by them, before anything runs it.
Source: onnx/onnx:onnx/onnx.proto (field numbers).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.onnx_file import check_onnx
from lpw_toolkit.networks.protobuf import Messages
from lpw_toolkit.networks.weights import WeightsFile

_MAX_PROPERTY = 1 << 16  # bytes of one property: the names of 80 classes take 1,300
_DO = "export the model again"


@dataclass(frozen=True)
class Port:
    """One input or output: its sides, None where the model leaves one open; no sides where not even
    their number is known."""

    name: str
    sides: tuple[int | None, ...]

    def __str__(self) -> str:
        sides = "x".join("?" if side is None else str(side) for side in self.sides) or "?"
        return f"{self.name} {sides}"


@dataclass(frozen=True)
class ModelPorts:
    """Inputs and outputs of a model, and the properties that its exporter wrote into it."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    properties: Mapping[str, str]

    def __str__(self) -> str:
        given, answers = (", ".join(map(str, side)) for side in (self.inputs, self.outputs))
        return f"inputs {given or 'none'}; outputs {answers or 'none'}"

    @property
    def image_sides(self) -> tuple[int | None, int | None] | None:
        """Height and width of its one input Nx3xHxW; None for a model of other inputs."""
        sides = self.inputs[0].sides if len(self.inputs) == 1 else ()
        return (sides[2], sides[3]) if len(sides) == 4 and sides[1] in (3, None) else None


def read_ports(file: WeightsFile) -> ModelPorts:
    """The ports of a model that `check_onnx` takes. Errors: LpwError as it, and for ports that are
    damaged."""
    check_onnx(file)
    try:
        return _Reader(file.data, _DO).read()
    except (ValueError, IndexError) as error:
        raise LpwError(
            file.path, "a file that is no ONNX model, or a damaged one", "an ONNX model", _DO
        ) from error


class _Reader(Messages):
    def read(self) -> ModelPorts:
        inputs: list[Port] = []
        outputs: list[Port] = []
        constants: set[str] = set()
        properties: dict[str, str] = {}
        for number, start, length in self.iter_fields(0, len(self.data)):
            if number == 14 and length >= 0:
                entry = self._strings(start, start + length, _MAX_PROPERTY)
                properties[entry.get(1, "")] = entry.get(2, "")
            if number != 7 or length < 0:
                continue
            for part, value, size in self.iter_fields(start, start + length):
                if part in (11, 12) and size >= 0:
                    (inputs if part == 11 else outputs).append(self._port(value, value + size))
                elif part == 5 and size >= 0:
                    constants.add(self._name_of_tensor(value, value + size))
        # Older exporters list the weights among the inputs.
        given = tuple(port for port in inputs if port.name not in constants)
        return ModelPorts(given, tuple(outputs), properties)

    def _strings(self, start: int, end: int, most: int) -> dict[int, str]:
        return {
            number: self.text(value, length, most)
            for number, value, length in self.iter_fields(start, end)
            if length >= 0
        }

    def _name_of_tensor(self, start: int, end: int) -> str:
        names = [
            self.text(value, length)
            for number, value, length in self.iter_fields(start, end)
            if number == 8
        ]
        return names[-1] if names else ""

    def _port(self, start: int, end: int) -> Port:
        name = ""
        sides: tuple[int | None, ...] = ()
        for number, value, length in self.iter_fields(start, end):
            if number == 1:
                name = self.text(value, length)
            elif number == 2 and length >= 0:
                sides = self._sides(value, value + length)
        return Port(name, sides)

    def _sides(self, start: int, end: int) -> tuple[int | None, ...]:
        """The sides in a TypeProto: its tensor (field 1), the shape of that (2), each side (1), and
        the number of that (1)."""
        spans = [(start, end)]
        for wanted in (1, 2, 1):
            spans = [
                (value, value + length)
                for first, last in spans
                for number, value, length in self.iter_fields(first, last)
                if number == wanted and length >= 0
            ]
        return tuple(self._side(first, last) for first, last in spans)

    def _side(self, start: int, end: int) -> int | None:
        found = [
            value
            for number, value, length in self.iter_fields(start, end)
            if number == 1 and length < 0
        ]
        return found[-1] if found and 0 < found[-1] < 1 << 31 else None
