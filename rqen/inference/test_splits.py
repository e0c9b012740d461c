"""Finds the splits of a dataset on which a run may be tested, and the test persons it has trained
on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.at_hand import list_relatives
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.video_prints import read_video_prints
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.protocol import QueryGallerySplit, open_protocol
from rqen.run import run_folder
from rqen.run.seen import find_seen_tracklets, open_seen

#: Said beside the figures of a run that an older version trained.
UNBOUND = (
    "run.json and the weights of this run are of an older version: they do not vouch for each other"
)
#: Said where a run does not know where in the videos its crops lie.
PLACELESS = (
    "an older version trained this run, or the one that it started from: whom it has seen is not "
    "known again in another build of the same videos"
)


def choose_trials(
    run: Path,
    dataset: Dataset,
    protocol: str,
    splits: Sequence[int] | None,
    *,
    asked: bool,
    allow_seen: bool = False,
) -> list[QueryGallerySplit]:
    """The trials of a protocol that a run is tested on.

    On the dataset that it was trained on, only its own split is allowed: persons who are tested in
    split 3 train in split 0. On any other dataset it is every split, or those asked for.

    Args:
        splits: numbers of the splits that are asked for; None is all.
        asked: whether the user gave `splits`; otherwise they are ignored.
        allow_seen: whether splits may be asked for in which persons are tested who trained.

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
    if is_own and wanted != [own] and not allow_seen:
        got = f"{name_splits(wanted)} for a run that trained on split {own} of {dataset.name}"
        expected = f"split {own}: of the others it has seen the persons"
        raise LpwError(
            "option --split",
            got,
            expected,
            "leave it out, evaluate the run of each split, or give --allow-seen to print figures "
            "that are no test",
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
    """Rows (ascending) of the table of tracklets that are query or gallery in any trial."""
    return np.unique(
        np.concatenate([rows for trial in trials for rows in (trial.query, trial.gallery)])
    )


def find_seen_persons(run: Path, dataset: Dataset) -> tuple[str, ...]:
    """The persons of `dataset` whom the run was trained on, or who chose its weights, sorted.

    On the dataset that it was trained on they are known by name. On every other one, whatever
    persons are called there, each of whom one image is among those that the run was trained on, or
    one crop is that of the same moment in another build of the same video (of runs of older
    versions: by name, in the versions that descend from one another).

    Errors: LpwError where there is no run, MismatchError for a damaged one.
    """
    said, persons = run_folder.read_run(run), dataset.tracklets["person_id"]
    trained = pa.array([*said["persons"], *said.get("validation", [])], pa.string())
    seen = open_seen(run, said)
    is_own = _is_trained_on(said, dataset)
    by_name = is_own or (
        seen.images is None
        and said["dataset_digest"] in list_relatives(dataset.root, dataset.manifest)
    )
    is_seen = pc.is_in(persons, trained).to_numpy() & by_name
    if not is_own or said.get("start_from"):
        is_seen |= find_seen_tracklets(dataset, seen)
    return tuple(sorted(set(persons.filter(pa.array(is_seen)).drop_null().to_pylist())))


def note_run(run: Path, dataset: Dataset) -> list[str]:
    """What a reader of the figures on `dataset` must know of the run. Errors: as
    `find_seen_persons`."""
    said = run_folder.read_run(run)
    notes = [] if "model_sha256" in said else [UNBOUND]
    is_known = _is_trained_on(said, dataset) and not said.get("start_from")
    if not is_known and not open_seen(run, said).knows_crops and read_video_prints(dataset):
        notes.append(PLACELESS)
    return notes


def _is_trained_on(said: dict[str, Any], dataset: Dataset) -> bool:
    return bool(said["dataset_digest"] == dataset.manifest["digest"])
