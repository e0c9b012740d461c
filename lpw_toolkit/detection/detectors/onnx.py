"""YOLOX-style ONNX models with a permissive licence, run by onnxruntime or, where installed, the
faster OpenVINO.

A model takes (N, 3, H, W) BGR 0-255, the frame in the top left corner, and gives (N, A, 5 +
classes) for the A cells of strides 8, 16 and 32: `x y` from the cell and `log w log h` in cells,
objectness, class scores; class 0 is the person.
Source: Megvii-BaseDetection/YOLOX:yolox/utils/demo_utils.py (`demo_postprocess`).
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection import inference
from lpw_toolkit.detection.detector import DetectorOptions, Setting
from lpw_toolkit.detection.letterbox import Letterbox, fit_corner
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.onnx_model import (
    Shape,
    open_session,
    read_openvino,
    read_shapes,
    refuse_harmful,
    refuse_large,
    run_once,
    tell_shapes,
)
from lpw_toolkit.networks.weights import WeightsFile, WeightsKind, find_weights, read_weights

SUFFIXES = (".onnx",)
READS = "YOLOX models exported to ONNX"
WEIGHTS = WeightsKind(
    suffix=".onnx",
    pattern=r"yolox[\w.-]*\.onnx",
)
RUNTIMES = ("auto", "onnxruntime", "openvino")
STRIDES = (8, 16, 32)
_SMALL = 64, 64  # height and width that a model is tried with, which leaves them open
_DO = "choose a YOLOX model exported to ONNX"


def open_detector(options: DetectorOptions) -> "YoloxDetector":
    """A YOLOX model, read and checked; it is compiled when the first frame gives its size.

    Errors: LpwError for missing weights or packages, damaged files, external data, or a model of
    another kind.
    """
    began = time.perf_counter()
    path, note = find_weights(options.weights, WEIGHTS)
    file = read_weights(path)
    runtime = runtimes.choose_runtime(
        options.runtime, RUNTIMES, preferred="openvino", fallback="onnxruntime"
    )
    precision, reason = runtimes.choose_precision(options.precision, runtime)
    refuse_harmful(file, runtime, _DO, _SMALL)
    inputs, outputs = read_shapes(file, runtime, _DO)
    _check_shapes(path, inputs, outputs)
    refuse_large(file, inputs[0], _DO)
    threads = runtimes.count_threads(options.threads)
    batch, _, height, width = inputs[0]
    long_side = -(-options.image_size // max(STRIDES)) * max(STRIDES)
    settings: dict[str, Setting] = {
        "name": "onnx",
        "weights": path.name,
        "weights_sha256": file.sha256,
        "runtime": runtime,
        "runtime_version": runtimes.package_version(runtime),
        "precision": precision,
        "image_size": long_side if height is None or width is None else max(height, width),
        "batch_size": batch or options.batch_size or 1,
        "min_score": inference.MIN_SCORE if options.min_score is None else options.min_score,
        "nms_iou": inference.NMS_IOU if options.nms_iou is None else options.nms_iou,
        "threads": threads,
    }
    notes = [note, f"precision {precision} ({reason}), runtime {runtime}, {threads} threads"]
    if height is not None and width is not None and max(height, width) != options.image_size:
        notes.append(f"image size {width}x{height}, as the model has it")
    return YoloxDetector(file, settings, (height, width), notes, time.perf_counter() - began)


class YoloxDetector(inference.NetworkDetector):
    """Persons found by a YOLOX model."""

    def __init__(
        self,
        file: WeightsFile,
        settings: dict[str, Setting],
        fixed_size: tuple[int | None, int | None],
        notes: list[str],
        startup_s: float,
    ) -> None:
        super().__init__(settings, notes, startup_s, "onnx")
        self.file, self.fixed_size = file, fixed_size

    def open_stage(self, width: int, height: int) -> inference.Stage:
        """The model at the input size of this frame size. Errors: LpwError for a model that is no
        YOLOX."""
        box = self._fit(width, height)
        network = self._compile(box)
        n_cells = sum((box.height // stride) * (box.width // stride) for stride in STRIDES)
        _check_answer(self.file, network, n_cells)
        return inference.Stage(
            (box,), network, partial(self._decode, lay_grid(box.width, box.height))
        )

    def _fit(self, width: int, height: int) -> Letterbox:
        input_height, input_width = self.fixed_size
        long_side, largest = int(self.settings["image_size"]), max(width, height)
        if input_height is None:
            input_height = _round_up(height * long_side / largest)
        if input_width is None:
            input_width = _round_up(width * long_side / largest)
        return fit_corner(width, height, input_width, input_height)

    def _compile(self, box: Letterbox) -> runtimes.Network:
        shape = int(self.settings["batch_size"]), box.height, box.width
        threads = int(self.settings["threads"])
        if self.settings["runtime"] == "openvino":
            model = read_openvino(self.file, _DO)
            model.reshape([shape[0], 3, box.height, box.width])
            model = runtimes.feed_pixels(model)
            return runtimes.OpenVinoNetwork(model, str(self.settings["precision"]), threads)
        return runtimes.ThreadedNetwork(_onnxruntime_function(self.file), shape, threads)

    def _decode(
        self, grid: NDArray[np.float32], answers: runtimes.Answers, box: Letterbox
    ) -> NDArray[np.float32]:
        selection = inference.Selection(
            float(self.settings["min_score"]), float(self.settings["nms_iou"])
        )
        return inference.select_boxes(*decode_cells(answers[0], grid), box, selection)


def lay_grid(width: int, height: int) -> NDArray[np.float32]:
    """The cells (A, 3) of an input of `width` x `height`: column, row and stride in pixels, finest
    stride first."""
    levels = []
    for stride in STRIDES:
        rows, columns = np.meshgrid(
            np.arange(height // stride), np.arange(width // stride), indexing="ij"
        )
        levels.append(np.stack([columns.ravel(), rows.ravel(), np.full(rows.size, stride)], axis=1))
    return np.concatenate(levels).astype(np.float32)


def decode_cells(
    answer: NDArray[np.float32], grid: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (A, 4) in pixels of the input and person scores (A,); 0 where another class scores
    higher."""
    stride = grid[:, 2:]
    centre = (answer[:, :2] + grid[:, :2]) * stride
    half = np.exp(np.minimum(answer[:, 2:4], 20.0)) * stride / 2  # e^20 cells are beyond any frame
    person = answer[:, 5]
    scores = answer[:, 4] * np.where(person >= answer[:, 5:].max(axis=1), person, np.float32(0))
    return np.concatenate([centre - half, centre + half], axis=1), scores


