"""How long a build will take and what it will write: the first frames are detected and cut, and the
frames of all videos counted."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.build.crops import CropConfig, pixel_box
from lpw_toolkit.dataset import image_codec
from lpw_toolkit.detection.detector import Detector
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Clock, Estimate
from lpw_toolkit.video.sources import Source
from lpw_toolkit.video.video import Frame, VideoHeader, VideoReader

_MOST_OPENED = 16
_MOST_FRAMES, _TRIAL_S = 32, 5.0
_EVERY = 8  # frames from one whose boxes are cut to the next
# Bytes in the tables: a row of frames holds a hash and a path, one of detections four numbers, one
# of the timeline a time.
_FRAME_ROW, _BOX_ROW, _TIME_ROW = 90, 20, 6


@dataclass
class _Trial:
    """What the first frames of the first video showed.

    Attributes:
        n_frames, n_boxes: detected.
        detect_s, decode_s: for each frame, with and without detection.
        pictures: a few frames, with their boxes.
    """

    n_frames: int
    n_boxes: int
    detect_s: float
    decode_s: float
    pictures: list[tuple[NDArray[np.uint8], NDArray[np.float32]]]


def estimate_build(
    sources: tuple[Source, ...],
    detector: Detector,
    crop: CropConfig,
    clock: Clock = time.perf_counter,
) -> Estimate:
    """What a build of these videos will cost.

    Boxes that linking leaves out count too, and so do those of a clip that starts empty or full:
    it is right within a factor, not to the minute. Nothing is written, and `detector` is as before,
    but for a network that is compiled now and not later.

    Errors: LpwError for a first video that cannot be read.
    """
    trial = _try_detector(sources[0], detector, clock)
    n_opened = min(len(sources), _MOST_OPENED)
    places = np.linspace(0, len(sources) - 1, n_opened).round().astype(int)
    counted = [_count_frames(sources[place]) for place in places]
    n_frames = round(sum(counted) / n_opened * len(sources))
    crop_s, crop_bytes = _try_crops(trial, crop, clock)
    n_boxes = round(trial.n_boxes / trial.n_frames * n_frames)
    seconds = n_frames * (trial.detect_s + trial.decode_s)
    seconds += n_boxes * crop_s / (os.cpu_count() or 1)
    n_bytes = n_boxes * (crop_bytes + _FRAME_ROW + _BOX_ROW) + n_frames * _TIME_ROW
    basis = f"{trial.n_frames} of {n_frames:,} frames in {len(sources)} videos"
    return Estimate(
        "build-tracklets", seconds, n_boxes + 2 * len(sources) + 3, round(n_bytes), basis
    )


def _try_detector(source: Source, detector: Detector, clock: Clock) -> _Trial:
    pictures: list[tuple[int, NDArray[np.uint8]]] = []
    found: dict[int, NDArray[np.float32]] = {}
    wanted = max(_MOST_FRAMES, int(detector.settings.get("batch_size", 1)))
    with VideoReader(source.path) as reader:

        def keep_first() -> Iterator[Frame]:
            for frame in reader:
                if frame.index % _EVERY == 0 and frame.image is not None:
                    pictures.append((frame.index, frame.image.copy()))
                yield frame

        begin, compiled_s = clock(), detector.startup_s
        for index, boxes in detector.detect(keep_first(), source):
            found[index] = boxes
            if index + 1 >= wanted or clock() - begin > _TRIAL_S:
                break
        detect_s = clock() - begin - (detector.startup_s - compiled_s)
        n_frames = max(found, default=0) + 1
        begin = clock()
        n_more = sum(1 for _ in islice(reader, _MOST_FRAMES))
        decode_s = clock() - begin
    return _Trial(
        n_frames,
        sum(map(len, found.values())),
        detect_s / n_frames,
        decode_s / max(n_more, 1),
        [(image, found[index]) for index, image in pictures if index in found],
    )


def _try_crops(trial: _Trial, config: CropConfig, clock: Clock) -> tuple[float, float]:
    """Seconds and bytes of a crop; 0 where the first frames show nobody."""
    begin, sizes = clock(), []
    for image, boxes in trial.pictures:
        for box in boxes:
            x1, y1, x2, y2 = pixel_box(box[:4].astype(np.float64), image.shape[1], image.shape[0])
            crop = image_codec.resize(image[y1:y2, x1:x2], config.size_px)
            sizes.append(len(image_codec.encode(crop, config.jpeg_quality)))
    return (clock() - begin) / max(len(sizes), 1), sum(sizes) / max(len(sizes), 1)


def _count_frames(source: Source) -> int:
    """Frames of a video as its header says; 0 for one that cannot be read: the build names it."""
    try:
        with VideoReader(source.path, images=False) as reader:
            return _declared(reader.header)
    except LpwError:
        return 0


def _declared(header: VideoHeader) -> int:
    if header.n_declared is not None:
        return header.n_declared
    return round((header.duration_s or 0) * (header.rate_hz or 25))
