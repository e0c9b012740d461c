"""Runs frames through a network: batches by frame number, several in flight, results in frame
order."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from lpw_toolkit.boxes import nms
from lpw_toolkit.detection.letterbox import PADDING, Letterbox
from lpw_toolkit.networks.runtimes import Answers, Floats, Network, Pixels

# Of a network's boxes, where neither the user nor the detector says otherwise.
MIN_SCORE = 0.25
NMS_IOU = 0.7


class FrameLike(Protocol):
    """The fields of a decoded frame that a detector reads (`video.Frame`)."""

    @property
    def index(self) -> int:
        """0-based decode index."""

    @property
    def duplicate(self) -> bool:
        """True for a repeated image, which is not detected again."""

    @property
    def width(self) -> int:
        """Pixels, as displayed."""

    @property
    def height(self) -> int:
        """Pixels, as displayed."""

    @property
    def image(self) -> Pixels | None:
        """(height, width, 3) BGR, valid until the next frame is asked for; None where no images
        are decoded."""


@dataclass(frozen=True)
class Selection:
    """Which outputs of a network become boxes: score above `min_score`, then NMS (None where the
    network did it)."""

    min_score: float
    nms_iou: float | None
    max_boxes: int = 300  # as ultralytics' max_det


@dataclass(frozen=True)
class Stage:
    """What one frame size needs.

    Attributes:
        letterboxes: where the frame lies inside the network's input: one, or one for each of its
            tiles.
        network: compiled for that input; of a frame in T tiles a batch holds T images.
        decode: makes boxes of the frame (N, 5) of the answers to one image.
        merge: makes one list of boxes of those of all tiles; None where the frame is whole.
    """

    letterboxes: tuple[Letterbox, ...]
    network: Network
    decode: Callable[[Answers, Letterbox], Floats]
    merge: Callable[[list[Floats]], Floats] | None = None


@dataclass
class _Batch:
    stage: Stage
    slot: int
    indices: list[int] = field(default_factory=list)


def detect_frames(
    frames: Iterable[FrameLike], open_stage: Callable[[int, int], Stage], batch_size: int
) -> Iterator[tuple[int, Floats]]:
    """Boxes (N, 5) of every frame that is no duplicate, in order.

    A batch holds the frames whose index // `batch_size` and size agree, so a run that resumes at a
    multiple of `batch_size` forms the same batches; the rest of a batch that is not full is grey.

    Args:
        open_stage: gives the stage of a frame width and height; called once per size.
    """
    pending: deque[_Batch] = deque()
    try:
        yield from _run_batches(frames, open_stage, batch_size, pending)
    finally:
        # a caller that stops early must leave no network running on buffers that are used again
        for batch in pending:
            with suppress(Exception):
                batch.stage.network.finish(batch.slot)


def _run_batches(
    frames: Iterable[FrameLike],
    open_stage: Callable[[int, int], Stage],
    batch_size: int,
    pending: deque[_Batch],
) -> Iterator[tuple[int, Floats]]:
    stages: dict[tuple[int, int], Stage] = {}
    filling: tuple[tuple[int, int, int], _Batch] | None = None
    for frame in frames:
        if frame.duplicate:
            continue
        size = frame.width, frame.height
        key = (frame.index // batch_size, *size)
        if filling and filling[0] != key:
            _submit(filling[1], pending)
            filling = None
        if not filling:
            if size not in stages:
                stages[size] = open_stage(*size)
            stage = stages[size]
            last = next((f.slot for f in reversed(pending) if f.stage is stage), -1)
            slot = (last + 1) % stage.network.n_slots
            while any(f.slot == slot and f.stage is stage for f in pending):
                yield from _collect(pending.popleft())
            filling = key, _Batch(stage, slot)
        batch = filling[1]
        if frame.image is None:
            raise ValueError(f"frame {frame.index} comes without its image")
        boxes = batch.stage.letterboxes
        images = batch.stage.network.inputs(batch.slot)[len(batch.indices) * len(boxes) :]
        for box, image in zip(boxes, images, strict=False):
            box.draw(frame.image, image)
        batch.indices.append(frame.index)
        if frame.index % batch_size == batch_size - 1:
            _submit(batch, pending)
            filling = None
    if filling:
        _submit(filling[1], pending)
    while pending:
        yield from _collect(pending.popleft())


def _submit(batch: _Batch, pending: deque[_Batch]) -> None:
    n_images = len(batch.indices) * len(batch.stage.letterboxes)
    batch.stage.network.inputs(batch.slot)[n_images:] = PADDING
    batch.stage.network.start(batch.slot)
    pending.append(batch)


def _collect(batch: _Batch) -> Iterator[tuple[int, Floats]]:
    stage = batch.stage
    answers = stage.network.finish(batch.slot)
    for place, index in enumerate(batch.indices):
        first = place * len(stage.letterboxes)
        found = [
            stage.decode(tuple(answer[first + number] for answer in answers), box)
            for number, box in enumerate(stage.letterboxes)
        ]
        yield index, found[0] if stage.merge is None else stage.merge(found)


@dataclass
class NetworkDetector:
    """What the detectors with a network share: one stage per frame size, opened when the first such
    frame comes.

    Attributes:
        settings: everything that changes the boxes (see `detector.Detector`).
        notes: what was chosen for the user.
        startup_s: seconds spent on loading and converting so far.
    """

    settings: dict[str, str | int | float | bool]
    notes: list[str]
    startup_s: float
    name: str
    needs_images: bool = True
    _stages: dict[tuple[int, int], Stage] = field(default_factory=dict)

    def detect(self, frames: Iterable[FrameLike], video: object) -> Iterator[tuple[int, Floats]]:
        """Boxes of every frame that is no duplicate; see `detector.Detector`."""
        yield from detect_frames(frames, self._find_stage, int(self.settings["batch_size"]))

    def open_stage(self, width: int, height: int) -> Stage:
        """The stage of a frame size: each detector's own."""
        raise TypeError(f"{type(self).__name__} opens no stage")

    def _find_stage(self, width: int, height: int) -> Stage:
        if (width, height) not in self._stages:
            began = time.perf_counter()
            self._stages[width, height] = self.open_stage(width, height)
            self.startup_s += time.perf_counter() - began
        return self._stages[width, height]


def select_boxes(boxes: Floats, scores: Floats, box: Letterbox, options: Selection) -> Floats:
    """The selected boxes (N, 5), in pixels of the frame, by descending score.

    Args:
        boxes: (A, 4) `x1 y1 x2 y2` in pixels of the network's input.
        scores: (A,) in [0, 1].
    """
    rows = np.flatnonzero(scores > options.min_score)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    if options.nms_iou is not None:
        kept = nms(boxes[rows].astype(np.float64), scores[rows].astype(np.float64), options.nms_iou)
        rows = rows[kept]
    rows = rows[: options.max_boxes]
    framed = box.restore(boxes[rows])
    found = np.concatenate([framed, scores[rows, None]], axis=1, dtype=np.float32)
    return found[(framed[:, 2] > framed[:, 0]) & (framed[:, 3] > framed[:, 1])]
