"""Measures the box jitter of a detector."""

import numpy as np

from lpw_toolkit.linking.motion import fit_lines
from lpw_toolkit.linking.track_table import MIN_ROWS, TrackTable

_MIN_BOXES = 200  # fewer give no estimate


def measure_box_jitter(table: TrackTable) -> float:
    """How far heights are off the line through their neighbours: the median absolute logarithm of
    the ratio.

    Infinite for fewer than _MIN_BOXES boxes.
    """
    if len(table.row) < _MIN_BOXES:
        return float("inf")
    value, _ = fit_lines(
        table.centre, table.frame_number, table.track, MIN_ROWS + 2, leave_out=True
    )
    return float(
        np.median(np.abs(np.log(np.maximum(table.centre[:, 3], 1) / np.maximum(value[:, 3], 1))))
    )
