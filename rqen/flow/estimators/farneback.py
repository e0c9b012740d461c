"""Farneback's flow by polynomial expansion, from OpenCV: for motions of several pixels."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Window and pyramid as OpenCV's documentation shows them: half the size per level, 3 levels, 15
#: pixels, 3 turns, neighbourhoods of 5 pixels.
_SETTINGS = (0.5, 3, 15, 3, 5, 1.2, 0)


def estimate_flow(frames: Floats) -> Floats:
    """Flow (T - 1, H, W, 2), horizontal and vertical in pixels, of grey frames (T, H, W), 0-255.

    >>> estimate_flow(np.zeros((3, 32, 16), np.float32)).shape
    (2, 32, 16, 2)
    """
    grey = np.rint(frames).astype(np.uint8)
    flows = [
        cv2.calcOpticalFlowFarneback(one, two, None, *_SETTINGS) for one, two in pairwise(grey)
    ]
    return np.nan_to_num(np.stack(flows)).astype(np.float32)
