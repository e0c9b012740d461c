"""What the detectors of ONNX models share: finding, checking and running one.

A plug-in says in an `OnnxKind` what its models are; `open_onnx` makes a detector of it:

    weights --ports fit the kind--> tried in another process --compiled for a frame size-->
    answers --decode--> boxes and scores --select_boxes--> boxes of the frame
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lpw_toolkit.detection import inference
from lpw_toolkit.detection.cells import STRIDES
from lpw_toolkit.detection.detector import DetectorOptions, Setting, refuse_image_size
from lpw_toolkit.detection.letterbox import (
    PADDING,
    Letterbox,
    fit_corner,
    fit_middle,
    fit_stretched,
)
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.onnx_model import (
    Shape,
    open_session,
    read_openvino,
    refuse_damaged,
    refuse_harmful,
    refuse_large,
    run_once,
    tell_shapes,
)
from lpw_toolkit.networks.onnx_ports import ModelPorts, read_ports
from lpw_toolkit.networks.runtimes import Answers, Floats
from lpw_toolkit.networks.weights import WeightsFile, WeightsKind, find_weights, read_weights

RUNTIMES = ("auto", "onnxruntime", "openvino")
_STEP = max(STRIDES)  # sides that a model leaves open are multiples of it
_SMALL = 64, 64  # height and width that a model is tried with, which leaves them open
_FITS = {"corner": fit_corner, "middle": fit_middle, "stretched": fit_stretched}


@dataclass(frozen=True)
class OnnxKind:
    """One kind of ONNX models.

    Attributes:
        name: of the plug-in.
        weights: how its files are found.
        accepts: whether inputs and outputs are those of this kind.
        expected: inputs and outputs in words.
        remedy: what helps where they are others.
        decode: boxes (A, 4) `x1 y1 x2 y2` in pixels of the input, and scores of persons (A,), of
            the answers to one image.
        fits: whether the answers to a batch, by their shapes, belong to an input of height and
            width.
        place: where the frame lies in the input: corner | middle | stretched.
        rgb: whether the model takes RGB; otherwise BGR.
        mean, scale: of its channels, 0-255: the mean is taken off and the scale divided by.
        min_score, nms_iou: where the user gives none; an IoU of 1 is for models that need no NMS.
    """

    name: str
    weights: WeightsKind
    accepts: Callable[[ModelPorts], bool]
    expected: str
    remedy: str
    decode: Callable[[Answers, Letterbox, ModelPorts], tuple[Floats, Floats]]
    fits: Callable[[list[Shape], int, int], bool]
    place: str = "corner"
    rgb: bool = False
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    min_score: float = inference.MIN_SCORE
    nms_iou: float = inference.NMS_IOU


def open_onnx(options: DetectorOptions, kind: OnnxKind) -> "OnnxDetector":
    """A detector of that kind, read and checked; it is compiled when the first frame gives its
    size.

    Errors: LpwError for missing weights or packages, damaged files, external data, or a model of
    another kind.
    """
    began = time.perf_counter()
    path, note = find_weights(options.weights, kind.weights)
    file = read_weights(path)
    runtime = runtimes.choose_runtime(
        options.runtime, RUNTIMES, preferred="openvino", fallback="onnxruntime"
    )
    precision, reason = runtimes.choose_precision(options.precision, runtime)
    ports = read_ports(file)
    if ports.image_sides is None or not kind.accepts(ports):
        raise LpwError(path, str(ports), kind.expected, kind.remedy)
    refuse_harmful(file, runtime, kind.remedy, _SMALL)
    shape = ports.inputs[0].sides
    refuse_large(file, shape, kind.remedy)
    threads = runtimes.count_threads(options.threads)
    height, width = ports.image_sides
    open_side = -(-options.image_size // _STEP) * _STEP
    settings: dict[str, Setting] = {
        "name": kind.name,
        "weights": path.name,
        "weights_sha256": file.sha256,
        "runtime": runtime,
        "runtime_version": runtimes.package_version(runtime),
        "precision": precision,
        "image_size": open_side if height is None or width is None else max(height, width),
        "batch_size": shape[0] or options.batch_size or 1,
        "min_score": kind.min_score if options.min_score is None else options.min_score,
        "nms_iou": kind.nms_iou if options.nms_iou is None else options.nms_iou,
        "threads": threads,
    }
    notes = [note, f"precision {precision} ({reason}), runtime {runtime}, {threads} threads"]
    if height is not None and width is not None:
        refuse_image_size(options, max(height, width))
        notes.append(f"image size {width}x{height}, as the model has it")
    return OnnxDetector(kind, file, ports, settings, notes, time.perf_counter() - began)


class OnnxDetector(inference.NetworkDetector):
    """Persons found by an ONNX model."""

    def __init__(
        self,
        kind: OnnxKind,
        file: WeightsFile,
        ports: ModelPorts,
        settings: dict[str, Setting],
        notes: list[str],
        startup_s: float,
    ) -> None:
        super().__init__(settings, notes, startup_s, kind.name)
        self.kind, self.file, self.ports = kind, file, ports

    def open_stage(self, width: int, height: int) -> inference.Stage:
        """The model at the input size of this frame size. Errors: LpwError for answers of another
        kind."""
        box = self._fit(width, height)
        network = self._compile(box)
        answers = run_once(self.file, network, PADDING, self.kind.remedy)
        shapes: list[Shape] = [answer.shape for answer in answers]
        if not self.kind.fits(shapes, box.height, box.width):
            got = f"an answer of {tell_shapes(shapes)}"
            raise LpwError(self.file.path, got, self.kind.expected, self.kind.remedy)
        if not all(np.isfinite(answer).all() for answer in answers):
            raise LpwError(
                self.file.path,
                "NaN or infinite answers",
                "finite weights",
                "fetch or train them again",
            )
        return inference.Stage((box,), network, self._decode)

    def _fit(self, width: int, height: int) -> Letterbox:
        input_height, input_width = self.ports.image_sides or (None, None)
        long_side, largest = int(self.settings["image_size"]), max(width, height)
        fit = _FITS[self.kind.place]
        return fit(
            width,
            height,
            _round_up(width * long_side / largest) if input_width is None else input_width,
            _round_up(height * long_side / largest) if input_height is None else input_height,
        )

    def _compile(self, box: Letterbox) -> runtimes.Network:
        shape = int(self.settings["batch_size"]), box.height, box.width
        threads, kind = int(self.settings["threads"]), self.kind
        if self.settings["runtime"] == "openvino":
            model = read_openvino(self.file, kind.remedy)
            try:
                model.reshape([shape[0], 3, box.height, box.width])
                model = runtimes.feed_pixels(model, kind.mean, kind.scale, rgb=kind.rgb)
                return runtimes.OpenVinoNetwork(model, str(self.settings["precision"]), threads)
            except RuntimeError as error:
                raise refuse_damaged(self.file, error, kind.remedy) from error
        return runtimes.ThreadedNetwork(_onnxruntime_function(self.file, kind), shape, threads)

    def _decode(self, answers: Answers, box: Letterbox) -> Floats:
        nms_iou = float(self.settings["nms_iou"])
        selection = inference.Selection(
            float(self.settings["min_score"]), None if nms_iou == 1 else nms_iou
        )
        boxes, scores = self.kind.decode(answers, box, self.ports)
        return inference.select_boxes(boxes, scores, box, selection)


def _round_up(side: float) -> int:
    return max(-(-round(side) // _STEP), 1) * _STEP


def _onnxruntime_function(
    file: WeightsFile, kind: OnnxKind
) -> Callable[[runtimes.Pixels], Answers]:
    session = open_session(file, kind.remedy)
    name = session.get_inputs()[0].name
    mean = np.array(kind.mean or 0, dtype=np.float32)
    scale = np.array(kind.scale or 1, dtype=np.float32)

    def run(pixels: runtimes.Pixels) -> Answers:
        pixels = pixels[..., ::-1] if kind.rgb else pixels
        batch = (pixels.astype(np.float32) - mean) / scale
        return tuple(session.run(None, {name: np.ascontiguousarray(batch.transpose(0, 3, 1, 2))}))

    return run
