"""The paired bootstrap over identities, against cases whose interval is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.bootstrap import measure_lead


def lead(person, ours, theirs, seed=0, **options):
    return measure_lead(np.asarray(person), np.asarray(ours, float), np.asarray(theirs, float),
                        np.random.default_rng(seed), **options)  # fmt: skip


def test_a_constant_lead_has_no_width():
    found = lead([0, 0, 1, 2], np.full(4, 0.75), np.full(4, 0.5))
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert found.holds
    assert found.n_persons == 3


def test_one_query_each_is_a_binomial():
    gains = np.zeros(200)
    gains[:60] = 1
    found = lead(np.arange(200), gains, np.zeros(200), n_resamples=40_000)
    low, high = stats.binom(200, 0.3).ppf([0.025, 0.975]) / 200
    assert found.low == pytest.approx(low, abs=0.0051)
    assert found.high == pytest.approx(high, abs=0.0051)


def test_many_persons_are_normal():
    rng = np.random.default_rng(1)
    gains = rng.normal(0.1, 1, 500)
    found = lead(np.arange(500), gains, np.zeros(500), n_resamples=40_000)
    half = 1.96 * gains.std() / np.sqrt(500)
    assert (found.low, found.high) == pytest.approx(
        (gains.mean() - half, gains.mean() + half), abs=0.004
    )


def test_persons_are_drawn_not_queries():
    """Ten equal queries of a person tell no more than one."""
    gains = np.random.default_rng(2).normal(0.1, 1, 60)
    one = lead(np.arange(60), gains, np.zeros(60))
    ten = lead(np.repeat(np.arange(60), 10), np.repeat(gains, 10), np.zeros(600))
    assert (one.low, one.high) == pytest.approx((ten.low, ten.high))


def test_a_person_with_more_queries_weighs_more():
    found = lead([0, 0, 0, 1], [1, 1, 1, 0], np.zeros(4), n_resamples=20_000)
    assert found.mean == 0.75
    assert (found.low, found.high) == (0, 1)


def test_repetitions_are_averaged_and_pairing_counts():
    rng = np.random.default_rng(3)
    hard = rng.random(100) < 0.5
    theirs = np.tile(hard, (3, 10, 1)).astype(float)
    ours = theirs + 0.05
    found = lead(np.arange(100), ours, theirs[:2])
    assert (found.low, found.high) == pytest.approx((0.05, 0.05))
    apart = lead(np.arange(100), ours, theirs[..., ::-1])
    assert apart.low < 0 < apart.high
    assert not apart.holds


def test_the_same_generator_gives_the_same_interval():
    gains = np.random.default_rng(4).normal(size=40)
    assert lead(np.arange(40), gains, gains * 0, seed=7) == lead(
        np.arange(40), gains, gains * 0, seed=7
    )
    assert lead(np.arange(40), gains, gains * 0, seed=7) != lead(
        np.arange(40), gains, gains * 0, seed=8
    )


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.floats(0, 1), st.floats(0, 1)), min_size=8, max_size=30
    )
)
def test_other_side_other_sign(rows):
    person, ours, theirs = (np.array(column) for column in zip(*rows, strict=True))
    if len(np.unique(person)) < 2:
        return
    one, other = (
        lead(person, ours, theirs, n_resamples=200),
        lead(person, theirs, ours, n_resamples=200),
    )
    assert one.low <= one.high
    assert (one.mean, one.low, one.high) == pytest.approx(
        (-other.mean, -other.high, -other.low), abs=1e-12
    )


@pytest.mark.parametrize(
    ("person", "ours", "said"),
    [
        ([0, 1, 2], [1.0, 2.0], "3 queries"),
        ([0, 1], [1.0, float("nan")], "NaN or infinity"),
        ([4, 4], [1.0, 0.0], "1 pers"),
    ],
)
def test_faults(person, ours, said):
    with pytest.raises(LpwError, match=said):
        lead(person, ours, np.zeros(len(person)))
