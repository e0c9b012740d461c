"""Finds the splits of a dataset on which a run may be tested, and the test persons it has trained
on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.protocol import QueryGallerySplit, open_protocol
from rqen.run import run_folder

#: Said beside the figures of a run that an older version trained.
UNBOUND = (
    "run.json and the weights of this run are of an older version: they do not vouch for each other"
)


def choose_trials(
    run: Path, dataset: Dataset, protocol: str, splits: Sequence[int] | None, *, asked: bool
) -> list[QueryGallerySplit]:
    """The trials of a protocol that a run is tested on.

    On the dataset that it was trained on, only its own split is allowed: persons who are tested in
    split 3 train in split 0. On any other dataset it is every split, or those asked for.

    Args:
        splits: numbers of the splits that are asked for; None is all.
        asked: whether the user gave `splits`; otherwise they are ignored.

    Errors: LpwError for no run, a dataset that the protocol does not fit, and splits that are not
    there or not the run's.
    """
    said = run_folder.read_run(run)
    trials = {trial.split: trial for trial in open_protocol(protocol).trials(dataset)}
    own = int(-1 if said.get("split") is None else said["split"])
    is_own = own in trials and len(trials) > 1 and _is_trained_on(said, dataset)
    wanted = list(splits) if asked and splits is not None else list(trials)
    if is_own and not asked:
        wanted = [own]
    if is_own and wanted != [own]:
        got = f"{name_splits(wanted)} for a run that trained on split {own} of {dataset.name}"
        expected = f"split {own}: of the others it has seen the persons"
        raise LpwError(
            "option --split", got, expected, "leave it out, or evaluate the run of each split"
        )
    missing = [number for number in wanted if number not in trials]
    if missing:
        expected = f"one of {', '.join(map(str, trials))}, or all"
        raise LpwError(
            "option --split", name_splits(missing), expected, "choose a split that is there"
        )
    return [trials[number] for number in wanted]


def name_splits(numbers: Sequence[int]) -> str:
    """`split 3`, or `splits 0, 1, 2`."""
    return f"split{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"


def list_rows(trials: Sequence[QueryGallerySplit]) -> NDArray[np.int64]:
    """Rows (ascending) of the table of tracklets that ask or answer in any of the trials."""
    return np.unique(
        np.concatenate([rows for trial in trials for rows in (trial.query, trial.gallery)])
    )


def note_training(run: Path, dataset: Dataset, trials: Sequence[QueryGallerySplit]) -> list[str]:
    """What a reader of the figures must know of the run: how many queries show persons that it has
    trained on."""
    said = run_folder.read_run(run)
    notes = [] if "model_sha256" in said else [UNBOUND]
    if not _is_trained_on(said, dataset):
        return notes
    query = np.unique(np.concatenate([trial.query for trial in trials]))
    seen = pa.array([*said["persons"], *said.get("validation", [])], pa.string())
    n_seen = (
        pc.sum(pc.is_in(dataset.tracklets["person_id"].take(pa.array(query)), seen)).as_py() or 0
    )
    if not n_seen:
        return notes
    own = "every named tracklet" if said.get("split") is None else f"split {said['split']}"
    return [
        *notes,
        (
            f"{n_seen:,} of {len(query):,} queries show persons that the run trained on ({own}): "
            f"no "
            f"test of it"
        ),
    ]


def _is_trained_on(said: dict[str, Any], dataset: Dataset) -> bool:
    return bool(said["dataset_digest"] == dataset.manifest["digest"])
