"""Embeddings of tracklets by any ONNX re-identification model: one image input, one vector out.

Images are read and decoded by threads while the network works; frames are pooled as they come, and
rows are written as tracklets end, so that memory depends neither on the length of a tracklet nor on
the size of the dataset.
"""

import json
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.dataset import refuse_inside_dataset
from lpw_toolkit.dataset.image_reader import ImageReader
from lpw_toolkit.dataset.schema import embeddings_schema, frame_embeddings_schema
from lpw_toolkit.dataset.tables import stream_table
from lpw_toolkit.embedding.embeddings import make_rows
from lpw_toolkit.embedding.sampling import choose_frames
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.networks import runtimes
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
from lpw_toolkit.progress import show_progress

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Triple = tuple[float, float, float]
Setting = str | int | bool | list[int] | list[float]
RUNTIMES = ("auto", "openvino", "onnxruntime")
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
_DO = "export a re-identification model to ONNX: images Nx3xHxW in, one vector for each out"
_ROWS_AT_ONCE = 1024


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


@dataclass(frozen=True)
class EmbedReport:
    """What was written: numbers of tracklets and of images, and the length of a vector."""

    n_tracklets: int
    n_images: int
    dimension: int


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
    _check_shapes(path, inputs, outputs)
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


def _check_shapes(path: Path, inputs: list[Shape], outputs: list[Shape]) -> None:
    good = len(inputs) == 1 and len(inputs[0]) == 4 and inputs[0][1] in (3, None)
    if not good:
        raise LpwError(path, f"inputs {tell_shapes(inputs)}", "one input Nx3xHxW", _DO)
    if len(outputs) != 1:
        raise LpwError(
            path, f"{len(outputs)} outputs ({tell_shapes(outputs)})", "one output NxD", _DO
        )


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
    answer = run_once(file, network, 128, _DO)
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


def embed_dataset(
    index: TrackletIndex, embedder: Embedder, out: Path, options: EmbedOptions
) -> EmbedReport:
    """Writes the embedding of every tracklet of `index`, in its order, to the Parquet file `out`.

    Errors: CorruptCropError naming an image that is not the index's, LpwError for answers that are
    not finite or a file that cannot be written. Nothing is left behind then.
    """
    refuse_inside_dataset(out)
    schema = (frame_embeddings_schema if options.per_frame else embeddings_schema)(
        embedder.dimension
    )
    schema = schema.with_metadata({**schema.metadata, **_describe(index, embedder, options)})
    plan = [_choose_rows(index, i, options) for i in range(len(index))]
    n_images = sum(map(len, plan))
    vectors = iter_vectors(
        index.images, (row for rows in plan for row in rows), embedder, flip=options.flip
    )
    names = index.tracklets["tracklet_id"]
    try:
        with (
            stream_table(out, schema) as append,
            show_progress("embed", n_images, "images") as progress,
        ):
            rows = _Rows(schema, embedder.dimension)
            for i, wanted in enumerate(plan):
                name, first = names[i].as_py(), int(index.starts[i])
                pool = _Pool(embedder.dimension, options.pooling)
                for row, vector in islice(vectors, len(wanted)):
                    if options.per_frame:
                        rows.add(name, vector, row - first)
                    else:
                        pool.add(vector)
                    progress.advance()
                    if len(rows) >= _ROWS_AT_ONCE:
                        append(rows.take())
                if not options.per_frame:
                    rows.add(name, pool.finish())
            append(rows.take())
    except OSError as error:
        do = "free space or name another file"
        raise LpwError(out, describe_os_error(error), "a file that can be written", do) from error
    finally:
        vectors.close()
    return EmbedReport(len(plan), n_images, embedder.dimension)


def _choose_rows(index: TrackletIndex, i: int, options: EmbedOptions) -> "range | list[int]":
    first, end = int(index.starts[i]), int(index.starts[i + 1])
    if options.frames is None or options.frames >= end - first:
        return range(first, end)
    return [
        first + place
        for place in choose_frames(end - first, options.frames, "evenly", None).tolist()
    ]


