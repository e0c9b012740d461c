"""Box signals: measures of each frame of each tracklet from boxes alone, without images."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.cleaning.suggest.missed_persons import find_occluded
from lpw_toolkit.dataset.tables import boxes_of, to_integers
from lpw_toolkit.linking.motion import fit_lines, to_centres

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REACH = 5  # rows on either side that say where a box should be
_SAME_IOU = 0.5  # a raw box that overlaps a refined one so much may be what it was refined from
_BORDER_FRAC = (
    0.01  # of the frame's width or height: nearer than this a box ends where the picture does
)
_N_ROUNDS = 8  # of the robust fit of the heights
_MIN_STEP = 1e-6
_WIDE = 0.3  # logarithm of width over height above what is usual: certainly more than one person


@dataclass(frozen=True)
class VideoBoxes:
    """The boxes of one video's tracklets, sorted by (tracklet, frame).

    Attributes:
        frame_index: (N,) 0-based.
        tracklet: (N,) number of its tracklet.
        boxes: (N, 4) refined boxes, source pixels, half-open.
        score: (N,) of the detector, 0 to 1.
        detections: all raw boxes of the video (schema.DETECTIONS); None where they are not known.
        frame_px: width and height of the frames; None where they are not known.
    """

    frame_index: Ints
    tracklet: Ints
    boxes: Floats
    score: Floats
    detections: pa.Table | None
    frame_px: tuple[int, int] | None


@dataclass(frozen=True)
class BoxSignals:
    """One value for each row of a VideoBoxes.

    Attributes:
        centre: (N, 4) centre x, centre y, width, height of the raw box behind it, or of the box
            itself.
        jump: how far the box lies from where its neighbours have it, in heights.
        shape: how much its width or height differs from theirs, as a logarithm.
        missing: frames without a box before it.
        overlap: IoU with the nearest other tracklet of the frame.
        unlinked: IoU with the nearest raw box of the frame that belongs to no tracklet; NaN where
            those are not known.
        border: 1 where the box ends with the picture, else 0; NaN where the size of the picture is
            not known.
        weak: share of the video's boxes that have a better score.
        size: logarithm of its height against what is usual at this place of the picture.
        occluded: how sure it is that somebody else stands there who has no box of his own, 0 to 1.
    """

    centre: Floats
    jump: Floats
    shape: Floats
    missing: Floats
    overlap: Floats
    unlinked: Floats
    border: Floats
    weak: Floats
    size: Floats
    occluded: Floats

    @cached_property
    def unseen(self) -> Floats:
        """How sure it is that a person of no tracklet stands there (N,), 0 to 1: a missed
        person, or an unlinked detection."""
        return np.maximum(self.occluded, ramp(np.nan_to_num(self.unlinked), 0.15, 0.45))

    @cached_property
    def near(self) -> Floats:
        """How near somebody else is (N,), 0 to 1: `unseen`, or another tracklet."""
        return np.maximum(ramp(self.overlap, 0.1, 0.4), self.unseen)

    @cached_property
    def wide(self) -> Floats:
        """How much wider the box is for its height than is usual in the video (N,), 0 to 1."""
        shape = np.log(self.centre[:, 2] / self.centre[:, 3])
        return ramp(shape - np.median(shape), 0, _WIDE)


def ramp(values: Floats, low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high`, a line between; NaN stays."""
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))


