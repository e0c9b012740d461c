"""Shrunk covariances: the estimate against its definition, planted structure, and what it is worth
to a learned metric."""

import numpy as np
import pytest

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import Views, pair_covariances
from lpw_toolkit.evaluation.metric_learning.kissme import fit_kissme
from lpw_toolkit.evaluation.metric_learning.xqda import fit_xqda, xqda_distance
from lpw_toolkit.evaluation.shrinkage import estimate_shrinkage, shrink, shrink_covariances


def plant(n_persons: int, seed: int, n_dims: int = 60) -> Views:
    """Two views of persons who differ in 6 directions, in noise that is equal in all of them."""
    rng = np.random.default_rng(seed)
    person = np.arange(n_persons)
    identity = np.zeros((n_persons, n_dims))
    identity[:, :6] = rng.normal(0, 2, (n_persons, 6))
    first, second = (identity + rng.normal(size=identity.shape) for _ in range(2))
    return Views(first, person, second, person)


def rank_one(views: Views, shrinkage: str, seen: Views) -> float:
    model = fit_xqda(seen, shrinkage=shrinkage)
    found = xqda_distance(model, "eigh").blocks(views.first, views.second)
    return float((found.block(0, len(views.first)).argmin(axis=1) == views.second_person).mean())


@pytest.mark.parametrize("shape", [(20, 50), (200, 8), (3, 4)])
def test_the_share_is_the_definition_in_so_many_words(shape):
    """Ledoit and Wolf: sum of the errors of single outer products, by the distance to the
    target."""
    rows = np.random.default_rng(0).normal(size=shape) * np.linspace(1, 3, shape[1])
    n, n_dims = shape
    sample = rows.T @ rows / n
    target = np.trace(sample) / n_dims * np.eye(n_dims)
    distance = np.sum((sample - target) ** 2)
    error = sum(np.sum((np.outer(row, row) - sample) ** 2) for row in rows) / n**2
    assert estimate_shrinkage(rows, n) == pytest.approx(min(error, distance) / distance)


def test_a_shrunk_covariance_is_nearer_to_the_truth_than_the_sample_and_the_target():
    rng = np.random.default_rng(1)
    truth = np.diag(np.linspace(0.5, 4, 40))
    rows = rng.normal(size=(30, 40)) @ np.sqrt(truth)
    sample = rows.T @ rows / 30
    share = estimate_shrinkage(rows, 30)
    errors = [np.linalg.norm(shrink(sample, s) - truth) for s in (0.0, share, 1.0)]
    assert 0 < share < 1
    assert errors[1] < min(errors[0], errors[2])
    assert np.trace(shrink(sample, share)) == pytest.approx(np.trace(sample))


def test_many_vectors_are_hardly_shrunk_and_few_are():
    shares = []
    for n in (40, 400, 4000):
        rng = np.random.default_rng(2)
        shares.append(estimate_shrinkage(rng.normal(size=(n, 20)) * np.linspace(1, 4, 20), n))
    assert shares[0] > 3 * shares[1] > 9 * shares[2]


def test_vectors_twice_are_no_more_to_go_by():
    """Two tracklets of a person lie on either side of their mean: two rows, one degree of
    freedom."""
    rows = np.random.default_rng(3).normal(size=(30, 10)) * np.linspace(1, 2, 10)
    once = estimate_shrinkage(rows, 30)
    assert estimate_shrinkage(np.vstack([rows, -rows]), 30) == pytest.approx(once)


def test_what_sets_persons_apart_stays():
    views = plant(30, 4)
    same, different = pair_covariances(views)
    shrunk, between = shrink_covariances(same, different, views, "ledoit_wolf")
    np.testing.assert_allclose(between - shrunk, different - same, atol=1e-10)
    assert np.linalg.cond(shrunk) < np.linalg.cond(same) / 100
    assert shrink_covariances(same, different, views, "none") == (same, different)


def test_xqda_of_few_persons_finds_unseen_ones_better():
    gains = []
    for seed in range(3):
        seen, unseen = plant(35, seed), plant(80, 100 + seed)
        gains.append(rank_one(unseen, "ledoit_wolf", seen) - rank_one(unseen, "none", seen))
    assert min(gains) > 0.1


def test_kissme_of_fewer_persons_than_dimensions_becomes_possible():
    views = plant(20, 5)
    with pytest.raises(LpwError, match="singular covariance"):
        fit_kissme(views)
    assert fit_kissme(views, shrinkage="ledoit_wolf").shape == (60, 60)


def test_faults():
    views = plant(5, 6)
    covariances = pair_covariances(views)
    with pytest.raises(LpwError, match="got half; expected none, ledoit_wolf"):
        shrink_covariances(*covariances, views, "half")
    with pytest.raises(LpwError, match="0 degrees of freedom"):
        estimate_shrinkage(np.ones((4, 3)), 0)
    assert estimate_shrinkage(np.zeros((4, 3)), 3) == 1.0
