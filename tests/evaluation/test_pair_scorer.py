"""Distances from a scorer of pairs: what they cost is known before they are scored."""

import re

import numpy as np
import pytest

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation import pair_scorer
from lpw_toolkit.evaluation.pair_scorer import PairScorer
from lpw_toolkit.files import memory

QUERY, GALLERY = np.arange(20), np.arange(30) + 5


def make_scorer(calls: list[int]) -> PairScorer:
    def score(first, second):
        calls.append(len(first))
        return np.abs(first - second) * 1.0

    return PairScorer(score, "gap", "gaps", n_pairs=2)


def test_the_cost_is_that_of_all_pairs_from_a_few():
    calls: list[int] = []
    ticks = iter(np.arange(0, 2000, 30.0))
    estimate = make_scorer(calls).estimate(QUERY, GALLERY, lambda: next(ticks))
    assert calls == [2, 2]  # one to warm up, one that took longer than a trial may
    assert estimate.seconds == pytest.approx(30 + 30 * 600 / 2)
    assert estimate.describe().startswith("score pairs: about 2.5 h")


@pytest.mark.parametrize(("seconds", "said"), [(30.0, False), (7200.0, True)])
def test_a_long_scoring_is_announced(monkeypatch, capsys, seconds, said):
    monkeypatch.setattr(pair_scorer, "time_steps", lambda *_: seconds)
    blocks = make_scorer([]).blocks(QUERY, GALLERY)
    told = (
        "score pairs: about 2.0 h (from a trial of 2 pairs, 600 in all)" in capsys.readouterr().err
    )
    assert told == said
    np.testing.assert_array_equal(blocks.block(3, 5), np.abs([[3], [4]] - GALLERY))


def test_few_pairs_are_scored_without_a_trial():
    calls: list[int] = []
    make_scorer(calls).blocks(QUERY[:5], GALLERY)
    assert calls == []


def test_memory_that_is_missing_is_told_before_anything_is_scored(monkeypatch):
    calls: list[int] = []
    monkeypatch.setattr(memory, "free_bytes", lambda: 4 * 20 * 30 - 1)
    with pytest.raises(LpwError, match=re.escape("distances by gaps: got 0.0 GB of free memory")):
        make_scorer(calls).blocks(QUERY, GALLERY)
    assert calls == []
