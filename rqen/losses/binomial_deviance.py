"""Binomial deviance of cosines: all pairs of the batch, those of one person drawn together.

    sum over pairs of w ln(1 + exp(-alpha (s - beta) m)),  m = 1 of one person, -c of two

s is the cosine; w is one over the number of pairs of the same kind, so that either kind weighs 1.

Source: Yi et al., Deep Metric Learning for Practical Person Re-Identification, 2014.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lpw_toolkit.errors import LpwError
from rqen.loss import Gather, LossRecipe, Term, refuse_unpaired_sets
from rqen.model.network import Output
from rqen.recipe import DataRecipe

#: Slope, the cosine at which a pair counts ln 2, and what a pair of two persons counts beside one
#: of one person: the values of the source.
ALPHA, BETA, COST = 2.0, 0.5, 2.0


def measure_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None
) -> dict[str, Term]:
    """See `rqen.loss.Loss`. Pairs are those of the batches of all processes."""
    vectors = F.normalize(output.raw, dim=1)
    if gather is not None:
        vectors, person = gather(vectors), gather(person)
    return {"deviance": Term(1.0, binomial_deviance(vectors, person))}


def refuse_data(data: DataRecipe) -> None:
    """Errors: LpwError for batches without pairs of one person and of two."""
    if data.batch == "frames":
        do = "set data.batch=sets, or loss.triplet=none"
        raise LpwError("data.batch", data.batch, "sets with binomial_deviance", do)
    refuse_unpaired_sets(data, "binomial_deviance", "raise it")


def binomial_deviance(embedding: Tensor, person: Tensor) -> Tensor:
    """The loss of a batch, without pairs of a vector with itself.

    Args:
        embedding: (B, D), unit length.
        person: (B,) labels.

    A kind of pair that the batch does not have counts 0.
    """
    rows, columns = torch.triu_indices(len(person), len(person), 1, device=person.device)
    cosine = (embedding[rows] * embedding[columns]).sum(dim=1)
    same = person[rows] == person[columns]
    sign = torch.where(same, 1.0, -COST)
    value = F.softplus(-ALPHA * (cosine - BETA) * sign)
    share = torch.where(same, same.sum(), (~same).sum()).clamp(min=1)
    return (value / share).sum()
