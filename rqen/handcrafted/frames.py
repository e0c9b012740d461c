"""Frames as hand-crafted features see them, and even cuts of them."""

import cv2
import numpy as np
from numpy.typing import NDArray

#: Height and width, in pixels, of the images that features are measured on.
SIZE_PX = (128, 64)


def stretch_frames(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) at 128 x 64 pixels; the same array where they have that size.

    >>> stretch_frames(np.zeros((2, 30, 20, 3), np.uint8)).shape
    (2, 128, 64, 3)
    """
    if images.shape[1:3] == SIZE_PX:
        return images
    return np.stack([cv2.resize(image, SIZE_PX[::-1]) for image in images])


def cut_evenly(length: int, n_parts: int) -> list[slice]:
    """`n_parts` slices of 0 to `length` as even as can be; where there are fewer places than parts,
    some are shown twice, so that no part is empty.

    >>> cut_evenly(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    >>> cut_evenly(1, 2)
    [slice(0, 1, None), slice(0, 1, None)]
    """
    borders = np.arange(n_parts + 1) * length // n_parts
    starts = np.minimum(borders[:-1], length - 1)
    return [slice(int(a), int(max(b, a + 1))) for a, b in zip(starts, borders[1:], strict=True)]
