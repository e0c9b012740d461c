"""Drops tracks with too few boxes or with a gap that is too long."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.rule import Segment
from lpw_toolkit.linking.track_table import split_tracks

ORDER = 50
Settings = LinkConfig
DROPS = "track too short (--min-length)"


def apply(tracks: NDArray[np.int32], segment: Segment, settings: LinkConfig) -> NDArray[np.int32]:
    """Cuts tracks at gaps above `max_gap`, and drops the pieces shorter than `min_length`."""
    return split_tracks(
        tracks,
        segment.frame_number,
        max_gap=settings.max_gap,
        min_length=settings.min_length,
    )
