"""Ranks of the relevant gallery items from distances, without sorting the galleries."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.ranges import split_rows
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_blocks import (
    DistanceBlocks,
    Distances,
    Ints,
    as_blocks,
    check_numbers,
)
from lpw_toolkit.evaluation.relevance import Ragged, Relevance
from lpw_toolkit.evaluation.top_k import first_columns

Floats = NDArray[np.float64]
APForm = Literal["step", "trapezoid"]

#: Bytes of distances that are asked for at once, and that one thread ranks at once.
BLOCK_BYTES, PART_BYTES = 64 << 20, 2 << 20
#: Right answers compared with a row at once, and how many make sorting the row cheaper than
#: comparing.
N_COMPARED, N_SORTED = 32, 256
#: Columns from which on one comparison of a row takes longer than handing the interpreter to
#: another thread.
LONG_ROW = 32_768


@dataclass(frozen=True)
class Ranking:
    """Where the right answers of Q queries stand.

    Attributes:
        starts: (Q + 1,); the right answers of query q are the places [starts[q], starts[q + 1]).
        ranks: (n,) 1-based ranks of the right answers among all that the query sees (junk does not
            count), ascending within a query.
        n_visible: (Q,) gallery items that the query sees.
        n_gallery: gallery items, hidden ones among them.
    """

    starts: Ints
    ranks: Ints
    n_visible: Ints
    n_gallery: int

    @property
    def n_query(self) -> int:
        """Number of queries."""
        return len(self.n_visible)

    @cached_property
    def n_relevant(self) -> Ints:
        """Right answers of each query (Q,)."""
        return np.diff(self.starts)

    @property
    def unmatched(self) -> NDArray[np.bool_]:
        """Queries (Q,) without any right answer."""
        return np.equal(self.n_relevant, 0)

    @cached_property
    def first(self) -> Ints:
        """Rank of the first right answer (Q,); 0 where there is none."""
        return self._at(self.starts[:-1])

    @cached_property
    def last(self) -> Ints:
        """Rank of the last right answer (Q,); 0 where there is none."""
        return self._at(self.starts[1:] - 1)

    def _at(self, places: Ints) -> Ints:
        out = np.zeros(self.n_query, dtype=np.int64)
        out[~self.unmatched] = self.ranks[places[~self.unmatched]]
        return out

    def average_precision(self, form: APForm) -> Floats:
        """Average precision of each query (Q,), NaN where it has no right answer.

        Args:
            form: `step` is the mean precision at the right answers; `trapezoid` the mean over them
                of the precision there and at the rank before, halved, where the precision before
                rank 1 is 1.

        Source: liangzheng06/MARS-evaluation:utils/compute_AP.m for `trapezoid`.
        """
        hit = np.arange(1, len(self.ranks) + 1) - np.repeat(self.starts[:-1], self.n_relevant)
        value = hit / self.ranks
        if form == "trapezoid":
            before = np.where(self.ranks == 1, 1.0, (hit - 1) / np.maximum(self.ranks - 1, 1))
            value = (value + before) / 2
        total = np.bincount(Ragged(self.starts, self.ranks).owners, value, self.n_query)
        return _divide(total, self.n_relevant)

    @property
    def inverse_negative_penalty(self) -> Floats:
        """Right answers by the rank of the last one (Q,), in (0, 1], NaN where there is none; its
        mean is mINP.

        Source: Ye et al., Deep Learning for Person Re-identification: A Survey and Outlook, section
        3.3.
        """
        return _divide(self.n_relevant, self.last)


def _divide(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    out: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return out


def rank_queries(
    distances: DistanceBlocks | Distances, relevance: Relevance, *, n_threads: int | None = None
) -> Ranking:
    """Ranks of all right answers; equal distances are ordered by gallery column, as a stable sort
    does.

    Args:
        distances: (Q, G) a matrix, or blocks of one; smaller is more alike. Infinite distances are
            allowed.
        relevance: what each query looks for and must not see.
        n_threads: the comparisons run in so many threads; None takes two where rows are long enough
            to gain from it. The result does not depend on it.

    Errors: LpwError where a distance is NaN or the shapes differ.
    """
    blocks = as_blocks(distances)
    _check_shape(blocks, relevance)
    visible = np.flatnonzero(~relevance.hidden)
    n_closer = np.empty(len(relevance.good.columns), dtype=np.int64)
    n_rows = max(1, PART_BYTES // max(1, 4 * relevance.n_gallery))
    task = _RankTask(relevance, None if len(visible) == relevance.n_gallery else visible, n_closer)
    with ThreadPoolExecutor(n_threads or (2 if relevance.n_gallery >= LONG_ROW else 1)) as pool:
        for start, stop in split_rows(
            blocks.n_query, max(1, BLOCK_BYTES // max(1, 4 * blocks.n_gallery))
        ):
            block = blocks.block(start, stop)
            parts = [(start + a, block[a:b]) for a, b in split_rows(stop - start, n_rows)]
            list(pool.map(lambda part: task.run(*part), parts))
    good = relevance.good
    ranks = n_closer[np.lexsort((n_closer, good.owners))] + 1
    n_visible = np.count_nonzero(~relevance.hidden) - relevance.ignored.counts
    return Ranking(good.starts, ranks, n_visible, relevance.n_gallery)


def _check_shape(blocks: DistanceBlocks, relevance: Relevance) -> None:
    got, expected = (blocks.n_query, blocks.n_gallery), (relevance.n_query, relevance.n_gallery)
    if got != expected:
        raise LpwError(
            "distances",
            f"shape {got}",
            f"{expected} as judged",
            "pass the same queries and gallery",
        )
    if any(relevance.hidden[lists.columns].any() for lists in (relevance.good, relevance.ignored)):
        raise ValueError("a hidden gallery item is listed for a query")


@dataclass(frozen=True)
class _RankTask:
    """Counts, for rows of distances, what is closer than each right answer; fills `n_closer`.

    `visible_columns` are the gallery columns that some query sees; None means all.
    """

    relevance: Relevance
    visible_columns: Ints | None
    n_closer: Ints

    def run(self, start: int, block: Distances) -> None:
        check_numbers(block, start)
        good = _cut(self.relevance.good, start, len(block))
        values = block[good.owners, good.columns]
        ignored = _cut(self.relevance.ignored, start, len(block))
        ignored_distances = block[ignored.owners, ignored.columns]
        columns = good.columns
        if self.visible_columns is not None:
            block, columns = (
                np.take(block, self.visible_columns, axis=1),
                np.searchsorted(self.visible_columns, columns),
            )
        first = self.relevance.good.starts[start]
        n_closer = self.n_closer[first : first + len(columns)]
        buffer = np.empty((N_COMPARED, block.shape[1]), dtype=bool)
        starts = good.starts.tolist()
        for row, a, b in zip(block, starts[:-1], starts[1:], strict=True):
            if b - a > N_SORTED:
                n_closer[a:b] = _place(row, columns[a:b])
            elif a < b:
                n_closer[a:b] = _count_closer(row, values[a:b], columns[a:b], buffer)
        if len(ignored_distances):
            n_closer -= _count_between(good, values, ignored, ignored_distances)


def _cut(lists: Ragged, start: int, n: int) -> Ragged:
    starts = lists.starts[start : start + n + 1]
    return Ragged(starts - starts[0], lists.columns[starts[0] : starts[-1]])


def _count_closer(
    row: Distances, values: Distances, columns: Ints, buffer: NDArray[np.bool_]
) -> list[int]:
    """How many columns of `row` come before each of `columns`, whose `values` are given."""
    out: list[int] = []
    for start, stop in split_rows(len(values), len(buffer)):
        smaller, wanted = buffer[: stop - start], values[start:stop, None]
        np.less(row, wanted, out=smaller)
        counts = [int(np.count_nonzero(line)) for line in smaller]
        np.equal(row, wanted, out=smaller)
        if np.count_nonzero(smaller) > len(smaller):  # each equals itself; more are ties
            ends = columns[start:stop].tolist()
            counts = [
                n + int(np.count_nonzero(line[:end]))
                for n, line, end in zip(counts, smaller, ends, strict=True)
            ]
        out += counts
    return out


def _place(row: Distances, columns: Ints) -> Ints:
    """The same as `_count_closer` by sorting, for many columns."""
    place = np.empty(len(row), dtype=np.int64)
    place[np.argsort(row, kind="stable")] = np.arange(len(row))
    return place[columns]


def _count_between(
    good: Ragged, values: Distances, ignored: Ragged, ignored_distances: Distances
) -> Ints:
    """How many ignored columns come before each right answer of the same query."""
    owner = np.concatenate([good.owners, ignored.owners])
    column = np.concatenate([good.columns, ignored.columns])
    order = np.lexsort((column, np.concatenate([values, ignored_distances]), owner))
    passed = np.empty(len(order), dtype=np.int64)
    passed[order] = np.cumsum(order >= len(values))
    return passed[: len(values)] - ignored.starts[good.owners]


def top_columns(
    rows: Distances, relevance: Relevance, k: int, *, start: int = 0
) -> tuple[Ints, NDArray[np.bool_]]:
    """The k gallery items that each query of a block sees first.

    Args:
        rows: (n, G) distances of the queries [start, start + n).
        relevance: of all queries.

    Returns:
        Columns (n, k), nearest first, padded with -1 where a query sees fewer; whether each is
        right (n, k).
    """
    check_numbers(rows, start)
    columns = np.full((len(rows), k), -1, dtype=np.int64)
    for i, row in enumerate(rows):
        visible = ~relevance.hidden
        visible[relevance.ignored[start + i]] = False
        found = first_columns(row, np.flatnonzero(visible), k)
        columns[i, : len(found)] = found
    right = [np.isin(line, relevance.good[start + i]) for i, line in enumerate(columns)]
    return columns, np.array(right, dtype=bool).reshape(columns.shape)
