"""How persons are divided: by seed, by scene, by time, or as a list says."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit.dataset.labels import Ints
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.list_file import read_sides
from lpw_toolkit.splits.people import People
from lpw_toolkit.splits.roles import Rule, find_queries
from lpw_toolkit.splits.splits import Group, Halves, draw_halves, share_out

#: The fewest persons who train, and who are queries: with one there is nobody to tell apart.
N_FEWEST = 2


@dataclass(frozen=True)
class Division:
    """Persons on two sides.

    Attributes:
        halves: of each split.
        others: rows of the distractors and junk in the gallery of each split.
        how: the way of dividing, in words.
        notes: what a user should know of it.
    """

    halves: list[Halves]
    others: list[Ints]
    how: str
    notes: list[str]


def divide(people: People, config: SplitConfig, rule: Rule) -> Division:
    """Divides the persons as `config` says. Errors: LpwError that says why it cannot."""
    if config.by == "scene":
        return _divide_by_scene(people, rule)
    if config.by == "time":
        return _divide_by_time(people, config)
    if config.persons is not None:
        return _divide_by_list(people, config.persons)
    return _divide_by_seed(people, config, rule)


def _divide_by_seed(people: People, config: SplitConfig, rule: Rule) -> Division:
    """Groups of equally many cameras are shared out alike; those who can be queries are apart from
    those who cannot."""
    labels = people.labels
    asking = set(labels.person[find_queries(labels, people.named, rule)].tolist())
    seen = people.gather(dict(enumerate(labels.camera.tolist())))
    code = {name: i for i, name in enumerate(people.names)}
    groups = {name: (int(code[name] in asking), len(set(seen[name]))) for name in seen}
    n_tested = share_out(Counter(groups.values()), config.test_frac)
    _keep_testable(n_tested, Counter(groups.values()))
    halves = draw_halves(
        groups,
        np.random.default_rng(config.seed),
        n_splits=config.n_splits,
        groups=groups,
        n_tested=n_tested,
    )
    share = _tell_share(config, n_tested, len(groups))
    how = (
        f"by seed {config.seed}: {share} of the persons are tested, the same share "
        "for each number of cameras"
    )
    n_different = len({split.test for split in halves})
    notes = [f"only {n_different} of {len(halves)} splits differ: the persons are few"]
    return Division(
        halves, [people.others] * len(halves), how, notes if n_different < len(halves) else []
    )


def _tell_share(config: SplitConfig, n_tested: Mapping[Group, int], n_persons: int) -> str:
    """The share that is tested, and where whole persons cannot give it, the one that was asked."""
    share = sum(n_tested.values()) / n_persons
    is_near = abs(share - config.test_frac) * n_persons < 1
    return f"{config.test_frac:g}" if is_near else f"{share:.2g} ({config.test_frac:g} was asked)"


def _keep_testable(n_tested: dict[Group, int], sizes: Mapping[Group, int]) -> None:
    """Where a few can be queries among many who cannot, two of them are tested in place of
    others."""
    can = [group for group in n_tested if group[0]]
    while sum(n_tested[group] for group in can) < N_FEWEST:
        free = [group for group in can if n_tested[group] < sizes[group]]
        if not free:
            return
        n_tested[max(free, key=lambda group: (sizes[group] - n_tested[group], group))] += 1
        others = [group for group in n_tested if not group[0] and n_tested[group]]
        if others:
            n_tested[max(others, key=lambda group: (n_tested[group], group))] -= 1


def _divide_by_scene(people: People, rule: Rule) -> Division:
    """Each scene in turn is the test, the others train; the first split tests the first scene, as
    LPW's does."""
    scenes = people.tracklets["scene_id"].to_pylist()
    seen = people.gather(dict(enumerate(scenes)))
    names = sorted({s for found in seen.values() for s in found if s is not None}, key=natural_key)
    if len(names) < 2:
        got = f"{len(names)} scenes with persons ({', '.join(names)})"
        do = "divide the persons by seed"
        raise LpwError(f"{people.name}, column scene_id", got, "two scenes or more", do)
    across = sorted(person for person, found in seen.items() if len(set(found)) > 1)
    if across:
        got = f"{len(across)} persons seen in two scenes ({join_names(across, 3)})"
        raise LpwError(people.name, got, "each person in one scene", "divide the persons by seed")
    tested, notes = [], []
    labels = people.labels
    for scene in names:
        rows = np.array([r for r in people.named.tolist() if scenes[r] == scene], dtype=np.int64)
        n = len(np.unique(labels.person[find_queries(labels, rows, rule)]))
        if n < N_FEWEST:
            notes.append(f"{scene} is no test: {n} of its persons can be queries")
        else:
            tested.append(scene)
    halves = [
        Halves(
            tuple(sorted(p for p, found in seen.items() if found[0] != scene)),
            tuple(sorted(p for p, found in seen.items() if found[0] == scene)),
        )
        for scene in tested
    ]
    others = [
        np.array([r for r in people.others.tolist() if scenes[r] == scene], dtype=np.int64)
        for scene in tested
    ]
    how = f"by scene: tested are {', '.join(tested)}, one in each split" if tested else "by scene"
    return Division(halves, others, how, notes)


