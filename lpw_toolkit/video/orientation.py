"""The display matrix of a video: how a decoded image is rotated."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay an image.

    Args:
        swapped: rows become columns.
        flip_x: then left and right are exchanged.
        flip_y: then top and bottom are exchanged.
    """

    swapped: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def degrees(self) -> int:
        """Clockwise turn in 0, 90, 180, 270; a mirrored image counts as its turn before mirroring
        left and right."""
        if self.swapped:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Displayed (width, height) of a stored image."""
        return (height, width) if self.swapped else (width, height)

    def turn(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The (H, W, 3) image as it is displayed."""
        if self == UPRIGHT:
            return picture
        import cv2

        if self.swapped:
            picture = cv2.transpose(picture)
        if self.flip_x or self.flip_y:
            picture = cv2.flip(picture, -1 if self.flip_x and self.flip_y else int(self.flip_x))
        return picture


UPRIGHT = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation:
    """Orientation by the display matrix of a frame, to the nearest quarter turn.

    The matrix `a b u, c d v, x y w` sends the stored point (X, Y) to (aX + cY, bX + dY), y down.
    Source: FFmpeg/FFmpeg:libavutil/display.h.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX") if len(frame.side_data) else None
    if data is None:
        return UPRIGHT
    a, b, _, c, d = (int(v) for v in np.frombuffer(data, np.int32)[:5])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(swapped=True, flip_x=c < 0, flip_y=b < 0)
    return Orientation(flip_x=a < 0, flip_y=d < 0)
