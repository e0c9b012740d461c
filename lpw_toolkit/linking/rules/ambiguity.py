"""Where two tracks may have swapped identities: a track that ends beside another makes the other
one ambiguous.

before      A ──────────────────────────      B walks up to A and is no longer
            B ──────────╯                     detected: the one box left over may be
                                              either of them: A is cut where B ends …

after       A ──────────╴╶──────────────      … and the pieces are joined again only
            B ──────────╯                     where one continuation fits clearly
                                              better than its rivals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.dataset.ranges import ragged_arange
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.motion import fit_lines, to_corners
from lpw_toolkit.linking.rule import Segment
from lpw_toolkit.linking.track_table import MIN_ROWS, TrackTable, split_fragments

ORDER = 10
Settings = LinkConfig
DROPS = "in a piece of one or two frames (--min-length)"
_REACH = 5  # rows on either side of a fitted line: about a third of a second of video
_END_REACH = 3  # frames: a box that comes back later belongs to another meeting


@dataclass(frozen=True)
class AmbiguityConfig:
    """When a fragment that ends beside another one makes it ambiguous.

    Attributes:
        iou: overlap of the ended fragment, extrapolated, with the other's box, from which the two
            can be confused.
        near_iou: overlap from which they always are.
        reach: frames for which the ended fragment is extrapolated.
        weak_score: the other is ambiguous when a box beside the event has a lower score.
        front_frac: … or when its foot is above that of the ended one by more than -front_frac of
            the height: the one in front should have stayed visible.
    """

    iou: float
    near_iou: float
    reach: int
    weak_score: float
    front_frac: float


def apply(tracks: NDArray[np.int32], segment: Segment, settings: LinkConfig) -> NDArray[np.int32]:
    """Cuts tracks at small gaps and where their identity is ambiguous."""
    if not settings.cuts:
        return tracks
    tracks = split_fragments(tracks, segment.frame_number, settings.min_length)
    table = segment.table(tracks)
    config = AmbiguityConfig(
        settings.ambiguity_iou,
        settings.ambiguity_near_iou,
        _END_REACH,
        segment.score_quantile(settings.weak_score_quantile),
        0.0,
    )
    marks = np.zeros(len(tracks), dtype=bool)
    marks[table.row[find_ambiguous_splits(table, segment.scores, config)]] = True
    return split_fragments(tracks, segment.frame_number, settings.min_length, cut_before=marks)


def find_ambiguous_splits(
    table: TrackTable, scores: NDArray[np.float64], config: AmbiguityConfig
) -> NDArray[np.intp]:
    """Places in `table` before which a fragment is to be cut, because another one ends or begins
    beside it."""
    value, slope = fit_lines(table.centre, table.frame_number, table.track, _REACH)
    slope[:, 2:] = 0
    foot = value[:, 1] + value[:, 3] / 2
    length = table.last - table.first + 1
    by_frame = np.argsort(table.frame_number, kind="stable")
    fragment = np.repeat(np.arange(len(length)), length)
    found = []
    for sign, ends in ((1, table.last), (-1, table.first)):
        ends = ends[length >= MIN_ROWS]
        for offset in range(1, config.reach + 1):
            end, other = _pair_at(table, by_frame, ends, sign * offset)
            at = table.frame_number[end]
            owner = fragment[other]
            spans = (table.frame_number[table.first[owner]] <= at - (sign < 0)) & (
                table.frame_number[table.last[owner]] >= at + (sign > 0)
            )
            end, other, owner = end[spans], other[spans], owner[spans]
            extrapolated = to_corners(value[end] + sign * offset * slope[end])
            overlap = geometry.iou_pairs(extrapolated, to_corners(table.centre[other]))
            close = overlap > config.iou
            end, owner, overlap = end[close], owner[close], overlap[close]
            after = _first_after(table, owner, table.frame_number[end] - (sign < 0))
            beside = np.where(sign > 0, after - 1, after)
            height = (value[end, 3] + value[beside, 3]) / 2
            score = np.minimum(scores[table.row[after]], scores[table.row[after - 1]])
            ambiguous = (score < config.weak_score) | (overlap > config.near_iou)
            ambiguous |= foot[end] - foot[beside] > config.front_frac * height
            found.append(after[ambiguous])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.intp)


def _pair_at(
    table: TrackTable, by_frame: NDArray[np.intp], ends: NDArray[np.intp], offset: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every end paired with every box that lies `offset` frames from it, both as places in
    `table`."""
    sorted_frames = table.frame_number[by_frame]
    low = np.searchsorted(sorted_frames, table.frame_number[ends] + offset, "left")
    high = np.searchsorted(sorted_frames, table.frame_number[ends] + offset, "right")
    count = high - low
    within = ragged_arange(count)
    return np.repeat(ends, count), by_frame[np.repeat(low, count) + within]


def _first_after(
    table: TrackTable, fragment: NDArray[np.intp], frame_number: NDArray[np.int64]
) -> NDArray[np.intp]:
    """The place of each fragment's first box later than `frame_number`."""
    width = int(table.frame_number.max(initial=0)) + 2
    number = np.repeat(np.arange(len(table.first)), table.last - table.first + 1)
    return np.searchsorted(
        number * width + table.frame_number, fragment * width + frame_number, "right"
    )
