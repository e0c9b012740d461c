"""Joins tracks over gaps: motion is extrapolated from both sides, and only unambiguous joins are
made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lpw_toolkit.dataset.ranges import ragged_arange
from lpw_toolkit.linking.association import UNASSIGNED
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.motion import filter_end
from lpw_toolkit.linking.rule import Segment
from lpw_toolkit.linking.track_table import MIN_ROWS, TrackTable

ORDER = 20
Settings = LinkConfig
_END_ROWS = 10  # rows that tell where a fragment is heading
_MISFIT = 9.0  # a cost beyond every threshold
_RIVAL_COST = 3.0  # pairs that exceed the tolerance by more than this are no rivals
_FLOOR = 0.1  # below this cost, differences are noise
_ROUNDS = (2, 5, 10, 20)  # frames


@dataclass(frozen=True)
class GapJoinConfig:
    """When two fragments are one person.

    Attributes:
        max_gap: frames from the end of one to the start of the other, at most.
        error: tolerated error of the positions, extrapolated from either side, in person heights.
        size_error: tolerated logarithm of the ratio of their heights.
        rival_ratio: a join is refused unless every other join of either end costs this many times
            as much.
    """

    max_gap: int
    error: float
    size_error: float
    rival_ratio: float


#: Where a fragment is heading at an end, by (sign, first row, last row, number of rows) of the
#: boxes that tell it: kept from one round of joining to the next, since only what was joined
#: changes.
EndStates = dict[tuple[int, int, int, int], NDArray[np.float64]]


def apply(tracks: NDArray[np.int32], segment: Segment, settings: LinkConfig) -> NDArray[np.int32]:
    """Joins over gaps up to `max_gap`, at once or in rounds of growing gaps."""
    if not settings.cuts and settings.max_gap == 1:
        return tracks
    ends: EndStates = {}
    rounds = _ROUNDS if settings.gap_in_rounds else ()
    for gap in [*(gap for gap in rounds if gap < settings.max_gap), settings.max_gap]:
        config = GapJoinConfig(
            gap, settings.gap_error, settings.gap_size_error, settings.gap_rival_ratio
        )
        tracks = join_over_gaps(tracks, segment.table(tracks), config, ends)
    return tracks


def join_over_gaps(
    tracks: NDArray[np.int32], table: TrackTable, config: GapJoinConfig, ends: EndStates
) -> NDArray[np.int32]:
    """Track numbers after joining fragments over gaps: the assignment of ends to starts with the
    least total cost."""
    label = np.arange(len(table.first))
    joins = _choose_joins(*_find_joins(table, config, ends), config.rival_ratio)
    for end, start in sorted(joins, key=lambda join: table.frame_number[table.first[join[1]]]):
        label[start] = label[end]
    out = np.full(len(tracks), UNASSIGNED, dtype=np.int32)
    out[table.row] = np.repeat(label, table.last - table.first + 1)
    return out


def _find_joins(
    table: TrackTable, config: GapJoinConfig, ends: EndStates
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Fragments i whose end may be joined to the start of fragments j, and the cost; below 1 it is
    within tolerance."""
    long = np.flatnonzero(table.last - table.first + 1 >= MIN_ROWS)
    first_frame, last_frame = (
        table.frame_number[table.first[long]],
        table.frame_number[table.last[long]],
    )
    order = np.argsort(first_frame, kind="stable")
    low = np.searchsorted(first_frame[order], last_frame, side="right")
    count = np.searchsorted(first_frame[order], last_frame + config.max_gap, side="right") - low
    nth = ragged_arange(count)
    i, j = np.repeat(long, count), long[order[np.repeat(low, count) + nth]]
    tail, head = _estimate_ends(table, i, -1, ends), _estimate_ends(table, j, 1, ends)
    dt = (table.frame_number[table.first[j]] - table.frame_number[table.last[i]])[:, None].astype(
        np.float64
    )
    height = (tail[:, 4] + head[:, 4]) / 2
    ahead = tail[:, :2] + dt * tail[:, 2:4] - head[:, :2]
    behind = head[:, :2] + dt * head[:, 2:4] - tail[:, :2]
    error = np.sqrt(((ahead**2).sum(axis=1) + (behind**2).sum(axis=1)) / 2) / height
    size = np.abs(np.log(tail[:, 4] / head[:, 4]))
    cost = np.hypot(error / config.error, size / config.size_error)
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
    table: TrackTable, fragments: NDArray[np.intp], sign: int, ends: EndStates
) -> NDArray[np.float64]:
    """(M, 5): centre x y, velocity x y per frame away from the fragment, height; at the start (1)
    or the end (-1)."""
    wanted, back = np.unique(fragments, return_inverse=True)
    out = np.zeros((len(wanted), 5))
    for k, f in enumerate(wanted):
        first, last = table.first[f], table.last[f]
        if sign > 0:
            rows = np.arange(min(first + _END_ROWS, last + 1) - 1, first - 1, -1)
        else:
            rows = np.arange(max(last + 1 - _END_ROWS, first), last + 1)
        key = sign, int(table.row[rows[0]]), int(table.row[rows[-1]]), len(rows)
        if key not in ends:
            height = float(np.median(table.centre[rows, 3]))
            place, velocity = filter_end(table.centre[rows, :2] / height, table.frame_number[rows])
            ends[key] = np.array([*(place * height), *(velocity * height), height])
        out[k] = ends[key]
    return out[back]
