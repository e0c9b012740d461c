"""The corruption study: makes corrupted training and test sets, evaluates each run on them, and
finds the best.

dataset --make_corrupted_sets--> train, test01, test02, …, each with a mask beside it
run     --evaluate_run--> StudyResult: hits of every query on the clean and corrupted test sets
results --measure_leads--> differences of rank-1 and mAP, with intervals over persons
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.evaluation.bootstrap import Lead, measure_lead
from lpw_toolkit.evaluation.trials import read_trials
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import is_folder
from rqen.corruption.evaluate import compare_scores, rank_by_each_camera
from rqen.corruption.inject import inject_corruption, read_mask
from rqen.corruption.plan import CorruptionConfig
from rqen.inference.run_vectors import ScoringOptions, embed_run
from rqen.inference.test_splits import find_seen_persons
from rqen.run.run_folder import read_run

Ints = NDArray[np.int64]
#: Seed of the training set; test sets have the seeds 1, 2, …
TRAIN_SEED = 1000
_CLEAN, _CORRUPTED = slice(1), slice(1, None)
#: Of a study result: the figure, the array that holds it, and the test sets that it is a mean of.
_FIGURES = {
    "rank1": ("hit", _CORRUPTED),
    "map": ("precision", _CORRUPTED),
    "clean_rank1": ("hit", _CLEAN),
    "clean_map": ("precision", _CLEAN),
}


@dataclass(frozen=True)
class CorruptedSets:
    """The datasets of a study.

    Attributes:
        source: the clean dataset.
        train: the corrupted training set: every tracklet of `source`, with its splits.
        tests: K corrupted test sets.
        rows: (N,) rows of the table of tracklets of `source` that the test sets hold.
        noise: position and strength of the corruption, in words.
    """

    source: Path
    train: Path
    tests: list[Path]
    rows: Ints
    noise: str


@dataclass(frozen=True)
class StudyResult:
    """The hits of a run for Q queries on the clean test set and K corrupted ones.

    Attributes:
        person: (Q,) whose query it is.
        hit: (1 + K, Q) 1 where the nearest is right, else 0; the clean test set comes first.
        precision: (1 + K, Q) average precision (`step`).
        auc: how often a corrupted region scores lower than a clean one, see `compare_scores`; None
            for a method that predicts no scores.
        score_mean, score_sd: over all scores.
    """

    person: Ints
    hit: NDArray[np.float64]
    precision: NDArray[np.float32]
    auc: dict[str, dict[str, float]] | None
    score_mean: float
    score_sd: float

    def describe(self) -> dict[str, Any]:
        """The figures for a report: percent, and AUC from 0 to 1."""
        facts: dict[str, Any] = {
            name: round(100 * float(getattr(self, key)[part].mean()), 2)
            for name, (key, part) in _FIGURES.items()
        }
        if self.auc is not None:
            facts["auc"] = {
                region: {kind: round(value, 4) for kind, value in kinds.items()}
                for region, kinds in self.auc.items()
            }
            facts["score_mean_sd"] = [round(self.score_mean, 4), round(self.score_sd, 4)]
        return facts


def mask_of(dataset: Path) -> Path:
    """Where the mask of a corrupted dataset of a study is: beside it."""
    return dataset.with_name(f"{dataset.name}.mask.parquet")


def make_corrupted_sets(
    data: Path,
    out: Path,
    config: CorruptionConfig,
    *,
    n_tests: int,
    n_train_draws: int = 1,
    split: int = 0,
) -> CorruptedSets:
    """Writes `out`/train and `out`/test01, …; the same call again finds what is complete.

    Args:
        data: a dataset with splits.
        config: how regions are corrupted; its seed and number of draws are not used.
        n_tests: test sets, with the seeds 1, 2, …
        n_train_draws: how often each tracklet is in the training set.
        split: the split whose query and gallery tracklets are tested.

    Errors: LpwError for a dataset without this split, and as `inject_corruption`.
    """
    dataset = open_dataset(data)
    trials = {} if dataset.splits is None else {t.split: t for t in read_trials(dataset)}
    if split not in trials:
        expected = ", ".join(map(str, trials)) or "a dataset with splits"
        raise LpwError("option --split", str(split), expected, "choose another")
    rows = np.union1d(trials[split].query, trials[split].gallery)
    train = out / "train"
    learning = replace(config, seed=TRAIN_SEED, n_draws=n_train_draws)
    inject_corruption(data, train, mask_of(train), learning)
    tests = [out / f"test{seed:02d}" for seed in range(1, n_tests + 1)]
    for seed, test in enumerate(tests, 1):
        inject_corruption(data, test, mask_of(test), replace(config, seed=seed, n_draws=1), rows)
    return CorruptedSets(data, train, tests, rows, config.describe())


def open_corrupted_sets(data: Path, folder: Path) -> CorruptedSets:
    """What `make_corrupted_sets` wrote to `folder`.

    Errors: LpwError where there is no test set, MismatchError where `data` is not their source.
    """
    entries = list_folder(folder) if is_folder(folder) else []
    tests = [entry for entry in entries if entry.name.startswith("test") and is_folder(entry)]
    if not tests:
        do = "make it with `lpw corruption make`"
        raise LpwError(folder, "no corrupted test set", "a folder with test01", do)
    source, first = open_dataset(data), open_dataset(tests[0])
    if first.manifest["parent"]["digest"] != source.manifest["digest"]:
        got = f"test sets of another dataset ({first.manifest['parent']['name']})"
        raise MismatchError(folder, got, f"those of {source.name}", "name their source")
    tested = set(first.tracklets["tracklet_id"].to_pylist())
    names = source.tracklets["tracklet_id"].to_pylist()
    rows = np.flatnonzero([name in tested for name in names])
    return CorruptedSets(data, folder / "train", tests, rows, _describe_noise(first))


def _describe_noise(dataset: Dataset) -> str:
    """Position and strength of the corruption of a dataset, which older versions called noise."""
    settings = dataset.manifest["settings"]
    said = settings.get("corruption", settings.get("planted_noise", {}))
    names = {one.name for one in fields(CorruptionConfig)} & said.keys()
    values = {name: said[name] for name in names}
    return CorruptionConfig(**values | {"division": tuple(said["division"])}).describe()


def evaluate_run(run: Path, sets: CorruptedSets, options: ScoringOptions) -> StudyResult:
    """Embeds the clean and the corrupted test sets, and ranks each camera against the others.

    Errors: LpwError for a run that has seen persons who are tested; as `embed_run`,
    `rank_by_each_camera` and `read_mask`.
    """
    _refuse_seen(run, sets)
    clean = embed_run(run, sets.source, options, sets.rows)
    labels = read_labels(clean.dataset.tracklets).take(sets.rows)
    results, scores = [rank_by_each_camera(clean.vectors[sets.rows], labels)], []
    for test in sets.tests:
        found = embed_run(run, test, options)
        results.append(rank_by_each_camera(found.vectors, read_labels(found.dataset.tracklets)))
        scores.append(found.scores)
    people = np.array(clean.dataset.tracklets["person_id"].to_pylist())[sets.rows]
    _, person = np.unique(people[results[0].rows], return_inverse=True)
    joined = np.concatenate(scores)
    auc = None
    if clean.scored:
        masks = [read_mask(mask_of(test), open_dataset(test).frames) for test in sets.tests]
        region, kind = (np.concatenate(column) for column in zip(*masks, strict=True))
        auc = compare_scores(joined, region, kind)
    return StudyResult(
        person,
        np.stack([result.hit for result in results]),
        np.stack([result.precision for result in results]).astype(np.float32),
        auc,
        float(joined.mean()),
        float(joined.std()),
    )


def _refuse_seen(run: Path, sets: CorruptedSets) -> None:
    dataset = open_dataset(sets.source)
    tested = set(dataset.tracklets["person_id"].take(pa.array(sets.rows)).drop_null().to_pylist())
    if seen := tested & {*find_seen_persons(run, dataset)}:
        raise LpwError(
            run,
            f"a run that was trained on {len(seen)} of the {len(tested)} persons who are tested",
            "a run that has seen none of them",
            "train it on the training set that lies beside the corrupted test sets",
        )


def name_method(run: Path) -> str:
    """What a run is a run of: its method, recipe and training set; runs that differ in nothing but
    their seed have one name. Errors: LpwError for no run."""
    said = read_run(run)
    recipe = {**said["recipe"], "train": {**said["recipe"]["train"], "seed": None}}
    kept = [said[key] for key in ("method", "dataset_digest", "split")]
    return json.dumps([*kept, recipe], sort_keys=True)


def measure_leads(
    ours: Sequence[StudyResult], theirs: Sequence[StudyResult], *, n_resamples: int = 10_000
) -> dict[str, Lead]:
    """How far one method leads another, by figure (`rank1`, `map`, `clean_rank1`, `clean_map`).

    Args:
        ours, theirs: results of one method each, one for each training seed; seeds are resampled
            too, test sets are averaged.

    Errors: as `measure_lead`.
    """
    leads = {}
    for name, (key, part) in _FIGURES.items():
        mine, other = (
            np.stack([getattr(result, key)[part] for result in side]) for side in (ours, theirs)
        )
        rng = np.random.default_rng(0)
        leads[name] = measure_lead(ours[0].person, mine, other, rng, n_resamples=n_resamples)
    return leads


def describe_lead(lead: Lead) -> dict[str, Any]:
    """A lead for a report, in points of percent."""
    values = {"mean": lead.mean, "low": lead.low, "high": lead.high}
    points = {name: round(100 * value, 2) for name, value in values.items()}
    return {**points, "holds": lead.holds, "n_persons": lead.n_persons, "n_seeds": lead.n_seeds}
