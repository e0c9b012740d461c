"""PCA, XQDA and KISSME: planted structure, brute force over pairs, and the two ways to the same
result."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors, Views, pair_covariances, take_views
from lpw_toolkit.evaluation.distances import Quadratic
from lpw_toolkit.evaluation.learned_distance import LearningConfig, list_metrics, open_distance
from lpw_toolkit.evaluation.metric_learning.kissme import fit_kissme
from lpw_toolkit.evaluation.metric_learning.xqda import Xqda, fit_xqda
from lpw_toolkit.evaluation.pca import fit_pca

Floats = NDArray[np.float64]
N_PLANTED, N_DIMS = 5, 30


def plant(n_persons: int, rng: np.random.Generator, *, first: int = 0) -> tuple[Views, Floats]:
    """Two views of persons who differ in 5 of 30 directions; the others are strong noise. Also
    those directions."""
    basis = scipy.linalg.qr(np.random.default_rng(99).normal(size=(N_DIMS, N_DIMS)))[0]
    identity = rng.normal(0, 2, (n_persons, N_PLANTED))
    person = np.arange(first, first + n_persons)

    def see(n_each: int) -> tuple[Floats, NDArray[np.int64]]:
        who = np.repeat(np.arange(n_persons), n_each)
        inside = identity[who] + rng.normal(0, 0.4, (len(who), N_PLANTED))
        outside = rng.normal(0, 3, (len(who), N_DIMS - N_PLANTED))
        return np.hstack([inside, outside]) @ basis.T, person[who]

    return Views(*see(2), *see(3)), basis[:, :N_PLANTED]


def form_of(model: Xqda) -> Floats:
    return model.subspace @ model.form @ model.subspace.T


def rank_one(distance: Quadratic, views: Views) -> float:
    nearest = distance.blocks(views.first, views.second).block(0, len(views.first)).argmin(axis=1)
    return float((views.second_person[nearest] == views.first_person).mean())


def make_training(
    rng: np.random.Generator, *, n: int = 300, n_cameras: int = 3, n_dims: int = 12
) -> TrainingVectors:
    person = rng.integers(0, 40, n)
    features = np.random.default_rng(0).normal(size=(40, n_dims))[person] * 2 + rng.normal(
        size=(n, n_dims)
    )
    return TrainingVectors(features.astype(np.float32), person, rng.integers(0, n_cameras, n))


class TestCovariances:
    @pytest.mark.parametrize("seed", range(5))
    def test_equal_the_sums_over_all_pairs(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        views = Views(
            rng.normal(size=(23, 6)),
            rng.integers(0, 5, 23),
            rng.normal(size=(31, 6)),
            rng.integers(2, 8, 31),
        )
        sums, counts = [np.zeros((6, 6)), np.zeros((6, 6))], [0, 0]
        for x, a in zip(views.first, views.first_person, strict=True):
            for z, b in zip(views.second, views.second_person, strict=True):
                sums[int(a != b)] += np.outer(x - z, x - z)
                counts[int(a != b)] += 1
        same, different = pair_covariances(views)
        np.testing.assert_allclose(same, sums[0] / counts[0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(different, sums[1] / counts[1], rtol=1e-12, atol=1e-12)


class TestXqda:
    @pytest.mark.parametrize(("solver", "degrees"), [("eigh", 3.0), ("svd", 4.0)])
    def test_recovers_a_planted_subspace(self, solver: Any, degrees: float) -> None:
        views, truth = plant(200, np.random.default_rng(0))
        model = fit_xqda(views, solver=solver)
        assert model.strength[N_PLANTED - 1] > 4 * model.strength[N_PLANTED]
        angles = np.rad2deg(scipy.linalg.subspace_angles(model.subspace[:, :N_PLANTED], truth))
        assert angles.max() < degrees

    @pytest.mark.parametrize("solver", ["eigh", "svd"])
    def test_finds_persons_it_never_saw(self, solver: Any) -> None:
        rng = np.random.default_rng(1)
        views, _ = plant(200, rng)
        unseen, _ = plant(60, rng, first=1000)
        learned = make(fit_xqda(views, solver=solver))
        plain = Quadratic("plain", "plain", np.eye(N_DIMS), np.ones(N_DIMS))
        assert rank_one(plain, unseen) < 0.3
        assert rank_one(learned, unseen) > 0.8

    def test_the_symmetric_solver_is_positive_and_the_references_is_not(self) -> None:
        rng = np.random.default_rng(2)
        person = np.repeat(np.arange(40), 2)
        features = rng.normal(size=(40, 120))[person] + rng.normal(size=(80, 120))
        views = Views(features, person, features + rng.normal(size=features.shape), person)
        assert np.linalg.eigvalsh(fit_xqda(views).form).min() > -1e-9
        indefinite = fit_xqda(views, solver="svd")
        assert np.linalg.eigvalsh(indefinite.form).min() < -0.01
        distance = make(indefinite)
        assert (distance.signs < 0).any()

    def test_the_svd_solver_is_the_recipe_in_so_many_words(self) -> None:
        views, _ = plant(50, np.random.default_rng(3))
        same, different = pair_covariances(views)
        same = same + 0.001 * np.eye(N_DIMS)
        left, values, _ = np.linalg.svd(np.linalg.inv(same) @ different)
        subspace = left[:, values > 1]
        expected = np.linalg.inv(subspace.T @ same @ subspace) - np.linalg.inv(
            subspace.T @ different @ subspace
        )
        model = fit_xqda(views, solver="svd")
        assert model.form.shape == expected.shape
        np.testing.assert_allclose(
            form_of(model), subspace @ expected @ subspace.T, rtol=1e-8, atol=1e-10
        )

    @pytest.mark.parametrize("solver", ["eigh", "svd"])
    def test_the_way_through_qr_is_the_direct_way(
        self, solver: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rng = np.random.default_rng(4)
        views = Views(
            rng.normal(size=(20, 90)),
            np.arange(20) // 2,
            rng.normal(size=(24, 90)),
            np.arange(24) // 2,
        )
        short = fit_xqda(views, solver=solver, n_dims=8)
        monkeypatch.setattr(
            "lpw_toolkit.evaluation.metric_learning.xqda._shrink", lambda views: (None, views)
        )
        direct = fit_xqda(views, solver=solver, n_dims=8)
        np.testing.assert_allclose(short.strength, direct.strength, rtol=1e-9)
        np.testing.assert_allclose(
            form_of(short), form_of(direct), rtol=1e-6, atol=1e-8 * np.abs(form_of(direct)).max()
        )

    def test_distances_are_symmetric_and_zero_on_equal_points(self) -> None:
        views, _ = plant(60, np.random.default_rng(5))
        for solver in ("eigh", "svd"):
            distance = make(fit_xqda(views, solver=solver))  # type: ignore[arg-type]
            found = distance.blocks(views.first, views.first).block(0, len(views.first))
            assert (np.diag(found) == 0).all()
            np.testing.assert_allclose(found, found.T, rtol=1e-4, atol=1e-4)

    def test_dimensions_are_those_with_more_between_than_within(self) -> None:
        views, _ = plant(80, np.random.default_rng(6))
        model = fit_xqda(views)
        assert (model.strength > 1).all()
        assert fit_xqda(views, n_dims=3).subspace.shape == (N_DIMS, 3)
        alike = replace(
            views, first_person=views.first_person * 0, second_person=views.second_person % 2
        )
        assert fit_xqda(alike).subspace.shape[1] >= 1

    @pytest.mark.parametrize("setting", [{"solver": "lu"}, {"n_dims": 0}, {"ridge": -1.0}])
    def test_odd_settings(self, setting: dict[str, Any]) -> None:
        views, _ = plant(10, np.random.default_rng(7))
        with pytest.raises(LpwError, match="XQDA"):
            fit_xqda(views, **setting)

    def test_a_singular_covariance(self) -> None:
        flat = np.zeros((6, 3))
        flat[:, 0] = np.arange(6)
        with pytest.raises(LpwError, match="set a larger ridge"):
            fit_xqda(Views(flat, np.arange(6) // 2, flat + 1, np.arange(6) // 2), ridge=0.0)


def make(model: Xqda) -> Quadratic:
    from lpw_toolkit.evaluation.metric_learning.xqda import xqda_distance

    return xqda_distance(model, "eigh")


class TestKissme:
    def test_is_the_difference_of_two_inverses(self) -> None:
        views, _ = plant(60, np.random.default_rng(0))
        same, different = pair_covariances(views)
        expected = np.linalg.inv(same) - np.linalg.inv(different)
        np.testing.assert_allclose(fit_kissme(views, clip=False), expected, rtol=1e-8, atol=1e-10)

    def test_clipping_makes_it_positive_and_leaves_the_rest(self) -> None:
        views, _ = plant(60, np.random.default_rng(1))
        free, clipped = fit_kissme(views, clip=False), fit_kissme(views)
        values, vectors = np.linalg.eigh(free)
        assert values.min() < 0
        np.testing.assert_allclose(clipped, (vectors * values.clip(0)) @ vectors.T, atol=1e-10)

    @pytest.mark.parametrize("n_dims", [40, 600])
    def test_small_sets_get_fewer_components(self, n_dims: int) -> None:
        """As many persons and cameras as PRID 2011 has for training."""
        rng = np.random.default_rng(3)
        person, camera = np.repeat(np.arange(89), 2), np.tile([0, 1], 89)
        features = rng.normal(size=(89, n_dims))[person] + 0.3 * rng.normal(size=(178, n_dims))
        distance = open_distance("kissme", TrainingVectors(features, person, camera))
        assert distance.title == f"KISSME (PCA {min(n_dims, 44)})"
        found = distance.blocks(features[camera == 0], features[camera == 1]).block(0, 89)
        assert (found.argmin(axis=1) == np.arange(89)).mean() > 0.9

    def test_a_singular_covariance(self) -> None:
        views, _ = plant(4, np.random.default_rng(2))
        with pytest.raises(LpwError, match="fewer principal components"):
            fit_kissme(
                replace(views, first=np.tile(views.first, 4), second=np.tile(views.second, 4))
            )


class TestPca:
    @pytest.mark.parametrize("shape", [(200, 12), (9, 40)])
    def test_equals_the_singular_vectors(self, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng(0)
        features = rng.normal(size=shape) * np.linspace(3, 1, shape[1]) + 7
        pca = fit_pca(features, 5)
        _, values, right = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
        np.testing.assert_allclose(pca.variance, values[:5] ** 2 / (shape[0] - 1))
        np.testing.assert_allclose(
            np.abs(np.sum(pca.components * right[:5].T, axis=0)), 1, atol=1e-9
        )
        np.testing.assert_allclose(pca.components.T @ pca.components, np.eye(5), atol=1e-9)
        assert (pca.components.max(axis=0) >= -pca.components.min(axis=0)).all()

    def test_no_more_components_than_the_vectors_span(self) -> None:
        features = np.random.default_rng(1).normal(size=(6, 50))
        assert fit_pca(features, 200).components.shape == (50, 5)

    def test_projecting_keeps_distances_in_the_subspace(self) -> None:
        features = np.random.default_rng(2).normal(size=(30, 4))
        flat = fit_pca(features, 4).project(features)
        np.testing.assert_allclose(
            np.linalg.norm(flat[0] - flat[1]), np.linalg.norm(features[0] - features[1])
        )

    @pytest.mark.parametrize(("n", "n_dims"), [(1, 3), (5, 0)])
    def test_too_little(self, n: int, n_dims: int) -> None:
        with pytest.raises(LpwError, match="principal components"):
            fit_pca(np.ones((n, 4)), n_dims)


class TestViews:
    def test_two_cameras_are_the_views(self) -> None:
        training = make_training(np.random.default_rng(0), n_cameras=2)
        views = take_views(training, None)
        assert len(views.first) == (training.camera == 0).sum()
        assert views.second_person.tolist() == training.person[training.camera == 1].tolist()

    def test_pairs_are_drawn_within_persons_across_cameras(self) -> None:
        training = replace(
            make_training(np.random.default_rng(1)), features=np.arange(300.0)[:, None]
        )
        views = take_views(training, np.random.default_rng(2))
        first, second = views.first[:, 0].astype(int), views.second[:, 0].astype(int)
        assert (views.first_person == views.second_person).all()
        assert (training.person[first] == views.first_person).all()
        assert (training.camera[first] != training.camera[second]).all()
        assert len({*first, *second}) == 2 * len(first)
        assert len(first) > 60

    def test_the_draw_is_the_generators(self) -> None:
        training = make_training(np.random.default_rng(3))
        one, again, other = (
            take_views(training, np.random.default_rng(seed)).first for seed in (5, 5, 6)
        )
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)

    def test_nobody_is_left_out(self) -> None:
        training = make_training(np.random.default_rng(4), n_cameras=2)
        person = np.where(np.arange(300) % 3 == 0, -1, training.person)
        views = take_views(replace(training, person=person), None)
        assert len(views.first) + len(views.second) == (person >= 0).sum()
        assert min(views.first_person.min(), views.second_person.min()) >= 0

    def test_one_camera_teaches_nothing(self) -> None:
        training = make_training(np.random.default_rng(5), n_cameras=1)
        with pytest.raises(LpwError, match="0 persons seen by two of 1 cameras"):
            take_views(training, np.random.default_rng(0))

    def test_drawing_needs_a_generator(self) -> None:
        with pytest.raises(LpwError, match="pass rng"):
            take_views(make_training(np.random.default_rng(6)), None)


class TestOpen:
    @pytest.mark.parametrize("name", list_metrics())
    def test_every_metric_by_name(self, name: str) -> None:
        training = make_training(np.random.default_rng(0))
        distance = open_distance(name, training, rng=np.random.default_rng(1))
        found = distance.blocks(training.features[:20], training.features).block(0, 20)
        assert distance.name == name
        assert distance.squared is (name != "euclidean")
        assert (found.argmin(axis=1) == np.arange(20)).all()
        same = training.person[:20, None] == training.person
        assert found[same].mean() < found[~same].mean()

    def test_settings_are_in_the_title(self) -> None:
        training, rng = make_training(np.random.default_rng(1)), np.random.default_rng(0)
        assert (
            open_distance("xqda", training, rng=rng, config=LearningConfig(n_dims=4)).title
            == "XQDA (eigh, 4 dims)"
        )
        assert (
            open_distance("kissme", training, rng=rng, config=LearningConfig(pca_dims=6)).title
            == "KISSME (PCA 6)"
        )
        svd = open_distance(
            "xqda", training, rng=rng, config=LearningConfig(solver="svd", n_dims=2)
        )
        assert svd.title == "XQDA (svd, 2 dims)"

    def test_components_come_from_train_only(self) -> None:
        training = make_training(np.random.default_rng(2))
        one, again = (
            open_distance("kissme", training, rng=np.random.default_rng(0)) for _ in range(2)
        )
        one.blocks(np.full((3, 12), 1e3), np.full((3, 12), -1e3))
        assert isinstance(one, Quadratic) and isinstance(again, Quadratic)
        assert np.array_equal(one.projection, again.projection)

    def test_an_unknown_name(self) -> None:
        with pytest.raises(
            LpwError, match=r"option --metric: got manhattan; expected cosine, euclidean"
        ):
            open_distance("manhattan")

    @pytest.mark.parametrize("name", ["xqda", "kissme", "tdl"])
    def test_nothing_to_learn_from(self, name: str) -> None:
        empty = TrainingVectors(
            np.zeros((0, 4)), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        )
        for training in (None, empty):
            with pytest.raises(LpwError, match=f"metric {name}: got no training tracklets"):
                open_distance(name, training)

    def test_training_vectors_that_are_not_finite(self) -> None:
        training = make_training(np.random.default_rng(3))
        training.features[7, 0] = np.nan
        with pytest.raises(
            LpwError, match=r"training features: got NaN, infinite or too large values in rows 7"
        ):
            open_distance("xqda", training, rng=np.random.default_rng(0))
