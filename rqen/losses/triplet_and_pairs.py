"""The two losses of CNN+SRM+TAM on sets: triplets of their vectors, and same or different of their
pairs.

    triplet: mean over the triplets (a, p, n) of the batch that break the margin
             of m + |F_a - F_p|^2 - |F_a - F_n|^2
    pairs:   softmax loss of same and different; either kind of pair weighs one half (1:1)

What each weighs depends on the stage of the training (`rqen.model.srm_tam`).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lpw_toolkit.errors import LpwError
from rqen.loss import Gather, LossRecipe, Term, refuse_unpaired_sets
from rqen.model.network import Output
from rqen.recipe import DataRecipe


def measure_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None
) -> dict[str, Term]:
    """See `rqen.loss.Loss`. Triplets are those of all processes; pairs of each process alone.

    Errors: LpwError for the output of a method that does not score pairs.
    """
    same = getattr(output, "same", None)
    if same is None:
        do = "train srm_tam, or choose another loss.triplet"
        got, expected = "triplet_and_pairs without scores of pairs", "a method that scores them"
        raise LpwError("loss.triplet", got, expected, do)
    vectors, labels = output.embedding, person
    if gather is not None:
        vectors, labels = gather(vectors), gather(labels)
    of_triplets, of_pairs = output.weights  # type: ignore[attr-defined]
    return {
        "triplet": Term(of_triplets, all_triplets_loss(vectors, labels, recipe.margin)),
        "pairs": Term(of_pairs, pairs_loss(same, person)),
    }


def refuse_data(data: DataRecipe) -> None:
    """Errors: LpwError for batches without pairs of one person and of two."""
    if data.batch not in ("sets", "triplets"):
        do = "set data.batch=sets"
        raise LpwError("data.batch", data.batch, "sets or triplets with triplet_and_pairs", do)
    refuse_unpaired_sets(data, "triplet_and_pairs", "raise it")


def all_triplets_loss(embedding: Tensor, person: Tensor, margin: float) -> Tensor:
    """The mean over the triplets that break the margin; 0, with a gradient, where none does.

    Args:
        embedding: (B, D), unit length.
        person: (B,) labels.
        margin: of squared distances.
    """
    squared = 2 - 2 * embedding @ embedding.T
    same = person[:, None] == person
    positive = same & ~torch.eye(len(person), dtype=torch.bool, device=person.device)
    valid = positive[:, :, None] & ~same[:, None, :]
    broken = F.relu(margin + squared[:, :, None] - squared[:, None, :]) * valid
    return broken.sum() / (broken > 0).sum().clamp(min=1)


def pairs_loss(same: Tensor, person: Tensor) -> Tensor:
    """The mean of the loss over pairs of one person and of that over pairs of two.

    Args:
        same: (B * (B - 1) / 2,) logits of pairs i < j, in the order of `torch.triu_indices`.
        person: (B,) labels.

    A kind of pair that the batch does not have counts 0.
    """
    rows, columns = torch.triu_indices(len(person), len(person), 1, device=person.device)
    truth = person[rows] == person[columns]
    loss = F.binary_cross_entropy_with_logits(same, truth.to(same), reduction="none")
    share = torch.where(truth, truth.sum(), (~truth).sum()).clamp(min=1)
    return (loss / share).sum() / 2
