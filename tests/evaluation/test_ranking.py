"""Ranks, CMC, average precision and mINP: by hand, against a slow reference, as properties, and
against torchreid."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy_distances import LazyDistances
from numpy.typing import NDArray

from lpw_toolkit.dataset.labels import DISTRACTOR, JUNK, PERSON, Labels
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation import ranking as module
from lpw_toolkit.evaluation.distance_blocks import DenseDistances
from lpw_toolkit.evaluation.ranking import Ranking, rank_queries, top_columns
from lpw_toolkit.evaluation.relevance import Ragged, Relevance, judge_labels
from lpw_toolkit.evaluation.summary import summarise
from lpw_toolkit.evaluation.top_k import first_columns, first_places

Ints = NDArray[np.int64]


def as_ragged(lists: list[list[int]]) -> Ragged:
    columns = np.array([c for line in lists for c in line], dtype=np.int64)
    return Ragged(np.cumsum([0, *map(len, lists)]), columns)


def relevance(
    good: list[list[int]], n_gallery: int, ignored: Any = None, hidden: Any = ()
) -> Relevance:
    mask = np.zeros(n_gallery, dtype=bool)
    mask[list(hidden)] = True
    return Relevance(as_ragged(good), as_ragged(ignored or [[] for _ in good]), mask)


def rank_slowly(distances: NDArray[Any], judged: Relevance) -> list[list[int]]:
    """Sort each row stably, drop what is not seen, and read the places."""
    out = []
    for q, row in enumerate(distances.tolist()):
        order = sorted(range(len(row)), key=lambda g: (row[g], g))
        seen = [g for g in order if not judged.hidden[g] and g not in judged.ignored[q].tolist()]
        out.append([place for place, g in enumerate(seen, 1) if g in judged.good[q].tolist()])
    return out


def score_slowly(ranks: list[int], form: str) -> float:
    """Average precision with a loop over the ranks, as compute_AP.m walks them."""
    if form == "step":
        return sum((i + 1) / rank for i, rank in enumerate(ranks)) / len(ranks)
    area, recall, precision, hits = 0.0, 0.0, 1.0, 0
    for rank in range(1, max(ranks) + 1):
        hits += rank in ranks
        area += (hits / len(ranks) - recall) * (precision + hits / rank) / 2
        recall, precision = hits / len(ranks), hits / rank
    return area


def as_lists(ranking: Ranking) -> list[list[int]]:
    return [part.tolist() for part in np.split(ranking.ranks, ranking.starts[1:-1])]


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[Any], Relevance]:
    """Distances with many ties, and labels with junk, distractors, strangers and one's own
    camera."""
    n_query, n_gallery = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 4, 1000]))
    kind = draw(st.sampled_from([np.float32, np.float64, np.float16]))
    values = (rng.integers(-levels, levels, (n_query, n_gallery)) / 8).astype(kind)
    if draw(st.booleans()):
        values[rng.random(values.shape) < 0.2] = np.inf
    query = Labels(
        rng.integers(-1, 3, n_query), rng.integers(0, 3, n_query), np.zeros(n_query, dtype=np.int64)
    )
    gallery = Labels(
        rng.integers(-1, 3, n_gallery), rng.integers(0, 3, n_gallery), rng.integers(0, 3, n_gallery)
    )
    return values, judge_labels(
        query, gallery, hide_junk=draw(st.booleans()), same_camera=draw(st.booleans())
    )


class TestByHand:
    #: goods at ranks 1 and 3; only at 2; first; last of four; none
    JUDGED = relevance([[0, 2], [1], [0], [3], []], 4)
    RANKING = rank_queries(
        np.tile(np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32), (5, 1)), JUDGED
    )

    def test_ranks(self) -> None:
        assert as_lists(self.RANKING) == [[1, 3], [2], [1], [4], []]
        assert self.RANKING.first.tolist() == [1, 2, 1, 4, 0]
        assert self.RANKING.last.tolist() == [3, 2, 1, 4, 0]
        assert self.RANKING.n_relevant.tolist() == [2, 1, 1, 1, 0]
        assert self.RANKING.unmatched.tolist() == [False, False, False, False, True]

    def test_the_oracles_of_the_official_score(self) -> None:
        assert self.RANKING.average_precision("trapezoid")[:2] == pytest.approx(
            [0.791667, 0.25], abs=5e-7
        )
        assert self.RANKING.average_precision("step")[:2] == pytest.approx(
            [0.833333, 0.5], abs=5e-7
        )

    def test_inverse_negative_penalty(self) -> None:
        assert self.RANKING.inverse_negative_penalty[:4] == pytest.approx([2 / 3, 1 / 2, 1, 1 / 4])
        assert np.isnan(self.RANKING.inverse_negative_penalty[4])
        assert np.isnan(self.RANKING.average_precision("step")[4])

    def test_means_that_skip(self) -> None:
        found = summarise(self.RANKING, unmatched="skip", max_rank=6)
        assert found.cmc.tolist() == [0.5, 0.75, 0.75, 1, 1, 1]
        assert found.map == pytest.approx((5 / 6 + 1 / 2 + 1 + 1 / 4) / 4)
        assert found.minp == pytest.approx((2 / 3 + 1 / 2 + 1 + 1 / 4) / 4)
        assert (found.n_query, found.n_unmatched, found.n_skipped, found.n_gallery) == (4, 1, 1, 4)

    def test_means_that_count_the_unmatched_as_missed(self) -> None:
        found = summarise(self.RANKING, unmatched="zero", ap_form="trapezoid", max_rank=4)
        assert found.cmc == pytest.approx([0.4, 0.6, 0.6, 0.8])
        assert found.map == pytest.approx((0.7916666666 + 0.25 + 1 + 1 / 8) / 5)
        assert (found.n_query, found.n_unmatched, found.n_skipped) == (5, 1, 0)
        assert (found.ap_form, found.unmatched) == ("trapezoid", "zero")

    def test_what_is_not_seen_has_no_rank(self) -> None:
        row = np.array([[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]])
        found = rank_queries(row, relevance([[2, 5]], 6, ignored=[[0, 4]], hidden=[1]))
        assert as_lists(found) == [[1, 3]]
        assert found.n_visible.tolist() == [3]

    def test_ties_are_ordered_by_column(self) -> None:
        row = np.full((1, 6), 0.5, dtype=np.float32)
        assert as_lists(rank_queries(row, relevance([[1, 4]], 6, ignored=[[0]], hidden=[2]))) == [
            [1, 3]
        ]

    def test_infinite_distances_come_last_and_minus_zero_ties_with_zero(self) -> None:
        row = np.array([[np.inf, 0.0, -0.0, np.inf]])
        assert as_lists(rank_queries(row, relevance([[0, 2]], 4))) == [[2, 3]]

    def test_a_perfect_and_a_worst_ranker(self) -> None:
        judged = relevance([[0, 1, 2]], 10)
        best = summarise(rank_queries(np.arange(10.0)[None], judged))
        assert (best.map, best.minp, best.cmc[0]) == (1, 1, 1)
        worst = summarise(rank_queries(-np.arange(10.0)[None], judged), max_rank=10)
        assert worst.cmc.tolist() == [0] * 7 + [1] * 3


class TestProperties:
    @given(cases())
    @settings(deadline=None, max_examples=300)
    def test_ranks_equal_the_slow_reference(self, case: tuple[NDArray[Any], Relevance]) -> None:
        assert as_lists(rank_queries(*case)) == rank_slowly(*case)

    @given(cases(), st.sampled_from(["step", "trapezoid"]), st.sampled_from(["skip", "zero"]))
    @settings(deadline=None, max_examples=200)
    def test_means_equal_the_slow_reference(
        self, case: tuple[NDArray[Any], Relevance], form: Any, rule: Any
    ) -> None:
        ranks = rank_slowly(*case)
        found = [r for r in ranks if r]
        n = len(ranks) if rule == "zero" else len(found)
        ranking = rank_queries(*case)
        if n == 0:
            with pytest.raises(LpwError, match="none of"):
                summarise(ranking, unmatched=rule)
            return
        means = summarise(ranking, ap_form=form, unmatched=rule, max_rank=9)
        assert means.map == pytest.approx(sum(score_slowly(r, form) for r in found) / n, abs=1e-12)
        assert means.minp == pytest.approx(sum(len(r) / r[-1] for r in found) / n, abs=1e-12)
        assert means.cmc == pytest.approx(
            [sum(r[0] <= k for r in found) / n for k in range(1, 10)], abs=1e-12
        )

    @given(cases(), st.integers(0, 2**32 - 1))
    @settings(deadline=None)
    def test_the_gallerys_order_is_nothing_where_there_are_no_ties(
        self, case: tuple[NDArray[Any], Relevance], seed: int
    ) -> None:
        values, judged = case
        rng = np.random.default_rng(seed)
        values = rng.permuted(np.tile(np.arange(values.shape[1]) / 7, (len(values), 1)), axis=1)
        order = rng.permutation(values.shape[1])
        place = np.argsort(order)
        moved = [
            [sorted(place[part[q]].tolist()) for q in range(len(values))]
            for part in (judged.good, judged.ignored)
        ]
        shuffled = Relevance(as_ragged(moved[0]), as_ragged(moved[1]), judged.hidden[order])
        assert as_lists(rank_queries(values, judged)) == as_lists(
            rank_queries(values[:, order], shuffled)
        )

    @given(cases(), st.integers(1, 4), st.integers(1, 40))
    @settings(deadline=None)
    def test_pieces_threads_and_sorting_change_nothing(
        self, case: tuple[NDArray[Any], Relevance], n_threads: int, n_bytes: int
    ) -> None:
        values, judged = case
        expected = as_lists(rank_queries(values, judged))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "BLOCK_BYTES", 4 * n_bytes)
            patch.setattr(module, "PART_BYTES", n_bytes)
            patch.setattr(module, "N_SORTED", n_bytes % 3)
            patch.setattr(module, "N_COMPARED", 1 + n_bytes % 2)
            blocks = LazyDistances(*values.shape, lambda start, stop: values[start:stop].copy())
            assert as_lists(rank_queries(blocks, judged, n_threads=n_threads)) == expected

    @given(cases())
    @settings(deadline=None)
    def test_any_growing_function_of_the_distance_ranks_alike(
        self, case: tuple[NDArray[Any], Relevance]
    ) -> None:
        values, judged = case
        assert as_lists(rank_queries(values, judged)) == as_lists(
            rank_queries(np.float64(values) * 3 + 1, judged)
        )

    @given(cases(), st.integers(1, 14))
    @settings(deadline=None)
    def test_top_columns_are_the_first_of_a_stable_sort(
        self, case: tuple[NDArray[Any], Relevance], k: int
    ) -> None:
        values, judged = case
        columns, right = top_columns(values[1:], judged, k, start=1)
        assert columns.shape == right.shape == (len(values) - 1, k)
        for q, (line, hits) in enumerate(zip(columns.tolist(), right.tolist(), strict=True), 1):
            order = sorted(range(values.shape[1]), key=lambda g, q=q: (values[q, g], g))
            seen = [
                g for g in order if not judged.hidden[g] and g not in judged.ignored[q].tolist()
            ][:k]
            assert line == seen + [-1] * (k - len(seen))
            assert hits == [g in judged.good[q].tolist() for g in line]


class TestFirstPlaces:
    @given(
        st.integers(0, 2**32 - 1),
        st.integers(1, 4),
        st.integers(1, 300),
        st.sampled_from([1, 5, 40, 10_000]),
    )
    @settings(deadline=None, max_examples=200)
    def test_are_the_first_of_a_stable_sort(
        self, seed: int, n: int, width: int, levels: int
    ) -> None:
        rng = np.random.default_rng(seed)
        rows = rng.integers(-levels, levels, (n, width)).astype(np.float32)
        rows[rng.random(rows.shape) < 0.1] = np.inf
        k = int(rng.integers(1, width + 1))
        expected = np.argsort(rows, axis=1, kind="stable")
        assert np.array_equal(first_places(rows, k), expected[:, :k])
        some = np.sort(rng.choice(width, k, replace=False))
        assert first_columns(rows[0], some, 7).tolist() == [c for c in expected[0] if c in some][:7]


class TestBadInput:
    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    def test_nan_is_named(self, kind: Any) -> None:
        values = np.ones((300, 5), dtype=kind)
        values[257, 3] = np.nan
        with pytest.raises(LpwError, match=r"distance of query 257 to gallery item 3: got NaN"):
            rank_queries(values, relevance([[0]] * 300, 5))

    def test_nan_where_nobody_looks_is_named_too(self) -> None:
        with pytest.raises(LpwError, match="NaN"):
            rank_queries(np.array([[np.nan, 1.0]]), relevance([[1]], 2, hidden=[0]))

    @pytest.mark.parametrize("shape", [(2, 5), (3, 4)])
    def test_another_shape(self, shape: tuple[int, int]) -> None:
        with pytest.raises(LpwError, match=r"expected \(3, 5\) as judged"):
            rank_queries(np.zeros(shape), relevance([[0]] * 3, 5))

    @pytest.mark.parametrize("values", [np.zeros(4), np.zeros((1, 4), dtype=np.int64)])
    def test_no_matrix_of_numbers(self, values: Any) -> None:
        with pytest.raises(LpwError, match="floating numbers of shape"):
            rank_queries(values, relevance([[0]], 4))

    @pytest.mark.parametrize(("n_query", "n_gallery"), [(0, 4), (3, 0)])
    def test_nothing_to_rank(self, n_query: int, n_gallery: int) -> None:
        ranking = rank_queries(
            np.zeros((n_query, n_gallery)), relevance([[] for _ in range(n_query)], n_gallery)
        )
        assert ranking.n_query == n_query
        with pytest.raises(LpwError, match=f"none of {n_query} queries"):
            summarise(ranking)

    def test_a_protocol_that_lists_what_it_hides(self) -> None:
        for judged in (
            relevance([[1]], 3, hidden=[1]),
            relevance([[0]], 3, ignored=[[1]], hidden=[1]),
        ):
            with pytest.raises(ValueError, match="hidden gallery item"):
                rank_queries(np.zeros((1, 3)), judged)

    def test_a_curve_needs_a_rank(self) -> None:
        with pytest.raises(LpwError, match="max_rank"):
            summarise(TestByHand.RANKING, max_rank=0)

    def test_a_matrix_gives_rows_and_pairs(self) -> None:
        values = np.arange(6.0).reshape(2, 3)
        assert DenseDistances(values).block(1, 2).tolist() == [[3, 4, 5]]
        assert DenseDistances(values).pairs(np.array([1, 0]), np.array([0, 2])).tolist() == [3, 2]


def load_evaluator() -> Any:
    """torchreid's own evaluator in Python; importing it warns of its missing Cython part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rank = pytest.importorskip(
            "torchreid.reid.metrics.rank", reason="torchreid 0.2.5 (oracle) is not installed"
        )
    return rank.eval_market1501


