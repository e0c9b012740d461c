"""The schemas are the data contract, and the guard at the door names what is wrong."""

import pyarrow as pa
import pytest

from lpw_toolkit.dataset.schema import (
    DETECTIONS,
    FORMAT_VERSION,
    FRAMES,
    KINDS,
    SCHEMAS,
    TIMELINE,
    TRACKLETS,
    check,
)
from lpw_toolkit.errors import MismatchError

CONTRACT = {
    "detections": "video_id string, frame_index int32, pts_s double?, "
    "x1 float, y1 float, x2 float, y2 float, score float",
    "timeline": "video_id string, frame_index int32, pts_s double?, "
    "segment int32, duplicate bool, width int32, height int32",
    "tracklets": "tracklet_id string, scene_id string?, camera_id string, person_id string?, kind "
    "string, "
    "video_id string?, n_frames int32, first_pts_s double?, last_pts_s double?",
    "frames": "tracklet_id string, position int32, "
    "image struct<bytes: binary, path: string>, width int16, height int16, "
    "sha256 fixed_size_binary[32], frame_index int32?, pts_s double?, x1 float?, y1 float?, x2 "
    "float?, y2 float?, "
    "score float?",
}


@pytest.mark.parametrize("name", CONTRACT)
def test_columns_types_and_nulls_are_those_of_the_contract(name: str) -> None:
    fields = [
        f"{field.name} {field.type}{'?' if field.nullable else ''}" for field in SCHEMAS[name]
    ]
    assert ", ".join(fields) == CONTRACT[name]


@pytest.mark.parametrize("name", CONTRACT)
def test_metadata_names_table_and_version(name: str) -> None:
    assert SCHEMAS[name].metadata == {
        b"lpw_table": name.encode(),
        b"lpw_version": str(FORMAT_VERSION).encode(),
    }
    assert KINDS == ("person", "distractor", "junk")


def detections(**columns: object) -> pa.Table:
    values = {
        "video_id": "v",
        "frame_index": 0,
        "pts_s": None,
        "x1": 0,
        "y1": 0,
        "x2": 1,
        "y2": 1,
        "score": 1,
    } | columns
    return pa.table({f.name: pa.array([values[f.name]], f.type) for f in DETECTIONS})


def test_a_right_table_passes_with_and_without_metadata() -> None:
    plain = detections()
    assert check(plain, DETECTIONS) is plain
    marked = plain.replace_schema_metadata(DETECTIONS.metadata)
    assert check(marked, DETECTIONS) is marked
    assert check(FRAMES.empty_table(), FRAMES).num_rows == 0


def test_nulls_where_none_may_be() -> None:
    with pytest.raises(MismatchError, match=r"my file, column score: got nulls"):
        check(detections(score=None), DETECTIONS, "my file")
    assert check(detections(pts_s=None), DETECTIONS)["pts_s"].null_count == 1


def test_missing_unknown_and_reordered_columns() -> None:
    table = detections()
    with pytest.raises(MismatchError, match=r"missing columns \['score'\]"):
        check(table.drop_columns(["score"]), DETECTIONS)
    with pytest.raises(MismatchError, match=r"unknown columns \['extra'\]"):
        check(table.append_column("extra", [[1]]), DETECTIONS)
    with pytest.raises(MismatchError, match="columns"):
        check(table.select(list(reversed(table.column_names))), DETECTIONS)


@pytest.mark.parametrize("column", DETECTIONS.names)
def test_every_type_is_compared(column: str) -> None:
    table = detections()
    at = table.schema.get_field_index(column)
    with pytest.raises(MismatchError, match=f"column {column}: got type large_binary"):
        check(table.set_column(at, column, pa.array([b"x"], pa.large_binary())), DETECTIONS)


def test_another_table_version_or_odd_metadata() -> None:
    for metadata in (
        TIMELINE.metadata,
        {**DETECTIONS.metadata, b"lpw_version": b"2"},
        {b"lpw_table": b"\xff"},
    ):
        with pytest.raises(MismatchError, match="expected table detections v1"):
            check(detections().replace_schema_metadata(metadata), DETECTIONS)
    assert check(detections().replace_schema_metadata({b"pandas": b"{}"}), DETECTIONS).num_rows == 1


def test_the_message_is_one_line_with_exit_code_3() -> None:
    with pytest.raises(MismatchError) as caught:
        check(TRACKLETS.empty_table(), FRAMES, "a\nb")
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
