"""Sets of vectors and scorers of pairs as distances: against sums over pairs, in bounded pieces."""

from itertools import pairwise

import numpy as np
import pytest

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation import set_distance
from lpw_toolkit.evaluation.distances import SquaredEuclidean
from lpw_toolkit.evaluation.pair_scorer import PairScorer
from lpw_toolkit.evaluation.set_distance import SetDistance


def draw_sets(sizes: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(sum(sizes), 3)), np.cumsum([0, *sizes])


def by_hand(one: np.ndarray, two: np.ndarray) -> float:
    """The mean over both sets of the distance to the nearest of the other."""
    between = [[float(np.linalg.norm(a - b)) for b in two] for a in one]
    nearest = [min(row) for row in between] + [min(column) for column in zip(*between, strict=True)]
    return sum(nearest) / (len(one) + len(two))


class TestSets:
    SIZES = (2, 1, 4, 3, 1)

    def test_against_sums_over_pairs(self, monkeypatch):
        vectors, starts = draw_sets(self.SIZES)
        query, gallery = np.array([0, 3, 1]), np.array([4, 2, 0, 1])
        sets = [vectors[a:b] for a, b in pairwise(starts)]
        expected = np.array([[by_hand(sets[q], sets[g]) for g in gallery] for q in query])
        blocks = SetDistance(vectors, starts).blocks(query, gallery)
        np.testing.assert_allclose(blocks.block(0, 3), expected, rtol=1e-5, atol=1e-6)
        monkeypatch.setattr(set_distance, "N_VALUES", 1)
        np.testing.assert_allclose(blocks.block(1, 3), expected[1:], rtol=1e-5, atol=1e-6)
        rows, columns = np.array([2, 0, 2]), np.array([1, 3, 0])
        found = blocks.pairs(rows, columns)
        np.testing.assert_allclose(found, expected[rows, columns], rtol=1e-5, atol=1e-6)

    def test_a_set_is_at_no_distance_from_itself_and_order_means_nothing(self):
        vectors, starts = draw_sets(self.SIZES)
        rows = np.arange(5)
        whole = SetDistance(vectors, starts).blocks(rows, rows).block(0, 5)
        np.testing.assert_allclose(np.diag(whole), 0, atol=1e-6)
        np.testing.assert_allclose(whole, whole.T, rtol=1e-5, atol=1e-6)

    def test_groups_do_not_meet(self):
        vectors = np.array([[0.0], [10.0], [1.0], [10.5], [3.0]])
        group = np.array([0, 1, 0, 1, 1])
        blocks = SetDistance(vectors, np.array([0, 2, 4, 5]), group).blocks(
            np.array([0]), np.array([1, 2])
        )
        # 0 - 1 and 10 - 10.5; of the second pair only 10 - 3, and the 0 has nobody to meet.
        np.testing.assert_allclose(blocks.block(0, 1), [[0.75, 7.0]], rtol=1e-6)

    def test_an_empty_set_and_no_common_group_are_infinitely_far(self):
        vectors = np.array([[0.0], [1.0]])
        sets = SetDistance(vectors, np.array([0, 1, 1, 2]), np.array([0, 1]))
        assert np.isinf(sets.blocks(np.array([0, 1]), np.array([1, 2])).block(0, 2)).all()

    def test_another_metric_between_vectors(self):
        sets = SetDistance(np.array([[0.0], [3.0]]), np.array([0, 1, 2]), metric=SquaredEuclidean())
        assert sets.blocks(np.array([0]), np.array([1])).block(0, 1) == pytest.approx(9.0)

    def test_borders_that_are_none_are_refused(self):
        with pytest.raises(LpwError, match="2 borders for 3 vectors"):
            SetDistance(np.zeros((3, 2)), np.array([0, 2]))


class TestPairs:
    def test_each_pair_once_whatever_is_asked(self):
        asked: list[int] = []

        def score(first, second):
            asked.append(len(first))
            return (first * 10 + second).astype(np.float32)

        blocks = PairScorer(score, "tens", "tens", n_pairs=2, symmetric=False).blocks(
            np.array([1, 2, 3]), np.array([4, 5, 6])
        )
        np.testing.assert_array_equal(blocks.block(1, 2), [[24, 25, 26]])
        np.testing.assert_array_equal(blocks.pairs(np.array([1, 0]), np.array([2, 0])), [26, 14])
        np.testing.assert_array_equal(blocks.block(0, 3)[2], [34, 35, 36])
        assert (sum(asked), max(asked)) == (9, 2)

    def test_symmetric_pairs_are_scored_from_one_side(self):
        asked: list[int] = []

        def score(first, second):
            asked.append(len(first))
            return np.abs(first - second).astype(np.float32)

        rows = np.array([3, 1, 8, 4])
        found = PairScorer(score, "gap", "gap").blocks(rows, rows).block(0, 4)
        np.testing.assert_array_equal(found, np.abs(rows[:, None] - rows[None]))
        assert sum(asked) == 10
