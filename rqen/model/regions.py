"""Regional features: the last map is cut along its height, and each part is averaged (RQEN, "Region
Proposals")."""

import functools

import torch
from torch import Tensor

from rqen.model.method import DIVISION


def weigh_rows(height: int, division: tuple[float, ...] = DIVISION) -> Tensor:
    """How much of each row belongs to each region: (R, H) float32, each region's weights sum to 1.

    Region r owns the part [c_r, c_{r+1}) of the height with c from the cumulated `division`; a row
    cut by a border counts for both regions by its share. On 7 rows 3:2:2 is exact: rows 0-2, 3-4,
    5-6.
    """
    parts = torch.tensor(division, dtype=torch.float64)
    borders = (
        torch.cat([torch.zeros(1, dtype=torch.float64), parts.cumsum(0) / parts.sum()]) * height
    )
    rows = torch.arange(height, dtype=torch.float64)
    overlap = torch.minimum(rows[None] + 1, borders[1:, None]) - torch.maximum(
        rows[None], borders[:-1, None]
    )
    overlap = overlap.clamp(min=0)
    return (overlap / overlap.sum(dim=1, keepdim=True)).float()


def pool_regions(maps: Tensor, division: tuple[float, ...] = DIVISION) -> Tensor:
    """Maps (N, C, H, W) to regional features (N, R, C): the mean over the rows of each region and
    all columns."""
    place = _place_rows.__wrapped__ if torch.compiler.is_compiling() else _place_rows
    weights = place(maps.shape[2], division, maps.device, maps.dtype)
    return torch.einsum("nch,rh->nrc", maps.mean(dim=3), weights)


@functools.lru_cache(maxsize=64)  # a copy to a GPU in every step would stop it
def _place_rows(
    height: int, division: tuple[float, ...], device: torch.device, dtype: torch.dtype
) -> Tensor:
    return weigh_rows(height, division).to(device, dtype)
