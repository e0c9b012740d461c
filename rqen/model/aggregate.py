"""Set aggregation by quality (RQEN, Eq. 1): a set of frames becomes one vector per region."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

_EPS = 1e-12


class Aggregate(NamedTuple):
    """One vector per set.

    Attributes:
        embedding: (B, R * C), unit length.
        regions: (B, R, C) before joining and normalisation.
        shares: (B, T, R), the weight of each frame: sums to 1 over the frames of a set, 0 where
            there is no frame.
    """

    embedding: Tensor
    regions: Tensor
    shares: Tensor


def aggregate_sets(features: Tensor, scores: Tensor, mask: Tensor | None = None) -> Aggregate:
    """F_r = sum_i mu_ri f_ri with mu_ri = s_ri / sum_j s_rj; regions are joined, then the whole is
    normalised.

    Args:
        features: (B, T, R, C), f_ri.
        scores: (B, T, R) in (0, 1), s_ri; all ones for a plain mean.
        mask: (B, T), True where there is a frame; None for sets without padding. What is masked
            may hold anything, NaN too.
    """
    if mask is not None:
        absent = ~mask.bool()[..., None]
        scores = scores.masked_fill(absent, 0)
        features = features.masked_fill(absent[..., None], 0)
    shares = scores / scores.sum(dim=1, keepdim=True).clamp(min=_EPS)
    regions = torch.einsum("btr,btrc->brc", shares, features)
    return Aggregate(F.normalize(regions.flatten(1), dim=1), regions, shares)


def append_scores(features: Tensor, scores: Tensor) -> Tensor:
    """The vector of each frame when its scores are features too, and weigh nothing (Table 2, (f)).

    Args:
        features: (..., R, C).
        scores: (..., R).

    Returns (..., 1, R * C + R): one part of unit length, the features before the scores.

    >>> import torch
    >>> append_scores(torch.tensor([[3.0], [0.0]]), torch.tensor([4.0, 0.0]))
    tensor([[0.6000, 0.0000, 0.8000, 0.0000]])
    """
    return F.normalize(torch.cat([features.flatten(-2), scores], dim=-1), dim=-1).unsqueeze(-2)


class SetSums:
    """The same for one set whose frames come in pieces: memory does not grow with their number."""

    def __init__(self) -> None:
        self._weighted: Tensor | float = 0.0
        self._total: Tensor | float = 0.0

    def add(self, features: Tensor, scores: Tensor) -> None:
        """Takes n frames: features (n, R, C), scores (n, R)."""
        self._weighted = self._weighted + torch.einsum("nr,nrc->rc", scores, features)
        self._total = self._total + scores.sum(dim=0)

    def finish(self) -> Tensor:
        """The regions (R, C)."""
        if not isinstance(self._weighted, Tensor) or not isinstance(self._total, Tensor):
            raise ValueError("a set without frames")
        return self._weighted / self._total.clamp(min=_EPS)[:, None]


def take_largest(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """The largest of each number over the frames of a set.

    Args:
        features: (B, T, R, C).
        mask: (B, T), True where there is a frame; None for sets without padding.

    Returns (B, R, C).
    """
    if mask is not None:
        features = features.masked_fill(~mask.bool()[..., None, None], float("-inf"))
    return features.amax(dim=1)


class SetLargest:
    """`take_largest` of one set whose frames come in pieces."""

    def __init__(self) -> None:
        self._largest: Tensor | None = None

    def add(self, features: Tensor, scores: Tensor) -> None:
        """Takes n frames: features (n, R, C); their scores (n, R) weigh nothing."""
        del scores
        piece = features.amax(dim=0)
        self._largest = piece if self._largest is None else torch.maximum(self._largest, piece)

    def finish(self) -> Tensor:
        """The regions (R, C)."""
        if self._largest is None:
            raise ValueError("a set without frames")
        return self._largest
