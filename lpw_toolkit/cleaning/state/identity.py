"""Identity resolution: links are joined into persons, and each contradiction names its decisions.

A link says that all pieces it names are one person. An unlink says that the first piece it names is
none of the others; it takes back a link of that pair by the same reviewer, and forbids that other
links join the two.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.operation import Role
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.conflicts import Conflict, make_conflict
from lpw_toolkit.cleaning.state.joins import find_frame_numbers
from lpw_toolkit.cleaning.state.resolve import PieceState, prefer_people

Pair = tuple[str, str]


@dataclass(frozen=True)
class Naming:
    """A decision about identity, and the merged tracklets it names, each by its name."""

    decision: Decision
    names: tuple[str, ...]


@dataclass(frozen=True)
class Persons:
    """The result of all links.

    Attributes:
        groups: names of the merged tracklets of each person, sorted; only persons of several.
        numbers: number in the scene that was given to a person, by the name of any of its merged
            tracklets.
        conflicts: contradictions.
    """

    groups: tuple[tuple[str, ...], ...]
    numbers: dict[str, int]
    conflicts: list[Conflict]


@dataclass
class _Pairs:
    """Decisions about pairs.

    Attributes:
        same: links by pair; an empty list where the dataset itself says so.
        apart: unlinks by pair.
        conflicts: pairs of which people say both.
    """

    same: dict[Pair, list[Decision]]
    apart: dict[Pair, list[Decision]]
    conflicts: list[Conflict]


def find_persons(
    base: Base,
    namings: Sequence[Naming],
    given: Iterable[tuple[str, ...]],
    parts: Mapping[str, Sequence[PieceState]],
    merges: Mapping[str, list[Decision]],
) -> Persons:
    """Persons under all `namings` (link, unlink, assign_person), in whatever order they come.

    Args:
        given: merged tracklets that the dataset itself gives to one person.
        parts: pieces of every merged tracklet that is named or given.
        merges: the decisions that made each merged tracklet.
    """
    pairs = _weigh_pairs([n for n in namings if n.decision.role is not Role.NUMBER])
    _add_given(pairs, given)
    numbered = [n for n in namings if n.decision.role is Role.NUMBER]
    _add_numbered(pairs, _last_numbers(numbered), base, parts)
    sets = DisjointSet({name for pair in (*pairs.same, *pairs.apart) for name in pair} | set(parts))
    for one, other in pairs.same:
        sets.merge(one, other)
    conflicts = list(pairs.conflicts)
    for (one, other), decisions in pairs.apart.items():
        if sets.connected(one, other):
            joining = merges.get(one, []) if one == other else _find_path(pairs.same, one, other)
            conflicts.append(make_conflict("not-same", (one, other), [*decisions, *joining]))
    groups = sorted(tuple(sorted(names)) for names in sets.subsets() if len(names) > 1)
    conflicts += _find_doubles(base, groups, pairs.same, parts)
    numbers, more = _give_numbers(_last_numbers(numbered), sets, parts, base)
    return Persons(tuple(groups), numbers, conflicts + more)


def _weigh_pairs(namings: Sequence[Naming]) -> _Pairs:
    verdicts: dict[Pair, dict[str, Decision]] = {}
    for naming in sorted(namings, key=lambda n: n.decision.order):
        first, *others = naming.names
        for other in others:
            pair = (min(first, other), max(first, other))
            verdicts.setdefault(pair, {})[naming.decision.reviewer] = naming.decision
    pairs = _Pairs({}, {}, [])
    for pair, said in verdicts.items():
        counted = prefer_people(said, lambda decision: not decision.is_by_rule)
        links = [d for d in counted.values() if d.role is Role.SAME]
        unlinks = [d for d in counted.values() if d.role is Role.DIFFERENT]
        if links and unlinks:
            pairs.conflicts.append(make_conflict("pair", pair, [*links, *unlinks]))
        elif links and pair[0] != pair[1]:
            pairs.same[pair] = links
        if unlinks:  # that two of one merged tracklet differ is found as a pair of one name
            pairs.apart[pair] = unlinks
    return pairs


def _add_given(pairs: _Pairs, given: Iterable[tuple[str, ...]]) -> None:
    """What the dataset says: each with each, so that an unlink takes one pair away; a chain where
    nobody objects."""
    disputed = {name for pair in pairs.apart for name in pair}
    for names in given:
        chain = pairwise(names)
        every = combinations(sorted(names), 2) if disputed & set(names) else chain
        for one, other in every:
            pair = (min(one, other), max(one, other))
            if pair not in pairs.apart:
                pairs.same.setdefault(pair, [])


def _last_numbers(namings: Sequence[Naming]) -> dict[str, dict[str, Decision]]:
    """For every merged tracklet the last assignment of each reviewer, of people where there are
    any."""
    verdicts: dict[str, dict[str, Decision]] = defaultdict(dict)
    for naming in sorted(namings, key=lambda n: n.decision.order):
        for name in naming.names:
            verdicts[name][naming.decision.reviewer] = naming.decision
    return {
        name: prefer_people(said, lambda d: not d.is_by_rule) for name, said in verdicts.items()
    }


def _add_numbered(
    pairs: _Pairs,
    verdicts: dict[str, dict[str, Decision]],
    base: Base,
    parts: Mapping[str, Sequence[PieceState]],
) -> None:
    """Those of one scene with the same number are one person."""
    owners: dict[tuple[str | None, int], tuple[str, Decision]] = {}
    for name in sorted(verdicts):
        scene = base.tracklets[parts[name][0].piece.tracklet].scene_id
        for decision in verdicts[name].values():
            first, by = owners.setdefault((scene, decision.value), (name, decision))
            if first != name:
                pairs.same.setdefault((first, name), []).extend([by, decision])


def _give_numbers(
    verdicts: dict[str, dict[str, Decision]],
    sets: DisjointSet,
    parts: Mapping[str, Sequence[PieceState]],
    base: Base,
) -> tuple[dict[str, int], list[Conflict]]:
    """The number of each person by the name of each numbered tracklet; the smallest where there are
    several."""
    of_set: dict[str, list[Decision]] = defaultdict(list)
    for name in sorted(verdicts):
        of_set[sets[name]] += verdicts[name].values()
    lowest = {leader: min(d.value for d in said) for leader, said in of_set.items()}
    names: dict[str, list[str]] = defaultdict(list)
    for name in verdicts:
        names[sets[name]].append(name)
    conflicts = [
        make_conflict("two-numbers", names[leader], said)
        for leader, said in of_set.items()
        if len({d.value for d in said}) > 1
    ]
    return {name: lowest[sets[name]] for name in verdicts}, conflicts


def _find_path(same: dict[Pair, list[Decision]], start: str, goal: str) -> list[Decision]:
    """The links of a shortest path from one merged tracklet to another, the same in whatever order
    they were made."""
    near: dict[str, list[str]] = defaultdict(list)
    for one, other in sorted(same):
        near[one].append(other)
        near[other].append(one)
    came = {start: start}
    waiting = deque([start])
    while waiting and goal not in came:
        name = waiting.popleft()
        for other in near[name]:
            if other not in came:
                came[other] = name
                waiting.append(other)
    path: list[Decision] = []
    while goal != start and goal in came:
        path += same[min(goal, came[goal]), max(goal, came[goal])]
        goal = came[goal]
    return path


def _find_doubles(
    base: Base,
    groups: Sequence[tuple[str, ...]],
    same: dict[Pair, list[Decision]],
    parts: Mapping[str, Sequence[PieceState]],
) -> list[Conflict]:
    """Persons who are at two places of one camera in one frame; two that only the dataset joins are
    its own matter."""
    conflicts = []
    for group in groups:
        by_video: dict[tuple[str, str | None], list[str]] = defaultdict(list)
        for name in group:
            first = base.tracklets[parts[name][0].piece.tracklet]
            by_video[first.camera_id, first.video_id].append(name)
        for names in by_video.values():
            for one, other in combinations(names, 2):
                if _meet(base, parts[one], parts[other]) and (path := _find_path(same, one, other)):
                    conflicts.append(make_conflict("two-places", (one, other), path))
    return conflicts


def _meet(base: Base, one: Sequence[PieceState], other: Sequence[PieceState]) -> bool:
    mine, yours = (
        np.concatenate([find_frame_numbers(base, state) for state in states])
        for states in (one, other)
    )
    return len(np.intersect1d(mine, yours)) > 0
