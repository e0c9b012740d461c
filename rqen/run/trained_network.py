"""The network of a finished run, opened with its weights."""

from pathlib import Path
from typing import Any

from lpw_toolkit.errors import MismatchError, join_names
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.network import SetNetwork
from rqen.run import run_folder


def open_network(run: Path) -> tuple[SetNetwork, dict[str, Any]]:
    """The trained network of a complete run, in evaluation, and its run.json. Errors: LpwError,
    MismatchError."""
    from rqen.recipe import make_recipe

    state, facts = run_folder.read_model(run)
    recipe = make_recipe(
        facts["recipe"]["name"], {k: v for k, v in facts["recipe"].items() if k != "name"}
    )
    backbone = open_backbone(
        recipe.model.backbone, BackboneOptions("random", False, recipe.model.last_stride)
    )
    size = recipe.data.height, recipe.data.width
    _refuse_other_persons(run, state, len(facts["persons"]))
    try:
        if facts.get("width") is not None:
            backbone = type(backbone)(facts["width"])
        network = SetNetwork(backbone, recipe.specify(facts["method"]), len(facts["persons"]), size)
        network.load_state_dict(state.model)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        got = f"weights that do not fit the network ({str(error).splitlines()[-1].strip()[:200]})"
        do = "train again with this version of lpw"
        raise MismatchError(run / run_folder.MODEL, got, "those of run.json", do) from error
    return network.eval(), facts


def _refuse_other_persons(run: Path, state: run_folder.TrainState, n_persons: int) -> None:
    """Errors: MismatchError where no classifier has a row a person: a network for more would be
    made first."""
    rows = {
        value.shape[0]
        for name, value in state.model.items()
        if name.startswith("main.") and value.ndim
    }
    if rows and n_persons not in rows:
        got = f"weights for {join_names(sorted(rows))} persons"
        raise MismatchError(
            run / run_folder.MODEL, got, f"the {n_persons} of run.json", "restore both from a copy"
        )
