"""The metric of STA against sums over pairs in loops, and what cannot be learned from."""

import numpy as np
import pytest

from lpw_toolkit.errors import LpwError
from rqen.handcrafted.cycle_metric import (
    CycleLabels,
    factor_form,
    learn_form,
)


def make_cycles(seed: int = 0, n: int = 60, n_dims: int = 4) -> tuple[np.ndarray, CycleLabels]:
    rng = np.random.default_rng(seed)
    person, camera = rng.integers(0, 6, n), rng.integers(0, 3, n)
    vectors = 3 * np.random.default_rng(9).normal(size=(6, n_dims))[person] + rng.normal(
        size=(n, n_dims)
    )
    return vectors, CycleLabels(person, camera, 3 * person + camera, rng.choice([-1, 1], n))


def sum_in_loops(vectors: np.ndarray, labels: CycleLabels) -> list[np.ndarray]:
    """Mean outer products of the pairs of one person, and of two."""
    sums, counts = np.zeros((2, vectors.shape[1], vectors.shape[1])), np.zeros(2)
    for i in range(len(vectors)):
        for j in range(i):
            if labels.camera[i] != labels.camera[j] and labels.sign[i] == labels.sign[j]:
                place = int(labels.person[i] != labels.person[j])
                sums[place] += np.outer(vectors[i] - vectors[j], vectors[i] - vectors[j])
                counts[place] += 1
    return [total / count for total, count in zip(sums, counts, strict=True)]


class TestForm:
    def test_equals_the_covariances_of_all_pairs(self) -> None:
        vectors, labels = make_cycles()
        same, different = sum_in_loops(vectors, labels)
        np.testing.assert_allclose(
            learn_form(vectors, labels, "mahal"), np.linalg.inv(same), rtol=1e-9
        )
        expected = np.linalg.inv(same) - np.linalg.inv(different)
        values, basis = np.linalg.eigh(expected)
        clipped = (basis * np.maximum(values, 0)) @ basis.T
        np.testing.assert_allclose(
            learn_form(vectors, labels, "kissme"), clipped, rtol=1e-8, atol=1e-10
        )
        np.testing.assert_array_equal(learn_form(vectors, labels, "none"), np.eye(4))

    def test_the_factor_gives_the_form(self) -> None:
        form = learn_form(*make_cycles(1), "kissme")
        factor = factor_form(form)
        np.testing.assert_allclose(factor @ factor.T, form, atol=1e-10)

    def test_with_one_camera_pairs_are_of_two_tracklets(self) -> None:
        vectors, labels = make_cycles(2)
        alone = CycleLabels(labels.person, 0 * labels.camera, labels.tracklet, labels.sign)
        np.testing.assert_allclose(
            learn_form(vectors, alone, "mahal"),
            learn_form(vectors, CycleLabels(labels.person, labels.tracklet, labels.tracklet,
                                            labels.sign), "mahal"),
        )  # fmt: skip

    def test_one_tracklet_a_person(self) -> None:
        vectors, labels = make_cycles(3)
        alone = CycleLabels(labels.person, labels.person, labels.person, labels.sign)
        with pytest.raises(LpwError, match=r"0 pairs of cycles of one person.*two cameras"):
            learn_form(vectors, alone, "kissme")

    def test_one_person(self) -> None:
        vectors, labels = make_cycles(4)
        alone = CycleLabels(0 * labels.person, labels.camera, labels.tracklet, labels.sign)
        with pytest.raises(LpwError, match="and 0 of two"):
            learn_form(vectors, alone, "kissme")

    def test_a_covariance_that_cannot_be_inverted(self) -> None:
        vectors, labels = make_cycles(5)
        flat = np.hstack([vectors, vectors[:, :1]])
        with pytest.raises(LpwError, match=r"singular covariance of 5 dimensions.*fewer"):
            learn_form(flat, labels, "mahal")
