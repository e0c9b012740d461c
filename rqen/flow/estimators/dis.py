"""Dense inverse search (Kroeger 2016), from OpenCV: fast, for motions of several pixels."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def estimate_flow(frames: Floats) -> Floats:
    """Flow (T - 1, H, W, 2), horizontal and vertical in pixels, of grey frames (T, H, W), 0-255.

    >>> estimate_flow(np.zeros((3, 32, 16), np.float32)).shape
    (2, 32, 16, 2)
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = np.rint(frames).astype(np.uint8)
    flows = [search.calc(one, two, None) for one, two in pairwise(grey)]
    return np.nan_to_num(np.stack(flows)).astype(np.float32)
