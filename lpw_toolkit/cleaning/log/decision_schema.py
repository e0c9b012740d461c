"""The JSON Schema of one line of a log, from the declaration of its fields and operations.

`manifests/cleanup/decision.schema.json` is this schema; a test says when it is out of date.
"""

import json
from collections.abc import Mapping
from typing import Any

from lpw_toolkit.cleaning.log.decisions import FIELDS, MAX_LINE_BYTES, TRACKLET_NAME, VERSIONS
from lpw_toolkit.cleaning.operation import Operation, load_operations


def make_schema() -> dict[str, Any]:
    """The schema, with the operations of other packages that are installed.

    >>> make_schema()["properties"]["version"]
    {'enum': [1, 2]}
    """
    operations = load_operations()
    tracklets = {
        "type": "array",
        "uniqueItems": True,
        "items": TRACKLET_NAME.schema,
        "description": "A tracklet, or ID@START-STOP for the part of it between two cuts "
        "(positions, half-open).",
    }
    fields = {name: field.schema for name, field in FIELDS.items()} | {
        "version": {"enum": list(VERSIONS)},
        "operation": {"enum": list(operations)},
        "tracklets": tracklets,
        "arguments": {"type": "object"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of DATASET/cleanup/<reviewer>.jsonl",
        "description": "A decision of a reviewer: UTF-8, one JSON object a line, at most "
        f"{MAX_LINE_BYTES} bytes, no key twice.",
        "type": "object",
        **_exactly(fields),
        "oneOf": [_describe(name, operation) for name, operation in operations.items()],
    }


def format_schema() -> str:
    """The schema as the committed file has it."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


def _exactly(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }


def _describe(name: str, operation: Operation) -> dict[str, Any]:
    low, high = operation.n_tracklets
    return {
        "properties": {
            "operation": {"const": name},
            "tracklets": {"minItems": low, "maxItems": high},
            "arguments": _exactly({k: a.schema for k, a in operation.arguments.items()}),
        }
    }
