"""Fragments of tracks: cut where identity is in doubt, join over gaps where it is not, take odd boxes out.

before      A ──────────────────────────      B walks up to A and is no longer detected: the one box left over may
            B ──────────╯                     be either of them, so A is cut where B ends …

after       A ──────────╴╶──────────────      … and the pieces are joined again only where one course fits clearly
            B ──────────╯                     better than its rivals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lpw_toolkit import boxes as geometry
from lpw_toolkit.linking.association import LOOSE
from lpw_toolkit.linking.motion import filter_end, fit_lines, to_centres, to_corners

_REACH = 5  # rows on either side of a fitted line: about a third of a second of video
_END_ROWS = 10  # rows that tell where a fragment is heading
_MIN_ROWS = 3  # fewer tell no direction
_MISFIT = 9.0  # a cost beyond every threshold
_RIVAL_COST = 3.0  # pairs that miss the tolerance by more than this are no rivals
_MIN_TOLD = 200  # boxes that tell how well a detector's boxes sit
_FLOOR = 0.1  # below this cost, differences are noise


@dataclass(frozen=True)
class Course:
    """The linked boxes of one segment, sorted by (fragment, step).

    Attributes:
        row: (N,) row of each in the segment's boxes.
        track: (N,) its fragment.
        step: (N,) its frame.
        centre: (N, 4) centre x, centre y, width, height.
        first, last: (F,) places of each fragment's first and last box.
    """

    row: NDArray[np.intp]
    track: NDArray[np.int64]
    step: NDArray[np.int64]
    centre: NDArray[np.float64]
    first: NDArray[np.intp]
    last: NDArray[np.intp]


def sort_course(tracks: NDArray[np.int32], boxes: NDArray[np.float64], step: NDArray[np.int64]) -> Course:
    """The Course of the boxes whose track is not LOOSE."""
    row = np.flatnonzero(tracks != LOOSE)
    row = row[np.lexsort((step[row], tracks[row]))]
    track = tracks[row].astype(np.int64)
    border = np.flatnonzero(np.diff(track))
    ends = np.array([len(row) - 1] if len(row) else [], dtype=np.intp)
    starts = np.array([0] if len(row) else [], dtype=np.intp)
    return Course(
        row, track, step[row], to_centres(boxes[row]), np.concatenate([starts, border + 1]), np.append(border, ends)
    )


def recut(
    tracks: NDArray[np.int32],
    step: NDArray[np.int64],
    *,
    max_gap: int,
    min_length: int,
    cut_before: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """New track numbers: cut at gaps above `max_gap` and before marked rows, what is then too short becomes LOOSE."""
    out = np.full(len(tracks), LOOSE, dtype=np.int32)
    row = np.flatnonzero(tracks != LOOSE)
    row = row[np.lexsort((step[row], tracks[row]))]
    if not len(row):
        return out
    border = (np.diff(tracks[row]) != 0) | (np.diff(step[row]) > max_gap)
    if cut_before is not None:
        border |= cut_before[row][1:]
    piece = np.concatenate([[0], np.cumsum(border)])
    long = np.bincount(piece)[piece] >= min_length
    out[row[long]] = piece[long]
    return out


@dataclass(frozen=True)
class Doubt:
    """When a fragment that ends beside another casts doubt on it.

    Attributes:
        iou: overlap of the ended fragment, carried on, with the other's box, from which the two can be confused.
        near_iou: overlap from which they always are.
        reach: frames for which the ended fragment is carried on.
        sure_score: the other is in doubt when a box beside the event has less than this.
        front_frac: … or when its foot is above that of the ended one by more than -front_frac of the height: the one in
            front should have stayed visible.
    """

    iou: float
    near_iou: float
    reach: int
    sure_score: float
    front_frac: float


def find_doubts(course: Course, scores: NDArray[np.float64], doubt: Doubt) -> NDArray[np.intp]:
    """Places in `course` before which a fragment is to be cut, because another one ends or begins beside it."""
    value, slope = fit_lines(course.centre, course.step, course.track, _REACH)
    slope[:, 2:] = 0
    foot = value[:, 1] + value[:, 3] / 2
    length = course.last - course.first + 1
    by_step = np.argsort(course.step, kind="stable")
    fragment = np.repeat(np.arange(len(length)), length)
    found = []
    for sign, ends in ((1, course.last), (-1, course.first)):
        ends = ends[length >= _MIN_ROWS]
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
    course: Course, by_step: NDArray[np.intp], ends: NDArray[np.intp], offset: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every end paired with every box that lies `offset` steps from it, both as places in `course`."""
    sorted_step = course.step[by_step]
    low = np.searchsorted(sorted_step, course.step[ends] + offset, "left")
    high = np.searchsorted(sorted_step, course.step[ends] + offset, "right")
    count = high - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(ends, count), by_step[np.repeat(low, count) + within]


