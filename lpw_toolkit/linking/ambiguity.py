"""Where two tracks may have swapped identities: a track that ends beside another makes the other
one ambiguous.

before      A ──────────────────────────      B walks up to A and is no longer
            B ──────────╯                     detected: the one box left over may be
                                              either of them: A is cut where B ends …

after       A ──────────╴╶──────────────      … and the pieces are joined again only
            B ──────────╯                     where one course fits clearly better
                                              than its rivals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.linking.motion import fit_lines, to_corners
from lpw_toolkit.linking.track_table import MIN_ROWS, TrackTable

_REACH = 5  # rows on either side of a fitted line: about a third of a second of video


@dataclass(frozen=True)
class AmbiguityConfig:
    """When a fragment that ends beside another casts doubt on it.

    Attributes:
        iou: overlap of the ended fragment, carried on, with the other's box, from which the two can
            be confused.
        near_iou: overlap from which they always are.
        reach: frames for which the ended fragment is carried on.
        sure_score: the other is in doubt when a box beside the event has less than this.
        front_frac: … or when its foot is above that of the ended one by more than -front_frac of
            the height: the one in front should have stayed visible.
    """

    iou: float
    near_iou: float
    reach: int
    sure_score: float
    front_frac: float


def find_ambiguous_splits(
    course: TrackTable, scores: NDArray[np.float64], doubt: AmbiguityConfig
) -> NDArray[np.intp]:
    """Places in `course` before which a fragment is to be cut, because another one ends or begins
    beside it."""
    value, slope = fit_lines(course.centre, course.step, course.track, _REACH)
    slope[:, 2:] = 0
    foot = value[:, 1] + value[:, 3] / 2
    length = course.last - course.first + 1
    by_step = np.argsort(course.step, kind="stable")
    fragment = np.repeat(np.arange(len(length)), length)
    found = []
    for sign, ends in ((1, course.last), (-1, course.first)):
        ends = ends[length >= MIN_ROWS]
        for offset in range(1, doubt.reach + 1):
            end, other = _pair_at(course, by_step, ends, sign * offset)
            at = course.step[end]
            owner = fragment[other]
            spans = (course.step[course.first[owner]] <= at - (sign < 0)) & (
                course.step[course.last[owner]] >= at + (sign > 0)
            )
            end, other, owner = end[spans], other[spans], owner[spans]
            ghost = to_corners(value[end] + sign * offset * slope[end])
            overlap = geometry.iou_pairs(ghost, to_corners(course.centre[other]))
            close = overlap > doubt.iou
            end, owner, overlap = end[close], owner[close], overlap[close]
            after = _first_after(course, owner, course.step[end] - (sign < 0))
            beside = np.where(sign > 0, after - 1, after)
            height = (value[end, 3] + value[beside, 3]) / 2
            score = np.minimum(scores[course.row[after]], scores[course.row[after - 1]])
            unsure = (score < doubt.sure_score) | (overlap > doubt.near_iou)
            unsure |= foot[end] - foot[beside] > doubt.front_frac * height
            found.append(after[unsure])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.intp)


def _pair_at(
    course: TrackTable, by_step: NDArray[np.intp], ends: NDArray[np.intp], offset: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every end paired with every box that lies `offset` steps from it, both as places in
    `course`."""
    sorted_step = course.step[by_step]
    low = np.searchsorted(sorted_step, course.step[ends] + offset, "left")
    high = np.searchsorted(sorted_step, course.step[ends] + offset, "right")
    count = high - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(ends, count), by_step[np.repeat(low, count) + within]


def _first_after(
    course: TrackTable, fragment: NDArray[np.intp], step: NDArray[np.int64]
) -> NDArray[np.intp]:
    """The place of each fragment's first box later than `step`."""
    width = int(course.step.max(initial=0)) + 2
    number = np.repeat(np.arange(len(course.first)), course.last - course.first + 1)
    return np.searchsorted(number * width + course.step, fragment * width + step, "right")
