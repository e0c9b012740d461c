"""The training objective (RQEN, Eq. 2): the weighted sum of the losses that the recipe names."""

from torch import Tensor

from lpw_toolkit.errors import LpwError
from rqen.loss import LOSSES, NO_DISTANCE_LOSS, Gather, LossRecipe
from rqen.model.method import Method, MethodSpec
from rqen.model.network import Output
from rqen.recipe import Recipe


def compute_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one step, and its terms without gradient and before their weights.

    Args: as `rqen.loss.Loss.measure_loss`.
    """
    terms = LOSSES.load("softmax").measure_loss(output, person, recipe, gather)
    if recipe.triplet != NO_DISTANCE_LOSS:
        terms |= LOSSES.load(recipe.triplet).measure_loss(output, person, recipe, gather)
    first, *others = [term.weight * term.value for term in terms.values()]
    return sum(others, start=first), {name: term.value.detach() for name, term in terms.items()}


def refuse_batch(recipe: Recipe, spec: Method, n_persons: int, n_processes: int) -> None:
    """Refuses, before anything is read, batches from which the method cannot learn.

    Args:
        n_persons: persons that train.
        n_processes: processes that share a batch.

    Errors: LpwError that names the setting.
    """
    data, loss = recipe.data, recipe.loss
    n_sets = {
        "sets": min(data.n_persons, n_persons) * data.n_sets // n_processes,
        "triplets": 3 * data.n_triplets,
        "frames": data.n_frames,
        "pairs": 2 * data.n_pairs,
    }[data.batch]
    if isinstance(spec, MethodSpec) and (spec.heads == "none" and loss.triplet == NO_DISTANCE_LOSS):
        do = "set loss.triplet, such as batch_hard_euclidean"
        raise LpwError("loss.triplet", "none", "a distance loss, without classifiers", do)
    normalises = isinstance(spec, MethodSpec) and (
        spec.heads in ("neck", "necks") or len(spec.projection) > 1
    )
    if n_sets < 2 and normalises:
        names = "data.n_frames" if data.batch == "frames" else "data.n_persons, data.n_sets"
        got = f"{n_sets} in the batch of a process"
        raise LpwError(names, got, "2 or more, for batch normalisation", "raise one of them")
    if isinstance(spec, MethodSpec) and spec.quality != "uniform":
        _refuse_unlearned_scores(loss.triplet, spec)
    if loss.triplet != NO_DISTANCE_LOSS:
        refuse = getattr(LOSSES.load(loss.triplet), "refuse_data", None)
        if refuse is not None:
            refuse(data)


def _refuse_unlearned_scores(distance_loss: str, spec: MethodSpec) -> None:
    """Errors: LpwError where no loss depends on the scores of a method that predicts them."""
    if distance_loss == NO_DISTANCE_LOSS and spec.heads == "frame":
        expected = "a distance loss, for heads on frames teach the scores of a set nothing"
        do = "set loss.triplet=released, or model.heads=neck"
        raise LpwError("loss.triplet", distance_loss, expected, do)
    if spec.pooling == "max":
        expected = "mean, for a method whose frames have scores"
        raise LpwError("model.pooling", spec.pooling, expected, "leave it out")
