"""TDL: hand-crafted features of a whole tracklet, compared by top-push distance learning."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lpw_toolkit.errors import check_range
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors
from lpw_toolkit.evaluation.top_push import TopPushConfig, learn_top_push
from rqen.handcrafted.tdl_features import describe_tracklet
from rqen.model.clip import Arrays, Clip, Description, TrainingClips
from rqen.model.method import FittedMethod


@dataclass(frozen=True)
class TdlSettings:
    """Settings of TDL.

    Attributes:
        n_dims: principal components of the features, at most.
        weight: a, of the push against the pull, above 0 and at most 1; 0: chosen on validation
            persons, a quarter of those who train, drawn by seed.
        margin: rho.
        max_steps: of the descent.

    Errors: LpwError that names the setting.
    """

    n_dims: int = 300
    weight: float = 0.0
    margin: float = 1.0
    max_steps: int = 200

    def __post_init__(self) -> None:
        for name in ("n_dims", "max_steps"):
            check_range(f"method.{name}", getattr(self, name), 1, 10**6, whole=True)
        check_range("method.weight", self.weight, 0, 1)
        check_range("method.margin", self.margin, 0, 10**6, above=True)


def fit(clips: TrainingClips, settings: TdlSettings, rng: np.random.Generator) -> Arrays:
    """The metric, as the `projection` behind `centre` whose Euclidean distances are those of TDL;
    the `weight` a, the validation persons' mean average precision `tried` of each weight, and the
    share of `violated` constraints after each step.

    Errors: LpwError where no person has two tracklets, or their features are alike.
    """
    features = np.stack([np.asarray(one) for one in clips.map(_describe_clip)])
    config = TopPushConfig(settings.margin, settings.max_steps)
    training = TrainingVectors(features, clips.person, clips.camera)
    with threadpool_limits(1):  # small matrices, and the same bytes
        model = learn_top_push(
            training, rng, n_dims=settings.n_dims, weight=settings.weight or None, config=config
        )
    return {
        "centre": model.pca.mean,
        "projection": model.projection,
        "weight": np.array([model.weight]),
        "tried": np.array(list(model.tried.items())).reshape(-1, 2),
        "violated": model.top_push.violated_frac,
    }


def describe(arrays: Mapping[str, Any], clip: Clip, settings: TdlSettings) -> Description:
    """The vector of a tracklet in the learned space."""
    features = describe_tracklet(clip.images).astype(np.float64)
    return Description((features - arrays["centre"]) @ arrays["projection"])


def _describe_clip(clip: Clip) -> Any:
    return describe_tracklet(clip.images)


METHOD = FittedMethod(
    fit=fit, describe=describe, recipe="tdl", small_recipe="tdl", settings=TdlSettings
)
