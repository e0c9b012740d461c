"""Frames through a network: batches cut by frame number, several in flight, answers in the order of the frames."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.boxes import nms
from lpw_toolkit.errors import LpwError
from lpw_toolkit.letterbox import PADDING, Letterbox

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Answers = tuple[Floats, ...]
PRECISIONS = ("auto", "float32", "bfloat16")
_EXTRAS = {"torch": "ultralytics", "openvino": "openvino", "onnxruntime": "onnx"}
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
        """(height, width, 3) BGR, valid until the next frame is asked for; None where no pictures are decoded."""


class Network(Protocol):
    """A network compiled for one input shape; each of its slots holds one batch in flight."""

    n_slots: int

    def inputs(self, slot: int) -> Pixels:
        """The buffer (B, height, width, 3), BGR, that `start(slot)` reads."""

    def start(self, slot: int) -> None:
        """Begins to work on the buffer of `slot`, without waiting."""

    def finish(self, slot: int) -> Answers:
        """Waits for `slot`: the answers, each (B, ...), valid until `start(slot)`."""


@dataclass(frozen=True)
class Selection:
    """Which answers of a network become boxes: score above `min_score`, then NMS (None where the network did it)."""

    min_score: float
    nms_iou: float | None
    max_boxes: int = 300  # as ultralytics' max_det


@dataclass(frozen=True)
class Stage:
    """What one frame size needs: its letterbox, the network for that input, and how the answers become boxes."""

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

    A batch holds the frames whose index // `batch_size` and size agree, so a run that resumes at a multiple of
    `batch_size` forms the same batches; the rest of a batch that is not full is grey.

    Args:
        open_stage: gives the stage of a frame width and height; called once per size.
    """
    flights: deque[_Flight] = deque()
    try:
        yield from _fly(frames, open_stage, batch_size, flights)
    finally:
        for flight in flights:  # whoever stops early leaves no network at work on buffers that the next one fills
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
        flight.stage.letterbox.draw(frame.image, flight.stage.network.inputs(flight.slot)[len(flight.indices)])
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
        yield index, flight.stage.decode(tuple(answer[place] for answer in answers), flight.stage.letterbox)


