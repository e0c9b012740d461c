"""The region-based quality predictor: one score in (0, 1) for each region of each frame (RQEN, Eq.
4 and its text).

Three variants: `paper` has a convolution and a fully connected layer on the tap; in the authors'
two files the fully connected layer reads the flat tap (`released_pool2`), or a small branch reads
the pixels (`released_image`). The released ones have no ReLU. Weights start from a normal
distribution of deviation 0.01, biases from 0.

Source: liuyuisanai/Quality-Aware-Network:model/train_PQAN_{pool2,image}.prototxt.
"""

from typing import get_args

import torch
from torch import Tensor, nn

from lpw_toolkit.errors import unknown_name
from rqen.model.method import PredictorVariant

_GRID = 4  # 28 x 28 averaged by 7 x 7


class QualityPredictor(nn.Module):
    """Scores (N, R) of N frames.

    Args:
        variant: see the module.
        tap: channels, height and width of the tap; `released_pool2` works at this size only.
        n_regions: R.
    """

    def __init__(
        self, variant: PredictorVariant, tap: tuple[int, int, int], n_regions: int
    ) -> None:
        super().__init__()
        if variant not in get_args(PredictorVariant):
            raise unknown_name("quality predictor", variant, get_args(PredictorVariant))
        self.reads_pixels = variant == "released_image"
        layers = {
            "paper": _paper_layers,
            "released_pool2": _flat_layers,
            "released_image": _pixel_layers,
        }[variant]
        self.layers = nn.Sequential(*layers(tap, n_regions))
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor, tap: Tensor) -> Tensor:
        """Scores (N, R) from images (N, 3, H, W) or the tap (N, C', H/8, W/8), as the variant
        says."""
        return torch.sigmoid(self.layers(images if self.reads_pixels else tap))


def _paper_layers(tap: tuple[int, int, int], n_regions: int) -> list[nn.Module]:
    convolution = nn.Conv2d(tap[0], 32, 3, padding=1)
    fully = nn.Linear(32 * _GRID * _GRID, n_regions)
    return [convolution, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(_GRID), nn.Flatten(), fully]


def _flat_layers(tap: tuple[int, int, int], n_regions: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(tap[0] * tap[1] * tap[2], n_regions)]


def _pixel_layers(_: tuple[int, int, int], n_regions: int) -> list[nn.Module]:
    stem = [nn.Conv2d(3, 64, 7, 2, 3), nn.MaxPool2d(3, 2, ceil_mode=True)]
    deeper = [nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1)]
    return [
        *stem,
        *deeper,
        nn.AdaptiveAvgPool2d(2 * _GRID),
        nn.Flatten(),
        nn.Linear(64 * 4 * _GRID * _GRID, n_regions),
    ]
