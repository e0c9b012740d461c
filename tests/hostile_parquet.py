"""Parquet files that no writer makes: headers and footers taken apart as Thrift, changed, and put together again."""

from collections.abc import Callable
from typing import Any

Struct = list[list[Any]]  # [field id, type, value], in order; a list is (type, values)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _put_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _read(kind: int, data: bytes, at: int) -> tuple[Any, int]:
    if kind in (1, 2):
        return kind == 1, at
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):
        value, at = _varint(data, at)
        return (value >> 1) ^ -(value & 1), at
    if kind == 8:
        size, at = _varint(data, at)
        return data[at : at + size], at + size
    if kind == 9:
        head, at = data[at], at + 1
        size = head >> 4
        if size == 15:
            size, at = _varint(data, at)
        values = []
        for _ in range(size):
            value, at = (data[at] == 1, at + 1) if head & 15 in (1, 2) else _read(head & 15, data, at)
            values.append(value)
        return (head & 15, values), at
    assert kind == 12, kind
    return parse(data, at)


def parse(data: bytes, at: int = 0) -> tuple[Struct, int]:
    """The struct that begins at `at`, and where it ends."""
    fields, number = [], 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            raw, at = _varint(data, at)
            number = (raw >> 1) ^ -(raw & 1)
        value, at = _read(head & 15, data, at)
        fields.append([number, head & 15, value])
    return fields, at + 1


def _put(kind: int, value: Any) -> bytes:
    if kind in (4, 5, 6):
        return _put_varint(value << 1 if value >= 0 else (-value << 1) - 1)
    if kind == 3:
        return bytes([value])
    if kind == 8:
        return _put_varint(len(value)) + value
    if kind == 9:
        inner, values = value
        head = (
            bytes([len(values) << 4 | inner]) if len(values) < 15 else bytes([0xF0 | inner]) + _put_varint(len(values))
        )
        return head + b"".join(bytes([1 if v else 2]) if inner in (1, 2) else _put(inner, v) for v in values)
    return b"" if kind in (1, 2) else encode(value)


def encode(fields: Struct) -> bytes:
    """The bytes of a struct; fields may stand twice or out of order."""
    out, before = [], 0
    for number, kind, value in fields:
        kind = (1 if value else 2) if kind in (1, 2) else kind
        step = number - before
        out.append(bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _put(5, number))
        out.append(_put(kind, value))
        before = number
    return b"".join(out) + b"\0"


def get(fields: Struct, *numbers: int) -> Any:
    """The value of a field of a field …; numbers pick from lists where the value is one."""
    value: Any = fields
    for number in numbers:
        value = value[1][number] if isinstance(value, tuple) else next(v for n, _, v in value if n == number)
    return value


def put(fields: Struct, number: int, value: Any) -> None:
    """Changes the value of a field."""
    next(field for field in fields if field[0] == number)[2] = value


def change_footer(data: bytes, change: Callable[[Struct], None]) -> bytes:
    """A Parquet file with another footer."""
    size = int.from_bytes(data[-8:-4], "little")
    footer, _ = parse(data, len(data) - 8 - size)
    change(footer)
    packed = encode(footer)
    return data[: len(data) - 8 - size] + packed + len(packed).to_bytes(4, "little") + b"PAR1"


def replace_pages(data: bytes, column: int, make: Callable[[Struct, bytes], bytes], **claims: int) -> bytes:
    """A Parquet file with other pages for a column of its first row group.

    Args:
        make: gets the header of the first page and all bytes of the pages, and gives all bytes of the new ones.
        claims: what the footer says, `num_values` and `unpacked`; otherwise what it said before.
    """
    body = data[: len(data) - 8 - int.from_bytes(data[-8:-4], "little")]
    grown = bytearray(body)

    def change(footer: Struct) -> None:
        meta = get(footer, 4, 0, 1, column, 3)
        first = min([get(meta, 9), *(v for n, _, v in meta if n == 11)])
        pages = body[first : first + get(meta, 7)]
        new = make(parse(pages)[0], pages)
        meta[:] = [field for field in meta if field[0] != 11]
        put(meta, 9, len(grown))
        put(meta, 7, len(new))
        put(meta, 5, claims.get("num_values", get(meta, 5)))
        put(meta, 6, claims.get("unpacked", get(meta, 6)))
        grown.extend(new)

    packed = change_footer(data, change)
    return bytes(grown) + packed[len(body) :]
