"""YOLOX-style ONNX models with a permissive licence, run by onnxruntime or, where installed, the
faster OpenVINO.

A model takes (N, 3, H, W) BGR 0-255, the frame in the top left corner, and gives (N, A, 5 +
classes) for the A cells of strides 8, 16 and 32: `x y` from the cell and `log w log h` in cells,
objectness, class scores; class 0 is the person.
Source: Megvii-BaseDetection/YOLOX:yolox/utils/demo_utils.py (`demo_postprocess`).
"""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection.cells import count_cells, keep_best, lay_grid
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.detection.letterbox import Letterbox
from lpw_toolkit.detection.onnx_network import OnnxDetector, OnnxKind, open_onnx
from lpw_toolkit.networks.onnx_model import Shape
from lpw_toolkit.networks.onnx_ports import ModelPorts
from lpw_toolkit.networks.runtimes import Answers, Floats
from lpw_toolkit.networks.weights import WeightsKind

SUFFIXES = (".onnx",)
READS = "YOLOX models exported to ONNX"
WEIGHTS = WeightsKind(
    suffix=".onnx",
    pattern=r"yolox[\w.-]*\.onnx",
)


def open_detector(options: DetectorOptions) -> OnnxDetector:
    """A YOLOX model. Errors: LpwError as `open_onnx`."""
    return open_onnx(options, KIND)


def accepts(ports: ModelPorts) -> bool:
    """Whether a model is of this kind."""
    if len(ports.outputs) != 1 or ports.image_sides is None or "task" in ports.properties:
        return False  # a task is what ultralytics writes into its exports
    height, width = ports.image_sides
    sides = ports.outputs[0].sides
    if len(sides) != 3 or sides[2] is None or sides[2] < 6:
        return False
    if height is None or width is None:
        return sides[1] is None
    return sides[1] in (None, count_cells(height, width))


def fits(shapes: list[Shape], height: int, width: int) -> bool:
    """Whether the answers to a batch are those of this kind."""
    if len(shapes) != 1 or len(shapes[0]) != 3:
        return False
    return shapes[0][1] == count_cells(height, width) and (shapes[0][2] or 0) >= 6


def decode(answers: Answers, box: Letterbox, ports: ModelPorts) -> tuple[Floats, Floats]:
    """Boxes (A, 4) in pixels of the input and person scores (A,); see `OnnxKind`."""
    return decode_cells(answers[0], lay_grid(box.width, box.height))


KIND = OnnxKind(
    name="onnx",
    weights=WEIGHTS,
    accepts=accepts,
    expected="input Nx3xHxW, output NxAx(5 + classes) with strides 8, 16, 32",
    remedy="choose a YOLOX model exported to ONNX",
    decode=decode,
    fits=fits,
)


def decode_cells(
    answer: NDArray[np.float32], grid: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (A, 4) in pixels of the input and person scores (A,); 0 where another class scores
    higher."""
    stride = grid[:, 2:]
    centre = (answer[:, :2] + grid[:, :2]) * stride
    half = np.exp(np.minimum(answer[:, 2:4], 20.0)) * stride / 2  # e^20 cells are beyond any frame
    scores = answer[:, 4] * keep_best(answer[:, 5], answer[:, 5:])
    return np.concatenate([centre - half, centre + half], axis=1), scores
