"""Purity and recall of whole builds (detect, link, crop) of the two real videos with ground truth.

    python tests/bench/bench_quality.py [--data ../shared/data]

For each video: the score of the finished dataset, the mean IoU with the truth of raw and of refined
boxes (the same rows, matched by the raw boxes at IoU 0.3 or more), and how many refined boxes hold
less than half of their person although the raw box held more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import print_table, write_result

from lpw_toolkit import boxes as geometry
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.mot_text import BoxRows, read_boxes
from lpw_toolkit.dataset.schema import DETECTIONS
from lpw_toolkit.dataset.tables import boxes_of, read_table, to_numpy
from lpw_toolkit.truth.cleanup_cost import CleanupCosts, match_people
from lpw_toolkit.truth.score import read_tracks, score_against

VIDEOS = {
    "PETS09-S2L1": "pets09-s2l1/vtest.avi",
    "TUD-Stadtmitte": "tud-stadtmitte/TUD-Stadtmitte.mp4",
}


def find_raw(refined: BoxRows, detections_file: Path) -> np.ndarray:
    """The raw box (N, 4) behind each refined one: that of its frame with the largest overlap."""
    table = read_table(detections_file, DETECTIONS)
    frame_index, boxes = to_numpy(table, "frame_index"), boxes_of(table)
    raw = np.zeros_like(refined.boxes)
    for row, frame in enumerate(refined.frame_index):
        mine = boxes[frame_index == frame]
        raw[row] = mine[geometry.iou(refined.boxes[row : row + 1], mine)[0].argmax()]
    return raw


def compare_boxes(refined: BoxRows, raw: np.ndarray, truth: BoxRows) -> dict[str, float]:
    """Mean IoU with the truth of raw and refined boxes, and the persons that refining clipped to
    less than half."""
    matched = match_people(BoxRows(refined.frame_index, refined.track, raw, refined.flag), truth)
    rows = np.flatnonzero(matched >= 0)
    person = truth.boxes[matched[rows]]

    def held(boxes: np.ndarray) -> np.ndarray:
        low, high = np.maximum(boxes[:, :2], person[:, :2]), np.minimum(boxes[:, 2:], person[:, 2:])
        return np.clip(high - low, 0, None).prod(axis=1) / geometry.area(person)

    less, before = held(refined.boxes[rows]) < 0.5, held(raw[rows])
    return {
        "n_boxes": len(rows),
        "iou_raw": float(geometry.iou_pairs(raw[rows], person).mean()),
        "iou_refined": float(geometry.iou_pairs(refined.boxes[rows], person).mean()),
        "n_below_half": int(less.sum()),
        "n_below_half_raw": int((before < 0.5).sum()),
        "n_clipped_by_refining": int((less & (before >= 0.5)).sum()),
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data"
    )
    data = parser.parse_args().data
    weights = data / "weights" / "yolov8n_coco_dequantized.pt"
    result, rows = {}, []
    for sequence, video in VIDEOS.items():
        truth_file = data / "mot15" / sequence / "gt" / "gt.txt"
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "dataset"
            command = [
                "build-tracklets",
                str(data / "video" / video),
                "--out",
                str(out),
                "--weights",
                str(weights),
            ]
            options = ["--precision", "float32", "--no-cache", "--json"]
            subprocess.run(
                [sys.executable, "-m", "lpw_cli", *command, *options],
                check=True,
                capture_output=True,
            )
            score = score_against(out, truth_file, prices=CleanupCosts())["all"]
            stem = Path(video).stem
            refined = read_tracks(open_dataset(out))[stem]
            raw = find_raw(refined, out / "detections" / f"{stem}.parquet")
            result[sequence] = {**score, **compare_boxes(refined, raw, read_boxes(truth_file))}
        rows.append(
            [
                sequence,
                *(
                    round(value, 4) if value is not None else "-"
                    for value in result[sequence].values()
                ),
            ]
        )
    print_table([["sequence", *result[sequence]], *rows])
    print(f"written: {write_result('quality', {'videos': json.loads(json.dumps(result))})}")


if __name__ == "__main__":
    main()
