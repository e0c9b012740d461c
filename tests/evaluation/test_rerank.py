"""k-reciprocal re-ranking against the steps written out, torchreid's own, and what must hold for
any input."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_blocks import DenseDistances
from lpw_toolkit.evaluation.distances import (
    Cosine,
    Distance,
    Euclidean,
    Quadratic,
    SquaredEuclidean,
)
from lpw_toolkit.evaluation.rerank import RerankConfig, rerank, rerank_features, rerank_matrices

Values = NDArray[Any]
SETTINGS = [(20, 6, 0.3), (7, 3, 0.3), (20, 1, 0.3), (5, 2, 0.0)]


def draw_points(seed: int, n: int = 60, n_dims: int = 12) -> tuple[Values, Values]:
    """Queries and gallery of some persons each."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(8, n_dims))[rng.integers(0, 8, n)] + 0.6 * rng.normal(
        size=(n, n_dims)
    )
    return points[: n // 4].astype(np.float32), points[n // 4 :].astype(np.float32)


def compare(
    query: Values, gallery: Values, distance: Distance | None = None
) -> tuple[Values, Values, Values]:
    """Distances within the queries, to the gallery, within the gallery."""
    distance = distance or Euclidean()
    pairs = [(query, query), (query, gallery), (gallery, gallery)]
    qq, qg, gg = (distance.blocks(a, b).block(0, len(a)) for a, b in pairs)
    return np.maximum(qq, qq.T), qg, np.maximum(gg, gg.T)


def rerank_slowly(
    qq: Values, qg: Values, gg: Values, config: RerankConfig, *, squared: bool, n_half: int
) -> Values:
    """The steps of the paper, with sets and loops."""
    d = np.block([[qq, qg], [qg.T, gg]]).astype(np.float64)
    d = d if squared else d**2
    n = len(d)
    near = [sorted(range(n), key=lambda j, i=i: (d[i, j], j)) for i in range(n)]
    d = d / d.max(axis=1, keepdims=True)

    def mutual(i: int, k: int) -> set[int]:
        return {j for j in near[i][:k] if i in near[j][:k]}

    v = np.zeros((n, n))
    for i in range(n):
        members = set(core := mutual(i, config.k1 + 1))
        for q in core:
            half = mutual(q, n_half)
            if len(core & half) > 2 / 3 * len(half):
                members |= half
        for j in members:
            v[i, j] = np.exp(-d[i, j])
        v[i] /= v[i].sum() if members else 1
    if config.k2 > 1:
        v = np.array([v[near[i][: config.k2]].mean(axis=0) for i in range(n)])
    shared = np.array(
        [[np.minimum(v[p], v[g]).sum() for g in range(len(qq), n)] for p in range(len(qq))]
    )
    return (1 - config.lambda_) * (1 - shared / (2 - shared)) + config.lambda_ * d[
        : len(qq), len(qq) :
    ]


def load_oracle() -> Any:
    """torchreid's re-ranking; importing torchreid warns of its missing Cython part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = pytest.importorskip(
            "torchreid.reid.utils.rerank", reason="torchreid 0.2.5 (oracle) is not installed"
        )
    return oracle.re_ranking


class TestAgainstTorchreid:
    @pytest.mark.parametrize(("k1", "k2", "lambda_"), SETTINGS)
    @pytest.mark.parametrize("seed", range(3))
    def test_equal_to_a_millionth(self, k1: int, k2: int, lambda_: float, seed: int) -> None:
        oracle = load_oracle()
        qq, qg, gg = compare(*draw_points(seed))
        expected = oracle(qg, qq, gg, k1=k1, k2=k2, lambda_value=lambda_)
        found = rerank_matrices(qq, qg, gg, squared=False, config=RerankConfig(k1, k2, lambda_))
        np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)

    def test_the_other_rounding_is_the_same_at_20_and_5_and_another_at_7(self) -> None:
        oracle = load_oracle()
        qq, qg, gg = compare(*draw_points(0))
        apart = {}
        for k1 in (20, 5, 7):
            expected = oracle(qg, qq, gg, k1=k1, k2=3, lambda_value=0.3)
            config = RerankConfig(k1, 3, 0.3, half="half_up")
            apart[k1] = float(
                np.abs(rerank_matrices(qq, qg, gg, squared=False, config=config) - expected).max()
            )
        assert apart[20] < 1e-6 and apart[5] < 1e-6
        assert 0.005 < apart[7] < 0.2


class TestAgainstTheSteps:
    @pytest.mark.parametrize(("k1", "k2", "lambda_"), [*SETTINGS, (1, 1, 0.5), (200, 90, 0.3)])
    @pytest.mark.parametrize("half", ["round_even", "half_up"])
    @pytest.mark.parametrize("squared", [True, False])
    def test_equal(self, k1: int, k2: int, lambda_: float, half: Any, squared: bool) -> None:
        qq, qg, gg = compare(*draw_points(7, n=48))
        config = RerankConfig(k1, k2, lambda_, half)
        n_half = (
            int(np.floor((k1 + 1) / 2 + 0.5)) if half == "half_up" else int(np.around(k1 / 2)) + 1
        )
        expected = rerank_slowly(qq, qg, gg, config, squared=squared, n_half=n_half)
        found = rerank_matrices(qq, qg, gg, squared=squared, config=config)
        np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)

    def test_ties_are_ordered_by_place(self) -> None:
        rng = np.random.default_rng(8)
        d = rng.integers(1, 4, (40, 40)).astype(np.float32)
        d = np.triu(d, 1) + np.triu(d, 1).T
        config = RerankConfig(6, 3, 0.3)
        parts = d[:10, :10], d[:10, 10:], d[10:, 10:]
        expected = rerank_slowly(*parts, config, squared=True, n_half=4)
        np.testing.assert_allclose(
            rerank_matrices(*parts, squared=True, config=config), expected, atol=1e-6, rtol=0
        )

    def test_negative_values_of_an_indefinite_form(self) -> None:
        rng = np.random.default_rng(9)
        distance = Quadratic(
            "xqda", "XQDA", rng.normal(size=(12, 6)), np.array([1.0, 1, 1, 1, -0.5, -0.5])
        )
        query, gallery = draw_points(9)
        qq, qg, gg = compare(query, gallery, distance)
        assert (qg < 0).any()
        config = RerankConfig(7, 3, 0.3)
        expected = rerank_slowly(qq, qg, gg, config, squared=True, n_half=5)
        found = rerank_matrices(qq, qg, gg, squared=True, config=config)
        np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
        np.testing.assert_allclose(
            rerank_features(distance, query, gallery, config=config), found, atol=1e-5, rtol=0
        )
        folded = rerank_matrices(qq, qg, gg, squared=False, config=config)
        assert np.abs(folded - found).max() > 0.01

    def test_values_far_below_zero_do_not_overflow(self) -> None:
        rng = np.random.default_rng(10)
        d = -np.abs(rng.normal(size=(30, 30))) * 1e4
        d = (np.triu(d, 1) + np.triu(d, 1).T).astype(np.float32)
        d[0, 1:] = d[1:, 0] = 1e-3  # every row's largest value is tiny
        found = rerank_matrices(
            d[:8, :8], d[:8, 8:], d[8:, 8:], squared=True, config=RerankConfig(5, 2, 0.0)
        )
        assert ((found >= 0) & (found <= 1)).all()

    def test_queries_may_be_among_the_answers(self) -> None:
        """As in the official MARS gallery: each query answers too, without a second copy among the
        neighbours."""
        query, gallery = draw_points(11)
        qq, qg, gg = compare(query, gallery)
        config = RerankConfig(7, 3, 0.3)
        everything = np.block([[qq, qg], [qg.T, gg]])
        answers = np.array([3, 20, 0, 59, 14])
        found = rerank(
            DenseDistances(everything), 15, squared=False, config=config, columns=answers
        )
        assert found.shape == (15, 5)
        np.testing.assert_allclose(
            found[:, [1, 3]],
            rerank_matrices(qq, qg, gg, squared=False, config=config)[:, [5, 44]],
            atol=1e-6,
            rtol=0,
        )
        np.testing.assert_allclose(found[[3, 0, 14], [0, 2, 4]], 0, atol=1e-6)


class TestProperties:
    @given(
        st.integers(0, 10_000),
        st.integers(1, 25),
        st.integers(1, 8),
        st.floats(0, 1),
        st.sampled_from([3, 10, 40]),
    )
    @settings(deadline=None, max_examples=60)
    def test_range_and_shape(self, seed: int, k1: int, k2: int, lambda_: float, n: int) -> None:
        query, gallery = draw_points(seed, n=n)
        found = rerank_features(Euclidean(), query, gallery, config=RerankConfig(k1, k2, lambda_))
        assert found.shape == (len(query), len(gallery)) and found.dtype == np.float32
        assert ((found >= 0) & (found <= 1 + 1e-6)).all()

    @given(st.integers(0, 10_000))
    @settings(deadline=None, max_examples=30)
    def test_permuting_the_gallery_permutes_the_columns(self, seed: int) -> None:
        query, gallery = draw_points(seed)
        order = np.random.default_rng(seed).permutation(len(gallery))
        qq, qg, gg = compare(query, gallery)
        config = RerankConfig(7, 3, 0.3)
        straight = rerank_matrices(qq, qg, gg, squared=False, config=config)
        shuffled = rerank_matrices(
            qq, qg[:, order], gg[np.ix_(order, order)], squared=False, config=config
        )
        np.testing.assert_allclose(shuffled, straight[:, order], atol=1e-6, rtol=0)

    def test_lambda_1_keeps_the_order(self) -> None:
        query, gallery = draw_points(3)
        qq, qg, gg = compare(query, gallery)
        found = rerank_matrices(qq, qg, gg, squared=False, config=RerankConfig(lambda_=1.0))
        assert np.array_equal(
            np.argsort(found, axis=1, kind="stable"), np.argsort(qg, axis=1, kind="stable")
        )

    @pytest.mark.parametrize(
        "distance", [Cosine(), Euclidean(), SquaredEuclidean()], ids=lambda d: d.name
    )
    def test_features_give_what_their_matrices_give(self, distance: Distance) -> None:
        query, gallery = draw_points(4)
        parts = compare(query, gallery, distance)
        expected = rerank_matrices(*parts, squared=distance.squared)
        np.testing.assert_allclose(
            rerank_features(distance, query, gallery), expected, atol=2e-6, rtol=0
        )

    def test_euclidean_and_its_square_are_one(self) -> None:
        query, gallery = draw_points(5)
        one, other = (rerank_features(d, query, gallery) for d in (Euclidean(), SquaredEuclidean()))
        np.testing.assert_allclose(one, other, atol=2e-6, rtol=0)

    def test_blocks_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        parts = compare(*draw_points(6))
        expected = rerank_matrices(*parts, squared=False)
        for name, value in {
            "BLOCK_BYTES": 2000,
            "PART_BYTES": 1000,
            "N_SHARED": 50,
            "N_ROWS": 3,
        }.items():
            monkeypatch.setattr(f"lpw_toolkit.evaluation.rerank.{name}", value)
        np.testing.assert_allclose(
            rerank_matrices(*parts, squared=False), expected, atol=1e-7, rtol=0
        )

    def test_it_helps_where_neighbours_tell_more_than_distance(self) -> None:
        """Persons are chains: ends are far from each other but share the neighbours between
        them."""
        along = np.arange(12) * 1.0
        chains = np.concatenate([np.stack([along, np.full(12, 4.0 * i)], axis=1) for i in range(3)])
        query = chains[[0]]
        found = rerank_features(Euclidean(), query, chains[1:], config=RerankConfig(4, 3, 0.0))[0]
        assert found[0] < found[11]

    def test_equal_items_are_all_alike(self) -> None:
        found = rerank_features(
            Euclidean(), np.ones((2, 3)), np.ones((5, 3)), config=RerankConfig(10, 2, 0.3)
        )
        np.testing.assert_allclose(found, 0, atol=1e-6)


class TestBadInput:
    @pytest.mark.parametrize(
        "config",
        [
            {"k1": 0},
            {"k2": 0},
            {"lambda_": -0.1},
            {"lambda_": 1.1},
            {"lambda_": float("nan")},
            {"half": "up"},
        ],
    )
    def test_odd_settings(self, config: dict[str, Any]) -> None:
        with pytest.raises(LpwError, match="re-ranking"):
            RerankConfig(**config)

    def test_half_sizes(self) -> None:
        assert [RerankConfig(k1).n_half for k1 in (20, 5, 7, 1, 3)] == [11, 3, 5, 1, 3]
        assert [RerankConfig(k1, half="half_up").n_half for k1 in (20, 5, 7, 1, 3)] == [
            11,
            3,
            4,
            1,
            2,
        ]

    def test_shapes_that_do_not_fit(self) -> None:
        with pytest.raises(LpwError, match=r"expected \(Q, Q\), \(Q, G\) and \(G, G\)"):
            rerank_matrices(np.zeros((2, 2)), np.zeros((2, 3)), np.zeros((4, 4)), squared=True)

    @pytest.mark.parametrize(
        "gallery", [np.ones((4, 5)), np.ones(3), np.ones((4, 3), dtype=np.int64)]
    )
    def test_features_that_do_not_fit(self, gallery: Any) -> None:
        with pytest.raises(LpwError, match="gallery features"):
            rerank_features(Euclidean(), np.ones((2, 3)), gallery)

    def test_nan(self) -> None:
        qq, qg, gg = compare(*draw_points(0))
        qg[1, 2] = np.nan
        with pytest.raises(LpwError, match=r"distance of query 1 to gallery item 17"):
            rerank_matrices(qq, qg, gg, squared=False)

    def test_an_empty_gallery(self) -> None:
        query, _ = draw_points(0)
        assert rerank_features(Euclidean(), query, query[:0]).shape == (15, 0)
