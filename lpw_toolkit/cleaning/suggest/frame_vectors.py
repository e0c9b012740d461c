"""Embeddings with one row per frame; only the sampled frames are kept in memory."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.tables import shorten
from lpw_toolkit.embedding.embeddings import iter_batches, open_embeddings
from lpw_toolkit.errors import LpwError, MismatchError, join_names
from lpw_toolkit.files.limits import limit
from lpw_toolkit.files.writing import describe_os_error

_DO = "write it with `lpw embed --per-frame`"
_COLUMNS = ("tracklet_id", "position", "embedding")


@dataclass(frozen=True)
class FrameVectors:
    """Vectors of some of a dataset's frames.

    Attributes:
        known: (F,) which rows of the table of frames have a vector.
        place: (F,) row in `vectors`, -1 where there is none.
        vectors: (M, D) float16: half the memory, and far finer than a look needs.
        model: what made them.
    """

    known: NDArray[np.bool_]
    place: NDArray[np.int64]
    vectors: NDArray[np.float16]
    model: str

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """The vectors of these rows of the table of frames, each of length 1."""
        found = self.vectors[self.place[rows]].astype(np.float64)
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))


def open_vectors(path: Path, index: TrackletIndex) -> FrameVectors:
    """Reads the embeddings at `path`.

    Errors: LpwError for no table with tracklet_id, position and embedding, for unknown or double
    frames, NaN and infinity; MismatchError where it says that it was made from another dataset.
    """
    with open_embeddings(path) as opened:
        try:
            _check_head(path, opened.file, index)
            model = (
                (opened.file.schema_arrow.metadata or {})
                .get(b"lpw_model", b"not said")
                .decode("utf-8", "replace")
            )
            parts = [_read_batch(path, batch, index) for batch in iter_batches(opened.file)]
        except OSError as error:
            raise LpwError(
                path, describe_os_error(error), "embeddings, one row per frame", _DO
            ) from error
        except (pa.ArrowException, ValueError, MemoryError) as error:
            raise LpwError(
                path, f"a damaged file ({shorten(error)})", "a whole Parquet file", _DO
            ) from error
    rows = np.concatenate([rows for rows, _ in parts]) if parts else np.zeros(0, np.int64)
    if not len(rows) or len({values.shape[1] for _, values in parts}) > 1:
        raise LpwError(path, "no rows, or vectors of several lengths", "vectors of one length", _DO)
    n_frames = len(index.images)
    if len(np.unique(rows)) < len(rows):
        raise LpwError(path, "a frame twice", "each frame once", _DO)
    place = np.full(n_frames, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    return FrameVectors(
        place >= 0, place, np.concatenate([values for _, values in parts]), shorten(model)
    )


def _check_head(path: Path, file: pq.ParquetFile, index: TrackletIndex) -> None:
    names = file.schema_arrow.names
    if not set(_COLUMNS) <= set(names):
        raise LpwError(
            path, f"columns {join_names(names)}", "tracklet_id, position and embedding", _DO
        )
    said = (file.schema_arrow.metadata or {}).get(b"lpw_dataset_digest")
    digest = str(index.dataset.manifest.get("digest"))
    if said is not None and said.decode("utf-8", "replace") != digest:
        raise MismatchError(
            path, "embeddings of another dataset", f"{index.dataset.name} ({digest[:12]})", _DO
        )


def _read_batch(
    path: Path, batch: pa.RecordBatch, index: TrackletIndex
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Rows of the table of frames, and their vectors."""
    found = pc.index_in(
        batch.column("tracklet_id").cast(pa.string()),
        index.tracklets["tracklet_id"].combine_chunks(),
    )
    positions = batch.column("position")
    if found.null_count or positions.null_count:
        raise LpwError(
            path, "unknown tracklets, or rows without a position", "the frames of this dataset", _DO
        )
    owner = found.to_numpy(zero_copy_only=False).astype(np.int64)
    position = positions.cast(pa.int64()).to_numpy(zero_copy_only=False)
    rows = index.starts[owner] + position
    if (position < 0).any() or (rows >= index.starts[owner + 1]).any():
        raise LpwError(path, "positions beyond the tracklets", "the frames of this dataset", _DO)
    column = batch.column("embedding")
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    even = (
        len(rows) > 0
        and not column.null_count
        and 0 < lengths.min() == lengths.max() <= limit("embedding_dims")
    )
    values = (
        column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        if even
        else np.full(1, np.nan)
    )
    if not np.isfinite(values).all():
        raise LpwError(
            path, "vectors of several lengths, NaN or infinity", "finite vectors of one length", _DO
        )
    values = values.reshape(len(rows), -1)
    unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-30)
    return rows, unit.astype(np.float16)
