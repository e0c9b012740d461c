"""Distances by name, metrics learned from training tracklets, and re-ranking by shared
neighbours."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import Training, Views, take_views
from lpw_toolkit.evaluation.distances import (
    Cosine,
    Distance,
    Euclidean,
    SquaredEuclidean,
    check_features,
)

METRICS = ("cosine", "euclidean", "sqeuclidean", "xqda", "kissme")
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
        pca_dims: principal components before KISSME, at most; fewer where training is small (the
            title says how many).
        clip: whether KISSME's form is made positive.
    """

    solver: Literal["eigh", "svd"] = "eigh"
    n_dims: int | None = None
    ridge: float = 0.001
    pca_dims: int = 200
    clip: bool = True


def open_distance(
    name: str,
    training: Training | None = None,
    *,
    rng: np.random.Generator | None = None,
    config: LearningConfig | None = None,
) -> Distance:
    """The distance called `name`, learned where it has to be.

    Args:
        name: one of METRICS.
        training: for xqda and kissme; nothing else is ever fitted on.
        rng: draws pairs of training tracklets; needed where training has other than two cameras.

    Errors: LpwError where the name is unknown or training is absent or too small.
    """
    if name in _PLAIN:
        return _PLAIN[name]()
    if name not in METRICS:
        raise LpwError("option --metric", name, ", ".join(METRICS), "choose one of them")
    if training is None or not (training.person >= 0).any():
        raise LpwError(
            f"metric {name}",
            "no training tracklets",
            "a split with a train part",
            "use cosine or euclidean",
        )
    check_features(training.features, "training")
    config = config or LearningConfig()
    return (
        _learn_xqda(training, rng, config)
        if name == "xqda"
        else _learn_kissme(training, rng, config)
    )


def _learn_xqda(
    training: Training, rng: np.random.Generator | None, config: LearningConfig
) -> Distance:
    from lpw_toolkit.evaluation.metric_learning.xqda import fit_xqda, xqda_distance

    model = fit_xqda(
        take_views(training, rng), solver=config.solver, n_dims=config.n_dims, ridge=config.ridge
    )
    return xqda_distance(model, config.solver)


def _learn_kissme(
    training: Training, rng: np.random.Generator | None, config: LearningConfig
) -> Distance:
    from lpw_toolkit.evaluation.metric_learning.kissme import (
        bound_dims,
        fit_kissme,
        kissme_distance,
    )
    from lpw_toolkit.evaluation.pca import fit_pca

    views = take_views(training, rng)
    pca = fit_pca(training.features[training.person >= 0], min(config.pca_dims, bound_dims(views)))
    views = replace(views, first=pca.project(views.first), second=pca.project(views.second))
    return kissme_distance(pca, fit_kissme(views, clip=config.clip))


__all__ = ["METRICS", "LearningConfig", "Training", "Views", "open_distance", "take_views"]
