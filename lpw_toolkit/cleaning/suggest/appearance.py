"""Appearance changes along a tracklet: distances between sampled frames, and the cuts they
suggest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.cleaning.suggest.descriptors import N_BINS, N_KINDS, N_STRIPES

Floats = NDArray[np.float64]
_N_LEFT_OUT = (
    1  # stripes at either end of the ranking: what hides a part of the body must not decide
)
_NEAR = 5  # looks on either side of a cut that tell whether it is sharp
_MIN_SIDE = 2  # looks on either side of a cut
_FLOOR_SHARE = 0.5  # of the usual distance within a tracklet: below it differences are noise


@dataclass(frozen=True)
class AppearanceChanges:
    """The looks of one tracklet, K frames of it.

    Attributes:
        apart: largest mean distance over all cuts between the frames before and those after it.
        contrast: the largest of these distances in units of the mean distance within the two sides.
        sharp: the same as `apart` from the _NEAR looks on either side alone.
        odd: largest distance of a look to its neighbours, against the usual one.
        cut: number of the look before which the most suspicious cut lies; 0 where there is none.
        odd_at: number of the oddest look.
        change: (K,) distance of each look to the _NEAR looks before it, as the strip chart shows
            it; 0 for the first.
        step: (K,) how much farther apart the _NEAR looks on either side of each are than those of
            one side, in units of the usual distance; below 0 where they are not, 0 for the first.
    """

    apart: float
    contrast: float
    sharp: float
    odd: float
    cut: int
    odd_at: int
    change: Floats
    step: Floats


def compare_appearance(vectors: NDArray[np.floating], *, by_stripe: bool) -> Floats:
    """Distances (K, K) between looks (K, D), 0 on the diagonal.

    Args:
        by_stripe: the vectors are those of `descriptors.describe`: stripes that differ most and
            least are left out. Otherwise they are embeddings, of which one minus the cosine is
            taken.
    """
    if not by_stripe:
        wide = np.asarray(vectors, dtype=np.float64)
        unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
        return np.asarray(np.clip(1 - unit @ unit.T, 0, None))
    n = len(vectors)
    stripes = (
        np.asarray(vectors, dtype=np.float64)
        .reshape(n, N_KINDS, N_STRIPES, N_BINS)
        .transpose(2, 0, 1, 3)
    )
    parts: Floats = stripes.reshape(N_STRIPES, n, N_KINDS * N_BINS)
    squares = (parts**2).sum(axis=2)
    apart = squares[:, :, None] + squares[:, None, :] - 2 * parts @ parts.transpose(0, 2, 1)
    ranked = np.sort(np.clip(apart, 0, None), axis=0)
    return np.asarray(ranked[_N_LEFT_OUT : N_STRIPES - _N_LEFT_OUT].mean(axis=0))


def find_changes(apart: Floats, usual: float) -> AppearanceChanges:
    """What the distances (K, K) between the looks of a tracklet say.

    Args:
        usual: the mean distance between two looks of one tracklet in the whole dataset.
    """
    n = len(apart)
    floor = max(_FLOOR_SHARE * usual, 1e-9)
    change, odd, step = (
        _follow(apart),
        _find_odd(apart, floor),
        _find_steps(apart) / max(usual, 1e-9),
    )
    if n < 2 * _MIN_SIDE:
        return AppearanceChanges(
            0.0, 0.0, 0.0, float(odd.max(initial=0)), 0, int(odd.argmax()) if n else 0, change, step
        )
    cuts = np.arange(_MIN_SIDE, n - _MIN_SIDE + 1)
    between, within = _split(apart, cuts)
    contrast = between / (within + floor)
    near = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= _NEAR
    sharp = _cross(np.where(near, apart, 0), cuts) / _cross(near.astype(np.float64), cuts)
    best = int(cuts[(contrast * np.sqrt(sharp)).argmax()])
    return AppearanceChanges(
        float(between.max()),
        float(contrast.max()),
        float(sharp.max()),
        float(odd.max()),
        best,
        int(odd.argmax()),
        change,
        step,
    )


def _follow(apart: Floats) -> Floats:
    return np.array(
        [0.0, *(float(apart[i, max(0, i - _NEAR) : i].mean()) for i in range(1, len(apart)))][
            : len(apart)
        ]
    )


def _find_steps(apart: Floats) -> Floats:
    """(K,) mean distance across the border before each look, less that within its two sides; _NEAR
    looks a side."""
    found = np.zeros(len(apart))
    for i in range(1, len(apart)):
        before, after = slice(max(0, i - _NEAR), i), slice(i, min(i + _NEAR, len(apart)))
        sides = [apart[side, side] for side in (before, after)]
        n_within = sum(len(side) * (len(side) - 1) for side in sides)
        within = sum(float(side.sum()) for side in sides) / max(n_within, 1)
        found[i] = float(apart[before, after].mean()) - within
    return found


def _find_odd(apart: Floats, floor: float) -> Floats:
    """(K,) distance of each look to the nearer of the two before and after it, in units of the
    usual step."""
    n = len(apart)
    if n < 3:
        return np.zeros(n)
    steps = np.diagonal(apart, 1)
    nearest = np.minimum(np.append(np.inf, steps), np.append(steps, np.inf))
    return np.asarray(nearest / (np.median(steps) + floor))


def _cross(values: Floats, cuts: NDArray[np.int64]) -> Floats:
    """Sums (C,) of the values between the looks before each cut and those after it."""
    total = np.zeros((len(values) + 1, len(values) + 1))
    total[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    return np.asarray(total[cuts, -1] - total[cuts, cuts])


def _split(apart: Floats, cuts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Mean distances (C,) across each cut, and within the two sides of it."""
    n = len(apart)
    total = np.zeros((n + 1, n + 1))
    total[1:, 1:] = apart.cumsum(axis=0).cumsum(axis=1)
    before, across = total[cuts, cuts], total[cuts, -1] - total[cuts, cuts]
    after = total[-1, -1] - before - 2 * across
    rest = n - cuts
    n_within = cuts * (cuts - 1) + rest * (rest - 1)
    return across / (cuts * rest), (before + after) / np.maximum(n_within, 1)
