"""How sure is a mean, and is one method better than another? A bootstrap over identities and
training seeds together, paired by identity.

Identities, not queries, are drawn: the queries of one person are not independent. Seeds are drawn
too, because another seed is another network: an interval over persons alone is blind to the noise
of training. Every seed tests the same persons, so seeds and persons are crossed. Three things set
the interval right (tests/evaluation/test_bootstrap.py shows by simulation that it covers):

    persons see the mean of the seeds       what a seed does to single persons is in their spread,
                                            and is taken out of the spread of the seeds
    draws of S seeds spread too little      by (S - 1) / S in variance: they are scaled up
    few seeds hardly tell their own spread  the interval is widened by Student's t

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13 (percentile
interval); Owen, The pigeonhole bootstrap, 2007 (drawing two crossed factors by themselves counts
their interaction three times); Davison and Hinkley, Bootstrap Methods and their Application, 1997,
section 3.8 (the variance of few groups); Welch 1947 and Satterthwaite 1946 (degrees of freedom of a
sum of variances).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lpw_toolkit.errors import LpwError, check_range

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean and how sure it is.

    Attributes:
        mean: over all queries and seeds.
        low, high: ends of the interval.
        n_persons: identities that were drawn from.
        n_seeds: training seeds that were drawn from; with 1, the noise of training is not in the
            interval.
    """

    mean: float
    low: float
    high: float
    n_persons: int
    n_seeds: int


@dataclass(frozen=True)
class Lead:
    """How far one method is ahead of another, as a difference of means.

    Attributes:
        mean: over all queries.
        low, high: ends of the interval.
        n_persons: identities that were drawn from.
        n_seeds: the fewer training seeds of the two methods; with 1, the noise of training is not
            or not wholly in the interval.
    """

    mean: float
    low: float
    high: float
    n_persons: int
    n_seeds: int = 1

    @property
    def holds(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0


def measure_lead(
    person: NDArray[np.int64],
    ours: Floats,
    theirs: Floats,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
) -> Lead:
    """Paired bootstrap of mean(ours) - mean(theirs) over the queries of persons drawn with
    replacement, and over the training seeds of each side, drawn by themselves.

    Args:
        person: (Q,) whose query it is.
        ours, theirs: (Q,) hits or average precisions of the same queries; (S, Q) of S training
            seeds, (S, ..., Q) with repetitions of each (noise draws), which are averaged. S and the
            repetitions need not be the same on both sides.
        rng: draws the persons, then the seeds.
        n_resamples: how often.
        level: share of the resamples between `low` and `high`, which leave as much out on either
            side, before the interval is widened for few seeds.

    Errors: LpwError for other queries on one side, NaN or infinity, fewer than two persons, or a
    level or number out of range.

    >>> hits = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])  # two seeds, four queries
    >>> found = measure_lead(np.arange(4), hits, np.zeros(4), np.random.default_rng(0))
    >>> found.mean, found.n_seeds
    (0.875, 1)
    """
    values = [_check_values(side, person) for side in (ours, theirs)]
    low, high, n_persons = _resample(person, values, (1.0, -1.0), rng, n_resamples, level)
    gain = values[0].mean(axis=0) - values[1].mean(axis=0)
    return Lead(float(gain.mean()), low, high, n_persons, min(map(len, values)))


def measure_mean(
    person: NDArray[np.int64],
    values: Floats,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """Bootstrap of mean(values) over persons and training seeds; arguments and errors as
    `measure_lead`.

    The ends are no further out than the least and the greatest of 0, 1 and the values.

    >>> found = measure_mean(np.arange(4), np.array([1.0, 1.0, 0.0, 1.0]), np.random.default_rng(0))
    >>> found.mean, found.high, found.n_seeds
    (0.75, 1.0, 1)
    """
    known = _check_values(values, person)
    low, high, n_persons = _resample(person, [known], (1.0,), rng, n_resamples, level)
    least, greatest = min(0.0, float(known.min())), max(1.0, float(known.max()))
    return Interval(
        float(known.mean(axis=0).mean()), max(low, least), min(high, greatest), n_persons,
        len(known),
    )  # fmt: skip


def _resample(
    person: NDArray[np.int64],
    sides: Sequence[Floats],
    signs: Sequence[float],
    rng: np.random.Generator,
    n_resamples: int,
    level: float,
) -> tuple[float, float, int]:
    """Ends of the interval of the signed sum of the sides' means, and the number of persons; each
    side is (S, Q)."""
    check_range("bootstrap, resamples", n_resamples, 1, 1_000_000, whole=True)
    check_range("bootstrap, level", level, 0, 1, above=True, below=True)
    _, of_query = np.unique(person, return_inverse=True)
    counts = np.bincount(of_query).astype(np.float64)
    n_persons = len(counts)
    if n_persons < 2:
        raise LpwError("bootstrap", f"{n_persons} persons", "2 or more", "take a larger test set")
    drawn = rng.multinomial(n_persons, np.full(n_persons, 1 / n_persons), size=n_resamples)
    drawn = drawn.astype(np.float64)
    n_drawn = drawn @ counts
    of_persons, of_seeds = np.zeros(n_resamples), np.zeros(n_resamples)
    centre, variances, freedom = 0.0, [], []
    for side, sign in zip(sides, signs, strict=True):
        n_seeds, seed_means = len(side), side.mean(axis=1)
        sums = np.stack([np.bincount(of_query, seed) for seed in side])
        of_persons += sign * (drawn @ sums.mean(axis=0)) / n_drawn
        centre += sign * float(seed_means.mean())
        if n_seeds == 1:
            continue
        apart = sums - counts * seed_means[:, None]
        by_chance = float(apart.var(axis=0, ddof=1).sum()) / counts.sum() ** 2 / n_seeds
        variance = float(seed_means.var(ddof=1)) / n_seeds
        share = np.sqrt(max(0.0, variance - by_chance) / variance) if variance else 0.0
        times = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_resamples)
        weight = (times - 1) / n_seeds * np.sqrt(n_seeds / (n_seeds - 1))
        of_seeds += sign * share * (weight @ seed_means)
        variances.append(variance)
        freedom.append(n_seeds - 1)
    low, high = np.quantile(of_persons + of_seeds, [(1 - level) / 2, (1 + level) / 2])
    wide = _widen(float(of_persons.var()), variances, freedom, level)
    low, high = (centre + wide * (float(end) - centre) for end in (low, high))
    return low, high, n_persons


def _widen(of_persons: float, of_seeds: list[float], freedom: list[int], level: float) -> float:
    """Student's t by the normal quantile, for a sum of variances of which only those of seeds have
    few degrees of freedom."""
    few = sum(v**2 / n for v, n in zip(of_seeds, freedom, strict=True))
    if few == 0:
        return 1.0
    quantile = (1 + level) / 2
    n_free = (of_persons + sum(of_seeds)) ** 2 / few
    return float(stats.t(n_free).ppf(quantile) / stats.norm.ppf(quantile))


def _check_values(values: Floats, person: NDArray[np.int64]) -> Floats:
    """Values (S, Q): repetitions are averaged, one seed gets an axis of its own."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape[-1:] != person.shape or not values.size or not np.isfinite(values).all():
        got = f"values of shape {values.shape}" if np.isfinite(values).all() else "NaN or infinity"
        raise LpwError(
            "bootstrap", got, f"a number for each of {len(person)} queries", "pass the same queries"
        )
    if values.ndim == 1:
        return values[None]
    return np.asarray(values.reshape(len(values), -1, len(person)).mean(axis=1))
