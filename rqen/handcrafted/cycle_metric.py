"""The metric of STA, learned from pairs of walking cycles of one phase across cameras."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MetricName = Literal["kissme", "mahal", "none"]

#: Beyond this ratio of the largest to the smallest variance an inverse is noise.
LARGEST_CONDITION = 1e12


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
