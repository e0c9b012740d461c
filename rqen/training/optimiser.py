"""The optimiser of a recipe, and the learning-rate schedule."""

import math
from typing import Any

import numpy as np
import torch

from lpw_toolkit.errors import LpwError
from rqen.recipe import OptimRecipe

_STEP = 0x73746570  # first number of the seed of a step
_WARM_START = 0.01
_COOL_END = 1e-6  # of the learning rate at the end of the cosine


def make_optimiser(network: Any, recipe: OptimRecipe) -> torch.optim.Optimizer:
    """SGD or Adam over backbone, heads, and biases of the heads (their own rate and no decay, as in
    Caffe).

    The predictor is one of the heads, or, where it has a rate of its own, a group without decay.
    """
    inner, predictor = getattr(network, "backbone", None), getattr(network, "predictor", None)
    backbone = [p for p in inner.parameters() if p.requires_grad] if inner is not None else []
    apart = list(predictor.parameters()) if predictor and recipe.predictor_lr != 1 else []
    known = {id(p) for p in (*backbone, *apart)}
    heads = [
        (name, p)
        for name, p in network.named_parameters()
        if p.requires_grad and id(p) not in known
    ]
    weights = [p for name, p in heads if not name.endswith("bias")]
    biases = [p for name, p in heads if name.endswith("bias")]
    rate = recipe.lr * recipe.head_lr
    groups: list[dict[str, Any]] = [
        {"params": backbone, "lr": recipe.lr},
        {"params": weights, "lr": rate},
        {"params": biases, "lr": rate * recipe.bias_lr, "weight_decay": 0.0},
        {"params": apart, "lr": rate * recipe.predictor_lr, "weight_decay": 0.0},
    ]
    groups = [{**group, "base_lr": group["lr"]} for group in groups if group["params"]]
    if recipe.kind == "sgd":
        return torch.optim.SGD(groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    return torch.optim.Adam(groups, weight_decay=recipe.weight_decay)


def rate_at(iteration: int, n_iterations: int, recipe: OptimRecipe) -> float:
    """The factor of the learning rate at `iteration`, counted from 0."""
    if iteration < recipe.warmup:
        return _WARM_START + (1 - _WARM_START) * iteration / recipe.warmup
    if recipe.schedule == "step":
        return recipe.gamma ** sum(iteration >= step for step in recipe.steps)
    if recipe.schedule == "exponential":
        first = recipe.steps[0] if recipe.steps else 0
        done = max(0, iteration - first) / max(n_iterations - first, 1)
        return float(recipe.gamma**done)
    if recipe.schedule == "cosine":
        done = (iteration - recipe.warmup) / max(n_iterations - recipe.warmup, 1)
        return _COOL_END + (1 - _COOL_END) * (1 + math.cos(math.pi * done)) / 2
    return 1.0


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Gives every group its own rate times `factor`."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor


def seed_step(seed: int, iteration: int, rank: int) -> None:
    """Seeds what the network draws in one step (dropout, parts of frames): a function of the run's
    seed, the iteration and the process, so that a resumed run draws the same."""
    (number,) = np.random.SeedSequence([_STEP, seed, iteration, rank]).generate_state(1, np.uint64)
    torch.manual_seed(int(number))


def freeze_statistics(network: Any) -> None:
    """Batch normalisation of the backbone keeps its stored statistics; called after every
    `train()`."""
    backbone = getattr(network, "backbone", None)
    for module in () if backbone is None else backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def refuse_non_finite(loss: float, iteration: int) -> None:
    """Errors: LpwError for a loss that is not finite."""
    if not math.isfinite(loss):
        do = "the last checkpoint is kept: train with a smaller optim.lr, or precision float32"
        raise LpwError(f"loss at iteration {iteration}", f"{loss}", "a finite number", do)
