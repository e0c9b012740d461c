"""Writes Parquet with page checksums; reads it with verification and limits."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lpw_toolkit.dataset.parquet_file import OpenTable, TableFacts, describe_table, verify_table
from lpw_toolkit.dataset.parquet_pages import TooLargeError
from lpw_toolkit.dataset.schema import add_optional, check, check_fields
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.files.writing import atomic_write, atomic_write_stream, describe_os_error

__all__ = [
    "TableFacts",
    "boxes_of",
    "describe_table",
    "digest_rows",
    "encode_table",
    "make_table",
    "read_table",
    "run_starts",
    "shorten",
    "stream_table",
    "to_integers",
    "to_numpy",
    "verify_table",
    "write_table",
]

ROW_GROUP_ROWS = 65_536


def encode_table(table: pa.Table, schema: pa.Schema, *, group_by: str | None = None) -> bytes:
    """`table` as Parquet bytes: zstd, page checksums, row groups that end where the column
    `group_by` changes.

    The schema's own metadata stays; further keys of `table.schema.metadata` are kept beside it.
    """
    check(table, schema)
    merged = {**(table.schema.metadata or {}), **(schema.metadata or {})}
    table = table.cast(schema.with_metadata(merged)).combine_chunks()
    sink = io.BytesIO()
    options = {
        "compression": "zstd",
        "write_page_checksum": True,
        "use_dictionary": _choose_dictionaries(schema),
    }
    with pq.ParquetWriter(sink, table.schema, **options) as writer:
        start = 0
        for stop in _group_ends(table, group_by):
            writer.write_table(
                table.slice(start, stop - start), row_group_size=max(stop - start, 1)
            )
            start = stop
    return sink.getvalue()


def _choose_dictionaries(schema: pa.Schema) -> bool | list[str]:
    """Columns whose values are written once: all but the paths of images, which differ and are read
    faster without."""
    if "image" not in schema.names:
        return True
    return [*(name for name in schema.names if name != "image"), "image.bytes"]


def write_table(
    path: Path, table: pa.Table, schema: pa.Schema, *, group_by: str | None = None
) -> None:
    """Publishes `table` at `path` (see `encode_table`). Errors: MismatchError on a wrong schema,
    OSError."""
    atomic_write(path, encode_table(table, schema, group_by=group_by))


@contextmanager
def stream_table(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Yields a function that appends rows of `schema`, a row group a call; it is published when the
    block ends well.

    Memory does not grow with the table. Errors: MismatchError on rows of another schema, OSError as
    `atomic_write_stream`.
    """
    with (
        atomic_write_stream(path) as stream,
        pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        yield lambda rows: writer.write_table(check(rows, schema, path))


def read_table(
    path: Path,
    schema: pa.Schema,
    *,
    columns: list[str] | None = None,
    facts: TableFacts | None = None,
) -> pa.Table:
    """The table at `path`, verified page by page and against `schema`, opened once.

    Args:
        columns: narrows what is read, and verified.
        facts: what a manifest says of the file: it is verified before anything of it is parsed
            (`verify_table`).

    Errors: MismatchError naming the file when it is missing, damaged, not ours, another one than
    `facts` say, or would take more memory than `files.limits` allow; nothing of that is taken then.
    """
    hint = "run `lpw check` on the dataset, then restore the file or build the dataset again"
    try:
        with OpenTable(path, facts) as opened:
            check_fields(opened.file.schema_arrow, schema, path)
            there = set(opened.file.schema_arrow.names)
            opened.check_memory([name for name in columns or schema.names if name in there])
            if columns:
                schema = pa.schema(
                    [schema.field(name) for name in columns], metadata=schema.metadata
                )
            table = opened.file.read(columns=columns)
        _check_texts(table)
        table = check(table.select(columns) if columns else table, schema, path)
        return add_optional(table, schema)
    except OSError as error:
        raise MismatchError(
            path, describe_os_error(error), "a readable Parquet file", hint
        ) from error
    except TooLargeError as error:
        raise MismatchError(path, f"{error}", "a table within the bounds", hint) from error
    except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
        raise MismatchError(
            path, f"a damaged file ({shorten(error)})", "a whole Parquet file", hint
        ) from error


def shorten(error: object) -> str:
    """At most 200 letters of what a library said: it may repeat what a stranger wrote."""
    return f"{error}"[:200]


def _check_texts(table: pa.Table) -> None:
    """Arrow takes texts as they come. Errors: pa.ArrowInvalid for bytes that are no UTF-8."""
    for column in table.columns:
        for part in column.chunks:
            fields = part.flatten() if pa.types.is_struct(part.type) else [part]
            for values in fields:
                if pa.types.is_string(values.type):
                    values.validate(full=True)


def _group_ends(table: pa.Table, group_by: str | None) -> list[int]:
    n_rows = table.num_rows
    if group_by is None or n_rows == 0:
        return [*range(ROW_GROUP_ROWS, n_rows, ROW_GROUP_ROWS), n_rows]
    borders = np.append(run_starts(table[group_by])[1:], n_rows)
    ends: list[int] = []
    for target in range(ROW_GROUP_ROWS, n_rows, ROW_GROUP_ROWS):
        end = int(borders[np.searchsorted(borders, target)])
        if not ends or end > ends[-1]:
            ends.append(end)
    return ends if ends and ends[-1] == n_rows else [*ends, n_rows]


def make_table(columns: Sequence[Any], schema: pa.Schema) -> pa.Table:
    """A table of `schema` from one sequence of values for each of its columns, in its order."""
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def run_starts(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Row numbers (R,) at which a run of equal values of `column` starts; empty for an empty
    column."""
    if len(column) == 0:
        return np.zeros(0, dtype=np.int64)
    codes = column.combine_chunks().dictionary_encode()
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    numbers = _view_integers(codes.indices.fill_null(-1) if codes.null_count else codes.indices)
    return np.concatenate([[0], np.flatnonzero(np.diff(numbers)) + 1]).astype(np.int64)


def run_bounds(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First row and row after the last (R,) of each run of equal values of `column`."""
    starts = run_starts(column)
    return starts, np.append(starts[1:], len(column))[: len(starts)]


def to_numpy(table: pa.Table, column: str) -> NDArray[Any]:
    """One column as an array; nulls of float columns become NaN."""
    return table[column].to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def to_integers(table: pa.Table, column: str) -> NDArray[Any]:
    """One column of integers without nulls. Not pyarrow's own `to_numpy`: its first call imports
    pandas, 0.3 s."""
    chunks = [_view_integers(chunk) for chunk in table[column].chunks if len(chunk)]
    return np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int64)


def _view_integers(array: pa.Array) -> NDArray[Any]:
    """The values of an array without nulls, as a view that keeps its buffer alive."""
    kind = np.dtype(str(array.type))
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)


