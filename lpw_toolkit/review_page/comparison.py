"""Two pieces beside each other: where and when each is, what their frames look like, and whether
they can be one track or one person at all."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.cleaning.log.pieces import Piece
from lpw_toolkit.cleaning.state.base_tables import Base, Tracklet
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import video_starts
from lpw_toolkit.dataset.tables import boxes_of, to_numpy
from lpw_toolkit.pages.sprites import sample_positions
from lpw_toolkit.review_page.frame_sizes import FrameSizes

N_SHOWN = 3  # frames of each piece
_END_S = 1.0  # the frames of an end lie within this time
_END_FRAMES = 12  # where times are unknown
_N_TRAIL = 80


@dataclass(frozen=True)
class Comparison:
    """Compares pieces of the tracklets of one dataset.

    Args:
        dataset: where the tables are.
        base: its tracklets.
        sizes: of its videos.
    """

    dataset: Dataset
    base: Base
    sizes: FrameSizes

    def compare(self, one: Piece, other: Piece) -> dict[str, Any]:
        """Both pieces, each with its frames to show, and what lies between them.

        Returns:
            `sides`: the two in the order of the arguments. `earlier`: 0 or 1, which of them comes
            first; None where that is unknown. `gap_s`: from the end of the earlier to the start of
            the later, negative where they overlap; None where their clocks are not the same one.
            `same_camera`; `can_merge`: in one video, at different times; `map_px`: width and height
            of the picture of the camera of each, None where it is unknown.
        """
        known = [self.base.tracklets[piece.tracklet] for piece in (one, other)]
        times = [self._times(piece) for piece in (one, other)]
        on_one_clock = known[0].video_id is not None and known[0].video_id == known[1].video_id
        starts = [self._start_s.get(tracklet.video_id or "") for tracklet in known]
        if not on_one_clock and None not in starts and known[0].scene_id == known[1].scene_id:
            times = [at + (start or 0.0) for at, start in zip(times, starts, strict=True)]
            on_one_clock = True
        earlier, gap_s = _order(times) if on_one_clock else (None, None)
        ends = ("last", "first") if earlier == 0 else ("first", "last")
        sides = [
            self._describe(piece, tracklet, at, end if gap_s is not None else "spread")
            for piece, tracklet, at, end in zip((one, other), known, times, ends, strict=True)
        ]
        same_camera = known[0].camera_id == known[1].camera_id
        return {
            "sides": sides,
            "earlier": earlier,
            "gap_s": gap_s,
            "same_camera": same_camera,
            "can_merge": same_camera and known[0].video_id == known[1].video_id
            and not self._share_frames(one, other),
        }  # fmt: skip

    def _describe(
        self, piece: Piece, tracklet: Tracklet, times: NDArray[np.float64], end: str
    ) -> dict[str, Any]:
        ends = {
            "first": _choose_end(times, first=True),
            "last": _choose_end(times, first=False),
            "spread": sample_positions(len(times), N_SHOWN),
        }
        rows = self.dataset.frames.slice(tracklet.start + piece.start, piece.stop - piece.start)
        known = bool(np.isfinite(times[[0, -1]]).all())
        return {
            "n": tracklet.row,
            "camera": tracklet.camera_id,
            "video": tracklet.video_id,
            "n_frames": piece.stop - piece.start,
            "start_s": round(float(times[0]), 3) if known else None,
            "end_s": round(float(times[-1]), 3) if known else None,
            "shown": [piece.start + at for at in ends[end]],
            "looks": [piece.start + at for at in ends["spread"]],
            "end": end,
            "trail": _draw_trail(boxes_of(rows)),
            "map_px": self.sizes.find(tracklet.video_id),
        }

    def _times(self, piece: Piece) -> NDArray[np.float64]:
        """Times (n,) of the frames of a piece on the clock of its video, seconds; NaN is
        unknown."""
        start = self.base.tracklets[piece.tracklet].start
        rows = self.dataset.frames.slice(start + piece.start, piece.stop - piece.start)
        return to_numpy(rows, "pts_s").astype(np.float64)

    def _share_frames(self, one: Piece, other: Piece) -> bool:
        mine, theirs = (
            None if numbers is None else numbers[piece.start : piece.stop]
            for piece in (one, other)
            for numbers in (self.base.frame_numbers(piece.tracklet),)
        )
        return mine is not None and theirs is not None and bool(np.isin(mine, theirs).any())

    @cached_property
    def _start_s(self) -> dict[str, float | None]:
        """Start of each video on the clock of its scene; None where it is unknown."""
        return video_starts(self.dataset.manifest.get("sources", []))


def _order(times: list[NDArray[np.float64]]) -> tuple[int | None, float | None]:
    """Which of two comes first, and the seconds between them."""
    if not all(np.isfinite(at[[0, -1]]).all() for at in times):
        return None, None
    earlier = 0 if times[0][0] <= times[1][0] else 1
    gap_s = float(times[1 - earlier][0] - times[earlier][-1])
    return earlier, round(gap_s, 3)


def _choose_end(times: NDArray[np.float64], *, first: bool) -> list[int]:
    """Positions of the frames that show how a piece begins or ends."""
    n = len(times)
    if np.isfinite(times).all():
        near = times <= times[0] + _END_S if first else times >= times[-1] - _END_S
        n_near = int(near.sum())
    else:
        n_near = min(_END_FRAMES, n)
    chosen = sample_positions(max(n_near, min(N_SHOWN, n)), N_SHOWN)
    return chosen if first else [n - 1 - at for at in reversed(chosen)]


def _draw_trail(boxes: NDArray[np.float64]) -> list[list[float]]:
    """Where the feet are, (x, y, height) in pixels of the video; empty where boxes are unknown."""
    chosen = boxes[sample_positions(len(boxes), _N_TRAIL)]
    chosen = chosen[np.isfinite(chosen).all(axis=1)]
    feet = np.stack(
        [(chosen[:, 0] + chosen[:, 2]) / 2, chosen[:, 3], chosen[:, 3] - chosen[:, 1]], axis=1
    )
    return [[round(value, 1) for value in row] for row in feet.tolist()]
