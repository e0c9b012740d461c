"""The metric of STA: learned from pairs of walking cycles of one phase across cameras, and the
distance of two sets of cycles."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.ranges import ragged_arange, split_rows
from lpw_toolkit.errors import LpwError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MetricName = Literal["kissme", "mahal", "none"]

#: Beyond this ratio of the largest to the smallest variance an inverse is noise.
LARGEST_CONDITION = 1e12
#: Distances of cycles that are in memory at once.
N_VALUES = 1 << 22


@dataclass(frozen=True)
class CycleLabels:
    """Labels of n walking cycles.

    Attributes:
        person: (n,) codes.
        camera: (n,) codes.
        tracklet: (n,) rows.
        sign: (n,) phase, see `WalkingCycle`.
    """

    person: Ints
    camera: Ints
    tracklet: Ints
    sign: Ints


def learn_form(vectors: Floats, labels: CycleLabels, metric: MetricName) -> Floats:
    """M (r, r), positive semi-definite, of the distance (x - z)' M (x - z) between cycles (n, r).

    Pairs are all cycles of one phase in two cameras (where no person is seen by two: in two
    tracklets), summed in closed form. `mahal` is the inverse covariance of the differences within
    persons, as the released code has it; `kissme` takes that between persons off and clips, as the
    published row is said to; `none` is the identity.

    Errors: LpwError where no person has a pair, or a covariance cannot be inverted.
    """
    if metric == "none":
        return np.eye(vectors.shape[1])
    same, n_same, different, n_different = _sum_pairs(vectors, labels, labels.camera)
    if not n_same:
        same, n_same, different, n_different = _sum_pairs(vectors, labels, labels.tracklet)
    if not n_same or not n_different:
        got = f"{n_same} pairs of cycles of one person and {n_different} of two"
        do = "train on two persons or more with two tracklets each, best of two cameras"
        raise LpwError("STA", got, "one of each or more", do)
    form = _invert(same / n_same, len(vectors))
    if metric == "kissme":
        form = form - _invert(different / n_different, len(vectors))
        values, basis = np.linalg.eigh((form + form.T) / 2)
        form = (basis * np.maximum(values, 0)) @ basis.T
    return form


def factor_form(form: Floats) -> Floats:
    """L (r, r), so that M = L L'."""
    values, basis = np.linalg.eigh((form + form.T) / 2)
    return np.asarray(basis * np.sqrt(np.maximum(values, 0)))


@dataclass(frozen=True)
class CycleSets:
    """The cycles of N tracklets.

    Attributes:
        vectors: (n, r), compared by squared Euclidean distance.
        sign: (n,) phase, see `WalkingCycle`.
        starts: (N + 1,) tracklet i has the rows `starts[i]` to `starts[i + 1]` (half-open), one or
            more.
    """

    vectors: NDArray[np.float32]
    sign: Ints
    starts: Ints

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, tracklets: Ints) -> "CycleSets":
        """These tracklets, in this order."""
        counts = np.diff(self.starts)[tracklets]
        rows = np.repeat(self.starts[tracklets], counts) + ragged_arange(counts)
        return CycleSets(self.vectors[rows], self.sign[rows], np.cumsum([0, *counts]))


