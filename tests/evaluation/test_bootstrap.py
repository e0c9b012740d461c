"""The paired bootstrap over identities and seeds, against cases whose interval is known, and by
simulation against what is planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.bootstrap import Interval, measure_lead, measure_mean


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


def plant(rng, *, n_persons, n_seeds, seed_sd, person_sd, query_sd, gain=0.2):
    """Persons (two queries each) and two sides (S, Q) whose means differ by `gain`, by what each
    person, each seed and each query adds."""
    person = np.repeat(np.arange(n_persons), 2)
    shared, own = rng.normal(0, 1, n_persons), rng.normal(0, person_sd, n_persons)

    def train(of_person):
        of_seed = rng.normal(0, seed_sd, n_seeds)[:, None]
        of_query = rng.normal(0, query_sd, (n_seeds, len(person)))
        return of_person[person] + of_seed + of_query

    return person, train(shared + gain + own), train(shared)


def cover(n_trials, **spread):
    """How often the interval holds the planted lead: seeds resampled, and seeds averaged first."""
    hits = np.zeros(2)
    for trial in range(n_trials):
        rng = np.random.default_rng(trial)
        person, ours, theirs = plant(rng, **spread)
        for i, sides in enumerate(((ours, theirs), (ours.mean(axis=0), theirs.mean(axis=0)))):
            found = measure_lead(person, *sides, rng, n_resamples=200)
            hits[i] += found.low <= 0.2 <= found.high
    return hits / n_trials


@pytest.mark.parametrize(
    ("n_seeds", "seed_sd", "query_sd"), [(3, 0.1, 0.3), (3, 0.3, 0.3), (3, 0.1, 1.0)]
)
def test_the_interval_covers_what_seeds_and_persons_vary_and_averaged_seeds_do_not(
    n_seeds, seed_sd, query_sd
):
    """95 % of 300 repetitions are 285, give or take 11 (three deviations)."""
    together, averaged = cover(
        300, n_persons=40, n_seeds=n_seeds, seed_sd=seed_sd, person_sd=0.5, query_sd=query_sd
    )
    assert 0.92 <= together <= 0.985
    assert averaged < 0.9


def test_without_noise_of_training_the_interval_is_hardly_wider():
    rng = np.random.default_rng(5)
    spread = {"n_persons": 80, "n_seeds": 3, "seed_sd": 0.0, "person_sd": 0.6, "query_sd": 0.1}
    person, ours, theirs = plant(rng, **spread)
    together = lead(person, ours, theirs)
    averaged = lead(person, ours.mean(axis=0), theirs.mean(axis=0))
    ratio = (together.high - together.low) / (averaged.high - averaged.low)
    assert 0.98 < ratio < 1.15


def test_one_seed_says_so_and_is_over_persons_alone():
    hits = np.random.default_rng(6).random((1, 50)) < 0.6
    one = lead(np.arange(50), hits, np.zeros(50))
    assert one.n_seeds == 1
    assert one == lead(np.arange(50), hits[0], np.zeros((3, 50))[:1])
    assert lead(np.arange(50), np.tile(hits, (3, 1)), np.zeros((4, 50))).n_seeds == 3


def test_a_mean_has_an_interval_within_what_a_share_can_be():
    hits = np.ones((3, 30))
    hits[0, :4] = 0
    found = measure_mean(np.arange(30), hits, np.random.default_rng(0))
    assert found.mean == pytest.approx(86 / 90)
    assert found.low < found.mean < found.high == 1.0
    assert (found.n_persons, found.n_seeds) == (30, 3)
    certain = measure_mean(np.arange(5), np.full(5, 0.5), np.random.default_rng(0))
    assert certain == Interval(0.5, 0.5, 0.5, 5, 1)


@pytest.mark.parametrize(
    ("options", "said"), [({"level": float("nan")}, "level"), ({"n_resamples": 0}, "resamples")]
)
def test_odd_settings(options, said):
    with pytest.raises(LpwError, match=f"bootstrap, {said}"):
        lead([0, 1], [1, 0], [0, 0], **options)


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
        ([4, 4], np.zeros((0, 2)), "values of shape"),
    ],
)
def test_faults(person, ours, said):
    with pytest.raises(LpwError, match=said):
        lead(person, ours, np.zeros(len(person)))
