"""STA: a set of Fisher vectors for each tracklet, one of each walking cycle."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lpw_toolkit.evaluation.distances import SquaredEuclidean
from lpw_toolkit.evaluation.set_distance import SetDistance
from lpw_toolkit.progress import say_note
from rqen.handcrafted.sta import (
    StaConfig,
    StaModel,
    describe_tracklet,
    explain_whole,
    fit_sta,
)
from rqen.handcrafted.unit_model import UnitModels
from rqen.model.clip import Arrays, Clip, Description, Descriptions, TrainingClips
from rqen.model.method import FittedMethod


def fit(clips: TrainingClips, settings: StaConfig, rng: np.random.Generator) -> Arrays:
    """The model as named arrays: those of `StaModel` and, after `units.`, of `UnitModels`.

    Errors: LpwError where the tracklets are too few or too alike.
    """
    with threadpool_limits(1):  # the same bytes
        model = fit_sta(clips, settings, seed=int(rng.integers(2**31)))
    _tell(model.n_whole, len(clips))
    return {
        **{f"units.{name}": values for name, values in asdict(model.units).items()},
        "centre": model.centre,
        "projection": model.projection,
        "n_cycles": np.array([model.n_cycles]),
        "n_whole": np.array([model.n_whole]),
    }


def describe(arrays: Mapping[str, Any], clip: Clip, settings: StaConfig) -> Description:
    """The vectors of a tracklet's walking cycles, with their phases and whether they are a whole
    tracklet without a cycle; and the mean of them."""
    units = UnitModels(
        *(arrays[f"units.{name}"] for name in ("centre", "basis", "weights", "means", "variances"))
    )
    counts = (int(arrays[name][0]) for name in ("n_cycles", "n_whole"))
    model = StaModel(units, arrays["centre"], arrays["projection"], *counts)
    vectors, cycles = describe_tracklet(clip, model, settings)
    parts = {
        "cycles": vectors,
        "phase": np.array([cycle.sign for cycle in cycles]),
        "whole": np.array([cycle.whole for cycle in cycles]),
    }
    return Description(vectors.mean(axis=0), parts)


def compare(
    arrays: Mapping[str, Any], descriptions: Descriptions, settings: StaConfig
) -> SetDistance:
    """The distance between sets of cycles of one phase."""
    parts = descriptions.parts
    _tell(int(parts["whole"].sum()), int(descriptions.present.sum()))
    return SetDistance(
        parts["cycles"], descriptions.starts, parts["phase"], SquaredEuclidean(),
        name="sta", title="nearest walking cycles", squared=True,
    )  # fmt: skip


def _tell(n_whole: int, n_tracklets: int) -> None:
    text = explain_whole(n_whole, n_tracklets)
    if text:
        say_note(text)


METHOD = FittedMethod(
    fit=fit, describe=describe, compare=compare, recipe="sta", small_recipe="sta",
    settings=StaConfig, metric="own",
)  # fmt: skip
