"""Three small networks, one for each of three overlapping parts of the body: the network of CD.

The parts are as high as 3/8 of the image and begin at 0, 5/16 and 5/8 of its height: 48 x 48 of
128 x 48, 8 rows shared with the next. Each goes through a tower of its own: 7 x 7 to 64, pool 2,
normalisation across channels, 5 x 5 to 64, pool 2, fully connected to 500. Shapes at 128 x 48: tap
64 x 16 x 6, last 1500 x 1 x 1. There are no public weights.

A reconstruction: the paper's layers could not be read; these are those that are remembered of the
same group's metric learning (docs/methods.md).
Source: Yi et al., Deep Metric Learning for Practical Person Re-Identification, 2014; Hu et al.,
Cross Dataset Person Re-identification, 2014.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lpw_toolkit.errors import LpwError
from rqen.model.backbone import BackboneOptions, Maps, Pixels, refuse_stride

_N_PARTS, _WIDTH = 3, 500
_HEIGHT, _STEP = 3 / 8, 5 / 16  # of the image's height
_SIDE = 12  # of a tower's last map at 48 x 48; others are averaged to it


class Tower(nn.Module):
    """One part (N, 3, h, w) to its last map (N, 64, 12, 12) and its vector (N, 500)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 64, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
            nn.Conv2d(64, 64, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(_SIDE),
        )
        self.connect = nn.Linear(64 * _SIDE * _SIDE, _WIDTH)
        for layer in (self.convolutions[0], self.convolutions[4], self.connect):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        maps = self.convolutions(images)
        return maps, F.relu(self.connect(maps.flatten(1)))


class PartTowers(nn.Module):
    """See the module; attributes as `rqen.model.backbone.Backbone` names them."""

    tap_channels, last_channels = 64, _N_PARTS * _WIDTH
    middle_channels: tuple[int, ...] = ()
    pixels = Pixels((127.5, 127.5, 127.5), (64.0, 64.0, 64.0), bgr=False)
    weights = "random"

    def __init__(self) -> None:
        super().__init__()
        self.towers = nn.ModuleList(Tower() for _ in range(_N_PARTS))

    def forward(self, images: Tensor) -> Maps:
        """Images (N, 3, H, W) to their maps."""
        height, width = images.shape[2:]
        tall = round(height * _HEIGHT)
        tops = [round(height * _STEP * part) for part in range(_N_PARTS)]
        seen = [
            tower(images[:, :, top : top + tall])
            for tower, top in zip(self.towers, tops, strict=True)
        ]
        stacked = torch.cat([maps for maps, _ in seen], dim=2)
        tap = F.adaptive_avg_pool2d(stacked, (-(-height // 8), -(-width // 8)))
        joined = torch.cat([vector for _, vector in seen], dim=1)
        return Maps(tap, joined[:, :, None, None], ())


def open_backbone(options: BackboneOptions) -> PartTowers:
    """The network, with random weights. Errors: LpwError where others are asked for."""
    refuse_stride("part_towers", options)
    if options.weights != "random":
        raise LpwError(
            "weights of part_towers",
            options.weights,
            "random: there are no public ones",
            "ask for --weights random; --start-from takes those of a run",
        )
    return PartTowers()
