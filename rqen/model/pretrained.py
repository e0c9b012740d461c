"""Loads pretrained weights by name without running code from the file; unknown names are errors."""

import io
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import follow_links, is_file
from lpw_toolkit.networks.catalogue import find_entry
from lpw_toolkit.networks.fetching import FetchError
from lpw_toolkit.networks.tensor_file import parse_tensors
from lpw_toolkit.networks.torch_file import check_torch
from lpw_toolkit.networks.weights import WeightsFile, find_named, read_weights
from rqen.model.backbone import BackboneOptions

_MAX_NAMED = 4


def read_state(path: Path) -> dict[str, Tensor]:
    """`parse_state` of the file that the user names `path`. Errors: LpwError."""
    if not is_file(follow_links(path)):
        raise LpwError(
            path,
            "no such file",
            "weights (.safetensors, .pth, .pt)",
            "give the path of a weights file",
        )
    return parse_state(read_weights(path))


def parse_state(file: WeightsFile) -> dict[str, Tensor]:
    """Tensors by name from a `.safetensors` file, or from a PyTorch one by its restricted reader
    (no fallback).

    Errors: LpwError for anything else, among it a pickle that holds code, and what would take more
    memory than it has bytes.
    """
    do = "fetch it again, or convert it to .safetensors where it was made"
    if file.path.suffix != ".safetensors":
        check_torch(file, "tensors by name", do, modules=False)
    try:
        if file.path.suffix == ".safetensors":
            return parse_tensors(file.data)[0]
        state: Any = torch.load(io.BytesIO(file.data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise LpwError(
            file.path, "a file that holds more than tensors", "tensors by name", do
        ) from error
    except (
        Exception
    ) as error:  # what safetensors and torch raise on damaged files has no common class
        raise LpwError(
            file.path, f"an unreadable file ({type(error).__name__})", "whole weights", do
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(
        isinstance(value, Tensor) for value in state.values()
    ):
        raise LpwError(file.path, "no tensors by name", "a state_dict", do)
    return state


def load_state(
    module: nn.Module, state: dict[str, Tensor], path: Path, *, ignored: Iterable[str] = ()
) -> None:
    """Copies `state` into `module`; every tensor of the module must be there, and of its shape.

    Args:
        ignored: beginnings of names in `state` that the module has no place for, such as a
            classifier's.

    Errors: LpwError that names what is missing, unknown or of another shape, and for weights that
    are not finite.
    """
    own = module.state_dict()
    counters = {
        name for name in own if name.endswith("num_batches_tracked")
    }  # absent in old checkpoints
    skipped = tuple(ignored)
    state = {
        name: value for name, value in state.items() if not (skipped and name.startswith(skipped))
    }
    faults = [f"{name} missing" for name in own.keys() - state.keys() - counters]
    faults += [f"{name} unknown" for name in state.keys() - own.keys()]
    faults += [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own.keys() & state.keys()
        if state[name].shape != own[name].shape
    ]
    if faults:
        shown = ", ".join(sorted(faults)[:_MAX_NAMED]) + (
            f" and {len(faults) - _MAX_NAMED} more" * (len(faults) > _MAX_NAMED)
        )
        raise LpwError(
            path,
            shown,
            f"weights of {type(module).__name__}",
            "choose the backbone that these belong to",
        )
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise LpwError(
            path,
            "weights with NaN or infinite values",
            "finite weights",
            "fetch or train them again",
        )
    module.load_state_dict(state, strict=False)


def find_public(name: str) -> Path:
    """The public checkpoint of the backbone `name`: in PyTorch's cache, in the working folder, in
    ours, or fetched.

    Errors: LpwError that lists the ways to get it.
    """
    entry = find_entry(name, "backbone")
    if entry is not None:
        of_torch = Path(torch.hub.get_dir()) / "checkpoints" / entry.file
        if is_file(follow_links(of_torch)):
            return of_torch
    try:
        return find_named(name, "backbone").path
    except FetchError as error:
        do = f"{error.hint}, give --weights FILE, or ask for --weights random"
        raise LpwError(f"ImageNet weights of {name}", error.got, error.expected, do) from error


def start_from(
    network: nn.Module,
    name: str,
    options: BackboneOptions,
    *,
    ignored: Iterable[str] = (),
) -> None:
    """Gives the backbone `name` the weights that `options` ask for, and notes them in its
    `weights`.

    Args:
        name: of the backbone, as the catalogue of weights has it.
        ignored: as in `load_state`.

    Errors: LpwError.
    """
    if options.weights == "random":
        return
    public = options.weights == "imagenet"
    path = find_public(name) if public else Path(options.weights)
    file = read_weights(path)
    load_state(network, parse_state(file), path, ignored=ignored)
    network.weights = name_weights(file)


def name_weights(file: WeightsFile) -> str:
    """File name and the beginning of its SHA-256: what a run records of the weights that it started
    from."""
    return f"{file.path.name} {file.sha256[:12]}"
