"""MOT Challenge text: `frame,id,left,top,width,height,score,...`, one box per line, frames from 1.

What other tools write is read too: `mot_lines.py` knows their separators, headers and comments,
`MotForm` says which numbering and classes are meant.

Source: Leal-Taixé et al., "MOTChallenge 2015", section 3.3 (data format).
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.mot_lines import CLASS, VISIBILITY, MotRows, read_rows
from lpw_toolkit.dataset.row_faults import Fault
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError, check_range, join_names
from lpw_toolkit.files import writing

ScoreForm = Literal["fraction", "percent", "log_odds"]
Log = Callable[[str], None]
_MAX_FRAME = 2**31 - 1
#: Frame rates that a camera may have: from one frame in three hours to high speed.
RATES_HZ = (0.0001, 1000.0)
_MAX_PX = 1e6  # beyond any video; keeps areas exact in float64 and sides exact to 0.1 px in float32
_SCORE_DO = "say what they are (scores = percent or log_odds), or bring them into 0-1"
_PEDESTRIAN = 1  # the class of MOT16, MOT17 and MOT20 that counts
_CLASS_COLUMNS = (CLASS + 1, VISIBILITY + 1)  # numbers of columns of a file with classes


@dataclass(frozen=True)
class MotForm:
    """How a MOT text is meant.

    Attributes:
        first_frame: the number that it gives the first frame of the video; None is 1, or 0 where
            it holds a frame 0.
        classes: the classes that count, of a file with a class column; None is 1 (the pedestrians
            of MOT16 and later), an empty tuple is all.
        strict: refuse a row at fault in place of leaving it out.
    """

    first_frame: int | None = None
    classes: tuple[int, ...] | None = None
    strict: bool = True

    def __post_init__(self) -> None:
        if self.first_frame is not None:
            check_range("option --first-frame", self.first_frame, 0, _MAX_FRAME, whole=True)


PLAIN = MotForm()


def parse_classes(text: str | None) -> tuple[int, ...] | None:
    """The option `--classes`: numbers with commas, or `all`, which is an empty tuple.

    Errors: LpwError for anything else.

    >>> parse_classes("1,7")
    (1, 7)
    """
    if text is None or text == "all":
        return None if text is None else ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        expected = "whole numbers with commas between them, or all"
        raise LpwError("option --classes", text, expected, "correct it") from None


def no_log(line: str) -> None:
    """A log that keeps nothing."""


@dataclass(frozen=True)
class BoxRows:
    """Boxes with a track number: ground truth or the output of a tracker, sorted by frame.

    Attributes:
        frame_index: (N,) 0-based frame.
        track: (N,) track or person number as the file has it.
        boxes: (N, 4) `x1 y1 x2 y2` in pixels, half-open.
        flag: (N,) seventh column: in ground truth 0 means "does not count"; in tracks a score.
        first_frame: the number that the file gives the first frame.
    """

    frame_index: NDArray[np.int32]
    track: NDArray[np.int64]
    boxes: NDArray[np.float64]
    flag: NDArray[np.float64]
    first_frame: int = 1

    def __len__(self) -> int:
        return len(self.frame_index)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "BoxRows":
        """The rows that a mask or an index array picks."""
        return replace(
            self,
            frame_index=self.frame_index[rows],
            track=self.track[rows],
            boxes=self.boxes[rows],
            flag=self.flag[rows],
        )


def read_boxes(
    path: Path, form: MotForm = PLAIN, *, start_index: int = 0, log: Log = no_log
) -> BoxRows:
    """Reads ground truth or tracks, sorted by (frame, line). An empty file gives no rows.

    Args:
        start_index: frame_index of the first frame that the video has, for a `form` with a
            `first_frame`.
        log: gets one line for whatever was chosen or left out.

    Errors: LpwError naming file, line and frame: see `read_detections`; an id that is negative, no
    whole number or written with too few digits, and an id that stands twice in a frame.
    """
    rows = read_rows_of(path, form, log=log, only_of_class=False)
    ids = rows.values[:, 1]
    for bad, expected in (
        (ids != np.round(ids), "a whole number"),
        (np.abs(ids) > 2**53, "a number of at most 2^53"),
        (ids < 0, "a number from 0 (-1 stands for no track)"),
    ):
        rows.leave_out(bad, ("id", ids), expected, strict=True)
    if fault := rows.find_lost_digits(1):
        raise fault.error(path)
    _refuse_twice(rows)
    rows = _select_classes(rows, form, log)
    order = np.argsort(rows.values[:, 0], kind="stable")
    values = rows.values[order]
    return BoxRows(
        to_index(rows, form, start_index)[order],
        values[:, 1].astype(np.int64),
        corners_of(values),
        np.nan_to_num(values[:, 6], nan=1.0),
        rows.first_frame,
    )


def read_detections(
    path: Path,
    form: MotForm = PLAIN,
    *,
    fps: float | None = None,
    video_id: str = "",
    scores: ScoreForm = "fraction",
    log: Log = no_log,
) -> pa.Table:
    """Reads MOT detections as a `schema.DETECTIONS` table, sorted by (frame, line); MOT frame 1 is
    frame_index 0.

    Args:
        fps: frames per second, within RATES_HZ; gives `pts_s` = frame_index / fps, else it is null.
        video_id: written into every row.
        scores: what the file's seventh column holds: fractions in [0, 1], percents in [0, 100], or
            log-odds of any size (older public sets), which pass a sigmoid. A missing score counts
            as 1; so does -1 among fractions and percents.
        log: gets one line for whatever was chosen or left out.

    Errors: LpwError naming file, line and frame: a wrong number of columns, text, NaN, infinity, a
    frame below the first, a width or height of 0 or less (where `form` is not strict, only if more
    than half of the rows are at fault), or a score outside its range. An empty file is an empty
    table.
    """
    if fps is not None:
        check_range("option --fps", fps, *RATES_HZ)
    rows = read_rows_of(path, form, log=log)
    return to_detections(rows, form, fps=fps, video_id=video_id, scores=scores)


def to_detections(
    rows: MotRows,
    form: MotForm,
    *,
    fps: float | None = None,
    video_id: str = "",
    scores: ScoreForm = "fraction",
    start_index: int = 0,
) -> pa.Table:
    """Rows that were read as `read_detections` gives them; `start_index` as in `read_boxes`."""
    score = take_scores(rows, scores)
    order = np.argsort(rows.values[:, 0], kind="stable")
    values = rows.values[order]
    index = to_index(rows, form, start_index)[order]
    return make_detections(index, corners_of(values), score[order], fps=fps, video_id=video_id)


def read_rows_of(
    path: Path, form: MotForm, *, log: Log = no_log, only_of_class: bool = True
) -> MotRows:
    """The rows that hold a box, frames as the file counts them. Errors: see `read_detections`."""
    rows = read_rows(path, strict=form.strict)
    n_rows = len(rows) + rows.faults.n
    if fault := rows.find_lost_digits(0):
        raise fault.error(path)
    frame, lowest = rows.values[:, 0], form.first_frame or 0
    bad = (frame < lowest) | (frame > _MAX_FRAME) | (frame != np.round(frame))
    numbers = f"{lowest}, {lowest + 1}, {lowest + 2}, …"
    rows = rows.leave_out(bad, ("frame", frame), numbers, strict=form.strict)
    from_zero = form.first_frame is None and rows.values[:, 0].min(initial=1) == 0
    rows = replace(
        rows, first_frame=0 if from_zero else 1 if form.first_frame is None else form.first_frame
    )
    size = rows.values[:, 4:6].min(axis=1)
    rows = rows.leave_out(
        size <= 0, ("width or height", size), "more than 0 px", strict=form.strict
    )
    far, within = np.abs(rows.values[:, 2:6]).max(axis=1), f"coordinates within {_MAX_PX:.0f} px"
    rows = rows.leave_out(far > _MAX_PX, ("box", far), within, strict=form.strict)
    rows.faults.tell(path, n_rows, log)
    if from_zero:
        log(f"{path.name}: its frames count from 0")
    return _select_classes(rows, form, log) if only_of_class else rows


def to_index(rows: MotRows, form: MotForm, start_index: int = 0) -> NDArray[np.int32]:
    """The frame_index (N,) of each row; `start_index` as in `read_boxes`."""
    start = 0 if form.first_frame is None else start_index
    return (rows.values[:, 0] - rows.first_frame + start).astype(np.int32)


def take_scores(rows: MotRows, scores: ScoreForm) -> NDArray[np.float64]:
    """The scores (N,) as fractions. Errors: LpwError for one that is outside its range."""
    score = rows.values[:, 6]
    missing = np.isnan(score)
    if scores == "log_odds":
        return np.where(missing, 1.0, expit(score))
    missing |= score == -1
    limit = 100.0 if scores == "percent" else 1.0
    bad = ~missing & ((score < 0) | (score > limit))
    if bad.any():
        row = int(np.argmax(bad))
        fault = Fault(rows.name(row), f"score {score[row]:g}", f"0 to {limit:g}", _SCORE_DO)
        raise fault.error(rows.path)
    return np.where(missing, 1.0, score / limit)


def _refuse_twice(rows: MotRows) -> None:
    """Errors: LpwError for an id that stands twice in a frame; nobody is in two places."""
    order = np.lexsort((rows.values[:, 1], rows.values[:, 0]))
    pairs = rows.values[order, :2]
    twice = order[1:][(pairs[1:] == pairs[:-1]).all(axis=1)]
    if len(twice):
        row = int(twice.min())
        got = f"id {rows.values[row, 1]:g} twice in the frame"
        raise Fault(rows.name(row), got, "each id once in a frame").error(rows.path)


def _select_classes(rows: MotRows, form: MotForm, log: Log) -> MotRows:
    """The rows of the classes that count."""
    if form.classes == () or not len(rows):
        return rows
    has_classes = rows.values.shape[1] > CLASS and np.isfinite(rows.values[:, CLASS]).all()
    if form.classes is None and not (has_classes and _looks_like_truth(rows)):
        return rows
    if not has_classes:
        got, do = f"{rows.n_columns} columns, none of them a class", "leave the option out"
        raise LpwError(f"option --classes, {rows.path}", got, "the class in column 8", do)
    wanted = (_PEDESTRIAN,) if form.classes is None else form.classes
    number = rows.values[:, CLASS]
    counted = np.isin(number, wanted)
    if counted.all():
        return rows
    n_of = zip(*np.unique(number[~counted], return_counts=True), strict=True)
    others = join_names([f"{n} of class {kind:g}" for kind, n in n_of])
    own = " and ".join(map(str, wanted))
    log(
        f"{rows.path.name}: {counted.sum()} boxes of class {own} count, {others} do not (--classes)"
    )
    return rows.select(counted)


def _looks_like_truth(rows: MotRows) -> bool:
    """Whether columns 8 and 9 are class and visibility, as in the ground truth of MOT16, MOT17,
    MOT20 and CVAT; MOT15 has places in the world there, trackers and detectors -1."""
    kind = rows.values[:, CLASS]
    if rows.n_columns not in _CLASS_COLUMNS or (kind < 1).any() or (kind != np.round(kind)).any():
        return False
    visible = rows.values[:, VISIBILITY:]
    return bool(((visible >= 0) & (visible <= 1)).all())


def make_detections(
    frame_index: NDArray[np.int32],
    boxes: NDArray[np.floating[Any]],
    score: NDArray[np.floating[Any]],
    *,
    fps: float | None = None,
    video_id: str = "",
) -> pa.Table:
    """A `schema.DETECTIONS` table of N boxes (N, 4), in the order given."""
    n = len(frame_index)
    pts = pa.nulls(n, pa.float64()) if fps is None else pa.array(frame_index / fps, pa.float64())
    sides = [pa.array(boxes[:, i].astype(np.float32)) for i in range(4)]
    columns = [
        pa.array([video_id] * n, pa.string()),
        pa.array(frame_index, pa.int32()),
        pts,
        *sides,
    ]
    return pa.Table.from_arrays(
        [*columns, pa.array(score.astype(np.float32))], schema=schema.DETECTIONS
    )


def track_rows(detections: pa.Table, tracks: NDArray[np.int32]) -> BoxRows:
    """The linked boxes (track >= 0) of a detections table, as `read_boxes` would give them."""
    rows = np.flatnonzero(tracks >= 0)
    rows = rows[np.lexsort((tracks[rows], detections["frame_index"].to_numpy()[rows]))]
    return BoxRows(
        detections["frame_index"].to_numpy()[rows],
        tracks[rows].astype(np.int64),
        boxes_of(detections)[rows],
        detections["score"].to_numpy()[rows].astype(np.float64),
    )


def write_tracks(
    path: Path, detections: pa.Table, tracks: NDArray[np.int32], *, first_frame: int = 1
) -> None:
    """Publishes the linked boxes as MOT text, sorted by (frame, track); track 0 becomes id 1.

    Args:
        tracks: (N,) as `link.link` gives it; rows with -1 are left out.
        first_frame: the number of frame_index 0 in the text.

    Errors: OSError.
    """
    rows = track_rows(detections, tracks)
    size = rows.boxes[:, 2:] - rows.boxes[:, :2]
    table = np.column_stack(
        [rows.frame_index + first_frame, rows.track + 1, rows.boxes[:, :2], size, rows.flag]
    )
    text = io.StringIO()
    np.savetxt(text, table, fmt="%d,%d,%.3f,%.3f,%.3f,%.3f,%.6g,-1,-1,-1")
    writing.atomic_write_text(path, text.getvalue())


def corners_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of a MOT text as boxes (N, 4) `x1 y1 x2 y2`."""
    return np.concatenate([values[:, 2:4], values[:, 2:4] + values[:, 4:6]], axis=1)