@dataclass
class NetworkDetector:
    """What the detectors with a network share: one stage per frame size, opened when the first such frame comes.

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


class ThreadedNetwork:
    """A function from pixels (B, height, width, 3) to answers, run beside the caller by worker threads."""

    def __init__(self, function: Callable[[Pixels], Answers], shape: tuple[int, int, int], n_workers: int) -> None:
        self._function = function
        self._pool = ThreadPoolExecutor(n_workers, thread_name_prefix="lpw-network")
        self.n_slots = n_workers + 1  # one more than can run, so that the next batch is drawn meanwhile
        self._inputs = [np.empty((*shape, 3), dtype=np.uint8) for _ in range(self.n_slots)]
        self._answers: list[Future[Answers] | None] = [None] * self.n_slots

    def inputs(self, slot: int) -> Pixels:
        """The buffer that `start(slot)` reads."""
        return self._inputs[slot]

    def start(self, slot: int) -> None:
        """Hands the buffer of `slot` to a worker."""
        self._answers[slot] = self._pool.submit(self._function, self._inputs[slot])

    def finish(self, slot: int) -> Answers:
        """Waits for the worker. Errors: what the function raised; RuntimeError where nothing was started."""
        answer = self._answers[slot]
        if answer is None:
            raise RuntimeError(f"slot {slot} was not started")
        return answer.result()


class OpenVinoNetwork:
    """An OpenVINO model on the processor: one single-threaded stream per thread, each with its own request.

    One thread per stream is faster than several threads on one frame, and each answer is computed by one thread in a
    fixed order, so that it does not depend on what else is in flight.
    """

    def __init__(self, model: Any, precision: str, threads: int) -> None:
        ov = import_openvino()

        hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
        settings = {
            "INFERENCE_PRECISION_HINT": hint,
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # beside other work a pinned thread waits for its core
        }
        compiled = open_core().compile_model(model, "CPU", settings)
        self.n_slots = threads + 1
        shape = tuple(compiled.input(0).shape)
        self._inputs = [np.empty(shape, dtype=np.uint8) for _ in range(self.n_slots)]
        self._requests = [compiled.create_infer_request() for _ in range(self.n_slots)]
        for request, pixels in zip(self._requests, self._inputs, strict=True):
            request.set_input_tensor(ov.Tensor(pixels, shared_memory=True))

    def inputs(self, slot: int) -> Pixels:
        """The buffer that `start(slot)` reads."""
        return self._inputs[slot]

    def start(self, slot: int) -> None:
        """Queues the request of `slot`."""
        self._requests[slot].start_async()

    def finish(self, slot: int) -> Answers:
        """Waits for the request of `slot`."""
        self._requests[slot].wait()
        return tuple(tensor.data for tensor in self._requests[slot].output_tensors)


def feed_pixels(model: Any, mean: tuple[float, ...] = (), scale: tuple[float, ...] = ()) -> Any:
    """An OpenVINO model (B, 3, H, W) float that takes (B, H, W, 3) bytes instead: the change happens in its graph.

    Args:
        mean, scale: of the three channels, 0-255; where given, the mean is taken off and the scale divided by.
    """
    ov = import_openvino()
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    work = steps.input().preprocess().convert_element_type(ov.Type.f32)
    if mean:
        work.mean(list(mean))
    if scale:
        work.scale(list(scale))
    return steps.build()


def choose_runtime(asked: str, known: tuple[str, ...], *, preferred: str, fallback: str) -> str:
    """The runtime to use: what was asked for, or for `auto` the preferred one where it is installed.

    Errors: LpwError for an unknown name, or a runtime that is not installed.
    """
    if asked not in known:
        raise LpwError("--runtime", asked, f"{' | '.join(known)} for this detector", "choose one of them")
    runtime = (preferred if find_spec(preferred) else fallback) if asked == "auto" else asked
    if not find_spec(runtime):
        do = f'pip install "lpw-toolkit[{_EXTRAS[runtime]}]"'
        raise LpwError(f"--runtime {asked}", f"no package {runtime}", "it installed", do)
    return runtime


def choose_precision(asked: str, runtime: str) -> tuple[str, str]:
    """The precision to run at, and why.

    `auto` is bfloat16 where the processor has instructions for it (avx512_bf16, amx_bf16): 1.7 times as fast at equal
    recall. Elsewhere float32.
    """
    if asked not in PRECISIONS:
        raise LpwError("--precision", asked, " | ".join(PRECISIONS), "choose one of them")
    if runtime == "onnxruntime" and asked == "bfloat16":
        raise LpwError("--precision bfloat16", "runtime onnxruntime", "runtime openvino", "add --runtime openvino")
    if asked != "auto":
        return asked, "asked for"
    if runtime == "onnxruntime":
        return "float32", "all that onnxruntime runs these models at"
    if _has_bfloat16(runtime):
        return "bfloat16", "the processor has instructions for it"
    return "float32", "the processor has no instructions for bfloat16"


def _has_bfloat16(runtime: str) -> bool:
    if runtime == "openvino":
        return "BF16" in open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    import torch

    asks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(ask() for ask in asks if ask)


def package_version(name: str) -> str:
    """The installed version of a package."""
    return version(name)


def import_openvino() -> Any:
    """The package openvino, without its telemetry: by default each conversion reports to Google Analytics."""
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # its importers then take their stub
    import openvino

    return openvino


@cache
def open_core() -> Any:
    """The one OpenVINO Core of this process.

    A Core's processor plugin gives the thread a signal stack, and puts back the one it found when it ends: of two that
    do not end in reverse order the later leaves one that is gone, and the next signal with a handler (Ctrl-C, the end
    of a child) kills the process.
    """
    return import_openvino().Core()


def count_threads(threads: int | None) -> int:
    """The number of inference threads: as given, else the processors this process may use."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return threads


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
