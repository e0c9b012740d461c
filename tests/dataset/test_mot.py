"""MOT text: what is read, what is written, and which line is at fault."""

from pathlib import Path

import numpy as np
import pytest

from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.mot_text import read_boxes, read_detections, write_tracks
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError

GOOD = "1,-1,10,20,30,40,0.5,-1,-1,-1"


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "det.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_detections_are_a_table_of_the_contract(tmp_path: Path) -> None:
    path = write(tmp_path, f"3,-1,1,2,3,4,0.25,-1,-1,-1\n{GOOD}\n1,-1,5.5,6,7,8,1,-1,-1,-1\n")
    table = read_detections(path, fps=25, video_id="cam")
    assert schema.check(table, schema.DETECTIONS) is table
    assert table["frame_index"].to_pylist() == [0, 0, 2]
    assert table["pts_s"].to_pylist() == [0.0, 0.0, 2 / 25]
    assert table["score"].to_pylist() == [0.5, 1.0, 0.25]  # order of the lines inside a frame
    assert table["video_id"].to_pylist() == ["cam"] * 3
    assert boxes_of(table).tolist() == [[10, 20, 40, 60], [5.5, 6, 12.5, 14], [1, 2, 4, 6]]


def test_without_fps_there_are_no_times(tmp_path: Path) -> None:
    assert read_detections(write(tmp_path, GOOD))["pts_s"].to_pylist() == [None]
    with pytest.raises(LpwError, match="fps"):
        read_detections(write(tmp_path, GOOD), fps=0)


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_an_empty_file_is_an_empty_table(tmp_path: Path, text: str) -> None:
    table = read_detections(write(tmp_path, text))
    assert table.num_rows == 0
    assert table.schema == schema.DETECTIONS
    assert len(read_boxes(write(tmp_path, text))) == 0


@pytest.mark.parametrize(
    "text", [GOOD, GOOD + "\r\n", "\ufeff" + GOOD, "\n\n" + GOOD, "1, -1, 10, 20, 30, 40, 0.5"]
)
def test_harmless_variations(tmp_path: Path, text: str) -> None:
    assert boxes_of(read_detections(write(tmp_path, text))).tolist() == [[10, 20, 40, 60]]


def test_odd_values_beyond_the_seventh_column_do_not_matter(tmp_path: Path) -> None:
    assert read_detections(write(tmp_path, "1,-1,10,20,30,40,0.5,nan,person,\n")).num_rows == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,-1,nan,20,30,40,0.5,-1,-1,-1", "left 'nan'"),
        ("1,-1,10,20,inf,40,0.5,-1,-1,-1", "width 'inf'"),
        ("1,-1,10,1e999,30,40,0.5,-1,-1,-1", "top '1e999'"),
        ("1,-1,10,20,,40,0.5,-1,-1,-1", "width ''"),
        ("1,-1,ten,20,30,40,0.5,-1,-1,-1", "left 'ten'"),
        ("1,-1,10,20,-30,40,0.5,-1,-1,-1", "more than 0 px"),
        ("1,-1,10,20,30,0,0.5,-1,-1,-1", "more than 0 px"),
        ("-1,-1,10,20,30,40,0.5,-1,-1,-1", "got frame -1"),
        ("1.5,-1,10,20,30,40,0.5,-1,-1,-1", "got frame 1.5"),
        ("99999999999,-1,10,20,30,40,0.5,-1,-1,-1", "got frame 1e"),
        ("1,-1,10,20,30,40,0.5,-1,-1", "got 9 columns; expected 10"),
        ("1,-1,10,20,30,40,0.5,-1,-1,-1,-1", "got 11 columns; expected 10"),
        ("1,-1,10,20,30,40", "got 6 columns"),
        ("1 -1 10 20 30 40 0.5", "got 1 columns"),
        ("1,-1,1e9,20,30,40,0.5,-1,-1,-1", "coordinates within"),
        ("1,-1,10,20,30,40,-0.3,-1,-1,-1", "log_odds"),
        ("1,-1,10,20,30,40,37,-1,-1,-1", "percent"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path, f"{GOOD}\n\n{line}\n{GOOD}\n")  # a blank line counts as a line
    with pytest.raises(LpwError) as error:
        read_detections(path)
    assert f"{path}, line 3" in str(error.value)
    assert message in str(error.value)


def test_other_forms_of_score(tmp_path: Path) -> None:
    path = write(tmp_path, "1,-1,1,1,5,5,0\n1,-1,1,1,5,5,2.5\n")
    assert read_detections(path, scores="percent")["score"].to_pylist() == pytest.approx(
        [0.0, 0.025]
    )
    assert read_detections(path, scores="log_odds")["score"].to_pylist() == pytest.approx(
        [0.5, 1 / (1 + np.exp(-2.5))]
    )
    with pytest.raises(LpwError, match="0 to 100"):
        read_detections(write(tmp_path, "1,-1,1,1,5,5,101"), scores="percent")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(LpwError, match="no such file"):
        read_detections(tmp_path / "none.txt")
    with pytest.raises(LpwError, match="bytes that are no text"):
        read_boxes(write(tmp_path, b"\xff\xfe\x00\x01"))


def test_ground_truth(tmp_path: Path) -> None:
    rows = read_boxes(write(tmp_path, "2,7,0,0,5,5,0,1,1\n1,9,1,1,2,2,1,1,0.5\n"))
    assert rows.frame_index.tolist() == [0, 1]
    assert rows.track.tolist() == [9, 7]
    assert rows.flag.tolist() == [1.0, 0.0]
    assert rows.boxes.tolist() == [[1, 1, 3, 3], [0, 0, 5, 5]]
    assert len(rows.select(rows.flag > 0)) == 1
    with pytest.raises(LpwError, match=r"line 1 \(frame 1\): got id 1.5"):
        read_boxes(write(tmp_path, "1,1.5,0,0,5,5,1\n"))


def test_written_tracks_are_read_back(tmp_path: Path) -> None:
    det = write(
        tmp_path, f"{GOOD}\n1,-1,100,20,30,40.125,0.75,-1,-1,-1\n2,-1,11,20,30,40,0.5,-1,-1,-1\n"
    )
    out = tmp_path / "tracks.txt"
    write_tracks(out, read_detections(det), np.array([1, -1, 0], np.int32))
    assert out.read_text() == (
        "1,2,10.000,20.000,30.000,40.000,0.5,-1,-1,-1\n"
        "2,1,11.000,20.000,30.000,40.000,0.5,-1,-1,-1\n"
    )
    assert read_boxes(out).track.tolist() == [2, 1]
    write_tracks(out, read_detections(det), np.full(3, -1, np.int32))
    assert out.read_text() == ""


@pytest.mark.realdata
def test_every_public_sequence_is_read(shared_data: Path) -> None:
    for folder in sorted((shared_data / "mot15").iterdir()):
        text = (folder / "det" / "det.txt").read_text().splitlines()
        assert read_detections(folder / "det" / "det.txt").num_rows == len(text)
        assert len(read_boxes(folder / "gt" / "gt.txt")) == len(
            (folder / "gt" / "gt.txt").read_text().splitlines()
        )
