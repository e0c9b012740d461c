"""The distance between tracklets that are sets of vectors: the mean of each vector's nearest in the
other set."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.ranges import split_rows
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_blocks import Sided
from lpw_toolkit.evaluation.distances import Distance, Euclidean, Features

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
#: Distances between single vectors that are held at once.
N_VALUES = 1 << 22


@dataclass(frozen=True)
class SetDistance:
    """d(A, B) = (sum_i min_j d(a_i, b_j) + sum_j min_i d(a_i, b_j)) / (n + m).

    Attributes:
        vectors: (M, D), the vectors of all tracklets end to end.
        starts: (N + 1,) tracklet i has the vectors `starts[i]` to `starts[i + 1]`.
        group: (M,) vectors of different groups, such as the phases of a step, are infinitely far
            apart; None: all are alike.
        metric: between two vectors.
        name, title, squared: as in `TrackletDistance`.

    A vector that has no other of its group in the other set counts nothing; two sets without a
    common group are infinitely far apart, as is an empty set.

    Source: vsislab/stfv3d:distanceMetric.

    >>> sets = SetDistance(np.array([[0.0], [3.0], [1.0]]), np.array([0, 2, 3]))
    >>> sets.blocks(np.array([0]), np.array([1])).block(0, 1).round(3)  # (1 + 2 + 1) / 3
    array([[1.333]], dtype=float32)
    """

    vectors: Features
    starts: Ints
    group: NDArray[Any] | None = None
    metric: Distance = field(default_factory=Euclidean)
    name: str = "sets"
    title: str = "sets of vectors"
    squared: bool = False

    def __post_init__(self) -> None:
        """Errors: LpwError where the borders of the sets are not those of the vectors."""
        starts, n = self.starts, len(self.vectors)
        if not len(starts) or starts[0] != 0 or starts[-1] != n or (np.diff(starts) < 0).any():
            got = f"{len(starts)} borders for {n} vectors"
            raise LpwError(
                "sets of vectors", got, "ascending borders from 0", "describe them again"
            )

    def blocks(self, query: Ints, gallery: Ints) -> "SetBlocks":
        """Distances (Q, G) of tracklets, given by their rows in the dataset's table."""
        return SetBlocks(self, query, gallery)


@dataclass(frozen=True)
class SetBlocks(Sided):
    """Distances (Q, G) of sets, computed when asked for."""

    sets: SetDistance
    query: Ints
    gallery: Ints

    def block(self, start: int, stop: int) -> Floats:
        """Rows [start, stop) as (stop - start, G)."""
        out = np.full((stop - start, self.n_gallery), np.inf, dtype=np.float32)
        places, edges = self._list_vectors(self.gallery)
        if not len(places):
            return out
        sizes = np.diff(self.sets.starts)[self.query[start:stop]]
        n_rows = max(1, N_VALUES // max(1, len(places) * int(sizes.max(initial=1))))
        for a, b in split_rows(stop - start, n_rows):
            self._fill(out[a:b], self.query[start + a : start + b], places, edges)
        return out

    def pairs(self, rows: Ints, columns: Ints) -> Floats:
        """The distances (n,) at `(rows[i], columns[i])`."""
        out = np.empty(len(rows), dtype=np.float32)
        for row in np.unique(rows):
            chosen = np.flatnonzero(rows == row)
            one = SetBlocks(self.sets, self.query[[row]], self.gallery[columns[chosen]])
            out[chosen] = one.block(0, 1)[0]
        return out

    def _list_vectors(self, tracklets: Ints) -> tuple[Ints, Ints]:
        """The vectors of these tracklets end to end, and where each begins (n + 1,)."""
        starts = self.sets.starts
        parts = [np.arange(starts[t], starts[t + 1]) for t in tracklets]
        edges = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        return np.concatenate([*parts, np.zeros(0, np.int64)]), edges

    def _fill(self, out: Floats, query: Ints, places: Ints, edges: Ints) -> None:
        own, own_edges = self._list_vectors(query)
        if not len(own):
            return
        sets, full = self.sets, np.flatnonzero(np.diff(edges))
        found = sets.metric.blocks(sets.vectors[own], sets.vectors[places]).block(0, len(own))
        between = found.astype(np.float64)
        if sets.group is not None:
            between[sets.group[own][:, None] != sets.group[places][None]] = np.inf
        forth = np.minimum.reduceat(between, edges[full], axis=1)  # (own, sets that are not empty)
        for row in np.flatnonzero(np.diff(own_edges)):
            first, end = own_edges[row], own_edges[row + 1]
            back = between[first:end].min(axis=0)
            total, count = _sum_finite(forth[first:end], np.arange(1))
            there, n_there = _sum_finite(back[:, None], edges[full])
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = (total[0] + there[:, 0]) / (count[0] + n_there[:, 0])
            out[row, full] = np.where(np.isnan(mean), np.inf, mean)


def _sum_finite(values: NDArray[np.float64], starts: Ints) -> tuple[Any, Any]:
    """Sums of the finite values of each stretch of rows, and how many there are."""
    finite = np.isfinite(values)
    kept = np.where(finite, values, 0.0)
    return np.add.reduceat(kept, starts, axis=0), np.add.reduceat(finite, starts, axis=0)
