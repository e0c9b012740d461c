"""The cells of feature maps: where a network without anchors places its answers."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)


def count_cells(height: int, width: int) -> int:
    """How many cells an input has, of all strides."""
    return sum((height // stride) * (width // stride) for stride in STRIDES)


@lru_cache(maxsize=8)
def lay_grid(width: int, height: int) -> NDArray[np.float32]:
    """The cells (A, 3) of an input of `width` x `height`: column, row and stride in pixels, finest
    stride first."""
    levels = []
    for stride in STRIDES:
        rows, columns = np.meshgrid(
            np.arange(height // stride), np.arange(width // stride), indexing="ij"
        )
        levels.append(np.stack([columns.ravel(), rows.ravel(), np.full(rows.size, stride)], axis=1))
    return np.concatenate(levels).astype(np.float32)


def keep_best(person: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scores of persons (A,); 0 where another class of `scores` (A, classes) has a higher
    one."""
    return np.where(person >= scores.max(axis=1), person, np.float32(0))
