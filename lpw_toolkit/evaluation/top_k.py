"""The k smallest entries of each row of distances, in the order of a stable sort but without
sorting."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Distances = NDArray[np.floating[Any]]

#: Columns of which one bounds the first places.
N_GROUPED = 32


def first_columns(row: Distances, among: Ints, k: int) -> Ints:
    """The k smallest of `row[among]` as columns, in the order of a stable sort; fewer where `among`
    is shorter."""
    values = row[among]
    if 0 < k < len(values):
        near = np.flatnonzero(values <= np.partition(values, k - 1)[k - 1])
        among, values = among[near], values[near]
    return among[np.argsort(values, kind="stable")[:k]]


def first_places(rows: Distances, k: int) -> Ints:
    """The k smallest of each row (n, G) as columns (n, k), in the order of a stable sort; 1 <= k <=
    G.

    Among the smallest of each of many groups of columns, the k-th is no smaller than the k-th of
    all: it bounds the few that need sorting, at the cost of one pass.
    """
    n, width = rows.shape
    n_groups = min(width, max(4 * k, width // N_GROUPED))
    size = width // n_groups
    smallest = rows[:, : n_groups * size].reshape(n, size, n_groups).min(axis=1)
    bound = np.partition(smallest, k - 1, axis=1)[:, k - 1 : k]
    owner, column = np.divmod(np.flatnonzero(rows <= bound), width)
    order = np.lexsort((rows[owner, column], owner))
    starts = np.searchsorted(owner, np.arange(n))
    return np.asarray(column[order[starts[:, None] + np.arange(k)]])
