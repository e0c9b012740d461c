"""Tracks joined over gaps: motion is carried on from both sides, and only a match without rivals is
taken."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lpw_toolkit.linking.association import UNASSIGNED
from lpw_toolkit.linking.motion import filter_end
from lpw_toolkit.linking.track_table import MIN_ROWS, TrackTable

_END_ROWS = 10  # rows that tell where a fragment is heading
_MISFIT = 9.0  # a cost beyond every threshold
_RIVAL_COST = 3.0  # pairs that miss the tolerance by more than this are no rivals
_FLOOR = 0.1  # below this cost, differences are noise


@dataclass(frozen=True)
class GapJoinConfig:
    """When two fragments are one person.

    Attributes:
        max_gap: steps from the end of one to the start of the other, at most.
        error_frac: tolerated miss of the courses, carried on from either side, in heights.
        size: tolerated logarithm of the ratio of their heights.
        rival: a join is refused unless every other join of either end costs this many times as
            much.
    """

    max_gap: int
    error_frac: float
    size: float
    rival: float


#: Where a fragment is heading at an end, by (sign, first row, last row, number of rows) of the
#: boxes that tell it: kept from one round of joining to the next, since only what was joined
#: changes.
EndStates = dict[tuple[int, int, int, int], NDArray[np.float64]]


def join_over_gaps(
    tracks: NDArray[np.int32], course: TrackTable, bridge: GapJoinConfig, ends: EndStates
) -> NDArray[np.int32]:
    """Track numbers after joining fragments over gaps: the assignment of ends to starts with the
    least total cost."""
    label = np.arange(len(course.first))
    joins = _choose_joins(*_find_joins(course, bridge, ends), bridge.rival)
    for end, start in sorted(joins, key=lambda join: course.step[course.first[join[1]]]):
        label[start] = label[end]
    out = np.full(len(tracks), UNASSIGNED, dtype=np.int32)
    out[course.row] = np.repeat(label, course.last - course.first + 1)
    return out


def _find_joins(
    course: TrackTable, bridge: GapJoinConfig, ends: EndStates
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Fragments i whose end may be joined to the start of fragments j, and the cost; below 1 it is
    within tolerance."""
    long = np.flatnonzero(course.last - course.first + 1 >= MIN_ROWS)
    first_step, last_step = course.step[course.first[long]], course.step[course.last[long]]
    order = np.argsort(first_step, kind="stable")
    low = np.searchsorted(first_step[order], last_step, side="right")
    count = np.searchsorted(first_step[order], last_step + bridge.max_gap, side="right") - low
    nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    i, j = np.repeat(long, count), long[order[np.repeat(low, count) + nth]]
    tail, head = _estimate_ends(course, i, -1, ends), _estimate_ends(course, j, 1, ends)
    dt = (course.step[course.first[j]] - course.step[course.last[i]])[:, None].astype(np.float64)
    height = (tail[:, 4] + head[:, 4]) / 2
    ahead = tail[:, :2] + dt * tail[:, 2:4] - head[:, :2]
    behind = head[:, :2] + dt * head[:, 2:4] - tail[:, :2]
    error = np.sqrt(((ahead**2).sum(axis=1) + (behind**2).sum(axis=1)) / 2) / height
    size = np.abs(np.log(tail[:, 4] / head[:, 4]))
    cost = np.hypot(error / bridge.error_frac, size / bridge.size)
    near = cost < _RIVAL_COST
    return i[near], j[near], cost[near]


def _choose_joins(
    i: NDArray[np.intp], j: NDArray[np.intp], cost: NDArray[np.float64], rival_ratio: float
) -> list[tuple[int, int]]:
    """The joins (end, start) that no rival disputes; groups of fragments without a common rival are
    settled apart."""
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
        rival = (
            np.minimum(others[end].min(axis=1), others[:, start].min(axis=0))
            if len(end)
            else np.zeros(0)
        )
        clear = rival >= (costs[end, start] + _FLOOR) * rival_ratio
        joins += zip(ends[end[clear]].tolist(), starts[start[clear]].tolist(), strict=True)
    return joins


def _estimate_ends(
    course: TrackTable, fragments: NDArray[np.intp], sign: int, ends: EndStates
) -> NDArray[np.float64]:
    """(M, 5): centre x y, velocity x y per step away from the fragment, height; at the start (1) or
    the end (-1)."""
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
