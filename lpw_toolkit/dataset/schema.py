"""The Arrow schemas of the data contract: the only place that names columns, and the check of every
table."""

import pyarrow as pa

from lpw_toolkit.errors import MismatchError

FORMAT_VERSION = 1
_DO = "write it again with this version of lpw"
#: How many columns that nobody knows a message names, and how many letters of each.
_MAX_NAMED, _MAX_NAME = 20, 40


def _table(name: str, fields: list[pa.Field]) -> pa.Schema:
    return pa.schema(
        fields, metadata={b"lpw_table": name.encode(), b"lpw_version": str(FORMAT_VERSION).encode()}
    )


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _optional(name: str, kind: pa.DataType) -> pa.Field:
    """A column that older files lack: they are read with nulls in it."""
    return pa.field(name, kind, metadata=_IS_OPTIONAL)


_IS_OPTIONAL = {b"lpw_optional": b"yes"}


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

#: One row per image, sorted by (tracklet_id, position); `image` is the struct that Hugging Face
#: `datasets` uses.
FRAMES = _table(
    "frames",
    [
        _required("tracklet_id", pa.string()),
        _required("position", pa.int32()),
        _required(
            "image", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
        ),
        _required("width", pa.int16()),
        _required("height", pa.int16()),
        _required("sha256", pa.binary(32)),
        pa.field("frame_index", pa.int32()),
        pa.field("pts_s", pa.float64()),
        *(pa.field(side, pa.float32()) for side in _BOX),
        pa.field("score", pa.float32()),
    ],
)

#: Training, query and gallery tracklets in each split, published or drawn; a tracklet may be query
#: and gallery.
SPLITS = _table(
    "splits",
    [
        _required("split", pa.int16()),
        _required("subset", pa.string()),
        _required("tracklet_id", pa.string()),
    ],
)

#: Where each image of the table of frames lies in `images.pack`: bytes end to end in the order of
#: that table.
PACK = _table(
    "pack",
    [
        _required("tracklet_id", pa.string()),
        _required("position", pa.int32()),
        _required("offset", pa.int64()),
        _required("length", pa.int32()),
    ],
)

#: One row per figure: what it is, of what, and everything without which it must not be compared
#: (fractions in 0-1).
METRICS = _table(
    "metrics",
    [
        *(_required(name, pa.string()) for name in ("dataset", "protocol", "model")),
        _required("split", pa.int16()),
        _required("metric", pa.string()),
        _required("value", pa.float64()),
        *(_required(name, pa.int32()) for name in ("n_query", "n_gallery", "n_skipped")),
        *(
            _required(name, pa.string())
            for name in (
                "dataset_digest",
                "gallery",
                "junk_rule",
                "ap_form",
                "distance",
                "frames_used",
                "split_source",
            )
        ),
        _optional("n_seen", pa.int32()),
    ],
)

#: One row per query of an evaluation: where its right answers stood; null where it has none.
QUERIES = _table(
    "queries",
    [
        _required("split", pa.int16()),
        _required("tracklet_id", pa.string()),
        _required("person_id", pa.string()),
        _required("camera_id", pa.string()),
        _required("n_relevant", pa.int32()),
        pa.field("first_rank", pa.int32()),
        pa.field("average_precision", pa.float64()),
        pa.field("inverse_negative_penalty", pa.float64()),
        _required("skipped", pa.bool_()),
    ],
)

#: One row per image and region: the quality in (0, 1) that a network gives it. Regions from above
#: are `upper`, `middle` and `lower` where there are three, `whole` where there is one, otherwise
#: `1`, `2`, and so on.
QUALITY = _table(
    "quality",
    [
        _required("tracklet_id", pa.string()),
        _required("position", pa.int32()),
        _required("region", pa.string()),
        _required("score", pa.float32()),
    ],
)

#: One row per tracklet and reason that could be judged: how much speaks for an error, and in which
#: frames.
SUGGESTIONS = _table(
    "suggestions",
    [
        _required("tracklet_id", pa.string()),
        _required("camera_id", pa.string()),
        _required("n_frames", pa.int32()),
        _required("reason", pa.string()),
        _required("score", pa.float32()),
        pa.field("first_position", pa.int32()),
        pa.field("end_position", pa.int32()),
        pa.field("other_id", pa.string()),
    ],
)

