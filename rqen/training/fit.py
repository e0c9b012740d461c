"""Trains a method without gradients: `fit` makes named arrays of the training tracklets, which are
the model of the run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info

from lpw_toolkit.dataset.clip_index import TrackletIndex, open_index
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Announce, Estimate, time_steps
from lpw_toolkit.files.writing import make_folder
from lpw_toolkit.progress import show_progress
from rqen.data.clips import Clips, open_reader
from rqen.data.samplers import Pool
from rqen.model.clip import Arrays, Clip
from rqen.run import run_folder
from rqen.run.speed_trial import PLAIN
from rqen.training.distributed import ProcessGroup
from rqen.training.job import TrainJob, describe_job, list_seen, open_folder
from rqen.training.start import choose_pool
from rqen.training.validation import name_persons

_N_FILES = 4  # run.json, model.safetensors, seen_images.bin, seen_crops.bin


class _Watched(Clips):
    """Clips that tell the progress line what was read."""

    def __init__(self, told: Callable[[int], None], *clips: Any) -> None:
        super().__init__(*clips)
        self._told = told

    def __getitem__(self, place: int) -> Clip:
        clip = super().__getitem__(place)
        if get_worker_info() is None:  # in this process
            self._told(len(clip.rows))
        return clip

    def map(self, function: Callable[[Clip], Any]) -> Iterator[Any]:
        """As in `Clips`."""
        for place, made in enumerate(super().map(function)):
            if self._n_workers:
                self._told(int(np.diff(self._index.starts)[self._rows[place]]))
            yield made


def fit(job: TrainJob, team: ProcessGroup, announce: Announce | None = None) -> Path:
    """Fits, and returns the folder of the run; one that was stopped begins again.

    Errors: as `rqen.training.train.train`; LpwError for arrays that are not finite.
    """
    if team.leads:
        index = open_index(job.data)
        pool, held_out = choose_pool(job, index)
        facts = describe_job(job, index, pool, None, name_persons(index, held_out))
        before = open_folder(job, facts)
        if announce is not None:
            announce(_estimate(job, index, pool))
        if before is None:
            make_folder(job.out)
            run_folder.write_run(job.out, {**facts, "mode": vars(PLAIN)})
        if not (job.out / run_folder.MODEL).is_file():
            arrays = _fit_arrays(job, index, pool)
            model = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
            state = run_folder.TrainState(0, model, {})
            kept = {"chosen_by": "fitted", "iteration": 0}
            seen = list_seen(job, index, np.concatenate([pool.rows, held_out]))
            run_folder.complete_run(job.out, state, kept, seen)
    team.wait()
    return job.out


def _fit_arrays(job: TrainJob, index: TrackletIndex, pool: Pool) -> Arrays:
    spec, settings = job.recipe.specify(job.method), job.recipe.read_settings(job.method)
    rng = np.random.default_rng(job.recipe.train.seed)
    with show_progress("fit", None, "images") as progress:
        reader = _open_reader(job, index)
        clips = _Watched(progress.advance, index, pool.rows, reader, pool.person, job.n_workers)
        arrays: Arrays = spec.fit(clips, settings, rng)
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            do = "change its settings ([method] of the recipe), or train on more tracklets"
            raise LpwError(f"{job.method}, {name}", "NaN or infinite values", "numbers", do)
    return arrays


def _open_reader(job: TrainJob, index: TrackletIndex) -> Any:
    data, spec = job.recipe.data, job.recipe.specify(job.method)
    settings = job.recipe.read_settings(job.method)
    return open_reader(spec, index, (data.height, data.width), settings)


def forecast_fit(job: TrainJob) -> Estimate:
    """What a fit will cost; nothing is written. Errors: LpwError for a job that cannot be done."""
    index = open_index(job.data)
    return _estimate(job, index, choose_pool(job, index)[0])


def _estimate(job: TrainJob, index: TrackletIndex, pool: Pool) -> Estimate:
    """From reading one tracklet of middle length; what the method does with it comes on top."""
    counts = np.diff(index.starts)[pool.rows]
    place = int(np.argsort(counts)[len(counts) // 2])
    clips = Clips(index, pool.rows, _open_reader(job, index), pool.person)
    seconds = time_steps(lambda: clips[place], float(counts.sum()) / float(counts[place]))
    basis = f"reading one of {len(counts):,} tracklets; the fit comes on top"
    return Estimate("train", seconds, _N_FILES, 1_000_000, basis)
