"""Smooths the boxes of a track, for the dataset and for its crops."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.boxes import Boxes
from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.tables import boxes_of

#: Standard deviation of the smoothing kernel, in frames. 3: best mean IoU with truth on PETS09-S2L1
#: (.753 raw -> .783) and TUD-Stadtmitte (.777 -> .791).
SMOOTH_FRAMES = 3.0
MAX_CUT_FRAC = 0.14


def smooth_tracks(
    detections: pa.Table, tracks: NDArray[np.int32], sigma_frames: float | None = None
) -> pa.Table:
    """`detections` with the boxes of every track smoothed along it; rows of no track stay as they
    are.

    A detector's boxes jitter; where two people overlap they jump between them. The whole track
    says more than one box, so this is what `lpw link` writes and what is compared with the state
    that a Kalman tracker puts out.

    Args:
        tracks: (N,) from `linker.link`.
        sigma_frames: standard deviation of the kernel; the one that crops are refined with when not
            given; 0 = none.
    """
    sigma = SMOOTH_FRAMES if sigma_frames is None else sigma_frames
    boxes, frame = boxes_of(detections), detections["frame_index"].to_numpy().astype(np.int64)
    if sigma <= 0:
        return detections
    order = np.argsort(tracks, kind="stable")
    borders = np.searchsorted(tracks[order], np.arange(tracks.max(initial=-1) + 2))
    for start, stop in pairwise(borders):
        rows = order[start:stop]
        boxes[rows] = smooth_boxes(boxes[rows], frame[rows], sigma)
    out = detections
    for column, side in enumerate(("x1", "y1", "x2", "y2")):
        place = schema.DETECTIONS.get_field_index(side)
        out = out.set_column(
            place, schema.DETECTIONS.field(side), pa.array(boxes[:, column].astype(np.float32))
        )
    return out


def smooth_boxes(raw: Boxes, frame_index: NDArray[np.int64], sigma_frames: float) -> Boxes:
    """Boxes (N, 4) smoothed along a track: centres over `sigma_frames`, sizes (in log) over
    twice that.

    A person's size changes more slowly than the place, so it is averaged for longer. No side moves
    further into the raw box than MAX_CUT_FRAC of its extent: smoothing over a jump must not cut a
    person off.
    """
    extent = np.maximum(raw[:, 2:] - raw[:, :2], 1e-3)
    centre = _fit_robustly((raw[:, :2] + raw[:, 2:]) / 2, frame_index, sigma_frames, extent)
    half = (
        np.exp(_fit_robustly(np.log(extent), frame_index, 2 * sigma_frames, np.ones_like(extent)))
        / 2
    )
    low = np.minimum(centre - half, raw[:, :2] + MAX_CUT_FRAC * extent)
    high = np.maximum(centre + half, raw[:, 2:] - MAX_CUT_FRAC * extent)
    return np.concatenate([low, high], axis=1)


def _fit_robustly(
    values: NDArray[np.float64], at: NDArray[np.int64], sigma: float, unit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A local linear fit in two passes: in the second, values far off the first (an arm swung out)
    count less."""
    fitted = _fit_locally(values, at, sigma, np.ones_like(values))
    miss = np.abs(values - fitted) / unit
    spread = 1.4826 * np.median(miss, axis=0) + 1e-3
    return _fit_locally(values, at, sigma, 1.0 / np.maximum(1.0, miss / (2.0 * spread)))


def _fit_locally(
    values: NDArray[np.float64], at: NDArray[np.int64], sigma: float, weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted local linear regression of `values` (N, C) over times `at` (N,), evaluated at those
    times."""
    n, reach = len(at), int(np.ceil(3 * sigma))
    rows = np.arange(n)[:, None] + np.arange(-reach, reach + 1)[None, :]
    valid = (rows >= 0) & (rows < n)
    rows = np.clip(rows, 0, n - 1)
    distance = (at[rows] - at[:, None]).astype(np.float64)
    kernel = np.where(valid, np.exp(-0.5 * (distance / sigma) ** 2), 0.0)
    w = kernel[:, :, None] * weight[rows]
    t = distance[:, :, None]
    s0, s1, s2 = w.sum(1), (w * t).sum(1), (w * t * t).sum(1)
    v = values[rows]
    b0, b1 = (w * v).sum(1), (w * t * v).sum(1)
    spread = s0 * s2 - s1**2
    straight: NDArray[np.float64] = (s2 * b0 - s1 * b1) / np.where(spread > 1e-9, spread, 1.0)
    straight[spread <= 1e-9] = (b0 / s0)[spread <= 1e-9]
    return straight
