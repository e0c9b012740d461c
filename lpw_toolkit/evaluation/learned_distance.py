"""Distances by name: plain ones, and metrics learned from training tracklets.

A learned metric is a plug-in: one file in `metric_learning/` that fulfils `MetricLearner`.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, cast

import numpy as np

from lpw_toolkit.errors import LpwError, unknown_name
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors
from lpw_toolkit.evaluation.distances import (
    Cosine,
    Distance,
    Euclidean,
    SquaredEuclidean,
    check_features,
)
from lpw_toolkit.evaluation.shrinkage import Shrinkage
from lpw_toolkit.plugins import PluginFolder

LEARNERS = PluginFolder("lpw_toolkit.evaluation.metric_learning", "option --metric")
_PLAIN: dict[str, type[Cosine | Euclidean | SquaredEuclidean]] = {
    "cosine": Cosine,
    "euclidean": Euclidean,
    "sqeuclidean": SquaredEuclidean,
}


@dataclass(frozen=True)
class LearningConfig:
    """How metrics are learned.

    Attributes:
        solver: of XQDA.
        n_dims: dimensions of XQDA's subspace; None chooses.
        ridge: added to XQDA's covariance within persons.
        shrinkage: of the covariance within persons; `ledoit_wolf` shrinks it as much as the
            training vectors ask for.
        pca_dims: principal components before KISSME, at most; fewer where training is small (the
            title says how many).
        clip: whether KISSME's form is made positive.
    """

    solver: Literal["eigh", "svd"] = "eigh"
    n_dims: int | None = None
    ridge: float = 0.001
    shrinkage: Shrinkage = "none"
    pca_dims: int = 200
    clip: bool = True


class MetricLearner(Protocol):
    """The interface of each file in `metric_learning/`.

    Attributes:
        OWN_PCA: whether the metric projects on `LearningConfig.pca_dims` principal components
            itself; vectors are projected before learning otherwise, where the user asks for it.
        CHOICES: fields of `LearningConfig` and their values, plainest first, among which
            `metric_selection` may choose; a metric without it leaves only the PCA to choose.
    """

    OWN_PCA: bool

    def learn(
        self, training: TrainingVectors, rng: np.random.Generator | None, config: LearningConfig
    ) -> Distance:
        """The distance learned from `training`, whose features (n, D) are finite. Errors: LpwError
        where they are too few."""

    def describe(self, config: LearningConfig, pca: int | None) -> str:
        """The metric and its settings as tables print them, the same for all splits; `pca` is the
        number of principal components that the user chose."""


def list_metrics() -> list[str]:
    """The names of all distances, learned ones last."""
    return [*_PLAIN, *LEARNERS.names()]


def is_learned(name: str) -> bool:
    """Whether the distance called `name` needs training tracklets."""
    return name in LEARNERS.names()


def open_learner(name: str) -> MetricLearner:
    """The learned metric called `name`. Errors: LpwError that lists the names."""
    return cast(MetricLearner, LEARNERS.load(name))


def open_distance(
    name: str,
    training: TrainingVectors | None = None,
    *,
    rng: np.random.Generator | None = None,
    config: LearningConfig | None = None,
) -> Distance:
    """The distance called `name`, learned where it has to be.

    Args:
        name: one of `list_metrics()`.
        training: for learned metrics; nothing else is ever fitted on.
        rng: draws pairs of training tracklets; needed where training has other than two cameras.

    Errors: LpwError where the name is unknown or training is absent or too small.

    >>> open_distance("euclidean").blocks(np.zeros((1, 2)), np.ones((1, 2))).block(0, 1).round(3)
    array([[1.414]], dtype=float32)
    """
    if name in _PLAIN:
        return _PLAIN[name]()
    if not is_learned(name):
        raise unknown_name("option --metric", name, list_metrics())
    if training is None or not (training.person >= 0).any():
        raise LpwError(
            f"metric {name}",
            "no training tracklets",
            "a split with a train part",
            "use cosine or euclidean",
        )
    check_features(training.features, "training")
    return open_learner(name).learn(training, rng, config or LearningConfig())
