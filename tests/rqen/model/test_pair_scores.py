"""Distances of pairs from vectors and maps: their values, and their memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rqen.model import pair_scores
from rqen.model.pair_scores import PairScores
from rqen.model.spatial_recurrence import SpatialRecurrence

FIRST, SECOND = np.divmod(np.arange(81), 9)


@pytest.fixture
def scores() -> PairScores:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((9, 5)).astype(np.float32)
    maps = rng.standard_normal((9, 3, 2, 64)).astype(np.float32)
    scorer = SpatialRecurrence(4, (3, 2)).eval()
    return PairScores(scorer, 0.3, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), maps)


def test_values_are_those_of_the_formula(scores):
    one, other = (torch.from_numpy(scores.maps[i : i + 1]) for i in (4, 2))
    with torch.no_grad():
        same = 1 / (1 + np.exp(-float(scores.scorer(one, other))))
    apart = np.sqrt(2 - 2 * float(scores.vectors[4] @ scores.vectors[2]))
    expected = 0.3 * apart / 2 + 0.7 * (1 - same)
    assert scores.measure(np.array([4]), np.array([2]))[0] == pytest.approx(expected, abs=1e-6)


def test_alpha_chooses_between_the_two(scores):
    apart = np.linalg.norm(scores.vectors[FIRST] - scores.vectors[SECOND], axis=1) / 2
    of_vectors = replace(scores, alpha=1.0).measure(FIRST, SECOND)
    np.testing.assert_allclose(of_vectors, apart, atol=1e-6)
    of_maps = replace(scores, alpha=0.0).measure(FIRST, SECOND)
    joined = scores.measure(FIRST, SECOND)
    np.testing.assert_allclose(joined, 0.3 * apart + 0.7 * of_maps, atol=1e-6)
    assert 0 <= of_maps.min() < of_maps.max() <= 1


def test_a_pair_and_its_reverse_are_alike(scores):
    there, back = scores.measure(FIRST, SECOND), scores.measure(SECOND, FIRST)
    np.testing.assert_allclose(back, there, atol=1e-6)


@pytest.mark.parametrize("n_at_once", [1, 5, 1000])
def test_no_more_pairs_at_once_than_their_memory(scores, monkeypatch, n_at_once):
    """However many are asked for; the numbers are the same."""
    whole, sizes = scores.measure(FIRST, SECOND), []
    n_bytes = n_at_once * 2 * 4 * 6 * scores.scorer.n_values
    monkeypatch.setattr(pair_scores, "PAIR_BYTES", n_bytes)
    scores.scorer.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    np.testing.assert_allclose(scores.measure(FIRST, SECOND), whole, atol=1e-6)
    assert max(sizes) == min(n_at_once, 81)
    assert sum(sizes) == 81


def test_memory_beyond_that_is_one_pair(scores, monkeypatch):
    monkeypatch.setattr(pair_scores, "PAIR_BYTES", 1)
    assert scores.n_at_once == 1
