"""The pair loss of CNN+RNN as released: vectors of one person are drawn together, those of two are
pushed apart up to a margin.

Source: niallmcl/Recurrent-Convolutional-Video-ReID:buildModel.lua (facts).
"""

from torch import Tensor
from torch.nn import functional as F

from rqen.loss import Gather, LossRecipe, Term, compare_pairs, refuse_other_batches
from rqen.model.network import Output
from rqen.recipe import DataRecipe


def measure_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None
) -> dict[str, Term]:
    """See `rqen.loss.Loss`. The first half of the batch and the second are pairs; each process has
    its own."""
    distance, same = compare_pairs(output, person)
    return {"pair": Term(1.0, siamese_loss(distance, same, recipe.margin))}


def refuse_data(data: DataRecipe) -> None:
    """Errors: LpwError for batches that are no pairs."""
    refuse_other_batches(data, "pairs", "siamese", "another loss.triplet")


def siamese_loss(distance: Tensor, same: Tensor, margin: float) -> Tensor:
    """Mean over pairs of d for one person, and of [margin - d]_+ for two.

    Args:
        distance: (P,) Euclidean distances d.
        same: (P,) whether the pair shows one person.

    >>> import torch
    >>> siamese_loss(torch.tensor([0.5, 0.5]), torch.tensor([True, False]), 2.0).item()
    1.0
    """
    return distance.where(same, F.relu(margin - distance)).mean()