class TestAgainstTorchreid:
    @pytest.mark.parametrize("seed", range(8))
    def test_cmc_and_map_with_junk(self, seed: int) -> None:
        evaluate = load_evaluator()
        rng = np.random.default_rng(seed)
        n_query, n_gallery = 40, 300
        values = rng.random((n_query, n_gallery), dtype=np.float32)
        person, camera = rng.integers(0, 60, n_query), rng.integers(0, 4, n_query)
        persons, cameras = (
            rng.integers(0, 50, n_gallery),
            rng.integers(0, 4, n_gallery),
        )  # some queries have no match
        judged = judge_labels(label(person, camera), label(persons, cameras))
        assert len(judged.ignored.columns) > 0 and len(judged.unmatched) > 0
        self.compare(evaluate, values, judged, (person, persons, camera, cameras))

    @pytest.mark.parametrize("seed", range(4))
    def test_ties_where_their_order_is_ours(
        self, seed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """torchreid sorts unstably, so that ties fall as they may; here its argsort is made stable,
        nothing else."""
        evaluate = load_evaluator()
        sort = np.argsort
        monkeypatch.setattr(
            np, "argsort", lambda a, axis=-1, **_: sort(a, axis=axis, kind="stable")
        )
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 12, (30, 200)).astype(np.float32)
        person, camera = rng.integers(0, 20, 30), rng.integers(0, 3, 30)
        persons, cameras = rng.integers(0, 20, 200), rng.integers(0, 3, 200)
        judged = judge_labels(label(person, camera), label(persons, cameras))
        self.compare(evaluate, values, judged, (person, persons, camera, cameras))

    @staticmethod
    def compare(
        evaluate: Any, values: NDArray[Any], judged: Relevance, labels: tuple[Ints, ...]
    ) -> None:
        cmc, mean = evaluate(values, *labels, max_rank=50)
        found = summarise(
            rank_queries(values, judged), ap_form="step", unmatched="skip", max_rank=50
        )
        assert found.map == pytest.approx(mean, abs=1e-12)
        assert found.cmc == pytest.approx(cmc, abs=1e-6)  # theirs is single precision