def _divide_by_time(people: People, config: SplitConfig) -> Division:
    """Each scene is cut at one time: who was last seen before it trains, who was first seen from
    then on is tested. Who was seen on both sides is in neither, so that no image of the training
    is younger than one of the test."""
    first_s, last_s = _read_scene_times(people)
    scenes = [str(s or "") for s in people.tracklets["scene_id"].to_pylist()]
    seen = people.gather(dict(enumerate(scenes)))
    starts = people.gather(dict(enumerate(first_s.tolist())))
    cuts = {}
    for scene in sorted(set(scenes), key=natural_key):
        came = sorted(min(starts[p]) for p, found in seen.items() if scene in found)
        if came:
            n_tested = share_out({(): len(came)}, config.test_frac)[()]
            cuts[scene] = came[-max(n_tested, 1)]
    sides = np.array(
        [
            0 if last_s[r] < cuts.get(scenes[r], np.inf) else 1 if first_s[r] >= cuts[scenes[r]]
            else 2
            for r in range(len(scenes))
        ],
        dtype=np.int64,
    )  # fmt: skip
    found = people.gather(dict(enumerate(sides.tolist())))
    train, test = (
        tuple(sorted(person for person, on in found.items() if set(on) == {side}))
        for side in (0, 1)
    )
    both = sorted(set(found) - {*train, *test})
    notes = (
        [f"in neither side: {len(both)} persons seen before and after ({join_names(both, 3)})"]
        if both
        else []
    )
    how = "by time: " + ", ".join(f"{scene or 'all'} at {cut:.3f} s" for scene, cut in cuts.items())
    others = people.others[sides[people.others] == 1]
    return Division([Halves(train, test)], [others], how, notes)


def _read_scene_times(people: People) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """First and last time (N,) of each tracklet on the clock of its scene; videos without one are
    taken to start together.

    Errors: LpwError for unknown times, a camera with several videos whose order is unknown, and a
    scene in which only some videos have a clock.
    """
    times = people.labels.times
    if times is None or not np.isfinite(times.first_s).all():
        got = "tracklets without times"
        raise LpwError(people.name, got, "times of all tracklets", "divide the persons by seed")
    cameras = to_numpy(people.tracklets, "camera_id")
    for camera in sorted(set(cameras.tolist())):
        n_clocks = len(np.unique(times.clock[cameras == camera]))
        if n_clocks > 1:
            got = f"{n_clocks} videos whose order in time is unknown"
            do = "build it with a cameras.csv that has start_s, or divide the persons by seed"
            raise LpwError(f"{people.name}, camera {camera}", got, "one clock", do)
    scenes = np.array([str(s or "") for s in people.tracklets["scene_id"].to_pylist()])
    for scene in sorted(set(scenes.tolist())):
        known = people.has_start[scenes == scene]
        if known.any() and not known.all():
            got, expected = "videos with and without start_s", "one clock"
            do = "build it with a cameras.csv that has start_s, or divide the persons by seed"
            raise LpwError(f"{people.name}, scene {scene}", got, expected, do)
    return times.first_s, times.last_s


def _divide_by_list(people: People, file: Path) -> Division:
    known = set(people.gather(dict.fromkeys(people.named.tolist())))
    halves = read_sides(file, known)
    absent = sorted(known - {*halves.train, *halves.test})
    notes = (
        [f"not in the list, so in neither side: {len(absent)} persons ({join_names(absent, 3)})"]
        if absent
        else []
    )
    return Division([halves], [people.others], f"by the list {file.name}", notes)
