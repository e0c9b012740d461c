"""Boxes of consecutive frames to fragments: assignment by overlap with a constant-velocity
prediction of the next box.

A fragment may miss a frame or two; longer gaps are joined later (`rules/gap_joining.py`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lpw_toolkit import boxes as geometry

UNASSIGNED = -1


class _ActiveTracks:
    """The fragments that may still continue, one row each, oldest first."""

    def __init__(self) -> None:
        self.box = np.zeros((0, 4))
        self.velocity = np.zeros((0, 2))
        self.frame_number = np.zeros(0, dtype=np.int64)
        self.hits = np.zeros(0, dtype=np.int64)
        self.number = np.zeros(0, dtype=np.int32)

    def prune(self, active: NDArray[np.bool_]) -> None:
        """Drops all fragments that are not active."""
        for name, values in list(vars(self).items()):
            setattr(self, name, values[active])

    def predict(self, frame_number: int) -> NDArray[np.float64]:
        """Where the boxes (N, 4) will be at `frame_number`."""
        shift = self.velocity * (frame_number - self.frame_number)[:, None]
        place: NDArray[np.float64] = self.box + np.concatenate([shift, shift], axis=1)
        return place

    def update(
        self, rows: NDArray[np.intp], boxes: NDArray[np.float64], frame_number: int, gain: float
    ) -> None:
        """The fragments `rows` continue with `boxes`; young ones average their velocity, older ones
        weigh the newest displacement with `gain`."""
        if gain > 0:
            moved = (boxes - self.box[rows]) / (frame_number - self.frame_number[rows])[:, None]
            seen = (moved[:, :2] + moved[:, 2:]) / 2
            weight = np.maximum(gain, 1 / (self.hits[rows] + 1.0))[:, None]
            self.velocity[rows] += weight * (seen - self.velocity[rows])
        self.box[rows], self.frame_number[rows] = boxes, frame_number
        self.hits[rows] += 1

    def spawn(self, boxes: NDArray[np.float64], frame_number: int, first: int) -> None:
        """New fragments, numbered from `first`."""
        n = len(boxes)
        self.box = np.concatenate([self.box, boxes])
        self.velocity = np.concatenate([self.velocity, np.zeros((n, 2))])
        self.frame_number = np.concatenate([self.frame_number, np.full(n, frame_number)])
        self.hits = np.concatenate([self.hits, np.zeros(n, dtype=np.int64)])
        self.number = np.concatenate([self.number, np.arange(first, first + n, dtype=np.int32)])


@dataclass(frozen=True)
class AssociationConfig:
    """When a box continues a fragment.

    Attributes:
        iou: overlap that a pair needs, above 0.
        greedy: largest overlap first, instead of the largest sum.
        max_gap: frames from one box of a fragment to the next, at most.
        velocity_gain: 0 compares with the last box as it is; else the weight of the newest
            displacement.
        margin: a pair is refused when a rival overlaps within this of it, on either side.
    """

    iou: float
    greedy: bool = False
    max_gap: int = 1
    velocity_gain: float = 0.0
    margin: float = 0.0


def associate_frames(
    boxes: NDArray[np.float64],
    frame_number: NDArray[np.int64],
    config: AssociationConfig,
    advance: Callable[[int], None] = lambda n_boxes: None,
) -> NDArray[np.int32]:
    """Fragment number (N,) of every box, UNASSIGNED for one that two fragments match about equally.

    Args:
        boxes: (N, 4), sorted by frame.
        frame_number: (N,) ascending; neighbouring numbers are consecutive frames.
        advance: called with the number of boxes of every frame that is done.
    """
    out = np.full(len(boxes), UNASSIGNED, dtype=np.int32)
    active, n_started = _ActiveTracks(), 0
    for start, stop in iter_equal(frame_number):
        now, found = int(frame_number[start]), boxes[start:stop]
        active.prune(now - active.frame_number <= config.max_gap)
        overlap = geometry.iou(active.predict(now), found)
        i, j = assign(overlap, config.iou, greedy=config.greedy)
        free = np.ones(stop - start, dtype=bool)
        free[j] = False  # what two fragments match about equally starts no third one
        if config.margin > 0 and len(i):
            # For every chosen pair the largest other overlap of its fragment or of its box.
            others = overlap.copy()
            others[i, j] = 0.0
            best: NDArray[np.float64] = np.maximum(others[i].max(axis=1), others[:, j].max(axis=0))
            clear = overlap[i, j] - best >= config.margin
            i, j = i[clear], j[clear]
        out[start + j] = active.number[i]
        active.update(i, found[j], now, config.velocity_gain)
        fresh = np.flatnonzero(free)
        out[start + fresh] = n_started + np.arange(len(fresh))
        active.spawn(found[fresh], now, n_started)
        n_started += len(fresh)
        advance(stop - start)
    return out


def assign(
    overlap: NDArray[np.float64], at_least: float, *, greedy: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pairs chosen from `overlap` (N, M), each used once, none below
    `at_least`."""
    allowed = np.where(overlap >= at_least, overlap, 0.0)
    if not greedy:
        i, j = linear_sum_assignment(allowed, maximize=True)
        real = allowed[i, j] > 0
        return i[real], j[real]
    pairs: list[tuple[int, int]] = []
    used_i, used_j = np.zeros(len(allowed), dtype=bool), np.zeros(allowed.shape[1], dtype=bool)
    rows, columns = np.nonzero(allowed)
    for k in np.argsort(-allowed[rows, columns], kind="stable"):
        if not used_i[rows[k]] and not used_j[columns[k]]:
            used_i[rows[k]] = used_j[columns[k]] = True
            pairs.append((rows[k], columns[k]))
    chosen = np.array(sorted(pairs), dtype=np.intp).reshape(-1, 2)
    return chosen[:, 0], chosen[:, 1]


def iter_equal(values: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of equal neighbours."""
    if len(values):
        borders = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
        yield from pairwise(borders)
