"""k-reciprocal re-ranking: distances mixed with the Jaccard distance of neighbour sets, on sparse
vectors.

Queries and gallery are stacked, and every item is a neighbour of every other. Where the gallery
holds the queries too (the official MARS rule), a query is stacked twice: it is its own neighbour at
distance 0, which takes one of its k1 places. `rerank_features` and `rerank_matrices` do so, as the
published numbers do; `rerank` with `columns` stacks each query once.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lpw_toolkit.dataset.ranges import ragged_arange, split_rows
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_blocks import (
    DistanceBlocks,
    Distances,
    Ints,
    check_numbers,
)
from lpw_toolkit.evaluation.distances import Distance, Features, check_alike
from lpw_toolkit.evaluation.top_k import first_places

Half = Literal["round_even", "half_up"]
#: Bytes of distances asked for at once, and compared at once; shared entries and rows handled at
#: once.
BLOCK_BYTES, PART_BYTES, N_SHARED, N_ROWS = 32 << 20, 8 << 20, 2 << 20, 64


@dataclass(frozen=True)
class RerankConfig:
    """How to re-rank.

    Attributes:
        k1: neighbours that must be mutual.
        k2: neighbours whose vectors are averaged; 1 averages nothing.
        lambda_: share of the original distance in [0, 1].
        half: how many neighbours the half-size sets have. `round_even` is the Python port's rule,
            round(k1 / 2) half to even, plus 1; `half_up` is the MATLAB original's, (k1 + 1) / 2
            rounded half up. Both give 11 at k1 = 20 and 3 at 5, but 5 and 4 at 7, which moves
            values by up to 0.12.

    Source: Zhong et al. 2017; zhunzhong07/person-re-ranking.
    """

    k1: int = 20
    k2: int = 6
    lambda_: float = 0.3
    half: Half = "round_even"

    def __post_init__(self) -> None:
        good = (
            self.k1 >= 1
            and self.k2 >= 1
            and 0 <= self.lambda_ <= 1
            and self.half in ("round_even", "half_up")
        )
        if not good:
            expected = "k1 and k2 from 1, lambda in [0, 1], half round_even or half_up"
            raise LpwError("re-ranking", str(self), expected, "change the setting")

    @property
    def n_half(self) -> int:
        """Neighbours in the half-size sets, the item itself among them."""
        return (self.k1 + 2) // 2 if self.half == "half_up" else round(self.k1 / 2) + 1


class PairBlocks(DistanceBlocks, Protocol):
    """Blocks that also give single distances."""

    def pairs(self, rows: Ints, columns: Ints) -> Distances:
        """The distances (n,) at `(rows[i], columns[i])`."""


@dataclass(frozen=True)
class Stack:
    """Blocks (N, N) of queries and gallery stacked, N = Q + G, from three matrices.

    Attributes:
        d_qq: (Q, Q).
        d_qg: (Q, G).
        d_gg: (G, G).
    """

    d_qq: Distances
    d_qg: Distances
    d_gg: Distances

    def __post_init__(self) -> None:
        shapes = [d.shape for d in (self.d_qq, self.d_qg, self.d_gg)]
        n_query, n_gallery = shapes[1] if len(shapes[1]) == 2 else (-1, -1)
        if shapes != [(n_query, n_query), (n_query, n_gallery), (n_gallery, n_gallery)]:
            expected = "(Q, Q), (Q, G) and (G, G)"
            raise LpwError(
                "distances", f"shapes {shapes}", expected, "pass queries and gallery in one order"
            )

    @property
    def n_query(self) -> int:
        """Number of rows."""
        return sum(self.d_qg.shape)

    @property
    def n_gallery(self) -> int:
        """Number of columns."""
        return sum(self.d_qg.shape)

    def block(self, start: int, stop: int) -> Distances:
        """Rows [start, stop) as (stop - start, N)."""
        n = len(self.d_qq)
        out = np.empty(
            (stop - start, self.n_gallery), dtype=np.result_type(self.d_qq, self.d_qg, self.d_gg)
        )
        above, below = out[: max(0, n - start)], out[max(0, n - start) :]
        above[:, :n], above[:, n:] = (
            self.d_qq[start : min(stop, n)],
            self.d_qg[start : min(stop, n)],
        )
        first, last = max(start, n) - n, max(stop, n) - n
        below[:, :n], below[:, n:] = self.d_qg[:, first:last].T, self.d_gg[first:last]
        return out

    def pairs(self, rows: Ints, columns: Ints) -> Distances:
        """The distances (n,) at `(rows[i], columns[i])`."""
        n = len(self.d_qq)
        low, high = np.minimum(rows, columns), np.maximum(rows, columns)
        out = np.empty(len(rows), dtype=np.result_type(self.d_qq, self.d_qg, self.d_gg))
        both, one = high < n, (low < n) & (high >= n)
        none = ~(both | one)
        out[both] = self.d_qq[rows[both], columns[both]]
        out[one] = self.d_qg[low[one], high[one] - n]
        out[none] = self.d_gg[rows[none] - n, columns[none] - n]
        return out


def rerank_matrices(
    d_qq: Distances,
    d_qg: Distances,
    d_gg: Distances,
    *,
    squared: bool,
    config: RerankConfig | None = None,
) -> NDArray[np.float32]:
    """Re-ranked distances (Q, G).

    Args:
        d_qq: (Q, Q), symmetric.
        d_qg: (Q, G).
        d_gg: (G, G), symmetric.
        squared: True where the values already are squares or other quadratic forms, such as XQDA's,
            which may be negative; False squares them first, as the Python port always does.

    Errors: LpwError where shapes do not fit or a distance is NaN.
    """
    return rerank(Stack(d_qq, d_qg, d_gg), len(d_qq), squared=squared, config=config)


def rerank_features(
    distance: Distance, query: Features, gallery: Features, *, config: RerankConfig | None = None
) -> NDArray[np.float32]:
    """Re-ranked distances (Q, G) of vectors (Q, D) and (G, D), never holding more than Q x G of
    them.

    A distance whose values are no squares is squared first. Cosine distances count as squares,
    since they are half the squared distances of unit vectors; torchreid squares them once more.

    Errors: LpwError where the features do not fit each other or the distance.
    """
    check_alike(query, gallery)
    stacked = np.concatenate([query, gallery])
    return rerank(
        distance.blocks(stacked, stacked), len(query), squared=distance.squared, config=config
    )


def rerank(
    blocks: PairBlocks,
    n_query: int,
    *,
    squared: bool,
    config: RerankConfig | None = None,
    columns: Ints | None = None,
) -> NDArray[np.float32]:
    """Re-ranked distances (Q, G) of N stacked items, the first `n_query` of which are the queries.

    Args:
        blocks: (N, N), symmetric.
        squared: as in `rerank_matrices`.
        columns: (G,) which of the stack are the gallery, queries among them or not; None is all
            after the queries.

    Values lie in [0, 1] where no distance is negative.
    """
    config = config or RerankConfig()
    near, largest = _find_neighbours(blocks, max(config.k1 + 1, config.k2), squared)
    vectors = _encode(blocks, near, largest, squared, config)
    if config.k2 > 1:
        vectors = _link(near[:, : config.k2]) @ vectors / min(config.k2, near.shape[1])
    columns = np.arange(n_query, blocks.n_gallery) if columns is None else columns
    shared = vectors[columns].tocsc()
    out = np.empty((n_query, len(columns)), dtype=np.float32)
    for start, stop in _row_ranges(n_query, blocks.n_gallery, PART_BYTES):
        original = _square(blocks.block(start, stop)[:, columns], squared)
        share = config.lambda_ / largest[start:stop, None]
        out[start:stop] = _compare(vectors[start:stop], shared)
        out[start:stop] *= 1 - config.lambda_
        out[start:stop] += original * share.astype(original.dtype)
    return out


def _row_ranges(n_rows: int, n_columns: int, n_bytes: int) -> list[tuple[int, int]]:
    return split_rows(n_rows, max(1, n_bytes // max(1, 4 * n_columns)))


def _square(values: Distances, squared: bool) -> Distances:
    return values if squared else values * values


def _find_neighbours(blocks: PairBlocks, k: int, squared: bool) -> tuple[Ints, NDArray[Any]]:
    """The first `k` of each row, nearest first (N, k), in the order of a stable sort; the largest
    value of each row.

    A largest value of 0 (all items equal) counts as 1.
    """
    n = blocks.n_query
    near = np.empty((n, min(k, n)), dtype=np.int64)
    largest = np.empty(n)
    for start, stop in _row_ranges(n, n, BLOCK_BYTES):
        block = _square(blocks.block(start, stop), squared)
        check_numbers(block, start)
        largest[start:stop] = block.max(axis=1)
        for a, b in split_rows(len(block), N_ROWS):
            near[start + a : start + b] = first_places(block[a:b], near.shape[1])
    return near, np.where(largest > 0, largest, 1.0)


def _link(near: Ints) -> Any:
    """Sparse (N, N): 1 at each row's neighbours."""
    n, k = near.shape
    return sp.csr_array((np.ones(near.size), near.ravel(), np.arange(n + 1) * k), shape=(n, n))


