"""The memory that a Parquet file needs, computed from its page headers before any page is unpacked.

The footer only claims sizes; a reader allocates what the header of each page says, and repeats each
value of a dictionary as often as the indices ask. So the headers are walked as the reader walks
them, and what the columns can come to is added up. Source: Apache Parquet, `parquet.thrift`; Apache
Thrift, "Thrift Compact protocol".
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lpw_toolkit.files.limits import LimitValueError, explain_limit, limit

_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3  # types of pages
_DICTIONARY_ENCODINGS, _PREFIX_ENCODING = (2, 8), 7
_HEADER_BYTES, _MAX_HEADER_BYTES = 192, 1 << 16
_WIDTHS = {
    "BOOLEAN": 1,
    "INT32": 4,
    "INT64": 8,
    "INT96": 12,
    "FLOAT": 4,
    "DOUBLE": 8,
    "BYTE_ARRAY": 4,
}
_LEVEL_BYTES = 2  # of each definition or repetition level
_CODECS = {"UNCOMPRESSED": 0, "SNAPPY": 1, "GZIP": 2, "BROTLI": 4, "LZ4": 7, "ZSTD": 6}


class TooLargeError(LimitValueError):
    """A file beyond a bound; the text says which one and how to raise it."""


class _Page(NamedTuple):
    kind: int
    start: int  # of the bytes behind the header
    n_packed: int
    n_unpacked: int
    n_values: int
    encoding: int


class _Cost:
    """Adds up what columns take. Errors of `add`: TooLargeError."""

    def __init__(self) -> None:
        self.n_bytes = self.n_pages = 0
        self._most_bytes, self._most_pages = limit("table_bytes"), limit("table_pages")

    def add(self, n_bytes: int) -> None:
        self.n_bytes += n_bytes
        if self.n_bytes > self._most_bytes:
            raise TooLargeError(
                explain_limit(
                    "table_bytes", f"a table that unpacks to {self.n_bytes} bytes or more"
                )
            )

    def add_page(self) -> None:
        self.n_pages += 1
        if self.n_pages > self._most_pages:
            raise TooLargeError(explain_limit("table_pages", f"{self.n_pages} pages or more"))


def check_memory(
    source: pa.NativeFile, file: pq.ParquetFile, columns: list[str], *, at_once: bool = True
) -> None:
    """Refuses a file of which `columns` (roots) would take more than the bound `table_bytes`.

    Args:
        source: the bytes that `file` reads.
        at_once: whether all row groups are read together; otherwise the bound is for each.

    Errors: TooLargeError; ValueError for headers that are damaged or contradict the footer;
    OSError.
    """
    metadata, wanted = file.metadata, set(columns)
    paths = [file.schema.column(j).path for j in range(metadata.num_columns)]
    chosen = [j for j, path in enumerate(paths) if path.partition(".")[0] in wanted]
    cost, largest = _Cost(), dict.fromkeys(chosen, 0)
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        if not at_once:
            cost.n_bytes, largest = 0, dict.fromkeys(chosen, 0)
        for j in chosen:
            chunk = group.column(j)
            held = _check_chunk(source, chunk, file.schema.column(j), group.num_rows, cost)
            held += chunk.total_compressed_size if at_once else 0
            if (
                held > largest[j]
            ):  # one chunk of each column is held and one page of it unpacked at a time
                cost.add(held - largest[j])
                largest[j] = held


def _check_chunk(
    source: pa.NativeFile,
    chunk: pq.ColumnChunkMetaData,
    leaf: pq.ColumnSchema,
    n_rows: int,
    cost: _Cost,
) -> int:
    """Adds what the values of one chunk take; returns the bytes of its largest page. Errors: as
    `check_memory`."""
    kind = (
        leaf.physical_type
    )  # `chunk` is asked for numbers only: what it says of types may abort the process
    width = leaf.length if kind == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS[kind]
    width += _LEVEL_BYTES * ((leaf.max_definition_level > 0) + (leaf.max_repetition_level > 0))
    n_values = n_from_dictionary = largest = n_texts = 0
    dictionary: _Page | None = None
    for page in _iter_pages(source, chunk):
        cost.add_page()
        largest = max(largest, page.n_packed, page.n_unpacked)
        if page.kind == _DICTIONARY:
            dictionary = page
            n_texts += page.n_unpacked
        elif page.kind in (_DATA, _DATA_2):
            n_values += page.n_values
            cost.add(page.n_values * width)
            if page.encoding in _DICTIONARY_ENCODINGS:
                n_from_dictionary += page.n_values
            else:
                repeats = page.n_values if page.encoding == _PREFIX_ENCODING else 1
                n_texts += repeats * max(page.n_packed, page.n_unpacked)
    if leaf.max_repetition_level == 0 and n_values != n_rows:
        raise ValueError(f"pages of {n_values} values in a group of {n_rows} rows")
    if kind == "BYTE_ARRAY":
        cost.add(n_texts)
        if dictionary and n_from_dictionary:
            longest = dictionary.n_unpacked - 4 * dictionary.n_values
            if n_from_dictionary * longest > 1 << 20:
                longest = min(longest, _find_longest(source, chunk, dictionary, cost))
            cost.add(n_from_dictionary * max(longest, 0))
    return largest


def _iter_pages(source: pa.NativeFile, chunk: pq.ColumnChunkMetaData) -> Iterator[_Page]:
    """The pages that a reader of `chunk` reads: until they hold as many values as the footer
    says."""
    at, first = chunk.data_page_offset, chunk.dictionary_page_offset
    if chunk.has_dictionary_page and first is not None and 0 < first < at:
        at = first
    end, n_values, n_seen = at + chunk.total_compressed_size, chunk.num_values, 0
    if at < 0 or end < at or chunk.file_path:
        raise ValueError("a column that lies elsewhere")
    while n_seen < n_values and at < end:
        page = _read_page(source, at, end)
        yield page
        at = page.start + page.n_packed
        n_seen += page.n_values if page.kind != _DICTIONARY else 0


def _read_page(source: pa.NativeFile, at: int, end: int) -> _Page:
    """The page whose header begins at `at`. Errors: ValueError."""
    data = source.read_at(min(_HEADER_BYTES, end - at), at)
    try:
        try:
            fields, size = _read_struct(data, 0, 3)
        except IndexError:
            data = source.read_at(min(_MAX_HEADER_BYTES, end - at), at)
            fields, size = _read_struct(data, 0, 3)
        kind, unpacked, packed = fields[1], fields[2], fields[3]
        about = fields.get({_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}.get(kind, 0))
        n_values, encoding = (about[1], about[4 if kind == _DATA_2 else 2]) if about else (0, 0)
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError("a damaged page header") from error
    numbers = (kind, unpacked, packed, n_values, encoding)
    if any(number is None or number < 0 for number in numbers) or at + size + packed > end:
        raise ValueError("a page header with impossible sizes")
    return _Page(kind, at + size, packed, unpacked, n_values, encoding)


def _read_struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """The fields of a Thrift struct: 32-bit numbers and structs by their ids, None for what is of
    another type.

    Errors: IndexError where `data` ends first; ValueError for a field twice, or what no page header
    holds.
    """
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        kind = head & 15
        value: Any = None
        if head > 15:
            number += head >> 4
        else:
            number, at = _read_number(data, at)
        if number in fields:
            raise ValueError("a page header with a field twice")
        if kind == 5:
            value, at = _read_number(data, at)
            if not -(1 << 31) <= value < 1 << 31:
                value = None
        elif kind in (4, 6):
            _, at = _read_varint(data, at)
        elif kind == 8:
            length, at = _read_varint(data, at)
            at += length
        elif kind == 12 and depth:
            value, at = _read_struct(data, at, depth - 1)
        elif kind == 3:
            at += 1
        elif kind not in (1, 2):
            raise ValueError("a page header of another form")
        fields[number] = value
    return fields, at + 1


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    if value < 128:
        return (value >> 1) ^ -(value & 1), at + 1
    value, at = _read_varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a page header with a number that has no end")


def _find_longest(
    source: pa.NativeFile, chunk: pq.ColumnChunkMetaData, page: _Page, cost: _Cost
) -> int:
    """Bytes of the longest entry of a dictionary of texts; of the page where its codec is an
    unknown one."""
    if chunk.compression not in _CODECS:
        return page.n_unpacked
    cost.add(page.n_unpacked + 4 * page.n_values)
    data = source.read_at(page.n_packed, page.start)
    whole = pa.BufferReader(_wrap_dictionary(data, page, _CODECS[chunk.compression]))
    entries = pq.ParquetFile(whole).read(use_threads=False)["a"]
    return max((pc.max(pc.binary_length(part)).as_py() or 0 for part in entries.chunks), default=0)


def _wrap_dictionary(data: bytes, page: _Page, codec: int) -> bytes:
    """A Parquet file whose only page has the entries of a dictionary as values: read 20 times as
    fast as by a loop."""
    unpacked, packed, n = (
        _write_number(n) for n in (page.n_unpacked, page.n_packed, page.n_values)
    )
    # type DATA_PAGE; sizes; DataPageHeader: values, PLAIN, RLE, RLE
    header = b"".join(
        (b"\x15\0\x15", unpacked, b"\x15", packed, b"\x2c\x15", n, b"\x15\0\x15\6\x15\6\0\0")
    )
    n_bytes = _write_number(len(header) + max(page.n_unpacked, page.n_packed))
    # BYTE_ARRAY; encodings: PLAIN; path: a; codec; values; sizes; offset of the data page: 4
    about: tuple[bytes, ...] = (
        b"\x15\x0c\x19\x15\0\x19\x18\1a\x15",
        _write_number(codec),
        b"\x16",
        n,
        b"\x16",
        n_bytes,
    )
    about += (b"\x16", _write_number(len(header) + len(data)), b"\x26\x08\0")
    # version; schema: root r with one child, required BYTE_ARRAY a; rows; one row group of one
    # column
    footer: tuple[bytes, ...] = (
        b"\x15\2\x19\x2c\x48\1r\x15\2\0\x15\x0c\x25\0\x18\1a\0\x16",
        n,
        b"\x19\x1c\x19\x1c\x26\0\x1c",
    )
    footer += (*about, b"\0\x16", n_bytes, b"\x16", n, b"\0\0")
    end = b"".join(footer)
    return b"".join((b"PAR1", header, data, end, len(end).to_bytes(4, "little"), b"PAR1"))


def _write_number(value: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    value, out = value << 1, bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