#: One row per image: what the strip chart of a tracklet shows; null where it was not measured.
SIGNALS = _table(
    "signals",
    [
        _required("tracklet_id", pa.string()),
        _required("position", pa.int32()),
        *(
            pa.field(name, pa.float32())
            for name in ("change", "sharpness", "overlap", "jump", "size", "score")
        ),
    ],
)

#: Who may be the same person as a tracklet, the likeliest first: pieces in its own camera, and
#: people in others.
CANDIDATES = _table(
    "candidates",
    [
        _required("tracklet_id", pa.string()),
        _required("kind", pa.string()),
        _required("rank", pa.int32()),
        _required("other_id", pa.string()),
        _required("score", pa.float32()),
        pa.field("look", pa.float32()),
        pa.field("gap_s", pa.float32()),
        pa.field("way", pa.float32()),
        _required("why", pa.string()),
    ],
)


def embeddings_schema(dimension: int) -> pa.Schema:
    """One row per tracklet: its embedding (D,) float32."""
    vector = pa.list_(pa.field("element", pa.float32(), nullable=False), dimension)
    return _table(
        "embeddings", [_required("tracklet_id", pa.string()), _required("embedding", vector)]
    )


def frame_embeddings_schema(dimension: int) -> pa.Schema:
    """One row per image: its embedding (D,) float32, and its position in the tracklet."""
    schema = embeddings_schema(dimension)
    return schema.insert(1, _required("position", pa.int32()))


KINDS = ("person", "distractor", "junk")
SUBSETS = ("train", "query", "gallery")
SCHEMAS = {
    "detections": DETECTIONS,
    "timeline": TIMELINE,
    "tracklets": TRACKLETS,
    "frames": FRAMES,
    "splits": SPLITS,
}


def check(table: pa.Table, schema: pa.Schema, thing: object = "table") -> pa.Table:
    """`table` itself if its columns, types, order and nulls are those of `schema`.

    Args:
        thing: what the message calls it, usually the file.

    Errors: MismatchError that names the first column at fault.
    """
    check_fields(table.schema, schema, thing)
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise MismatchError(f"{thing}, column {field.name}", "nulls", "no nulls", _DO)
    return table


def check_fields(found: pa.Schema, schema: pa.Schema, thing: object = "table") -> None:
    """Errors: MismatchError where the columns, types or order of `found` are not those of
    `schema`."""
    name, version = _identity(schema)
    found_name, found_version = _identity(found)
    if found_name is not None and (found_name, found_version) != (name, version):
        raise MismatchError(
            thing, f"table {found_name} v{found_version}"[:200], f"table {name} v{version}", _DO
        )
    known = [
        field.name
        for field in schema
        if field.metadata != _IS_OPTIONAL or field.name in found.names
    ]
    if found.names != known:
        missing = [c for c in schema.names if c not in found.names]
        extra = [c[:_MAX_NAME] for c in found.names if c not in schema.names]
        more = f" and {len(extra) - _MAX_NAMED} more" if len(extra) > _MAX_NAMED else ""
        got = f"missing columns {missing}, unknown columns {extra[:_MAX_NAMED]}{more}"
        raise MismatchError(thing, got, f"{schema.names}", _DO)
    for field in map(schema.field, known):
        kind = found.field(field.name).type
        if kind != field.type:
            raise MismatchError(
                f"{thing}, column {field.name}", f"type {kind}"[:200], f"{field.type}", _DO
            )


def add_optional(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with the optional columns of `schema` that it lacks, of nulls."""
    for place, field in enumerate(schema):
        if field.name not in table.column_names:
            nulls = pa.nulls(table.num_rows, field.type)
            table = table.add_column(place, field, nulls)
    return table


def _identity(schema: pa.Schema) -> tuple[str | None, str | None]:
    metadata = schema.metadata or {}
    name, version = metadata.get(b"lpw_table"), metadata.get(b"lpw_version")
    return name and name.decode("utf-8", "replace"), version and version.decode("utf-8", "replace")
