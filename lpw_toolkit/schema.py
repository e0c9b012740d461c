"""The Arrow schemas of the data contract: the only place where a column is named, and the guard at every door."""

import pyarrow as pa

from lpw_toolkit.errors import MismatchError

FORMAT_VERSION = 1


def _table(name: str, fields: list[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={b"lpw_table": name.encode(), b"lpw_version": str(FORMAT_VERSION).encode()})


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_BOX = ("x1", "y1", "x2", "y2")

#: One row per raw detector box; pixels of the displayed source frame, half-open.
DETECTIONS = _table(
    "detections",
    [
        _required("video_id", pa.string()),
        _required("frame_index", pa.int32()),
        pa.field("pts_s", pa.float64()),
        *(_required(side, pa.float32()) for side in _BOX),
        _required("score", pa.float32()),
    ],
)

#: One row per decoded frame, in decode order: what the linker may call consecutive.
TIMELINE = _table(
    "timeline",
    [
        _required("video_id", pa.string()),
        _required("frame_index", pa.int32()),
        pa.field("pts_s", pa.float64()),
        _required("segment", pa.int32()),
        _required("duplicate", pa.bool_()),
        _required("width", pa.int32()),
        _required("height", pa.int32()),
    ],
)

#: One row per tracklet: one person, one camera, a run of crops.
TRACKLETS = _table(
    "tracklets",
    [
        _required("tracklet_id", pa.string()),
        pa.field("scene_id", pa.string()),
        _required("camera_id", pa.string()),
        pa.field("person_id", pa.string()),
        _required("kind", pa.string()),
        pa.field("video_id", pa.string()),
        _required("n_frames", pa.int32()),
        pa.field("first_pts_s", pa.float64()),
        pa.field("last_pts_s", pa.float64()),
    ],
)

#: One row per image, sorted by (tracklet_id, position); `image` is the struct that Hugging Face `datasets` uses.
FRAMES = _table(
    "frames",
    [
        _required("tracklet_id", pa.string()),
        _required("position", pa.int32()),
        _required("image", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])),
        _required("width", pa.int16()),
        _required("height", pa.int16()),
        _required("sha256", pa.binary(32)),
        pa.field("frame_index", pa.int32()),
        pa.field("pts_s", pa.float64()),
        *(pa.field(side, pa.float32()) for side in _BOX),
        pa.field("score", pa.float32()),
    ],
)

KINDS = ("person", "distractor", "junk")
SCHEMAS = {"detections": DETECTIONS, "timeline": TIMELINE, "tracklets": TRACKLETS, "frames": FRAMES}


def check(table: pa.Table, schema: pa.Schema, thing: object = "table") -> pa.Table:
    """`table` itself if its columns, types, order and nulls are those of `schema`.

    Args:
        thing: what the message calls it, usually the file.

    Errors: MismatchError that names the first column at fault.
    """
    do = "write it again with this version of lpw"
    name, version = _identity(schema)
    found_name, found_version = _identity(table.schema)
    if found_name is not None and (found_name, found_version) != (name, version):
        raise MismatchError(thing, f"table {found_name} v{found_version}", f"table {name} v{version}", do)
    if table.schema.names != schema.names:
        missing = [c for c in schema.names if c not in table.schema.names]
        extra = [c for c in table.schema.names if c not in schema.names]
        raise MismatchError(thing, f"missing columns {missing}, unknown columns {extra}", f"{schema.names}", do)
    for field in schema:
        found = table.schema.field(field.name).type
        if found != field.type:
            raise MismatchError(f"{thing}, column {field.name}", f"type {found}", f"{field.type}", do)
        if not field.nullable and table[field.name].null_count:
            raise MismatchError(f"{thing}, column {field.name}", "nulls", "no nulls", do)
    return table


def _identity(schema: pa.Schema) -> tuple[str | None, str | None]:
    metadata = schema.metadata or {}
    name, version = metadata.get(b"lpw_table"), metadata.get(b"lpw_version")
    return name and name.decode("utf-8", "replace"), version and version.decode("utf-8", "replace")
