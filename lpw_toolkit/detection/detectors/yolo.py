"""YOLO networks that ultralytics exported to ONNX, run by onnxruntime or OpenVINO.

No code of ultralytics runs; the weights keep their licence (AGPL-3.0 for the official ones). A
model takes (N, 3, H, W) RGB in [0, 1], the frame in the middle, and gives either (N, 4 + classes,
A): centre, width and height in pixels and a score for each class; or, exported end to end, (N, A,
6): corners in pixels, score and class. Its exporter wrote the names of the classes into it.
Source: ultralytics/ultralytics:ultralytics/engine/exporter.py, ultralytics/utils/nms.py.
"""

import re
from collections.abc import Mapping

import numpy as np

from lpw_toolkit.detection.cells import count_cells, keep_best
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.detection.letterbox import Letterbox
from lpw_toolkit.detection.onnx_network import OnnxDetector, OnnxKind, open_onnx
from lpw_toolkit.networks.onnx_model import Shape
from lpw_toolkit.networks.onnx_ports import ModelPorts
from lpw_toolkit.networks.runtimes import Answers, Floats
from lpw_toolkit.networks.weights import WeightsKind

SUFFIXES = (".onnx",)
READS = "YOLO networks exported to ONNX by ultralytics"
WEIGHTS = WeightsKind(suffix=".onnx", pattern=r"yolo(?!x)[\w.-]*\.onnx")
_N_COCO = 80
_END_TO_END = 6  # numbers of a box: corners, score, class
_NAME = re.compile(r"(\d+): *['\"]([^'\"]*)['\"]")


def open_detector(options: DetectorOptions) -> OnnxDetector:
    """A YOLO network. Errors: LpwError as `open_onnx`."""
    return open_onnx(options, KIND)


def accepts(ports: ModelPorts) -> bool:
    """Whether a model is of this kind: its exporter says so, or its one output has a row for each
    cell."""
    if len(ports.outputs) != 1 or ports.image_sides is None or _find_person(ports) is None:
        return False
    sides = ports.outputs[0].sides
    if "task" in ports.properties:
        return ports.properties["task"] == "detect" and len(sides) in (0, 3)
    height, width = ports.image_sides
    return len(sides) == 3 and None not in (height, width) and _has_cells(sides, height, width)


def _has_cells(sides: Shape, height: int | None, width: int | None) -> bool:
    return sides[2] == count_cells(height or 0, width or 0) and (sides[1] or 0) > 4


def fits(shapes: list[Shape], height: int, width: int) -> bool:
    """Whether the answers to a batch are those of this kind."""
    if len(shapes) != 1 or len(shapes[0]) != 3:
        return False
    return shapes[0][2] == _END_TO_END or _has_cells(shapes[0], height, width)


def decode(answers: Answers, box: Letterbox, ports: ModelPorts) -> tuple[Floats, Floats]:
    """Boxes (A, 4) in pixels of the input and person scores (A,); see `OnnxKind`."""
    (found,) = answers
    person = _find_person(ports) or 0
    if found.shape[1] == _END_TO_END:
        return found[:, :4], np.where(found[:, 5] == person, found[:, 4], np.float32(0))
    centre, half = found[:2].T, found[2:4].T / 2
    scores = found[4:].T
    return np.concatenate([centre - half, centre + half], 1), keep_best(scores[:, person], scores)


def _find_person(ports: ModelPorts) -> int | None:
    """The class of persons: by name, the only one, or the first of COCO's."""
    names = _read_names(ports.properties)
    if names:
        persons = [number for number, name in names.items() if name.lower() == "person"]
        return persons[0] if persons else 0 if len(names) == 1 else None
    n_rows = ports.outputs[0].sides[1] if len(ports.outputs[0].sides) == 3 else None
    return 0 if n_rows in (4 + 1, 4 + _N_COCO) else None


def _read_names(properties: Mapping[str, str]) -> dict[int, str]:
    found = _NAME.findall(properties.get("names", ""))
    return {int(number): name for number, name in found if len(number) < 6}


KIND = OnnxKind(
    name="yolo",
    weights=WEIGHTS,
    accepts=accepts,
    expected="input Nx3xHxW, output Nx(4 + classes)xA or NxAx6, with a class of persons",
    remedy="choose a YOLO detector exported to ONNX by ultralytics",
    decode=decode,
    fits=fits,
    place="middle",
    rgb=True,
    scale=(255.0, 255.0, 255.0),
)
