"""A run's folder: its settings, its state, its log. A stopped run resumes from it, with the same
result.

    runs/NAME/
      run.json                  method, recipe, dataset, split, persons, starting weights, versions
      checkpoint.safetensors    weights and the optimiser's state after some iteration: where
                                `--resume` begins; with validation also the best weights so far
      model.safetensors         the weights that are kept; present: the run is complete
      seen_images.bin           which images it was trained on (seen_images.py)
      seen_crops.bin            where in the videos the crops lie that it was trained on
                                (seen_crops.py)
      log.jsonl, log.csv        one line per logged step, up to the checkpoint
      curve.png                 losses, figures of those held out, learning rate
      tensorboard/              the log once more, with --tensorboard

Everything is published whole; nothing is ever unpickled.
"""

import csv
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.limits import LimitValueError, explain_limit, limit
from lpw_toolkit.files.opening import exists, is_file, parse_json, read_bytes, read_json, read_text
from lpw_toolkit.files.writing import atomic_write, atomic_write_text, describe_os_error
from lpw_toolkit.networks.tensor_file import encode_tensors, parse_tensors
from rqen.run.seen import SEEN_KEYS, Seen, write_seen_files

RUN, CHECKPOINT, MODEL = "run.json", "checkpoint.safetensors", "model.safetensors"
_MODEL, _OPTIMISER, _BEST = "model.", "optimiser.", "best."
_RUN_DIGEST = "run_sha256"
#: Of run.json what is no setting: what the machine chose, and the result of the training.
_NOT_ASKED = ("digest", "mode", "kept", "model_sha256", *SEEN_KEYS)
_MAX_NAME_CHARS, _MAX_SPLIT = 400, 32_767


@dataclass
class TrainState:
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
    atomic_write_text(folder / RUN, json.dumps(facts, indent=1, sort_keys=True) + "\n")


def read_run(folder: Path) -> dict[str, Any]:
    """What run.json says. Errors: LpwError where there is no run, MismatchError for a damaged
    one."""
    file = folder / RUN
    if not exists(file):
        got = "a folder without run.json" if exists(folder) else "no such folder"
        raise LpwError(
            folder,
            got,
            "a run made by `lpw train`",
            "name the folder of a run",
        )
    try:
        facts = read_json(file)
        _check_facts(facts)
    except OSError as error:
        raise MismatchError(
            file, describe_os_error(error), "a readable file", "check its rights"
        ) from error
    except (ValueError, TypeError, RecursionError, OverflowError, LpwError) as error:
        got = f"a damaged file ({f'{error}'[:300]})"
        raise MismatchError(file, got, "run.json as lpw wrote it", "train again") from error
    if digest_settings(facts) != facts["digest"]:
        got = "settings that are not those of its digest"
        raise MismatchError(
            file, got, f"digest {facts['digest'][:12]}…", "restore it from a copy, or train again"
        )
    return dict(facts)


def digest_settings(facts: dict[str, Any]) -> str:
    """SHA-256 (hex) over the settings: all of run.json but what the machine chose and what
    came of it."""
    asked = {key: value for key, value in facts.items() if key not in _NOT_ASKED}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _check_facts(facts: Any) -> None:
    """What the reader of a run relies on is there, of its kind, and within `files.limits`.

    Errors: TypeError or LpwError that names the first key that is missing or of another kind;
    ValueError.
    """
    from rqen.recipe import make_recipe

    kinds = {
        "method": str,
        "recipe": dict,
        "mode": dict,
        "persons": list,
        "digest": str,
        "dataset_digest": str,
    }
    kinds |= {"recipe.name": str}
    for name, kind in kinds.items():
        value = facts
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, kind):
            raise TypeError(f"no {name}")
        if isinstance(value, str) and len(value) > _MAX_NAME_CHARS:
            raise TypeError(f"{name} of {len(value)} letters")
    for name in ("persons", "validation"):
        names = facts.get(name, [])
        if not isinstance(names, list) or not all(isinstance(person, str) for person in names):
            raise TypeError(f"{name} that are no names")
        if len(names) > limit("persons"):
            raise LimitValueError(explain_limit("persons", f"{len(names)} {name}"))
    for name, most in (("width", limit("image_side")), ("split", _MAX_SPLIT)):
        number = facts.get(name)
        if number is not None and (type(number) is not int or not 0 <= number <= most):
            raise TypeError(f"a {name} that is not a number from 0 to {most}")
    recipe = make_recipe(
        facts["recipe"]["name"], {k: v for k, v in facts["recipe"].items() if k != "name"}
    )
    recipe.specify(facts["method"])
    _check_mode(facts["mode"])


