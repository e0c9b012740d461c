"""The contract of an estimator of dense optical flow, and flow as images of 8 bits.

    grey frames (T, H, W) -> estimator -> flow (T - 1, H, W, 2) in pixels
                          -> encode    -> images (T, h, w, 2), 127 = no motion

The module of an estimator has `estimate_flow(frames)`. Another package adds one by an entry point
in the group `rqen.flow.estimators`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.image_codec import resize
from lpw_toolkit.errors import LpwError
from lpw_toolkit.plugins import PluginFolder

FLOWS = PluginFolder("rqen.flow.estimators", "data.flow")
#: Value of an encoded component that means no motion.
ZERO = 127
#: Estimators need some pixels around each pixel; the smallest side that all of them take.
MIN_SIDE_PX = 16

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class FlowEstimator(Protocol):
    """What the module of an estimator provides."""

    def estimate_flow(self, frames: Floats) -> Floats:
        """Flow (T - 1, H, W, 2) from each of the grey frames (T, H, W), 0-255, to the next one:
        horizontal (to the right) and vertical (downwards) in pixels, finite everywhere."""


@dataclass(frozen=True)
class FlowSettings:
    """How flow is made and stored.

    Attributes:
        estimator: a name of `rqen.flow.estimators`.
        height, width: the frames are stretched to this size before flow is estimated, in pixels.
        stored_height, stored_width: the flow images are stretched to this size.
        max_px: longer vectors are shortened to this length.

    Errors: LpwError for an unknown estimator or a size that is too small.

    >>> FlowSettings().n_bytes_per_frame
    6144
    """

    estimator: str = "lucas_kanade"
    height: int = 128
    width: int = 64
    stored_height: int = 64
    stored_width: int = 48
    max_px: float = 50.0

    def __post_init__(self) -> None:
        FLOWS.load(self.estimator)
        if min(self.height, self.width) < MIN_SIDE_PX:
            got, expected = f"{self.height} x {self.width} pixels", f"{MIN_SIDE_PX} or more a side"
            raise LpwError("frames for flow", got, expected, "choose larger frames")

    @property
    def n_bytes_per_frame(self) -> int:
        """Size of the flow image of one frame."""
        return 2 * self.stored_height * self.stored_width


def to_grey(images: Pixels) -> Floats:
    """Grey frames (T, H, W), 0-255, of RGB images (T, H, W, 3) by BT.601."""
    return (images @ np.array([0.299, 0.587, 0.114], dtype=np.float32)).astype(np.float32)


def shorten_flow(flow: Floats, max_px: float) -> Floats:
    """Flow (..., 2) whose vectors are at most `max_px` long, in the same directions.

    >>> shorten_flow(np.array([[30.0, 40.0], [0.3, 0.4]], np.float32), 5.0).tolist()
    [[3.0, 4.0], [0.30000001192092896, 0.4000000059604645]]
    """
    length = np.linalg.norm(flow, axis=-1, keepdims=True)
    return np.where(length > max_px, flow * (max_px / np.maximum(length, max_px)), flow)


def encode_flow(flow: Floats) -> Pixels:
    """Flow in pixels as 8 bits: each component plus 127, rounded, within 0-255.

    >>> encode_flow(np.array([0.0, -1.6, 500.0], np.float32)).tolist()
    [127, 125, 255]
    """
    return np.clip(np.rint(flow + ZERO), 0, 255).astype(np.uint8)


def compute_flow_images(images: Pixels, settings: FlowSettings) -> Pixels:
    """Flow images (T, h, w, 2) of the RGB frames (T, H, W, 3) of one sequence: that of frame t
    leads from frame t - 1 to it; the first has none, so it is 127 everywhere.

    Source: niallmcl/Recurrent-Convolutional-Video-ReID:computeOpticalFlow.m, prepareDataset.lua
    (facts).
    """
    size = settings.stored_height, settings.stored_width
    stored = np.full((len(images), *size, 2), ZERO, dtype=np.uint8)
    if len(images) > 1:
        estimator: FlowEstimator = FLOWS.load(settings.estimator)
        flow = shorten_flow(estimator.estimate_flow(to_grey(images)), settings.max_px)
        for place, image in enumerate(encode_flow(flow), 1):
            stored[place] = resize(image, size)
    return stored
