"""The boxes of linked tracks as a dataset holds them: moved onto the smooth course that their crops are cut from."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.crops import CropConfig, smooth_boxes
from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.tables import boxes_of


def smooth_tracks(detections: pa.Table, tracks: NDArray[np.int32], sigma_frames: float | None = None) -> pa.Table:
    """`detections` with the boxes of every track smoothed along it; rows of no track stay as they are.

    A detector's box trembles; where two people overlap it jumps between them. The course of the track tells more than
    one box, so this is what `lpw link` writes and what is compared with the state that a Kalman tracker puts out.

    Args:
        tracks: (N,) as `link.link` gives it.
        sigma_frames: standard deviation of the kernel; the one that crops are refined with when not given; 0 = none.
    """
    sigma = CropConfig().smooth_frames if sigma_frames is None else sigma_frames
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
        out = out.set_column(place, schema.DETECTIONS.field(side), pa.array(boxes[:, column].astype(np.float32)))
    return out
