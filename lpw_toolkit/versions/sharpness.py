"""How sharp images are: the variance of the Laplacian."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.image_reader import ImageReader
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.progress import show_progress

#: Height and width that images are compared at: sharpness depends on it.
SIZE_PX = (128, 64)
#: Images of a tracklet that are looked at, evenly spread.
N_IMAGES = 16


def measure_image(pixels: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the grey image, in squared grey levels (0 to 255); 0 for one
    colour. The median of real crops at `SIZE_PX` is 1,100 on LPW, 1,300 on MARS and 150 on
    TUD-Stadtmitte, a soft film; below 30 where they are blurred by a Gaussian of 1/64 of their
    height.

    Args:
        pixels: (H, W, 3) RGB.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.

    >>> measure_image(np.full((128, 64, 3), 90, np.uint8))
    0.0
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def measure_tracklets(
    images: ImageReader, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sharpness (n,) of tracklets: the median of up to 16 of their images, evenly spread, each
    shrunk or stretched to 128 x 64 pixels. A few images are in memory at a time.

    Args:
        starts: (n,) first row of each tracklet in the table of frames.
        lengths: (n,) its number of images.

    Errors: CorruptCropError.
    """
    picked = [_pick(start, n) for start, n in zip(starts.tolist(), lengths.tolist(), strict=True)]
    rows = [row for part in picked for row in part]
    found = np.zeros(len(rows))
    with show_progress("sharpness", len(rows), "images") as progress:
        work = prefetch(lambda row: measure_image(images.decode(row, SIZE_PX)), rows)
        for i, value in enumerate(work):
            found[i] = value
            progress.advance(1)
    borders = np.cumsum([0, *map(len, picked)])
    return np.array([np.median(found[a:b]) for a, b in pairwise(borders)])


def _pick(start: int, n: int) -> list[int]:
    """Up to `N_IMAGES` rows, evenly spread from the first to the last."""
    steps = np.linspace(0, n - 1, min(n, N_IMAGES)).round().astype(int)
    return [start + int(step) for step in steps]
