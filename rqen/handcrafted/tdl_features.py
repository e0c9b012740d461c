"""The features of TDL: HOG3D, colours and texture of a whole tracklet, one vector."""

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.progress import show_progress
from rqen.handcrafted import appearance, hog3d
from rqen.handcrafted.tracklet_frames import cut_evenly, read_frames

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Frames that are in memory at once; longer tracklets are cut evenly into volumes.
MAX_VOLUME_FRAMES = 64
N_DIMS = hog3d.N_DIMS + appearance.N_COLOUR_DIMS + appearance.N_TEXTURE_DIMS


def describe_tracklets(index: TrackletIndex, rows: Ints) -> Floats:
    """Features (n, 1506) of the tracklets with these rows, each from all of its frames.

    Memory is bounded by `MAX_VOLUME_FRAMES` frames a thread and the features themselves.

    Errors: CorruptCropError that names an image.
    """
    out = np.empty((len(rows), N_DIMS), dtype=np.float32)

    def describe(row: int) -> Floats:
        length = int(index.starts[row + 1] - index.starts[row])
        parts = cut_evenly(length, -(-length // MAX_VOLUME_FRAMES))
        found = [describe_frames(read_frames(index, row, p.start, p.stop)) for p in parts]
        weights = [part.stop - part.start for part in parts]
        return join_parts(np.average(found, axis=0, weights=weights))

    with show_progress("features", len(rows), "tracklets") as progress:
        for place, vector in enumerate(prefetch(describe, rows.tolist())):
            out[place] = vector
            progress.advance()
    return out


def describe_frames(frames: NDArray[np.uint8]) -> Floats:
    """HOG3D of a volume of frames (T, H, W, 3) RGB, and the means over frames of colours and
    texture, one after another (1506,)."""
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    colours = np.mean([appearance.measure_colours(frame) for frame in frames], axis=0)
    texture = np.mean([appearance.measure_texture(frame) for frame in frames], axis=0)
    return np.concatenate([hog3d.describe_volume(grey), colours, texture]).astype(np.float32)


def join_parts(features: NDArray[np.floating]) -> Floats:
    """The same features (1506,) with HOG3D, the roots of the colours and the roots of the texture
    at unit length each, so that all three count alike.

    Distances of roots of histograms are Hellinger's.
    """
    borders = np.cumsum([hog3d.N_DIMS, appearance.N_COLOUR_DIMS])
    motion, colours, texture = np.split(np.asarray(features, dtype=np.float64), borders)
    parts = [motion, np.sqrt(colours), np.sqrt(texture)]
    lengths = [max(float(np.linalg.norm(part)), np.finfo(np.float64).tiny) for part in parts]
    return np.concatenate(
        [part / length for part, length in zip(parts, lengths, strict=True)]
    ).astype(np.float32)
