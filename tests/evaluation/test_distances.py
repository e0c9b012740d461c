"""Distances in blocks, against brute force in double precision."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation import distances as module
from lpw_toolkit.evaluation.distances import (
    Cosine,
    Distance,
    Euclidean,
    Quadratic,
    SquaredEuclidean,
    make_quadratic,
)
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.relevance import Ragged, Relevance

PLAIN: list[Distance] = [Cosine(), Euclidean(), SquaredEuclidean()]


def compare_slowly(
    name: str, query: NDArray[Any], gallery: NDArray[Any], form: NDArray[Any] | None = None
) -> NDArray[Any]:
    """From the differences of all pairs, in double precision."""
    query, gallery = query.astype(np.float64), gallery.astype(np.float64)
    if name == "cosine":
        query = query / np.sqrt((query * query).sum(axis=1, keepdims=True))
        gallery = gallery / np.sqrt((gallery * gallery).sum(axis=1, keepdims=True))
    apart = query[:, None] - gallery[None]
    squares = np.einsum(
        "qgi,ij,qgj->qg", apart, np.eye(query.shape[1]) if form is None else form, apart
    )
    return {"cosine": squares / 2, "euclidean": np.sqrt(np.abs(squares))}.get(name, squares)


def whole(distance: Distance, query: NDArray[Any], gallery: NDArray[Any]) -> NDArray[np.float32]:
    return distance.blocks(query, gallery).block(0, len(query))


@pytest.mark.parametrize("distance", PLAIN, ids=lambda d: d.name)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_equals_brute_force(distance: Distance, kind: Any, offset: float) -> None:
    rng = np.random.default_rng(1)
    query, gallery = (rng.normal(offset, 1, (n, 96)).astype(kind) for n in (40, 130))
    gallery[:20] = query[:20] * kind(1.001) + rng.normal(0, 1e-3, (20, 96)).astype(
        kind
    )  # almost the same
    found, expected = whole(distance, query, gallery), compare_slowly(distance.name, query, gallery)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=3e-5)


@pytest.mark.parametrize("distance", PLAIN, ids=lambda d: d.name)
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
def test_near_vectors_keep_their_digits_wherever_they_lie(
    distance: Distance, spread: float
) -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(0, 10, 64)
    query, gallery = (
        common + rng.normal(0, spread, (15, 64)),
        common + rng.normal(0, spread, (50, 64)),
    )
    np.testing.assert_allclose(
        whole(distance, query, gallery), compare_slowly(distance.name, query, gallery), rtol=1e-4
    )


@pytest.mark.parametrize("distance", PLAIN, ids=lambda d: d.name)
def test_far_clusters_of_near_vectors_keep_their_digits(distance: Distance) -> None:
    """Most pairs lose their digits in single precision, and many even in double precision."""
    rng = np.random.default_rng(3)
    centres = rng.normal(0, 1, (3, 48))
    points = centres[rng.integers(0, 3, 90)] + rng.normal(0, 1e-6, (90, 48))
    expected = compare_slowly(distance.name, points[:30], points[30:])
    np.testing.assert_allclose(
        whole(distance, points[:30], points[30:]), expected, rtol=1e-4, atol=1e-15
    )


@pytest.mark.parametrize("distance", PLAIN, ids=lambda d: d.name)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_equal_vectors_are_at_zero(distance: Distance, kind: Any) -> None:
    query = np.random.default_rng(4).normal(5, 1, (70, 33)).astype(kind)
    assert (np.diag(whole(distance, query, query.copy())) == 0).all()
    assert (whole(distance, np.ones((4, 3), kind), np.ones((5, 3), kind)) == 0).all()


def test_cosine_looks_at_directions_only() -> None:
    query = np.array([[1.0, 0.0], [0.0, 2.0]])
    found = whole(Cosine(), query, np.array([[5.0, 0.0], [-3.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(found, [[0, 2, 1 - 2**-0.5], [1, 1, 1 - 2**-0.5]], atol=1e-7)


def test_euclidean_by_hand() -> None:
    query, gallery = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0]])
    assert whole(Euclidean(), query, gallery).tolist() == [[5, 0]]
    assert whole(SquaredEuclidean(), query, gallery).tolist() == [[25, 0]]


@st.composite
def vectors(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, m, d = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 6))
    scale = draw(st.sampled_from([1e-3, 1.0, 1e3]))
    points = rng.integers(1, 4, (n + m, d)) * scale
    return points[:n], points[n:]


@given(vectors(), st.sampled_from(PLAIN), st.integers(1, 9))
@settings(deadline=None, max_examples=150)
def test_blocks_and_pairs_are_the_whole(
    pair: tuple[NDArray[Any], NDArray[Any]], distance: Distance, step: int
) -> None:
    query, gallery = pair
    blocks = distance.blocks(query, gallery)
    expected = compare_slowly(distance.name, query, gallery)
    found = np.concatenate(
        [blocks.block(a, min(len(query), a + step)) for a in range(0, len(query), step)]
    )
    scale = np.abs(expected).max() + 1e-300
    np.testing.assert_allclose(found, expected, rtol=3e-5, atol=1e-9 * scale)
    rows, columns = np.divmod(np.arange(found.size), len(gallery))
    np.testing.assert_allclose(
        blocks.pairs(rows, columns), expected.ravel(), rtol=1e-6, atol=1e-9 * scale
    )
    assert (found >= 0).all()
    assert (blocks.n_query, blocks.n_gallery) == found.shape


class TestQuadratic:
    @pytest.mark.parametrize("positive", [True, False])
    def test_equals_brute_force(self, positive: bool) -> None:
        rng = np.random.default_rng(5)
        subspace, root = rng.normal(size=(20, 7)), rng.normal(size=(7, 7))
        form = root @ root.T if positive else (root + root.T) / 2
        distance = make_quadratic("xqda", "XQDA", subspace, form)
        query, gallery = rng.normal(2, 1, (30, 20)), rng.normal(2, 1, (80, 20))
        gallery[:30] = query
        found = whole(distance, query, gallery)
        expected = compare_slowly("xqda", query, gallery, subspace @ form @ subspace.T)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
        assert (np.diag(found[:, :30]) == 0).all()
        assert bool((expected < 0).any()) is not positive
        assert bool((found < 0).any()) is not positive
        assert distance.squared

    def test_another_dimension(self) -> None:
        distance = Quadratic("kissme", "KISSME", np.eye(4), np.ones(4))
        with pytest.raises(LpwError, match="got 5 dimensions; expected 4 as in training"):
            distance.blocks(np.ones((2, 5)), np.ones((2, 5)))


class TestBadInput:
    def test_zero_vectors_are_named(self) -> None:
        gallery = np.ones((9, 3), dtype=np.float32)
        gallery[[2, 7]] = 0
        with pytest.raises(
            LpwError, match=r"gallery features: got zero vectors.* in rows 2, 7 \(2\)"
        ):
            Cosine().blocks(np.ones((2, 3)), gallery)
        assert np.isfinite(whole(Euclidean(), np.ones((2, 3)), gallery)).all()

    @pytest.mark.parametrize("distance", PLAIN, ids=lambda d: d.name)
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_not_finite_is_named(self, distance: Distance, value: float) -> None:
        query = np.ones((9, 3))
        query[4, 1] = value
        with pytest.raises(
            LpwError, match=r"query features: got NaN, infinite or too large values in rows 4 \(1\)"
        ):
            distance.blocks(query, np.ones((2, 3)))

    def test_many_bad_rows_are_counted(self) -> None:
        with pytest.raises(LpwError, match=r"rows 0, 1, 2, 3, 4, ... \(8\)"):
            Cosine().blocks(np.zeros((8, 2)), np.ones((1, 2)))

    @pytest.mark.parametrize("distance", PLAIN, ids=lambda d: d.name)
    def test_different_dimensions(self, distance: Distance) -> None:
        with pytest.raises(LpwError, match="gallery features: got 4 dimensions; expected 3"):
            distance.blocks(np.ones((2, 3)), np.ones((2, 4)))

    @pytest.mark.parametrize("query", [np.ones(3), np.ones((2, 3), dtype=np.int32)])
    def test_no_table_of_numbers(self, query: Any) -> None:
        with pytest.raises(
            LpwError, match=r"query features: .* expected floating numbers of shape \(n, D\)"
        ):
            Euclidean().blocks(query, np.ones((2, 3)))

    def test_huge_vectors_are_an_error_and_no_rank(self) -> None:
        query = np.array([[1e30, 0.0], [0.0, 1e30]])
        with pytest.raises(LpwError, match="too large"):
            SquaredEuclidean().blocks(query, query)

    def test_empty_sides(self) -> None:
        assert whole(Euclidean(), np.ones((0, 3)), np.ones((2, 3))).shape == (0, 2)
        assert whole(Euclidean(), np.ones((2, 3)), np.ones((0, 3))).shape == (2, 0)


def test_ranking_takes_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    query, gallery = (
        rng.normal(size=(50, 16)).astype(np.float32),
        rng.normal(size=(300, 16)).astype(np.float32),
    )
    judged = Relevance(
        Ragged(
            np.arange(51) * 3, rng.permuted(np.tile(np.arange(300), (50, 1)), axis=1)[:, :3].ravel()
        ),
        Ragged(np.zeros(51, dtype=np.int64), np.zeros(0, dtype=np.int64)),
        np.zeros(300, dtype=bool),
    )
    expected = rank_queries(compare_slowly("cosine", query, gallery), judged)
    monkeypatch.setattr("lpw_toolkit.evaluation.ranking.BLOCK_BYTES", 5000)
    monkeypatch.setattr(module, "N_VALUES", 64)
    assert (
        rank_queries(Cosine().blocks(query, gallery), judged).ranks.tolist()
        == expected.ranks.tolist()
    )
