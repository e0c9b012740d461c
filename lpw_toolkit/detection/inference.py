"""Frames through a network: batches cut by frame number, several in flight, answers in the order of
the frames."""

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

MIN_SCORE = 0.25  # of a network's boxes, where the user names none


class FrameLike(Protocol):
    """What a detector reads of a decoded frame (`video.Frame`)."""

    @property
    def index(self) -> int:
        """0-based decode index."""

    @property
    def duplicate(self) -> bool:
        """True for a repeated picture, which is not detected again."""

    @property
    def width(self) -> int:
        """Pixels, as displayed."""

    @property
    def height(self) -> int:
        """Pixels, as displayed."""

    @property
    def image(self) -> Pixels | None:
        """(height, width, 3) BGR, valid until the next frame is asked for; None where no pictures
        are decoded."""


@dataclass(frozen=True)
class Selection:
    """Which answers of a network become boxes: score above `min_score`, then NMS (None where the
    network did it)."""

    min_score: float
    nms_iou: float | None
    max_boxes: int = 300  # as ultralytics' max_det


@dataclass(frozen=True)
class Stage:
    """What one frame size needs: its letterbox, the network for that input, and how the answers
    become boxes."""

    letterbox: Letterbox
    network: Network
    decode: Callable[[Answers, Letterbox], Floats]


@dataclass
class _Flight:
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
    flights: deque[_Flight] = deque()
    try:
        yield from _fly(frames, open_stage, batch_size, flights)
    finally:
        for flight in (
            flights
        ):  # whoever stops early leaves no network at work on buffers that the next one fills
            with suppress(Exception):
                flight.stage.network.finish(flight.slot)


def _fly(
    frames: Iterable[FrameLike],
    open_stage: Callable[[int, int], Stage],
    batch_size: int,
    flights: deque[_Flight],
) -> Iterator[tuple[int, Floats]]:
    stages: dict[tuple[int, int], Stage] = {}
    filling: tuple[tuple[int, int, int], _Flight] | None = None
    for frame in frames:
        if frame.duplicate:
            continue
        size = frame.width, frame.height
        key = (frame.index // batch_size, *size)
        if filling and filling[0] != key:
            _launch(filling[1], flights)
            filling = None
        if not filling:
            if size not in stages:
                stages[size] = open_stage(*size)
            slot = _next_slot(stages[size], flights)
            while any(f.slot == slot and f.stage is stages[size] for f in flights):
                yield from _land(flights.popleft())
            filling = key, _Flight(stages[size], slot)
        flight = filling[1]
        if frame.image is None:
            raise ValueError(f"frame {frame.index} comes without its picture")
        flight.stage.letterbox.draw(
            frame.image, flight.stage.network.inputs(flight.slot)[len(flight.indices)]
        )
        flight.indices.append(frame.index)
        if frame.index % batch_size == batch_size - 1:
            _launch(flight, flights)
            filling = None
    if filling:
        _launch(filling[1], flights)
    while flights:
        yield from _land(flights.popleft())


def _next_slot(stage: Stage, flights: deque[_Flight]) -> int:
    last = next((f.slot for f in reversed(flights) if f.stage is stage), -1)
    return (last + 1) % stage.network.n_slots


def _launch(flight: _Flight, flights: deque[_Flight]) -> None:
    flight.stage.network.inputs(flight.slot)[len(flight.indices) :] = PADDING
    flight.stage.network.start(flight.slot)
    flights.append(flight)


def _land(flight: _Flight) -> Iterator[tuple[int, Floats]]:
    answers = flight.stage.network.finish(flight.slot)
    for place, index in enumerate(flight.indices):
        yield (
            index,
            flight.stage.decode(tuple(answer[place] for answer in answers), flight.stage.letterbox),
        )


@dataclass
class NetworkDetector:
    """What the detectors with a network share: one stage per frame size, opened when the first such
    frame comes.

    Attributes:
        settings: everything that moves the boxes (see `detectors.Detector`).
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
        """Boxes of every frame that is no duplicate; see `detectors.Detector`."""
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
    """The boxes (N, 5) that count, in pixels of the frame, by descending score.

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
