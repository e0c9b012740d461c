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
    n_sets, n_frames = output.shares.shape[:2]
    losses = []
    for head in output.logits:
        counts: int | Tensor = len(head) // n_sets
        if len(head) not in (n_sets, n_sets * n_frames):  # masked frames have no logits
            counts = (output.shares > 0).any(dim=2).sum(dim=1)
        labels = person.repeat_interleave(counts)
        losses.append(F.cross_entropy(head.float(), labels, label_smoothing=recipe.smoothing))
    return {"softmax": Term(recipe.softmax, torch.stack(losses).sum())}
