"""Detections of one video to tracklets: a pure function."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lpw_toolkit import boxes as geometry
from lpw_toolkit.errors import LpwError
from lpw_toolkit.mot import box_array

Assignment = Literal["optimal", "greedy"]
LOOSE = -1


def _check_range(name: str, value: float, low: float, high: float, *, open_below: bool = False) -> None:
    if not (low <= value <= high) or (open_below and value == low):
        bounds = f"{'above' if open_below else 'from'} {low} to {high}"
        raise LpwError(f"option --{name}", f"{value}", bounds, "correct it")


@dataclass(frozen=True)
class LinkConfig:
    """How boxes become tracklets.

    Attributes:
        iou: two boxes of consecutive frames belong together at this overlap or more, above 0 and at most 1.
        assignment: `optimal` (largest sum of overlaps, Hungarian) or `greedy` (largest overlap first).
        min_score: detections below it do not exist for linking, 0 to 1.
        min_length: tracklets with fewer boxes are dissolved, at least 1.
        max_gap: frames from one box of a tracklet to the next, at most; 1 = no frame may be missing.
    """

    iou: float = 0.3
    assignment: Assignment = "optimal"
    min_score: float = 0.0
    min_length: int = 1
    max_gap: int = 1

    def __post_init__(self) -> None:
        _check_range("iou", self.iou, 0, 1, open_below=True)
        _check_range("min-score", self.min_score, 0, 1)
        _check_range("min-length", self.min_length, 1, 10**6)
        _check_range("max-gap", self.max_gap, 1, 10**6)
        if self.assignment not in ("optimal", "greedy"):
            raise LpwError("assignment", repr(self.assignment), "optimal or greedy", "choose one of the two")


PRESETS = {"default": LinkConfig(min_score=0.6, min_length=10), "paper": LinkConfig()}


def link(detections: pa.Table, config: LinkConfig, timeline: pa.Table | None = None) -> NDArray[np.int32]:
    """One track number (N,) per row of `detections`, -1 = in no tracklet."""
    frame = detections["frame_index"].to_numpy()
    step, segment = number_frames(frame, timeline)
    rows = np.flatnonzero((step >= 0) & (detections["score"].to_numpy() >= np.float32(config.min_score)))
    tracks = np.full(len(frame), LOOSE, dtype=np.int32)
    if len(rows):
        tracks[rows] = _link_steps(box_array(detections)[rows], step[rows], segment[rows], config)
    return _number_tracks(tracks, config.min_length)


def number_frames(
    frame: NDArray[np.int32], timeline: pa.Table | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if timeline is None:
        return frame.astype(np.int64), np.zeros(len(frame), np.int64)
    kept = timeline.filter(np.logical_not(timeline["duplicate"].to_numpy(zero_copy_only=False)))
    index = kept["frame_index"].to_numpy()
    place = np.searchsorted(index, frame)
    known = (place < len(index)) & (index[np.minimum(place, len(index) - 1)] == frame)
    segment = kept["segment"].to_numpy()[np.minimum(place, len(index) - 1)].astype(np.int64)
    return np.where(known, place, -1), segment


def _link_steps(boxes, step, segment, config):
    tracks = np.full(len(boxes), LOOSE, np.int32)
    borders = np.flatnonzero(np.diff(step)) + 1
    starts = [0, *borders.tolist()]
    stops = [*borders.tolist(), len(boxes)]
    n = 0
    previous = None
    for a, b in zip(starts, stops, strict=True):
        if previous and step[a] - step[previous[0]] <= 1 and segment[a] == segment[previous[0]]:
            p, q = previous
            overlap = geometry.iou(boxes[p:q], boxes[a:b])
            overlap[overlap < config.iou] = 0
            i, j = linear_sum_assignment(overlap, maximize=True)
            ok = overlap[i, j] > 0
            tracks[a + j[ok]] = tracks[p + i[ok]]
        new = np.flatnonzero(tracks[a:b] < 0)
        tracks[a + new] = n + np.arange(len(new))
        n += len(new)
        previous = (a, b)
    return tracks


def _number_tracks(tracks: NDArray[np.int32], min_length: int) -> NDArray[np.int32]:
    linked = np.flatnonzero(tracks >= 0)
    ids, first, inverse, counts = np.unique(tracks[linked], return_index=True, return_inverse=True, return_counts=True)
    number = np.full(len(ids), LOOSE, np.int32)
    kept = np.flatnonzero(counts >= min_length)
    number[kept[np.argsort(first[kept])]] = np.arange(len(kept))
    out = np.full(len(tracks), LOOSE, np.int32)
    out[linked] = number[inverse]
    return out
