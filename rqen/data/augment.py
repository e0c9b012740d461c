"""Augments training images. All frames of a set share one random draw, so that they stay alike."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
#: Area of an erased rectangle as a share of the image, and its height over its width.
#: Source: Zhong et al., Random Erasing Data Augmentation, AAAI 2020;
#: michuanhaohao/reid-strong-baseline.
ERASED_AREA, ERASED_ASPECT = (0.02, 0.4), (0.3, 1 / 0.3)
_N_TRIES = 100


@dataclass(frozen=True)
class Augmentation:
    """The random changes of each set.

    Attributes:
        flip: chance of the mirror image.
        crop: pixels of black around the image before a random part of the old size is taken.
        erase: chance that a rectangle is filled.
        fill: what it is filled with, RGB 0-255: the mean that is subtracted later, so that it says
            nothing.
        cut: height and width in pixels of the random part that is taken; None: all of the image.
    """

    flip: float
    crop: int
    erase: float
    fill: tuple[int, ...]
    cut: tuple[int, int] | None = None

    def apply(
        self,
        images: Pixels,
        rng: np.random.Generator,
        mirror: Callable[[Pixels], Pixels] | None = None,
    ) -> Pixels:
        """A set (T, H, W, C), changed; `mirror` makes the mirror image, where it is more than the
        reversed order of columns."""
        if rng.random() < self.flip:
            images = images[:, :, ::-1] if mirror is None else mirror(images)
        if self.crop:
            images = _shift(images, self.crop, rng)
        if self.cut is not None:
            images = _cut(images, self.cut, rng)
        if rng.random() < self.erase:
            images = _erase(images, self.fill, rng)
        return images


def _shift(images: Pixels, pad: int, rng: np.random.Generator) -> Pixels:
    height, width = images.shape[1:3]
    top, left = rng.integers(0, 2 * pad + 1, 2)
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return padded[:, top : top + height, left : left + width]


def _cut(images: Pixels, size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    spare = np.subtract(images.shape[1:3], size)
    top, left = rng.integers(0, spare + 1)
    return images[:, top : top + size[0], left : left + size[1]]


def _erase(images: Pixels, fill: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    height, width = images.shape[1:3]
    for _ in range(_N_TRIES):
        area = rng.uniform(*ERASED_AREA) * height * width
        aspect = rng.uniform(*ERASED_ASPECT)
        tall, wide = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < tall < height and 0 < wide < width:
            top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
            images = images.copy()
            images[:, top : top + tall, left : left + wide] = fill
            return images
    return images
