"""The training objective (RQEN, Eq. 2): the weighted sum of the losses that the recipe names."""

from torch import Tensor

from rqen.loss import LOSSES, NO_DISTANCE_LOSS, Gather, LossRecipe
from rqen.model.network import Output


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