def label(person: Ints, camera: Ints, kind: Ints | None = None) -> Labels:
    return Labels(
        person, camera, np.full(len(person), PERSON, dtype=np.int64) if kind is None else kind
    )


@pytest.mark.realdata
class TestMars:
    """The official lists: gallery sizes and how many queries have a right answer under each rule in
    use."""

    def read(self, shared_data: Path) -> tuple[Labels, Ints]:
        folder = shared_data / "splits" / "mars_info"
        tracks = scipy.io.loadmat(folder / "tracks_test_info.mat")["track_test_info"].astype(
            np.int64
        )
        query = scipy.io.loadmat(folder / "query_IDX.mat")["query_IDX"].ravel().astype(np.int64) - 1
        kind = np.select([tracks[:, 2] == -1, tracks[:, 2] == 0], [JUNK, DISTRACTOR], PERSON)
        return label(np.where(tracks[:, 2] > 0, tracks[:, 2], -1), tracks[:, 3], kind), query

    @pytest.mark.parametrize(
        ("keep_queries", "keep_junk", "keep_distractors", "n_gallery", "n_matched"),
        [
            (True, True, True, 12_180, 1980),
            (True, False, True, 11_310, 1980),
            (False, True, True, 10_200, 1840),
            (False, False, True, 9_330, 1840),
            (False, False, False, 6_082, 1840),
        ],
    )
    def test_galleries(
        self,
        shared_data: Path,
        keep_queries: bool,
        keep_junk: bool,
        keep_distractors: bool,
        n_gallery: int,
        n_matched: int,
    ) -> None:
        labels, query = self.read(shared_data)
        kept = np.ones(len(labels), dtype=bool)
        kept[query] &= keep_queries
        kept[labels.kind == JUNK] &= keep_junk
        kept[labels.kind == DISTRACTOR] &= keep_distractors
        judged = judge_labels(labels.take(query), labels.take(np.flatnonzero(kept)))
        assert (judged.n_query, judged.n_gallery) == (1980, n_gallery)
        assert len(judged.unmatched) == 1980 - n_matched

    def test_the_queries_own_twin_is_never_seen(self, shared_data: Path) -> None:
        labels, query = self.read(shared_data)
        judged = judge_labels(labels.take(query), labels)
        assert all(query[q] in judged.ignored[q] for q in range(len(query)))
        values = np.random.default_rng(0).random((1980, 12_180), dtype=np.float32)
        values[np.arange(1980), query] = 0
        ranking = rank_queries(values, judged)
        some = np.arange(0, 1980, 97)
        parts = [
            Relevance(
                as_ragged([judged.good[q].tolist()]),
                as_ragged([judged.ignored[q].tolist()]),
                judged.hidden,
            )
            for q in some
        ]
        slow = [
            rank_slowly(values[q : q + 1], part)[0] for q, part in zip(some, parts, strict=True)
        ]
        assert [as_lists(ranking)[q] for q in some] == slow
        assert (ranking.n_visible == 12_180 - 870 - judged.ignored.counts).all()
