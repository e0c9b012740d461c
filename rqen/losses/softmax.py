"""Identity classification: the sum over heads of the mean cross-entropy (Eq. 2)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from rqen.loss import Gather, LossRecipe, Term
from rqen.model.network import Output


def measure_loss(
    output: Output, person: Tensor, recipe: LossRecipe, gather: Gather | None
) -> dict[str, Term]:
    """See `rqen.loss.Loss`. Heads on frames have the label of their set; a network without heads
    has no such term."""
    if not output.logits:
        return {}
    losses = [
        F.cross_entropy(
            head.float(),
            person.repeat_interleave(len(head) // len(person)),
            label_smoothing=recipe.smoothing,
        )
        for head in output.logits
    ]
    return {"softmax": Term(recipe.softmax, torch.stack(losses).sum())}
