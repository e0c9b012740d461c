"""Links boxes to tracks: NumPy arrays, DataFrames or `supervision.Detections`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from lpw_toolkit.api.arrays import as_floats
from lpw_toolkit.api.calls import public_call
from lpw_toolkit.api.settings import deal_settings
from lpw_toolkit.dataset.schema import DETECTIONS
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.linking import linker
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.rule import make_link_config

if TYPE_CHECKING:
    from pandas import DataFrame

_EXPECTED = "rows of frame, x1, y1, x2, y2, score"
_SIDES = ("x1", "y1", "x2", "y2")  # columns of a DataFrame


@overload
def link(
    boxes: "NDArray[Any] | DataFrame",
    config: LinkConfig | None = None,
    *,
    preset: str = "default",
    **settings: Any,
) -> NDArray[np.int32]: ...
@overload
def link(
    boxes: Sequence[Any],
    config: LinkConfig | None = None,
    *,
    preset: str = "default",
    **settings: Any,
) -> list[NDArray[np.int32]]: ...
@public_call
def link(
    boxes: "NDArray[Any] | DataFrame | Sequence[Any]",
    config: LinkConfig | None = None,
    *,
    preset: str = "default",
    **settings: Any,
) -> NDArray[np.int32] | list[NDArray[np.int32]]:
    """Links the boxes of one video to tracks: one person each, as pure as the boxes allow.

    Args:
        boxes: one of
            an array (N, 6), each row `frame x1 y1 x2 y2 score`;
            a DataFrame with the columns `frame` (or `frame_index`), `x1`, `y1`, `x2`, `y2`,
            `score`;
            a sequence with one `supervision.Detections` for each frame of the video, in order.
            Frames are whole numbers from 0, boxes pixels, scores 0 to 1; rows in any order.
        config: the linker's settings; those of `preset` when not given.
        preset: one of `lpw_toolkit.linking.PRESETS`.
        **settings: fields of `LinkConfig` that differ from `config` or `preset`.

    Returns:
        (N,) int32, the track of each row, from 0 in order of appearance; -1 for a box in no track.
        For a sequence of detections a list with such an array for each frame.

    Raises:
        LpwError: boxes of another form, numbers that are not finite, or a setting that is unknown
            or out of range.

    Source:
        RQEN paper, section on the LPW dataset, for the preset `paper`; the other rules are ours.

    >>> import numpy as np
    >>> from lpw_toolkit import link
    >>> frame = np.arange(20)
    >>> one = np.ones(20)
    >>> boxes = np.stack([frame, 10 + frame, 5 * one, 50 + frame, 95 * one, 0.9 * one], axis=1)
    >>> link(boxes)
    array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], dtype=int32)
    >>> link(boxes, min_length=30).max()
    np.int32(-1)
    """
    (config,) = deal_settings(settings, config or make_link_config(preset))
    if isinstance(boxes, np.ndarray):
        return _link_rows(boxes, config)
    if hasattr(boxes, "columns"):
        return _link_rows(_take_columns(boxes), config)
    if not isinstance(boxes, Iterable):
        raise LpwError("boxes", type(boxes).__name__, _EXPECTED, "pass an array (N, 6)")
    parts = [_take_detections(frame, found) for frame, found in enumerate(boxes)]
    tracks = _link_rows(np.concatenate([np.empty((0, 6)), *parts]), config)
    return np.split(tracks, np.cumsum([len(part) for part in parts])[:-1]) if parts else []


def _take_columns(table: Any) -> NDArray[Any]:
    """The rows (N, 6) of a DataFrame."""
    frame = "frame" if "frame" in table.columns else "frame_index"
    names = [frame, *_SIDES, "score"]
    if missing := [name for name in names if name not in table.columns]:
        got = f"no column {join_names(missing)} among {join_names([*table.columns])}"
        raise LpwError("boxes", got, f"the columns {', '.join(names)}", "rename the columns")
    return np.asarray(table[names])


def _take_detections(frame: int, found: Any) -> NDArray[np.float64]:
    """The rows (n, 6) of one frame, from what has `xyxy` (n, 4) and `confidence` (n,) or None."""
    if not hasattr(found, "xyxy"):
        raise LpwError("boxes", type(found).__name__, "supervision.Detections", "pass one a frame")
    boxes = np.asarray(found.xyxy, dtype=np.float64).reshape(-1, 4)
    scores: ArrayLike = 1.0 if found.confidence is None else found.confidence
    rows = np.empty((len(boxes), 6))
    rows[:, 0], rows[:, 1:5], rows[:, 5] = frame, boxes, scores
    return rows


def _link_rows(rows: NDArray[Any], config: LinkConfig) -> NDArray[np.int32]:
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise LpwError("boxes", f"an array of shape {rows.shape}", _EXPECTED, "pass (N, 6)")
    rows = as_floats("boxes", rows)
    if not np.isfinite(rows).all() or (rows[:, 0] % 1).any() or (rows[:, 0] < 0).any():
        raise LpwError("boxes", "NaN, infinity or a broken frame number", _EXPECTED, "correct them")
    order = np.argsort(rows[:, 0], kind="stable")
    frame, *numbers = rows[order].T
    columns = [
        pa.array([""] * len(rows)),
        pa.array(frame.astype(np.int32)),
        pa.nulls(len(rows), pa.float64()),
        *(pa.array(column.astype(np.float32)) for column in numbers),
    ]
    tracks = np.empty(len(rows), dtype=np.int32)
    tracks[order] = linker.link(pa.Table.from_arrays(columns, schema=DETECTIONS), config)
    return tracks