def boxes_of(table: pa.Table) -> NDArray[np.float64]:
    """The columns x1 y1 x2 y2 as boxes (N, 4), float64 pixels."""
    return np.stack(
        [to_numpy(table, side).astype(np.float64) for side in ("x1", "y1", "x2", "y2")], axis=1
    )


def digest_rows(tables: dict[str, pa.Table]) -> str:
    """SHA-256 (hex) over names, columns, nulls and values of the tables' rows, whatever file wrote
    them.

    Image bytes inside the tables do not count (their SHA-256 column does), so packing a dataset
    keeps its digest.
    """
    total = hashlib.sha256()
    for name in sorted(tables):
        for column in tables[name].schema.names:
            total.update(f"{name}.{column}:{tables[name].num_rows}\n".encode())
            _digest_column(total, tables[name][column].combine_chunks())
    return total.hexdigest()


def _digest_column(total: "hashlib._Hash", array: pa.Array) -> None:
    if pa.types.is_struct(array.type):
        array = pc.struct_field(array, "path")
    total.update(np.ascontiguousarray(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        values = array.cast(pa.binary()) if pa.types.is_string(kind) else array
        values = values.cast(pa.large_binary()).fill_null(b"")
        lengths = pc.binary_length(values).to_numpy(zero_copy_only=False).astype("<i8")
        total.update(lengths.tobytes())
        total.update(b"".join(values.to_pylist()))
        return
    filled = array.cast(pa.uint8()) if pa.types.is_boolean(kind) else array
    numbers = filled.fill_null(0).to_numpy(zero_copy_only=False)
    total.update(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
