"""Is one method better than another? A paired bootstrap over identities of the difference of their
means.

Identities, not queries, are drawn: the queries of one person are not independent. What was repeated
(noise draws, seeds) is averaged first, so it narrows the interval only by what it takes off each
query's own chance.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13 (percentile
interval).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lead:
    """How far one method is ahead of another, as a difference of means.

    Attributes:
        mean: over all queries.
        low, high: ends of the interval.
        n_persons: identities that were drawn from.
    """

    mean: float
    low: float
    high: float
    n_persons: int

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
    replacement.

    Args:
        person: (Q,) whose query it is.
        ours, theirs: (..., Q) hits or average precisions of the same queries; axes before the last
            (noise draws, seeds) are averaged, and need not be as long in one as in the other.
        rng: draws the persons.
        n_resamples: how often.
        level: share of the resamples between `low` and `high`, which leave as much out on either
            side.

    Errors: LpwError for other queries on one side, NaN or infinity, or fewer than two
    persons.
    """
    gain = _average(ours, person) - _average(theirs, person)
    _, of_query = np.unique(person, return_inverse=True)
    counts = np.bincount(of_query).astype(np.float64)
    if len(counts) < 2:
        raise LpwError("bootstrap", f"{len(counts)} persons", "2 or more", "take a larger test set")
    sums = np.bincount(of_query, gain)
    drawn = rng.multinomial(
        len(counts), np.full(len(counts), 1 / len(counts)), size=n_resamples
    ).astype(np.float64)
    means = (drawn @ sums) / (drawn @ counts)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Lead(float(gain.mean()), float(low), float(high), len(counts))


def _average(values: Floats, person: NDArray[np.int64]) -> Floats:
    values = np.asarray(values, dtype=np.float64)
    if values.shape[-1:] != person.shape or not np.isfinite(values).all():
        got = f"values of shape {values.shape}" if np.isfinite(values).all() else "NaN or infinity"
        raise LpwError(
            "bootstrap", got, f"a number for each of {len(person)} queries", "pass the same queries"
        )
    return np.asarray(values.reshape(-1, len(person)).mean(axis=0))
