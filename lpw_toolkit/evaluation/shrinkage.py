"""Shrinkage of a covariance towards a multiple of the identity, as much as the data ask for."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError, unknown_name
from lpw_toolkit.evaluation.camera_pairs import Views

Floats = NDArray[np.float64]
Shrinkage = Literal["none", "ledoit_wolf"]
SHRINKAGES: tuple[Shrinkage, ...] = ("none", "ledoit_wolf")


def shrink_covariances(
    same: Floats, different: Floats, views: Views, shrinkage: Shrinkage
) -> tuple[Floats, Floats]:
    """The covariances of differences within and between persons (D, D), shrunk as `shrinkage` says.

    Two images of two persons differ by what two images of one person differ by, and by the persons:
    what shrinking adds to the first is added to the second, and what sets persons apart stays. With
    the first alone shrunk, directions of much noise would seem to set persons apart.

    The share comes from how far each vector lies from the mean of its person: pairs of one person
    share vectors, so they are no sample of independent differences.

    Errors: LpwError for another name, and where no person has two vectors.
    """
    if shrinkage not in SHRINKAGES:
        raise unknown_name("shrinkage", shrinkage, SHRINKAGES)
    if shrinkage == "none":
        return same, different
    features = np.vstack([views.first, views.second])
    persons, codes = np.unique(
        np.concatenate([views.first_person, views.second_person]), return_inverse=True
    )
    sums = np.zeros((len(persons), features.shape[1]))
    np.add.at(sums, codes, features)
    deviations = features - (sums / np.bincount(codes)[:, None])[codes]
    shrunk = shrink(same, estimate_shrinkage(deviations, len(features) - len(persons)))
    return shrunk, different + (shrunk - same)


def shrink(covariance: Floats, share: float) -> Floats:
    """(1 - share) of the covariance (D, D) and `share` of its mean variance on the diagonal."""
    shrunk = (1 - share) * covariance
    shrunk[np.diag_indices_from(shrunk)] += share * np.trace(covariance) / len(covariance)
    return np.asarray(shrunk)


def estimate_shrinkage(deviations: NDArray[np.floating[Any]], n_free: int) -> float:
    """The share in [0, 1] of the identity that makes the expected error of the covariance least.

    Args:
        deviations: (n, D) from their means.
        n_free: degrees of freedom: n less the number of means.

    Source: Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
    2004, section 3.2.
    Errors: LpwError without a degree of freedom.

    >>> few = np.random.default_rng(0).normal(size=(20, 50))
    >>> 0.9 < estimate_shrinkage(few, 20) <= 1  # 20 vectors tell little of 50 directions
    True
    """
    if n_free < 1:
        got = f"{n_free} degrees of freedom"
        raise LpwError("shrinkage", got, "1 or more", "train on persons with several tracklets")
    n, n_dims = deviations.shape
    covariance = deviations.T @ deviations / n
    of_all = float(np.sum(covariance**2))
    off_target = of_all - float(np.trace(covariance)) ** 2 / n_dims
    lengths = np.sum(np.square(deviations), axis=1, dtype=np.float64)
    of_sampling = (float(np.mean(lengths**2)) - of_all) / n_free
    return 1.0 if off_target <= 0 else min(1.0, max(0.0, of_sampling / off_target))
