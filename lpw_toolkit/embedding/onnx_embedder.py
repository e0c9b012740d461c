"""Opens, checks and compiles an ONNX re-identification model, and runs it once."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.catalogue import CatalogueEntry
from lpw_toolkit.networks.onnx_model import (
    Shape,
    open_session,
    read_openvino,
    read_shapes,
    refuse_damaged,
    refuse_harmful,
    refuse_large,
    run_once,
    tell_shapes,
)
from lpw_toolkit.networks.weights import WeightsFile, read_weights

Pixels = NDArray[np.uint8]
Triple = tuple[float, float, float]
Setting = str | int | bool | list[int] | list[float]
RUNTIMES = ("auto", "openvino", "onnxruntime")
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
_DO = "export a re-identification model to ONNX: images Nx3xHxW in, one vector for each out"


@dataclass(frozen=True)
class EmbedOptions:
    """How images become vectors. All of it moves the numbers, and is recorded with them.

    Attributes:
        pooling: how the vectors of a tracklet's frames become one.
        frames: how many frames of each tracklet, evenly spaced; None is all.
        per_frame: keep a row for each frame instead of pooling.
        flip: the vector of an image is the mean of its own and of its mirror image's.
        size_px: height and width of the input, for models that leave them open.
        mean, std: of the channels R, G, B, as fractions of 255: taken off, and divided by.
        bgr: channels in the order B, G, R.
        batch_size: images per run, where the model leaves it open.
        runtime: auto (OpenVINO where installed) | openvino | onnxruntime.
        precision: float32 | bfloat16 (OpenVINO only) | auto.
        threads: inference threads; None is every processor.
    """

    pooling: Literal["mean", "max"] = "mean"
    frames: int | None = None
    per_frame: bool = False
    flip: bool = False
    size_px: tuple[int, int] | None = None
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    bgr: bool = False
    batch_size: int = 8
    runtime: str = "auto"
    precision: str = "float32"
    threads: int | None = None

    def __post_init__(self) -> None:
        numbers = [
            ("--frames", self.frames, self.frames is None or self.frames >= 1, "1 or more, or all"),
            ("--batch-size", self.batch_size, 1 <= self.batch_size <= 1024, "1 to 1024"),
            (
                "--threads",
                self.threads,
                self.threads is None or 1 <= self.threads <= 1024,
                "1 to 1024",
            ),
            (
                "--size",
                self.size_px,
                self.size_px is None or min(self.size_px) >= 8,
                "8 pixels or more",
            ),
            ("--mean", self.mean, bool(np.isfinite(self.mean).all()), "three finite numbers"),
            (
                "--std",
                self.std,
                bool(np.isfinite(self.std).all()) and min(self.std) > 0,
                "three numbers above 0",
            ),
        ]
        for option, value, good, expected in numbers:
            if not good:
                raise LpwError(option, f"{value}", expected, "choose another value")


def fit_to_entry(options: EmbedOptions, entry: CatalogueEntry) -> EmbedOptions:
    """`options` with images given to the network as the catalogue of weights says."""
    form = entry.input
    mean, std = form.mean or options.mean, form.std or options.std
    return replace(options, size_px=form.size, mean=mean, std=std, bgr=form.channels == "bgr")


@dataclass(frozen=True)
class Embedder:
    """A model, compiled and tried.

    Attributes:
        path: of the model, as the user named it.
        sha256: of the bytes that the network was made of, hex.
        network: takes batches (B, H, W, 3) RGB, or BGR where the options say so.
        size_px: H and W.
        batch_size: B.
        dimension: D.
        settings: everything that moves the vectors.
    """

    path: Path
    sha256: str
    network: runtimes.Network
    size_px: tuple[int, int]
    batch_size: int
    dimension: int
    settings: dict[str, Setting]


def open_embedder(path: Path, options: EmbedOptions) -> Embedder:
    """Opens the ONNX model at `path` and runs it once.

    Errors: LpwError for no ONNX model, one with external data, without end, with other inputs or
    outputs, NaN, or a missing runtime.
    """
    file = read_weights(path)
    runtime = runtimes.choose_runtime(
        options.runtime, RUNTIMES, preferred="openvino", fallback="onnxruntime"
    )
    precision, _ = runtimes.choose_precision(options.precision, runtime)
    refuse_harmful(file, runtime, _DO, options.size_px)
    inputs, outputs = read_shapes(file, runtime, _DO)
    good = len(inputs) == 1 and len(inputs[0]) == 4 and inputs[0][1] in (3, None)
    if not good:
        raise LpwError(path, f"inputs {tell_shapes(inputs)}", "one input Nx3xHxW", _DO)
    if len(outputs) != 1:
        raise LpwError(
            path, f"{len(outputs)} outputs ({tell_shapes(outputs)})", "one output NxD", _DO
        )
    refuse_large(file, inputs[0], _DO)
    size_px = _choose_size(path, inputs[0], options)
    batch_size = inputs[0][0] or options.batch_size
    threads = runtimes.count_threads(options.threads)
    network = _compile(file, options, (batch_size, *size_px), (runtime, precision, threads))
    settings: dict[str, Setting] = {
        "weights": path.name,
        "runtime": runtime,
        "runtime_version": runtimes.package_version(runtime),
        "precision": precision,
        "threads": threads,
        "batch_size": batch_size,
        "size_px": list(size_px),
        "mean": list(options.mean),
        "std": list(options.std),
        "channels": "bgr" if options.bgr else "rgb",
        "flip": options.flip,
    }
    dimension = _try(file, network, batch_size)
    return Embedder(path, file.sha256, network, size_px, batch_size, dimension, settings)


def _choose_size(path: Path, shape: Shape, options: EmbedOptions) -> tuple[int, int]:
    height, width = shape[2:]
    if options.size_px is None:
        if height is None or width is None:
            raise LpwError(
                path,
                f"an input {tell_shapes([shape])}",
                "height and width",
                "add --size, such as 256x128",
            )
        return height, width
    for own, asked in zip((height, width), options.size_px, strict=True):
        if own not in (None, asked):
            got = f"{options.size_px[0]}x{options.size_px[1]}"
            raise LpwError(
                "--size", got, f"the {tell_shapes([shape[2:]])} of {path.name}", "leave it out"
            )
    return options.size_px


def _compile(
    file: WeightsFile, options: EmbedOptions, shape: tuple[int, int, int], how: tuple[str, str, int]
) -> runtimes.Network:
    runtime, precision, threads = how
    mean, scale = (
        tuple(255 * value for value in (reversed(triple) if options.bgr else triple))
        for triple in (options.mean, options.std)
    )
    if runtime == "openvino":
        model = read_openvino(file, _DO)
        try:
            model.reshape([shape[0], 3, *shape[1:]])
            return runtimes.OpenVinoNetwork(
                runtimes.feed_pixels(model, mean, scale), precision, threads
            )
        except RuntimeError as error:
            raise refuse_damaged(file, error, _DO) from error
    session = open_session(file, _DO)
    name = session.get_inputs()[0].name

    mean_px, scale_px = np.array(mean, dtype=np.float32), np.array(scale, dtype=np.float32)

    def run(pixels: Pixels) -> runtimes.Answers:
        batch = (pixels.astype(np.float32) - mean_px) / scale_px
        return (session.run(None, {name: np.ascontiguousarray(batch.transpose(0, 3, 1, 2))})[0],)

    return runtimes.ThreadedNetwork(run, shape, threads)


def _try(file: WeightsFile, network: runtimes.Network, batch_size: int) -> int:
    """Runs a grey batch; returns the length of a vector."""
    (answer,) = run_once(file, network, 128, _DO)
    sides = answer.shape
    if (
        len(sides) < 2
        or sides[0] != batch_size
        or sides[1] < 1
        or any(side != 1 for side in sides[2:])
    ):
        expected = f"{batch_size}xD, one vector for each image"
        raise LpwError(
            file.path, f"an answer of {tell_shapes([sides])} to {batch_size} images", expected, _DO
        )
    if sides[1] > limit("embedding_dims"):
        got = explain_limit("embedding_dims", f"a vector of {sides[1]} numbers")
        raise LpwError(file.path, got, "one short vector for each image", _DO)
    if not np.isfinite(answer).all():
        raise LpwError(
            file.path,
            "NaN or infinite answers",
            "finite weights",
            "fetch or export the model again",
        )
    return int(sides[1])
