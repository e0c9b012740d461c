"""MOT text as other tools write it, and what is left out or refused, by file, line and frame."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lpw_toolkit.dataset.mot_text import MotForm, parse_classes, read_boxes, read_detections
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError

LENIENT = MotForm(strict=False)
BOX = [[10, 20, 40, 60], [11, 20, 41, 60]]


def write(tmp_path: Path, text: str | bytes, name: str = "det.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(n: int, frames: int = 1) -> str:
    return "".join(f"{1 + i // frames},{i},10,20,30,40,0.5,-1,-1,-1\n" for i in range(n))


@pytest.mark.parametrize(
    "text",
    [
        "1,-1,10,20,30,40,0.5\n2,-1,11,20,30,40,0.5\n",
        "1 -1 10 20 30 40 0.5 -1 -1 -1 \n2 -1 11 20 30 40 0.5 -1 -1 -1 \n",  # yolo trackers
        "1\t-1\t10\t20\t30\t40\t0.5\n2\t-1\t11\t20\t30\t40\t0.5\n",
        (
            "   1.0000000e+00  -1.0000000e+00   1.0000000e+01   2.0000000e+01   3.0000000e+01   "
            "4.0000000e+01   5.0000000e-01\n   2.0000000e+00  -1.0000000e+00   1.1000000e+01   "
            "2.0000000e+01   3.0000000e+01   4.0000000e+01   5.0000000e-01\n"
        ),  # MATLAB save -ascii
        "1;-1;10;20;30;40;0.5\n2;-1;11;20;30;40;0.5\n",
        "frame,id,bb_left,bb_top,bb_width,bb_height,conf\n1,-1,10,20,30,40,.5\n2,-1,11,20,30,40,.5",
        "# by a tool\n\n1,-1,10,20,30,40,0.5\n% more\n2,-1,11,20,30,40,0.5\n// end\n",
        "1,-1,10,20,30,40,0.5,\n2,-1,11,20,30,40,0.5,\n",
        "1,-1,10,20,30,40,0.5,-1,-1,-1\n2,-1,11,20,30,40,0.5,,,\n",
        "1.0,-1.0,10.0,20.0,30.0,40.0,0.5\r\n2.0,-1.0,11.0,20.0,30.0,40.0,0.5\r\n",
        "1,-1,1e1,2e1,3e1,4e1,5e-1\r2,-1,1.1e1,2e1,3e1,4e1,5e-1\r",
        "\ufeff1,-1,10,20,30,40,0.5\n2,-1,11,20,30,40,0.5\n",
        "2, -1, 11, 20, 30, 40, 0.5\n1, -1, 10, 20, 30, 40, 0.5\n",
        "0,-1,10,20,30,40,0.5\n1,-1,11,20,30,40,0.5\n",  # frames from 0
    ],
)
def test_forms_of_other_tools(tmp_path: Path, text: str) -> None:
    table = read_detections(write(tmp_path, text))
    assert table["frame_index"].to_pylist() == [0, 1]
    assert boxes_of(table).tolist() == BOX
    assert table["score"].to_pylist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "text",
    [
        "1,-1,10,20,30,40\n2,-1,11,20,30,40\n",
        "1 -1 10 20 30 40\n2 -1 11 20 30 40\n",
        "1,-1,10,20,30,40,\n2,-1,11,20,30,40,\n",
        "1,-1,10,20,30,40,-1,-1,-1,-1\n2,-1,11,20,30,40,-1,-1,-1,-1\n",
    ],
)
def test_a_missing_score_counts_as_one(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    for scores in ("fraction", "percent"):
        assert read_detections(path, scores=scores)["score"].to_pylist() == [1.0, 1.0]
    assert read_boxes(write(tmp_path, text.replace("-1", "7"), "t.txt"), LENIENT).flag.all()


@pytest.mark.parametrize("mark", [",", " ", ";", "\t"])
def test_large_files_of_any_separator_are_read_alike(tmp_path: Path, mark: str) -> None:
    """Block by block: the first and the faulty blocks are read line by line, the others are not."""
    n = 30_000
    lines = [
        f"{i + 1},{i % 7},{i % 500}.25,20,30,40,0.5,1,2,3".replace(",", mark) for i in range(n)
    ]
    lines[20_000] = mark.join("x" * 10)
    path = write(tmp_path, "frame id x y w h s\n".replace(" ", mark) + "\n".join(lines))
    said: list[str] = []
    found = read_boxes(path, LENIENT, log=said.append)
    kept = np.delete(np.arange(n), 20_000)
    assert found.frame_index.tolist() == kept.tolist()
    assert found.track.tolist() == (kept % 7).tolist()
    assert found.boxes[:, 0].tolist() == (kept % 500 + 0.25).tolist()
    assert said == [
        (
            "det.txt: 1 of 30000 rows left out (line 20002: frame 'x', not a finite number; "
            "see --strict)"
        )
    ]


def test_a_header_that_names_corners_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "frame,id,x1,y1,x2,y2,score\n1,1,10,20,40,60,0.5\n")
    with pytest.raises(LpwError, match="a header with the column x2; expected frame,id,left"):
        read_boxes(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("5,9,nan,20,30,40,0.5,-1,-1,-1", r"line 4 \(frame 5\): left 'nan', not a finite number"),
        ("5,9,10,20,30,0,0.5,-1,-1,-1", r"line 4 \(frame 5\): width or height 0, not more than 0"),
        ("5,9,10,20,30", r"line 4 \(frame 5\): 5 columns, not 10 comma-separated columns"),
        ("5,9,1e9,20,30,40,0.5,-1,-1,-1", r"line 4 \(frame 5\): box 1e\+09, not coordinates"),
        ("5.5,9,1,20,30,40,0.5,-1,-1,-1", r"line 4 \(frame 5.5\): frame 5.5, not 0, 1, 2"),
        ("-3,9,1,20,30,40,0.5,-1,-1,-1", r"line 4 \(frame -3\): frame -3, not 0, 1, 2"),
        ("hello", r"line 4: 1 columns, not 10 comma-separated"),
    ],
)
def test_a_bad_row_is_left_out_and_named(tmp_path: Path, line: str, said: str) -> None:
    text = rows(3) + line + "\n" + "6,1,10,20,30,40,0.5,-1,-1,-1\n"
    path, lines = write(tmp_path, text), []
    for read in (read_boxes, read_detections):
        lines.clear()
        assert len(read(path, LENIENT, log=lines.append)) == 4
        assert len(lines) == 1
        assert re.match(rf"det\.txt: 1 of 5 rows left out \({said}", lines[0])
        with pytest.raises(LpwError, match=r"det\.txt, line 4"):
            read(path)


def test_a_file_of_bad_rows_is_another_file(tmp_path: Path) -> None:
    bad = "5,9,10,20,30,0,0.5,-1,-1,-1\n"
    with pytest.raises(LpwError, match=r"line 3 \(frame 5\): .*\(2 more rows are at fault\)"):
        read_detections(write(tmp_path, rows(2) + bad * 3), LENIENT)
    assert read_detections(write(tmp_path, rows(3) + bad * 3), LENIENT).num_rows == 3
    with pytest.raises(LpwError, match="2 columns"):
        read_detections(write(tmp_path, "hello, world\n"), LENIENT)
    said: list[str] = []
    read_detections(write(tmp_path, rows(9) + bad * 5), LENIENT, log=said.append)
    assert "5 of 14 rows left out (line 10 (frame 5)" in said[0]
    assert "; 4 more; see --strict)" in said[0]


def test_scores_in_other_units_are_refused_whatever_the_form(tmp_path: Path) -> None:
    path = write(tmp_path, rows(5) + "6,-1,10,20,30,40,37,-1,-1,-1\n")
    with pytest.raises(LpwError, match=r"line 6 \(frame 6\): got score 37; expected 0 to 1"):
        read_detections(path, LENIENT)


def test_the_number_of_the_first_frame(tmp_path: Path) -> None:
    path = write(tmp_path, "1000,1,10,20,30,40,1\n1002,1,10,20,30,40,1\n")
    assert read_boxes(path).frame_index.tolist() == [999, 1001]
    form = MotForm(first_frame=1000)
    assert read_boxes(path, form).frame_index.tolist() == [0, 2]
    assert read_boxes(path, form, start_index=7).frame_index.tolist() == [7, 9]
    assert read_detections(path, form)["frame_index"].to_pylist() == [0, 2]
    with pytest.raises(LpwError, match=r"line 1 .*got frame 1000; expected 1001, 1002, 1003"):
        read_boxes(path, MotForm(first_frame=1001))
    zero, said = write(tmp_path, "0,1,10,20,30,40,1\n3,1,10,20,30,40,1\n"), []
    assert read_boxes(zero, log=said.append).frame_index.tolist() == [0, 3]
    assert said == ["det.txt: its frames count from 0"]
    with pytest.raises(LpwError, match="option --first-frame"):
        MotForm(first_frame=-1)


def test_a_frame_0_of_another_class_counts_too(tmp_path: Path) -> None:
    path = write(tmp_path, "0,1,10,20,30,40,1,3,1\n1,2,10,20,30,40,1,1,1\n")
    assert read_boxes(path).frame_index.tolist() == [1]


class TestTruth:
    def test_an_id_twice_in_a_frame(self, tmp_path: Path) -> None:
        path = write(tmp_path, rows(80, frames=2) + "5,8,300,20,48,120,1,-1,-1,-1\n", "gt.txt")
        for form in (LENIENT, MotForm()):
            message = r"gt\.txt, line 81 \(frame 5\): got id 8 twice in the frame"
            with pytest.raises(LpwError, match=message):
                read_boxes(path, form)

    def test_a_negative_id(self, tmp_path: Path) -> None:
        with pytest.raises(
            LpwError, match=r"line 2 \(frame 2\): got id -1; expected a number from"
        ):
            read_boxes(write(tmp_path, "1,1,1,1,5,5,1\n2,-1,1,1,5,5,1\n"), LENIENT)

    @pytest.mark.parametrize("text", ["3e+09", "1.2346e+05", "1E5"])
    def test_an_id_that_lost_digits(self, tmp_path: Path, text: str) -> None:
        path = write(tmp_path, f"1,1,1,1,5,5,1\n2,{text},1,1,5,5,1\n")
        with pytest.raises(LpwError, match=r"line 2: got id .*lost digits; expected the whole"):
            read_boxes(path)

    @pytest.mark.parametrize("text", ["3000000001", "3.000000001e+09", "1e+03", "1.00000e+05"])
    def test_an_id_with_all_its_digits(self, tmp_path: Path, text: str) -> None:
        assert read_boxes(write(tmp_path, f"1,{text},1,1,5,5,1\n")).track[0] == float(text)

    def test_a_frame_that_lost_digits(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=r"line 1: got frame 1\.2346e.05, which has lost digits"):
            read_detections(write(tmp_path, "1.2346e+05,1,1,1,5,5,1\n"))


class TestClasses:
    TEXT = "1,1,1,1,5,5,1,1,0.9\n1,2,9,1,5,5,1,3,1\n2,1,1,1,5,5,1,1,0\n2,3,1,1,5,5,0,7,1\n"

    def test_pedestrians_alone_count(self, tmp_path: Path) -> None:
        path, said = write(tmp_path, self.TEXT, "gt.txt"), []
        assert read_boxes(path, log=said.append).track.tolist() == [1, 1]
        assert read_detections(path).num_rows == 2
        assert said == [
            "gt.txt: 2 boxes of class 1 count, 1 of class 3, 1 of class 7 do not (--classes)"
        ]

    @pytest.mark.parametrize(
        ("classes", "ids"), [("all", [1, 2, 1, 3]), ("1,3", [1, 2, 1]), ("7", [3]), ("5", [])]
    )
    def test_other_classes(self, tmp_path: Path, classes: str, ids: list[int]) -> None:
        form = MotForm(classes=parse_classes(classes))
        assert read_boxes(write(tmp_path, self.TEXT), form).track.tolist() == ids

    def test_eight_columns_are_enough(self, tmp_path: Path) -> None:
        path = write(tmp_path, "1,1,1,1,5,5,1,1\n1,2,9,1,5,5,1,2\n")
        assert read_boxes(path).track.tolist() == [1]

    @pytest.mark.parametrize(
        "text",
        [
            "1,1,1,1,5,5,1,2,3,4\n1,2,1,1,5,5,1,5,6,7\n",  # MOT15: places in the world
            "1,1,1,1,5,5,1,0,-1\n1,2,1,1,5,5,1,2,-1\n",  # a tracker's classes from 0
            "1,1,1,1,5,5,1,-1,-1\n1,2,1,1,5,5,1,-1,-1\n",
            "1,1,1,1,5,5,1,2.5,1\n1,2,1,1,5,5,1,2,1\n",
        ],
    )
    def test_other_eighth_columns_are_no_classes(self, tmp_path: Path, text: str) -> None:
        assert len(read_boxes(write(tmp_path, text))) == 2

    def test_classes_that_are_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="got 7 columns, none of them a class"):
            read_boxes(write(tmp_path, "1,1,1,1,5,5,1\n"), MotForm(classes=(1,)))
        with pytest.raises(LpwError, match="option --classes: got person; expected whole numbers"):
            parse_classes("person")

    @pytest.mark.realdata
    def test_mot17(self, shared_data: Path) -> None:
        path = shared_data / "mot17" / "MOT17-02-FRCNN" / "gt" / "gt.txt"
        table = np.loadtxt(path, delimiter=",")
        found = read_boxes(path)
        assert len(found) == (table[:, 7] == 1).sum() == 18_581
        assert (found.flag == 1).all()
        assert len(read_boxes(path, replace(MotForm(), classes=()))) == len(table)
