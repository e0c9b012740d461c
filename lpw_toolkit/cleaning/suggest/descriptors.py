"""Two descriptors of a crop without a network (colours and edges), and its sharpness.

Shares of colours and edges in six stripes of the body tell whether two frames of one tracklet look
alike: they forgive what hides a part. Means and deviations of colours in twelve stripes tell who
somebody is across cameras: a camera's cast, brightness and contrast shift and stretch them, and are
taken off again (`even_out`).
"""

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
_CENTRE_FRAC = (
    0.28  # standard deviation of the weight across the crop: the person stands in the middle
)
# garments lie within the middle 2/5 of the colour axes: that part is stretched over the bins
_COLOUR_SPAN = 2.5
N_NUMBERS = N_KINDS * N_STRIPES * N_BINS
#: A portrait: mean and deviation of three channels in each of so many stripes, and the directions
#: of edges in others.
N_CHANNELS, N_COLOUR_STRIPES, N_EDGE_STRIPES = 3, 12, 8
N_COLOURS = 2 * N_CHANNELS * N_COLOUR_STRIPES
N_PORTRAIT = N_COLOURS + N_EDGE_STRIPES * N_BINS
_PORTRAIT_FRAC, _EDGE_WEIGHT = (
    0.16,
    0.5,
)  # of the crop's width, as _CENTRE_FRAC; of edges beside colours


@dataclass(frozen=True)
class Look:
    """One crop.

    Attributes:
        vector: (N_NUMBERS,) float32: square roots of shares, so that plain differences are
            Hellinger distances.
        portrait: (N_PORTRAIT,) float32: N_COLOUR_STRIPES rows of three means and three deviations
            (8-bit Lab), edges.
        sharpness: standard deviation of the Laplacian of the grey picture in grey levels, 0 or
            more.
    """

    vector: Floats
    portrait: Floats
    sharpness: float


def describe(pixels: Pixels) -> Look:
    """Describes a crop (H, W, 3), RGB, of any size."""
    height, width = SIZE_PX
    way = (
        cv2.INTER_AREA
        if pixels.shape[0] >= height and pixels.shape[1] >= width
        else cv2.INTER_LINEAR
    )
    small = cv2.resize(pixels, (width, height), interpolation=way)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    across, down = (
        cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0),
        cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1),
    )
    weight = _weights(_CENTRE_FRAC)
    size, turns = np.hypot(across, down), np.arctan2(down, across)
    parts = [
        _fill(lab[..., 0] / 255, weight, N_BINS),
        _fill((lab[..., 1] / 255 - 0.5) * _COLOUR_SPAN + 0.5, weight, N_BINS),
        _fill((lab[..., 2] / 255 - 0.5) * _COLOUR_SPAN + 0.5, weight, N_BINS),
        _fill_turns(turns, weight * size, N_STRIPES),
    ]
    scaled = [factor * part for factor, part in zip(_WEIGHTS, parts, strict=True)]
    sharpness = float(cv2.Laplacian(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())
    edges = _EDGE_WEIGHT * _fill_turns(turns, weight * size, N_EDGE_STRIPES)
    portrait = np.concatenate([_measure_colours(lab).ravel(), edges.ravel()]).astype(np.float32)
    return Look(
        np.concatenate([part.ravel() for part in scaled]).astype(np.float32), portrait, sharpness
    )


def measure_spread(
    portraits: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and mean square (N_CHANNELS,) of the pixels of portraits (K, N_PORTRAIT)."""
    parts = portraits[:, :N_COLOURS].astype(np.float64).reshape(-1, 2, N_CHANNELS)
    return parts[:, 0].mean(axis=0), (parts**2).sum(axis=1).mean(axis=0)


def even_out(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors (N_PORTRAIT,) that take a camera's contrast off, given the deviations (N_CHANNELS,)
    of its pixels."""
    factors = np.tile(1 / np.maximum(spread, 1e-6), 2 * N_COLOUR_STRIPES)
    return np.concatenate([factors, np.ones(N_PORTRAIT - N_COLOURS)])


def _measure_colours(lab: Floats) -> NDArray[np.float64]:
    """Mean and deviation (N_COLOUR_STRIPES, 2, N_CHANNELS) of each channel in each stripe."""
    height, _ = SIZE_PX
    weight = _weights(_PORTRAIT_FRAC)[0].astype(np.float64)
    weight /= weight.sum()
    rows = np.stack([lab, lab * lab]).transpose(0, 1, 3, 2) @ weight  # (2, height, channels)
    mean, square = rows.reshape(2, N_COLOUR_STRIPES, height // N_COLOUR_STRIPES, N_CHANNELS).mean(
        axis=2
    )
    return np.stack([mean, np.sqrt(np.maximum(square - mean**2, 0))], axis=1)


@cache
def _weights(spread_frac: float) -> Floats:
    height, width = SIZE_PX
    x = (np.arange(width) + 0.5) / width - 0.5
    return np.tile(np.exp(-0.5 * (x / spread_frac) ** 2), (height, 1)).astype(np.float32)


@cache
def _stripes(n: int) -> NDArray[np.int64]:
    height, width = SIZE_PX
    return np.repeat(np.arange(height) * n // height, width)


def _fill(values: Floats, weight: Floats, n_bins: int) -> Floats:
    """Roots of the shares (N_STRIPES, n_bins) of `values`, each dealt to the two bins around it."""
    place = np.clip(values.ravel() * n_bins - 0.5, 0, n_bins - 1)
    low = np.minimum(place.astype(np.int64), n_bins - 2)
    return _share(low, low + 1, (place - low).astype(np.float32), weight.ravel(), N_STRIPES, n_bins)


def _fill_turns(angle: Floats, weight: Floats, n_stripes: int) -> Floats:
    """The same for directions of edges, which have no sign: bins lie on a circle."""
    place = (angle.ravel() / np.pi % 1.0) * N_BINS
    low = place.astype(np.int64) % N_BINS
    return _share(
        low, (low + 1) % N_BINS, (place % 1.0).astype(np.float32), weight.ravel(), n_stripes, N_BINS
    )


def _share(
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    rest: Floats,
    weight: Floats,
    n_stripes: int,
    n_bins: int,
) -> Floats:
    first = _stripes(n_stripes) * n_bins
    n = n_stripes * n_bins
    filled = np.bincount(first + low, weight * (1 - rest), n) + np.bincount(
        first + high, weight * rest, n
    )
    table = filled.reshape(n_stripes, n_bins)
    return np.asarray(
        np.sqrt(table / np.maximum(table.sum(axis=1, keepdims=True), 1e-9)), dtype=np.float32
    )
