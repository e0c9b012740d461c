"""Frames with their flow as two more channels: what a network of sequences sees."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from rqen.flow.flow_cache import open_flow
from rqen.flow.optical_flow import ZERO, FlowSettings

Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]
#: Value of the setting `flow` for none.
NO_FLOW = "none"


class FlowFrames:
    """Reads frames (T, H, W, 5) uint8: RGB, then the flow that leads to each frame, horizontal and
    vertical, 127 for no motion (a `rqen.model.clip.FrameReader`).

    Args:
        index: the opened dataset.
        size_px: height and width that frames are stretched to.
        flow: a name of `rqen.flow.estimators`, or `none`: 127 everywhere.
        signed_mirror: whether horizontal flow changes its sign in a mirror image; the released code
            of CNN+RNN leaves it.

    Errors: LpwError for an unknown estimator.
    """

    def __init__(
        self, index: TrackletIndex, size_px: tuple[int, int], flow: str, *, signed_mirror: bool
    ) -> None:
        self.index, self.size_px, self.signed_mirror = index, size_px, signed_mirror
        self.flow = None
        if flow != NO_FLOW:
            settings = FlowSettings(flow, stored_height=size_px[0], stored_width=size_px[1])
            self.flow = open_flow(index, settings)

    def read(self, rows: Ints) -> Pixels:
        """Frames (T, H, W, 5): these rows of the table of frames, all of one tracklet, ascending.
        Errors: CorruptCropError that names an image."""
        frames = np.full((len(rows), *self.size_px, 5), ZERO, dtype=np.uint8)
        for place, row in enumerate(rows.tolist()):
            frames[place, ..., :3] = self.index.images.decode(row, self.size_px)
        if self.flow is not None:
            first = 0
            for span in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
                flow = self.flow.read(int(span[0]), int(span[-1]) + 1)
                frames[first : first + len(span), ..., 3:] = flow
                first += len(span)
        return frames

    def mirror(self, images: Pixels) -> Pixels:
        """The mirror image of frames (T, H, W, 5)."""
        return mirror_frames(images, signed=self.signed_mirror)


def mirror_frames(images: Pixels, *, signed: bool) -> Pixels:
    """The mirror image of frames (..., W, 5); with `signed` motion to the right becomes motion to
    the left.

    >>> mirror_frames(np.array([[[1, 2, 3, 130, 140], [4, 5, 6, 127, 127]]], np.uint8), signed=True)
    array([[[  4,   5,   6, 127, 127],
            [  1,   2,   3, 124, 140]]], dtype=uint8)
    """
    mirrored = images[..., ::-1, :]
    if signed:
        mirrored = mirrored.copy()
        mirrored[..., 3] = np.minimum(2 * ZERO - mirrored[..., 3].astype(np.int16), 255).clip(0)
    return mirrored
