"""The five channels that CNN+RNN sees of each frame, Y, U, V and flow, and the parts that are cut
out of them.

    RGB and flow (..., 5, H, W), 0-255 -> (..., 5, H, W), standardised per frame and channel
                                       -> part (..., 5, H - 8, W - 8)

Source: niallmcl/Recurrent-Convolutional-Video-ReID:prepareDataset.lua, train.lua, test.lua (facts).
"""

from typing import Literal

import torch
from torch import Tensor

#: `released`: the square root of the standard deviation is what channels are divided by; `paper`:
#: the standard deviation.
Norm = Literal["released", "paper"]
N_CHANNELS = 5
#: Pixels by which a frame is larger than the part of it that the network sees.
MARGIN_PX = 8

#: BT.601: rows Y, U, V; columns R, G, B.
_YUV = ((0.299, 0.587, 0.114), (-0.14713, -0.28886, 0.436), (0.615, -0.51499, -0.10001))
#: Channels that vary less are the same everywhere but for rounding: grey images, no motion.
_MIN_STD = 1e-4


def to_yuv_and_flow(images: Tensor, norm: Norm) -> Tensor:
    """Standardised Y, U, V and flow, float32, of RGB and flow images (..., 5, H, W), 0-255.

    >>> images = torch.randint(0, 256, (2, 5, 64, 48), dtype=torch.uint8)
    >>> frames = to_yuv_and_flow(images, "paper")
    >>> bool((frames.std(dim=(-2, -1)) - 1).abs().max() < 1e-3)
    True
    """
    scaled = images.float() / 255
    colours, flow = scaled.split([3, 2], dim=-3)
    yuv = torch.einsum("ij,...jhw->...ihw", scaled.new_tensor(_YUV), colours)
    return standardise(torch.cat([yuv, flow], dim=-3), norm)


def standardise(channels: Tensor, norm: Norm) -> Tensor:
    """Channels (..., H, W) minus their mean, divided by their standard deviation (`paper`) or its
    square root (`released`); 0 where a channel is the same everywhere.

    >>> standardise(torch.tensor([[[0.0, 8.0]]]), "released").mean().item()
    0.0
    """
    std, mean = torch.std_mean(channels, dim=(-2, -1), keepdim=True)
    scale = std.sqrt() if norm == "released" else std
    standard = (channels - mean) / scale.clamp_min(_MIN_STD)
    return standard.masked_fill(std < _MIN_STD, 0.0)


def part_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the part that the network sees of frames of this size.

    >>> part_size(64, 48)
    (56, 40)
    """
    return height - MARGIN_PX, width - MARGIN_PX


def cut_parts(frames: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """A part of each sequence, the same of all its frames.

    Args:
        frames: (B, T, C, H, W).
        top, left: (B,) first row and column, 0 to 8.

    Returns (B, T, C, H - 8, W - 8).
    """
    height, width = part_size(*frames.shape[-2:])
    rows = top[:, None] + torch.arange(height, device=frames.device)
    columns = left[:, None] + torch.arange(width, device=frames.device)
    sequence = torch.arange(len(frames), device=frames.device)[:, None, None]
    return frames.permute(0, 3, 4, 1, 2)[sequence, rows[:, :, None], columns[:, None]].permute(
        0, 3, 4, 1, 2
    )


def draw_corners(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First row and column (n,) of a part of each of n sequences, 1 to 8, by PyTorch's generator.

    >>> top, left = draw_corners(100, torch.device("cpu"))
    >>> int(top.min()), int(left.max())
    (1, 8)
    """
    top, left = torch.randint(1, MARGIN_PX + 1, (2, n), device=device)
    return top, left
