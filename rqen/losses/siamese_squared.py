"""The pair loss of CNN+RNN as the paper writes it: squared distances, halved (recalled, not
confirmed: the released code has `siamese`).

Source: McLaughlin et al., Recurrent Convolutional Network for Video-based Person Re-Identification,
CVPR 2016.
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
    return {"pair": Term(1.0, squared_siamese_loss(distance, same, recipe.margin))}


def refuse_data(data: DataRecipe) -> None:
    """Errors: LpwError for batches that are no pairs."""
    refuse_other_batches(data, "pairs", "siamese_squared", "another loss.triplet")


def squared_siamese_loss(distance: Tensor, same: Tensor, margin: float) -> Tensor:
    """Mean over pairs of d^2 / 2 for one person, and of [margin - d]_+^2 / 2 for two.

    Args:
        distance: (P,) Euclidean distances d.
        same: (P,) whether the pair shows one person.

    >>> import torch
    >>> squared_siamese_loss(torch.tensor([1.0, 0.0]), torch.tensor([True, False]), 2.0).item()
    1.25
    """
    return distance.where(same, F.relu(margin - distance)).square().mean() / 2
