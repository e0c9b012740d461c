"""Merges pieces into one tracklet: fragments of one walk through one video.

A merge joins the end of each piece with the beginning of the next in time. Where a piece was cut
since, its first or last part is the one that adjoins; so neither undoes the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.conflicts import Conflict, make_conflict
from lpw_toolkit.cleaning.state.resolve import REJECTED, PieceState
from lpw_toolkit.files.listing import natural_key


@dataclass(frozen=True)
class Merge:
    """A merge decision, and for each piece that it names the pieces this one consists of now, in
    order."""

    decision: Decision
    parts: Sequence[Sequence[PieceState]]


@dataclass(frozen=True)
class Joined:
    """The result of all merges.

    Attributes:
        members: the pieces of each merged tracklet in temporal order, by the name of the first;
            only those of several.
        conflicts: merges that cannot be.
        decisions: those that made each merged tracklet, by its name.
    """

    members: dict[str, tuple[str, ...]]
    conflicts: list[Conflict]
    decisions: dict[str, list[Decision]]

    def leaders(self) -> dict[str, str]:
        """For every piece that is merged, the name of its merged tracklet."""
        return {name: first for first, names in self.members.items() for name in names}


def join_pieces(base: Base, merges: Sequence[Merge]) -> Joined:
    """Joins pieces of one video that share no frame; a group in which any do is not joined at all,
    and named."""
    sets, states, conflicts = DisjointSet(), dict[str, PieceState](), []
    held: list[tuple[Merge, str]] = []
    for merge in merges:
        # By frame number, or in the order in which they were named where any number is unknown.
        known = all(base.frame_numbers(part[0].piece.tracklet) is not None for part in merge.parts)
        ends = (
            sorted(merge.parts, key=lambda part: time_key(base, part[0]))
            if known
            else list(merge.parts)
        )
        first = [state.name for part in merge.parts for state in part]
        videos = {
            (t.camera_id, t.video_id)
            for t in (base.tracklets[s.piece.tracklet] for part in ends for s in part)
        }
        if len(videos) > 1:
            conflicts.append(make_conflict("merge-cameras", first, [merge.decision]))
            continue
        for before, after in pairwise(ends):
            states |= {before[-1].name: before[-1], after[0].name: after[0]}
            sets.add(before[-1].name)
            sets.add(after[0].name)
            sets.merge(before[-1].name, after[0].name)
        held.append((merge, ends[0][-1].name))
    members, decisions = dict[str, tuple[str, ...]](), dict[str, list[Decision]]()
    for names in sorted(tuple(sorted(names)) for names in sets.subsets()):
        numbers = np.concatenate([find_frame_numbers(base, states[name]) for name in names])
        made_by = [merge.decision for merge, name in held if name in names]
        if len(np.unique(numbers)) < len(numbers):
            conflicts.append(make_conflict("merge-overlap", names, made_by))
        else:
            ordered = sorted(
                (states[name] for name in names), key=lambda state: time_key(base, state)
            )
            members[ordered[0].name] = tuple(state.name for state in ordered)
            decisions[ordered[0].name] = made_by
    return Joined(members, conflicts, decisions)


def time_key(base: Base, state: PieceState) -> tuple[float, tuple[tuple[int, int, str], ...], int]:
    """Sort key of a piece within one video: first frame number where it is known, then id and
    position."""
    numbers = base.frame_numbers(state.piece.tracklet)
    first = float(numbers[state.piece.start]) if numbers is not None else -1.0
    return first, natural_key(state.piece.tracklet), state.piece.start


def find_frame_numbers(base: Base, state: PieceState) -> NDArray[np.float64]:
    """Frame numbers (n,) in the video of what `state` keeps; none where they are unknown or it is
    rejected."""
    numbers = base.frame_numbers(state.piece.tracklet)
    return np.zeros(0) if numbers is None or state.status == REJECTED else numbers[state.kept]
