"""Runs the rows one by one: train if needed, embed, rank, write. Finished rows are not repeated."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.embedding.embeddings import Embeddings, read_embeddings
from lpw_toolkit.embedding.onnx_embed import embed_dataset
from lpw_toolkit.embedding.onnx_embedder import EmbedOptions, open_embedder
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.evaluate import Evaluation, evaluate
from lpw_toolkit.evaluation.protocol import open_protocol
from lpw_toolkit.files.writing import make_folder
from rqen.inference.run_vectors import (
    RunVectors,
    ScoringOptions,
    cut_region,
    embed_run,
    make_embeddings,
    shorten_regions,
)
from rqen.reproduce.plan import PlannedTraining, ReproducePlan, WorkItem
from rqen.reproduce.record import Record, read_records, write_record
from rqen.reproduce.spread import describe_queries
from rqen.run import run_folder
from rqen.training.distributed import ProcessGroup
from rqen.training.job import TrainJob
from rqen.training.train import train

_REGIONS = ("RU", "RM", "RL")


@dataclass(frozen=True)
class WorkOptions:
    """What moves no figure beyond rounding.

    Attributes:
        scoring: how datasets go through networks.
        download: whether a `timm:` backbone may fetch its weights itself, without a pinned digest.
        n_workers: processes that make batches ahead.
    """

    scoring: ScoringOptions = field(default_factory=ScoringOptions)
    download: bool = False
    n_workers: int = 1


def run_plan(
    plan: ReproducePlan,
    team: ProcessGroup,
    options: WorkOptions,
    report: Callable[[WorkItem, Record], None],
) -> dict[str, Record]:
    """Runs what is missing, in order; the results by the items' names.

    Args:
        report: called with each row when it is finished; not with those that existed already.

    Errors: LpwError where several processes were started, where a result or run that is there has
    other settings, and as training, embedding and evaluation say. What is published stays; a signal
    ends it after the step under way.
    """
    if not team.is_alone:
        do = (
            "train under torchrun by `lpw train`, into the folder's runs/, and reproduce with "
            "one "
            "process"
        )
        raise LpwError("processes", str(team.share.n), "one", do)
    found = read_records(plan.request.out, plan.items)
    worker = Worker(plan, team, options)
    for item in plan.items:
        if item.name not in found:
            found[item.name] = worker.run(item)
            write_record(plan.request.out, item, found[item.name])
            report(item, found[item.name])
    return found


class Worker:
    """Runs items; the vectors of the latest run are kept, because its regions come next."""

    def __init__(self, plan: ReproducePlan, team: ProcessGroup, options: WorkOptions) -> None:
        self._plan, self._team, self._options = plan, team, options
        self._key: tuple[Any, ...] = ()
        self._found: RunVectors | None = None

    def run(self, item: WorkItem) -> Record:
        """The result of an item. Errors: see `run_plan`."""
        seconds: dict[str, float | None] = {"train": None, "embed": None}
        if item.training is None:
            embeddings, dataset, facts = self._embed_onnx(item, seconds)
        else:
            embeddings, dataset, facts = self._embed_run(item, item.training, seconds)
        begin = time.perf_counter()
        settings = item.row.settings
        evaluation = evaluate(dataset, embeddings, item.protocol, settings, splits=[item.split])
        described = describe_evaluation(evaluation)
        seconds["evaluate"] = _since(begin)
        told = {
            "row": item.row.name,
            "label": item.row.label,
            "seed": item.seed,
            "split": item.split,
        }
        return {**told, "config": item.config, **facts, **described, "seconds": seconds}

    def _embed_run(
        self, item: WorkItem, training: PlannedTraining, seconds: dict[str, float | None]
    ) -> tuple[Embeddings, Dataset, dict[str, Any]]:
        folder = self._train(training, seconds)
        begin = time.perf_counter()
        key = (training.name, item.test, training.split is None or item.split)
        if self._found is None or self._key != key:
            rows = self._list_rows(item, everything=training.split is None)
            self._found, self._key = embed_run(folder, item.test, self._options.scoring, rows), key
            seconds["embed"] = _since(begin)
        said = run_folder.read_run(folder)
        facts = {
            "run": training.name,
            "run_digest": said["digest"],
            "mode": said["mode"],
            "weights": said["weights"],
        }
        if item.row.cut is None:
            return make_embeddings(self._found), self._found.dataset, facts
        names = shorten_regions(self._found.n_regions)
        if tuple(names) != _REGIONS:
            thing, got = f"row {item.row.name}", f"{len(names)} regions"
            raise LpwError(
                thing,
                got,
                "three: upper, middle, lower",
                "leave model.division as it is, or the row out",
            )
        part = f"+{names[item.row.cut]}"
        vectors = cut_region(self._found, item.row.cut)
        return make_embeddings(self._found, vectors, part=part), self._found.dataset, facts

    def _list_rows(self, item: WorkItem, *, everything: bool) -> NDArray[np.int64]:
        """The tracklets that the test needs: its own split's, or all splits' where one run is
        tested on all."""
        learns = any(row.settings.learns for row in self._plan.rows)
        trials = open_protocol(item.protocol).trials(open_dataset(item.test))
        wanted = [trial for trial in trials if everything or trial.split == item.split]
        parts = [
            part for t in wanted for part in (t.query, t.gallery, *((t.train,) if learns else ()))
        ]
        return np.unique(np.concatenate(parts))

    def _train(self, training: PlannedTraining, seconds: dict[str, float | None]) -> Path:
        """The folder of a complete run; it is trained, or resumed, where it is not complete."""
        folder = self._plan.request.out / "runs" / training.name
        start = None if training.start is None else self._train(training.start, seconds)
        if (folder / run_folder.MODEL).is_file():
            _refuse_other(folder, training)
            return folder
        options = self._options
        begin = time.perf_counter()
        job = TrainJob(
            training.data, folder, training.method, training.recipe, training.split,
            start, options.download, options.n_workers, resume=True,
        )  # fmt: skip
        train(job, self._team)
        seconds["train"] = round((seconds["train"] or 0) + _since(begin), 3)
        return folder

    def _embed_onnx(
        self, item: WorkItem, seconds: dict[str, float | None]
    ) -> tuple[Embeddings, Dataset, dict[str, Any]]:
        if item.onnx is None:
            raise LpwError(f"row {item.row.name}", "no model", "--onnx FILE", "name it")
        dataset = open_dataset(item.test)
        digests = f"{item.config['onnx_sha256'][:8]}-{item.config['test'][:8]}"
        file = make_folder(self._plan.request.out / "embeddings") / f"onnx-{digests}.parquet"
        if not file.is_file():
            begin = time.perf_counter()
            embed_dataset(
                open_index(item.test),
                open_embedder(item.onnx, EmbedOptions()),
                file,
                EmbedOptions(),
            )
            seconds["embed"] = _since(begin)
        return read_embeddings(file, dataset), dataset, {}


def _refuse_other(folder: Path, training: PlannedTraining) -> None:
    """Errors: LpwError where a complete run is of other settings than the row's."""
    said = run_folder.read_run(folder)
    said["data_digest"] = said.get(
        "data_digest", said["dataset_digest"]
    )  # older runs name the rows alone
    wanted = {
        "method": training.method,
        "recipe": training.recipe.values(),
        "data_digest": training.digest,
    }
    wanted = json.loads(json.dumps({**wanted, "split": training.split}))
    differences = run_folder.compare_settings({key: said.get(key) for key in wanted}, wanted)
    if differences:
        do = "ask for the same, or choose another --out"
        raise LpwError(
            folder, f"other settings: {'; '.join(differences)}", "the settings of the run", do
        )


def describe_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """The figures (fractions) of an evaluation of one split, and all that they rest on, as plain
    values."""
    rows = evaluation.metrics.to_pylist()
    first = rows[0]
    kept = ("model", "gallery", "junk_rule", "ap_form", "distance", "frames_used", "split_source")
    counts = ("n_query", "n_gallery", "n_skipped")
    return {
        "metrics": {row["metric"]: row["value"] for row in rows},
        "cmc": [round(float(value), 6) for value in evaluation.curve],
        **{name: first[name] for name in (*kept, *counts)},
        "notes": evaluation.notes,
        "queries": describe_queries(evaluation),
        "selection": [found.record() for found in evaluation.selections.values()],
    }


def _since(begin: float) -> float:
    return round(time.perf_counter() - begin, 3)
