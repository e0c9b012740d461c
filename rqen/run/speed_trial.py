"""Finds the fastest way to run a network on this machine: a short trial of precisions, layouts and
CUDA graphs, stored with the run."""

import copy
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lpw_toolkit.errors import LpwError
from lpw_toolkit.progress import Progress, show_progress
from rqen.recipe import TrainRecipe

_N_STEPS = 3
_CHOICES = {"auto": [False, True], "yes": [True], "no": [False]}


@dataclass(frozen=True)
class Mode:
    """How a network is run.

    Attributes:
        precision: `float32` or `bfloat16`.
        channels_last: memory layout of images and weights.
        seconds: of the trial's modes, by name; empty where nothing was tried.
        cuda_graph: whether training steps are recorded once and replayed (cuda_graph.py).
    """

    precision: str
    channels_last: bool
    seconds: dict[str, float]
    cuda_graph: bool = False

    @property
    def name(self) -> str:
        """All of it in a few words."""
        replayed = ", CUDA graph" if self.cuda_graph else ""
        return f"{self.precision}, channels {'last' if self.channels_last else 'first'}{replayed}"

    def prepare(self, network: nn.Module) -> nn.Module:
        """The network in this layout."""
        return network.to(memory_format=torch.channels_last) if self.channels_last else network

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context that a forward pass runs in."""
        enabled, keeps_casts = (
            self.precision == "bfloat16",
            not self.cuda_graph,
        )  # a graph makes its own casts
        return torch.autocast(
            device.type, torch.bfloat16, enabled=enabled, cache_enabled=keeps_casts
        )

    def to_layout(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) in this layout."""
        return (
            images.contiguous(memory_format=torch.channels_last) if self.channels_last else images
        )


MakeStep = Callable[[Any, Mode], Callable[[], object]]
#: As the network was written.
PLAIN = Mode("float32", False, {})


def list_modes(recipe: TrainRecipe, *, can_record: bool = False) -> list[Mode]:
    """The modes that the recipe allows; with CUDA graphs where steps `can_record`."""
    precisions = ["float32", "bfloat16"] if recipe.precision == "auto" else [recipe.precision]
    layouts = _CHOICES[recipe.channels_last]
    graphs = _CHOICES[recipe.cuda_graph] if can_record else [False]
    return [
        Mode(precision, layout, {}, graph)
        for precision in precisions
        for layout in layouts
        for graph in graphs
    ]


def choose_mode(modes: list[Mode], network: nn.Module, make_step: MakeStep) -> Mode:
    """The fastest of `modes`; the only one without a trial.

    Args:
        network: is not changed; the trial runs on copies.
        make_step: from a copy and a mode to the step that is timed: called once to warm up and then
            three times, of which the fastest counts.

    Errors: LpwError where no mode runs.
    """
    if len(modes) == 1:
        return modes[0]
    seconds: dict[str, float] = {}
    failures = []
    with show_progress("trial", len(modes) * (1 + _N_STEPS), "steps") as progress:
        for mode in modes:
            progress.note(mode.name)
            try:
                seconds[mode.name] = round(_time_mode(mode, network, make_step, progress), 4)
            except (RuntimeError, LpwError) as error:  # not on this processor, or with these layers
                failures.append(f"{mode.name}: {str(error).splitlines()[0]}")
            # What a copy held on a GPU: a copy and its graphs hold each other, and training needs
            # the room.
            if torch.cuda.is_initialized():
                gc.collect()
                torch.cuda.empty_cache()
    if not seconds:
        raise LpwError("precision", "; ".join(failures), "a mode that runs", "set train.precision")
    fastest = min(seconds, key=seconds.__getitem__)
    return replace(next(mode for mode in modes if mode.name == fastest), seconds=seconds)


def _time_mode(mode: Mode, network: nn.Module, make_step: MakeStep, progress: Progress) -> float:
    trial = mode.prepare(copy.deepcopy(network))
    device = next(trial.parameters()).device
    step = make_step(trial, mode)
    step()
    progress.advance()
    times = []
    for _ in range(_N_STEPS):
        wait_for(device)
        start = time.perf_counter()
        step()
        wait_for(device)
        times.append(time.perf_counter() - start)
        progress.advance()
    return min(times)


def wait_for(device: torch.device) -> None:
    """Returns when the device has finished; a GPU runs asynchronously."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