def _reciprocal(near: Ints) -> Any:
    """Sparse (N, N): 1 where two items are in each other's neighbours."""
    links = _link(near)
    return links.multiply(links.T).tocsr()


def _encode(
    blocks: PairBlocks, near: Ints, largest: NDArray[Any], squared: bool, config: RerankConfig
) -> Any:
    """Sparse vectors (N, N), each of sum 1: exp(-distance) at the expanded mutual neighbours."""
    mutual, half = _reciprocal(near[:, : config.k1 + 1]), _reciprocal(near[:, : config.n_half])
    sizes = np.asarray(half.sum(axis=1)).ravel()
    overlap = (mutual @ half.T).multiply(mutual).tocoo()
    chosen = 3 * overlap.data > 2 * sizes[overlap.col]
    rows, columns = overlap.row[chosen], overlap.col[chosen]
    accepted = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=mutual.shape)
    expanded = (mutual + accepted @ half).tocoo()
    rows, columns = expanded.row.astype(np.int64), expanded.col.astype(np.int64)
    exponents = -_square(blocks.pairs(rows, columns), squared) / largest[rows]
    highest = np.full(len(near), -np.inf)
    np.maximum.at(highest, rows, exponents)
    weights = np.exp(
        exponents - highest[rows]
    )  # far below zero, distances of an indefinite form would overflow
    weights /= np.bincount(rows, weights, len(near))[rows]
    return sp.csr_array((weights, (rows, columns)), shape=mutual.shape)


