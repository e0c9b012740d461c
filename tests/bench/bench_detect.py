"""The detector alone against ultralytics' predictor: frames per second, processor time, recall and
precision.

    python tests/bench/bench_detect.py [--data ../shared/data] [--rounds 6] [--step 4]

Every `--step`-th frame of frames 6-795 of vtest.avi, already decoded, is dealt out to the rounds;
in each round every variant detects the same frames, and its rate is divided by the predictor's of
that round. The medians are given. The machine may be shared, so processor time per frame stands
beside the rates: on a machine of its own, frames per second come near to the number of processors
over that time. Recall and precision are those of boxes at IoU 0.5 against the ground truth; "frames
that differ" counts frames whose number of boxes is not the predictor's.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from machine import print_table, write_result
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lpw_toolkit import boxes as geometry
from lpw_toolkit.dataset.mot_text import BoxRows, read_boxes
from lpw_toolkit.detection.detector import DetectorOptions, open_detector

PEER = "ultralytics predictor"
VARIANTS = {
    "torch float32": ("torch", "float32"),
    "torch bfloat16": ("torch", "bfloat16"),
    "openvino float32": ("openvino", "float32"),
    "openvino bfloat16": ("openvino", "bfloat16"),
}
Found = dict[int, NDArray[np.float32]]


@dataclass(frozen=True)
class Picture:
    index: int
    image: NDArray[np.uint8]
    width: int
    height: int
    duplicate: bool = False


@dataclass(frozen=True)
class Video:
    video_id: str = "vtest"
    relative: str = "vtest.avi"


@dataclass
class Runner:
    """One variant: how it detects a list of pictures, and what was measured."""

    run: Callable[[list[Picture]], Iterator[tuple[int, NDArray[np.float32]]]]
    startup_s: float = 0.0
    fps: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    found: Found = field(default_factory=dict)

    def measure(self, pictures: list[Picture]) -> None:
        used, began = _cpu_s(), time.perf_counter()
        self.found.update(self.run(pictures))
        self.fps.append(len(pictures) / (time.perf_counter() - began))
        self.cpu_ms.append((_cpu_s() - used) * 1000 / len(pictures))


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def read_pictures(video: Path, step: int) -> list[Picture]:
    """Every `step`-th of frames 6-795, of which frame 1 is the first."""
    capture, pictures = cv2.VideoCapture(str(video)), []
    for index in range(795):
        image = capture.read()[1]
        if index >= 5 and (index - 5) % step == 0:
            pictures.append(Picture(index, image, image.shape[1], image.shape[0]))
    return pictures


def open_ours(weights: Path, runtime: str, precision: str, first: list[Picture]) -> Runner:
    import torch

    detector = open_detector(
        "ultralytics", DetectorOptions(weights=str(weights), runtime=runtime, precision=precision)
    )

    def run(pictures: list[Picture]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        torch.set_num_threads(1)  # the predictor has set its own number
        return detector.detect(pictures, Video())

    list(run(first))
    return Runner(run, detector.startup_s)


def open_peer(weights: Path, first: list[Picture]) -> Runner:
    """The predictor, one picture at a time as `track(stream=True)` does, with the threads it gives
    itself."""
    began = time.perf_counter()
    import torch
    from ultralytics import YOLO
    from ultralytics.utils import NUM_THREADS

    model = YOLO(str(weights))

    def run(pictures: list[Picture]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        torch.set_num_threads(NUM_THREADS)
        for picture in pictures:
            boxes = model.predict(picture.image, classes=[0], conf=0.25, iou=0.7, verbose=False)[
                0
            ].boxes
            yield (
                picture.index,
                np.concatenate([boxes.xyxy.numpy(), boxes.conf.numpy()[:, None]], axis=1),
            )

    list(run(first))
    return Runner(run, time.perf_counter() - began)


def score_boxes(found: Found, truth: BoxRows) -> tuple[float, float]:
    """Recall and precision of boxes at IoU 0.5, optimally matched frame by frame."""
    hits = n_truth = n_found = 0
    for index, boxes in found.items():
        real = truth.boxes[(truth.frame_index == index) & (truth.flag != 0)]
        good = geometry.iou(real, boxes[:, :4].astype(np.float64)) >= 0.5
        hits += int(good[linear_sum_assignment(good, maximize=True)].sum())
        n_truth, n_found = n_truth + len(real), n_found + len(boxes)
    return hits / n_truth, hits / n_found


def summarise(name: str, runner: Runner, peer: Runner, truth: BoxRows) -> dict[str, Any]:
    recall, precision = score_boxes(runner.found, truth)
    differ = sum(len(runner.found[i]) != len(peer.found[i]) for i in peer.found)
    ratios = [ours / theirs for ours, theirs in zip(runner.fps, peer.fps, strict=True)]
    return {
        "variant": name,
        "frames_per_s": round(statistics.median(runner.fps), 1),
        "ratio_to_peer": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "cpu_ms_per_frame": round(statistics.median(runner.cpu_ms), 1),
        "startup_s": round(runner.startup_s, 1),
        "recall": round(recall, 4),
        "precision": round(precision, 4),
        "frames_that_differ": differ,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--step", type=int, default=4)
    options = parser.parse_args()
    weights = options.data / "weights/yolov8n_coco_dequantized.pt"
    pictures = read_pictures(options.data / "video/pets09-s2l1/vtest.avi", options.step)
    truth = read_boxes(options.data / "mot15/PETS09-S2L1/gt/gt.txt")
    runners = {name: open_ours(weights, *chosen, pictures[:4]) for name, chosen in VARIANTS.items()}
    runners[PEER] = open_peer(weights, pictures[:4])
    for number in range(options.rounds):
        for runner in runners.values():
            runner.measure(pictures[number :: options.rounds])
    rows = [summarise(name, runner, runners[PEER], truth) for name, runner in runners.items()]
    print_table([list(rows[0]), *(list(row.values()) for row in rows)])
    write_result("detect", {"frames": len(pictures), "rounds": options.rounds, "variants": rows})


if __name__ == "__main__":
    main()
