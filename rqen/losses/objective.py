"""What a step minimises (RQEN, Eq. 2): identities from frames or sets, and a loss on the vectors of
sets (Eq. 3)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rqen.losses.set_losses import batch_hard_loss, pull_loss, triplet_loss
from rqen.model.network import Output
from rqen.recipe import LossRecipe

Gather = Callable[[Tensor], Tensor]


def compute_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one step, and its parts without gradient, before their weights.

    Args:
        output: of the network in training, for B sets; of triplets the first third are anchors,
            then positives, then negatives.
        person: (B,) labels.
        recipe: which losses with which weights.
        gather: joins the rows of all processes, with gradient: batch-hard mining looks at the whole
            batch. None where there is one process.
    """
    parts = {"softmax": _measure_softmax(output.logits, person, recipe.smoothing)}
    total = recipe.softmax * parts["softmax"]
    if recipe.triplet == "released":
        anchor, positive, negative = output.embedding.chunk(3)
        parts["triplet"] = triplet_loss(anchor, positive, negative, recipe.margin)
        parts["pull"] = pull_loss(anchor, positive)
        total = total + parts["triplet"] + recipe.pull * parts["pull"]
    elif recipe.triplet == "batch_hard":
        vectors = F.normalize(output.raw, dim=1)
        if gather is not None:
            vectors, person = gather(vectors), gather(person)
        parts["triplet"] = batch_hard_loss(vectors, person, recipe.margin or None)
        total = total + parts["triplet"]
    return total, {name: value.detach() for name, value in parts.items()}


def _measure_softmax(logits: tuple[Tensor, ...], person: Tensor, smoothing: float) -> Tensor:
    """Sum over heads of the mean cross-entropy; heads on frames have the label of their set."""
    losses = [
        F.cross_entropy(
            head.float(),
            person.repeat_interleave(len(head) // len(person)),
            label_smoothing=smoothing,
        )
        for head in logits
    ]
    return torch.stack(losses).sum()
