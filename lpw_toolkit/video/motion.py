"""Finds frames that repeat the previous image, from a small grey copy of each."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

#: A pixel of the small image is the mean over 8 x 8 of the frame: coding noise averages out, a
#: moving limb does not.
BLOCK_PX = 8
_N_BLOCKS = 8
_SHARE_BLOCKS = 800
#: Periods in frames (30 -> 60 and 25 -> 50 f/s have 2, 20 -> 60 3, 15 -> 60 4, 24 -> 30 5, 25 -> 30
#: 6), and how often a quiet frame must have come before at the same place.
_N_BEFORE = {2: 2, 3: 3, 4: 3, 5: 4, 6: 4}
_HISTORY_FRAMES = 32
_MOVES = 8  # grey levels: less may be coding noise, and tells no quiet frame from a moving one
_QUIET = 0.35  # of the motion around; doubled frames of x264 at crf 18 to 36 stay below 0.3
_START_FRAMES, _START_MOVES, _START_QUIET = 6, 16, 0.25  # nothing has come before: clear cases only
_EXPECTED_LEVELS, _EXPECTED_QUIET = (
    4,
    0.5,
)  # where the period says so, noise in an empty street is no motion


class DuplicateFinder:
    """Distinguishes repeated images from moving ones, also after lossy coding.

    Equal images are duplicates. An image coded again differs by noise, and a nearly empty street
    moves by no more than that. But a stream is doubled throughout: quiet frames come periodically,
    among moving ones. So a quiet frame counts as a duplicate when there was one a period ago, two
    periods ago, and so on; from then on one is expected there, and noise is tolerated, until motion
    shows that the pattern has ended. Only at the very start a clear case is believed at once.

    Measured on three street videos, doubled and coded again (tests/bench/bench_duplicates.py): from
    the first motion on more than 99 % are found, and none falsely. Before anything moves there is
    nothing to tell them by.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.uint8] | None = None
        self._begin()

    def _begin(self) -> None:
        self._index = 0
        self._motion: deque[int] = deque(maxlen=_HISTORY_FRAMES)
        self._expected: dict[int, int] = {}  # index of a frame and the period that expects it

    def is_duplicate(self, small: NDArray[np.uint8]) -> bool:
        """True if `small` (H / 8, W / 8) grey shows the same as the image before it."""
        last, self._last = self._last, small
        if last is None or last.shape != small.shape:
            self._begin()
            return False
        self._index += 1
        self._motion.append(measure_motion(last, small))
        period = self._find_period(self._expected.pop(self._index, 0))
        if period:
            self._expected[self._index + period] = period
        return bool(period) or self._is_clear_start() or np.array_equal(last, small)

    def _find_period(self, expected: int) -> int:
        """The period by which the newest frame is a duplicate, 0 for none."""
        if expected and self._motion[-1] <= max(
            _EXPECTED_LEVELS, _EXPECTED_QUIET * self._loudest(0, expected, 0)
        ):
            return expected
        known = set(self._expected.values())
        for period, n_before in _N_BEFORE.items():
            fits = not known or (
                known == {period} and len(self._expected) < period - 1
            )  # one frame in a period is new
            if fits and self._has_come_before(period, n_before):
                return period
        return 0

    def _has_come_before(self, period: int, n_before: int) -> bool:
        if len(self._motion) < (n_before + 1) * period:
            return False
        return self._is_quiet(0, period, 0) and all(
            self._is_quiet(n * period, period, period - 1) for n in range(1, n_before + 1)
        )

    def _is_quiet(self, ago: int, period: int, n_after: int) -> bool:
        around = self._loudest(ago, period, n_after)
        return around >= _MOVES and self._motion[-1 - ago] <= _QUIET * around

    def _loudest(self, ago: int, period: int, n_after: int) -> int:
        """The largest motion from `period` - 1 frames before the frame `ago` frames back to
        `n_after` after it."""
        stop = min(ago + period, len(self._motion))
        return max(self._motion[-1 - back] for back in range(ago - n_after, stop))

    def _is_clear_start(self) -> bool:
        if not 1 < self._index < _START_FRAMES:
            return False
        around = self._loudest(0, 3, 0)
        return around >= _START_MOVES and self._motion[-1] <= _START_QUIET * around


def measure_motion(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    """The 8th largest absolute difference of two grey images, 0-255.

    Below 6,400 blocks it is the largest but for one in 800: there a person fills only a few blocks.
    """
    difference = (np.maximum(a, b) - np.minimum(a, b)).ravel()
    rank = min(_N_BLOCKS, max(1, difference.size // _SHARE_BLOCKS))
    if not difference.any():
        return 0
    histogram = np.bincount(difference, minlength=256)
    above = np.cumsum(histogram[::-1])
    return 255 - int(np.searchsorted(above, rank))
