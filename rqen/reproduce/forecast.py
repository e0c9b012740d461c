"""How long a table will take: each training that is missing, by a trial of its method, and each
test."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.evaluation.protocol import open_protocol
from lpw_toolkit.files.estimate import Estimate, describe_seconds
from lpw_toolkit.files.opening import is_file
from rqen.reproduce.plan import PlannedTraining, ReproducePlan, WorkItem
from rqen.reproduce.record import read_records
from rqen.run import run_folder
from rqen.run.speed_trial import Mode
from rqen.training.distributed import ProcessGroup
from rqen.training.forecast import PASSES_PER_STEP, count_images
from rqen.training.job import TrainJob
from rqen.training.train import forecast


@dataclass(frozen=True)
class RowForecast:
    """What a row that is missing will take, in seconds; its training counts at the first row that
    needs it."""

    label: str
    split: int
    seed: int
    seconds: float

    def describe(self) -> str:
        """One line for people."""
        took = describe_seconds(self.seconds)
        return f"{self.label}, split {self.split}, seed {self.seed}: about {took}"


@dataclass(frozen=True)
class TableForecast:
    """The rows that are missing, in order, and all of them together."""

    rows: tuple[RowForecast, ...]
    total: Estimate


def forecast_plan(
    plan: ReproducePlan, team: ProcessGroup, *, n_workers: int, download: bool
) -> TableForecast:
    """Tries each method once. A model in ONNX counts nothing; nothing is written.

    Errors: LpwError for a training that cannot be done.
    """
    missing = [
        item for item in plan.items if item.name not in read_records(plan.request.out, (item,))
    ]
    tried = _Tried(plan, team, n_workers, download)
    rows, n_bytes, counted = [], 0, set[str]()
    for item in missing:
        seconds = 0.0
        for training in _list_trainings(item):
            if training.name not in counted and not tried.is_done(training):
                estimate = tried.estimate(training)
                seconds, n_bytes = seconds + estimate.seconds, n_bytes + estimate.n_bytes
                counted.add(training.name)
        if item.training is not None:
            seconds += _count_test_images(item) * tried.image_s(item.training)
        rows.append(RowForecast(item.row.label, item.split, item.seed, seconds))
    basis = f"{len(tried.estimates)} trials; {len(counted)} trainings, {len(missing)} rows"
    n_files = len(missing) + 6 * len(counted)
    total = Estimate("reproduce", sum(row.seconds for row in rows), n_files, n_bytes, basis)
    return TableForecast(tuple(rows), total)


class _Tried:
    """The trials that were made: one for each method and recipe, whatever the seed and split."""

    def __init__(
        self, plan: ReproducePlan, team: ProcessGroup, n_workers: int, download: bool
    ) -> None:
        self._plan, self._team, self._n_workers, self._download = plan, team, n_workers, download
        self._mode: Mode | None = None  # the first one's, for all
        self.estimates: dict[object, Estimate] = {}

    def estimate(self, training: PlannedTraining) -> Estimate:
        recipe = replace(training.recipe, train=replace(training.recipe.train, seed=0))
        key = (training.method, recipe, training.data)
        if key not in self.estimates:
            job = TrainJob(
                training.data,
                self._folder(training),
                training.method,
                training.recipe,
                training.split,
                download=self._download,
                n_workers=self._n_workers,
            )
            self.estimates[key], self._mode = forecast(job, self._team, self._mode)
        return self.estimates[key]

    def is_done(self, training: PlannedTraining) -> bool:
        return is_file(self._folder(training) / run_folder.MODEL)

    def image_s(self, training: PlannedTraining) -> float:
        """Seconds for an image that is embedded, from the steps of the training; of a network that
        is not trained, from one step."""
        recipe = training.recipe
        train = replace(recipe.train, iterations=recipe.train.iterations or 1)
        recipe = replace(recipe, train=train)
        n_images = train.iterations * count_images(recipe)
        return self.estimate(replace(training, recipe=recipe)).seconds / n_images / PASSES_PER_STEP

    def _folder(self, training: PlannedTraining) -> Path:
        return self._plan.request.out / "runs" / training.name


def _list_trainings(item: WorkItem) -> Iterator[PlannedTraining]:
    training = item.training
    while training is not None:
        yield training
        training = training.start


def _count_test_images(item: WorkItem) -> int:
    dataset = open_dataset(item.test)
    trials = open_protocol(item.protocol).trials(dataset)
    rows = [part for t in trials if t.split == item.split for part in (t.query, t.gallery)]
    n_frames = dataset.tracklets["n_frames"].to_numpy()
    return int(n_frames[np.unique(np.concatenate(rows))].sum()) if rows else 0
