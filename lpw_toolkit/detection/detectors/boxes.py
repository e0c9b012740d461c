"""Saved boxes as a detector: your own detections, as MOT text or Parquet."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
from lpw_toolkit.dataset.mot_text import (
    Log,
    MotForm,
    ScoreForm,
    corners_of,
    parse_classes,
    read_rows_of,
    take_scores,
)
from lpw_toolkit.dataset.row_faults import NO_FAULTS, Fault, Faults
from lpw_toolkit.dataset.tables import boxes_of, read_table
from lpw_toolkit.detection.detector import DetectorOptions, Setting, VideoLike
from lpw_toolkit.detection.inference import FrameLike
from lpw_toolkit.errors import LpwError, unknown_name
from lpw_toolkit.files.listing import iter_files
from lpw_toolkit.files.opening import exists, is_file

_SUFFIXES = (".txt", ".parquet")
_GEOMETRIES = ("auto", "stored", "display")
_SCORE_FORMS = ("fraction", "percent", "log_odds")


def open_detector(options: DetectorOptions) -> "SavedBoxes":
    """Saved boxes ready to be read. Errors: LpwError where there is no such file or folder."""
    if options.boxes is None:
        raise LpwError(
            "option --boxes",
            "nothing",
            "a MOT text, a Parquet, or a folder of them",
            "give --boxes PATH",
        )
    if options.box_scores not in _SCORE_FORMS:
        raise unknown_name("option --box-scores", options.box_scores, _SCORE_FORMS)
    if options.box_geometry not in _GEOMETRIES:
        raise unknown_name("option --box-geometry", options.box_geometry, _GEOMETRIES)
    if not exists(options.boxes):
        raise LpwError(options.boxes, "no such file or folder", "saved boxes", "correct the path")
    settings: dict[str, Setting] = {
        "name": "boxes",
        "min_score": -1.0 if options.min_score is None else options.min_score,
        "box_scores": options.box_scores,
        "files_sha256": _digest(options.boxes),
        **({} if options.box_geometry == "auto" else {"box_geometry": options.box_geometry}),
    }
    given = {
        "first_frame": options.first_frame,
        "box_classes": options.box_classes,
        "strict": options.strict or None,
    }
    settings |= {name: value for name, value in given.items() if value is not None}
    form = MotForm(options.first_frame, parse_classes(options.box_classes), options.strict)
    return SavedBoxes(options, settings, form)


@dataclass
class SavedBoxes:
    """Saved boxes as they are (no NMS), clipped to the frame; those above `min_score` where the
    user gave one."""

    options: DetectorOptions
    settings: dict[str, Setting]
    form: MotForm
    name: str = "boxes"
    needs_images: bool = False
    notes: list[str] = field(default_factory=list)
    startup_s: float = 0.0
    remarks: dict[str, list[str]] = field(default_factory=dict)
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

        What is left out is told in `remarks`: rows at fault, boxes wholly outside the picture, and
        boxes of frames that the video does not have.

        Errors: LpwError for a file that is missing, that belongs to another video (no box lies in
        a frame of this one, or more than half of the rows are at fault), or, where `strict`,
        anything left out.
        """
        path = _find_file(cast(Path, self.options.boxes), video)
        if self.readers.setdefault(path, video.video_id) != video.video_id:
            got = f"videos {self.readers[path]} and {video.video_id}"
            raise LpwError(
                path, got, "the boxes of one video", "give a folder with one file per video id"
            )
        log = self.remarks.setdefault(video.video_id, [])
        log.clear()
        with _named():
            saved = self._read(path, video.video_id, log.append)
        for frame in frames:
            saved.meet(frame.index)
            if not frame.duplicate:
                with _named():
                    boxes = saved.pick(frame, float(self.settings["min_score"]))
                yield frame.index, boxes
        with _named():
            saved.close(log.append)

    def _read(self, path: Path, video_id: str, log: Log) -> "_Saved":
        if path.suffix.lower() == ".parquet":
            return _read_parquet(path, video_id, self.form, log)
        return _read_text(path, cast(ScoreForm, self.options.box_scores), self.form, log)


@contextmanager
def _named() -> Iterator[None]:
    """Names file and row in what was got: what is recorded of a video holds no path."""
    try:
        yield
    except LpwError as error:
        got = f"{error.got}, in {PurePosixPath(error.thing).name}"
        raise type(error)(error.thing, got, error.expected, error.hint) from error


