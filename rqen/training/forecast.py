"""How long a training will take and what it will write, from a few steps on a copy of the
network."""

import os
import time
from collections.abc import Callable

from torch import nn

from lpw_toolkit.files.estimate import Clock, Estimate, time_steps
from rqen.recipe import Recipe
from rqen.training.job import TrainJob

#: A forward pass in training, with its backward pass, costs that many forward passes alone.
PASSES_PER_STEP = 3
_LOG_FILES = 4  # run.json, log.jsonl, log.csv, curve.png
_LOG_BYTES = 100_000


def estimate_training(
    job: TrainJob,
    network: nn.Module,
    read: Callable[[], object],
    step: Callable[[], object],
    done: int,
    n_held_out: int,
    clock: Clock = time.perf_counter,
) -> Estimate:
    """What a training will cost from here.

    Args:
        network: whose weights are written.
        read: makes a batch as the loader does.
        step: one step of the optimiser, on a copy.
        done: steps done before.
        n_held_out: images that are embedded for each validation.
    """
    recipe = job.recipe
    n_steps = recipe.train.iterations - done
    compute_s = time_steps(step, n_steps, clock)
    read_s = time_steps(read, n_steps, clock)
    every = recipe.train.validate_every
    n_rankings = (n_steps // every if every else 0) + 1 if n_held_out else 0
    image_s = compute_s / max(n_steps, 1) / count_images(recipe) / PASSES_PER_STEP
    is_cpu = next(network.parameters()).device.type == "cpu"
    seconds = n_rankings * n_held_out * image_s
    if is_cpu or not job.n_workers:  # reading takes its share of the same processors
        seconds += compute_s + read_s / (os.cpu_count() or 1 if job.n_workers else 1)
    else:
        seconds += max(compute_s, read_s / job.n_workers)
    basis = f"a trial of its steps, {n_steps:,} of which are to come"
    n_bytes = _count_bytes(recipe, network, validates=n_held_out > 0)
    return Estimate("train", seconds, 2 + _LOG_FILES, n_bytes, basis)


def count_images(recipe: Recipe) -> int:
    """Images in a batch of one process."""
    return recipe.data.n_images


def _count_bytes(recipe: Recipe, network: nn.Module, *, validates: bool) -> int:
    """Of the weights that are kept, the last checkpoint with the optimiser's state and the best
    weights, and the log."""
    weights = sum(v.numel() * v.element_size() for v in network.state_dict().values())
    trained = sum(p.numel() * p.element_size() for p in network.parameters())
    states = {"adam": 2, "sgd": 1}[recipe.optim.kind]
    return weights * (2 + validates) + states * trained + _LOG_BYTES
