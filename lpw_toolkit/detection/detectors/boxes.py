"""Saved boxes as a detector: your own detections, as MOT text or Parquet."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.boxes import clip
from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.dataset import sha256_file
from lpw_toolkit.dataset.mot_text import ScoreForm, read_detections
from lpw_toolkit.dataset.tables import boxes_of, read_table
from lpw_toolkit.detection.detector import DetectorOptions, Setting, VideoLike
from lpw_toolkit.detection.inference import FrameLike
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import iter_files
from lpw_toolkit.files.opening import exists, is_file

_SUFFIXES = (".txt", ".parquet")
_GEOMETRIES = ("auto", "stored", "display")
_SCORE_FORMS = ("fraction", "percent", "log_odds")


def open_detector(options: DetectorOptions) -> "SavedBoxes":
    """Saved boxes ready to be read. Errors: LpwError where there is no such file or folder."""
    if options.boxes is None:
        raise LpwError(
            "--boxes", "nothing", "a MOT text, a Parquet, or a folder of them", "give --boxes PATH"
        )
    if options.box_scores not in _SCORE_FORMS:
        raise LpwError(
            "--box-scores", options.box_scores, " | ".join(_SCORE_FORMS), "choose one of them"
        )
    if options.box_geometry not in _GEOMETRIES:
        raise LpwError(
            "--box-geometry", options.box_geometry, " | ".join(_GEOMETRIES), "choose one of them"
        )
    if not exists(options.boxes):
        raise LpwError(options.boxes, "no such file or folder", "saved boxes", "correct the path")
    settings: dict[str, Setting] = {
        "name": "boxes",
        "min_score": -1.0 if options.min_score is None else options.min_score,
        "box_scores": options.box_scores,
        "files_sha256": _digest(options.boxes),
        **({} if options.box_geometry == "auto" else {"box_geometry": options.box_geometry}),
    }
    return SavedBoxes(options, settings)


@dataclass
class SavedBoxes:
    """Saved boxes as they are (no NMS), clipped to the frame; those above `min_score` where the
    user gave one."""

    options: DetectorOptions
    settings: dict[str, Setting]
    name: str = "boxes"
    needs_images: bool = False
    notes: list[str] = field(default_factory=list)
    startup_s: float = 0.0
    readers: dict[Path, str] = field(default_factory=dict)  # which video took which file

    def takes_stored(self, video: VideoLike) -> bool:
        """Whether the boxes of a video count pixels of the stored pictures. Errors: LpwError for a
        file that is missing."""
        if self.options.box_geometry != "auto":
            return self.options.box_geometry == "stored"
        return _find_file(cast(Path, self.options.boxes), video).suffix.lower() != ".parquet"

    def detect(
        self, frames: Iterable[FrameLike], video: VideoLike
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The saved boxes of every frame that is no duplicate; see `Detector`.

        Errors: LpwError for a file that is missing or malformed, a box wholly outside its frame,
        and, after the last frame, boxes saved for frames beyond it.
        """
        path = _find_file(cast(Path, self.options.boxes), video)
        if self.readers.setdefault(path, video.video_id) != video.video_id:
            got = f"videos {self.readers[path]} and {video.video_id}"
            raise LpwError(
                path, got, "the boxes of one video", "give a folder with one file per video id"
            )
        saved = _read_saved(path, video.video_id, cast(ScoreForm, self.options.box_scores))
        next_index = 0
        for frame in frames:
            next_index = max(next_index, frame.index + 1)
            if not frame.duplicate:
                yield frame.index, saved.pick(frame, float(self.settings["min_score"]))
        saved.refuse_beyond(next_index)


