"""Training vectors as two camera views of the same persons, and the covariances of their
differences."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingVectors:
    """Training data of a metric.

    Attributes:
        features: (n, D).
        person: (n,) codes; rows below 0 have no named person and are left out.
        camera: (n,) codes.
    """

    features: NDArray[np.floating[Any]]
    person: Ints
    camera: Ints


@dataclass(frozen=True)
class Views:
    """Two sets of vectors of the same persons.

    Attributes:
        first: (n, D), persons `first_person` (n,).
        second: (m, D), persons `second_person` (m,).
    """

    first: Floats
    first_person: Ints
    second: Floats
    second_person: Ints


def take_views(training: TrainingVectors, rng: np.random.Generator | None) -> Views:
    """Views by camera where there are two, else halves of each person's tracklets, drawn as MARS'
    reference does.

    Source: liangzheng06/MARS-evaluation:utils/gen_train_sample_xqda.m.
    Errors: LpwError where fewer than two persons are seen by two cameras, or `rng` is needed and
    absent.
    """
    cameras = np.unique(training.camera[training.person >= 0])
    if len(cameras) == 2:
        first, second = (
            np.flatnonzero((training.person >= 0) & (training.camera == c)) for c in cameras
        )
    else:
        if rng is None:
            raise LpwError(
                "learning a metric", "no random generator", "one, as pairs are drawn", "pass rng"
            )
        first, second = _draw_pairs(training, rng)
    shared = np.intersect1d(training.person[first], training.person[second])
    if len(shared) < 2:
        got = f"{len(shared)} persons seen by two of {len(cameras)} cameras"
        raise LpwError(
            "training tracklets",
            got,
            "two or more",
            "train on a dataset with persons in several cameras",
        )
    features = training.features
    return Views(
        features[first].astype(np.float64),
        training.person[first],
        features[second].astype(np.float64),
        training.person[second],
    )


def _draw_pairs(training: TrainingVectors, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Per person one half of its tracklets, shuffled, against the other; pairs of one camera are
    left out."""
    first, second = [], []
    order = np.argsort(training.person, kind="stable")
    order = order[training.person[order] >= 0]
    for rows in np.split(order, np.flatnonzero(np.diff(training.person[order])) + 1):
        shuffled = rng.permutation(rows)
        half = len(rows) // 2
        first.append(shuffled[:half])
        second.append(shuffled[half : 2 * half])
    one, other = (
        np.concatenate([*part, np.empty(0, np.int64)]).astype(np.int64) for part in (first, second)
    )
    apart = training.camera[one] != training.camera[other]
    return one[apart], other[apart]


def pair_covariances(views: Views) -> tuple[Floats, Floats]:
    """Mean outer products of differences over all pairs of one person, and over all pairs of two
    (D, D).

    Both in closed form: no pair is formed. Source: Liao et al. 2015, section 4.3.
    """
    n, m = len(views.first), len(views.second)
    persons, codes = np.unique(
        np.concatenate([views.first_person, views.second_person]), return_inverse=True
    )
    ours, theirs = codes[:n], codes[n:]
    n_ours, n_theirs = (
        np.bincount(ours, minlength=len(persons)),
        np.bincount(theirs, minlength=len(persons)),
    )
    n_same = int(n_ours @ n_theirs)
    sums = _sum_by(views.first, ours, len(persons)), _sum_by(views.second, theirs, len(persons))
    weighted = _outer(views.first, n_theirs[ours]) + _outer(views.second, n_ours[theirs])
    same = weighted - _mirrored(sums[0].T @ sums[1])
    everything = m * (views.first.T @ views.first) + n * (views.second.T @ views.second)
    totals = _mirrored(np.outer(views.first.sum(axis=0), views.second.sum(axis=0)))
    return same / n_same, (everything - totals - same) / (n * m - n_same)


def _outer(rows: Floats, weight: Ints) -> Floats:
    scaled = rows * np.sqrt(weight)[:, None]
    return scaled.T @ scaled


def _mirrored(square: Floats) -> Floats:
    return square + square.T


def _sum_by(rows: Floats, codes: Ints, n: int) -> Floats:
    out = np.zeros((n, rows.shape[1]))
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    out[present] = np.add.reduceat(rows[order], starts, axis=0)
    return out


def list_matching_pairs(training: TrainingVectors) -> Ints:
    """All ordered pairs (P, 2) of rows of one person in two cameras; where no person is seen by two
    cameras, of two rows of one person.

    >>> list_matching_pairs(TrainingVectors(np.zeros((3, 1)), np.array([4, 4, 5]), np.arange(3)))
    array([[0, 1],
           [1, 0]])
    """
    groups = [
        np.flatnonzero(training.person == who) for who in np.unique(training.person) if who >= 0
    ]
    empty = np.empty((0, 2), dtype=np.int64)
    pairs = np.concatenate(
        [empty, *(np.stack(np.meshgrid(g, g, indexing="ij"), -1).reshape(-1, 2) for g in groups)]
    )
    across = training.camera[pairs[:, 0]] != training.camera[pairs[:, 1]]
    return np.asarray(pairs[across] if across.any() else pairs[pairs[:, 0] != pairs[:, 1]])
