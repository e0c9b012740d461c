"""Local descriptors of STA: place, colour and its derivatives at every pixel of a part."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Order = Literal[1, 2]

#: Pixels between a pixel and those that its derivatives along x and y compare it with.
_REACH_PX = 2


def convert_frames(frames: NDArray[np.uint8]) -> Floats:
    """Frames (T, H, W, 3) RGB as hue, saturation and value, each 0 to 1, with the value of every
    frame equalised."""
    out = np.empty(frames.shape, dtype=np.float32)
    for place, frame in enumerate(frames):
        hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
        hsv[..., 2] = cv2.equalizeHist(hsv[..., 2])
        out[place] = hsv / np.array([180, 255, 255], dtype=np.float32)
    return out


def describe_pixels(frames: Floats, order: Order = 2) -> Floats:
    """Colour and derivatives (T, H, W, C) of frames (T, H, W, 3), borders repeated.

    Args:
        order: 2 gives colour, first and second derivatives along x, y and t, C = 21 (as released
            for iLIDS-VID); 1 gives first derivatives alone, C = 9 (for PRID 2011).

    Source: vsislab/stfv3d:fisherVector/my_ld_dense_sample.m (facts only).
    """
    along = [(2, _REACH_PX), (1, _REACH_PX), (0, 1)]
    sides = [_shift(frames, axis, reach) for axis, reach in along]
    parts = [after - before for before, after in sides]
    if order == 2:
        parts = [frames, *parts, *(2 * frames - before - after for before, after in sides)]
    return np.concatenate(parts, axis=-1)


def cut_part(pixels: Floats, boxes: NDArray[np.int64]) -> Floats:
    """The descriptors (N, 3 + C) of one part in the frames of one primitive: place in the box and
    in the primitive, each above 0 and at most 1, then what `describe_pixels` says.

    Args:
        pixels: (T, H, W, C).
        boxes: (T, 4) left, top, right, bottom, half-open.
    """
    found = []
    for moment, (frame, (left, top, right, bottom)) in enumerate(zip(pixels, boxes, strict=True)):
        part = frame[top:bottom, left:right]
        y, x = np.indices(part.shape[:2])
        place = np.stack(
            [(x + 1) / part.shape[1], (y + 1) / part.shape[0],
             np.full(x.shape, (moment + 1) / len(pixels))], axis=-1,
        )  # fmt: skip
        found.append(np.concatenate([place.astype(np.float32), part], axis=-1))
    return np.concatenate([part.reshape(-1, part.shape[-1]) for part in found])


def _shift(frames: Floats, axis: int, reach: int) -> tuple[Floats, Floats]:
    """What stands `reach` places before and after each value along an axis; the ends repeat."""
    places = np.arange(frames.shape[axis])
    last = len(places) - 1
    return (
        frames.take(np.maximum(places - reach, 0), axis=axis),
        frames.take(np.minimum(places + reach, last), axis=axis),
    )
