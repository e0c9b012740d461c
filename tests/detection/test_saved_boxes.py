"""Saved boxes as a detector: MOT text and Parquet, one file or a folder of them."""

from pathlib import Path

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
    with pytest.raises(LpwError, match="boxes of video park; expected boxes of video walk"):
        _detect(DetectorOptions(boxes=path))
    bad = [
        ([[1, 2, np.nan, 40]], [0.5]),
        ([[1, 2, 1, 40]], [0.5]),
        ([[30, 2, 1, 40]], [0.5]),
        ([[1, 2, 3, 4]], [1.5]),
    ]
    for boxes, score in bad:
        tables.write_table(path, _make_table(boxes, [0], score), schema.DETECTIONS)
        with pytest.raises(LpwError, match=r"row 0: got a (box|score)"):
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


def test_boxes_beyond_the_end_are_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text(
        "5,-1,1,1,10,20,0.5\n6,-1,1,1,10,20,0.5\n9,-1,1,1,10,20,0.5\n"
    )
    with pytest.raises(
        LpwError, match=r"2 boxes from frame_index 5 on \(frame 6 of a MOT text\); .*below 5"
    ):
        _detect(DetectorOptions(boxes=tmp_path / "det.txt"))
    assert len(_detect(DetectorOptions(boxes=tmp_path / "det.txt"), n_frames=9)) == 9


def test_a_box_wholly_outside_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("2,-1,300,10,30,60,0.9\n")
    with pytest.raises(LpwError, match=r"frame_index 1: got box .*; expected boxes inside 100x80"):
        _detect(DetectorOptions(boxes=tmp_path / "det.txt"))


@pytest.mark.parametrize(
    "line", ["1,-1,nan,1,10,20,0.5", "1,-1,1,1,-10,20,0.5", "1,-1,1,1", "a,b,c,d,e,f,g"]
)
def test_malformed_text_is_named_with_its_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text(f"1,-1,1,1,10,20,0.5\n{line}\n")
    with pytest.raises(LpwError, match=r"det\.txt.*2"):
        _detect(DetectorOptions(boxes=tmp_path / "det.txt"))


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
