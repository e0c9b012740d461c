"""Names of pieces: a tracklet, or the part of one between two cuts, by its original frame
positions.

`scen1/view2/000012` is the whole, `scen1/view2/000012@40-100` its frames at positions 40 to 99. A
name says by itself which frames a decision was about, whatever is decided later.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_PART = re.compile(r"(.+)@(0|[1-9][0-9]{0,9})-([1-9][0-9]{0,9})", re.DOTALL)


class Piece(NamedTuple):
    """Frames `start` to `stop` (half-open positions) of a tracklet."""

    tracklet: str
    start: int
    stop: int

    def covers(self, other: "Piece") -> bool:
        """Whether all frames of `other` are among these."""
        return (
            self.tracklet == other.tracklet
            and self.start <= other.start
            and other.stop <= self.stop
        )


def name_piece(piece: Piece, n_frames: int) -> str:
    """The name of `piece` of a tracklet with `n_frames` frames."""
    whole = piece.start == 0 and piece.stop == n_frames
    return piece.tracklet if whole else f"{piece.tracklet}@{piece.start}-{piece.stop}"


def find_piece(name: str, n_frames: Mapping[str, int]) -> Piece | None:
    """The piece called `name`; None where there is no such tracklet or it has not those frames.

    Args:
        n_frames: number of frames of every tracklet.
    """
    if name in n_frames:
        return Piece(name, 0, n_frames[name])
    match = _PART.fullmatch(name)
    if not match or match[1] not in n_frames:
        return None
    start, stop, whole = int(match[2]), int(match[3]), n_frames[match[1]]
    is_part = start < stop <= whole and stop - start < whole
    return Piece(match[1], start, stop) if is_part else None
