"""Samples the tracklets of a training step: a pure function of pool and generator, so that any step
can be repeated."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import PERSON, read_labels
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.trials import read_trials

Ints = NDArray[np.int64]
_PAIRS = 0x7061697273  # first number of the seed of pairs


@dataclass(frozen=True)
class Pool:
    """Tracklets that may train.

    Attributes:
        rows: (N,) rows of the table of tracklets.
        person: (N,) label from 0, dense.
        camera: (N,) code of the camera.
    """

    rows: Ints
    person: Ints
    camera: Ints

    @property
    def n_persons(self) -> int:
        """Number of identities."""
        return int(self.person.max()) + 1

    @cached_property
    def members(self) -> list[Ints]:
        """Places (n,) of each person's tracklets in the pool."""
        order = np.argsort(self.person, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.person))[:-1])


def make_pool(tracklets: pa.Table, rows: Ints) -> Pool:
    """The tracklets `rows` of named persons, with labels in the order of the persons' first rows.

    Errors: LpwError with fewer than two persons.
    """
    labels = read_labels(tracklets).take(rows)
    named = np.flatnonzero((labels.kind == PERSON) & (labels.person >= 0))
    codes, first, person = np.unique(labels.person[named], return_index=True, return_inverse=True)
    if len(codes) < 2:
        raise LpwError(
            "training tracklets",
            f"{len(codes)} persons",
            "2 or more",
            "choose a dataset or split with more",
        )
    label_of = np.argsort(np.argsort(first))
    return Pool(rows[named], label_of[person].astype(np.int64), labels.camera[named])


def count_persons(dataset: Dataset, split: int | None) -> int:
    """Persons who train on a split of `dataset`, or on all of it; 0 where there is no such
    split."""
    labels = read_labels(dataset.tracklets)
    is_named = (labels.kind == PERSON) & (labels.person >= 0)
    if split is not None:
        trains = [trial.train for trial in read_trials(dataset) if trial.split == split]
        is_named &= np.isin(np.arange(len(is_named)), np.concatenate([*trains, np.zeros(0)]))
    return len(np.unique(labels.person[is_named]))


def draw_triplets(
    pool: Pool, n_triplets: int, rng: np.random.Generator, *, cross: bool = False
) -> Ints:
    """Places (3 * n,) in the pool: n anchors, n positives, n negatives.

    Two persons are drawn alike, and the camera of each set among the person's cameras,
    independently: anchor and positive may be one tracklet. With `cross` the positive is by another
    camera than the anchor, or, where no person was seen by two cameras, another tracklet.

    Errors: LpwError with `cross` where no person has two tracklets.
    Source: liuyuisanai/Quality-Aware-Network:train_PQAN/get_train_minibatch.m. On LPW the released
    code draws views first, then a person seen in them; here, as on the other sets, persons come
    first.
    """
    places = [pool.members[p] for p in range(pool.n_persons)]
    anchors, views = list(range(pool.n_persons)), pool.camera
    if cross:
        anchors = _find_seen_twice(views, places)
        if not anchors:
            views = pool.rows
            anchors = _find_seen_twice(views, places)
        if not anchors:
            do = "train with data.positive = any, or link the tracklets of one person"
            got, expected = "no person with two tracklets", "a positive that is not the anchor"
            raise LpwError("training tracklets", got, expected, do)
    drawn = np.empty((3, n_triplets), dtype=np.int64)
    for i in range(n_triplets):
        one = anchors[int(rng.integers(len(anchors)))]
        other = int(rng.integers(pool.n_persons - 1))
        drawn[0, i] = _draw_view(views, places[one], rng)
        drawn[1, i] = _draw_view(
            views, places[one], rng, but=int(views[drawn[0, i]]) if cross else None
        )
        drawn[2, i] = _draw_view(views, places[other + (other >= one)], rng)
    return drawn.ravel()


def _find_seen_twice(views: Ints, places: list[Ints]) -> list[int]:
    """The persons who have two views or more."""
    return [p for p, own in enumerate(places) if len(np.unique(views[own])) > 1]


def _draw_view(views: Ints, places: Ints, rng: np.random.Generator, but: int | None = None) -> int:
    """One of `places`: first a view among theirs (N,), then a place with that view."""
    own = np.unique(views[places])
    own = own[own != but] if but is not None else own
    view = own[rng.integers(len(own))]
    seen = places[views[places] == view]
    return int(seen[rng.integers(len(seen))])


def draw_sets(pool: Pool, n_persons: int, n_sets: int, rng: np.random.Generator) -> Ints:
    """Places (P * K,) in the pool: K tracklets of each of P persons, one person after the other.

    Without replacement while there are enough; a person with fewer than K tracklets gives some of
    them again, and where there are fewer than P persons all of them take part.
    """
    n = min(n_persons, pool.n_persons)
    drawn = []
    for person in rng.choice(pool.n_persons, n, replace=False):
        places = pool.members[person]
        rounds = [rng.permutation(places) for _ in range(-(-n_sets // len(places)))]
        drawn.append(np.concatenate(rounds)[:n_sets])
    return np.concatenate(drawn)


def draw_pairs(pool: Pool, n_pairs: int, seed: int, step: int) -> Ints:
    """Places (2 * n,) in the pool of step `step`: n first sets, then n second ones.

    Even steps are of one person by two cameras (two tracklets where one camera alone saw the
    person, or the same one again where there is no other): each person once before anyone comes
    again, in an order by `seed`. Odd steps are of two persons, drawn with any cameras.

    Source: niallmcl/Recurrent-Convolutional-Video-ReID:train.lua.
    """
    drawn = np.empty((2, n_pairs), dtype=np.int64)
    rng = np.random.default_rng([_PAIRS, seed, step])
    for i in range(n_pairs):
        if step % 2:
            persons = rng.choice(pool.n_persons, 2, replace=False)
            drawn[:, i] = [_draw_view(pool.camera, pool.members[p], rng) for p in persons]
            continue
        lap, turn = divmod(step // 2 * n_pairs + i, pool.n_persons)
        order = np.random.default_rng([_PAIRS, seed, lap, 1]).permutation(pool.n_persons)
        places = pool.members[int(order[turn])]
        views = pool.camera if len(np.unique(pool.camera[places])) > 1 else pool.rows
        drawn[0, i] = _draw_view(views, places, rng)
        but = int(views[drawn[0, i]]) if len(places) > 1 else None
        drawn[1, i] = _draw_view(views, places, rng, but=but)
    return drawn.ravel()


def draw_frames(pool: Pool, n_frames: int, rng: np.random.Generator) -> Ints:
    """Places (n,) in the pool for single frames: a person, then one of the person's cameras, then a
    tracklet there."""
    persons = rng.integers(pool.n_persons, size=n_frames)
    return np.array(
        [_draw_view(pool.camera, pool.members[p], rng) for p in persons], dtype=np.int64
    )


def hold_out(pool: Pool, share: float, rng: np.random.Generator) -> tuple[Pool, Ints]:
    """The pool without a share of its persons, and the rows of those: a validation set that no test
    split knows of.

    Errors: LpwError where one side would have fewer than two persons.
    """
    n = round(share * pool.n_persons)
    if n < 2 or pool.n_persons - n < 2:
        got = f"{n} of {pool.n_persons} persons"
        raise LpwError("validation share", got, "2 or more on either side", "choose another share")
    held = np.isin(pool.person, rng.permutation(pool.n_persons)[:n])
    _, person = np.unique(pool.person[~held], return_inverse=True)
    return Pool(pool.rows[~held], person.astype(np.int64), pool.camera[~held]), pool.rows[held]
