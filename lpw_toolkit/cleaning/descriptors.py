"""What a crop looks like, without a network: colours and edges of six stripes of the body, and how sharp it is."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

#: Every crop is looked at in this size (height, width): stripes are then a whole number of rows.
SIZE_PX = (96, 48)
N_STRIPES = 6
#: Lightness, two colour axes and the directions of edges, with as many bins each.
N_KINDS, N_BINS = 4, 8
#: How much each kind counts: daylight moves lightness most.
_WEIGHTS = (0.7, 1.0, 1.0, 0.7)
_CENTRE_FRAC = 0.28  # standard deviation of the weight across the crop: the person stands in the middle
_COLOUR_SPAN = 2.5  # garments lie within the middle 2/5 of the colour axes: that part is stretched over the bins
N_NUMBERS = N_KINDS * N_STRIPES * N_BINS


@dataclass(frozen=True)
class Look:
    """One crop.

    Attributes:
        vector: (N_NUMBERS,) float32: square roots of shares, so that plain differences are Hellinger distances.
        sharpness: standard deviation of the Laplacian of the grey picture in grey levels, 0 or more.
    """

    vector: Floats
    sharpness: float


def describe(pixels: Pixels) -> Look:
    """Describes a crop (H, W, 3), RGB, of any size."""
    height, width = SIZE_PX
    way = cv2.INTER_AREA if pixels.shape[0] >= height and pixels.shape[1] >= width else cv2.INTER_LINEAR
    small = cv2.resize(pixels, (width, height), interpolation=way)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    across, down = cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0), cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1)
    weight = _weights()
    parts = [
        _fill(lab[..., 0] / 255, weight, N_BINS),
        _fill((lab[..., 1] / 255 - 0.5) * _COLOUR_SPAN + 0.5, weight, N_BINS),
        _fill((lab[..., 2] / 255 - 0.5) * _COLOUR_SPAN + 0.5, weight, N_BINS),
        _fill_turns(np.arctan2(down, across), weight * np.hypot(across, down)),
    ]
    scaled = [factor * part for factor, part in zip(_WEIGHTS, parts, strict=True)]
    sharpness = float(cv2.Laplacian(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())
    return Look(np.concatenate([part.ravel() for part in scaled]).astype(np.float32), sharpness)


@cache
def _weights() -> Floats:
    height, width = SIZE_PX
    x = (np.arange(width) + 0.5) / width - 0.5
    return np.tile(np.exp(-0.5 * (x / _CENTRE_FRAC) ** 2), (height, 1)).astype(np.float32)


@cache
def _stripes() -> NDArray[np.int64]:
    height, width = SIZE_PX
    return np.repeat(np.arange(height) * N_STRIPES // height, width)


def _fill(values: Floats, weight: Floats, n_bins: int) -> Floats:
    """Roots of the shares (N_STRIPES, n_bins) of `values`, each dealt to the two bins around it."""
    place = np.clip(values.ravel() * n_bins - 0.5, 0, n_bins - 1)
    low = np.minimum(place.astype(np.int64), n_bins - 2)
    return _share(low, low + 1, (place - low).astype(np.float32), weight.ravel(), n_bins)


def _fill_turns(angle: Floats, weight: Floats) -> Floats:
    """The same for directions of edges, which have no sign: bins lie on a circle."""
    place = (angle.ravel() / np.pi % 1.0) * N_BINS
    low = place.astype(np.int64) % N_BINS
    return _share(low, (low + 1) % N_BINS, (place % 1.0).astype(np.float32), weight.ravel(), N_BINS)


def _share(low: NDArray[np.int64], high: NDArray[np.int64], rest: Floats, weight: Floats, n_bins: int) -> Floats:
    first = _stripes() * n_bins
    n = N_STRIPES * n_bins
    filled = np.bincount(first + low, weight * (1 - rest), n) + np.bincount(first + high, weight * rest, n)
    table = filled.reshape(N_STRIPES, n_bins)
    return np.asarray(np.sqrt(table / np.maximum(table.sum(axis=1, keepdims=True), 1e-9)), dtype=np.float32)
