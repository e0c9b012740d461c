"""TDL: a metric under which persons are nearer than the nearest tracklet of anybody else, after
PCA."""

import numpy as np

from lpw_toolkit.evaluation.camera_pairs import TrainingVectors
from lpw_toolkit.evaluation.distances import Quadratic, make_quadratic
from lpw_toolkit.evaluation.learned_distance import LearningConfig
from lpw_toolkit.evaluation.top_push import learn_top_push

OWN_PCA = True


def learn(
    training: TrainingVectors, rng: np.random.Generator | None, config: LearningConfig
) -> Quadratic:
    """TDL on the first principal components; validation persons among the training persons choose
    the weight."""
    model = learn_top_push(
        training, np.random.default_rng(0) if rng is None else rng, n_dims=config.pca_dims
    )
    form = model.top_push.form
    title = f"TDL (PCA {len(form)}, a {model.weight:g})"
    return make_quadratic("tdl", title, model.subspace, form)


def describe(config: LearningConfig, pca: int | None) -> str:
    """The metric and its settings in a table."""
    return f"TDL (PCA to {pca or config.pca_dims}, a chosen on validation persons)"
