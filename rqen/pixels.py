"""Pictures as a backbone wants them."""

import torch
from torch import Tensor

from rqen.backbones import Pixels


def normalise(images: Tensor, pixels: Pixels) -> Tensor:
    """RGB uint8 (..., 3, H, W) to (x - mean) / std, float32, in the backbone's order of channels."""
    mean = torch.tensor(pixels.mean, device=images.device).view(3, 1, 1)
    std = torch.tensor(pixels.std, device=images.device).view(3, 1, 1)
    ordered = images.flip(-3) if pixels.bgr else images
    return (ordered.float() - mean) / std


def fill_colour(pixels: Pixels) -> tuple[int, int, int]:
    """The RGB colour that becomes zero: what is erased with it says nothing."""
    red, green, blue = reversed(pixels.mean) if pixels.bgr else pixels.mean
    return round(red), round(green), round(blue)
