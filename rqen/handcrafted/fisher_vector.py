"""Fisher vectors: how a Gaussian mixture would have to change to fit some descriptors better."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture with diagonal covariances.

    Attributes:
        weights: (K,), sum 1.
        means, variances: (K, D).
    """

    weights: Floats
    means: Floats
    variances: Floats


@dataclass(frozen=True)
class MixtureConfig:
    """How mixtures are fitted.

    Attributes:
        n_components: K.
        n_starts: of which the best is taken.
        max_iterations: of expectation and maximisation, a start.
        regularisation: added to variances.
    """

    n_components: int = 32
    n_starts: int = 3
    max_iterations: int = 1000
    regularisation: float = 1e-8


def fit_mixture(descriptors: Floats, config: MixtureConfig, seed: int) -> Mixture:
    """A mixture of descriptors (N, D). Errors: LpwError where there are fewer than components, or
    a component has no extent."""
    from sklearn.mixture import GaussianMixture

    if len(descriptors) < config.n_components:
        got = f"{len(descriptors)} descriptors for {config.n_components} components"
        do = "train on more tracklets, or set fewer components or a larger share of descriptors"
        raise LpwError("Gaussian mixture", got, "as many or more", do)
    mixture = GaussianMixture(
        config.n_components, covariance_type="diag", n_init=config.n_starts,
        max_iter=config.max_iterations, reg_covar=config.regularisation, random_state=seed,
        init_params="k-means++",
    )  # fmt: skip
    try:
        mixture.fit(np.asarray(descriptors, dtype=np.float64))
    except ValueError as error:
        do = "train on more tracklets, and on crops that are not blank"
        raise LpwError(
            "Gaussian mixture", "a covariance that cannot be inverted", "a regular one", do
        ) from error
    return Mixture(mixture.weights_, mixture.means_, mixture.covariances_)


def encode(descriptors: Floats, mixture: Mixture) -> Floats:
    """The Fisher vector (2KD,) of descriptors (N, D), not normalised: gradients of the mean
    log-likelihood for means, then for standard deviations, each over the root of its expected
    square.

    Copies of all descriptors change nothing, nor does their order but for rounding.

    Source: Perronnin et al. 2010.

    >>> one = Mixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1)))
    >>> encode(np.array([[1.0], [-1.0]]), one).tolist()
    [0.0, 0.0]
    """
    inverse = 1 / mixture.variances
    logarithm = (
        np.log(mixture.weights)
        - 0.5 * (np.log(mixture.variances) + mixture.means**2 * inverse).sum(axis=1)
        + descriptors @ (mixture.means * inverse).T
        - 0.5 * (descriptors**2 @ inverse.T)
    )
    logarithm -= logarithm.max(axis=1, keepdims=True)
    posterior = np.exp(logarithm)
    posterior /= posterior.sum(axis=1, keepdims=True)
    mass = posterior.sum(axis=0)[:, None]
    first, second = posterior.T @ descriptors, posterior.T @ descriptors**2
    means, deviations = mixture.means, np.sqrt(mixture.variances)
    of_means = (first - mass * means) / deviations
    of_deviations = (second - 2 * means * first + mass * means**2) * inverse - mass
    root = np.sqrt(mixture.weights)[:, None] * len(descriptors)
    return np.concatenate([(of_means / root).ravel(), (of_deviations / root).ravel() / np.sqrt(2)])


def normalise(vector: Floats) -> Floats:
    """Signed square roots, then unit length; zeros stay.

    >>> normalise(np.array([-9.0, 16.0])).round(3).tolist()
    [-0.6, 0.8]
    """
    rooted = np.sign(vector) * np.sqrt(np.abs(vector))
    return np.asarray(rooted / max(float(np.linalg.norm(rooted)), np.finfo(np.float64).tiny))
