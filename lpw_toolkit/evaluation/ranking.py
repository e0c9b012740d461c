"""Cumulative matches, average precision and mINP from distances and judged galleries, without
sorting the galleries."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.relevance import Ragged, Relevance
from lpw_toolkit.evaluation.top_k import first_columns

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Distances = NDArray[np.floating[Any]]
APForm = Literal["step", "trapezoid"]
Unmatched = Literal["skip", "zero"]

#: Bytes of distances that are asked for at once, and that one thread ranks at once.
BLOCK_BYTES, PART_BYTES = 64 << 20, 2 << 20
#: Right answers compared with a row at once, and how many make sorting the row cheaper than
#: comparing.
N_COMPARED, N_SORTED = 32, 256
#: Columns from which on one comparison of a row takes longer than handing the interpreter to
#: another thread.
LONG_ROW = 32_768


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


@dataclass(frozen=True)
class LazyDistances:
    """Blocks that a function computes: `compute(start, stop)` gives rows [start, stop)."""

    n_query: int
    n_gallery: int
    compute: Callable[[int, int], Distances]

    def block(self, start: int, stop: int) -> Distances:
        """Rows [start, stop), computed now."""
        return self.compute(start, stop)


@dataclass(frozen=True)
class Ranking:
    """Where the right answers of Q queries stand.

    Attributes:
        starts: (Q + 1,); the right answers of query q are the places [starts[q], starts[q + 1]).
        ranks: (n,) 1-based ranks of the right answers among all that the query sees (junk does not
            count), ascending within a query.
        n_seen: (Q,) gallery items that the query sees.
        n_gallery: gallery items, hidden ones among them.
    """

    starts: Ints
    ranks: Ints
    n_seen: Ints
    n_gallery: int

    @property
    def n_query(self) -> int:
        """Number of queries."""
        return len(self.n_seen)

    @cached_property
    def n_right(self) -> Ints:
        """Right answers of each query (Q,)."""
        return np.diff(self.starts)

    @property
    def unmatched(self) -> NDArray[np.bool_]:
        """Queries (Q,) without any right answer."""
        return np.equal(self.n_right, 0)

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
        hit = np.arange(1, len(self.ranks) + 1) - np.repeat(self.starts[:-1], self.n_right)
        value = hit / self.ranks
        if form == "trapezoid":
            before = np.where(self.ranks == 1, 1.0, (hit - 1) / np.maximum(self.ranks - 1, 1))
            value = (value + before) / 2
        total = np.bincount(Ragged(self.starts, self.ranks).owners, value, self.n_query)
        return _divide(total, self.n_right)

    @property
    def inverse_penalty(self) -> Floats:
        """Right answers by the rank of the last one (Q,), in (0, 1], NaN where there is none; its
        mean is mINP.

        Source: Ye et al., Deep Learning for Person Re-identification: A Survey and Outlook, section
        3.3.
        """
        return _divide(self.n_right, self.last)


def _divide(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    out: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return out


@dataclass(frozen=True)
class Summary:
    """Means over the queries, as fractions, with what they must be read with.

    Attributes:
        cmc: (R,) share of queries with a right answer among the first k, at place k - 1.
        map: mean average precision.
        minp: mean inverse negative penalty.
        n_query: queries that the means are over.
        n_gallery: gallery items, hidden ones among them.
        n_unmatched: queries without a right answer.
        n_skipped: those of them that were left out of the means.
        ap_form: form of the average precision.
        unmatched: what queries without a right answer did.
    """

    cmc: Floats
    map: float
    minp: float
    n_query: int
    n_gallery: int
    n_unmatched: int
    n_skipped: int
    ap_form: APForm
    unmatched: Unmatched


def summarise(
    ranking: Ranking, *, ap_form: APForm = "step", unmatched: Unmatched = "skip", max_rank: int = 50
) -> Summary:
    """Means over all queries, or over those with a right answer.

    Args:
        unmatched: `skip` leaves queries without a right answer out, `zero` counts them as missed.
        max_rank: length of the curve; beyond the gallery's end it stays level.

    Errors: LpwError where no query would be counted, or the curve would have no rank.
    """
    if max_rank < 1:
        raise LpwError("max_rank", str(max_rank), "1 or more", "ask for the ranks to report")
    lost = ranking.unmatched
    counted = np.ones_like(lost) if unmatched == "zero" else ~lost
    if not counted.any():
        got = (
            f"none of {ranking.n_query} queries with a right answer in {ranking.n_gallery} "
            f"gallery items"
        )
        raise LpwError(
            "ranking", got, "at least one", "check the person and camera ids of queries and gallery"
        )
    hits = np.bincount(np.clip(ranking.first[~lost], 1, max_rank + 1), minlength=max_rank + 2)[
        1 : max_rank + 1
    ]
    n = int(counted.sum())
    return Summary(
        cmc=np.cumsum(hits) / n,
        map=float(np.nansum(ranking.average_precision(ap_form)) / n),
        minp=float(np.nansum(ranking.inverse_penalty) / n),
        n_query=n,
        n_gallery=ranking.n_gallery,
        n_unmatched=int(lost.sum()),
        n_skipped=int((~counted).sum()),
        ap_form=ap_form,
        unmatched=unmatched,
    )


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
    seen = np.flatnonzero(~relevance.hidden)
    ahead = np.empty(len(relevance.good.columns), dtype=np.int64)
    n_rows = max(1, PART_BYTES // max(1, 4 * relevance.n_gallery))
    task = _Task(relevance, None if len(seen) == relevance.n_gallery else seen, ahead)
    with ThreadPoolExecutor(n_threads or (2 if relevance.n_gallery >= LONG_ROW else 1)) as pool:
        for start, stop in iter_ranges(
            blocks.n_query, max(1, BLOCK_BYTES // max(1, 4 * blocks.n_gallery))
        ):
            block = blocks.block(start, stop)
            parts = [(start + a, block[a:b]) for a, b in iter_ranges(stop - start, n_rows)]
            list(pool.map(lambda part: task.run(*part), parts))
    return _gather(relevance, ahead)


def as_blocks(distances: DistanceBlocks | Distances) -> DistanceBlocks:
    """A matrix as blocks; blocks as they are."""
    return DenseDistances(distances) if isinstance(distances, np.ndarray) else distances


def iter_ranges(n: int, step: int) -> list[tuple[int, int]]:
    """[0, n) in ranges of `step`, the last one shorter."""
    return [(start, min(n, start + step)) for start in range(0, n, step)]


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


def _gather(relevance: Relevance, ahead: Ints) -> Ranking:
    good = relevance.good
    ranks = ahead[np.lexsort((ahead, good.owners))] + 1
    n_seen = np.count_nonzero(~relevance.hidden) - relevance.ignored.counts
    return Ranking(good.starts, ranks, n_seen, relevance.n_gallery)


@dataclass(frozen=True)
class _Task:
    """Counts, for rows of distances, what stands ahead of each right answer; fills `ahead`.

    `seen` holds the columns that anybody sees, None where all are.
    """

    relevance: Relevance
    seen: Ints | None
    ahead: Ints

    def run(self, start: int, block: Distances) -> None:
        check_numbers(block, start)
        good = _cut(self.relevance.good, start, len(block))
        values = block[good.owners, good.columns]
        ignored = _cut(self.relevance.ignored, start, len(block))
        hindered = block[ignored.owners, ignored.columns]
        columns = good.columns
        if self.seen is not None:
            block, columns = np.take(block, self.seen, axis=1), np.searchsorted(self.seen, columns)
        first = self.relevance.good.starts[start]
        ahead = self.ahead[first : first + len(columns)]
        buffer = np.empty((N_COMPARED, block.shape[1]), dtype=bool)
        starts = good.starts.tolist()
        for row, a, b in zip(block, starts[:-1], starts[1:], strict=True):
            if b - a > N_SORTED:
                ahead[a:b] = _place(row, columns[a:b])
            elif a < b:
                ahead[a:b] = _count_ahead(row, values[a:b], columns[a:b], buffer)
        if len(hindered):
            ahead -= _count_between(good, values, ignored, hindered)


def _cut(lists: Ragged, start: int, n: int) -> Ragged:
    starts = lists.starts[start : start + n + 1]
    return Ragged(starts - starts[0], lists.columns[starts[0] : starts[-1]])


def _count_ahead(
    row: Distances, values: Distances, columns: Ints, buffer: NDArray[np.bool_]
) -> list[int]:
    """How many columns of `row` come before each of `columns`, whose `values` are given."""
    out: list[int] = []
    for start, stop in iter_ranges(len(values), len(buffer)):
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
    """The same as `_count_ahead` by sorting, for many columns."""
    place = np.empty(len(row), dtype=np.int64)
    place[np.argsort(row, kind="stable")] = np.arange(len(row))
    return place[columns]


def _count_between(good: Ragged, values: Distances, ignored: Ragged, hindered: Distances) -> Ints:
    """How many ignored columns come before each right answer of the same query."""
    owner = np.concatenate([good.owners, ignored.owners])
    column = np.concatenate([good.columns, ignored.columns])
    order = np.lexsort((column, np.concatenate([values, hindered]), owner))
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
        seen = ~relevance.hidden
        seen[relevance.ignored[start + i]] = False
        found = first_columns(row, np.flatnonzero(seen), k)
        columns[i, : len(found)] = found
    right = [np.isin(line, relevance.good[start + i]) for i, line in enumerate(columns)]
    return columns, np.array(right, dtype=bool).reshape(columns.shape)
