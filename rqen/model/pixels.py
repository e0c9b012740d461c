"""Normalises images for a backbone."""

import functools

import torch
from torch import Tensor

from rqen.model.backbone import Pixels


def normalise(images: Tensor, pixels: Pixels) -> Tensor:
    """RGB uint8 (..., 3, H, W) to (x - mean) / std, float32, in the backbone's order of
    channels."""
    mean, std = _place_constants(pixels, images.device)
    ordered = images.flip(-3) if pixels.bgr else images
    return (ordered.float() - mean) / std


def fill_colour(pixels: Pixels) -> tuple[int, int, int]:
    """The RGB colour that becomes zero: what is erased with it says nothing."""
    red, green, blue = reversed(pixels.mean) if pixels.bgr else pixels.mean
    return round(red), round(green), round(blue)


@functools.lru_cache(maxsize=64)  # a copy to a GPU in every step would stop it
def _place_constants(pixels: Pixels, device: torch.device) -> tuple[Tensor, Tensor]:
    mean, std = (
        torch.tensor(values, device=device).view(3, 1, 1) for values in (pixels.mean, pixels.std)
    )
    return mean, std
