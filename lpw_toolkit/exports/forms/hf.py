"""Parquet for Hugging Face `datasets`: one row per image with its bytes, and a dataset card."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS
from lpw_toolkit.exports.form import SHARD_BYTES, Exported, ExportOptions, Tally
from lpw_toolkit.exports.shards import Loaded, name_parts, read_shards
from lpw_toolkit.files import writing
from lpw_toolkit.names import json_text, markdown_cell, show_name
from lpw_toolkit.progress import show_progress

TITLE = "Parquet for Hugging Face datasets"
OPTIONS: tuple[str, ...] = ("split", "shard_bytes")
_TRACKLET_COLUMNS = ("person_id", "camera_id", "scene_id", "kind", "video_id")
_FRAME_COLUMNS = ("frame_index", "pts_s", "x1", "y1", "x2", "y2", "score")
_WORDS = ("tracklet_id", *_TRACKLET_COLUMNS)  # few different values
#: Images are packed already: to try once more costs time and memory.
_COMPRESSION = {"image.bytes": "none"} | dict.fromkeys(
    ("image.path", "position", *_WORDS, *_FRAME_COLUMNS), "zstd"
)
_ROWS_PER_GROUP = 256  # what a reader of single rows must unpack
_ABSENT = (
    "detections, timelines and settings of the stages: only the digest of the dataset is "
    "kept (README.md)"
)
_NAMES = {"string": "string", "int32": "int32", "float": "float32", "double": "float64"}


def _make_schema() -> pa.Schema:
    fields = [
        pa.field("image", FRAMES.field("image").type),
        *(FRAMES.field(name) for name in ("tracklet_id", "position")),
        *(TRACKLETS.field(name) for name in _TRACKLET_COLUMNS),
        *(FRAMES.field(name) for name in _FRAME_COLUMNS),
    ]
    features: dict[str, dict[str, str]] = {
        field.name: {"dtype": _NAMES[str(field.type)], "_type": "Value"} for field in fields[1:]
    }
    features["image"] = {"_type": "Image"}
    info = {"info": {"features": {field.name: features[field.name] for field in fields}}}
    return pa.schema(
        [field.with_nullable(True) for field in fields],
        metadata={b"huggingface": json.dumps(info).encode()},
    )


#: One row per image; the metadata tells `datasets` that `image` is to be decoded.
SCHEMA = _make_schema()


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Writes OUT/data/<part>-00000.parquet and on, parts train, query, gallery and rest, and the
    card OUT/README.md.

    `datasets.load_dataset("OUT")` gives a row per image, decoded. Without splits everything is in
    `train`.
    Errors: LpwError when OUT is not empty, CorruptCropError. Then nothing is left behind.
    Source: huggingface/datasets:src/datasets/arrow_writer.py (the metadata), docs of dataset cards
    (the header).
    """
    parts, lines = name_parts(dataset, options.split, whole="train")
    tally, counts = Tally(), {}
    n_images = sum(FrameRanges(dataset).n_frames(rows) for rows in parts.values())
    with publish_folder(out) as folder, show_progress("export", n_images, "images") as progress:
        writing.make_folder(folder / "data")
        for part, rows in parts.items():
            before = tally.n_images
            for number, shard in enumerate(
                read_shards(dataset, rows, options.shard_bytes or SHARD_BYTES)
            ):
                writing.write_file(
                    folder / "data" / f"{part}-{number:05d}.parquet", _encode_shard(dataset, shard)
                )
                sizes = [len(image) for loaded in shard for image in loaded.images]
                tally.add(sizes)
                progress.advance(len(sizes))
                shard.clear()  # before the next one is read
            counts[part] = (len(rows), tally.n_images - before)
        lost = [*lines, _ABSENT]
        writing.write_file(
            folder / "README.md", format_card(dataset, counts, tally.n_bytes, lost).encode()
        )
    return Exported(out, lost, tally.n_images, tally.n_bytes)


def _encode_shard(dataset: Dataset, shard: list[Loaded]) -> bytes:
    file = io.BytesIO()
    looks = {
        "compression": _COMPRESSION,
        "use_dictionary": list(_WORDS),
        "write_page_checksum": True,
    }
    with pq.ParquetWriter(file, SCHEMA, **looks) as writer:
        for table in _make_tables(dataset, shard):
            writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
    return file.getvalue()


