"""Losses on sets: the triplet hinge of Eq. 3 as released, its undocumented pull term, and
batch-hard mining.

All take unit vectors. Source:
sciencefans/CaffeMex_v2:src/caffe/layers/{triplet_loss,contrastive_loss}_layer.cpp; Hermans et al.
2017 for batch-hard.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean over B of [margin + |a - p|^2 - |a - n|^2]_+ / 2; anchor, positive, negative are (B,
    D)."""
    near, far = (anchor - positive).square().sum(1), (anchor - negative).square().sum(1)
    return F.relu(margin + near - far).mean() / 2


def pull_loss(anchor: Tensor, positive: Tensor) -> Tensor:
    """Mean over B of |a - p|^2 / 2: the contrastive loss of the released code, whose pairs are
    always alike."""
    return (anchor - positive).square().sum(1).mean() / 2


def batch_hard_loss(embedding: Tensor, person: Tensor, margin: float | None) -> Tensor:
    """Each set against its farthest own and nearest foreign one, mean over those that have both.

    Args:
        embedding: (B, D).
        person: (B,) labels.
        margin: of the hinge; None for the soft form log(1 + exp(x)).

    Returns 0 (with a gradient) where no set has both an own and a foreign one.
    """
    distance = (2 - 2 * embedding @ embedding.T).clamp(min=1e-12).sqrt()
    same = person[:, None] == person[None]
    own = same & ~torch.eye(len(person), dtype=torch.bool, device=person.device)
    usable = own.any(1) & (~same).any(1)
    farthest = distance.masked_fill(~own, float("-inf")).amax(1)[usable]
    nearest = distance.masked_fill(same, float("inf")).amin(1)[usable]
    if not len(farthest):
        return embedding.sum() * 0
    gap = farthest - nearest
    return (F.softplus(gap) if margin is None else F.relu(gap + margin)).mean()
