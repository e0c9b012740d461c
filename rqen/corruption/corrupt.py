"""The three kinds of corruption, on one region of one image: covered by a patch of another person,
blurred, darkened."""

import cv2
import numpy as np
from numpy.typing import NDArray

from rqen.corruption.plan import BLUR, COVER, CorruptionConfig

Pixels = NDArray[np.uint8]


def find_rows(height_px: int, division: tuple[float, ...], region: int) -> tuple[int, int]:
    """Rows [top, bottom) of a region in an image of this height: at least one."""
    borders = np.rint(np.cumsum([0.0, *division]) / sum(division) * height_px).astype(int)
    top = min(int(borders[region]), height_px - 1)
    return top, max(int(borders[region + 1]), top + 1)


def find_corrupted_rows(
    height_px: int, region: int, height: float, config: CorruptionConfig
) -> tuple[int, int]:
    """Rows [top, bottom) that are corrupted: a region, or as many rows elsewhere.

    Args:
        height: see `Corruption`.

    >>> find_corrupted_rows(70, 1, 0.99, CorruptionConfig())
    (30, 50)
    >>> find_corrupted_rows(70, 1, 0.99, CorruptionConfig(position="random"))
    (50, 70)
    """
    top, bottom = find_rows(height_px, config.division, region)
    if config.position == "random":
        n_rows = bottom - top
        top = int(height * (height_px - n_rows + 1))
        bottom = top + n_rows
    return top, bottom


def find_main_region(height_px: int, rows: tuple[int, int], division: tuple[float, ...]) -> int:
    """The region that most of `rows` [top, bottom) lie in; of equals the upper one."""
    overlaps = []
    for region in range(len(division)):
        top, bottom = find_rows(height_px, division, region)
        overlaps.append(min(bottom, rows[1]) - max(top, rows[0]))
    return int(np.argmax(overlaps))


def corrupt_region(
    image: Pixels,
    region: int,
    kind: int,
    donor: Pixels | None,
    place: NDArray[np.float64],
    config: CorruptionConfig,
    height: float = 0.0,
) -> Pixels:
    """A copy of an image (H, W, 3) with one region corrupted; every other row is as before.

    Args:
        region, kind: places in REGIONS and KINDS.
        donor: another person's image of the same size; `cover` needs it.
        place, height: see `Corruption`.
    """
    image = image.copy()
    top, bottom = find_corrupted_rows(image.shape[0], region, height, config)
    part = image[top:bottom]
    if kind == COVER and donor is not None:
        _cover(part, donor, place, config)
    elif kind == BLUR:
        sigma = config.blur_sigma_frac * image.shape[0]
        part[:] = cv2.GaussianBlur(
            np.ascontiguousarray(part), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE
        )
    else:
        part[:] = np.rint(part * config.darken_factor).astype(np.uint8)
    return image


def _cover(
    part: Pixels, donor: Pixels, place: NDArray[np.float64], config: CorruptionConfig
) -> None:
    tall = max(1, round(config.cover_height_frac * part.shape[0]))
    wide = max(1, round(config.cover_width_frac * part.shape[1]))
    room = [
        part.shape[0] - tall,
        part.shape[1] - wide,
        donor.shape[0] - tall,
        donor.shape[1] - wide,
    ]
    down, right, donor_down, donor_right = (
        int(share * (n + 1)) for share, n in zip(place, room, strict=True)
    )
    part[down : down + tall, right : right + wide] = donor[
        donor_down : donor_down + tall, donor_right : donor_right + wide
    ]
