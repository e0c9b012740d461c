"""Triplets mined in the batch, as TriNet has them: plain Euclidean distances of vectors of any
length.

Source: Hermans et al., In Defense of the Triplet Loss for Person Re-Identification, 2017;
VisualComputingInstitute/triplet-reid:loss.py.
"""

from torch import Tensor
from torch.nn import functional as F

from rqen.loss import Gather, LossRecipe, Term, mine_hardest, refuse_unpaired_sets
from rqen.model.network import Output
from rqen.recipe import DataRecipe

_EPS = 1e-12  # in the root, whose slope at 0 is infinite


def measure_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None
) -> dict[str, Term]:
    """See `rqen.loss.Loss`. Mining uses the batches of all processes."""
    vectors = output.raw
    if gather is not None:
        vectors, person = gather(vectors), gather(person)
    value = batch_hard_euclidean_loss(vectors, person, recipe.margin or None)
    return {"triplet": Term(1.0, value)}


def refuse_data(data: DataRecipe) -> None:
    """Errors: LpwError for batches in which no set has both a positive and a negative."""
    refuse_unpaired_sets(data, "batch_hard_euclidean")


def batch_hard_euclidean_loss(embedding: Tensor, person: Tensor, margin: float | None) -> Tensor:
    """Mean over the sets that have both a positive and a negative in the batch.

    Args:
        embedding: (B, D).
        person: (B,) labels.
        margin: of the hinge; None for the soft form log(1 + exp(x)).

    Returns 0 (with a gradient) where no set has both a positive and a negative.

    >>> import torch
    >>> x = torch.tensor([[0.0], [1.0], [3.0], [3.0]])
    >>> loss = batch_hard_euclidean_loss(x, torch.tensor([0, 0, 1, 1]), 2.5)  # gaps -2 -1 -2 -2
    >>> round(float(loss), 3)
    0.75
    """
    squares = (embedding[:, None] - embedding[None]).square().sum(dim=2)
    gap = mine_hardest((squares + _EPS).sqrt(), person)
    if not len(gap):
        return embedding.sum() * 0
    return (F.softplus(gap) if margin is None else F.relu(gap + margin)).mean()
