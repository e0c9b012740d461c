"""Ranges of rows: a table in parts of equal length, and counting within lists of unequal length."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def split_rows(n_rows: int, n_at_once: int) -> list[tuple[int, int]]:
    """Half-open ranges of `n_at_once` rows that cover [0, n_rows); the last one may be shorter.

    >>> split_rows(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(n_rows, start + n_at_once)) for start in range(0, n_rows, n_at_once)]


def ragged_arange(lengths: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """0, 1, ... up to each of `lengths` (N,), one list after another: (lengths.sum(),).

    >>> ragged_arange(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    first = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(lengths.sum()) - np.repeat(first, lengths), dtype=np.int64)
