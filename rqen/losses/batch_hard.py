"""Triplets mined in the batch: each set against its farthest positive and its nearest negative.

Source: Hermans et al., In Defense of the Triplet Loss for Person Re-Identification, 2017.
"""

from torch import Tensor
from torch.nn import functional as F

from rqen.loss import Gather, LossRecipe, Term, mine_hardest, refuse_unpaired_sets
from rqen.model.network import Output
from rqen.recipe import DataRecipe


def measure_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None
) -> dict[str, Term]:
    """See `rqen.loss.Loss`. Mining uses the batches of all processes."""
    vectors = F.normalize(output.raw, dim=1)
    if gather is not None:
        vectors, person = gather(vectors), gather(person)
    return {"triplet": Term(1.0, batch_hard_loss(vectors, person, recipe.margin or None))}


def refuse_data(data: DataRecipe) -> None:
    """Errors: LpwError for batches in which no set has both a positive and a negative."""
    refuse_unpaired_sets(data, "batch_hard")


def batch_hard_loss(embedding: Tensor, person: Tensor, margin: float | None) -> Tensor:
    """Mean over the sets that have both a positive and a negative in the batch.

    Args:
        embedding: (B, D), unit length.
        person: (B,) labels.
        margin: of the hinge; None for the soft form log(1 + exp(x)).

    Returns 0 (with a gradient) where no set has both a positive and a negative.
    """
    distance = (2 - 2 * embedding @ embedding.T).clamp(min=1e-12).sqrt()
    gap = mine_hardest(distance, person)
    if not len(gap):
        return embedding.sum() * 0
    return (F.softplus(gap) if margin is None else F.relu(gap + margin)).mean()
