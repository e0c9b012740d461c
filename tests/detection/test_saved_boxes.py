"""Saved boxes as a detector: MOT text and Parquet, one file or a folder of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tiny_models import Picture, Video

from lpw_toolkit.dataset import mot_text, schema, tables
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.detection.detector import DetectorOptions, open_detector
from lpw_toolkit.errors import LpwError, MismatchError


def _detect(
    options: DetectorOptions, n_frames: int = 5, video: Video | None = None
) -> dict[int, np.ndarray]:
    frames = [Picture(i, None, 100, 80) for i in range(n_frames)]
    return dict(open_detector("boxes", options).detect(frames, video or Video()))


def _make_table(
    boxes: list[list[float]], frame: list[int], score: list[float], video_id: str = "walk"
) -> pa.Table:
    return mot_text.make_detections(
        np.array(frame, dtype=np.int32),
        np.array(boxes, dtype=np.float64),
        np.array(score),
        video_id=video_id,
    )


def test_mot_text_is_clipped_sorted_and_kept_whole(tmp_path: Path) -> None:
    text = "2,-1,90,10,30,60,0.2\n1,-1,1,1,10,20,0.5\n2,-1,-5,-5,20,40,0.9\n2,-1,3,3,20,40,0.9\n"
    (tmp_path / "det.txt").write_text(text)
    found = _detect(DetectorOptions(boxes=tmp_path / "det.txt"))
    assert [len(found[i]) for i in range(5)] == [1, 3, 0, 0, 0]
    assert found[1][:, 4] == pytest.approx([0.9, 0.9, 0.2])
    table = mot_text.read_detections(tmp_path / "det.txt")
    assert found[0][0, :4] == pytest.approx(boxes_of(table)[0])
    assert found[1].min() >= 0 and found[1][2, 2] == 100
    assert found[1][0, 0] == 0  # of two equal scores the one that stands first in the file


def test_a_minimal_score_drops_boxes_only_when_given(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,10,20,0.1\n1,-1,1,1,10,20,0.6\n")
    assert len(_detect(DetectorOptions(boxes=tmp_path / "det.txt"))[0]) == 2
    assert len(_detect(DetectorOptions(boxes=tmp_path / "det.txt", min_score=0.25))[0]) == 1


def test_scores_of_other_forms(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,10,20,50\n")
    with pytest.raises(LpwError, match="score"):
        _detect(DetectorOptions(boxes=tmp_path / "det.txt"))
    assert (
        _detect(DetectorOptions(boxes=tmp_path / "det.txt", box_scores="percent"))[0][0, 4] == 0.5
    )
    with pytest.raises(LpwError, match=r"--box-scores: got promille"):
        _detect(DetectorOptions(boxes=tmp_path / "det.txt", box_scores="promille"))


def test_our_own_parquet(tmp_path: Path) -> None:
    table = _make_table([[1, 2, 30, 40], [5, 5, 200, 70]], [3, 3], [0.5, 0.7])
    tables.write_table(tmp_path / "walk.parquet", table, schema.DETECTIONS)
    for boxes in (tmp_path, tmp_path / "walk.parquet"):
        found = _detect(DetectorOptions(boxes=boxes))
        assert found[3] == pytest.approx(np.array([[5, 5, 100, 70, 0.7], [1, 2, 30, 40, 0.5]]))


def test_parquet_of_another_video_or_with_impossible_rows(tmp_path: Path) -> None:
    path = tmp_path / "boxes.parquet"
    tables.write_table(path, _make_table([[1, 2, 30, 40]], [0], [0.5], "park"), schema.DETECTIONS)
    with pytest.raises(LpwError, match=r"boxes of video park, in .*; expected boxes of video walk"):
        _detect(DetectorOptions(boxes=path))
    bad = [
        ([[1, 2, np.nan, 40]], [0.5]),
        ([[1, 2, 1, 40]], [0.5]),
        ([[30, 2, 1, 40]], [0.5]),
        ([[1, 2, 3, 4]], [1.5]),
    ]
    for boxes, score in bad:
        tables.write_table(path, _make_table(boxes, [0], score), schema.DETECTIONS)
        with pytest.raises(LpwError, match=r"row 0: got a (box|score)"):  # all rows are at fault
            _detect(DetectorOptions(boxes=path))


def test_a_flipped_bit_in_a_parquet_is_found(tmp_path: Path) -> None:
    path = tmp_path / "walk.parquet"
    boxes = np.random.default_rng(0).uniform(0, 40, (200, 2))
    table = _make_table(np.hstack([boxes, boxes + 20]).tolist(), [1] * 200, [0.5] * 200)
    tables.write_table(path, table, schema.DETECTIONS)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(MismatchError, match="could not verify page integrity"):
        _detect(DetectorOptions(boxes=path))


def test_a_folder_by_id_by_path_and_both(tmp_path: Path) -> None:
    (tmp_path / "scen1").mkdir()
    (tmp_path / "scen1" / "view 2.txt").write_text("1,-1,1,1,10,20,0.5\n")
    video = Video("scen1-view2", "scen1/view 2.mp4")
    assert len(_detect(DetectorOptions(boxes=tmp_path), video=video)[0]) == 1
    (tmp_path / "scen1-view2.txt").write_text("1,-1,1,1,10,20,0.5\n")
    with pytest.raises(LpwError, match=r"both .*; expected one file per video; remove one of them"):
        _detect(DetectorOptions(boxes=tmp_path), video=video)
    with pytest.raises(
        LpwError, match=r"no saved boxes of video park\.avi; expected park\.txt or park\.parquet"
    ):
        _detect(DetectorOptions(boxes=tmp_path), video=Video("park", "park.avi"))


def _remarks(detector: Any, frames: list[Picture], video: Video | None = None) -> list[str]:
    video = video or Video()
    list(detector.detect(frames, video))
    return list(detector.remarks[video.video_id])


def _open(path: Path, **options: Any) -> Any:
    return open_detector("boxes", DetectorOptions(boxes=path, **options))


def _frames(first: int, n: int) -> list[Picture]:
    return [Picture(i, None, 100, 80) for i in range(first, first + n)]


class TestNumbering:
    """Boxes of frames 1 to 40, or others, beside videos and image sequences."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        text = "".join(f"{f},-1,{f},1,10,20,0.5\n" for f in range(1, 41))
        (tmp_path / "det.txt").write_text(text)
        return tmp_path / "det.txt"

    def test_boxes_beyond_the_end_are_counted_and_named(self, path: Path) -> None:
        found = dict(_open(path).detect(_frames(0, 30), Video()))
        assert [len(found[i]) for i in range(30)] == [1] * 30
        assert _remarks(_open(path), _frames(0, 30)) == [
            (
                "det.txt: 10 of 40 boxes left out, in frames that the video does not have "
                "(frames 31 to 40); it has frames 1 to 30"
            )
        ]
        with pytest.raises(
            LpwError,
            match=r"10 of 40 boxes in frames 1 to 40, in det\.txt; expected frames 1 to 3",
        ):
            list(_open(path, strict=True).detect(_frames(0, 30), Video()))

    def test_boxes_that_share_no_frame_are_refused_with_both_ranges(self, path: Path) -> None:
        with pytest.raises(
            LpwError,
            match=r"got 40 of 40 boxes in frames 1 to 40, in det\.txt; "
            r"expected frames 1000 to 1039, which the video has; .* --first-frame",
        ):
            list(_open(path).detect(_frames(999, 40), Video()))

    def test_the_first_frame_is_the_first_that_the_video_has(self, path: Path) -> None:
        found = dict(_open(path, first_frame=1).detect(_frames(999, 40), Video()))
        assert [found[999 + i][0, 0] for i in range(40)] == list(range(1, 41))
        assert _remarks(_open(path, first_frame=1), _frames(999, 40)) == []

    def test_numbers_of_image_files_are_taken_and_told(self, tmp_path: Path) -> None:
        path = tmp_path / "det.txt"
        path.write_text("1000,-1,1,1,10,20,0.5\n1039,-1,2,1,10,20,0.5\n")
        found = dict(_open(path).detect(_frames(999, 40), Video()))
        assert (found[999][0, 0], found[1038][0, 0]) == (1, 2)
        assert _remarks(_open(path), _frames(999, 40)) == [
            "det.txt: its frames are taken as the numbers of the images (frames 1000 to 1039)"
        ]

    def test_frames_from_0(self, tmp_path: Path) -> None:
        path = tmp_path / "det.txt"
        path.write_text("0,-1,1,1,10,20,0.5\n1,-1,2,1,10,20,0.5\n")
        found = dict(_open(path).detect(_frames(0, 2), Video()))
        assert (found[0][0, 0], found[1][0, 0]) == (1, 2)
        assert _remarks(_open(path), _frames(0, 2)) == ["det.txt: its frames count from 0"]

    def test_settings_hold_what_was_given(self, path: Path) -> None:
        plain = _open(path).settings
        assert plain.keys() == {"name", "min_score", "box_scores", "files_sha256"}
        given = _open(path, first_frame=0, box_classes="all", strict=True).settings
        assert given == plain | {"first_frame": 0, "box_classes": "all", "strict": True}

    def test_a_parquet_counts_from_0_always(self, tmp_path: Path) -> None:
        table = _make_table([[1, 2, 30, 40]], [0], [0.5])
        tables.write_table(tmp_path / "walk.parquet", table, schema.DETECTIONS)
        with pytest.raises(LpwError, match="a MOT text beside --first-frame and --classes"):
            list(_open(tmp_path / "walk.parquet", first_frame=1).detect(_frames(0, 2), Video()))


