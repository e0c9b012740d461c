"""A run's folder: what it was asked, where it stands, what it logged. A stopped run goes on from it, to the same end.

    runs/NAME/
      run.json                  method, recipe, dataset, split, persons, weights it started from, versions, precision
      checkpoint.safetensors    weights and the optimiser's state after some iteration: the point to go on from; with
                                a validation set also the best weights until then
      model.safetensors         the weights that are kept; its presence means that the run is complete
      log.jsonl, log.csv        one line per logged step, up to the checkpoint
      curve.png                 losses, figures of those held out, learning rate
      tensorboard/              the log once more, where it was asked for

Everything is published whole; nothing is ever unpickled.
"""

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.opening import parse_json, read_bytes
from lpw_toolkit.files.writing import describe_os_error, publish_bytes, publish_text
from lpw_toolkit.tensor_file import parse_tensors

RUN, CHECKPOINT, MODEL = "run.json", "checkpoint.safetensors", "model.safetensors"
_MODEL, _OPTIMISER, _BEST = "model.", "optimiser.", "best."
_MAX_JSON_BYTES = 64 << 20


@dataclass
class State:
    """Where a run stands.

    Attributes:
        iteration: steps done.
        model: weights by name.
        optimiser: tensors of the optimiser by `group.parameter.name`; empty in `model.safetensors`.
        best: the weights that were best on a validation set until then; empty without one.
        best_at: their iteration, and their figures.
    """

    iteration: int
    model: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    best: dict[str, Tensor] = field(default_factory=dict)
    best_at: dict[str, float] = field(default_factory=dict)


def write_run(folder: Path, facts: dict[str, Any]) -> None:
    """Publishes run.json. Errors: OSError."""
    publish_text(folder / RUN, json.dumps(facts, indent=1, sort_keys=True) + "\n")


def read_run(folder: Path) -> dict[str, Any]:
    """What run.json says. Errors: LpwError where there is no run, MismatchError for a damaged one."""
    file = folder / RUN
    if not file.is_file():
        raise LpwError(folder, "a folder without run.json", "a run made by `lpw train`", "name the folder of a run")
    try:
        if file.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError("too large")
        facts = json.loads(file.read_text("utf-8"))
        _check_facts(facts)
    except OSError as error:
        raise MismatchError(file, describe_os_error(error), "a readable file", "check its rights") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise MismatchError(file, f"a damaged file ({error})", "run.json as lpw wrote it", "train again") from error
    return facts


def _check_facts(facts: Any) -> None:
    """Errors: TypeError that names the first key that is missing or of another kind."""
    kinds = {"method": str, "recipe": dict, "mode": dict, "persons": list, "digest": str, "dataset_digest": str}
    kinds |= {"recipe.name": str}
    for name, kind in kinds.items():
        value = facts
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, kind):
            raise TypeError(f"no {name}")


def write_state(file: Path, state: State, digest: str) -> None:
    """Publishes weights and optimiser. `digest` is that of the run's settings. Errors: OSError."""
    tensors = {_MODEL + name: value for name, value in state.model.items()}
    tensors |= {_OPTIMISER + name: value for name, value in state.optimiser.items()}
    tensors |= {_BEST + name: value for name, value in state.best.items()}
    facts = {"iteration": str(state.iteration), "digest": digest, "best_at": json.dumps(state.best_at)}
    publish_bytes(file, save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, facts))


def read_state(file: Path, digest: str | None = None) -> State:
    """What `write_state` wrote.

    Errors: MismatchError for a damaged file, or one of other settings than `digest`.
    """
    try:
        data = read_bytes(file, "weights_bytes")
    except OSError as error:
        raise MismatchError(file, describe_os_error(error), "a readable checkpoint", "check the file") from error
    return parse_state(file, data, digest)


def parse_state(file: Path, data: bytes, digest: str | None = None) -> State:
    """`read_state` of the bytes of `file`. Errors: MismatchError as there."""
    do = "remove it to start again"
    try:
        tensors, facts = parse_tensors(data)
        iteration, best_at = int(facts["iteration"]), parse_json(facts.get("best_at", "{}"))
        _check_state(tensors, iteration, best_at)
    except (KeyError, ValueError) as error:
        raise MismatchError(file, f"a damaged file ({error})", "a whole checkpoint", do) from error
    if digest is not None and facts.get("digest") != digest:
        raise MismatchError(file, "a checkpoint of other settings", "the ones in run.json", "choose another --out")
    model, optimiser, best = (
        {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        for prefix in (_MODEL, _OPTIMISER, _BEST)
    )
    return State(iteration, model, optimiser, best, best_at)


def _check_state(tensors: dict[str, Tensor], iteration: int, best_at: Any) -> None:
    """Errors: ValueError for what `write_state` does not write, and for weights that are not finite."""
    if iteration < 0:
        raise ValueError(f"iteration {iteration}")
    if not isinstance(best_at, dict) or not all(type(value) in (int, float) for value in best_at.values()):
        raise ValueError("figures that are none")
    for name, value in tensors.items():
        if not name.startswith((_MODEL, _OPTIMISER, _BEST)):
            raise ValueError(f"an unknown tensor {name[:80]!r}")
        if not name.startswith(_OPTIMISER) and not bool(value.isfinite().all()):
            raise ValueError(f"NaN or infinite values in {name[:80]!r}")


def flatten_optimiser(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of every parameter, by its number and the name of the value."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
    """Puts back what `flatten_optimiser` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def write_log(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Publishes log.jsonl and log.csv. Errors: OSError."""
    publish_text(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    publish_text(folder / "log.csv", text.getvalue())


def read_log(folder: Path, until: int) -> list[dict[str, Any]]:
    """The rows of log.jsonl up to iteration `until`; what cannot be read is left out."""
    rows = []
    if (folder / "log.jsonl").is_file():
        for line in (folder / "log.jsonl").read_text("utf-8", "replace").splitlines():
            try:
                row = json.loads(line)
                rows += [row] if row["iteration"] <= until else []
            except (ValueError, TypeError, KeyError):
                continue
    return rows


def compare_settings(old: Any, new: Any, name: str = "") -> list[str]:
    """One line for each value that differs, such as `recipe.optim.lr: 0.1 then, 0.2 now`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [
            line for key in keys for line in compare_settings(old.get(key), new.get(key), f"{name}.{key}".strip("."))
        ]
    return [] if old == new else [f"{name}: {old} then, {new} now"]
