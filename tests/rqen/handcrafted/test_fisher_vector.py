"""Fisher vectors: against scikit-image, finite differences and what theory says of samples of the
mixture itself."""

import numpy as np
import pytest
from skimage.feature import fisher_vector
from sklearn.mixture import GaussianMixture

from lpw_toolkit.errors import LpwError
from rqen.handcrafted.fisher_vector import Mixture, MixtureConfig, encode, fit_mixture, normalise

K, D = 4, 3


def make_mixture(seed: int = 0) -> Mixture:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, K)
    return Mixture(weights / weights.sum(), rng.normal(0, 3, (K, D)), rng.uniform(0.3, 2.0, (K, D)))


def draw(mixture: Mixture, n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    which = rng.choice(len(mixture.weights), n, p=mixture.weights)
    spread = np.sqrt(mixture.variances[which])
    return mixture.means[which] + spread * rng.normal(size=(n, mixture.means.shape[1]))


def mean_log_likelihood(x: np.ndarray, mixture: Mixture) -> float:
    apart = (x[:, None] - mixture.means) ** 2 / mixture.variances
    exponent = -0.5 * (apart + np.log(2 * np.pi * mixture.variances)).sum(axis=-1)
    return float(np.log((mixture.weights * np.exp(exponent)).sum(axis=1)).mean())


def test_equals_scikit_image_but_for_the_sign_of_its_variances() -> None:
    mixture = make_mixture()
    x = draw(mixture, 200)
    theirs = GaussianMixture(K, covariance_type="diag")
    theirs.weights_, theirs.means_, theirs.covariances_ = (
        mixture.weights, mixture.means, mixture.variances,
    )  # fmt: skip
    theirs.precisions_cholesky_ = 1 / np.sqrt(mixture.variances)
    _, means, variances = np.split(fisher_vector(x, theirs), [K, K + K * D])
    ours = np.split(encode(x, mixture), 2)
    np.testing.assert_allclose(ours[0], means, atol=1e-12)
    np.testing.assert_allclose(ours[1], -variances, atol=1e-12)


def test_equals_the_scaled_gradient_of_the_log_likelihood() -> None:
    mixture, step = make_mixture(2), 1e-6
    x = draw(mixture, 50) + 0.3
    root = np.sqrt(mixture.weights)[:, None]
    deviations = np.sqrt(mixture.variances)
    expected = np.zeros((2, K, D))
    for k in range(K):
        for d in range(D):
            values = []
            for sign in (1, -1):
                means, spread = mixture.means.copy(), deviations.copy()
                means[k, d] += sign * step
                spread[k, d] += sign * step
                values.append(
                    [
                        mean_log_likelihood(x, Mixture(mixture.weights, means, mixture.variances)),
                        mean_log_likelihood(x, Mixture(mixture.weights, mixture.means, spread**2)),
                    ]
                )
            expected[:, k, d] = (np.array(values[0]) - values[1]) / (2 * step)
    expected *= deviations / root
    expected[1] /= np.sqrt(2)
    np.testing.assert_allclose(encode(x, mixture).reshape(2, K, D), expected, atol=1e-8)


@pytest.mark.parametrize("n", [500, 5000, 50_000])
def test_samples_of_the_mixture_leave_a_vector_of_the_length_that_theory_says(n: int) -> None:
    rng = np.random.default_rng(3)
    mixture = Mixture(np.full(5, 0.2), rng.normal(0, 9, (5, 8)), rng.uniform(0.5, 2, (5, 8)))
    length = np.linalg.norm(encode(draw(mixture, n), mixture))
    assert length == pytest.approx(np.sqrt(2 * 5 * 8 / n), rel=0.35)


def test_copies_and_order_change_nothing() -> None:
    mixture = make_mixture(4)
    x = draw(mixture, 60)
    whole = encode(x, mixture)
    np.testing.assert_allclose(encode(np.repeat(x, 3, axis=0), mixture), whole, atol=1e-13)
    np.testing.assert_allclose(encode(x[::-1], mixture), whole, atol=1e-13)


def test_normalised_vectors_have_unit_length_and_keep_their_signs() -> None:
    vector = np.random.default_rng(5).normal(size=20)
    found = normalise(vector)
    assert np.linalg.norm(found) == pytest.approx(1)
    np.testing.assert_array_equal(np.sign(found), np.sign(vector))
    assert not normalise(np.zeros(3)).any()


class TestFitting:
    def test_finds_planted_components(self) -> None:
        means = np.array([[-6.0, 0.0], [0.0, 5.0], [6.0, -5.0]])
        planted = Mixture(np.array([0.2, 0.3, 0.5]), means, np.full((3, 2), 0.5))
        found = fit_mixture(draw(planted, 3000), MixtureConfig(n_components=3), 0)
        order = np.argsort(found.means[:, 0])
        np.testing.assert_allclose(found.means[order], means, atol=0.15)
        np.testing.assert_allclose(found.weights[order], planted.weights, atol=0.03)
        np.testing.assert_allclose(found.variances[order], planted.variances, atol=0.08)

    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        x = draw(make_mixture(), 400)
        one, other = (fit_mixture(x, MixtureConfig(n_components=5), 7) for _ in range(2))
        assert one.means.tobytes() == other.means.tobytes()

    def test_too_few_descriptors(self) -> None:
        with pytest.raises(LpwError, match="3 descriptors for 32 components"):
            fit_mixture(np.zeros((3, 2)), MixtureConfig(), 0)

    def test_descriptors_without_extent(self) -> None:
        with pytest.raises(LpwError, match="covariance that cannot be inverted"):
            fit_mixture(np.zeros((40, 2)), MixtureConfig(n_components=2, regularisation=0.0), 0)
