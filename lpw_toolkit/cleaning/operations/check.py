"""What came of an attention check: whether the reviewer parted the two people."""

from dataclasses import dataclass
from typing import Any

from lpw_toolkit.cleaning.field import MAX_ID_CHARS, BadLineError, Field, Position, Text
from lpw_toolkit.cleaning.operation import Operation, Role

_PART = (Text(MAX_ID_CHARS), Position(0), Position(0))


@dataclass(frozen=True)
class Seam(Field):
    """Two parts `[tracklet, start, stop]` that were shown as one, and whether they were parted."""

    def check(self, value: object, name: str) -> None:
        """As `Field.check`."""
        if (
            not isinstance(value, dict)
            or set(value) != {"parts", "found"}
            or not isinstance(value["found"], bool)
        ):
            raise BadLineError(f"{name} holds other things than parts and found")
        if not isinstance(value["parts"], list) or len(value["parts"]) != 2:
            raise BadLineError("parts is no list of two")
        for part in value["parts"]:
            if not isinstance(part, list) or len(part) != 3:
                raise BadLineError("parts holds something that is no [tracklet, start, stop]")
            for each, item in zip(_PART, part, strict=True):
                each.check(item, "parts")
            if part[1] >= part[2]:
                raise BadLineError("parts holds a part without frames")

    def own_schema(self) -> dict[str, Any]:
        """As `Field.own_schema`."""
        part = {
            "type": "array",
            "minItems": 3,
            "maxItems": 3,
            "prefixItems": [each.schema for each in _PART],
            "description": "Tracklet, first frame, end.",
        }
        parts = {"type": "array", "minItems": 2, "maxItems": 2, "items": part}
        return {
            "type": "object",
            "properties": {"parts": parts, "found": {"type": "boolean"}},
            "required": ["parts", "found"],
            "additionalProperties": False,
        }


OPERATION = Operation(
    "checked",
    Role.CHECK,
    n_tracklets=(0, 0),
    arguments={
        "seam": Seam(
            description="An attention check: frames of two people shown as one tracklet, and "
            "whether the reviewer parted them."
        )
    },
)
