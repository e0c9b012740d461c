"""Finding frames that show the same picture as the one before, from a small grey picture of each."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

#: A pixel of the small picture is the mean over 8 x 8 of the frame: coding noise averages out, a moving limb does not.
BLOCK_PX = 8
_N_BLOCKS = 8
_SHARE_BLOCKS = 800
_FLOOR, _CEILING = 1, 9
_MOTION_FRACTION = 0.2
_N_RECENT = 2


class DuplicateFinder:
    """Tells repeated pictures from moving ones, also after lossy coding.

    The measure is the 8th largest difference between two small pictures, in grey levels. Identical pictures give 0.
    Of frames doubled and coded again 99 % give at most 7 (x264 crf 23 to 30, MPEG-4 q 12), frames of street video with
    people in them hardly ever less than 10; but a nearly empty street moves by as little as coding noise. So the
    threshold follows the motion just before, because doubled frames stand between moving ones: a fifth of the larger
    of the last 2 differences, at least 1 and at most 9. Pictures are compared with the last one that was no duplicate,
    so that slow motion adds up and shows.
    """

    def __init__(self) -> None:
        self._reference: NDArray[np.uint8] | None = None
        self._recent: deque[int] = deque(maxlen=_N_RECENT)

    def is_duplicate(self, small: NDArray[np.uint8]) -> bool:
        """True if `small` (H / 8, W / 8) grey shows the same as the last picture that was no duplicate."""
        reference = self._reference
        if reference is None or reference.shape != small.shape:
            self._reference = small
            self._recent.clear()
            return False
        motion = measure_motion(reference, small)
        threshold = min(_CEILING, max(_FLOOR, _MOTION_FRACTION * max(self._recent, default=0)))
        self._recent.append(motion)
        if motion <= threshold:
            return True
        self._reference = small
        return False


def measure_motion(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    """The 8th largest absolute difference of two grey pictures, 0-255.

    Below 6,400 blocks it is the largest but for one in 800: there a person fills only a few blocks.
    """
    difference = (np.maximum(a, b) - np.minimum(a, b)).ravel()
    rank = min(_N_BLOCKS, max(1, difference.size // _SHARE_BLOCKS))
    if not difference.any():
        return 0
    histogram = np.bincount(difference, minlength=256)
    above = np.cumsum(histogram[::-1])
    return 255 - int(np.searchsorted(above, rank))