def _round_up(side: float) -> int:
    return max(-(-round(side) // max(STRIDES)), 1) * max(STRIDES)


def _onnxruntime_function(file: WeightsFile) -> Callable[[NDArray[np.uint8]], runtimes.Answers]:
    session = open_session(file, _DO)
    name = session.get_inputs()[0].name

    def run(pixels: NDArray[np.uint8]) -> runtimes.Answers:
        batch = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
        return (session.run(None, {name: batch})[0],)

    return run


def _check_shapes(path: Path, inputs: list[Shape], outputs: list[Shape]) -> None:
    good = len(inputs) == 1 and len(inputs[0]) == 4 and inputs[0][1] in (3, None)
    good = good and len(outputs) == 1 and len(outputs[0]) == 3 and (outputs[0][2] or 6) >= 6
    if good:
        height, width = inputs[0][2:]
        if height and width and outputs[0][1]:
            good = outputs[0][1] == sum((height // s) * (width // s) for s in STRIDES)
    if not good:
        got = f"inputs {tell_shapes(inputs)}, outputs {tell_shapes(outputs)}"
        raise LpwError(
            path, got, "input Nx3xHxW, output NxAx(5 + classes) with strides 8, 16, 32", _DO
        )


def _check_answer(file: WeightsFile, network: runtimes.Network, n_cells: int) -> None:
    answers = run_once(file, network, 114, _DO)
    if answers.ndim != 3 or answers.shape[1] != n_cells or answers.shape[2] < 6:
        expected = f"Nx{n_cells}x(5 + classes) with strides 8, 16, 32"
        raise LpwError(file.path, f"an answer of {tell_shapes([answers.shape])}", expected, _DO)
    if not np.isfinite(answers).all():
        raise LpwError(
            file.path, "NaN or infinite answers", "finite weights", "fetch or train them again"
        )
