"""Principal components of training vectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pca:
    """Directions of the largest variance.

    Attributes:
        mean: (D,) of the training vectors.
        components: (D, r), orthonormal columns, largest variance first; the largest entry of each
            is positive.
        variance: (r,) of the training vectors along each.
    """

    mean: Floats
    components: Floats
    variance: Floats

    def project(self, features: NDArray[np.floating[Any]]) -> Floats:
        """Vectors (n, D) as (n, r)."""
        return (np.asarray(features, dtype=np.float64) - self.mean) @ self.components


def fit_pca(features: NDArray[np.floating[Any]], n_dims: int) -> Pca:
    """The `n_dims` first components of training vectors (n, D); fewer where the vectors span fewer.

    Errors: LpwError where there are fewer than two vectors or no dimension is asked for.
    """
    if len(features) < 2 or n_dims < 1:
        got = f"{len(features)} vectors and {n_dims} dimensions"
        raise LpwError(
            "principal components",
            got,
            "two vectors and one dimension or more",
            "choose more of them",
        )
    mean = features.mean(axis=0, dtype=np.float64)
    centred = np.asarray(features, dtype=np.float64) - mean
    few = len(features) < features.shape[1]
    values, vectors = np.linalg.eigh(centred @ centred.T if few else centred.T @ centred)
    values, vectors = values[::-1], vectors[:, ::-1]
    n = min(n_dims, max(1, int((values > values[0] * 1e-12).sum())))
    values, vectors = np.maximum(values[:n], 0), vectors[:, :n]
    components = centred.T @ vectors if few else vectors
    if few:
        lengths = np.linalg.norm(components, axis=0)
        components = components / np.where(lengths > 0, lengths, 1.0)
    largest = components[np.abs(components).argmax(axis=0), np.arange(n)]
    return Pca(mean, components * np.where(largest < 0, -1.0, 1.0), values / (len(features) - 1))
