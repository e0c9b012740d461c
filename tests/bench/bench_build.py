"""Video to dataset against `ultralytics track(stream=True, classes=[0], save_crop=True)`.

    python tests/bench/bench_build.py [--data ../shared/data] [--rounds 3]

The peer runs twice: with the weights as they are, and with ultralytics' own OpenVINO export of them
(input 640 x 480, the shape that the weights get here too; OpenVINO chooses the precision). All do
the whole of vtest.avi at conf 0.25, NMS IoU 0.7 and the default image size; the peers are timed
from their sixth frame on, ours from the first, both without start-up and conversion, which stand
apart. Runs alternate; ratios are taken pair by pair and the median is given. Recall is that of raw
boxes at IoU 0.5 against the ground truth.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import print_table, write_result

from lpw_toolkit import boxes as geometry
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.mot_text import read_boxes
from lpw_toolkit.dataset.schema import DETECTIONS, TIMELINE
from lpw_toolkit.dataset.tables import boxes_of, read_table, to_numpy

PEER = """
import json, sys, time
import numpy as np
from ultralytics import YOLO
video, weights, out = sys.argv[1:4]
start = time.perf_counter()
model = YOLO(weights, task="detect")
stream = model.track(
    video, stream=True, classes=[0], save_crop=True, conf=.25, iou=.7, verbose=False, project=out
)
rows, times = [], []
for i, result in enumerate(stream):
    times.append(time.perf_counter())
    rows += [[i, *box] for box in result.boxes.xyxy.tolist()]
np.save(out + "/boxes.npy", np.array(rows))
fps = (len(times) - 6) / (times[-1] - times[5])
print(json.dumps({"fps": fps, "startup_s": times[0] - start, "n": len(times)}))
"""
PEER_RAW = """
import sys
import numpy as np
from ultralytics import YOLO
video, weights, out = sys.argv[1:4]
model = YOLO(weights, task="detect")
stream = model.predict(video, stream=True, classes=[0], conf=.25, iou=.7, verbose=False)
boxes = [[i, *box] for i, r in enumerate(stream) for box in r.boxes.xyxy.tolist()]
np.save(out + "/raw.npy", np.array(boxes))
"""
EXPORT = """
import sys
from ultralytics import YOLO
YOLO(sys.argv[1]).export(format="openvino", imgsz=(480, 640), verbose=False)
"""
SAFE = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "ULTRALYTICS_SAFE_LOAD": "true"}


def run_python(*arguments: object) -> str:
    """Standard output of a Python process."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **SAFE}, check=True, capture_output=True, text=True
    ).stdout


def run_peer(video: Path, weights: Path, folder: Path) -> dict[str, float]:
    """One run of the peer."""
    (folder / "peer").mkdir(exist_ok=True)
    return json.loads(run_python("-c", PEER, video, weights, folder / "peer").splitlines()[-1])


def run_ours(video: Path, weights: Path, out: Path, precision: str) -> dict[str, float]:
    """One run of `lpw build-tracklets`."""
    options = ["--weights", weights, "--precision", precision, "--no-cache", "--json"]
    facts = json.loads(
        run_python("-m", "lpw_cli", "build-tracklets", video, "--out", out, *options).splitlines()[
            -1
        ]
    )
    timeline = read_table(out / "timeline" / "vtest.parquet", TIMELINE)
    seconds = facts["seconds"]
    return {
        "fps": timeline.num_rows / seconds["total"],
        "startup_s": seconds["startup"],
        "seconds": seconds,
    }


def measure_recall(frame_index: np.ndarray, boxes: np.ndarray, truth_file: Path) -> float:
    """Share of counted ground-truth boxes that have a box at IoU 0.5 or more."""
    truth = read_boxes(truth_file)
    counted = truth.flag != 0
    hits = 0
    for frame in np.unique(truth.frame_index[counted]):
        overlap = geometry.iou(
            truth.boxes[counted & (truth.frame_index == frame)], boxes[frame_index == frame]
        )
        hits += int((overlap.max(axis=1, initial=0) >= 0.5).sum())
    return hits / int(counted.sum())


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data"
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    video = arguments.data / "video" / "pets09-s2l1" / "vtest.avi"
    weights = arguments.data / "weights" / "yolov8n_coco_dequantized.pt"
    truth = arguments.data / "mot15" / "PETS09-S2L1" / "gt" / "gt.txt"
    runs: dict[str, list[dict[str, float]]] = {
        "peer": [],
        "peer_openvino": [],
        "float32": [],
        "auto": [],
    }
    recall = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy = Path(shutil.copy(weights, folder / "yolov8n.pt"))
        run_python("-c", EXPORT, copy)
        peers = {"peer": weights, "peer_openvino": folder / "yolov8n_openvino_model"}
        for k in range(arguments.rounds):
            for name, model in peers.items():
                runs[name].append(run_peer(video, model, folder))
            for precision in ("float32", "auto"):
                out = folder / f"{precision}{k}"
                runs[precision].append(run_ours(video, weights, out, precision))
                table = read_table(out / "detections" / "vtest.parquet", DETECTIONS)
                recall[precision] = measure_recall(
                    to_numpy(table, "frame_index"), boxes_of(table), truth
                )
                chosen = open_dataset(out).manifest["settings"]["detect"]
        for name, model in peers.items():
            run_python("-c", PEER_RAW, video, model, folder)
            raw = np.load(folder / "raw.npy")
            recall[name] = measure_recall(raw[:, 0].astype(int), raw[:, 1:], truth)
    rows: list[list[object]] = [["run", "frames/s", "ratio", "start-up s", "recall@0.5"]]
    result = {}
    for kind, each in runs.items():
        ratios = [run["fps"] / peer["fps"] for run, peer in zip(each, runs["peer"], strict=True)]
        fps, ratio = statistics.median(run["fps"] for run in each), statistics.median(ratios)
        startup = statistics.median(run["startup_s"] for run in each)
        rows.append(
            [kind, round(fps, 1), round(ratio, 2), round(startup, 1), round(recall[kind], 4)]
        )
        result[kind] = {
            "fps": fps,
            "ratio": ratio,
            "ratios": ratios,
            "startup_s": startup,
            "recall": recall[kind],
        }
        result[kind]["seconds"] = each[-1].get("seconds")
    print_table(rows)
    picked = {
        key: chosen[key]
        for key in ("runtime", "runtime_version", "precision", "batch_size", "threads")
    }
    print(
        f"auto: {picked}; written: {write_result('build', {'auto_picked': picked, 'runs': result})}"
    )


if __name__ == "__main__":
    main()