@dataclass(frozen=True)
class _Saved:
    path: Path
    frame_index: NDArray[np.int32]  # sorted
    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]

    def pick(self, frame: FrameLike, min_score: float) -> NDArray[np.float32]:
        first, last = np.searchsorted(self.frame_index, [frame.index, frame.index + 1])
        scores = self.scores[first:last]
        framed = clip(self.boxes[first:last], frame.width, frame.height)
        outside = (framed[:, 2] <= framed[:, 0]) | (framed[:, 3] <= framed[:, 1])
        if outside.any():
            box = ", ".join(f"{v:g}" for v in self.boxes[first:last][outside][0])
            expected = f"boxes inside {frame.width}x{frame.height}"
            do = "remove the box, or check that the boxes belong to this video and size"
            raise LpwError(f"{self.path}, frame_index {frame.index}", f"box {box}", expected, do)
        rows = np.argsort(-scores, kind="stable")
        rows = rows[scores[rows] > min_score]
        return np.concatenate([framed[rows], scores[rows, None]], axis=1, dtype=np.float32)

    def refuse_beyond(self, n_frames: int) -> None:
        beyond = self.frame_index[self.frame_index >= n_frames]
        if len(beyond):
            got = (
                f"{len(beyond)} boxes from frame_index {beyond[0]} on (frame {beyond[0] + 1} of "
                f"a MOT text)"
            )
            do = "check that the boxes belong to this video, or remove those lines"
            raise LpwError(self.path, got, f"frames below {n_frames}, the number in the video", do)


def _find_file(boxes: Path, video: VideoLike) -> Path:
    """The file of one video: by its id, its path in the source folder, or as MOT sets have it
    (`SEQ/det/det.txt`)."""
    if is_file(boxes):
        return boxes
    stem = PurePosixPath(video.relative).with_suffix("").as_posix()
    names = [
        f"{name}{suffix}" for name in dict.fromkeys([video.video_id, stem]) for suffix in _SUFFIXES
    ]
    names.append(f"{video.relative}/det/det.txt")
    found = [name for name in names if is_file(boxes / name)]
    if len(found) == 1:
        return boxes / found[0]
    if found:
        raise LpwError(
            boxes, f"both {' and '.join(found)}", "one file per video", "remove one of them"
        )
    do = "name the files after the videos, or give the file of one video"
    raise LpwError(boxes, f"no saved boxes of video {video.relative}", " or ".join(names), do)


def _read_saved(path: Path, video_id: str, form: ScoreForm) -> _Saved:
    if path.suffix.lower() == ".parquet":
        table = _rows_of(path, read_table(path, schema.DETECTIONS), video_id)
    else:
        table = read_detections(path, video_id=video_id, scores=form)
    index = table["frame_index"].to_numpy()
    boxes, scores = boxes_of(table), table["score"].to_numpy()
    _check_values(path, index, boxes, scores)
    order = np.argsort(index, kind="stable")
    return _Saved(path, index[order], boxes[order], scores[order])


def _rows_of(path: Path, table: pa.Table, video_id: str) -> pa.Table:
    rows = table.filter(pc.equal(table["video_id"], video_id))
    if len(table) and not len(rows):
        others = ", ".join(pc.unique(table["video_id"]).to_pylist()[:3])
        raise LpwError(
            path,
            f"boxes of video {others}",
            f"boxes of video {video_id}",
            "give the file of this video",
        )
    return rows


def _check_values(
    path: Path, index: NDArray[np.int32], boxes: NDArray[np.float64], scores: NDArray[np.float32]
) -> None:
    faults = [
        (~np.isfinite(boxes).all(axis=1), "a box that is not finite"),
        (
            (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]),
            "a box of no or negative size",
        ),
        (~((scores >= 0) & (scores <= 1)), "a score outside 0 to 1"),
        (index < 0, "a negative frame_index"),
    ]
    for mask, got in faults:
        if mask.any():
            do = "correct or remove the row"
            raise LpwError(
                f"{path}, row {int(np.argmax(mask))}", got, "finite boxes with scores in 0 to 1", do
            )


def _digest(boxes: Path) -> str:
    if is_file(boxes):
        return sha256_file(boxes)
    files = [f for f in iter_files(boxes) if f.suffix.lower() in _SUFFIXES]
    if not files:
        raise LpwError(
            boxes, "no .txt and no .parquet", "saved boxes, one file per video", "correct the path"
        )
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(boxes).as_posix()}\n{sha256_file(file)}\n".encode())
    return total.hexdigest()