class TestBadRows:
    GOOD = "1,-1,1,1,10,20,0.5\n2,-1,1,1,10,20,0.5\n"

    def test_a_box_wholly_outside_is_left_out_and_named(self, tmp_path: Path) -> None:
        path = tmp_path / "det.txt"
        path.write_text(self.GOOD + "2,-1,300,10,30,60,0.9\n")
        assert [len(b) for b in _detect(DetectorOptions(boxes=path)).values()] == [1, 1, 0, 0, 0]
        assert _remarks(_open(path), _frames(0, 5)) == [
            (
                "det.txt: 1 of 3 rows left out (line 3 (frame 2): box 300, 10, 330, 70, "
                "not inside 100x80; see --strict)"
            )
        ]
        with pytest.raises(
            LpwError, match=r"line 3 \(frame 2\): got box 300.*expected inside 100x"
        ):
            _detect(DetectorOptions(boxes=path, strict=True))

    def test_boxes_of_another_picture_size_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "det.txt"
        path.write_text(self.GOOD + "2,-1,300,10,30,60,0.9\n" * 3)
        with pytest.raises(LpwError, match=r"line 3 .*\(2 more rows are at fault\), in det\.txt"):
            _detect(DetectorOptions(boxes=path))

    @pytest.mark.parametrize(
        "line", ["1,-1,nan,1,10,20,0.5", "1,-1,1,1,-10,20,0.5", "1,-1,1,1", "a,b,c,d,e,f,g"]
    )
    def test_malformed_text_is_named_with_its_line(self, line: str, tmp_path: Path) -> None:
        path = tmp_path / "det.txt"
        path.write_text(f"{self.GOOD}{line}\n")
        assert [len(b) for b in _detect(DetectorOptions(boxes=path)).values()] == [1, 1, 0, 0, 0]
        assert "1 of 3 rows left out (line 3" in _remarks(_open(path), _frames(0, 5))[0]
        with pytest.raises(LpwError, match=r"got .*, in det\.txt, line 3"):
            _detect(DetectorOptions(boxes=path, strict=True))

    def test_rows_of_a_parquet(self, tmp_path: Path) -> None:
        boxes = [[1, 2, np.nan, 40], [1, 2, 30, 40], [1, 2, 1, 40], [1, 2, 31, 40], [1, 2, 9, 40]]
        table = _make_table(boxes, [0, 0, 1, 1, -1], [0.5, 0.6, 0.7, 0.8, 0.9])
        more = _make_table([[1, 2, 30, 40]] * 2, [2, 3], [0.9, np.nan])
        path = tmp_path / "walk.parquet"
        both = pa.concat_tables([table, more, _make_table([[1, 2, 30, 40]] * 2, [2, 3], [0.9] * 2)])
        tables.write_table(path, both, schema.DETECTIONS)
        found = _detect(DetectorOptions(boxes=path))
        assert [(found[i][:, 4].astype(float).round(1)).tolist() for i in range(4)] == [
            [0.6],
            [0.8],
            [0.9] * 2,
            [0.9],
        ]
        said = _remarks(_open(path), _frames(0, 5))[0]
        assert said.startswith(
            "walk.parquet: 4 of 9 rows left out (row 0: a box that is not finite"
        )
        with pytest.raises(LpwError, match="row 0: got a box"):
            _detect(DetectorOptions(boxes=path, strict=True))

    def test_cars_are_no_persons(self, tmp_path: Path) -> None:
        path = tmp_path / "det.txt"
        path.write_text("1,1,1,1,10,20,1,1,1\n1,2,20,1,10,20,1,3,1\n")
        assert len(_detect(DetectorOptions(boxes=path))[0]) == 1
        assert len(_detect(DetectorOptions(boxes=path, box_classes="all"))[0]) == 2
        said = ["det.txt: 1 boxes of class 1 count, 1 of class 3 do not (--classes)"]
        assert _remarks(_open(path), _frames(0, 5)) == said