def _describe(
    index: TrackletIndex, embedder: Embedder, options: EmbedOptions
) -> dict[bytes, bytes]:
    """What the file says of itself (see `embeddings.EmbeddingFacts`), and the settings of the run
    as JSON."""
    frames_used = "all" if options.frames is None else f"at most {options.frames}, evenly spaced"
    facts = {
        "model": embedder.path.stem,
        "checkpoint_sha256": embedder.sha256,
        "dataset_digest": str(index.dataset.manifest.get("digest")),
        "frames_used": frames_used
        if options.per_frame
        else f"{frames_used}, pooled by {options.pooling}",
        "settings": json.dumps(embedder.settings, sort_keys=True),
    }
    return {f"lpw_{key}".encode(): text.encode() for key, text in facts.items()}


def iter_vectors(
    images: ImageReader, rows: Iterable[int], embedder: Embedder, *, flip: bool = False
) -> Generator[tuple[int, Floats], None, None]:
    """The vector (D,) of each of `rows`, in order: batches are cut by their number, the last one
    padded with grey.

    Errors: CorruptCropError; LpwError naming the image whose answer is not finite.
    """
    shots = ((row, mirrored) for row in rows for mirrored in ((False, True) if flip else (False,)))
    answers = _run(images, shots, embedder)
    try:
        for row, vector in answers:
            both = (vector + next(answers)[1]) / np.float32(2) if flip else vector
            if not np.isfinite(both).all():
                got = f"NaN or infinity for {images.name(row)}"
                raise LpwError(
                    embedder.path, got, "finite vectors", "check the model and its precision"
                )
            yield row, both
    finally:
        answers.close()


Shot = tuple[int, bool]


def _run(
    images: ImageReader, shots: Iterator[Shot], embedder: Embedder
) -> Generator[tuple[int, Floats], None, None]:
    network = embedder.network
    flights: deque[tuple[int, list[Shot]]] = deque()

    def decode(batch: list[Shot]) -> tuple[list[Shot], list[Pixels]]:
        return batch, [_draw(images, shot, embedder) for shot in batch]

    try:
        batches = iter(lambda: list(islice(shots, embedder.batch_size)), [])
        for number, (batch, pictures) in enumerate(prefetch(decode, batches)):
            slot = number % network.n_slots
            if len(flights) == network.n_slots:
                yield from _land(network, *flights.popleft())
            network.inputs(slot)[: len(pictures)] = pictures
            network.inputs(slot)[len(pictures) :] = 128
            network.start(slot)
            flights.append((slot, batch))
        while flights:
            yield from _land(network, *flights.popleft())
    finally:
        for slot, _ in flights:  # whoever stops early leaves no network at work
            network.finish(slot)


def _draw(images: ImageReader, shot: Shot, embedder: Embedder) -> Pixels:
    pixels = images.decode(shot[0], embedder.size_px)
    if embedder.settings["channels"] == "bgr":
        pixels = pixels[..., ::-1]
    return pixels[:, ::-1] if shot[1] else pixels


def _land(network: runtimes.Network, slot: int, batch: list[Shot]) -> Iterator[tuple[int, Floats]]:
    (answer,) = network.finish(slot)
    vectors = np.array(answer, dtype=np.float32).reshape(
        len(answer), -1
    )  # a copy: the slot is used again
    for (row, _), vector in zip(batch, vectors, strict=False):
        yield row, vector


class _Pool:
    """Vectors of a tracklet's frames, one by one, to a single one; sums are kept in float64."""

    def __init__(self, dimension: int, pooling: str) -> None:
        self._pooling, self._n = pooling, 0
        self._value = np.full(dimension, -np.inf if pooling == "max" else 0.0)

    def add(self, vector: Floats) -> None:
        self._n += 1
        (np.maximum if self._pooling == "max" else np.add)(self._value, vector, out=self._value)

    def finish(self) -> Floats:
        return (self._value if self._pooling == "max" else self._value / self._n).astype(np.float32)


@dataclass
class _Rows:
    """Rows that wait to be written."""

    schema: pa.Schema
    dimension: int
    names: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    vectors: list[Floats] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str, vector: Floats, position: int = 0) -> None:
        self.names.append(name)
        self.positions.append(position)
        self.vectors.append(vector)

    def take(self) -> pa.Table:
        """The rows as a table; none are left."""
        rows = make_rows(
            self.schema, self.names, np.array(self.vectors, dtype=np.float32), self.positions
        )
        self.names, self.positions, self.vectors = [], [], []
        return rows
