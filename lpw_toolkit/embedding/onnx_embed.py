"""Embeds tracklets with any ONNX re-identification model: one image input, one vector out.

Images are read and decoded by threads while the network works; frames are pooled as they come, and
rows are written as tracklets end, so that memory depends neither on the length of a tracklet nor on
the size of the dataset.
"""

import json
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.dataset import refuse_out
from lpw_toolkit.dataset.image_reader import ImageReader
from lpw_toolkit.dataset.schema import embeddings_schema, frame_embeddings_schema
from lpw_toolkit.dataset.tables import stream_table
from lpw_toolkit.embedding.embeddings import make_rows
from lpw_toolkit.embedding.onnx_embedder import Embedder, EmbedOptions, Pixels
from lpw_toolkit.embedding.sampling import choose_frames
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Announce, Clock, Estimate, time_steps
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.networks import runtimes
from lpw_toolkit.progress import show_progress

Floats = NDArray[np.float32]
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class EmbedReport:
    """What was written: numbers of tracklets and of images, and the length of a vector."""

    n_tracklets: int
    n_images: int
    dimension: int


def embed_dataset(
    index: TrackletIndex,
    embedder: Embedder,
    out: Path,
    options: EmbedOptions,
    announce: Announce | None = None,
) -> EmbedReport:
    """Writes the embedding of every tracklet of `index`, in its order, to the Parquet file `out`.

    Args:
        announce: gets an estimate from a few batches, before anything is written.

    Errors: CorruptCropError naming an image that is not the index's, LpwError for answers that are
    not finite or a file that cannot be written. Nothing is left behind then.
    """
    refuse_out(out)
    schema = (frame_embeddings_schema if options.per_frame else embeddings_schema)(
        embedder.dimension
    )
    schema = schema.with_metadata({**schema.metadata, **_describe(index, embedder, options)})
    plan = [_choose_rows(index, i, options) for i in range(len(index))]
    n_images = sum(map(len, plan))
    if announce is not None and n_images:
        announce(_estimate(index.images, plan, embedder, options))
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


def _estimate(
    images: ImageReader,
    plan: Sequence[Sequence[int]],
    embedder: Embedder,
    options: EmbedOptions,
    clock: Clock = time.perf_counter,
) -> Estimate:
    """What is to be expected, from a few batches of the first images."""
    n_images = sum(map(len, plan))
    first = list(islice((row for rows in plan for row in rows), embedder.batch_size))

    def step() -> None:
        for _ in iter_vectors(images, first, embedder, flip=options.flip):
            pass

    seconds = time_steps(step, n_images / len(first), clock)
    n_rows = n_images if options.per_frame else len(plan)
    basis = f"a trial of {len(first)} images, {n_images:,} in all"
    return Estimate("embed", seconds, 1, 4 * embedder.dimension * n_rows, basis)


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
