"""The triplet hinge of Eq. 3 as the paper prints it: plain distances, not squared and not halved.

    L_t = [tau + |a - p| - |a - n|]_+

The printed equation names no margin: on unit vectors, whose distances end at 2, that of the
released squared form is another one. The pulling term of the released code is in no equation; it is
here for recipes that ask for it (`loss.pull`).

Source: RQEN, Eq. 3.
"""

import torch
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
    pull = (anchor - positive).square().sum(1).mean() / 2
    return {
        "triplet": Term(1.0, printed_loss(anchor, positive, negative, recipe.margin)),
        "pull": Term(recipe.pull, pull),
    }


def refuse_data(data: DataRecipe) -> None:
    """Errors: LpwError for batches that are no triplets."""
    refuse_other_batches(data, "triplets", "printed", "loss.triplet=batch_hard")


def printed_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean over B of [margin + |a - p| - |a - n|]_+, of vectors (B, D).

    Two equal vectors have the distance 0 and no gradient.

    >>> import torch
    >>> a, b, c = torch.tensor([[[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 2.0]]])
    >>> printed_loss(a, b, c, margin=1.0)
    tensor(4.)
    """
    near, far = (torch.linalg.vector_norm(anchor - x, dim=1) for x in (positive, negative))
    return F.relu(margin + near - far).mean()
