"""The network of CNN+SRM+TAM: a convolutional network, temporal attention on its frame vectors and
spatial recurrence on its mean maps.

    frames -> backbone -> vectors f_i (fc7)  -> temporal attention -> F, unit length    (TAM)
                       -> maps g_i (pool5)   -> mean G -> pairs of G -> same person?     (SRM)
    f_i -> identities

It is trained in four stages (`SrmTam.start_step`), of which each adds a term to the identities:
none, the triplets of F, the pairs of G, both.
"""

from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rqen.model.network import make_classifier
from rqen.model.pixels import fill_colour, normalise
from rqen.model.spatial_recurrence import SpatialRecurrence
from rqen.model.temporal_attention import TemporalAttention

_STAGES = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))  # weights of triplets and pairs


class PairOutput(NamedTuple):
    """What the network says of B sets of T frames: `rqen.model.network.Output`, and of pairs.

    Attributes:
        embedding: (B, D), F of unit length.
        scores, shares: (B, T, 1), ones and their shares: no quality is predicted.
        features: (B, T, 1, C), the frame vectors.
        logits: one classifier's, (B * T, persons); empty in evaluation.
        raw: (B, D), F before normalisation.
        maps: (B, H, W, 64), projected mean maps.
        same: (B * (B - 1) / 2,) logits that the sets i < j show one person, in the order of
            `torch.triu_indices`; empty in evaluation.
        weights: of the triplets and of the pairs in this stage.
    """

    embedding: Tensor
    scores: Tensor
    shares: Tensor
    features: Tensor
    logits: tuple[Tensor, ...]
    raw: Tensor
    maps: Tensor
    same: Tensor
    weights: tuple[float, float]


class SrmTam(nn.Module):
    """See the module.

    Args:
        backbone: as `rqen.model.backbone.Backbone`. One that ends in fully connected layers gives
            fc7 and pool5; of another one the last map is averaged for the vectors.
        n_persons: identities to tell apart in training.
        size: height and width of the images in pixels.
        hidden: D, of the temporal attention.
        n_steps: of the temporal attention.
        stages: shares of the training that its first three stages take; the fourth is the rest.

    Attributes:
        alpha: share of the distance of F in the score of a pair; chosen by
            `rqen.model.methods.srm_tam`.
    """

    alpha: Tensor
    classifiers = ("main.",)

    def __init__(
        self,
        backbone: Any,
        n_persons: int,
        size: tuple[int, int],
        hidden: int,
        n_steps: int,
        stages: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.backbone, self.stages, self.weights = backbone, stages, backbone.weights
        channels, grid = self._find_grid(size)
        # fc7 has no bound, and the recurrence saturates on large numbers.
        is_bounded = not hasattr(backbone, "connect")
        norm = nn.LayerNorm(backbone.last_channels, elementwise_affine=False)
        self.scale: nn.Module = nn.Identity() if is_bounded else norm
        self.attention = TemporalAttention(backbone.last_channels, hidden, n_steps)
        self.recurrence = SpatialRecurrence(channels, grid)
        self.main = make_classifier(backbone.last_channels, n_persons)
        self.register_buffer("alpha", torch.tensor(0.5))
        self.term_weights = _STAGES[-1]

    @torch.no_grad()
    def _find_grid(self, size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
        self.backbone.eval()
        maps, _ = self.describe_frames(torch.zeros(1, 3, *size))
        self.backbone.train()
        return maps.shape[1], (maps.shape[2], maps.shape[3])

    @property
    def fill(self) -> tuple[int, int, int]:
        """The RGB colour that becomes zero."""
        return fill_colour(self.backbone.pixels)

    def prepare(self, images: Tensor) -> Tensor:
        """RGB uint8 (..., 3, H, W) as the backbone takes it."""
        return normalise(images, self.backbone.pixels)

    def start_step(self, iteration: int, n_iterations: int) -> None:
        """Sets the stage of a step of training, counted from 0."""
        ends = [round(share * n_iterations) for share in accumulate(self.stages)]
        self.term_weights = _STAGES[sum(iteration >= end for end in ends)]

    def describe_frames(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (N, C', H', W') and vectors (N, C) of N frames (N, 3, H, W)."""
        if hasattr(self.backbone, "connect"):
            _, maps = self.backbone.convolve(images)
            return maps, self.backbone.connect(maps).float()
        maps = self.backbone(images).last
        return maps, maps.float().mean(dim=(2, 3))

    def forward(self, images: Tensor, mask: Tensor | None = None) -> PairOutput:
        """Sets (B, T, 3, H, W) to their vectors and maps; `mask` (B, T) is True where there is a
        frame."""
        n_sets, n_frames = images.shape[:2]
        maps, vectors = self.describe_frames(images.flatten(0, 1))
        frames = vectors.unflatten(0, (n_sets, n_frames))
        raw = self.attention(self.scale(frames), mask).float()
        is_there = images.new_ones(n_sets, n_frames, dtype=torch.bool) if mask is None else mask
        maps = self.recurrence.project(maps).unflatten(0, (n_sets, n_frames)).float()
        maps = maps.masked_fill(~is_there[..., None, None, None], 0.0)
        counts = is_there.sum(dim=1)[:, None, None, None]
        means = maps.sum(dim=1) / counts
        scores = is_there[..., None].to(raw)
        logits: tuple[Tensor, ...] = ()
        same = raw.new_zeros(0)
        if self.training:
            logits = (self.main(vectors),)
            first, second = torch.triu_indices(n_sets, n_sets, 1, device=images.device)
            same = self.recurrence(means[first], means[second]).float()
        return PairOutput(
            F.normalize(raw, dim=1), scores, scores / scores.sum(dim=1, keepdim=True),
            frames[:, :, None], logits, raw, means, same, self.term_weights,
        )  # fmt: skip

    def describe(self, images: Tensor, n_at_once: int = 64) -> tuple[Tensor, Tensor]:
        """F (D,), unit length, and the projected mean map (H, W, 64) of one tracklet's frames
        (T, 3, H, W), uint8 RGB, of which so many go through the backbone at once."""
        device = self.alpha.device
        vectors, total = [], torch.zeros(())
        for piece in images.split(n_at_once):
            maps, of_frames = self.describe_frames(self.prepare(piece.to(device)))
            vectors.append(of_frames)
            total = total.to(device) + self.recurrence.project(maps).float().sum(dim=0)
        raw = self.attention(self.scale(torch.cat(vectors))[None])[0]
        return F.normalize(raw.float(), dim=0), total / len(images)
