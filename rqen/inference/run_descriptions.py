"""The outputs on a dataset of a trained run of another kind than RQEN's family: vectors, and the
method's own distance."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.embedding.embeddings import EmbeddingFacts
from lpw_toolkit.embedding.tracklet_distance import TrackletDistance
from lpw_toolkit.files.estimate import Announce
from rqen.inference.describe import (
    EmbedRequest,
    describe_tracklets,
    estimate_describing,
    open_own_distance,
)
from rqen.inference.embed import SetEmbedOptions
from rqen.inference.test_splits import find_seen_persons
from rqen.model.method import FittedMethod
from rqen.run import run_folder
from rqen.run.speed_trial import Mode
from rqen.run.trained_network import open_any_network, read_run_recipe

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OpenDescriber:
    """A trained method of another kind, ready to see tracklets.

    Attributes:
        model: its network, or the arrays of a fitted method.
        said: its run.json.
        request: how tracklets are embedded.
    """

    model: Any
    said: dict[str, Any]
    request: EmbedRequest


@dataclass(frozen=True)
class RunDescriptions:
    """What a run says of the tracklets of a dataset.

    Attributes:
        vectors: (N, D) float32, row by row as the table of tracklets; zeros where there is none.
        present: (N,) which tracklets have one.
        own: the method's own distance.
        left_out: why a tracklet that was asked for has none; empty where each has one.
        facts: what a file of embeddings says of itself.
    """

    vectors: NDArray[np.float32]
    present: NDArray[np.bool_]
    own: TrackletDistance | None
    left_out: str
    facts: EmbeddingFacts


def open_describer(run: Path, n_workers: int = 1, *, on_gpu: bool = True) -> OpenDescriber:
    """The model of a complete run.

    Args:
        on_gpu: whether a network is put on a GPU where there is one.

    Errors: LpwError for a run that is not complete, MismatchError for a damaged one."""
    said = run_folder.read_run(run)
    recipe, mode = read_run_recipe(said), Mode(**said["mode"])
    data = recipe.data
    options = SetEmbedOptions(data.height, data.width, n_workers=n_workers, mode=Mode(
        "float32", mode.channels_last, {},
    ))  # fmt: skip
    request = EmbedRequest(said["method"], recipe, options)
    if isinstance(request.spec, FittedMethod):
        state, said = run_folder.read_model(run)
        arrays = {name: value.numpy() for name, value in state.model.items()}
        return OpenDescriber(arrays, said, request)
    network, said = open_any_network(run)
    device = torch.device("cuda" if on_gpu and torch.cuda.is_available() else "cpu")
    return OpenDescriber(options.mode.prepare(network.to(device)), said, request)


def describe_dataset(
    run: Path, index: TrackletIndex, rows: Ints, n_workers: int, announce: Announce | None
) -> RunDescriptions:
    """Embeds the tracklets `rows` (ascending) with the run. Errors: as `open_describer` and
    `describe_tracklets`."""
    opened = open_describer(run, n_workers)
    request, model = opened.request, opened.model
    if announce is not None:
        announce(estimate_describing(model, index, rows, request))
    found = describe_tracklets(model, index, rows, request)
    left_out, method = "", request.method
    if not found.present[rows].all():
        n_frames = request.spec.needs.min_test_frames
        left_out = f"{method} cannot describe them; it needs {n_frames} frames or more"
    own = open_own_distance(model, found, request)
    facts = describe_source(run, opened, index.dataset)
    return RunDescriptions(found.vectors, found.present, own, left_out, facts)


def describe_source(run: Path, opened: OpenDescriber, dataset: Dataset) -> EmbeddingFacts:
    """What a file of embeddings says of itself."""
    recipe, spec = opened.request.recipe, opened.request.spec
    model = f"{opened.request.method}-{recipe.name}"
    model += "" if isinstance(spec, FittedMethod) else f"-{recipe.model.backbone}"
    digest, seen = str(dataset.manifest["digest"]), find_seen_persons(run, dataset)
    metric = "cosine" if spec.metric == "own" else spec.metric
    sha256 = opened.said["model_sha256"]
    return EmbeddingFacts(model, sha256, digest, spec.frames_used, seen, metric)
