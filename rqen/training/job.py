"""A training job: what is trained, and the folder of its run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpw_toolkit import __version__
from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.trials import read_trials
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import exists, is_file
from lpw_toolkit.files.writing import TEMPORARY_SUFFIX
from rqen.data.samplers import Pool
from rqen.model.backbone import BackboneOptions
from rqen.model.method import describe_form
from rqen.recipe import Recipe
from rqen.run import run_folder
from rqen.run.seen import Seen, collect_seen, open_seen
from rqen.run.trained_network import make_network


@dataclass(frozen=True)
class TrainJob:
    """What is to be trained.

    Attributes:
        data: a dataset.
        out: folder of the run.
        method: a name of `rqen.model.methods`.
        recipe: everything else.
        split: number of the split whose `train` tracklets are used; None takes every named tracklet
            of the dataset.
        start_from: a run whose weights, all but the classifiers, are the start.
        download: whether a `timm:` backbone may fetch its weights itself, without a pinned digest.
        n_workers: processes that make batches ahead.
        resume: whether a run that `out` holds is resumed; otherwise it is an error. A new run
            starts either way.
        tensorboard: whether the log is also written as TensorBoard reads it.
    """

    data: Path
    out: Path
    method: str
    recipe: Recipe
    split: int | None = 0
    start_from: Path | None = None
    download: bool = False
    n_workers: int = 1
    resume: bool = False
    tensorboard: bool = False


def choose_rows(index: TrackletIndex, split: int | None) -> NDArray[np.int64]:
    """Rows of the tracklets that train. Errors: LpwError for a split that is not there."""
    if split is None:
        return np.arange(len(index))
    trials = {trial.split: trial for trial in read_trials(index.dataset)}
    if split not in trials:
        expected = f"one of {', '.join(map(str, sorted(trials)))}"
        raise LpwError("option --split", str(split), expected, "choose another")
    return trials[split].train


def build_network(job: TrainJob, n_persons: int) -> Any:
    """The network of a job, with the weights that it starts from. Errors: LpwError."""
    model = job.recipe.model
    options = BackboneOptions(model.weights, job.download, model.last_stride)
    network = make_network(job.recipe, job.method, n_persons, options)
    if job.start_from is not None:
        _start_from(network, job.start_from)
    return network


def _start_from(network: Any, run: Path) -> None:
    """Takes over everything but the classifiers, whose persons are others."""
    held, _ = run_folder.read_model(run)
    left_out = tuple(getattr(network, "classifiers", ("main.", "auxiliary.")))
    state = {n: v for n, v in held.model.items() if not n.startswith(left_out)}
    own = {n: v for n, v in network.state_dict().items() if not n.startswith(left_out)}
    odd = [n for n in own if n not in state or state[n].shape != own[n].shape]
    if odd or state.keys() - own.keys():
        got = (odd or sorted(state.keys() - own.keys()))[0]
        raise LpwError(
            run,
            f"weights that differ in {got}",
            "the same method and backbone",
            "choose another run",
        )
    network.load_state_dict(state, strict=False)


def list_seen(job: TrainJob, index: TrackletIndex, rows: NDArray[np.int64]) -> Seen:
    """What a run has seen when it ends, with all that the run has seen that it starts from.

    Args:
        rows: of the tracklets that train, or choose the weights that are kept.
    """
    run, before = job.start_from, None
    if run is not None:
        before = open_seen(run, run_folder.read_run(run))
    return collect_seen(index.dataset, rows, before)


def describe_job(
    job: TrainJob,
    index: TrackletIndex,
    pool: Pool,
    network: Any,
    held_out: Sequence[str] = (),
) -> dict[str, Any]:
    """What run.json holds, but for what the machine chooses; the digest is over all of it.

    Args:
        network: None for a method that has none.
        held_out: persons of the split who do not train, but choose the weights that are kept.
    """
    people = index.tracklets["person_id"].to_pylist()
    persons = [people[int(pool.rows[places[0]])] for places in pool.members]
    facts: dict[str, Any] = {
        "tool": f"lpw-toolkit {__version__}",
        "method": job.method,
        "recipe": job.recipe.values(),
        "dataset": index.dataset.name,
        "dataset_digest": index.dataset.manifest["digest"],  # of its rows: whose persons these are
        # of all that was verified when it was opened, splits among it
        "data_digest": index.dataset.digest,
        "split": job.split,
        "persons": persons,
        "validation": list(held_out),
        "n_tracklets": len(pool.rows),
        "weights": "none" if network is None else network.weights,
        "width": getattr(getattr(network, "backbone", None), "width", None),
        "start_from": None
        if job.start_from is None
        else run_folder.read_run(job.start_from)["digest"],
        "torch": torch.__version__,
        **describe_form(job.recipe.specify(job.method)),
    }
    facts = json.loads(json.dumps(facts))
    return {**facts, "digest": run_folder.digest_settings(facts)}


def open_folder(job: TrainJob, facts: dict[str, Any]) -> dict[str, Any] | None:
    """Opens the folder of a run to resume, and returns its run.json; None for a new run, whose
    folder is not there yet.

    Errors: LpwError for a folder that holds something else, a run of other settings (they are
    listed), or a run that is not to be resumed.
    """
    out = job.out
    if not is_file(out / run_folder.RUN):
        if exists(out) and any(
            not entry.name.endswith(TEMPORARY_SUFFIX) for entry in list_folder(out)
        ):
            raise LpwError(
                out, "a folder with other things", "a new or empty folder", "choose another --out"
            )
        return None
    if not job.resume:
        do = "add --resume to resume it, or choose another --out"
        raise LpwError(out, "a run that exists already", "a new folder", do)
    before = run_folder.read_run(out)
    facts = {
        key: value for key, value in facts.items() if key != "data_digest" or key in before
    }  # older runs lack it
    differences = run_folder.compare_settings(
        {k: before.get(k) for k in facts if k != "digest"},
        {k: v for k, v in facts.items() if k != "digest"},
    )
    if differences:
        do = "ask for the same, or choose another --out"
        raise LpwError(
            out, f"other settings: {'; '.join(differences)}", "the settings of the run", do
        )
    return before
