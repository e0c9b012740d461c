"""Drops boxes that lie off the line through their neighbours."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.linking.association import UNASSIGNED
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.motion import fit_lines, to_corners
from lpw_toolkit.linking.rule import Segment
from lpw_toolkit.linking.track_table import MIN_ROWS, TrackTable

ORDER = 30
Settings = LinkConfig
DROPS = "off the line through its neighbours (--outlier-iou)"


def apply(tracks: NDArray[np.int32], segment: Segment, settings: LinkConfig) -> NDArray[np.int32]:
    """Leaves outliers out."""
    if settings.outlier_iou <= 0:
        return tracks
    table, kept = segment.table(tracks), tracks.copy()
    kept[table.row[find_outliers(table, settings.outlier_iou)]] = UNASSIGNED
    return kept


def find_outliers(table: TrackTable, min_iou: float) -> NDArray[np.bool_]:
    """(N,) boxes that overlap the line through their neighbours by less than `min_iou`; of fewer
    than three boxes of a track none is the outlier."""
    value, _ = fit_lines(table.centre, table.frame_number, table.track, MIN_ROWS, leave_out=True)
    long = np.repeat(table.last - table.first + 1 >= MIN_ROWS, table.last - table.first + 1)
    far = geometry.iou_pairs(to_corners(value), to_corners(table.centre)) < min_iou
    return np.logical_and(far, long)
