"""MOT Challenge text: `frame,id,left,top,width,height,score,...`, one box per line, frames from 1.

Source: Leal-Taixé et al., "MOTChallenge 2015", section 3.3 (data format).
"""

import io
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError, check_range
from lpw_toolkit.files import writing
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import read_text

ScoreForm = Literal["fraction", "percent", "log_odds"]
_COLUMNS = ("frame", "id", "left", "top", "width", "height", "score")
_MAX_COLUMNS = 64  # MOT has ten; a table of thousands would be read cell by cell
_BLOCK_CHARS = 1 << 18
_BLANK = re.compile(r"\s*+")
_MAX_FRAME = 2**31 - 1
#: Frame rates that a camera may have: from one frame in three hours to high speed.
RATES_HZ = (0.0001, 1000.0)
_MAX_PX = 1e6  # beyond any video; keeps areas exact in float64 and sides exact to 0.1 px in float32
_DO = "correct or remove the line"
_SCORE_DO = "say what they are (scores = percent or log_odds), or bring them into 0-1"


@dataclass(frozen=True)
class BoxRows:
    """Boxes with a track number: ground truth or the output of a tracker, sorted by frame.

    Attributes:
        frame_index: (N,) 0-based frame.
        track: (N,) track or person number as the file has it.
        boxes: (N, 4) `x1 y1 x2 y2` in pixels, half-open.
        flag: (N,) seventh column: in ground truth 0 means "does not count"; in tracks a score.
    """

    frame_index: NDArray[np.int32]
    track: NDArray[np.int64]
    boxes: NDArray[np.float64]
    flag: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame_index)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "BoxRows":
        """The rows that a mask or an index array picks."""
        return BoxRows(self.frame_index[rows], self.track[rows], self.boxes[rows], self.flag[rows])


def read_boxes(path: Path) -> BoxRows:
    """Reads ground truth or tracks, sorted by (frame, line). An empty file gives no rows.

    Errors: LpwError naming file and line (see `read_detections`); ids must be whole numbers.
    """
    values, lines = _read_values(path)
    _refuse(
        path, lines, values[:, 1] != np.round(values[:, 1]), values[:, 1], "id", "a whole number"
    )
    _refuse(
        path, lines, np.abs(values[:, 1]) > 2**53, values[:, 1], "id", "a number of at most 2^53"
    )
    values = values[np.argsort(values[:, 0], kind="stable")]
    return BoxRows(
        (values[:, 0] - 1).astype(np.int32),
        values[:, 1].astype(np.int64),
        _corners(values),
        values[:, 6].copy(),
    )


def read_detections(
    path: Path, *, fps: float | None = None, video_id: str = "", scores: ScoreForm = "fraction"
) -> pa.Table:
    """Reads MOT detections as a `schema.DETECTIONS` table, sorted by (frame, line); MOT frame 1 is
    frame_index 0.

    Args:
        fps: frames per second, within RATES_HZ; gives `pts_s` = frame_index / fps, else it is null.
        video_id: written into every row.
        scores: what the file's seventh column holds: fractions in [0, 1], percents in [0, 100], or
            log-odds of any size (older public sets), which pass a sigmoid.

    Errors: LpwError naming file and line: a wrong number of columns, text, NaN, infinity, a frame
    below 1, a width or height of 0 or less, a score outside its range. An empty file is an empty
    table.
    """
    if fps is not None:
        check_range("option --fps", fps, *RATES_HZ)
    values, lines = _read_values(path)
    score = values[:, 6]
    if scores == "log_odds":
        score = expit(score)
    else:
        limit = 100.0 if scores == "percent" else 1.0
        _refuse(path, lines, (score < 0) | (score > limit), score, "score", f"0 to {limit:g}")
        score = score / limit
    order = np.argsort(values[:, 0], kind="stable")
    values, score = values[order], score[order]
    return make_detections(
        (values[:, 0] - 1).astype(np.int32), _corners(values), score, fps=fps, video_id=video_id
    )


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


def write_tracks(path: Path, detections: pa.Table, tracks: NDArray[np.int32]) -> None:
    """Publishes the linked boxes as MOT text, sorted by (frame, track); track 0 becomes id 1.

    Args:
        tracks: (N,) as `link.link` gives it; rows with -1 are left out.

    Errors: OSError.
    """
    rows = track_rows(detections, tracks)
    size = rows.boxes[:, 2:] - rows.boxes[:, :2]
    table = np.column_stack(
        [rows.frame_index + 1, rows.track + 1, rows.boxes[:, :2], size, rows.flag]
    )
    text = io.StringIO()
    np.savetxt(text, table, fmt="%d,%d,%.3f,%.3f,%.3f,%.3f,%.6g,-1,-1,-1")
    writing.atomic_write_text(path, text.getvalue())