def test_one_file_serves_one_video(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,10,20,0.5\n")
    detector = open_detector("boxes", DetectorOptions(boxes=tmp_path / "det.txt"))
    frames = [Picture(0, None)]
    assert len(list(detector.detect(frames, Video("a", "a.avi")))) == 1
    assert len(list(detector.detect(frames, Video("a", "a.avi")))) == 1
    with pytest.raises(LpwError, match="videos a and b; expected the boxes of one video"):
        list(detector.detect(frames, Video("b", "b.avi")))


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(LpwError, match="give --boxes PATH"):
        open_detector("boxes", DetectorOptions())
    with pytest.raises(LpwError, match="no such file or folder"):
        open_detector("boxes", DetectorOptions(boxes=tmp_path / "none.txt"))
    with pytest.raises(LpwError, match=r"no \.txt and no \.parquet"):
        open_detector("boxes", DetectorOptions(boxes=tmp_path))


def test_the_settings_change_with_the_content(tmp_path: Path) -> None:
    digests = set()
    for text in ("1,-1,1,1,10,20,0.5\n", "1,-1,1,1,10,20,0.6\n"):
        (tmp_path / "walk.txt").write_text(text)
        for boxes in (tmp_path, tmp_path / "walk.txt"):
            digests.add(
                open_detector("boxes", DetectorOptions(boxes=boxes)).settings["files_sha256"]
            )
    assert len(digests) == 4
