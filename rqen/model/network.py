"""The network of RQEN and of its ablations: frames in, one vector per set out, with the score of
every region.

    frames -> backbone -> last map -> regional features f_ri  (regions.py)
                       -> tap      -> scores s_ri             (quality.py)
    f_ri, s_ri over the frames i of a set -> F_r -> F = [F_1 ... F_R], unit length    (aggregate.py)

Identities are learned from frames (`heads="frame"`, the paper: the global feature of each frame,
and auxiliary heads where the backbone has middle maps) or from sets behind a normalisation
(`heads="neck"`, today's practice; with `necks` each region has a classifier of its own, so that
each must tell persons apart alone).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rqen.model.aggregate import aggregate_sets, append_scores, take_largest
from rqen.model.backbone import Maps
from rqen.model.method import MethodSpec
from rqen.model.pixels import fill_colour, normalise
from rqen.model.quality_predictor import QualityPredictor
from rqen.model.regions import pool_regions

_POOLED = 5  # side of the auxiliary heads' pooling; smaller maps go without


class Output(NamedTuple):
    """What the network says of B sets of T frames.

    Attributes:
        embedding: (B, D), unit length unless the method says otherwise; D = R * C, and R more for
            `appended`.
        scores: (B, T, R) in (0, 1), before normalisation over the set; ones for `uniform`. What is
            masked has 0.
        shares: (B, T, R), the weight that each frame had.
        features: (B, T, R, C), regional features of each frame, behind the projection if any.
        logits: of each classifier, (N, persons) for the N frames that are not masked, set after
            set, or (B, persons) for sets; empty in evaluation.
        raw: (B, D) before normalisation: what a triplet loss sees beside a neck.
    """

    embedding: Tensor
    scores: Tensor
    shares: Tensor
    features: Tensor
    logits: tuple[Tensor, ...]
    raw: Tensor


class SetNetwork(nn.Module):
    """A method on a backbone.

    Args:
        backbone: as `rqen.backbones.Backbone`.
        spec: what the method is made of.
        n_persons: identities to tell apart in training.
        size: height and width of the images in pixels (one predictor is tied to it).
    """

    def __init__(
        self, backbone: nn.Module, spec: MethodSpec, n_persons: int, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.backbone, self.spec = backbone, spec
        n_regions = spec.n_regions
        width = spec.projection[-1] if spec.projection else backbone.last_channels
        self.projection = make_projection(backbone.last_channels, spec.projection)
        self.predictor = None
        if spec.quality != "uniform":
            tap = (backbone.tap_channels, -(-size[0] // 8), -(-size[1] // 8))
            self.predictor = QualityPredictor(spec.predictor, tap, n_regions)
        if spec.heads == "none":
            return
        if spec.heads == "frame":
            self.dropout = nn.Dropout(spec.dropout)
            self.main = make_classifier(width, n_persons)
            middle = backbone.middle_channels if spec.auxiliary else ()
            self.auxiliary = nn.ModuleList(
                AuxiliaryHead(c, 4 >> i, n_persons) for i, c in enumerate(middle)
            )
        else:
            width = n_regions * (width + (spec.quality == "appended"))
            self.neck = nn.BatchNorm1d(width)
            self.neck.bias.requires_grad_(False)
            n_heads = n_regions if spec.heads == "necks" else 1
            self.main = nn.ModuleList(
                nn.Linear(width // n_heads, n_persons, bias=False) for _ in range(n_heads)
            )
            for head in self.main:
                nn.init.normal_(head.weight, std=0.001)

    @property
    def weights(self) -> str:
        """What the backbone started from."""
        return str(self.backbone.weights)

    @property
    def fill(self) -> tuple[int, int, int]:
        """The RGB colour that becomes zero."""
        return fill_colour(self.backbone.pixels)

    def prepare(self, images: Tensor) -> Tensor:
        """RGB uint8 (..., 3, H, W) as the backbone takes it."""
        return normalise(images, self.backbone.pixels)

    def describe_frames(self, images: Tensor) -> tuple[Maps, Tensor, Tensor]:
        """Maps, regional features (N, R, C) and scores (N, R) of N frames (N, 3, H, W)."""
        maps = self.backbone(images)
        features = pool_regions(maps.last, self.spec.division)
        if self.spec.region is not None:
            features = features[:, self.spec.region, None]
        if self.projection is not None:
            features = self.projection(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        if self.predictor is None:
            return maps, features, features.new_ones(features.shape[:2])
        return maps, features, self.predictor(images, maps.tap).float()

    def describe_sets(
        self, images: Tensor, mask: Tensor | None = None
    ) -> tuple[Maps, Tensor, Tensor]:
        """The same of sets (B, T, 3, H, W): features (B, T, R, C) and scores (B, T, R).

        Args:
            mask: (B, T), True where there is a frame. Padding does not go through the network,
                whatever it holds: the maps are of the N frames that there are, the features and
                scores of the others are 0.
        """
        shape, frames = images.shape[:2], images.flatten(0, 1)
        if mask is None:
            maps, features, scores = self.describe_frames(frames)
            return maps, features.float().unflatten(0, shape), scores.unflatten(0, shape)
        present = mask.flatten().bool()
        maps, *described = self.describe_frames(frames[present])
        padded = [found.float().new_zeros(len(frames), *found.shape[1:]) for found in described]
        for place, found in zip(padded, described, strict=True):
            place[present] = found.float()
        features, scores = (place.unflatten(0, shape) for place in padded)
        return maps, features, scores

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Output:
        """Sets (B, T, 3, H, W) to their vectors; `mask` (B, T) is True where there is a frame."""
        maps, features, scores = self.describe_sets(images, mask)
        output = self.join(features, scores, mask)
        if not self.training:
            return output
        embedding, scores, shares, features, _, raw = (
            output  # torch.compile does not follow `_replace`
        )
        frames = features.flatten(0, 1)
        frames = frames if mask is None else frames[mask.flatten().bool()]
        logits = self._classify(maps, frames, raw) if self.spec.heads != "none" else ()
        return Output(embedding, scores, shares, features, logits, raw)

    def join(self, features: Tensor, scores: Tensor, mask: Tensor | None = None) -> Output:
        """Sets of frames that are already described: features (B, T, R, C), scores (B, T, R), mask
        (B, T)."""
        parts, weights = features, scores
        if self.spec.quality == "appended":
            parts, weights = append_scores(features, scores), torch.ones_like(scores[..., :1])
        embedding, regions, shares = aggregate_sets(parts, weights, mask)
        if self.spec.pooling == "max":
            regions = take_largest(features, mask)
            embedding = F.normalize(regions.flatten(1), dim=1)
        raw = regions.flatten(1)
        if self.spec.heads in ("neck", "necks") and not self.training:
            embedding = F.normalize(self.neck(raw), dim=1)
        shares = shares.expand_as(scores)
        return Output(embedding if self.spec.unit else raw, scores, shares, features, (), raw)

    def _classify(self, maps: Maps, features: Tensor, raw: Tensor) -> tuple[Tensor, ...]:
        if self.spec.heads != "frame":
            necked, n_heads = self.neck(raw), len(self.main)
            if n_heads > 1 and self.spec.quality == "appended":  # each region with its own score
                features, scores = necked.split([necked.shape[1] - n_heads, n_heads], dim=1)
                regions = features.unflatten(1, (n_heads, -1))
                necked = torch.cat([regions, scores[..., None]], dim=2).flatten(1)
            pieces = necked.chunk(n_heads, dim=1)
            return tuple(head(piece) for head, piece in zip(self.main, pieces, strict=True))
        whole = maps.last.float().mean(dim=(2, 3))
        if self.projection is not None:
            whole = features.mean(dim=1)
        return (
            self.main(self.dropout(whole)),
            *(head(m) for head, m in zip(self.auxiliary, maps.middle, strict=False)),
        )


class AuxiliaryHead(nn.Module):
    """A classifier on a middle map, training only: average 5/3, 1 x 1 to 128, fully connected to
    1024, classes.

    Args:
        channels: of the map.
        grid: side of the map after averaging at 224 x 224 (4 after 3c, 2 after 4e); other inputs
            are averaged to it.
        n_persons: classes.
    """

    def __init__(self, channels: int, grid: int, n_persons: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128, eps=1e-5, momentum=0.001),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(grid),
            nn.Flatten(),
            nn.Linear(128 * grid * grid, 1024, bias=False),
            nn.BatchNorm1d(1024, eps=1e-5, momentum=0.001),
            nn.ReLU(inplace=True),
            make_classifier(1024, n_persons),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Logits (N, persons) of maps (N, C, H, W)."""
        if min(maps.shape[2:]) >= _POOLED:
            maps = F.avg_pool2d(maps, _POOLED, 3, ceil_mode=True)
        logits: Tensor = self.layers(maps)
        return logits


def make_projection(channels: int, widths: tuple[int, ...]) -> nn.Sequential | None:
    """The embedding layer of TriNet: fully connected, batch normalisation and ReLU up to the last
    width, then fully connected alone, which starts orthogonal; None without widths.

    Source: VisualComputingInstitute/triplet-reid:heads/fc1024.py.
    """
    if not widths:
        return None
    layers: list[nn.Module] = []
    for n_in, n_out in zip((channels, *widths), widths[:-1], strict=False):
        layers += [make_classifier(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU(inplace=True)]
    last = make_classifier((channels, *widths)[-2], widths[-1])
    nn.init.orthogonal_(last.weight)
    return nn.Sequential(*layers, last)


def make_classifier(channels: int, n_persons: int) -> nn.Linear:
    """A fully connected layer that starts as the released code's: Xavier's weights, no bias."""
    layer = nn.Linear(channels, n_persons)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
