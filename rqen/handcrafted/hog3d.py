"""HOG3D: histograms of the directions of space-time gradients."""

import numpy as np
from numpy.typing import NDArray

from rqen.handcrafted.frames import cut_evenly

Floats = NDArray[np.float32]

#: Blocks along height, width and time; each has two cells along every axis.
BLOCKS = (3, 2, 2)
_GOLDEN = (1 + 5**0.5) / 2
#: The six axes of an icosahedron (6, 3) in x, y, t, unit length; any two are 63.4 degrees apart.
AXES = np.array(
    [[0, 1, _GOLDEN], [0, -1, _GOLDEN], [1, _GOLDEN, 0], [-1, _GOLDEN, 0], [_GOLDEN, 0, 1],
     [-_GOLDEN, 0, 1]]
) / np.hypot(1, _GOLDEN)  # fmt: skip
#: A gradient votes for an axis where the cosine between them is above this.
THRESHOLD = _GOLDEN / np.hypot(1, _GOLDEN)
#: Gradients shorter than this, in grey levels, have no direction.
_SHORTEST = 1e-6
#: Numbers of a descriptor: 12 blocks of 8 cells of 6 axes.
N_DIMS = int(np.prod(BLOCKS)) * 8 * len(AXES)


def vote_directions(gradient: NDArray[np.floating]) -> Floats:
    """Votes (..., 6) of gradients (..., 3) in x, y, t: how far the cosine to each axis, whatever
    its sign, is above `THRESHOLD`. The length of a gradient does not count.

    Source: vsislab/stfv3d:hog3d (facts only).

    >>> vote_directions(np.array([0.0, 0.0, 0.0])).sum()
    np.float32(0.0)
    """
    gradient = np.asarray(gradient, dtype=np.float32)
    length = np.linalg.norm(gradient, axis=-1, keepdims=True)
    cosine = np.abs(gradient @ AXES.T.astype(np.float32)) / np.maximum(length, _SHORTEST)
    return np.maximum(cosine - np.float32(THRESHOLD), 0) * (length > _SHORTEST)


def describe_volume(grey: NDArray[np.uint8]) -> Floats:
    """The descriptor (576,), unit length, of a volume of grey images (T, H, W); zeros where nothing
    has a gradient.

    Mean votes of every cell of every block. A single frame has no gradient along time; where there
    are fewer than four, cells share them.
    """
    volume = grey.astype(np.float32)
    along = [np.gradient(volume, axis=a) if volume.shape[a] > 1 else np.zeros_like(volume)
             for a in (2, 1, 0)]  # fmt: skip
    votes = vote_directions(np.stack(along, axis=-1))
    n_rows, n_columns, n_times = (2 * n for n in BLOCKS)
    rows = np.stack([votes[:, part].mean(axis=1) for part in cut_evenly(votes.shape[1], n_rows)])
    cells = np.stack([rows[:, :, part].mean(axis=2) for part in cut_evenly(rows.shape[2],
                                                                          n_columns)])  # fmt: skip
    cells = np.stack([cells[:, :, part].mean(axis=2) for part in cut_evenly(cells.shape[2],
                                                                           n_times)])  # fmt: skip
    # (time, column, row, axis) -> block by block, cell by cell
    shape = (BLOCKS[2], 2, BLOCKS[1], 2, BLOCKS[0], 2, len(AXES))
    flat = cells.reshape(shape).transpose(4, 2, 0, 5, 3, 1, 6).ravel()
    length = np.linalg.norm(flat)
    return np.asarray(flat / length if length > 0 else flat, dtype=np.float32)
