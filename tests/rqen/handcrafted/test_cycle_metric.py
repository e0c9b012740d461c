"""The metric of STA against sums over pairs in loops, the distance of sets, and what cannot be
learned from."""

import numpy as np
import pytest

from lpw_toolkit.errors import LpwError
from rqen.handcrafted.cycle_metric import (
    CycleLabels,
    CycleSets,
    SetDistance,
    factor_form,
    learn_form,
    measure_sets,
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


def measure_in_loops(query: CycleSets, gallery: CycleSets) -> np.ndarray:
    out = np.zeros((len(query), len(gallery)))
    for q in range(len(query)):
        for g in range(len(gallery)):
            one, other = query.take(np.array([q])), gallery.take(np.array([g]))
            apart = np.array(
                [
                    [np.inf if a * b == -1 else ((x - z) ** 2).sum()
                     for z, b in zip(other.vectors, other.sign, strict=True)]
                    for x, a in zip(one.vectors, one.sign, strict=True)
                ]
            )  # fmt: skip
            nearest = np.concatenate([apart.min(axis=0), apart.min(axis=1)])
            known = nearest[np.isfinite(nearest)]
            out[q, g] = known.mean() if len(known) else np.inf
    return out


def make_sets(seed: int, n_sets: int) -> CycleSets:
    rng = np.random.default_rng(seed)
    starts = np.cumsum([0, *rng.integers(1, 5, n_sets)])
    vectors = rng.normal(size=(starts[-1], 3)).astype(np.float32)
    return CycleSets(vectors, rng.choice([-1, 0, 1], starts[-1]), starts)


class TestSets:
    def test_distances_equal_the_loops(self) -> None:
        query, gallery = make_sets(0, 7), make_sets(1, 9)
        expected = measure_in_loops(query, gallery)
        assert np.isinf(expected).any()
        np.testing.assert_allclose(measure_sets(query, gallery), expected, rtol=1e-5)

    def test_blocks_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        query, gallery = make_sets(2, 7), make_sets(3, 9)
        whole = measure_sets(query, gallery)
        monkeypatch.setattr("rqen.handcrafted.cycle_metric.N_VALUES", 10)
        np.testing.assert_allclose(measure_sets(query, gallery), whole, rtol=1e-6)

    def test_a_distance_of_tracklets_is_that_of_their_sets(self) -> None:
        sets = make_sets(5, 9)
        whole = measure_sets(sets, sets)
        query, gallery = np.array([4, 0, 7]), np.array([8, 1])
        blocks = SetDistance(sets).blocks(query, gallery)
        assert (blocks.n_query, blocks.n_gallery) == (3, 2)
        np.testing.assert_allclose(blocks.block(1, 3), whole[query[1:]][:, gallery], rtol=1e-5)
        found = blocks.pairs(np.array([2, 0]), np.array([0, 1]))
        np.testing.assert_allclose(found, [whole[7, 8], whole[4, 1]], rtol=1e-5)

    def test_is_symmetric_and_zero_for_the_same_set(self) -> None:
        sets = make_sets(4, 8)
        found = measure_sets(sets, sets)
        np.testing.assert_allclose(found, found.T, rtol=1e-5)
        np.testing.assert_allclose(np.diag(found), 0, atol=1e-6)

    def test_sets_of_other_phases_are_infinitely_far(self) -> None:
        one = CycleSets(np.zeros((2, 1), np.float32), np.array([1, 1]), np.array([0, 2]))
        other = CycleSets(np.zeros((1, 1), np.float32), np.array([-1]), np.array([0, 1]))
        assert np.isinf(measure_sets(one, other)).all()
        unknown = CycleSets(other.vectors, np.array([0]), other.starts)
        assert measure_sets(one, unknown) == 0
