"""Inference runtimes: which one runs, its precision, and its buffers."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError, install_hint, unknown_name

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Answers = tuple[Floats, ...]
PRECISIONS = ("auto", "float32", "bfloat16")
#: The extra that brings each runtime.
EXTRAS = {"torch": "ultralytics", "openvino": "openvino", "onnxruntime": "onnx"}


class Network(Protocol):
    """A network compiled for one input shape; each of its slots holds one batch in flight."""

    n_slots: int

    def inputs(self, slot: int) -> Pixels:
        """The buffer (B, height, width, 3), BGR, that `start(slot)` reads."""

    def start(self, slot: int) -> None:
        """Begins to work on the buffer of `slot`, without waiting."""

    def finish(self, slot: int) -> Answers:
        """Waits for `slot`: the answers, each (B, ...), valid until `start(slot)`."""


class ThreadedNetwork:
    """A function from pixels (B, height, width, 3) to answers, run beside the caller by worker
    threads."""

    def __init__(
        self, function: Callable[[Pixels], Answers], shape: tuple[int, int, int], n_workers: int
    ) -> None:
        self._function = function
        self._pool = ThreadPoolExecutor(n_workers, thread_name_prefix="lpw-network")
        self.n_slots = (
            n_workers + 1
        )  # one more than can run, so that the next batch is drawn meanwhile
        self._inputs = [np.empty((*shape, 3), dtype=np.uint8) for _ in range(self.n_slots)]
        self._answers: list[Future[Answers] | None] = [None] * self.n_slots

    def inputs(self, slot: int) -> Pixels:
        """The buffer that `start(slot)` reads."""
        return self._inputs[slot]

    def start(self, slot: int) -> None:
        """Hands the buffer of `slot` to a worker."""
        self._answers[slot] = self._pool.submit(self._function, self._inputs[slot])

    def finish(self, slot: int) -> Answers:
        """Waits for the worker. Errors: what the function raised; RuntimeError where nothing was
        started."""
        answer = self._answers[slot]
        if answer is None:
            raise RuntimeError(f"slot {slot} was not started")
        return answer.result()


class OpenVinoNetwork:
    """An OpenVINO model on the processor: one single-threaded stream per thread, each with its own
    request.

    One thread per stream is faster than several threads on one frame, and each answer is computed
    by one thread in a fixed order, so that it does not depend on what else is in flight.
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


def feed_pixels(
    model: Any, mean: tuple[float, ...] = (), scale: tuple[float, ...] = (), *, rgb: bool = False
) -> Any:
    """An OpenVINO model (B, 3, H, W) float that takes (B, H, W, 3) BGR bytes instead: the change
    happens in its graph.

    Args:
        mean, scale: of its three channels, 0-255; where given, the mean is taken off and the scale
            divided by.
        rgb: whether the model takes RGB.
    """
    ov = import_openvino()
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    work = steps.input().preprocess().convert_element_type(ov.Type.f32)
    if rgb:
        work.reverse_channels()
    if mean:
        work.mean(list(mean))
    if scale:
        work.scale(list(scale))
    return steps.build()


def feed_rgb_bytes(model: Any) -> Any:
    """An OpenVINO model of RGB bytes (B, H, W, 3) that takes BGR instead."""
    from openvino.preprocess import PrePostProcessor

    layout = import_openvino().Layout("NHWC")
    steps = PrePostProcessor(model)
    steps.input().tensor().set_layout(layout)
    steps.input().model().set_layout(layout)
    steps.input().preprocess().reverse_channels()
    return steps.build()


def choose_runtime(
    asked: str, known: tuple[str, ...], *, preferred: str, fallback: str, extra: str | None = None
) -> str:
    """The runtime to use: what was asked for, or for `auto` the preferred one where it is
    installed.

    Args:
        extra: that a message names where the runtime is missing, if not the runtime's own.

    Errors: LpwError for an unknown name, or a runtime that is not installed.
    """
    if asked not in known:
        expected = f"{' | '.join(known)} for this detector"
        raise unknown_name("option --runtime", asked, known, expected=expected)
    runtime = (preferred if find_spec(preferred) else fallback) if asked == "auto" else asked
    if not find_spec(runtime):
        do = install_hint(extra or EXTRAS[runtime])
        raise LpwError(f"--runtime {asked}", f"no package {runtime}", "it installed", do)
    return runtime


def choose_precision(asked: str, runtime: str) -> tuple[str, str]:
    """The precision to run at, and why.

    `auto` is bfloat16 where the processor has instructions for it (avx512_bf16, amx_bf16): 1.7
    times as fast at equal recall. Elsewhere float32.
    """
    if asked not in PRECISIONS:
        raise unknown_name("option --precision", asked, PRECISIONS)
    if runtime == "onnxruntime" and asked == "bfloat16":
        raise LpwError(
            "--precision bfloat16",
            "runtime onnxruntime",
            "runtime openvino",
            "add --runtime openvino",
        )
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

    asks = [
        getattr(torch.cpu, name, None)
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    ]
    return any(ask() for ask in asks if ask)


def package_version(name: str) -> str:
    """The installed version of a package."""
    return version(name)


def import_openvino() -> Any:
    """The package openvino, without its telemetry: by default each conversion reports to Google
    Analytics."""
    if "openvino_telemetry" not in sys.modules:
        # its importers then take their stub
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


@cache
def open_core() -> Any:
    """The one OpenVINO Core of this process.

    A Core's processor plugin gives the thread a signal stack, and puts back the one it found when
    it ends: of two that do not end in reverse order the later leaves one that is gone, and the next
    signal with a handler (Ctrl-C, the end of a child) kills the process.
    """
    return import_openvino().Core()


def count_threads(threads: int | None) -> int:
    """The number of inference threads: as given, else the processors this process may use."""
    if threads is None:
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    return threads