def _first_after(course: Course, fragment: NDArray[np.intp], step: NDArray[np.int64]) -> NDArray[np.intp]:
    """The place of each fragment's first box later than `step`."""
    width = int(course.step.max(initial=0)) + 2
    number = np.repeat(np.arange(len(course.first)), course.last - course.first + 1)
    return np.searchsorted(number * width + course.step, fragment * width + step, "right")


@dataclass(frozen=True)
class Bridge:
    """When two fragments are one person.

    Attributes:
        max_gap: steps from the end of one to the start of the other, at most.
        error_frac: tolerated miss of the courses, carried on from either side, in heights.
        size: tolerated logarithm of the ratio of their heights.
        rival: a join is refused unless every other join of either end costs this many times as much.
    """

    max_gap: int
    error_frac: float
    size: float
    rival: float


#: Where a fragment is heading at an end, by (sign, first row, last row, number of rows) of the boxes that tell it: kept
#: from one round of joining to the next, since only what was joined changes.
Ends = dict[tuple[int, int, int, int], NDArray[np.float64]]


def join_fragments(tracks: NDArray[np.int32], course: Course, bridge: Bridge, ends: Ends) -> NDArray[np.int32]:
    """Track numbers after joining fragments over gaps: the assignment of ends to starts with the least total cost."""
    label = np.arange(len(course.first))
    joins = _choose_bridges(*_find_bridges(course, bridge, ends), bridge.rival)
    for end, start in sorted(joins, key=lambda join: course.step[course.first[join[1]]]):
        label[start] = label[end]
    out = np.full(len(tracks), LOOSE, dtype=np.int32)
    out[course.row] = np.repeat(label, course.last - course.first + 1)
    return out