def measure_sets(query: CycleSets, gallery: CycleSets) -> NDArray[np.float32]:
    """Distances (Q, G) of sets: the mean over the cycles of both of the squared distance to the
    nearest cycle of the other.

    Cycles of different phase are infinitely far; a cycle of unknown phase is compared with all. A
    cycle that has no counterpart does not count, and sets without any are infinitely far.

    Memory is bounded by `N_VALUES` distances, or one query.

    >>> one = CycleSets(np.float32([[0], [4]]), np.array([1, 1]), np.array([0, 2]))
    >>> other = CycleSets(np.float32([[1]]), np.array([1]), np.array([0, 1]))
    >>> measure_sets(one, other).round(3)
    array([[3.667]], dtype=float32)
    """
    out = np.empty((len(query), len(gallery)), dtype=np.float32)
    n_largest = int(np.diff(query.starts).max(initial=1))
    n_at_once = max(1, N_VALUES // max(1, len(gallery.vectors) * n_largest))
    for start, stop in split_rows(len(query), n_at_once):
        out[start:stop] = _measure_block(query.take(np.arange(start, stop)), gallery)
    return out


@dataclass(frozen=True)
class SetBlocks:
    """Distances (Q, G) of sets that are computed when asked for."""

    query: CycleSets
    gallery: CycleSets

    @property
    def n_query(self) -> int:
        """Number of rows."""
        return len(self.query)

    @property
    def n_gallery(self) -> int:
        """Number of columns."""
        return len(self.gallery)

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop) as (stop - start, G)."""
        return measure_sets(self.query.take(np.arange(start, stop)), self.gallery)

    def pairs(self, rows: Ints, columns: Ints) -> NDArray[np.float32]:
        """The distances (n,) at `(rows[i], columns[i])`."""
        out = np.empty(len(rows), dtype=np.float32)
        for place, (row, column) in enumerate(zip(rows, columns, strict=True)):
            sets = self.query.take(np.array([row])), self.gallery.take(np.array([column]))
            out[place] = measure_sets(*sets)[0, 0]
        return out


@dataclass(frozen=True)
class SetDistance:
    """The distance of STA between tracklets.

    Attributes:
        sets: the cycles of all tracklets.
        title: as a table prints it.
    """

    sets: CycleSets
    title: str = "STA, nearest walking cycles"
    name: str = "sta"
    squared: bool = True

    def blocks(self, query: Ints, gallery: Ints) -> SetBlocks:
        """Distances (Q, G) of tracklets by their places in `sets`."""
        return SetBlocks(self.sets.take(query), self.sets.take(gallery))


def _measure_block(query: CycleSets, gallery: CycleSets) -> Floats:
    one, other = query.vectors.astype(np.float64), gallery.vectors.astype(np.float64)
    shift = other.mean(axis=0)
    one, other = one - shift, other - shift
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)
    apart = np.maximum(squares - 2 * one @ other.T, 0)
    apart[query.sign[:, None] * gallery.sign == -1] = np.inf
    of_query = np.minimum.reduceat(apart, gallery.starts[:-1], axis=1)  # (cycles, G)
    of_gallery = np.minimum.reduceat(apart, query.starts[:-1], axis=0)  # (Q, cycles)
    total, count = np.zeros((len(query), len(gallery))), np.zeros((len(query), len(gallery)))
    for found, starts, axis in ((of_query, query.starts, 0), (of_gallery, gallery.starts, 1)):
        known = np.isfinite(found)
        total += np.add.reduceat(np.where(known, found, 0), starts[:-1], axis=axis)
        count += np.add.reduceat(known.astype(np.float64), starts[:-1], axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def _sum_pairs(vectors: Floats, labels: CycleLabels, view: Ints) -> tuple[Floats, int, Floats, int]:
    """Sums of outer products of differences over all pairs of one phase in two views, of one person
    and of two, and how many there are of each."""
    phase = labels.sign
    person, place = np.stack([labels.person, phase]), np.stack([view, phase])
    both = np.stack([labels.person, view, phase])
    (of_person, n_person), (of_both, n_both) = (_scatter(vectors, g) for g in (person, both))
    (of_phase, n_phase), (of_place, n_place) = (_scatter(vectors, g) for g in (phase[None], place))
    same, n_same = of_person - of_both, n_person - n_both
    return same, n_same, of_phase - of_place - same, n_phase - n_place - n_same


def _scatter(vectors: Floats, groups: Ints) -> tuple[Floats, int]:
    """The sum of (x - z)(x - z)' over all pairs within groups, which are columns of codes, and the
    number of pairs: n sum x x' - (sum x)(sum x)' of each group."""
    _, code, size = np.unique(groups, axis=1, return_inverse=True, return_counts=True)
    code = code.ravel()
    sums = np.zeros((len(size), vectors.shape[1]))
    np.add.at(sums, code, vectors)
    weighted = (vectors * size[code][:, None]).T @ vectors
    return weighted - sums.T @ sums, int((size * (size - 1) // 2).sum())


def _invert(covariance: Floats, n_cycles: int) -> Floats:
    if not np.linalg.cond(covariance) < LARGEST_CONDITION:
        got = f"a singular covariance of {len(covariance)} dimensions from {n_cycles} cycles"
        do = "keep fewer principal components or train on more tracklets"
        raise LpwError("STA", got, "a regular one", do)
    return np.asarray(np.linalg.inv(covariance), dtype=np.float64)
