"""Drops tracks with a low mean score: they may show no person."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.linking.association import UNASSIGNED
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.rule import Segment
from lpw_toolkit.linking.track_table import TrackTable

ORDER = 60
Settings = LinkConfig
DROPS = "track of weak boxes (--track-score-quantile)"


def apply(tracks: NDArray[np.int32], segment: Segment, settings: LinkConfig) -> NDArray[np.int32]:
    """Drops tracks with a low mean score."""
    min_score = segment.score_quantile(settings.track_score_quantile)
    if min_score <= 0:
        return tracks
    table, kept = segment.table(tracks), tracks.copy()
    kept[table.row[mean_scores(table, segment.scores) < min_score]] = UNASSIGNED
    return kept


def mean_scores(table: TrackTable, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the mean score of each box's track."""
    length = table.last - table.first + 1
    if not len(length):
        return np.zeros(0)
    return np.repeat(np.add.reduceat(scores[table.row], table.first) / length, length)
