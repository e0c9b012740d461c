"""KISSME: a metric from the covariances of differences within and between persons, after PCA."""

from dataclasses import replace

import numpy as np
import scipy.linalg

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import (
    Floats,
    TrainingVectors,
    Views,
    pair_covariances,
    take_views,
)
from lpw_toolkit.evaluation.distances import Quadratic, make_quadratic
from lpw_toolkit.evaluation.learned_distance import LearningConfig
from lpw_toolkit.evaluation.pca import Pca, fit_pca
from lpw_toolkit.evaluation.shrinkage import SHRINKAGES, Shrinkage, shrink_covariances

OWN_PCA = True
CHOICES = {"shrinkage": SHRINKAGES}
#: Beyond this ratio of the largest to the smallest variance an inverse is noise.
LARGEST_CONDITION = 1e12


def learn(
    training: TrainingVectors, rng: np.random.Generator | None, config: LearningConfig
) -> Quadratic:
    """KISSME on the first principal components of the training vectors."""
    views = take_views(training, rng)
    pca = fit_pca(training.features[training.person >= 0], min(config.pca_dims, bound_dims(views)))
    views = replace(views, first=pca.project(views.first), second=pca.project(views.second))
    return kissme_distance(pca, fit_kissme(views, clip=config.clip, shrinkage=config.shrinkage))


def describe(config: LearningConfig, pca: int | None) -> str:
    """The metric and its settings in a table."""
    shrunk = "" if config.shrinkage == "none" else f", {config.shrinkage} shrinkage"
    form = "PSD" if config.clip else "not clipped"
    return f"KISSME (PCA to {pca or config.pca_dims}, {form}{shrunk})"


def bound_dims(views: Views) -> int:
    """Principal components that leave the covariance within persons regular: half its degrees of
    freedom.

    On MARS that is far above the usual 200; PRID 2011 (89 persons twice) must do with 44.
    """
    persons = np.union1d(views.first_person, views.second_person)
    return int(max(1, (len(views.first) + len(views.second) - len(persons)) // 2))


def fit_kissme(views: Views, *, clip: bool = True, shrinkage: Shrinkage = "none") -> Floats:
    """M (D, D), the inverse covariance of differences within persons less that between persons.

    All pairs across the views count. Vectors should be short (after PCA): the covariances must be
    regular.

    Args:
        clip: sets negative eigenvalues of M to zero, so that distances cannot be negative.
        shrinkage: of the covariances.

    Source: Koestinger et al. 2012.
    Errors: LpwError where a covariance is singular.
    """
    same, different = shrink_covariances(*pair_covariances(views), views, shrinkage)
    if not max(np.linalg.cond(same), np.linalg.cond(different)) < LARGEST_CONDITION:
        got = (
            f"a singular covariance of {same.shape[0]} dimensions from {len(views.first)} + "
            f"{len(views.second)} vectors"
        )
        raise LpwError(
            "KISSME",
            got,
            "a regular one",
            "keep fewer principal components or train on more tracklets",
        )
    form = scipy.linalg.inv(same) - scipy.linalg.inv(different)
    form = (form + form.T) / 2
    if clip:
        values, vectors = np.linalg.eigh(form)
        form = (vectors * np.maximum(values, 0)) @ vectors.T
    return np.asarray(form)


def kissme_distance(pca: Pca, form: Floats) -> Quadratic:
    """The learned distance on vectors before PCA (whose mean cancels in differences)."""
    return make_quadratic("kissme", f"KISSME (PCA {len(form)})", pca.components, form)
