"""Trims tracks so that they begin and end with a box of high score."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.linking.association import UNASSIGNED
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.rule import Segment
from lpw_toolkit.linking.track_table import TrackTable, split_tracks

ORDER = 40
Settings = LinkConfig
DROPS = "weak end of a track (--end-score-quantile)"


def apply(tracks: NDArray[np.int32], segment: Segment, settings: LinkConfig) -> NDArray[np.int32]:
    """Cuts tracks at gaps above `max_gap`, and trims the weak ends of the pieces."""
    min_score = segment.score_quantile(settings.end_score_quantile)
    if min_score <= 0:
        return tracks
    kept = split_tracks(tracks, segment.frame_number, max_gap=settings.max_gap, min_length=1)
    table = segment.table(kept)
    kept[table.row[find_weak_ends(table, segment.scores, min_score)]] = UNASSIGNED
    return kept


def find_weak_ends(
    table: TrackTable, scores: NDArray[np.float64], min_score: float
) -> NDArray[np.bool_]:
    """(N,) boxes before the first and after the last one of their track that reaches
    `min_score`."""
    strong = scores[table.row] >= min_score
    length = table.last - table.first + 1
    count = np.cumsum(strong)
    before: NDArray[np.intp] = np.repeat(count[table.first] - strong[table.first], length)
    total = np.repeat(count[table.last], length)
    weak: NDArray[np.bool_] = (count == before) | ((count == total) & ~strong)
    return weak