def _corners(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([values[:, 2:4], values[:, 2:4] + values[:, 4:6]], axis=1)


def _read_values(path: Path) -> tuple[NDArray[np.float64], str]:
    """The first seven columns (N, 7) in file order, checked, and the text that they came from."""
    text = _read_text(path)
    first = next((line for _, line in _iter_lines(path, text)), None)
    if first is None:
        return np.zeros((0, 7)), text
    if first.count(",") >= _MAX_COLUMNS:
        raise LpwError(path, f"{first.count(',') + 1} columns", f"at most {_MAX_COLUMNS}", _DO)
    try:
        frame = pd.read_csv(io.BytesIO(text.encode()), header=None, dtype=np.float64)
        values = frame.to_numpy()
    except (ValueError, pd.errors.ParserError, OverflowError):
        values = _parse_lines(path, text)
    if values.shape[1] < len(_COLUMNS) or not np.isfinite(values).all():
        values = _parse_lines(path, text)
    values = values[:, :7]
    frame, size = values[:, 0], values[:, 4:6].min(axis=1)
    _refuse(
        path,
        text,
        (frame < 1) | (frame > _MAX_FRAME) | (frame != np.round(frame)),
        frame,
        "frame",
        "1, 2, 3, …",
    )
    _refuse(path, text, size <= 0, size, "width or height", "more than 0 px")
    far = np.abs(values[:, 2:6]).max(axis=1)
    _refuse(path, text, far > _MAX_PX, far, "box", f"coordinates within {_MAX_PX:.0f} px")
    return values, text


def _read_text(path: Path) -> str:
    try:
        return read_text(path, "mot_bytes", encoding="utf-8-sig")
    except OSError as error:
        raise LpwError(
            path, writing.describe_os_error(error), "a readable MOT text file", "check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise LpwError(
            path, "bytes that are no text", "MOT text (comma-separated)", "check the path"
        ) from error


def _parse_lines(path: Path, text: str) -> NDArray[np.float64]:
    """Block by block: names the line at fault, or accepts odd values right of the seventh
    column."""
    values, number, start, n_columns = [np.zeros((0, len(_COLUMNS)))], 0, 0, None
    while start < len(text):
        end = text.find("\n", start + _BLOCK_CHARS) + 1 or len(text)
        block = text[start:end]
        if block.strip():
            n_columns = n_columns or next(_iter_lines(path, block))[1].count(",") + 1
            values.append(_parse_block(path, block, number, n_columns))
        number, start = number + block.count("\n"), end
    return np.concatenate(values)


def _parse_block(path: Path, block: str, n_before: int, n_columns: int) -> NDArray[np.float64]:
    """The first seven columns (N, 7) of lines with `n_columns` each, of which `n_before` lines
    stand before."""
    try:
        frame = pd.read_csv(
            io.StringIO(block), header=None, dtype=dict.fromkeys(range(len(_COLUMNS)), np.float64)
        )
        values: NDArray[np.float64] = frame.to_numpy()[:, : len(_COLUMNS)].astype(np.float64)
        if (
            frame.shape[1] == n_columns >= len(_COLUMNS)
            and np.isfinite(values).all()
            and frame.notna().all(axis=None)
        ):
            return values
    except (ValueError, pd.errors.ParserError, OverflowError):
        pass  # a line is at fault, or of a form that pandas does not know
    cells_of_all = array("d")
    for number, line in _iter_lines(path, block, n_before):
        cells = [cell.strip() for cell in line.split(",", _MAX_COLUMNS)]
        thing = f"{path}, line {number}"
        if len(cells) < len(_COLUMNS) or len(cells) != n_columns:
            expected = (
                f"{max(n_columns, len(_COLUMNS))} comma-separated columns ({','.join(_COLUMNS)},…)"
            )
            raise LpwError(thing, f"{len(cells)} columns", expected, _DO)
        cells_of_all.extend(
            _parse_cell(thing, name, cell) for name, cell in zip(_COLUMNS, cells, strict=False)
        )
    return np.array(cells_of_all, dtype=np.float64).reshape(-1, len(_COLUMNS))


def _parse_cell(thing: str, name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise LpwError(thing, f"{name} {cell[:40]!r}", "a finite number", _DO)
    return value


def _iter_lines(path: Path, text: str, n_before: int = 0) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not empty; lines end with LF. Errors: LpwError for one
    that is too long."""
    start, number, most = 0, n_before, limit("line_bytes")
    while start < len(text):
        blank = cast(re.Match[str], _BLANK.match(text, start)).end()
        if (skipped := text.count("\n", start, blank)) > 0:  # many empty lines at once
            number, start = number + skipped, text.rfind("\n", start, blank) + 1
            continue
        end, number = text.find("\n", start), number + 1
        end = len(text) if end < 0 else end
        if end - start > most:
            got = explain_limit("line_bytes", f"{end - start} letters")
            raise LpwError(f"{path}, line {number}", got, "one box", _DO)
        if line := text[start:end].strip():
            yield number, line
        start = end + 1


def _refuse(
    path: Path,
    text: str,
    bad: NDArray[np.bool_],
    values: NDArray[np.float64],
    name: str,
    expected: str,
) -> None:
    """Raises for the first row marked `bad`, with its line number."""
    if bad.any():
        row = int(np.argmax(bad))
        hint = _SCORE_DO if name == "score" else _DO
        raise LpwError(
            f"{path}, line {next(islice(_iter_lines(path, text), row, None))[0]}",
            f"{name} {values[row]:g}",
            expected,
            hint,
        )
