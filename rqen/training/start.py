"""What a training begins with: the dataset, who trains and who is held out, the network, the
batches."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex, open_index
from lpw_toolkit.progress import say_once
from rqen.data.augment import Augmentation
from rqen.data.batches import Batches
from rqen.data.clips import describe_left_out, open_reader, refuse_dataset
from rqen.data.samplers import Pool, make_pool
from rqen.training.distributed import ProcessGroup
from rqen.training.job import TrainJob, build_network, choose_rows, describe_job
from rqen.training.objective import refuse_batch
from rqen.training.validation import name_persons, split_pool


@dataclass(frozen=True)
class Start:
    """What a training begins with, before its first step.

    Attributes:
        index: the dataset, opened.
        held_out: rows of the tracklets that validate.
        network: with the weights that it starts from, on its device.
        batches: of this process.
        facts: of the job, as run.json holds them.
    """

    index: TrackletIndex
    held_out: NDArray[np.int64]
    network: Any
    batches: Batches
    facts: dict[str, Any]


def choose_pool(job: TrainJob, index: TrackletIndex) -> tuple[Pool, NDArray[np.int64]]:
    """The tracklets that train, and the rows of those held out of training. Says how many are too
    short for the method.

    Errors: LpwError for a dataset from which the method cannot learn.
    """
    needs, data = job.recipe.specify(job.method).needs, job.recipe.data
    n_frames = max(needs.min_frames, data.n_frames if data.sampling == "consecutive" else 1)
    every = choose_rows(index, job.split)
    rows = refuse_dataset(job.method, replace(needs, min_frames=n_frames), index, every)
    n_short = len(every) - len(rows)
    if n_short:
        say_once(f"note: {describe_left_out(job.method, n_frames, n_short, len(every))}")
    return split_pool(index, make_pool(index.tracklets, rows), job.recipe.train)


def prepare(job: TrainJob, team: ProcessGroup) -> Start:
    """Opens and makes all of it. Errors: LpwError for a job that cannot be done."""
    recipe, data = job.recipe, job.recipe.data
    index = open_index(job.data)
    pool, held_out = choose_pool(job, index)
    method = recipe.specify(job.method)
    refuse_batch(recipe, method, pool.n_persons, team.share.n)
    torch.manual_seed(recipe.train.seed)
    network = build_network(job, pool.n_persons).to(team.device)
    facts = describe_job(job, index, pool, network, name_persons(index, held_out))
    size = data.height, data.width
    cut = None if data.input_size == size else data.input_size
    augmentation = Augmentation(data.flip, data.crop, data.erase, network.fill, cut)
    reader = open_reader(method, index, size, recipe.read_settings(job.method))
    batches = Batches(index, pool, data, augmentation, recipe.train.seed, team.share, reader)
    return Start(index, held_out, network, batches, facts)
