"""A dataset in the forms of other tools: MOT text for TrackEval, COCO JSON with track numbers, a plain image tree."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit import mot, publish
from lpw_toolkit.check.header import KIND_OF_SUFFIX
from lpw_toolkit.dataset import Dataset, is_inner_path, iter_tables
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.folders import publish_folder
from lpw_toolkit.progress import show_progress
from lpw_toolkit.schema import TIMELINE
from lpw_toolkit.tables import boxes_of, read_table, run_starts, to_numpy

Role = Literal["results", "truth"]
MOT_SPLIT = "all"
MOT_TRACKER = "lpw"
_N_THREADS = 2


@dataclass(frozen=True)
class Sequence:
    """The boxes of one video, sorted by (frame, tracklet).

    Attributes:
        video_id: as the tables have it.
        name: a file name for it, unique in the export.
        frame_index: (N,) 0-based.
        tracklet: (N,) row of the box's tracklet in the table of tracklets.
        boxes: (N, 4) `x1 y1 x2 y2`, source pixels, half-open.
        score: (N,) in [0, 1]; 1 where the dataset has none.
        timeline: the frames of the video (schema.TIMELINE), None where the dataset does not know them.
    """

    video_id: str
    name: str
    frame_index: NDArray[np.int32]
    tracklet: NDArray[np.int64]
    boxes: NDArray[np.float64]
    score: NDArray[np.float64]
    timeline: pa.Table | None

    @cached_property
    def n_frames(self) -> int:
        """Number of frames of the video, as far as it is known: at least up to the last box."""
        last = -1 if self.timeline is None else int(pc.max(self.timeline["frame_index"]).as_py())
        return max(last, int(self.frame_index.max())) + 1


def export_mot(dataset: Dataset, out: Path, *, role: Role = "results") -> Path:
    """Writes the boxes as MOT text in the folder layout of TrackEval's `MotChallenge2DBox`; frames count from 1.

    As `results`: OUT/trackers/<name>-all/lpw/data/<sequence>.txt, one track number per tracklet. As `truth`:
    OUT/gt/<name>-all/<sequence>/{gt/gt.txt,seqinfo.ini} and OUT/gt/seqmaps/<name>-all.txt; tracklets of one person
    share a number, junk is marked as not counting. OUT/tracks.csv names the tracklet of every number.
    Evaluate with BENCHMARK=<name>, SPLIT_TO_EVAL=all, TRACKERS_TO_EVAL=[lpw].

    Returns: `out`.
    Errors: LpwError when OUT is not empty, boxes are missing, or (truth) one person has two boxes in one frame.
    Source: JonathonLuiten/TrackEval:trackeval/datasets/mot_challenge_2d_box.py.
    """
    sequences = list(iter_sequences(dataset))
    benchmark = f"{safe_name(dataset.name)}-{MOT_SPLIT}"
    with publish_folder(out) as folder:
        lines = ["sequence,track,tracklet_id,person_id"]
        for sequence in sequences:
            numbers = _number_tracks(dataset, sequence, role)
            if role == "truth":
                _write_truth(folder / "gt" / benchmark / sequence.name, sequence, dataset, numbers)
            else:
                _write_results(folder / "trackers" / benchmark / MOT_TRACKER / "data", sequence, numbers)
            lines += _name_tracks(dataset, sequence, numbers)
        if role == "truth":
            names = "\n".join(["name", *(sequence.name for sequence in sequences)])
            publish.make_folder(folder / "gt" / "seqmaps")
            publish.write_file(folder / "gt" / "seqmaps" / f"{benchmark}.txt", f"{names}\n".encode())
        publish.write_file(folder / "tracks.csv", ("\n".join(lines) + "\n").encode())
    return out


def export_coco(dataset: Dataset, out: Path) -> Path:
    """Writes OUT/annotations.json: COCO with every source frame as an image and `track_id` on every box.

    Images are named `<video>/<frame from 1, six digits>.jpg`: the dataset has no frames, `ffmpeg -i VIDEO %06d.jpg`
    makes them. Frames without a box are listed too. Videos are listed as in TAO.

    Returns: `out`.
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
        rows = _coco_boxes(sequence, {row["frame_index"]: row["id"] for row in images[first - 1 :]}, len(annotations))
        annotations += [
            {**row, "tracklet_id": ids[row["track_id"] - 1], "person_id": people[row["track_id"] - 1]} for row in rows
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
        publish.write_file(folder / "annotations.json", json.dumps(content, ensure_ascii=False).encode())
    return out


def export_tree(dataset: Dataset, out: Path) -> Path:
    """Copies every image to OUT/<tracklet_id>/<n>.jpg (`scen1/view2/000001/7.jpg`), n from 1, hash verified.

    Returns: `out`.
    Errors: LpwError when OUT is not empty or an id is no path, CorruptCropError for an image that is not the index's;
    then nothing is left behind.
    """
    frames = dataset.frames
    starts = run_starts(frames["tracklet_id"])
    stops = np.append(starts[1:], frames.num_rows)[: len(starts)]
    folders = [_tree_folder(dataset, str(frames["tracklet_id"][int(row)])) for row in starts]
    with publish_folder(out) as top, show_progress("export", frames.num_rows, "images") as progress:

        def copy(place: tuple[str, int, int]) -> int:
            name, start, stop = place
            return _copy_tracklet(dataset, frames.slice(start, stop - start), top / name)

        with ThreadPoolExecutor(_N_THREADS) as pool:
            for n_images in pool.map(copy, zip(folders, starts.tolist(), stops.tolist(), strict=True)):
                progress.advance(n_images)
    return out


#: What `lpw export --to` knows: each takes the dataset and a new folder, and returns that folder.
EXPORTS: dict[str, Callable[..., Path]] = {"mot": export_mot, "coco": export_coco, "tree": export_tree}


def iter_sequences(dataset: Dataset) -> Iterator[Sequence]:
    """The boxes of each video that has tracklets, videos in order of their ids.

    Errors: LpwError naming the first tracklet without boxes (imported benchmarks have none).
    """
    frames, tracklets = dataset.frames, dataset.tracklets
    row_of = pc.index_in(frames["tracklet_id"], value_set=tracklets["tracklet_id"].combine_chunks())
    if row_of.null_count:
        raise MismatchError(dataset.root, "frames of an unknown tracklet", "tables that agree", "run `lpw check`")
    owner = row_of.to_numpy().astype(np.int64)
    _refuse_missing(frames, dataset)
    videos = np.array([v or c for v, c in zip(*_video_columns(tracklets), strict=True)], dtype=object)
    timelines = _read_timelines(dataset)
    names = name_files([str(v) for v in sorted(set(videos))])
    index, boxes = to_numpy(frames, "frame_index").astype(np.int32), boxes_of(frames)
    score = np.nan_to_num(to_numpy(frames, "score").astype(np.float64), nan=1.0)
    for video, name in names.items():
        rows = np.flatnonzero(videos[owner] == video)
        rows = rows[np.lexsort((owner[rows], index[rows]))]
        if len(rows):
            yield Sequence(video, name, index[rows], owner[rows], boxes[rows], score[rows], timelines.get(video))


def safe_name(text: str) -> str:
    """`text` as one file name: letters, digits, `-` and `_` stay, everything else becomes `-`."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text)[:100]
    return name.strip("-") or "unnamed"


def name_files(texts: list[str]) -> dict[str, str]:
    """A file name for each text, unique in any letter case; a clash gets a number."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        base = safe_name(text)
        name, number = base, 2
        while name.lower() in taken:
            name, number = f"{base}-{number}", number + 1
        taken.add(name.lower())
        names[text] = name
    return names


def _video_columns(tracklets: pa.Table) -> tuple[list[str | None], list[str]]:
    return tracklets["video_id"].to_pylist(), tracklets["camera_id"].to_pylist()


def _refuse_missing(frames: pa.Table, dataset: Dataset) -> None:
    for column in ("frame_index", "x1", "y1", "x2", "y2"):
        if frames[column].null_count:
            row = int(pc.index(pc.is_null(frames[column]), True).as_py())
            thing = f"{dataset.root / 'frames.parquet'}, tracklet {frames['tracklet_id'][row]}"
            raise LpwError(thing, f"no {column}", "boxes in source frames", "export the image tree instead (--to tree)")


def _read_timelines(dataset: Dataset) -> dict[str, pa.Table]:
    files = [name for name, schema in iter_tables(dataset.root) if schema is TIMELINE]
    found = (read_table(dataset.root / name, TIMELINE) for name in files)
    return {str(table["video_id"][0]): table for table in found if table.num_rows}


def _number_tracks(dataset: Dataset, sequence: Sequence, role: Role) -> NDArray[np.int32]:
    """Track numbers (N,) from 0: by tracklet, or for ground truth by person where the person is known."""
    keys = sequence.tracklet
    if role == "truth":
        people = dataset.tracklets["person_id"].to_pylist()
        first: dict[str, int] = {}
        keys = np.array([row if people[row] is None else first.setdefault(people[row], row) for row in keys.tolist()])
        _refuse_doubles(dataset, sequence, keys)
    return np.unique(keys, return_inverse=True)[1].astype(np.int32)


def _refuse_doubles(dataset: Dataset, sequence: Sequence, keys: NDArray[np.int64]) -> None:
    order = np.lexsort((keys, sequence.frame_index))
    same = (np.diff(keys[order]) == 0) & (np.diff(sequence.frame_index[order]) == 0)
    if same.any():
        row = int(order[int(np.argmax(same))])
        person = (
            dataset.tracklets["person_id"][int(keys[row])].as_py() or dataset.tracklets["tracklet_id"][int(keys[row])]
        )
        thing = f"{sequence.video_id}, frame {sequence.frame_index[row]}"
        raise LpwError(thing, f"two boxes of {person}", "one box of a person in a frame", "correct the identities")


def _write_results(folder: Path, sequence: Sequence, numbers: NDArray[np.int32]) -> None:
    publish.make_folder(folder)
    table = mot.make_detections(sequence.frame_index, sequence.boxes, sequence.score, video_id=sequence.video_id)
    mot.write_tracks(folder / f"{sequence.name}.txt", table, numbers)


def _write_truth(folder: Path, sequence: Sequence, dataset: Dataset, numbers: NDArray[np.int32]) -> None:
    junk = pc.equal(dataset.tracklets["kind"], "junk").to_numpy(zero_copy_only=False)
    size = sequence.boxes[:, 2:] - sequence.boxes[:, :2]
    counts = (~junk[sequence.tracklet]).astype(int)
    rows = zip(sequence.frame_index + 1, numbers + 1, sequence.boxes[:, :2], size, counts, strict=True)
    text = [f"{f},{n},{x:.3f},{y:.3f},{w:.3f},{h:.3f},{flag},1,1\n" for f, n, (x, y), (w, h), flag in rows]
    publish.make_folder(folder / "gt")
    publish.write_file(folder / "gt" / "gt.txt", "".join(text).encode())
    publish.write_file(folder / "seqinfo.ini", _format_seqinfo(sequence).encode())


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
        fields |= {"frameRate": f"{1 / np.median(steps):g}"} if len(steps) and np.median(steps) > 0 else {}
        fields |= {"imWidth": pc.max(sequence.timeline["width"]), "imHeight": pc.max(sequence.timeline["height"])}
    return "[Sequence]\n" + "".join(f"{key}={value}\n" for key, value in fields.items())


def _name_tracks(dataset: Dataset, sequence: Sequence, numbers: NDArray[np.int32]) -> list[str]:
    """Lines of tracks.csv for one video: one per tracklet, fields quoted."""
    rows, first = np.unique(sequence.tracklet, return_index=True)
    tracklets = dataset.tracklets.take(pa.array(rows)).select(["tracklet_id", "person_id"]).to_pylist()
    named = zip(numbers[first].tolist(), tracklets, strict=True)
    return [
        f"{sequence.name},{number + 1},{_quote(row['tracklet_id'])},{_quote(row['person_id'] or '')}"
        for number, row in named
    ]


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if text else ""


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


def _coco_boxes(sequence: Sequence, image_of: dict[int, int], n_before: int) -> Iterator[dict[str, Any]]:
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
                thing, "a box in a frame that the timeline lacks", "tables that agree", "run `lpw check`"
            )
        row = {"id": i, "image_id": image_of[frame], "category_id": 1, "bbox": box, "area": round(box[2] * box[3], 3)}
        yield {**row, "iscrowd": 0, "track_id": tracklet + 1, "score": score}


def _tree_folder(dataset: Dataset, tracklet_id: str) -> str:
    if not is_inner_path(tracklet_id) or str(PurePosixPath(tracklet_id)) != tracklet_id or tracklet_id == ".":
        thing = f"{dataset.root / 'tracklets.parquet'}, tracklet {tracklet_id!r}"
        raise LpwError(thing, "an id that is no folder name", "an id like scen1/view2/000001", "rename the tracklet")
    return tracklet_id


def _copy_tracklet(dataset: Dataset, frames: pa.Table, folder: Path) -> int:
    publish.make_folder(folder)
    for row in frames.select(["position", "image", "sha256"]).to_pylist():
        path = row["image"]["path"]
        suffix = PurePosixPath(path).suffix.lower()
        if suffix not in KIND_OF_SUFFIX:
            raise MismatchError(
                dataset.root / path, f"a file ending {suffix!r}", ".jpg or .png", "build the dataset again"
            )
        publish.write_file(folder / f"{row['position'] + 1}{suffix}", dataset.read_image(path, row["sha256"]))
    return int(frames.num_rows)