def _check_mode(mode: dict[str, Any]) -> None:
    """The mode that was used in training, as `trial.Mode` has it. Errors: TypeError."""
    kinds = {"precision": str, "channels_last": bool, "seconds": dict, "cuda_graph": bool}
    if not set(kinds) - {"cuda_graph"} <= mode.keys() <= set(kinds):
        raise TypeError("another mode")
    if any(not isinstance(value, kinds[name]) for name, value in mode.items()):
        raise TypeError("another mode")
    if mode["precision"] not in ("float32", "bfloat16"):
        raise TypeError("another precision")


def write_state(file: Path, state: TrainState, digest: str) -> None:
    """Publishes weights and optimiser. `digest` is that of the run's settings. Errors: OSError."""
    atomic_write(file, _encode_state(state, {"digest": digest}))


def _encode_state(state: TrainState, facts: dict[str, str]) -> bytes:
    tensors = {_MODEL + name: value for name, value in state.model.items()}
    tensors |= {_OPTIMISER + name: value for name, value in state.optimiser.items()}
    tensors |= {_BEST + name: value for name, value in state.best.items()}
    facts = {"iteration": str(state.iteration), "best_at": json.dumps(state.best_at), **facts}
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return encode_tensors(whole, facts)


def complete_run(
    folder: Path, state: TrainState, kept: dict[str, Any], seen: Seen | None = None
) -> None:
    """Publishes the weights that are kept, and run.json; each carries the digest of the other.
    Errors: OSError.

    Args:
        kept: which weights these are.
        seen: what the run was trained on; None where that is unknown.
    """
    facts = {**read_run(folder), "kept": kept}
    if seen is not None:
        facts |= write_seen_files(folder, seen)
    data = _encode_state(state, {"digest": facts["digest"], _RUN_DIGEST: digest_run(facts)})
    write_run(folder, {**facts, "model_sha256": hashlib.sha256(data).hexdigest()})
    atomic_write(folder / MODEL, data)


