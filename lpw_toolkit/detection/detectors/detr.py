"""RF-DETR and other DETR models exported to ONNX, run by onnxruntime or OpenVINO.

A model takes (N, 3, H, W) RGB, normalised as ImageNet, the frame stretched over the whole input,
and gives boxes (N, A, 4), centre, width and height in shares of the input, and class logits (N, A,
classes); it needs no NMS. RF-DETR calls them `dets` and `labels`, others `pred_boxes` and `logits`
or `pred_logits`. Classes are COCO's own numbers, person is 1: each has its sigmoid, but with a
class for "no object" at the end (92) their softmax is taken. A model of one class has persons only.
Source: roboflow/rf-detr:src/rfdetr/export, facebookresearch/detr:models/detr.py (`PostProcess`).
"""

import numpy as np

from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.detection.letterbox import Letterbox
from lpw_toolkit.detection.onnx_network import OnnxDetector, OnnxKind, open_onnx
from lpw_toolkit.networks.onnx_model import Shape
from lpw_toolkit.networks.onnx_ports import ModelPorts
from lpw_toolkit.networks.runtimes import Answers, Floats
from lpw_toolkit.networks.weights import WeightsKind

SUFFIXES = (".onnx",)
READS = "RF-DETR and DETR models exported to ONNX"
WEIGHTS = WeightsKind(suffix=".onnx", pattern=r"[\w.-]*detr[\w.-]*\.onnx")
_BOXES = ("dets", "pred_boxes")
_LOGITS = ("labels", "logits", "pred_logits")
_PERSON, _N_SIGMOID, _N_SOFTMAX = 1, 91, 92
_MAX_SINGLE = 2  # RF-DETR gives a model of one class two columns, of which one is never used


def open_detector(options: DetectorOptions) -> OnnxDetector:
    """A DETR model. Errors: LpwError as `open_onnx`."""
    return open_onnx(options, KIND)


def accepts(ports: ModelPorts) -> bool:
    """Whether a model is of this kind."""
    names = [port.name for port in ports.outputs]
    places = _find(names, _BOXES), _find(names, _LOGITS)
    if len(names) != 2 or None in places:
        return False
    sides = [ports.outputs[place or 0].sides for place in places]
    return all(len(one) in (0, 3) for one in sides) and _known(sides[0][2:], sides[1][2:])


def _find(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((place for place, name in enumerate(names) if name in wanted), None)


def _known(boxes: Shape, logits: Shape) -> bool:
    """Whether a box has four numbers, and the classes are some that we know the person of."""
    n_classes = logits[0] if logits else None
    return boxes in ((), (None,), (4,)) and (
        n_classes is None or n_classes <= _MAX_SINGLE or n_classes in (_N_SIGMOID, _N_SOFTMAX)
    )


def fits(shapes: list[Shape], height: int, width: int) -> bool:
    """Whether the answers to a batch are those of this kind."""
    if len(shapes) != 2 or any(len(shape) != 3 for shape in shapes):
        return False
    boxes, logits = sorted((shape[2:] for shape in shapes), key=lambda sides: sides != (4,))
    return shapes[0][:2] == shapes[1][:2] and boxes == (4,) and _known(boxes, logits)


def decode(answers: Answers, box: Letterbox, ports: ModelPorts) -> tuple[Floats, Floats]:
    """Boxes (A, 4) in pixels of the input and person scores (A,); see `OnnxKind`."""
    by_name = dict(zip((port.name for port in ports.outputs), answers, strict=True))
    shares = next(by_name[name] for name in _BOXES if name in by_name)
    logits = next(by_name[name] for name in _LOGITS if name in by_name)
    pixels = shares * np.array([box.width, box.height] * 2, dtype=np.float32)
    centre, half = pixels[:, :2], pixels[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1), _score_persons(logits)


def _score_persons(logits: Floats) -> Floats:
    """Scores (A,) of persons; 0 where another class has a higher one."""
    if logits.shape[1] == _N_SOFTMAX:
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores: Floats = np.divide(weights, weights.sum(axis=1, keepdims=True))[:, :-1]
    else:
        scores = np.divide(1, 1 + np.exp(-logits.clip(-50, 50)))
    best: Floats = scores.max(axis=1)
    if scores.shape[1] <= _MAX_SINGLE:
        return best
    person: Floats = np.where(scores[:, _PERSON] >= best, best, np.float32(0))
    return person


KIND = OnnxKind(
    name="detr",
    weights=WEIGHTS,
    accepts=accepts,
    expected="input Nx3xHxW, outputs dets or pred_boxes NxAx4 and labels or logits NxAx91 (or 92, "
    "or one class)",
    remedy="choose an RF-DETR or DETR model exported to ONNX",
    decode=decode,
    fits=fits,
    place="stretched",
    rgb=True,
    mean=(123.675, 116.28, 103.53),
    scale=(58.395, 57.12, 57.375),
    nms_iou=1.0,
)
