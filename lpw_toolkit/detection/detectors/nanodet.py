"""NanoDet models exported to ONNX (Apache-2.0), run by onnxruntime or OpenVINO.

A model takes (N, 3, H, W) BGR, normalised, and gives for each of the strides 8, 16 and 32 the
scores of the classes (N, A, classes) and for each side of a box a distribution over distances of 0
to 7 strides (N, A, 4 x 8); class 0 is the person.
Source: RangiLyu/nanodet:nanodet/model/head/gfl_head.py (`get_bboxes`).
"""

import numpy as np

from lpw_toolkit.detection.cells import STRIDES, keep_best, lay_grid
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.detection.letterbox import Letterbox
from lpw_toolkit.detection.onnx_network import OnnxDetector, OnnxKind, open_onnx
from lpw_toolkit.networks.onnx_model import Shape
from lpw_toolkit.networks.onnx_ports import ModelPorts
from lpw_toolkit.networks.runtimes import Answers, Floats
from lpw_toolkit.networks.weights import WeightsKind

SUFFIXES = (".onnx",)
READS = "NanoDet models exported to ONNX"
WEIGHTS = WeightsKind(suffix=".onnx", pattern=r"nanodet[\w.-]*\.onnx")
_NAMES = tuple(f"{part}_pred_stride_{stride}" for part in ("cls", "dis") for stride in STRIDES)


def open_detector(options: DetectorOptions) -> OnnxDetector:
    """A NanoDet model. Errors: LpwError as `open_onnx`."""
    return open_onnx(options, KIND)


def accepts(ports: ModelPorts) -> bool:
    """Whether a model is of this kind."""
    return sorted(port.name for port in ports.outputs) == sorted(_NAMES)


def fits(shapes: list[Shape], height: int, width: int) -> bool:
    """Whether the answers to a batch are those of this kind."""
    n_cells = sorted((height // stride) * (width // stride) for stride in STRIDES for _ in "cd")
    good = len(shapes) == len(_NAMES) and all(len(shape) == 3 for shape in shapes)
    return good and sorted(shape[1] or 0 for shape in shapes) == n_cells


def decode(answers: Answers, box: Letterbox, ports: ModelPorts) -> tuple[Floats, Floats]:
    """Boxes (A, 4) in pixels of the input and person scores (A,); see `OnnxKind`."""
    by_name = dict(zip((port.name for port in ports.outputs), answers, strict=True))
    scores, sides = (
        np.concatenate([by_name[name] for name in _NAMES[first : first + len(STRIDES)]])
        for first in (0, len(STRIDES))
    )
    grid = lay_grid(box.width, box.height)
    stride = grid[:, 2:]
    centre = (grid[:, :2] + np.float32(0.5)) * stride
    distances = _expect(sides.reshape(len(sides), 4, -1)) * stride
    boxes = np.concatenate([centre - distances[:, :2], centre + distances[:, 2:]], axis=1)
    return boxes, keep_best(scores[:, 0], scores)


def _expect(logits: Floats) -> Floats:
    """The expectation (A, 4) of distances whose distributions are given by logits (A, 4, D)."""
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    distances = np.arange(logits.shape[2], dtype=np.float32)
    expected: Floats = (weights @ distances) / weights.sum(axis=2)
    return expected


KIND = OnnxKind(
    name="nanodet",
    weights=WEIGHTS,
    accepts=accepts,
    expected="input Nx3xHxW, outputs cls_pred_stride_S and dis_pred_stride_S for S = 8, 16, 32",
    remedy="choose a NanoDet model exported to ONNX",
    decode=decode,
    fits=fits,
    mean=(103.53, 116.28, 123.675),
    scale=(57.375, 57.12, 58.395),
    # Its scores stand higher than those of others. Chosen on PETS09-S2L1 with NanoDet-m 416, where
    # F1 is flat from 0.40 to 0.50: .88 (.66 at 0.25); TUD-Stadtmitte, which had no say: .80.
    min_score=0.4,
    nms_iou=0.6,
)
