"""Predicts missed persons: their motion is extrapolated past the ends of tracklets and across gaps.

A ────────────────────────────      A and B walk side by side; for a while the detector
B ─────────┄┄┄┄┄┄┄────────────      has one box for both: A alone does not tell whose.
"""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.boxes import iter_shared_frames
from lpw_toolkit.dataset.ranges import ragged_arange
from lpw_toolkit.linking.motion import fit_lines, to_corners

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REACH = 5  # rows that tell where somebody is heading
_CARRY = 24  # frames past an end
_FADE = 12.0  # frames after which a guess past an end counts 1/e
_MAX_GAP = 60  # frames: across a longer gap nobody knows the way
_BESIDE_IOU, _SAME_IOU = 0.2, 0.6  # overlaps from which a missed person counts at all, and fully


def find_occluded(frame_index: Ints, tracklet: Ints, centre: Floats) -> Floats:
    """How sure it is that somebody else, without a box, stands in each box: (N,), 0 to 1.

    A missed person counts for a tracklet only if both have been seen in one frame: then they are
    two people for certain, and not two pieces of one.

    Args:
        frame_index, tracklet: (N,), sorted by (tracklet, frame).
        centre: (N, 4) centre x, centre y, width, height.
    """
    occluded = np.zeros(len(tracklet))
    owner, at, missed, weight = _make_missed(frame_index, tracklet, centre)
    met = _find_meetings(frame_index, tracklet)
    boxes, n = to_corners(centre), int(tracklet.max(initial=-1)) + 1
    for here, rows in iter_shared_frames(frame_index, at):
        overlap = geometry.iou(boxes[here], missed[rows])
        sure = np.clip((overlap - _BESIDE_IOU) / (_SAME_IOU - _BESIDE_IOU), 0, 1) * weight[rows]
        a, b = np.nonzero(sure)
        known = np.isin(tracklet[here[a]] * n + owner[rows[b]], met)
        np.maximum.at(occluded, here[a[known]], sure[a[known], b[known]])
    return occluded


def _find_meetings(frame_index: Ints, tracklet: Ints) -> Ints:
    """Codes a * n + b of all pairs of tracklets with a frame in common, sorted."""
    n = int(tracklet.max(initial=-1)) + 1
    together = (tracklet[rows] for rows, _ in iter_shared_frames(frame_index, frame_index))
    codes = [(mine[:, None] * n + mine).ravel() for mine in together]
    return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *codes]))


def _make_missed(
    frame_index: Ints, tracklet: Ints, centre: Floats
) -> tuple[Ints, Ints, Floats, Floats]:
    """Owner (G,), frame (G,), box (G, 4) and weight (G,) of everybody where they have no box."""
    value, slope = fit_lines(centre, frame_index, tracklet, _REACH)
    slope[:, 2:] = 0
    first = np.flatnonzero(np.diff(tracklet, prepend=-1))
    last = np.append(first[1:], len(tracklet))[: len(first)] - 1
    steps = np.arange(1, _CARRY + 1)
    parts = []
    for ends, sign in ((first, -1), (last, 1)):
        rows, dt = np.repeat(ends, _CARRY), np.tile(steps, len(ends))
        place = value[rows] + (sign * dt)[:, None] * slope[rows]
        parts.append((tracklet[rows], frame_index[rows] + sign * dt, place, np.exp(-dt / _FADE)))
    gap = np.where(np.diff(tracklet, prepend=-1) == 0, np.diff(frame_index, prepend=0) - 1, 0)
    gap[gap > _MAX_GAP] = 0
    rows = np.repeat(np.arange(len(gap)), gap)
    nth = ragged_arange(gap) + 1
    share = (nth / (gap[rows] + 1))[:, None]
    place = (1 - share) * centre[rows - 1] + share * centre[rows]
    parts.append((tracklet[rows], frame_index[rows - 1] + nth, place, np.ones(len(rows))))
    owner, at, place, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    return owner, at, to_corners(place), weight
