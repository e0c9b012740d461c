"""The features of TDL: HOG3D, colours and texture of a whole tracklet, one vector."""

import cv2
import numpy as np
from numpy.typing import NDArray

from rqen.handcrafted import appearance, hog3d
from rqen.handcrafted.frames import cut_evenly, stretch_frames

Floats = NDArray[np.float32]

#: Frames of a volume, at most; longer tracklets are cut evenly into volumes, which bounds memory.
MAX_VOLUME_FRAMES = 64
N_DIMS = hog3d.N_DIMS + appearance.N_COLOUR_DIMS + appearance.N_TEXTURE_DIMS


def describe_tracklet(images: NDArray[np.uint8]) -> Floats:
    """The features (1506,) of the frames (T, H, W, 3) RGB of a tracklet: HOG3D, the mean over
    volumes, then colours and texture, the means over frames; each of the three has length 1."""
    volumes = cut_evenly(len(images), -(-len(images) // MAX_VOLUME_FRAMES))
    found = [_describe_volume(stretch_frames(images[frames])) for frames in volumes]
    sizes = [frames.stop - frames.start for frames in volumes]
    return join_parts(np.average(found, axis=0, weights=sizes))


def _describe_volume(frames: NDArray[np.uint8]) -> Floats:
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    colours = np.mean([appearance.measure_colours(frame) for frame in frames], axis=0)
    texture = np.mean([appearance.measure_texture(frame) for frame in frames], axis=0)
    return np.concatenate([hog3d.describe_volume(grey), colours, texture])


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
