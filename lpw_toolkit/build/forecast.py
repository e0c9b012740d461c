"""How long a build will take and what it will write: a few frames are detected and cut, and the
frames of all videos counted."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
_N_FRAMES, _TRIAL_S = 32, 5.0
_MOST_APART = 24  # frames from one that is detected to the next
_CUT_EVERY = 8  # of those that are detected
# Bytes in the tables: a row of frames holds a hash and a path, one of detections four numbers, one
# of the timeline a time.
_FRAME_ROW, _BOX_ROW, _TIME_ROW = 90, 20, 6


@dataclass
class _Trial:
    """What some frames of the first video showed.

    Attributes:
        n_frames, n_boxes: detected.
        detect_s: for each frame that was detected.
        decode_s: for each frame that was read.
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

    Boxes that linking leaves out count too, and the first film stands for all: it is right within a
    factor, not to the minute. Nothing is written, and `detector` is as before,
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
    seconds = n_frames * (trial.detect_s + 2 * trial.decode_s)  # crops are cut in a second pass
    seconds += n_boxes * crop_s / (os.cpu_count() or 1)
    n_bytes = n_boxes * (crop_bytes + _FRAME_ROW + _BOX_ROW) + n_frames * _TIME_ROW
    videos = "1 video" if len(sources) == 1 else f"{len(sources)} videos"
    basis = f"{trial.n_frames} of {n_frames:,} frames in {videos}"
    return Estimate(
        "build-tracklets", seconds, n_boxes + 2 * len(sources) + 3, round(n_bytes), basis
    )


def _try_detector(source: Source, detector: Detector, clock: Clock) -> _Trial:
    """Detects frames from the first half minute of a film, which may begin with an empty street."""
    sample = _Sample(detector, clock)
    found: dict[int, NDArray[np.float32]] = {}
    with VideoReader(source.path) as reader:
        begin, took_s = clock() - detector.startup_s, 0.0  # compiling the network does not count
        for index, boxes in detector.detect(sample.pick(reader), source):
            found[index] = boxes
            took_s = clock() - begin - detector.startup_s
            if len(found) >= sample.n_wanted or took_s > _TRIAL_S:
                break
    n_frames = max(len(found), 1)
    return _Trial(
        n_frames,
        sum(map(len, found.values())),
        (took_s - sample.waited_s) / n_frames,
        sample.waited_s / max(sample.n_read, 1),
        [(image, found[index]) for index, image in sample.pictures if index in found],
    )


class _Sample:
    """Frames of a film at equal distances, numbered as if there were no others: a network detects
    them in whole batches."""

    def __init__(self, detector: Detector, clock: Clock) -> None:
        self.n_wanted = max(_N_FRAMES, int(detector.settings.get("batch_size", 1)))
        self.n_read, self.waited_s = 0, 0.0
        self.pictures: list[tuple[int, NDArray[np.uint8]]] = []
        self._renumber, self._clock = detector.needs_images, clock

    def pick(self, reader: VideoReader) -> Iterator[Frame]:
        """The frames; the time that they are waited for counts."""
        distance = min(max(_declared(reader.header) // self.n_wanted, 1), _MOST_APART)
        begin = self._clock()
        for frame in reader:
            self.waited_s += self._clock() - begin
            if self.n_read % distance == 0:
                number = self.n_read // distance
                index = number if self._renumber else frame.index
                if number % _CUT_EVERY == 0 and frame.image is not None:
                    self.pictures.append((index, frame.image.copy()))
                yield replace(frame, index=index)
            self.n_read += 1
            begin = self._clock()


def _try_crops(trial: _Trial, config: CropConfig, clock: Clock) -> tuple[float, float]:
    """Seconds and bytes of a crop; 0 where the frames show nobody."""
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
