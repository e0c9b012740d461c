"""Colour histograms and local binary patterns of horizontal strips."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

from rqen.handcrafted.frames import cut_evenly

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

N_STRIPS = 6
#: Bins of each channel of HSV and Lab.
N_BINS = 16
#: Patterns of eight neighbours with at most two changes, and one for all others.
N_PATTERNS = 59
N_COLOUR_DIMS = N_STRIPS * 6 * N_BINS
N_TEXTURE_DIMS = N_STRIPS * N_PATTERNS


def measure_colours(image: Image) -> Floats:
    """Histograms (576,) of hue, saturation, value, L, a, b in each strip of an image (H, W, 3) RGB;
    those of a strip and channel sum to 1.

    >>> measure_colours(np.zeros((6, 2, 3), np.uint8)).sum()
    np.float32(36.0)
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    channels = np.concatenate([hsv, lab], axis=2).astype(np.int64)
    levels = np.array([180, 256, 256, 256, 256, 256])  # OpenCV's hue is in steps of two degrees
    return _count_strips(channels * N_BINS // levels, N_BINS)


def measure_texture(image: Image) -> Floats:
    """Histograms (354,) of uniform local binary patterns (8 neighbours at 1 pixel, grey) in each
    strip of an image (H, W, 3) RGB; those of a strip sum to 1.

    >>> measure_texture(np.zeros((6, 2, 3), np.uint8)).sum()
    np.float32(6.0)
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    framed = cv2.copyMakeBorder(grey, 1, 1, 1, 1, cv2.BORDER_REPLICATE)  # no dark frame is seen
    codes = local_binary_pattern(framed, 8, 1, method="nri_uniform")[1:-1, 1:-1]
    return _count_strips(codes.astype(np.int64)[:, :, None], N_PATTERNS)


def _count_strips(codes: NDArray[np.int64], n_codes: int) -> Floats:
    """Shares of the codes (H, W, C) in each strip: strip by strip, channel by channel, flat."""
    n_channels = codes.shape[2]
    shifted = codes + n_codes * np.arange(n_channels)
    counts = [
        np.bincount(shifted[rows].ravel(), minlength=n_codes * n_channels)
        / shifted[rows, :, 0].size
        for rows in cut_evenly(len(codes), N_STRIPS)
    ]
    return np.concatenate(counts).astype(np.float32)
