"""COCO JSON: every source frame as an image, a box per crop, `track_id` on every box, videos as in
TAO."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.dataset.video_boxes import Sequence, iter_sequences
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.exports.form import Exported, ExportOptions
from lpw_toolkit.files import writing
from lpw_toolkit.names import json_text

TITLE = "COCO JSON with track numbers"
OPTIONS: tuple[str, ...] = ()
_LOSSES = [
    "images: the file names are those that `ffmpeg -i VIDEO %06d.jpg` makes",
    "times, kinds, splits and cameras",
]


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Writes OUT/annotations.json: COCO with every source frame as an image and `track_id` on every
    box.

    Images are named `<video>/<frame from 1, six digits>.jpg`: the dataset has no frames, `ffmpeg -i
    VIDEO %06d.jpg` makes them. Frames without a box are listed too. Videos are listed as in TAO.

    Errors: LpwError when OUT is not empty, or boxes or timelines are missing.
    """
    sequences = list(iter_sequences(dataset))
    people = dataset.tracklets["person_id"].to_pylist()
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video, sequence in enumerate(sequences, start=1):
        first = len(images) + 1
        images += _coco_images(sequence, video, first)
        rows = _coco_boxes(
            sequence,
            {row["frame_index"]: row["id"] for row in images[first - 1 :]},
            len(annotations),
        )
        annotations += [
            {
                **row,
                "tracklet_id": ids[row["track_id"] - 1],
                "person_id": people[row["track_id"] - 1],
            }
            for row in rows
        ]
    content = {
        "info": {"description": dataset.name, "version": str(dataset.manifest.get("digest", ""))},
        "licenses": [],
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
        "videos": [{"id": i, "name": s.video_id} for i, s in enumerate(sequences, start=1)],
        "images": images,
        "annotations": annotations,
    }
    with publish_folder(out) as folder:
        writing.write_file(folder / "annotations.json", json_text(content).encode())
    return Exported(out, _LOSSES)


def _coco_images(sequence: Sequence, video: int, first: int) -> list[dict[str, Any]]:
    if sequence.timeline is None:
        do = "export MOT text instead (--to mot)"
        raise LpwError(sequence.video_id, "no timeline", "the size of every source frame", do)
    rows = sequence.timeline.select(["frame_index", "width", "height"]).to_pylist()
    return [
        {
            "id": first + i,
            "file_name": f"{sequence.name}/{row['frame_index'] + 1:06d}.jpg",
            "width": row["width"],
            "height": row["height"],
            "video_id": video,
            "frame_index": row["frame_index"],
        }
        for i, row in enumerate(rows)
    ]


def _coco_boxes(
    sequence: Sequence, image_of: dict[int, int], n_before: int
) -> Iterator[dict[str, Any]]:
    size = sequence.boxes[:, 2:] - sequence.boxes[:, :2]
    bbox = np.round(np.concatenate([sequence.boxes[:, :2], size], axis=1), 3).tolist()
    columns = zip(
        sequence.frame_index.tolist(),
        sequence.tracklet.tolist(),
        bbox,
        np.round(sequence.score, 6).tolist(),
        strict=True,
    )
    for i, (frame, tracklet, box, score) in enumerate(columns, start=n_before + 1):
        if frame not in image_of:
            thing = f"{sequence.video_id}, frame {frame}"
            raise MismatchError(
                thing,
                "a box in a frame that the timeline lacks",
                "tables that agree",
                "run `lpw check`",
            )
        row = {
            "id": i,
            "image_id": image_of[frame],
            "category_id": 1,
            "bbox": box,
            "area": round(box[2] * box[3], 3),
        }
        yield {**row, "iscrowd": 0, "track_id": tracklet + 1, "score": score}