def digest_run(facts: dict[str, Any]) -> str:
    """SHA-256 (hex) over all of run.json but the digest of the weights."""
    said = {key: value for key, value in facts.items() if key != "model_sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_model(folder: Path) -> tuple[TrainState, dict[str, Any]]:
    """The weights of a complete run, and run.json with their SHA-256, once each is the one that the
    other names.

    Those of an older version name nothing; `test_splits.note_run` says so beside the figures.

    Errors: LpwError where there is no complete run, MismatchError for files that are damaged or not
    of one run.
    """
    facts, file = read_run(folder), folder / MODEL
    if not exists(file):
        raise LpwError(
            folder, "a run that is not complete", MODEL, "finish it with `lpw train … --resume`"
        )
    try:
        data = read_bytes(file, "weights_bytes")
    except OSError as error:
        raise MismatchError(
            file, describe_os_error(error), "readable weights", "check the file"
        ) from error
    found, said = hashlib.sha256(data).hexdigest(), facts.get("model_sha256")
    state, metadata = parse_state(file, data, facts["digest"])
    named = metadata.get(_RUN_DIGEST)
    do = "restore both files from a copy, or train again"
    if said not in (None, found):
        raise MismatchError(
            file, f"other weights (SHA-256 {found[:12]}…)", f"those of {RUN} ({said[:12]}…)", do
        )
    if (said is None) != (named is None) or named not in (None, digest_run(facts)):
        raise MismatchError(
            folder / RUN,
            "fields that are not those of its weights",
            "the ones written with them",
            do,
        )
    return state, {**facts, "model_sha256": found}


def read_state(file: Path, digest: str | None = None) -> TrainState:
    """What `write_state` wrote.

    Errors: MismatchError for a damaged file, or one of other settings than `digest`.
    """
    try:
        data = read_bytes(file, "weights_bytes")
    except OSError as error:
        raise MismatchError(
            file, describe_os_error(error), "a readable checkpoint", "check the file"
        ) from error
    return parse_state(file, data, digest)[0]


def parse_state(
    file: Path, data: bytes, digest: str | None = None
) -> tuple[TrainState, dict[str, str]]:
    """`read_state` of the bytes of `file`, with the metadata beside them. Errors: MismatchError as
    there."""
    do = "remove it to start again"
    try:
        tensors, facts = parse_tensors(data)
        iteration, best_at = int(facts["iteration"]), parse_json(facts.get("best_at", "{}"))
        _check_state(tensors, iteration, best_at)
    except (KeyError, ValueError) as error:
        raise MismatchError(file, f"a damaged file ({error})", "a whole checkpoint", do) from error
    if digest is not None and facts.get("digest") != digest:
        raise MismatchError(
            file, "a checkpoint of other settings", "the ones in run.json", "choose another --out"
        )
    model, optimiser, best = (
        {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }
        for prefix in (_MODEL, _OPTIMISER, _BEST)
    )
    return TrainState(iteration, model, optimiser, best, best_at), facts


def _check_state(tensors: dict[str, Tensor], iteration: int, best_at: Any) -> None:
    """Errors: ValueError for what `write_state` does not write, and for weights that are not
    finite."""
    if iteration < 0:
        raise ValueError(f"iteration {iteration}")
    if not isinstance(best_at, dict) or not all(
        type(value) in (int, float) for value in best_at.values()
    ):
        raise ValueError("figures that are not numbers")
    for name, value in tensors.items():
        if not name.startswith((_MODEL, _OPTIMISER, _BEST)):
            raise ValueError(f"an unknown tensor {name[:80]!r}")
        if not name.startswith(_OPTIMISER) and not bool(value.isfinite().all()):
            raise ValueError(f"NaN or infinite values in {name[:80]!r}")


def count_done(folder: Path) -> int:
    """Steps up to the checkpoint of a run; 0 without one. Errors: MismatchError for a damaged
    one."""
    file = folder / CHECKPOINT
    return read_state(file).iteration if is_file(file) else 0


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
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )


def write_log(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Publishes log.jsonl and log.csv. Errors: OSError."""
    atomic_write_text(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    atomic_write_text(folder / "log.csv", text.getvalue())


def read_log(folder: Path, until: int) -> list[dict[str, Any]]:
    """The rows of log.jsonl up to iteration `until`; what cannot be read is left out.

    Errors: MismatchError for a log larger than `files.limits` allow, or no readable file.
    """
    rows: list[dict[str, Any]] = []
    file = folder / "log.jsonl"
    if not is_file(file):
        return rows
    try:
        lines = read_text(file, "log_bytes", errors="replace").splitlines()
    except OSError as error:
        raise MismatchError(
            file, describe_os_error(error), "the log of a run", "remove it"
        ) from error
    most = limit("line_bytes")
    for line in lines:
        try:
            row: Any = parse_json(line) if len(line) <= most else None
            rows += [row] if row["iteration"] <= until else []
        except (ValueError, TypeError, KeyError):
            continue
    return rows


def compare_settings(old: Any, new: Any, name: str = "") -> list[str]:
    """One line for each value that differs, such as `recipe.optim.lr: 0.1 then, 0.2 now`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [
            line
            for key in keys
            for line in compare_settings(old.get(key), new.get(key), f"{name}.{key}".strip("."))
        ]
    return [] if old == new else [f"{name}: {old} then, {new} now"]
