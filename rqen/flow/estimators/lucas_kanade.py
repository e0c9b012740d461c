"""Dense Lucas-Kanade flow of two frames, with the settings of MATLAB's `opticalFlowLK`.

Within a small window all pixels are taken to move alike, so that the flow w of each pixel is the
least-squares solution of Ix u + Iy v + It = 0 over its window:

    A w = -g,   A = sum [Ix^2, Ix Iy; Ix Iy, Iy^2],   g = sum [Ix It, Iy It]

It is good for motions of half a pixel and less; longer ones are underestimated.

Source: MathWorks, opticalFlowLK (kernels, threshold, cases); the method: Lucas and Kanade, 1981.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Floats = NDArray[np.float32]

_DERIVATIVE = np.array([1, -8, 0, 8, -1], dtype=np.float32) / 12
_WINDOW = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16
#: Of the eigenvalues of A, grey values 0-255: below it there is no structure to follow.
_THRESHOLD = 0.0039
#: Frames at once: their 20 arrays stay within the cache of a processor.
_N_AT_ONCE = 16


def estimate_flow(frames: Floats) -> Floats:
    """Flow (T - 1, H, W, 2), horizontal and vertical in pixels, of grey frames (T, H, W), 0-255.

    Where only one eigenvalue of A reaches the threshold (an edge) the flow is the part across it,
    the shortest of the solutions; where none does it is 0.

    >>> row = np.tile(np.sin(np.arange(40) / 4), (40, 1)).astype(np.float32) * 100 + 128
    >>> moved = np.tile(np.sin((np.arange(40) - 0.5) / 4), (40, 1)).astype(np.float32) * 100 + 128
    >>> flow = estimate_flow(np.stack([row, moved]))
    >>> bool(abs(np.median(flow[0, 5:-5, 5:-5, 0]) - 0.5) < 0.05)
    True
    """
    n = len(frames) - 1
    flow = np.empty((n, *frames.shape[1:], 2), dtype=np.float32)
    for first in range(0, n, _N_AT_ONCE):
        flow[first : first + _N_AT_ONCE] = _solve(frames[first : first + _N_AT_ONCE + 1])
    return flow


def _solve(frames: Floats) -> Floats:
    before = frames[:-1]
    ix, iy = (correlate1d(before, _DERIVATIVE, axis, mode="nearest") for axis in (2, 1))
    it = frames[1:] - before
    xx, xy, yy, xt, yt = (
        correlate1d(correlate1d(product, _WINDOW, 2, mode="nearest"), _WINDOW, 1, mode="nearest")
        for product in (ix * ix, ix * iy, iy * iy, ix * it, iy * it)
    )
    half, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    corner, edge = half - spread >= _THRESHOLD, half + spread >= _THRESHOLD
    determinant = np.where(corner, xx * yy - xy * xy, 1)
    trace = np.where(edge, xx + yy, 1)
    across = np.stack([-xt, -yt], axis=-1) / trace[..., None]
    full = np.stack([xy * yt - yy * xt, xy * xt - xx * yt], axis=-1) / determinant[..., None]
    return np.where(corner[..., None], full, np.where(edge[..., None], across, 0))