def _make_tables(dataset: Dataset, shard: list[Loaded]) -> Iterator[pa.Table]:
    """Tables of about _ROWS_PER_GROUP rows or more, cut between tracklets."""
    waiting: list[pa.Table] = []
    for loaded in shard:
        waiting.append(_make_rows(dataset, loaded))
        if sum(table.num_rows for table in waiting) >= _ROWS_PER_GROUP:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _make_rows(dataset: Dataset, loaded: Loaded) -> pa.Table:
    paths = [image["path"].rsplit("/", 1)[-1] for image in loaded.frames["image"].to_pylist()]
    images = [
        {"bytes": image, "path": path} for image, path in zip(loaded.images, paths, strict=True)
    ]
    owner = dataset.tracklets.slice(loaded.tracklet, 1).to_pylist()[0]
    n_rows = len(images)
    columns = [
        pa.array(images, SCHEMA.field("image").type),
        *(loaded.frames[name] for name in ("tracklet_id", "position")),
        *(pa.array([owner[name]] * n_rows, pa.string()) for name in _TRACKLET_COLUMNS),
        *(loaded.frames[name] for name in _FRAME_COLUMNS),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def format_card(
    dataset: Dataset, counts: dict[str, tuple[int, int]], n_bytes: int, lost: list[str]
) -> str:
    """The dataset card: a YAML header that names files and licence, then text for people.

    Args:
        counts: for each part its numbers of tracklets and images.
        lost: what is not contained.
    """
    manifest = dataset.manifest
    files = "".join(f"  - split: {part}\n    path: data/{part}-*.parquet\n" for part in counts)
    header = (
        f"pretty_name: {json_text(show_name(dataset.name))}\n"
        f"license: {'other' if manifest.get('licence') else 'unknown'}\n"
        "task_categories:\n- image-feature-extraction\n"
        "tags:\n- person-re-identification\n"
        f"configs:\n- config_name: default\n  data_files:\n{files}"
    )
    table = "".join(
        f"| {part} | {tracklets:,} | {images:,} |\n" for part, (tracklets, images) in counts.items()
    )
    sections = {
        "Licence": manifest.get("licence")
        or "Not recorded. Ask whoever made the dataset before you share it.",
        "Consent": manifest.get("consent")
        or "Not recorded. The images show persons: see to their rights.",
        "Citation": _read_fact(manifest, "settings", "import", "citation") or "None recorded.",
        "Splits": _describe_splits(manifest),
        "Source": f"Digest of the dataset's rows: {manifest.get('digest', 'none')} "
        f"({manifest.get('tool', 'lpw')}).",
    }
    return (
        f"---\n{header}---\n\n# {_to_line(dataset.name)}\n\nTracklets of persons for "
        f"re-identification; one row per "
        f"image, {n_bytes / 1e6:,.1f} MB of images, byte for byte as in the dataset.\n\n"
        f"| part | tracklets | images |\n|---|---|---|\n{table}\n{_COLUMNS_TEXT}\n"
        + "".join(f"## {title}\n\n{_to_line(str(text))}\n\n" for title, text in sections.items())
        + "## Not contained\n\n"
        + "".join(f"- {_to_line(line)}\n" for line in lost)
    )


_COLUMNS_TEXT = """Columns: `image`; `tracklet_id` and `position` (0-based, in time); \
`person_id` (null: not named),
`camera_id`, `scene_id`, `kind` (person, distractor, junk), `video_id`; \
`frame_index`, `pts_s` (seconds), `x1 y1 x2 y2`
(pixels of the source frame, half-open) and `score` where they are known.
"""


def _read_fact(manifest: Any, *keys: str) -> Any:
    """What stands under `keys`, one within the other; None where there is no such thing."""
    for key in keys:
        manifest = manifest.get(key) if isinstance(manifest, dict) else None
    return manifest


def _describe_splits(manifest: dict[str, Any]) -> str:
    source, note = (_read_fact(manifest, "splits", key) for key in ("source", "note"))
    drawn = (
        "drawn, not published; say so beside every number"
        if _read_fact(manifest, "splits", "drawn")
        else None
    )
    return "; ".join(str(part) for part in (source, drawn, note) if part) or "None recorded."


def _to_line(text: str) -> str:
    """Text from a manifest as one line without markup."""
    return markdown_cell(" ".join(text.split()))
