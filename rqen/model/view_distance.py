"""The sum over views of a tracklet (parts of its frames, mirror images) of the Euclidean distances
between the vectors of the same view."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from lpw_toolkit.evaluation.distance_blocks import Sided

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ViewDistance:
    """Compares the tracklets of one dataset (a `lpw_toolkit` `TrackletDistance`).

    Attributes:
        views: (N, V, D) vectors of each tracklet, the same views in the same order.
    """

    views: NDArray[np.float32]
    name = "view_sum"
    title = "Euclidean summed over views"
    squared = False

    def blocks(self, query: Ints, gallery: Ints) -> "ViewBlocks":
        """Distances (Q, G) of tracklets, given by their rows in the dataset's table."""
        return ViewBlocks(self.views[query], self.views[gallery])


@dataclass(frozen=True)
class ViewBlocks(Sided):
    """Distances between queries (Q, V, D) and a gallery (G, V, D).

    >>> blocks = ViewBlocks(np.zeros((1, 2, 2)), np.array([[[3.0, 4.0], [0, 1.0]]]))
    >>> blocks.block(0, 1).tolist()
    [[6.0]]
    """

    query: NDArray[np.floating]
    gallery: NDArray[np.floating]

    def block(self, start: int, stop: int) -> Floats:
        """Rows [start, stop) as (stop - start, G)."""
        total = np.zeros((stop - start, self.n_gallery))
        for view in range(self.query.shape[1]):
            total += cdist(self.query[start:stop, view], self.gallery[:, view])
        return total

    def pairs(self, rows: Ints, columns: Ints) -> Floats:
        """The distances (n,) at `(rows[i], columns[i])`."""
        gaps = self.query[rows].astype(np.float64) - self.gallery[columns]
        return np.asarray(np.linalg.norm(gaps, axis=2).sum(axis=1))