def _find_bridges(
    course: Course, bridge: Bridge, ends: Ends
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Fragments i whose end may be joined to the start of fragments j, and the cost; below 1 it is within tolerance."""
    long = np.flatnonzero(course.last - course.first + 1 >= _MIN_ROWS)
    first_step, last_step = course.step[course.first[long]], course.step[course.last[long]]
    order = np.argsort(first_step, kind="stable")
    low = np.searchsorted(first_step[order], last_step, side="right")
    count = np.searchsorted(first_step[order], last_step + bridge.max_gap, side="right") - low
    nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    i, j = np.repeat(long, count), long[order[np.repeat(low, count) + nth]]
    tail, head = _look_ahead(course, i, -1, ends), _look_ahead(course, j, 1, ends)
    dt = (course.step[course.first[j]] - course.step[course.last[i]])[:, None].astype(np.float64)
    height = (tail[:, 4] + head[:, 4]) / 2
    ahead = tail[:, :2] + dt * tail[:, 2:4] - head[:, :2]
    behind = head[:, :2] + dt * head[:, 2:4] - tail[:, :2]
    error = np.sqrt(((ahead**2).sum(axis=1) + (behind**2).sum(axis=1)) / 2) / height
    size = np.abs(np.log(tail[:, 4] / head[:, 4]))
    cost = np.hypot(error / bridge.error_frac, size / bridge.size)
    near = cost < _RIVAL_COST
    return i[near], j[near], cost[near]


def _choose_bridges(
    i: NDArray[np.intp], j: NDArray[np.intp], cost: NDArray[np.float64], rival_ratio: float
) -> list[tuple[int, int]]:
    """The joins (end, start) that no rival disputes; groups of fragments without a common rival are settled apart."""
    joins: list[tuple[int, int]] = []
    n = int(max(i.max(initial=-1), j.max(initial=-1))) + 1
    graph = coo_array((np.ones(len(i)), (i, n + j)), shape=(2 * n, 2 * n))
    group = connected_components(graph, directed=False)[1][i] if len(i) else i
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(i) else []:
        ends, at = np.unique(i[rows], return_inverse=True)
        starts, to = np.unique(j[rows], return_inverse=True)
        costs = np.full((len(ends), len(starts)), _MISFIT)
        costs[at, to] = cost[rows]
        end, start = linear_sum_assignment(np.where(costs < 1, costs, _MISFIT))
        real = costs[end, start] < 1
        end, start = end[real], start[real]
        others = costs.copy()
        others[end, start] = _MISFIT
        rival = np.minimum(others[end].min(axis=1), others[:, start].min(axis=0)) if len(end) else np.zeros(0)
        clear = rival >= (costs[end, start] + _FLOOR) * rival_ratio
        joins += zip(ends[end[clear]].tolist(), starts[start[clear]].tolist(), strict=True)
    return joins


def _look_ahead(course: Course, fragments: NDArray[np.intp], sign: int, ends: Ends) -> NDArray[np.float64]:
    """(M, 5): centre x y, velocity x y per step away from the fragment, height; at the start (1) or the end (-1)."""
    wanted, back = np.unique(fragments, return_inverse=True)
    out = np.zeros((len(wanted), 5))
    for k, f in enumerate(wanted):
        first, last = course.first[f], course.last[f]
        if sign > 0:
            rows = np.arange(min(first + _END_ROWS, last + 1) - 1, first - 1, -1)
        else:
            rows = np.arange(max(last + 1 - _END_ROWS, first), last + 1)
        key = sign, int(course.row[rows[0]]), int(course.row[rows[-1]]), len(rows)
        if key not in ends:
            height = float(np.median(course.centre[rows, 3]))
            place, velocity = filter_end(course.centre[rows, :2] / height, course.step[rows])
            ends[key] = np.array([*(place * height), *(velocity * height), height])
        out[k] = ends[key]
    return out[back]


def find_outliers(course: Course, min_iou: float) -> NDArray[np.bool_]:
    """(N,) boxes that overlap the line through their neighbours by less than `min_iou`."""
    value, _ = fit_lines(course.centre, course.step, course.track, _MIN_ROWS, leave_out=True)
    return geometry.iou_pairs(to_corners(value), to_corners(course.centre)) < min_iou


def measure_tremble(course: Course) -> float:
    """How far heights are off the line through their neighbours: the median absolute logarithm of the ratio.

    With fewer than _MIN_TOLD boxes nothing is told: infinite.
    """
    if len(course.row) < _MIN_TOLD:
        return float("inf")
    value, _ = fit_lines(course.centre, course.step, course.track, _MIN_ROWS + 2, leave_out=True)
    return float(np.median(np.abs(np.log(np.maximum(course.centre[:, 3], 1) / np.maximum(value[:, 3], 1)))))


def find_weak_ends(course: Course, scores: NDArray[np.float64], min_score: float) -> NDArray[np.bool_]:
    """(N,) boxes before the first and after the last one of their track that reaches `min_score`."""
    strong = scores[course.row] >= min_score
    length = course.last - course.first + 1
    count = np.cumsum(strong)
    before: NDArray[np.intp] = np.repeat(count[course.first] - strong[course.first], length)
    total = np.repeat(count[course.last], length)
    weak: NDArray[np.bool_] = (count == before) | ((count == total) & ~strong)
    return weak


def mean_scores(course: Course, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the mean score of each box's track."""
    length = course.last - course.first + 1
    if not len(length):
        return np.zeros(0)
    return np.repeat(np.add.reduceat(scores[course.row], course.first) / length, length)
