"""The triplet hinge of Eq. 3 as released, with the undocumented term that pulls anchor and positive
together.

Source: sciencefans/CaffeMex_v2:src/caffe/layers/{triplet_loss,contrastive_loss}_layer.cpp.
"""

from torch import Tensor
from torch.nn import functional as F

from rqen.loss import Gather, LossRecipe, Term, refuse_other_batches
from rqen.model.network import Output
from rqen.recipe import DataRecipe


def measure_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None
) -> dict[str, Term]:
    """See `rqen.loss.Loss`. Each process has triplets of its own."""
    anchor, positive, negative = output.embedding.chunk(3)
    return {
        "triplet": Term(1.0, triplet_loss(anchor, positive, negative, recipe.margin)),
        "pull": Term(recipe.pull, pull_loss(anchor, positive)),
    }


def refuse_data(data: DataRecipe) -> None:
    """Errors: LpwError for batches that are no triplets."""
    refuse_other_batches(data, "triplets", "released", "loss.triplet=batch_hard")


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean over B of [margin + |a - p|^2 - |a - n|^2]_+ / 2, of unit vectors (B, D)."""
    near, far = (anchor - positive).square().sum(1), (anchor - negative).square().sum(1)
    return F.relu(margin + near - far).mean() / 2


def pull_loss(anchor: Tensor, positive: Tensor) -> Tensor:
    """Mean over B of |a - p|^2 / 2: the contrastive loss of the released code, whose pairs always
    show the same person."""
    return (anchor - positive).square().sum(1).mean() / 2
