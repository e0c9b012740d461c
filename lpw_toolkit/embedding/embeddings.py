"""Reads and writes embeddings.parquet: one vector per tracklet or per frame, ours or the user's
own."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.parquet_file import OpenTable
from lpw_toolkit.dataset.parquet_pages import TooLargeError
from lpw_toolkit.dataset.schema import embeddings_schema
from lpw_toolkit.dataset.tables import shorten, write_table
from lpw_toolkit.embedding.tracklet_distance import TrackletDistance
from lpw_toolkit.embedding.vector_pool import (
    LAYOUT,
    NOT_SAID,
    Floats,
    Pooling,
    VectorPool,
    count_and_name,
)
from lpw_toolkit.errors import LpwError, MismatchError, join_names
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import parse_json
from lpw_toolkit.files.writing import describe_os_error

_BATCH_BYTES = 16 << 20
_KEYS = ("model", "checkpoint_sha256", "dataset_digest", "frames_used")
_SEEN, _METRIC = "lpw_seen_persons", "lpw_metric"
_METRICS = ("cosine", "euclidean")
_MAX_FACT_CHARS = 200


@dataclass(frozen=True)
class EmbeddingFacts:
    """The metadata of a file of embeddings.

    Attributes:
        model: what made it, such as `osnet_x0_25_msmt17`.
        checkpoint_sha256: of the weights (hex); None if unknown.
        dataset_digest: of the dataset whose images went in; None if unknown.
        frames_used: which frames of each tracklet, such as `all`.
        seen_persons: persons of that dataset that the model was trained on, sorted; None if
            unknown.
        metric: how its vectors are compared unless another metric is asked for: `cosine` or
            `euclidean`.
    """

    model: str
    checkpoint_sha256: str | None
    dataset_digest: str | None
    frames_used: str
    seen_persons: tuple[str, ...] | None = None
    metric: str = "cosine"


@dataclass(frozen=True)
class Embeddings:
    """Vectors of a dataset's tracklets.

    Attributes:
        vectors: (N, D) float32, finite, row by row as in the dataset's table of tracklets; zeros
            where not present.
        present: (N,) whether the tracklet has a vector.
        facts: where they come from.
        notes: what a reader of the numbers should know (rounding, pooling, missing facts).
        own: the model's own distance between tracklets, where it has more than these vectors.
        left_out: why some tracklets have no vector and are left out of queries and gallery; empty
            where each must have one.
    """

    vectors: Floats
    present: NDArray[np.bool_]
    facts: EmbeddingFacts
    notes: list[str]
    own: TrackletDistance | None = None
    left_out: str = ""


def encode_facts(facts: EmbeddingFacts) -> dict[bytes, bytes]:
    """The facts as metadata of the schema."""
    said = {f"lpw_{key}": getattr(facts, key) for key in _KEYS}
    if facts.seen_persons is not None:
        said[_SEEN] = json.dumps(facts.seen_persons)
    if facts.metric != "cosine":
        said[_METRIC] = facts.metric
    return {key.encode(): text.encode() for key, text in said.items() if text is not None}


def make_rows(
    schema: pa.Schema,
    tracklet_ids: Sequence[str],
    vectors: NDArray[Any],
    positions: Sequence[int] | None = None,
) -> pa.Table:
    """Rows of a file of embeddings: vectors (N, D) of tracklets, or with `positions` (N,) of their
    frames."""
    values = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    columns = {
        "tracklet_id": pa.array(tracklet_ids, pa.string()),
        "position": pa.array(positions or [], pa.int32()),
        "embedding": pa.FixedSizeListArray.from_arrays(values, type=schema.field("embedding").type),
    }
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def write_embeddings(
    path: Path, tracklet_ids: Sequence[str], vectors: Floats, facts: EmbeddingFacts
) -> None:
    """Publishes `vectors` (N, D), one for each of `tracklet_ids`, at `path`. Errors: LpwError,
    OSError."""
    if vectors.ndim != 2 or not vectors.size or len(tracklet_ids) != len(vectors):
        got = f"{len(tracklet_ids)} tracklets and vectors of shape {vectors.shape}"
        raise LpwError(path, got, "one vector (D > 0) for each tracklet", "embed the dataset again")
    if not np.isfinite(vectors).all():
        bad = [tracklet_ids[int(i)] for i in np.flatnonzero(~np.isfinite(vectors).all(axis=1))]
        raise LpwError(
            path, f"NaN or infinity in {count_and_name(bad)}", "finite vectors", "check the model"
        )
    schema = embeddings_schema(vectors.shape[1])
    said = schema.with_metadata({**schema.metadata, **encode_facts(facts)})
    write_table(path, make_rows(said, tracklet_ids, vectors), schema)


def read_embeddings(
    path: Path, dataset: Dataset, *, pooling: Pooling | None = None, normalize_frames: bool = False
) -> Embeddings:
    """The vectors at `path` for the tracklets of `dataset`.

    The column `embedding` may be a list of float16, float32 or float64, of fixed size or not; a
    column `position` says that a row is a frame. float16 is taken, because that is how large sets
    are kept, and a note says so: its rounding (3 digits) can change the order of near ties.

    Args:
        pooling: of the frames of a tracklet; None is the mean, and is the only choice for one row
            per tracklet.
        normalize_frames: brings each frame's vector to length 1 before it is pooled.

    Memory: the vectors that are returned and one batch. Errors: LpwError in one line for a file
    that is no such table, and for tracklets that are unknown, double, or have NaN, infinity or
    another dimension; MismatchError when the file says that it was made from another dataset.
    """
    with open_embeddings(path) as opened:
        facts = _read_facts(path, opened.file)
        _check_digest(path, facts, dataset)
        per_frame = "position" in opened.file.schema_arrow.names
        if not per_frame and (pooling or normalize_frames):
            option = "--pooling" if pooling else "--normalize-frames"
            raise LpwError(
                f"option {option}",
                f"one row per tracklet in {path}",
                "one row per frame",
                "leave it out",
            )
        pool = VectorPool(
            path, dataset, pooling or "mean", per_frame=per_frame, normalize=normalize_frames
        )
        try:
            for batch in iter_batches(opened.file):
                pool.add(batch)
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            got = f"a damaged file ({shorten(error)})"
            raise LpwError(path, got, "a whole Parquet file", "write it again") from error
        vectors, present, used = pool.finish()
        notes = _write_notes(path, opened.file, facts)
    shown = used if facts.frames_used == NOT_SAID else facts.frames_used
    if per_frame:
        shown += f", pooled by {pooling or 'mean'}" + (
            " of unit vectors" if normalize_frames else ""
        )
    return Embeddings(vectors, present, replace(facts, frames_used=shown), notes)


def read_dataset_digest(path: Path) -> str | None:
    """The digest of the dataset that the file at `path` says it was made from. Errors: as
    `open_embeddings`."""
    with open_embeddings(path) as opened:
        return _read_facts(path, opened.file).dataset_digest


def open_embeddings(path: Path) -> OpenTable:
    """The file of embeddings at `path`, opened once, its columns checked and bounded; to be closed
    by the caller.

    Errors: LpwError for a file that is no such table, has no rows, or a row group or vectors beyond
    `files.limits`.
    """
    do = f"give {LAYOUT}"
    try:
        opened = OpenTable(path, streamed=True)
        try:
            _check_columns(path, opened.file.schema_arrow)
            if not opened.file.metadata.num_rows:
                raise LpwError(
                    path, "no rows", "one vector for each tracklet", "embed the dataset again"
                )
            opened.check_memory(_choose_columns(opened.file))
            if (width := _count_values(opened.file) // opened.file.metadata.num_rows) > limit(
                "embedding_dims"
            ):
                raise TooLargeError(explain_limit("embedding_dims", f"vectors of {width} numbers"))
        except BaseException:
            opened.close()
            raise
    except OSError as error:
        raise LpwError(path, describe_os_error(error), "a file of embeddings", do) from error
    except TooLargeError as error:
        raise LpwError(path, f"{error}", "embeddings within the bounds", do) from error
    except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
        raise LpwError(
            path, f"a file that cannot be read ({shorten(error)})", "a Parquet file", do
        ) from error
    return opened


def _check_columns(path: Path, schema: pa.Schema) -> None:
    kind = (schema.metadata or {}).get(b"lpw_table", b"embeddings")
    if kind != b"embeddings":
        raise LpwError(
            path,
            f"a table of {shorten(kind.decode(errors='replace'))}",
            "a table of embeddings",
            "name another file",
        )
    for name in ("tracklet_id", "embedding"):
        if schema.names.count(name) != 1:
            raise LpwError(
                path, f"columns {join_names(schema.names)}", f"one column {name}", f"give {LAYOUT}"
            )
    wanted = {"tracklet_id": (_is_text, "string"), "embedding": (_is_vector, "a list of float32")}
    wanted |= (
        {"position": (pa.types.is_integer, "an integer")} if "position" in schema.names else {}
    )
    for name, (fits, expected) in wanted.items():
        found = schema.field(name).type
        if not fits(found):
            raise LpwError(
                f"{path}, column {name}",
                f"type {shorten(found)}",
                expected,
                "write it with that type",
            )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_vector(kind: pa.DataType) -> bool:
    lists = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    return bool(lists and pa.types.is_floating(kind.value_type))


def _read_facts(path: Path, file: pq.ParquetFile) -> EmbeddingFacts:
    metadata = file.schema_arrow.metadata or {}
    said = {}
    for key in _KEYS:
        text = metadata.get(f"lpw_{key}".encode(), b"").decode("utf-8", "replace")
        said[key] = "".join(c for c in text if c.isprintable())[:_MAX_FACT_CHARS] or None
    return EmbeddingFacts(
        said["model"] or path.stem,
        said["checkpoint_sha256"],
        said["dataset_digest"],
        said["frames_used"] or NOT_SAID,
        _read_seen(path, metadata.get(_SEEN.encode())),
        _read_metric(path, metadata.get(_METRIC.encode(), b"cosine")),
    )


def _read_metric(path: Path, text: bytes) -> str:
    """Errors: LpwError for what is no metric of vectors."""
    for name in _METRICS:
        if text == name.encode():
            return name
    got = f"metadata {_METRIC} {shorten(text.decode(errors='replace'))}"
    raise LpwError(path, got, " or ".join(_METRICS), "embed the dataset again")


def _read_seen(path: Path, text: bytes | None) -> tuple[str, ...] | None:
    """Errors: LpwError for what is no list of persons, or one beyond `files.limits`."""
    if text is None:
        return None
    try:
        names = parse_json(text)
    except ValueError:
        names = None
    if (
        not isinstance(names, list)
        or len(names) > limit("persons")
        or not all(isinstance(name, str) for name in names)
    ):
        got = f"metadata {_SEEN} that is no list of at most {limit('persons')} persons"
        raise LpwError(path, got, "the one that lpw writes", "embed the dataset again")
    return tuple(names)


def _check_digest(path: Path, facts: EmbeddingFacts, dataset: Dataset) -> None:
    digest = str(dataset.manifest.get("digest"))
    if facts.dataset_digest is not None and facts.dataset_digest != digest:
        got = f"embeddings of the dataset {facts.dataset_digest[:12]}"
        raise MismatchError(
            path,
            got,
            f"{dataset.name} ({digest[:12]})",
            "embed this dataset, or name the other one",
        )


def _choose_columns(file: pq.ParquetFile) -> list[str]:
    return [
        name for name in ("tracklet_id", "position", "embedding") if name in file.schema_arrow.names
    ]


def _count_values(file: pq.ParquetFile) -> int:
    """Numbers in all vectors together."""
    metadata = file.metadata
    return sum(
        metadata.row_group(i).column(j).num_values
        for j in range(metadata.num_columns)
        if file.schema.column(j).path.startswith("embedding.")
        for i in range(metadata.num_row_groups)
    )


def iter_batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """The rows of a file of embeddings, about 16 MiB of vectors at once."""
    row_bytes = 8 * max(_count_values(file) // file.metadata.num_rows, 1)
    yield from file.iter_batches(
        batch_size=max(_BATCH_BYTES // row_bytes, 1), columns=_choose_columns(file)
    )


def _write_notes(path: Path, file: pq.ParquetFile, facts: EmbeddingFacts) -> list[str]:
    notes = []
    if pa.types.is_float16(file.schema_arrow.field("embedding").type.value_type):
        notes.append(
            f"{path.name}: float16, kept to 3 digits; near ties may rank otherwise than from "
            f"float32"
        )
    if facts.dataset_digest is None:
        notes.append(
            f"{path.name}: does not say from which dataset it was made; its tracklets fit this one"
        )
    return notes