@dataclass
class _Saved:
    """The boxes of one video, sorted by frame.

    Attributes:
        frame: (N,) as the file counts them.
        boxes: (N, 4) `x1 y1 x2 y2`.
        scores: (N,) in 0 to 1.
        name: how the user finds a row.
        first_frame: number of frame_index 0, or of the first frame that the video has.
        strict: whether nothing may be left out.
    """

    path: Path
    frame: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    name: Callable[[int], str]
    first_frame: int
    from_first: bool
    strict: bool
    outside: Faults = NO_FAULTS
    n_met: int = 0
    number: int = 0
    first_index: int | None = None
    lowest: int = 0

    def meet(self, frame_index: int) -> None:
        """Counts the boxes of the next frame."""
        if self.first_index is None:
            self.first_index = frame_index
            self.lowest = self._number(frame_index)
        self.number = self._number(frame_index)
        first, last = np.searchsorted(self.frame, [self.number, self.number + 1])
        self.n_met += int(last - first)

    def _number(self, frame_index: int) -> int:
        """A frame as the file counts it."""
        start = self.first_index if self.from_first and self.first_index is not None else 0
        return frame_index - start + self.first_frame

    def pick(self, frame: FrameLike, min_score: float) -> NDArray[np.float32]:
        """The boxes (n, 5) of a frame, clipped to it, by descending score."""
        first, last = np.searchsorted(self.frame, [self.number, self.number + 1])
        scores = self.scores[first:last]
        framed = clip(self.boxes[first:last], frame.width, frame.height)
        outside = (framed[:, 2] <= framed[:, 0]) | (framed[:, 3] <= framed[:, 1])
        if outside.any():
            row = int(first + np.argmax(outside))
            box = ", ".join(f"{v:g}" for v in self.boxes[row])
            expected = f"inside {frame.width}x{frame.height}"
            do = "remove the box, or check that the boxes belong to this video and size"
            fault = Fault(self.name(row), f"box {box}", expected, do)
            if self.strict:
                raise fault.error(self.path)
            self.outside = self.outside.add(fault, int(outside.sum()))
        rows = np.argsort(-scores, kind="stable")
        rows = rows[(scores[rows] > min_score) & ~outside[rows]]
        return np.concatenate([framed[rows], scores[rows, None]], axis=1, dtype=np.float32)

    def close(self, log: Log) -> None:
        """Says which boxes no frame has taken. Errors: LpwError where none has taken any."""
        n, beyond = len(self.frame), len(self.frame) - self.n_met
        own = f"frames {self.lowest} to {self.number}"
        if beyond and (self.strict or not self.n_met):
            got = f"{beyond} of {n} boxes in frames {self.frame[0]} to {self.frame[-1]}"
            do = "check that they belong to this video, and say with --first-frame how they count"
            raise LpwError(self.path, got, f"{own}, which the video has", do)
        self.outside.tell(self.path, self.n_met, log)
        if beyond:
            other = self.frame[(self.frame < self.lowest) | (self.frame > self.number)]
            spread = f" (frames {other[0]} to {other[-1]})" if len(other) else ""
            log(
                f"{self.path.name}: {beyond} of {n} boxes left out, in frames that the video does "
                f"not have{spread}; it has {own}"
            )
        if n and self.first_index and not self.from_first:
            log(f"{self.path.name}: its frames are taken as the numbers of the images ({own})")


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


def _read_text(path: Path, scores: ScoreForm, form: MotForm, log: Log) -> _Saved:
    rows = read_rows_of(path, form, log=log)
    order = np.argsort(rows.values[:, 0], kind="stable")
    values = rows.values[order]
    return _Saved(
        path,
        values[:, 0].astype(np.int64),
        corners_of(values),
        take_scores(rows, scores)[order].astype(np.float32),
        lambda row: rows.name(int(order[row])),
        rows.first_frame,
        form.first_frame is not None,
        form.strict,
    )


def _read_parquet(path: Path, video_id: str, form: MotForm, log: Log) -> _Saved:
    if form.first_frame is not None or form.classes is not None:
        raise LpwError(
            path, "a Parquet", "a MOT text beside --first-frame and --classes", "leave them out"
        )
    table = _rows_of(path, read_table(path, schema.DETECTIONS), video_id)
    index = table["frame_index"].to_numpy().astype(np.int64)
    boxes, scores = boxes_of(table), table["score"].to_numpy()
    kept = _check_values(path, index, boxes, scores, form, log)
    order = kept[np.argsort(index[kept], kind="stable")]
    return _Saved(
        path,
        index[order],
        boxes[order],
        scores[order],
        lambda row: f"row {order[row]} (frame_index {index[order[row]]})",
        0,
        False,
        form.strict,
    )


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
    path: Path,
    index: NDArray[np.int64],
    boxes: NDArray[np.float64],
    scores: NDArray[np.float32],
    form: MotForm,
    log: Log,
) -> NDArray[np.intp]:
    """The rows that hold a box. Errors: LpwError as a MOT text has them."""
    expected, do = "finite boxes with scores in 0 to 1", "correct or remove the row"
    wrong = (scores < 0) | (scores > 1)
    if wrong.any():
        got = "a score outside 0 to 1"
        raise Fault(f"row {int(np.argmax(wrong))}", got, expected, do).error(path)
    faults, bad = NO_FAULTS, np.zeros(len(index), dtype=bool)
    for mask, got in (
        (~np.isfinite(boxes).all(axis=1), "a box that is not finite"),
        (
            (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]),
            "a box of no or negative size",
        ),
        (~np.isfinite(scores), "a score that is no number"),
        (index < 0, "a negative frame_index"),
    ):
        fresh = mask & ~bad
        if fresh.any():
            fault = Fault(f"row {int(np.argmax(fresh))}", got, expected, do)
            if form.strict:
                raise fault.error(path)
            faults, bad = faults.add(fault, int(fresh.sum())), bad | fresh
    faults.tell(path, len(index), log)
    return np.flatnonzero(~bad)


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
