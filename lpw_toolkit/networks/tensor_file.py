"""Safetensors: the header is checked before the library sees it, and the file is read once.

    length of the header | header, JSON: NAME: {dtype, shape, data_offsets}, __metadata__: {text:
    text} | numbers

Source: huggingface/safetensors:README.md (the format, and what it forbids).
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from lpw_toolkit.files.limits import LimitValueError, explain_limit, limit
from lpw_toolkit.files.opening import parse_json

_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8,
    "U64": 64, "U32": 32,
    "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "C64": 64,
}  # fmt: skip
_MAX_SIDES = 64


def parse_tensors(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """Torch tensors by name, and declared properties of the file.

    Errors: ValueError for no safetensors file, one whose tensors overlap or lie outside it, and one
    beyond a bound.
    """
    facts = check_header(data)
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(data)), facts
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"{error}") from error


def encode_tensors(tensors: Mapping[str, Any], facts: Mapping[str, str]) -> bytes:
    """A safetensors file of torch tensors and of declared properties: the same bytes for the same
    content.

    The library writes the properties in another order each time; here they are sorted.
    """
    from safetensors.torch import save

    data = save(dict(tensors))
    n_header = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8 : 8 + n_header])
    header = {"__metadata__": dict(sorted(facts.items())), **entries}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the numbers at a multiple of 8
    return b"".join((len(text).to_bytes(8, "little"), text, memoryview(data)[8 + n_header :]))


def check_header(data: bytes) -> dict[str, str]:
    """Declared properties of the file. Errors: ValueError as `parse_tensors`."""
    n_header = int.from_bytes(data[:8], "little")
    if len(data) < 8 or n_header > len(data) - 8:
        raise ValueError("a header that ends beyond the file")
    if n_header > limit("json_bytes"):
        raise LimitValueError(explain_limit("json_bytes", f"a header of {n_header} bytes"))
    header = parse_json(data[8 : 8 + n_header].decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("a header that is no table")
    if len(header) > limit("weights_members"):
        raise LimitValueError(explain_limit("weights_members", f"{len(header)} tensors"))
    facts = header.pop("__metadata__", {})
    if not isinstance(facts, dict) or not all(isinstance(value, str) for value in facts.values()):
        raise ValueError("metadata that is no text")
    end = 0
    for first, last in sorted(_find_place(name, entry) for name, entry in header.items()):
        if first != end:
            raise ValueError("tensors that overlap, or leave gaps")
        end = last
    if end != len(data) - 8 - n_header:
        raise ValueError("tensors that do not fill the file")
    return facts


def _find_place(name: str, entry: Any) -> tuple[int, int]:
    """First byte of a tensor, and the one behind its last. Errors: ValueError for an entry that is
    none."""
    if not isinstance(entry, Mapping) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"an entry {name[:80]!r} that is no tensor")
    kind, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    numbers = [*shape, *place] if isinstance(shape, list) and isinstance(place, list) else []
    if (
        len(numbers) < 2
        or any(type(n) is not int or not 0 <= n < 1 << 62 for n in numbers)
        or len(place) != 2
    ):
        raise ValueError(f"a tensor {name[:80]!r} without its place")
    if len(shape) > _MAX_SIDES or not isinstance(kind, str) or kind not in _BITS:
        raise ValueError(f"a tensor {name[:80]!r} of an unknown kind")
    if math.prod(shape) * _BITS[kind] != 8 * (place[1] - place[0]):
        raise ValueError(f"a tensor {name[:80]!r} that is larger than its numbers")
    return place[0], place[1]
