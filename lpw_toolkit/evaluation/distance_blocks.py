"""Distance matrices (Q, G), whole or computed a few rows at a time."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

Ints = NDArray[np.int64]
Distances = NDArray[np.floating[Any]]


class DistanceBlocks(Protocol):
    """Distances (Q, G) that need not exist all at once."""

    @property
    def n_query(self) -> int:
        """Number of rows."""

    @property
    def n_gallery(self) -> int:
        """Number of columns."""

    def block(self, start: int, stop: int) -> Distances:
        """Rows [start, stop) as (stop - start, G)."""


class Sided:
    """The size of blocks whose rows are the items of `query` and whose columns those of
    `gallery`."""

    query: Any
    gallery: Any

    @property
    def n_query(self) -> int:
        """Number of rows."""
        return len(self.query)

    @property
    def n_gallery(self) -> int:
        """Number of columns."""
        return len(self.gallery)


@dataclass(frozen=True)
class DenseDistances:
    """Blocks of a matrix (Q, G) that exists."""

    values: Distances

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not np.issubdtype(self.values.dtype, np.floating):
            got = f"{self.values.dtype} of shape {self.values.shape}"
            raise LpwError(
                "distances", got, "floating numbers of shape (Q, G)", "pass one row per query"
            )

    @property
    def n_query(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def n_gallery(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    def block(self, start: int, stop: int) -> Distances:
        """Rows [start, stop), a view."""
        return self.values[start:stop]

    def pairs(self, rows: Ints, columns: Ints) -> Distances:
        """The distances (n,) at `(rows[i], columns[i])`."""
        return self.values[rows, columns]


def as_blocks(distances: DistanceBlocks | Distances) -> DistanceBlocks:
    """A matrix as blocks; blocks as they are."""
    return DenseDistances(distances) if isinstance(distances, np.ndarray) else distances


def check_numbers(block: Distances, start: int) -> None:
    """LpwError that names the first NaN of rows [start, ...)."""
    if block.size and np.isnan(block.min(axis=1)).any():
        query, column = np.argwhere(np.isnan(block))[0]
        raise LpwError(
            f"distance of query {start + query} to gallery item {column}",
            "NaN",
            "a number",
            "check the embeddings for values that are not finite",
        )
