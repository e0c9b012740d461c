"""Samples the frames of a clip and the tracklets of a batch: index arithmetic without images or
torch.

Everything drawn is a function of (seed, epoch, place in the epoch): how many workers there are
changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

Sampling = Literal["random", "evenly", "restricted", "consecutive", "all"]
SAMPLINGS: tuple[str, ...] = get_args(Sampling)
Ints = NDArray[np.int64]
# First numbers of a seed: what is drawn for batches and for clips has nothing in common.
_BATCHES, _CLIPS = 1, 2


def generator(purpose: int, seed: int, epoch: int, place: int = 0) -> np.random.Generator:
    """The source of everything drawn for one purpose at one place of an epoch."""
    return np.random.default_rng([purpose, seed, epoch, place])


def clip_generator(seed: int, epoch: int, place: int) -> np.random.Generator:
    """What draws the frames of the clip at `place` of `epoch`."""
    return generator(_CLIPS, seed, epoch, place)


def choose_frames(
    n_frames: int, n_wanted: int, sampling: Sampling, rng: np.random.Generator | None
) -> Ints:
    """Positions (T,) of the frames of a clip, ascending.

    * `random`: without replacement. A tracklet shorter than the clip gives each frame as often as
      it can, and some, drawn, once more.
    * `evenly`: the middle frames of T equal stretches; frames repeat where the tracklet is shorter.
    * `restricted`: one random frame of each of T equal stretches; without `rng` (at test) the first
      of each.
    * `consecutive`: T frames in a row from a random one on; without `rng` from the first. A
      tracklet that is shorter gives its frames more than once.
    * `all`: every frame, whatever `n_wanted`.

    Args:
        n_frames: of the tracklet, at least 1.
        n_wanted: T.
        rng: needed by `random`; `evenly` and `all` draw nothing.

    Source: restricted random sampling: Li et al., Diversity Regularized Spatiotemporal Attention,
    CVPR 2018, 3.1.
    """
    if sampling == "all":
        return np.arange(n_frames)
    if sampling == "consecutive":
        n_starts = max(1, n_frames - n_wanted + 1)
        first = 0 if rng is None else int(rng.integers(n_starts))
        return np.sort(np.arange(first, first + n_wanted) % n_frames)
    if sampling == "evenly":
        return ((2 * np.arange(n_wanted) + 1) * n_frames // (2 * n_wanted)).astype(np.int64)
    if sampling == "restricted":
        borders = np.arange(n_wanted + 1) * n_frames // n_wanted
        if rng is None:
            return borders[:-1].astype(np.int64)
        return rng.integers(borders[:-1], np.maximum(borders[1:], borders[:-1] + 1)).astype(
            np.int64
        )
    if rng is None:
        raise LpwError(
            "sampling", "random without a generator", "one", "use evenly or restricted at test"
        )
    times, rest = divmod(n_wanted, n_frames)
    drawn = rng.choice(n_frames, rest, replace=False)
    return np.sort(np.concatenate([np.tile(np.arange(n_frames), times), drawn])).astype(np.int64)


class Draw(NamedTuple):
    """One clip to be read.

    Attributes:
        row: of the clip dataset, not of the table of tracklets.
        epoch: which pass over the data.
        place: of the clip in that pass; the same row at another place gives other frames.
    """

    row: int
    epoch: int
    place: int


@dataclass(frozen=True)
class PersonBatches:
    """Batches of P persons with K clips each.

    In an epoch every tracklet of a person is used at least once, in groups of K. A last group that
    is too small is filled up with other tracklets of that person, and where the person has fewer
    than K with the same ones again: those clips show other frames. Persons with one tracklet have
    no second view that would teach anything, so they are left out (`min_tracklets=1` takes them, K
    clips of the same tracklet). The persons of a batch differ; what is left when fewer than P
    different persons remain is dropped for this epoch.

    Attributes:
        persons: (N,) label of each row of the clip dataset; -1 is unnamed and never drawn.
        n_persons: P.
        n_clips: K.
        seed: of every draw.
        min_tracklets: persons with fewer are left out.
    """

    persons: Ints
    n_persons: int
    n_clips: int
    seed: int = 0
    min_tracklets: int = 2

    def __post_init__(self) -> None:
        for name in ("n_persons", "n_clips", "min_tracklets"):
            if getattr(self, name) < 1:
                raise LpwError(name, f"{getattr(self, name)}", "1 or more", "choose another value")
        if self.seed < 0:
            raise LpwError("seed", f"{self.seed}", "0 or more", "choose another value")
        n_fit = len(self.eligible)
        if n_fit < self.n_persons:
            got = f"{n_fit} persons with {self.min_tracklets} or more tracklets"
            raise LpwError(
                "batches",
                got,
                f"at least the {self.n_persons} of a batch",
                "take fewer persons a batch",
            )

    @property
    def eligible(self) -> Ints:
        """Labels of the persons that are drawn, ascending."""
        labels, counts = np.unique(self.persons[self.persons >= 0], return_counts=True)
        return labels[counts >= self.min_tracklets]

    def plan(self, epoch: int) -> list[list[Draw]]:
        """The batches of `epoch`, each P x K draws, the clips of a person side by side."""
        rng = generator(_BATCHES, self.seed, epoch)
        order = np.argsort(self.persons, kind="stable")
        starts = np.searchsorted(self.persons[order], self.eligible, "left")
        ends = np.searchsorted(self.persons[order], self.eligible, "right")
        groups = [self._group(order[a:b], rng) for a, b in zip(starts, ends, strict=True)]
        size = self.n_persons * self.n_clips
        batches = []
        for i, members in enumerate(_iter_batches([len(g) for g in groups], self.n_persons, rng)):
            rows = np.concatenate([groups[person][turn] for person, turn in members]).tolist()
            batches.append([Draw(row, epoch, i * size + j) for j, row in enumerate(rows)])
        return batches

    def _group(self, rows: Ints, rng: np.random.Generator) -> list[Ints]:
        """All of a person's rows in a new order, cut into groups of K; the last one filled up."""
        rows = rng.permutation(rows)
        missing = -len(rows) % self.n_clips
        last = rows[len(rows) - (self.n_clips - missing) :] if missing else rows[:0]
        others = np.setdiff1d(rows, last)
        spare = rng.permutation(others)[:missing]
        again = (
            rows[choose_frames(len(rows), missing - len(spare), "random", rng)]
            if missing > len(spare)
            else rows[:0]
        )
        return list(np.concatenate([rows, spare, again]).reshape(-1, self.n_clips))


def _iter_batches(
    n_groups: list[int], n_persons: int, rng: np.random.Generator
) -> Iterator[list[tuple[int, int]]]:
    """Batches of (person, group) without a person twice: round r holds the r-th group of everybody
    who has one."""
    counts = np.array(n_groups)
    batch: list[tuple[int, int]] = []
    for turn in range(int(counts.max())):
        persons = rng.permutation(np.flatnonzero(counts > turn))
        taken = np.isin(persons, [person for person, _ in batch])
        for person in np.concatenate([persons[~taken], persons[taken]]).tolist():
            if any(person == other for other, _ in batch):
                return  # fewer than P different persons are left
            batch.append((person, turn))
            if len(batch) == n_persons:
                yield batch
                batch = []
