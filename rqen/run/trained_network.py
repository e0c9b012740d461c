"""The network of a finished run, opened with its weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lpw_toolkit.errors import LpwError, MismatchError, join_names
from lpw_toolkit.progress import say_once
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.method import MethodSpec, NetworkMethod, NetworkRequest, describe_form
from rqen.model.network import SetNetwork
from rqen.recipe import Recipe, make_recipe
from rqen.run import run_folder

#: Said of a run with appended scores that an older version trained behind a neck.
UNLEARNED_SCORES = (
    "trained by an older version, in which its scores did not learn and the test left out its "
    "neck; its vectors are as they were, train it again for others"
)


def make_network(
    recipe: Recipe,
    method: str,
    n_persons: int,
    options: BackboneOptions,
    width: int | None = None,
) -> Any:
    """The network of a method under a recipe: a `SetNetwork`, or what a `NetworkMethod` builds.

    Args:
        width: of a backbone that comes in several; None: that of its weights.

    Errors: LpwError.
    """
    spec, size = recipe.specify(method), recipe.data.input_size
    if isinstance(spec, NetworkMethod):
        settings, n_frames = recipe.read_settings(method), recipe.data.n_frames
        request = NetworkRequest(
            n_persons, size, n_frames, recipe.model.backbone, options, settings
        )
        return spec.build(request)
    backbone = open_backbone(recipe.model.backbone, options)
    if width is not None:
        backbone = type(backbone)(width)
    return SetNetwork(backbone, spec, n_persons, size)


def read_run_recipe(facts: dict[str, Any]) -> Recipe:
    """The recipe that run.json holds. Errors: LpwError."""
    values = {key: value for key, value in facts["recipe"].items() if key != "name"}
    return make_recipe(facts["recipe"]["name"], values)


def open_network(run: Path) -> tuple[SetNetwork, dict[str, Any]]:
    """The trained network of a complete run of RQEN's family, in evaluation, and its run.json.

    Errors: LpwError, also for a run of another kind of method; MismatchError.
    """
    method = run_folder.read_run(run)["method"]
    if not isinstance(read_run_recipe(run_folder.read_run(run)).specify(method), MethodSpec):
        got = f"a run of {method}, which has no regions and no quality"
        raise LpwError(run, got, "a run of rqen or another method with regions", "name another run")
    network, facts = open_any_network(run)
    return network, facts


def open_any_network(run: Path) -> tuple[Any, dict[str, Any]]:
    """The trained network of a complete run, in evaluation, and its run.json. Errors: LpwError,
    MismatchError."""
    state, facts = run_folder.read_model(run)
    recipe, n_persons = read_run_recipe(facts), len(facts["persons"])
    options = BackboneOptions("random", False, recipe.model.last_stride)
    _refuse_other_persons(run, state, n_persons)
    try:
        network = make_network(recipe, facts["method"], n_persons, options, facts.get("width"))
        model = state.model
        if _skips_neck(network, model):
            say_once(f"note: {run}: {UNLEARNED_SCORES}")
            network, model = _leave_neck(network, model, n_persons, recipe.data.input_size)
        network.load_state_dict(model)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        got = f"weights that do not fit the network ({str(error).splitlines()[-1].strip()[:200]})"
        do = "train again with this version of lpw"
        raise MismatchError(run / run_folder.MODEL, got, "those of run.json", do) from error
    return network.eval(), facts


def _skips_neck(network: nn.Module, model: dict[str, Tensor]) -> bool:
    """Whether these are the weights of a method with appended scores of an older version, whose
    neck has no columns for them."""
    if not isinstance(network, SetNetwork) or not describe_form(network.spec):
        return False
    older = len(network.neck.weight) - network.spec.n_regions
    neck = model.get("neck.weight")
    return neck is not None and neck.shape == (older,)


def _leave_neck(
    network: SetNetwork, model: dict[str, Tensor], n_persons: int, size: tuple[int, int]
) -> tuple[SetNetwork, dict[str, Tensor]]:
    """The network with heads on frames, whose vectors are those of the older version, and the
    weights for it; no vector needs its classifiers, so they stay as they are made."""
    spec = replace(network.spec, heads="frame", auxiliary=False)
    other = SetNetwork(network.backbone, spec, n_persons, size)
    described = {n: v for n, v in model.items() if not n.startswith(("neck.", "main."))}
    return other, {**other.main.state_dict(prefix="main."), **described}


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
