"""Distances from a model that looks at two tracklets together: each pair costs a pass, so that
pairs are scored once, a bounded number at a time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.evaluation.distance_blocks import Sided
from lpw_toolkit.files.estimate import Clock, Estimate, time_steps
from lpw_toolkit.files.memory import refuse_shortage
from lpw_toolkit.progress import say_note, show_progress

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
#: Blocks of pairs that are scored without a trial beforehand, which costs one of them or more.
_N_BLOCKS_UNTOLD = 256


@dataclass(frozen=True)
class PairScorer:
    """A distance from a function of pairs.

    Attributes:
        score: distances (n,) of the tracklets `first` (n,) and `second` (n,), given by their rows
            in the dataset's table.
        name, title, squared: as in `TrackletDistance`.
        n_pairs: that are scored at once.
        symmetric: whether the order of a pair changes nothing; then half of the pairs among
            themselves are scored.

    >>> scorer = PairScorer(lambda first, second: abs(first - second) * 1.0, "gap", "gap")
    >>> scorer.blocks(np.array([5]), np.array([1, 7])).block(0, 1)
    array([[4., 2.]], dtype=float32)
    """

    score: Callable[[Ints, Ints], NDArray[np.floating[Any]]]
    name: str
    title: str
    n_pairs: int = 4096
    symmetric: bool = True
    squared: bool = False

    def blocks(self, query: Ints, gallery: Ints) -> "ScoredPairs":
        """Distances (Q, G) of tracklets. Says what they cost where that takes a minute.

        Errors: LpwError where the matrix takes more memory than is free.
        """
        do = "test fewer tracklets, compare by vectors (--metric cosine), or use a larger machine"
        refuse_shortage(f"distances by {self.title}", 4 * len(query) * len(gallery), do)
        if len(query) * len(gallery) > _N_BLOCKS_UNTOLD * self.n_pairs:
            estimate = self.estimate(query, gallery)
            if not estimate.is_short:
                say_note(estimate.describe())
        return ScoredPairs(self, query, gallery)

    def estimate(self, query: Ints, gallery: Ints, clock: Clock = time.perf_counter) -> Estimate:
        """What scoring all pairs will cost, from a few blocks of them."""
        n_all = len(query) * len(gallery)
        rows, columns = np.divmod(np.arange(min(self.n_pairs, n_all)), len(gallery))
        seconds = time_steps(
            lambda: self.score(query[rows], gallery[columns]), n_all / len(rows), clock
        )
        basis = f"a trial of {len(rows):,} pairs, {n_all:,} in all"
        return Estimate("score pairs", seconds, 0, 0, basis)


@dataclass
class ScoredPairs(Sided):
    """Distances (Q, G), each scored when it is first asked for, and kept."""

    scorer: PairScorer
    query: Ints
    gallery: Ints
    _values: Floats = field(init=False, repr=False)
    _is_done: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._values = np.empty((self.n_query, self.n_gallery), dtype=np.float32)
        self._is_done = np.zeros(self.n_query, dtype=bool)

    def block(self, start: int, stop: int) -> Floats:
        """Rows [start, stop) as (stop - start, G)."""
        rows = start + np.flatnonzero(~self._is_done[start:stop])
        if len(rows):
            self._score(rows)
        return self._values[start:stop]

    def pairs(self, rows: Ints, columns: Ints) -> Floats:
        """The distances (n,) at `(rows[i], columns[i])`."""
        for row in np.unique(rows):
            self.block(int(row), int(row) + 1)
        return self._values[rows, columns]

    def _score(self, rows: Ints) -> None:
        total = len(rows) * self.n_gallery
        mirrored = self.scorer.symmetric and np.array_equal(self.query, self.gallery)
        with show_progress("score", total, "pairs") as progress:
            for row in rows:
                columns = np.arange(self.n_gallery)
                if mirrored:
                    known = self._is_done
                    self._values[row, known] = self._values[known, row]
                    columns = np.flatnonzero(~known)
                for first in range(0, len(columns), self.scorer.n_pairs):
                    part = columns[first : first + self.scorer.n_pairs]
                    ones = np.full(len(part), self.query[row])
                    self._values[row, part] = self.scorer.score(ones, self.gallery[part])
                self._is_done[row] = True
                progress.advance(self.n_gallery)