def _compare(vectors: Any, gallery: Any) -> NDArray[np.float64]:
    """Jaccard distances (n, G) of sparse rows (n, N) and a gallery (G, N) given by columns."""
    vectors = vectors.tocoo()
    n, n_gallery = vectors.shape[0], gallery.shape[0]
    counts = np.diff(gallery.indptr)[vectors.col]
    shared = np.zeros(n * n_gallery)
    ends = np.cumsum(counts)
    for a, b in _cut_work(ends):
        reach = counts[a:b]
        places = np.repeat(gallery.indptr[vectors.col[a:b]], reach) + ragged_arange(reach)
        smaller = np.minimum(gallery.data[places], np.repeat(vectors.data[a:b], reach))
        at = (
            np.repeat(vectors.row[a:b].astype(np.int64) * n_gallery, reach)
            + gallery.indices[places]
        )
        shared += np.bincount(at, smaller, n * n_gallery)
    np.minimum(shared, 1, out=shared)  # rounding leaves equal vectors a little more than 1
    shared /= 2 - shared
    return np.subtract(1, shared, out=shared).reshape(n, n_gallery)


def _cut_work(ends: Ints) -> list[tuple[int, int]]:
    """Ranges of entries that reach about N_SHARED gallery entries each."""
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(N_SHARED, total, N_SHARED)) + 1
    places = [0, *np.unique(cuts[cuts < len(ends)]).tolist(), len(ends)]
    return list(pairwise(places))
