"""Pools the rows of an embeddings file to one vector per tracklet of a dataset."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.tables import shorten, to_numpy
from lpw_toolkit.errors import LpwError, join_names
from lpw_toolkit.files.limits import explain_limit, limit

Floats = NDArray[np.float32]
Pooling = Literal["mean", "max"]
NOT_SAID = "not said by the file"
LAYOUT = (
    "a Parquet table with tracklet_id (string), embedding (list of float32) and, for one "
    "row "
    "per frame, position"
)


class VectorPool:
    """Batches in, one vector for each tracklet out; what is wrong is collected, so that it can be
    named and counted."""

    def __init__(
        self, path: Path, dataset: Dataset, pooling: Pooling, *, per_frame: bool, normalize: bool
    ) -> None:
        self._path, self._pooling, self._per_frame, self._normalize = (
            path,
            pooling,
            per_frame,
            normalize,
        )
        self._ids = dataset.tracklets["tracklet_id"].combine_chunks()
        self._n_frames = to_numpy(dataset.tracklets, "n_frames")
        self._count = np.zeros(len(self._ids), dtype=np.int64)
        self._bad = np.zeros(len(self._ids), dtype=bool)
        self._seen: list[NDArray[np.int64]] = []
        self._vectors: Floats = np.zeros((0, 0), dtype=np.float32)

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes rows in any order. Errors: LpwError for unknown tracklets and vectors of another
        length."""
        if not batch.num_rows:
            return
        rows = self._find_rows(batch.column("tracklet_id"))
        block = self._read_block(batch.column("embedding"), rows)
        if not self._vectors.size:
            empty = -np.inf if self._per_frame and self._pooling == "max" else 0.0
            self._vectors = np.full((len(self._ids), block.shape[1]), empty, dtype=np.float32)
        finite = np.isfinite(block).all(axis=1)
        self._bad[rows[~finite]] = True
        self._count += np.bincount(rows, minlength=len(self._ids))
        if not self._per_frame:
            self._vectors[rows] = block
            return
        self._check_positions(batch.column("position"), rows)
        if self._normalize:
            block /= np.maximum(
                np.linalg.norm(block, axis=1, keepdims=True), np.finfo(np.float32).tiny
            )
        self._fold(block, rows)

    def _find_rows(self, column: pa.Array) -> NDArray[np.int64]:
        names = (
            column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        ).cast(pa.string())
        if names.null_count:
            raise LpwError(
                self._path,
                f"{names.null_count} rows without a tracklet_id",
                "one in every row",
                "add it",
            )
        rows = pc.index_in(names, self._ids)
        if rows.null_count:
            unknown = [
                shorten(name) for name in names.filter(pc.is_null(rows)).unique().to_pylist()
            ]
            got, expected = (
                f"unknown tracklets: {join_names(unknown, 3)}",
                "tracklets of the dataset",
            )
            raise LpwError(self._path, got, expected, "embed this dataset again")
        return rows.to_numpy().astype(np.int64)  # type: ignore[no-any-return]

    def _read_block(self, column: pa.Array, rows: NDArray[np.int64]) -> Floats:
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        if lengths.max() > limit("embedding_dims"):
            raise LpwError(
                self._path,
                explain_limit("embedding_dims", f"a vector of {lengths.max()} numbers"),
                "a vector",
                LAYOUT,
            )
        width = self._vectors.shape[1] or int(np.bincount(lengths).argmax())
        odd = np.flatnonzero(lengths != width)
        if not width or len(odd):
            some = self._name(np.unique(rows[odd])) if width else "every tracklet"
            got = f"vectors of {lengths[odd[0]] if width else 0} numbers in {some}"
            raise LpwError(
                self._path, got, f"{width or 'some'} numbers in each", "write vectors of one length"
            )
        values = column.flatten()
        numbers = values.to_numpy(zero_copy_only=False).reshape(len(rows), width)
        with np.errstate(
            over="ignore"
        ):  # too large for float32 becomes infinity, which is refused by name
            return np.array(numbers, dtype=np.float32)

    def _check_positions(self, column: pa.Array, rows: NDArray[np.int64]) -> None:
        if column.null_count:
            raise LpwError(
                self._path,
                f"{column.null_count} rows without a position",
                "one in every row",
                "add it",
            )
        positions = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
        odd = np.flatnonzero((positions < 0) | (positions >= self._n_frames[rows]))
        if len(odd):
            row = rows[odd[0]]
            got = f"position {positions[odd[0]]} of {self._ids[int(row)]}"
            raise LpwError(
                self._path, got, f"0 to {self._n_frames[row] - 1}", "number the frames from 0"
            )
        self._seen.append(rows * (1 << 32) + positions)

    def _fold(self, block: Floats, rows: NDArray[np.int64]) -> None:
        if np.any(np.diff(rows) < 0):
            order = np.argsort(rows, kind="stable")
            block, rows = block[order], rows[order]
        borders = np.concatenate([[0], np.flatnonzero(np.diff(rows)) + 1, [len(rows)]])
        for start, stop in pairwise(borders):  # np.add.reduceat takes 26 times as long
            into = self._vectors[rows[start]]
            if self._pooling == "max":
                np.maximum(into, block[start:stop].max(axis=0), out=into)
            else:
                into += block[start:stop].sum(axis=0)

    def finish(self) -> tuple[Floats, NDArray[np.bool_], str]:
        """The vectors, which tracklets have one, and how many frames went in."""
        if self._bad.any():
            some = self._name(np.flatnonzero(self._bad))
            raise LpwError(
                self._path,
                f"NaN or infinity in {some}",
                "finite float32 vectors",
                "embed them again",
            )
        present = self._count > 0
        if not self._per_frame:
            self._refuse_doubles(
                np.flatnonzero(self._count > 1), "add a column position if rows are frames"
            )
            return self._vectors, present, NOT_SAID
        seen = np.sort(np.concatenate(self._seen))
        self._refuse_doubles(np.unique(seen[1:][np.diff(seen) == 0] >> 32), "give each frame once")
        if self._pooling == "mean":
            self._vectors[present] /= self._count[present, None].astype(np.float32)
        self._vectors[~present] = 0.0
        n_used, n_all = int(self._count.sum()), int(self._n_frames[present].sum())
        return self._vectors, present, "all" if n_used == n_all else f"{n_used} of {n_all}"

    def _refuse_doubles(self, rows: NDArray[np.int64], do: str) -> None:
        if len(rows):
            expected = "each frame once" if self._per_frame else "each tracklet once"
            raise LpwError(self._path, f"doubles of {self._name(rows)}", expected, do)

    def _name(self, rows: NDArray[Any]) -> str:
        return count_and_name([str(self._ids[int(row)]) for row in rows])


def count_and_name(names: Sequence[str]) -> str:
    """Tracklets for a message: the only one, or how many with the first three."""
    return f"{len(names)} tracklets ({join_names(names, 3)})" if len(names) > 1 else names[0]
