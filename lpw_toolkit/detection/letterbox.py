"""Letterboxing: scales a frame into the input of a network at its own aspect ratio, and maps boxes
back."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PADDING = 114  # the grey that YOLO and YOLOX networks are trained with


@dataclass(frozen=True)
class Letterbox:
    """Where a frame of `frame_width` x `frame_height` lies inside an input of `width` x `height`
    (all in pixels).

    Of a frame in tiles, each has a letterbox: the tile of that size whose corner lies at
    `tile_left`, `tile_top` of the frame.
    """

    frame_width: int
    frame_height: int
    width: int
    height: int
    scaled_width: int
    scaled_height: int
    left: int
    top: int
    tile_left: int = 0
    tile_top: int = 0

    def draw(self, image: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        """Scales `image` (frame_height, frame_width, 3), or its tile, into its place in `out`
        (height, width, 3); grey around."""
        tile_bottom, tile_right = (
            self.tile_top + self.frame_height,
            self.tile_left + self.frame_width,
        )
        image = image[self.tile_top : tile_bottom, self.tile_left : tile_right]
        bottom, right = self.top + self.scaled_height, self.left + self.scaled_width
        out[: self.top] = PADDING
        out[bottom:] = PADDING
        out[self.top : bottom, : self.left] = PADDING
        out[self.top : bottom, right:] = PADDING
        place = out[self.top : bottom, self.left : right]
        if (self.scaled_width, self.scaled_height) == (self.frame_width, self.frame_height):
            place[:] = image
        else:
            place[:] = cv2.resize(
                image, (self.scaled_width, self.scaled_height), interpolation=cv2.INTER_LINEAR
            )

    def restore(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (N, 4) `x1 y1 x2 y2` of the input as boxes of the frame, clipped to it, or to its
        tile."""
        shift = np.array([self.left, self.top] * 2, dtype=np.float32)
        scale = np.array(
            [self.scaled_width / self.frame_width, self.scaled_height / self.frame_height] * 2,
            dtype=np.float32,
        )
        limit = np.array([self.frame_width, self.frame_height] * 2, dtype=np.float32)
        corner = np.array([self.tile_left, self.tile_top] * 2, dtype=np.float32)
        framed: NDArray[np.float32] = np.clip((boxes - shift) / scale, np.float32(0), limit)
        return framed + corner


def fit_centred(frame_width: int, frame_height: int, long_side: int, stride: int) -> Letterbox:
    """The smallest input whose sides are multiples of `stride` and that holds the frame scaled to
    `long_side`.

    The frame lies in the middle. Source: ultralytics/ultralytics:ultralytics/data/augment.py
    (`LetterBox`, auto=True).
    """
    scale = min(long_side / frame_width, long_side / frame_height)
    width, height = (
        -(-_scaled(side, scale) // stride) * stride for side in (frame_width, frame_height)
    )
    return _place_in_middle(frame_width, frame_height, width, height, scale)


def fit_middle(frame_width: int, frame_height: int, width: int, height: int) -> Letterbox:
    """The frame in the middle of an input of `width` x `height`, as large as fits."""
    scale = min(width / frame_width, height / frame_height)
    return _place_in_middle(frame_width, frame_height, width, height, scale)


def _place_in_middle(
    frame_width: int, frame_height: int, width: int, height: int, scale: float
) -> Letterbox:
    scaled_width, scaled_height = _scaled(frame_width, scale), _scaled(frame_height, scale)
    left, top = round((width - scaled_width) / 2 - 0.1), round((height - scaled_height) / 2 - 0.1)
    return Letterbox(
        frame_width, frame_height, width, height, scaled_width, scaled_height, left, top
    )


def fit_corner(frame_width: int, frame_height: int, width: int, height: int) -> Letterbox:
    """The frame in the top left corner of an input of `width` x `height`, as large as fits.

    Source: Megvii-BaseDetection/YOLOX:yolox/data/data_augment.py (`preproc`), which cuts the scaled
    sides off (int).
    """
    scale = min(width / frame_width, height / frame_height)
    scaled = max(int(frame_width * scale), 1), max(int(frame_height * scale), 1)
    return Letterbox(frame_width, frame_height, width, height, *scaled, 0, 0)


def fit_stretched(frame_width: int, frame_height: int, width: int, height: int) -> Letterbox:
    """The frame stretched over the whole input, as SSD and DETR networks are trained."""
    return Letterbox(frame_width, frame_height, width, height, width, height, 0, 0)


def _scaled(side: int, scale: float) -> int:
    return max(round(side * scale), 1)