def measure_boxes(video: VideoBoxes) -> BoxSignals:
    """Every signal of every row."""
    raw, unlinked = _compare_raw(video)
    centre = to_centres(raw)
    centre[:, 2:] = np.maximum(centre[:, 2:], 1.0)
    value, _ = fit_lines(centre, video.frame_index, video.tracklet, _REACH, leave_out=True)
    follows = np.diff(video.tracklet, prepend=-1) == 0
    ranks = np.searchsorted(np.sort(video.score), video.score, side="right") / max(
        len(video.score), 1
    )
    return BoxSignals(
        centre=centre,
        jump=np.hypot(*(centre[:, :2] - value[:, :2]).T) / centre[:, 3],
        shape=np.abs(np.log(centre[:, 2:] / np.maximum(value[:, 2:], 1.0))).max(
            axis=1, initial=0.0
        ),
        missing=np.where(follows, np.diff(video.frame_index, prepend=0) - 1, 0).astype(np.float64),
        overlap=_find_overlap(video),
        unlinked=unlinked,
        border=_find_border(video),
        weak=1 - ranks,
        size=_compare_sizes(centre),
        occluded=find_occluded(video.frame_index, video.tracklet, centre),
    )


def iter_frames(frame_index: Ints) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each frame with its rows."""
    by_frame = np.argsort(frame_index, kind="stable")
    borders = np.flatnonzero(np.diff(frame_index[by_frame])) + 1
    for rows in np.split(by_frame, borders) if len(by_frame) else []:
        yield int(frame_index[rows[0]]), rows


def _find_overlap(video: VideoBoxes) -> Floats:
    found = np.zeros(len(video.boxes))
    for _, rows in iter_frames(video.frame_index):
        if len(rows) > 1:
            overlap = geometry.iou(video.boxes[rows], video.boxes[rows])
            np.fill_diagonal(overlap, 0)
            found[rows] = overlap.max(axis=1)
    return found


def _compare_raw(video: VideoBoxes) -> tuple[Floats, Floats]:
    """The raw box (N, 4) behind each row, and its IoU (N,) with the nearest raw box that belongs to
    no tracklet."""
    raw, unlinked = video.boxes.copy(), np.full(len(video.boxes), np.nan)
    if video.detections is None:
        return raw, unlinked
    unlinked[:] = 0
    found, index = (
        boxes_of(video.detections),
        to_integers(video.detections, "frame_index").astype(np.int64),
    )
    by_frame = np.argsort(index, kind="stable")
    index = index[by_frame]
    for frame, rows in iter_frames(video.frame_index):
        start, stop = np.searchsorted(index, [frame, frame + 1])
        here = found[by_frame[start:stop]]
        if not len(here):
            continue
        overlap = geometry.iou(video.boxes[rows], here)
        best = overlap.argmax(axis=1)
        own = overlap[np.arange(len(rows)), best] >= _SAME_IOU
        raw[rows[own]] = here[best[own]]
        free = np.ones(len(here), dtype=bool)
        free[best[own]] = False
        if free.any():
            unlinked[rows] = geometry.iou(raw[rows], here[free]).max(axis=1)
    return raw, unlinked


def _find_border(video: VideoBoxes) -> Floats:
    if video.frame_px is None:
        return np.full(len(video.boxes), np.nan)
    size = np.array(video.frame_px, dtype=np.float64)
    margin = _BORDER_FRAC * size
    cut = (video.boxes[:, :2] <= margin).any(axis=1) | (video.boxes[:, 2:] >= size - margin).any(
        axis=1
    )
    return np.asarray(cut, dtype=np.float64)


def _compare_sizes(centre: Floats) -> Floats:
    """People's heights grow with the place of their feet: a line through most of them, and how far
    each is off it."""
    height, foot = centre[:, 3], centre[:, 1] + centre[:, 3] / 2
    if not len(height):
        return np.zeros(0)
    inputs = np.stack([np.ones_like(foot), foot / np.abs(foot).max(initial=1.0)], axis=1)
    weight = np.ones_like(foot)
    expected = np.full_like(foot, np.median(height))
    for _ in range(_N_ROUNDS):
        line = np.linalg.lstsq(inputs * weight[:, None], height * weight, rcond=None)[0]
        expected = np.maximum(inputs @ line, 0.2 * np.median(height))
        weight = 1 / np.sqrt(
            np.maximum(np.abs(height - expected), 0.01 * np.median(height) + _MIN_STEP)
        )
    return np.asarray(np.log(height / expected))
