"""Helpers that protocols share: the rows of a dataset's splits, default queries, and checks."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import JUNK, PERSON, read_labels, read_timed_labels
from lpw_toolkit.dataset.schema import SUBSETS
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.evaluation.protocol import QueryGallerySplit
from lpw_toolkit.splits.draw import refuse_nameless
from lpw_toolkit.splits.roles import CROSS, NEEDS, Rule, find_queries

Ints = NDArray[np.int64]
NOBODY: Ints = np.zeros(0, dtype=np.int64)


def read_trials(dataset: Dataset) -> list[QueryGallerySplit]:
    """The splits of `dataset`, in order of their numbers, as rows of its table of tracklets
    (ascending).

    Errors: LpwError for a dataset without splits, MismatchError where splits and tracklets
    disagree.
    """
    if dataset.splits is None:
        raise refuse_unsplit(dataset)
    rows = _find_rows(dataset, dataset.splits)
    numbers, subsets = to_numpy(dataset.splits, "split"), to_numpy(dataset.splits, "subset")
    trials = []
    for split in np.unique(numbers):
        parts = {name: np.unique(rows[(numbers == split) & (subsets == name)]) for name in SUBSETS}
        trials.append(QueryGallerySplit(int(split), **parts))
    for trial in trials:
        _check_trial(dataset, trial)
    return trials


def refuse_unsplit(dataset: Dataset) -> LpwError:
    """The error for a dataset without splits: it says what is to be done first."""
    refuse_nameless(dataset.tracklets, dataset.name)
    do = f"divide its persons with `lpw split {dataset.root.name}`"
    return LpwError(dataset.name, "a dataset without splits", "splits.parquet", do)


def _find_rows(dataset: Dataset, splits: pa.Table) -> Ints:
    file, do = dataset.root / "splits.parquet", "import the dataset again"
    if not splits.num_rows:
        raise MismatchError(file, "no rows", "at least one split", do)
    unknown = sorted(set(splits["subset"].unique().to_pylist()) - set(SUBSETS))
    if unknown:
        raise MismatchError(file, f"subset {unknown[0]!r}", ", ".join(SUBSETS), do)
    rows = pc.index_in(splits["tracklet_id"], dataset.tracklets["tracklet_id"])
    if rows.null_count:
        strange = splits["tracklet_id"].filter(pc.is_null(rows))
        got = f"{len(strange)} tracklets that the dataset does not have ({strange[0]})"
        raise MismatchError(file, got, "tracklets of tracklets.parquet", do)
    grouped = splits.group_by(["split", "subset", "tracklet_id"]).aggregate([([], "count_all")])
    doubles = grouped.filter(pc.greater(grouped["count_all"], 1))
    if doubles.num_rows:
        first = doubles.slice(0, 1).to_pylist()[0]
        got = (
            f"{doubles.num_rows} doubles (split {first['split']}, {first['subset']}, "
            f"{first['tracklet_id']})"
        )
        raise MismatchError(file, got, "each tracklet once in a subset", do)
    return rows.to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _check_trial(dataset: Dataset, trial: QueryGallerySplit) -> None:
    thing = f"{dataset.name}, split {trial.split}"
    do = "import the dataset again with all its folders"
    for name, rows in (("query", trial.query), ("gallery", trial.gallery)):
        if not len(rows):
            raise LpwError(thing, f"an empty {name}", "query tracklets and gallery tracklets", do)
    nameless = trial.query[read_labels(dataset.tracklets).person[trial.query] < 0]
    if len(nameless):
        name = dataset.tracklets["tracklet_id"][int(nameless[0])]
        got = f"{len(nameless)} queries without a person ({name})"
        raise LpwError(thing, got, "a person_id for every query", do)


def require_cameras(
    dataset: Dataset,
    trials: list[QueryGallerySplit],
    *,
    query: Iterable[str],
    gallery: Iterable[str],
) -> None:
    """Errors: LpwError where a query or a gallery item is by a camera that has another part in
    this protocol."""
    cameras = to_numpy(dataset.tracklets, "camera_id")
    for name, allowed in (("query", set(query)), ("gallery", set(gallery))):
        rows = np.unique(np.concatenate([getattr(trial, name) for trial in trials]))
        odd = sorted(set(cameras[rows]) - allowed)
        if odd:
            thing = f"{dataset.name}, cameras of the {name}"
            raise LpwError(
                thing,
                ", ".join(odd[:4]),
                ", ".join(sorted(allowed)),
                "choose the protocol of this dataset",
            )


def require_shared_cameras(dataset: Dataset, trials: list[QueryGallerySplit]) -> None:
    """Errors: LpwError where queries and gallery share no camera: no published rule has
    such queries in its gallery."""
    cameras = to_numpy(dataset.tracklets, "camera_id")
    for trial in trials:
        if not set(cameras[trial.query]) & set(cameras[trial.gallery]):
            got = "queries and gallery by different cameras"
            do = "choose the protocol of this dataset, or market"
            raise LpwError(
                f"{dataset.name}, split {trial.split}", got, "cameras that are in both", do
            )


def join_queries(trial: QueryGallerySplit) -> QueryGallerySplit:
    """`trial` with its queries in the gallery."""
    return replace(trial, gallery=np.union1d(trial.query, trial.gallery))


def drop_queries(trial: QueryGallerySplit) -> QueryGallerySplit:
    """`trial` with its queries out of the gallery."""
    return replace(trial, gallery=np.setdiff1d(trial.gallery, trial.query))


def drop_junk(dataset: Dataset, trial: QueryGallerySplit) -> QueryGallerySplit:
    """`trial` with no tracklet of kind junk in the gallery."""
    kind = read_labels(dataset.tracklets).kind
    return replace(trial, gallery=trial.gallery[kind[trial.gallery] != JUNK])


def list_trials(dataset: Dataset, rule: Rule = CROSS) -> list[QueryGallerySplit]:
    """The dataset's splits, or one trial over all of it (`pose_trial`). Errors: LpwError that says
    what is missing."""
    return [pose_trial(dataset, rule)] if dataset.splits is None else read_trials(dataset)


def pose_trial(dataset: Dataset, rule: Rule = CROSS) -> QueryGallerySplit:
    """One trial over a whole dataset: the first tracklet of each person in each camera is a
    query, all are the gallery.

    First is by row of the table of tracklets. Persons without a right answer by `rule` are in the
    gallery, as wrong matches, and not among the queries. Tracklets of kind person without a
    person_id stay out: it is unknown whether they are relevant.

    Errors: LpwError that says what is missing.
    """
    if rule == CROSS:
        require_identities(dataset)
    labels = read_timed_labels(dataset.tracklets, dataset.manifest.get("sources", []))
    named = np.flatnonzero((labels.kind == PERSON) & (labels.person >= 0))
    query = find_queries(labels, named, rule)
    if not len(query):
        n = len(np.unique(labels.person[named]))
        if rule == CROSS:
            got = f"{n} persons, each seen by one camera only"
            do = "give the same person_id to the same person in another camera"
        else:
            got = f"{n} persons, none {NEEDS[rule]}"
            do = "give the same person_id to the tracklets of one person"
        raise LpwError(f"{dataset.name}, column person_id", got, f"persons {NEEDS[rule]}", do)
    return QueryGallerySplit(
        0, NOBODY, query, np.union1d(named, np.flatnonzero(labels.kind != PERSON))
    )


def require_persons(dataset: Dataset) -> None:
    """Errors: LpwError for a dataset without tracklets, or without persons."""
    if not dataset.tracklets.num_rows:
        raise LpwError(
            dataset.name, "no tracklets", "a dataset with persons", "choose another dataset"
        )
    refuse_nameless(dataset.tracklets, dataset.name)


def require_identities(dataset: Dataset) -> None:
    """Errors: LpwError that says what is missing to look for persons across cameras: tracklets,
    persons or cameras."""
    require_persons(dataset)
    cameras = dataset.tracklets["camera_id"].unique().to_pylist()
    if len(cameras) == 1:
        got, expected = f"one camera ({cameras[0]})", "two cameras or more"
        do = (
            "test it with --protocol within_camera, or build it from videos whose folders name "
            "their cameras (scene/view)"
        )
        raise LpwError(f"{dataset.name}, column camera_id", got, expected, do)


def join_splits(dataset: Dataset) -> QueryGallerySplit | None:
    """One trial over every tracklet of the splits, training ones among them; None where cameras
    have no fixed parts.

    Cameras have fixed parts where those of the queries are not those of the gallery, and
    every tracklet of the splits is by one of them.
    """
    trials = read_trials(dataset)
    cameras = to_numpy(dataset.tracklets, "camera_id")
    everyone = np.unique(
        np.concatenate([np.concatenate([t.train, t.query, t.gallery]) for t in trials])
    )
    query_cameras, gallery_cameras = (
        set(cameras[np.concatenate([getattr(t, part) for t in trials])].tolist())
        for part in ("query", "gallery")
    )
    if (
        query_cameras & gallery_cameras
        or set(cameras[everyone].tolist()) - query_cameras - gallery_cameras
    ):
        return None
    is_query = np.isin(cameras[everyone].astype(str), sorted(query_cameras))
    named = read_labels(dataset.tracklets).person[everyone] >= 0
    return QueryGallerySplit(0, NOBODY, everyone[is_query & named], everyone[~is_query])
