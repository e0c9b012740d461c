"""TDL: its objective against sums in loops and finite differences, its descent on planted
structure, and what it refuses."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors, list_matching_pairs
from lpw_toolkit.evaluation.learned_distance import LearningConfig, open_distance, open_learner
from lpw_toolkit.evaluation.top_push import (
    PUSH_WEIGHTS,
    fit_top_push,
    learn_top_push,
    measure_objective,
    project_positive,
    rank_matches,
)

Floats = NDArray[np.float64]
N_PLANTED, N_DIMS = 4, 16


def plant(
    rng: np.random.Generator, n_persons: int = 40, n_each: int = 2, *, noise: float = 1.5
) -> TrainingVectors:
    """Persons who differ in 4 of 16 directions; the others are stronger noise. A camera each."""
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(N_DIMS, N_DIMS)))[0]
    person = np.repeat(np.arange(n_persons), n_each)
    identity = rng.normal(0, 2, (n_persons, N_PLANTED))[person]
    inside = identity + rng.normal(0, 0.2, identity.shape)
    outside = rng.normal(0, noise, (len(person), N_DIMS - N_PLANTED))
    features = np.hstack([inside, outside]) @ basis.T
    return TrainingVectors(features, person, np.tile(np.arange(n_each), n_persons))


def scaled(training: TrainingVectors) -> Floats:
    return np.asarray(training.features / np.sqrt(2 * training.features.var(axis=0).sum()))


class TestObjective:
    def test_equals_the_sums_in_loops(self) -> None:
        rng = np.random.default_rng(0)
        person, x = rng.integers(0, 4, 14), rng.normal(size=(14, 3))
        root = rng.normal(size=(3, 3))
        form = root @ root.T
        pairs = list_matching_pairs(TrainingVectors(x, person, np.zeros(14, np.int64)))

        def distance(i: int, j: int) -> float:
            return float((x[i] - x[j]) @ form @ (x[i] - x[j]))

        pull = push = 0.0
        for i, j in pairs:
            pull += distance(i, j)
            nearest = min(distance(i, k) for k in range(14) if person[k] != person[i])
            push += max(distance(i, j) - nearest + 0.7, 0)
        found = measure_objective(form, x, person, pairs, weight=0.3, margin=0.7)
        assert found.value == pytest.approx(0.7 * pull + 0.3 * push, rel=1e-12)

    def test_gradient_equals_finite_differences(self) -> None:
        training = plant(np.random.default_rng(1), 12, 3)
        x, pairs = scaled(training), list_matching_pairs(training)
        rng = np.random.default_rng(2)
        root = rng.normal(size=(N_DIMS, N_DIMS))
        form, step = root @ root.T, 1e-5

        def value(at: Floats) -> float:
            return measure_objective(at, x, training.person, pairs, weight=0.4, margin=1).value

        gradient = measure_objective(form, x, training.person, pairs, weight=0.4, margin=1).gradient
        for _ in range(10):
            way = rng.normal(size=form.shape)
            way = way + way.T
            numeric = (value(form + step * way) - value(form - step * way)) / (2 * step)
            assert np.sum(gradient * way) == pytest.approx(numeric, rel=1e-7, abs=1e-7)

    def test_blocks_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        training = plant(np.random.default_rng(3), 9, 3)
        x, pairs = scaled(training), list_matching_pairs(training)

        def measure() -> tuple[float, Floats]:
            found = measure_objective(
                np.eye(N_DIMS), x, training.person, pairs, weight=0.5, margin=1
            )
            return found.value, found.gradient

        whole = measure()
        monkeypatch.setattr("lpw_toolkit.evaluation.top_push.N_VALUES", 50)
        cut = measure()
        assert cut[0] == pytest.approx(whole[0], rel=1e-12)
        np.testing.assert_allclose(cut[1], whole[1], rtol=1e-10, atol=1e-12)


class TestDescent:
    def test_learns_the_planted_structure(self) -> None:
        rng = np.random.default_rng(4)
        training, unseen = plant(rng, 100), plant(rng, 60)
        pairs = list_matching_pairs(training)
        found = fit_top_push(scaled(training), training.person, pairs, weight=0.5)
        assert (np.diff(found.values) <= 0).all()
        assert found.values[-1] < 0.3 * found.values[0]
        assert found.violated_frac[0] > 0.95
        assert found.violated_frac[-1] < 0.6
        values, vectors = np.linalg.eigh(found.form)
        assert values.min() > -1e-12
        assert (values > 0.02 * values.max()).sum() == N_PLANTED
        learned = unseen.features @ (vectors * np.sqrt(np.maximum(values, 0)))
        assert rank_matches(unseen, unseen.features) < 0.5
        assert rank_matches(unseen, learned) > 0.9

    def test_the_projection_is_the_nearest_positive_matrix(self) -> None:
        root = np.random.default_rng(5).normal(size=(6, 6))
        form = root + root.T
        nearest = project_positive(form)
        values = np.linalg.eigvalsh(form)
        lost = np.sqrt((values[values < 0] ** 2).sum())
        assert np.linalg.norm(form - nearest) == pytest.approx(lost)
        np.testing.assert_allclose(project_positive(nearest), nearest, atol=1e-12)


class TestChoice:
    def test_the_weight_is_chosen_on_persons_who_are_held_out(self) -> None:
        training = plant(np.random.default_rng(6), 24)
        found = learn_top_push(training, np.random.default_rng(0), n_dims=10)
        assert tuple(found.tried) == PUSH_WEIGHTS
        assert found.tried[found.weight] == max(found.tried.values())
        assert found.projection.shape == (N_DIMS, 10)

    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        training = plant(np.random.default_rng(7), 12)
        first, again = (
            learn_top_push(training, np.random.default_rng(3), n_dims=8) for _ in range(2)
        )
        assert first.projection.tobytes() == again.projection.tobytes()
        assert first.tried == again.tried

    def test_a_weight_that_leaves_nothing_is_passed_over(self) -> None:
        found = learn_top_push(
            plant(np.random.default_rng(4), 16, noise=5.0), np.random.default_rng(0), n_dims=3
        )
        assert found.top_push.form.any()
        assert found.weight != max(found.tried, key=lambda a: (found.tried[a], -a))

    def test_few_persons_choose_nothing(self) -> None:
        found = learn_top_push(plant(np.random.default_rng(8), 4), np.random.default_rng(0),
                               n_dims=3)  # fmt: skip
        assert (found.weight, found.tried) == (0.5, {})

    def test_rows_without_a_person_are_left_out(self) -> None:
        training = plant(np.random.default_rng(9), 6)
        more = TrainingVectors(
            np.vstack([training.features, np.full((3, N_DIMS), 100.0)]),
            np.append(training.person, [-1, -1, -1]),
            np.append(training.camera, [0, 1, 1]),
        )
        rng = np.random.default_rng(0)
        one = learn_top_push(training, rng, n_dims=5, weight=0.5)
        other = learn_top_push(more, rng, n_dims=5, weight=0.5)
        np.testing.assert_array_equal(one.projection, other.projection)


class TestPlugin:
    def test_is_a_metric_like_the_others(self) -> None:
        rng = np.random.default_rng(10)
        training, unseen = plant(rng, 40), plant(rng, 30)
        distance = open_distance("tdl", training, rng=rng, config=LearningConfig(pca_dims=N_DIMS))
        assert distance.title.startswith("TDL (PCA 16, a 0.")
        first, second = unseen.features[::2], unseen.features[1::2]
        nearest = distance.blocks(first, second).block(0, 30).argmin(axis=1)
        assert (nearest == np.arange(30)).mean() > 0.6
        assert "validation" in open_learner("tdl").describe(LearningConfig(), None)


class TestBadInput:
    def test_one_tracklet_a_person(self) -> None:
        training = plant(np.random.default_rng(11), 10, 1)
        with pytest.raises(LpwError, match=r"one tracklet a person.*two cameras"):
            learn_top_push(training, np.random.default_rng(0), n_dims=3)

    def test_one_person(self) -> None:
        with pytest.raises(LpwError, match=r"one person.*train on more persons"):
            learn_top_push(plant(np.random.default_rng(12), 1, 3), np.random.default_rng(0),
                           n_dims=3)  # fmt: skip
        with pytest.raises(LpwError, match="1 persons"):
            fit_top_push(np.ones((2, 2)), np.zeros(2, np.int64), np.array([[0, 1]]), weight=0.5)

    def test_without_a_second_camera_other_tracklets_are_the_pairs(self) -> None:
        training = plant(np.random.default_rng(13), 6, 2)
        one = TrainingVectors(training.features, training.person, np.zeros(12, np.int64))
        np.testing.assert_array_equal(list_matching_pairs(one), list_matching_pairs(training))

    def test_equal_vectors(self) -> None:
        training = TrainingVectors(
            np.ones((6, 3)), np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1] * 3)
        )
        with pytest.raises(LpwError, match="equal vectors of different persons"):
            learn_top_push(training, np.random.default_rng(0), n_dims=2, weight=0.5)

    def test_noise_leaves_nothing(self) -> None:
        with pytest.raises(LpwError, match=r"form of zeros with every weight.*more persons"):
            learn_top_push(
                plant(np.random.default_rng(0), 16, noise=5.0), np.random.default_rng(0), n_dims=3
            )

    def test_a_pull_alone_leaves_nothing(self) -> None:
        with pytest.raises(LpwError, match=r"form of zeros with weight 0.*larger weight"):
            learn_top_push(
                plant(np.random.default_rng(14), 10), np.random.default_rng(0), n_dims=5, weight=0.0
            )
