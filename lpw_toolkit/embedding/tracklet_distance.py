"""The contract of a distance between tracklets that is no distance between two vectors: between
sets of vectors, or from a scorer of pairs."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Distances = NDArray[np.floating[Any]]


class PairBlocks(Protocol):
    """Distances (Q, G) that need not exist all at once, smaller for more alike."""

    @property
    def n_query(self) -> int:
        """Number of rows."""

    @property
    def n_gallery(self) -> int:
        """Number of columns."""

    def block(self, start: int, stop: int) -> Distances:
        """Rows [start, stop) as (stop - start, G)."""

    def pairs(self, rows: Ints, columns: Ints) -> Distances:
        """The distances (n,) at `(rows[i], columns[i])`."""


class TrackletDistance(Protocol):
    """A model's own way to compare the tracklets of one dataset.

    Attributes:
        name: short, such as `sta`.
        title: as a table prints it.
        squared: whether its values already are squares, which re-ranking must not square.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def squared(self) -> bool: ...  # noqa: D102

    def blocks(self, query: Ints, gallery: Ints) -> PairBlocks:
        """Distances (Q, G) of tracklets, given by their rows in the dataset's table."""
