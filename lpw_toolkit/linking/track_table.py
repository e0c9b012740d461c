"""Linked boxes as one table, sorted by track and frame, and the operation that splits tracks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.linking.association import UNASSIGNED
from lpw_toolkit.linking.motion import to_centres

MIN_ROWS = 3  # fewer give no direction
FOLLOW_GAP = 2  # overlap follows over one missed frame; motion joins over longer gaps


@dataclass(frozen=True)
class TrackTable:
    """The linked boxes of one segment, sorted by (fragment, frame number).

    Attributes:
        row: (N,) row of each in the segment's boxes.
        track: (N,) its fragment.
        frame_number: (N,) number of its frame.
        centre: (N, 4) centre x, centre y, width, height.
        first, last: (F,) places of each fragment's first and last box.
    """

    row: NDArray[np.intp]
    track: NDArray[np.int64]
    frame_number: NDArray[np.int64]
    centre: NDArray[np.float64]
    first: NDArray[np.intp]
    last: NDArray[np.intp]


def make_track_table(
    tracks: NDArray[np.int32], boxes: NDArray[np.float64], frame_number: NDArray[np.int64]
) -> TrackTable:
    """The table of the boxes whose track is not UNASSIGNED."""
    row = np.flatnonzero(tracks != UNASSIGNED)
    row = row[np.lexsort((frame_number[row], tracks[row]))]
    track = tracks[row].astype(np.int64)
    border = np.flatnonzero(np.diff(track))
    ends = np.array([len(row) - 1] if len(row) else [], dtype=np.intp)
    starts = np.array([0] if len(row) else [], dtype=np.intp)
    return TrackTable(
        row,
        track,
        frame_number[row],
        to_centres(boxes[row]),
        np.concatenate([starts, border + 1]),
        np.append(border, ends),
    )


def split_tracks(
    tracks: NDArray[np.int32],
    frame_number: NDArray[np.int64],
    *,
    max_gap: int,
    min_length: int,
    cut_before: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """New track numbers: cut at gaps above `max_gap` and before marked rows; pieces that are too
    short become UNASSIGNED."""
    out = np.full(len(tracks), UNASSIGNED, dtype=np.int32)
    row = np.flatnonzero(tracks != UNASSIGNED)
    row = row[np.lexsort((frame_number[row], tracks[row]))]
    if not len(row):
        return out
    border = (np.diff(tracks[row]) != 0) | (np.diff(frame_number[row]) > max_gap)
    if cut_before is not None:
        border |= cut_before[row][1:]
    piece = np.concatenate([[0], np.cumsum(border)])
    long = np.bincount(piece)[piece] >= min_length
    out[row[long]] = piece[long]
    return out


def split_fragments(
    tracks: NDArray[np.int32],
    frame_number: NDArray[np.int64],
    min_length: int = MIN_ROWS,
    cut_before: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """`split_tracks` into pieces that overlap alone holds together, long enough for a direction.

    A `min_length` below that is the user's word: shorter pieces stay, though nothing is joined to
    them.
    """
    return split_tracks(
        tracks,
        frame_number,
        max_gap=FOLLOW_GAP,
        min_length=min(MIN_ROWS, min_length),
        cut_before=cut_before,
    )
