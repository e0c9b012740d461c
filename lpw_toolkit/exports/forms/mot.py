"""MOT text in the folder layout of TrackEval's `MotChallenge2DBox`: results, or ground truth."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset import mot_text
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.dataset.video_boxes import Sequence, iter_sequences, safe_name
from lpw_toolkit.errors import LpwError
from lpw_toolkit.exports.form import Exported, ExportOptions, Role
from lpw_toolkit.files import writing
from lpw_toolkit.names import format_csv

TITLE = "MOT text in TrackEval's layout"
OPTIONS = ("role",)
MOT_SPLIT = "all"
MOT_TRACKER = "lpw"
_LOSSES = [
    "images, scenes and splits: MOT text holds boxes only",
    "tracklets and persons: tracks.csv names them",
]


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Writes the boxes as MOT text in the folder layout of TrackEval's `MotChallenge2DBox`; frames
    count from 1.

    As `results`: OUT/trackers/<name>-all/lpw/data/<sequence>.txt, one track number per tracklet. As
    `truth`: OUT/gt/<name>-all/<sequence>/{gt/gt.txt,seqinfo.ini} and OUT/gt/seqmaps/<name>-all.txt;
    tracklets of one person share a number, junk is marked as not counting. OUT/tracks.csv names the
    tracklet of every number. Evaluate with BENCHMARK=<name>, SPLIT_TO_EVAL=all,
    TRACKERS_TO_EVAL=[lpw].

    Errors: LpwError when OUT is not empty, boxes are missing, or (truth) one person has two boxes
    in one frame.
    Source: JonathonLuiten/TrackEval:trackeval/datasets/mot_challenge_2d_box.py.
    """
    role: Role = options.role or "results"
    sequences = list(iter_sequences(dataset))
    benchmark = f"{safe_name(dataset.name)}-{MOT_SPLIT}"
    with publish_folder(out) as folder:
        rows: list[list[object]] = [["sequence", "track", "tracklet_id", "person_id"]]
        for sequence in sequences:
            numbers = _number_tracks(dataset, sequence, role)
            if role == "truth":
                _write_truth(folder / "gt" / benchmark / sequence.name, sequence, dataset, numbers)
            else:
                _write_results(
                    folder / "trackers" / benchmark / MOT_TRACKER / "data", sequence, numbers
                )
            rows += _name_tracks(dataset, sequence, numbers)
        if role == "truth":
            names = "\n".join(["name", *(sequence.name for sequence in sequences)])
            writing.make_folder(folder / "gt" / "seqmaps")
            writing.write_file(
                folder / "gt" / "seqmaps" / f"{benchmark}.txt", f"{names}\n".encode()
            )
        writing.write_file(folder / "tracks.csv", format_csv(rows).encode())
    return Exported(out, _LOSSES)


def _number_tracks(dataset: Dataset, sequence: Sequence, role: Role) -> NDArray[np.int32]:
    """Track numbers (N,) from 0: by tracklet, or for ground truth by person where the person is
    known."""
    keys = sequence.tracklet
    if role == "truth":
        people = dataset.tracklets["person_id"].to_pylist()
        first: dict[str, int] = {}
        keys = np.array(
            [
                row if people[row] is None else first.setdefault(people[row], row)
                for row in keys.tolist()
            ]
        )
        _refuse_doubles(dataset, sequence, keys)
    return np.unique(keys, return_inverse=True)[1].astype(np.int32)


def _refuse_doubles(dataset: Dataset, sequence: Sequence, keys: NDArray[np.int64]) -> None:
    order = np.lexsort((keys, sequence.frame_index))
    same = (np.diff(keys[order]) == 0) & (np.diff(sequence.frame_index[order]) == 0)
    if same.any():
        row = int(order[int(np.argmax(same))])
        person = (
            dataset.tracklets["person_id"][int(keys[row])].as_py()
            or dataset.tracklets["tracklet_id"][int(keys[row])]
        )
        thing = f"{sequence.video_id}, frame {sequence.frame_index[row]}"
        raise LpwError(
            thing,
            f"two boxes of {person}",
            "one box of a person in a frame",
            "correct the identities",
        )


def _write_results(folder: Path, sequence: Sequence, numbers: NDArray[np.int32]) -> None:
    writing.make_folder(folder)
    table = mot_text.make_detections(
        sequence.frame_index, sequence.boxes, sequence.score, video_id=sequence.video_id
    )
    mot_text.write_tracks(folder / f"{sequence.name}.txt", table, numbers)


def _write_truth(
    folder: Path, sequence: Sequence, dataset: Dataset, numbers: NDArray[np.int32]
) -> None:
    junk = pc.equal(dataset.tracklets["kind"], "junk").to_numpy(zero_copy_only=False)
    size = sequence.boxes[:, 2:] - sequence.boxes[:, :2]
    counts = (~junk[sequence.tracklet]).astype(int)
    rows = zip(
        sequence.frame_index + 1, numbers + 1, sequence.boxes[:, :2], size, counts, strict=True
    )
    text = [
        f"{f},{n},{x:.3f},{y:.3f},{w:.3f},{h:.3f},{flag},1,1\n"
        for f, n, (x, y), (w, h), flag in rows
    ]
    writing.make_folder(folder / "gt")
    writing.write_file(folder / "gt" / "gt.txt", "".join(text).encode())
    writing.write_file(folder / "seqinfo.ini", _format_seqinfo(sequence).encode())


def _format_seqinfo(sequence: Sequence) -> str:
    fields: dict[str, object] = {
        "name": sequence.name,
        "imDir": "img1",
        "seqLength": sequence.n_frames,
        "imExt": ".jpg",
    }
    if sequence.timeline is not None:
        times = to_numpy(sequence.timeline, "pts_s")
        steps = np.diff(times[np.isfinite(times)])
        fields |= (
            {"frameRate": f"{1 / np.median(steps):g}"}
            if len(steps) and np.median(steps) > 0
            else {}
        )
        fields |= {
            "imWidth": pc.max(sequence.timeline["width"]),
            "imHeight": pc.max(sequence.timeline["height"]),
        }
    return "[Sequence]\n" + "".join(f"{key}={value}\n" for key, value in fields.items())


def _name_tracks(
    dataset: Dataset, sequence: Sequence, numbers: NDArray[np.int32]
) -> list[list[object]]:
    """Rows of tracks.csv for one video: one per tracklet."""
    rows, first = np.unique(sequence.tracklet, return_index=True)
    tracklets = (
        dataset.tracklets.take(pa.array(rows)).select(["tracklet_id", "person_id"]).to_pylist()
    )
    named = zip(numbers[first].tolist(), tracklets, strict=True)
    return [
        [sequence.name, number + 1, row["tracklet_id"], row["person_id"] or ""]
        for number, row in named
    ]
