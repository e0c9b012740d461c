"""Key points by BlazePose: its points become COCO's, and no other TensorFlow Lite file is read."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from lpw_toolkit.detection.blaze_pose import pick_coco
from lpw_toolkit.detection.pose import PoseOptions, open_pose
from lpw_toolkit.errors import LpwError

#: Columns of mini_lpw's landmarks, and COCO's numbers of the same joints, right and left.
JOINTS = {"shoulder": ((2, 6), (5, 5)), "hip": ((8, 12), (11, 11)), "ankle": ((10, 16), (13, 15))}
MAX_MEDIAN = {"shoulder": 0.02, "hip": 0.03, "ankle": 0.04}  # measured: .012, .018, .023


def test_points_of_the_body_in_the_order_of_coco() -> None:
    points = np.zeros((39, 5), dtype=np.float32)
    points[:, 0], points[:, 1] = np.arange(39), 100
    points[28, 3] = 3.0  # the right ankle is seen
    matrix = np.array([[2.0, 0, 10], [0, 2.0, 20]], dtype=np.float32)
    found = pick_coco(points.ravel(), matrix)
    assert found.shape == (17, 3)
    assert found[[0, 5, 16], 0].tolist() == [-5, 0.5, 9]  # nose 0, left shoulder 11, ankle 28
    assert (found[:, 1] == 40).all()
    assert found[16, 2] == pytest.approx(1 / (1 + np.exp(-3))) and found[0, 2] == 0.5


def test_another_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"TFL3")
    with pytest.raises(
        LpwError, match=r"another file, SHA-256 \w{64}; expected pose_landmark_full"
    ):
        open_pose(PoseOptions(str(tmp_path / "model.tflite")))
    (tmp_path / "model.onnx").write_bytes(b"1")
    with pytest.raises(LpwError, match=r"a \.onnx file; expected \.tflite or \.pt"):
        open_pose(PoseOptions(str(tmp_path / "model.onnx")))


def test_without_a_name_the_known_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LPW_CACHE", str(tmp_path / "cache"))
    with pytest.raises(LpwError, match=r"pose: got none here.*pose_landmark_full\.tflite in the"):
        open_pose(PoseOptions())


@pytest.mark.realdata
def test_on_real_crops(shared_data: Path) -> None:
    model = open_pose(PoseOptions(str(shared_data / "weights" / "pose_landmark_full.tflite")))
    assert model.image_size == 256
    raw = shared_data / "mini_lpw"
    with (raw / "landmarks.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1::130]
    images = [cv2.imread(str(raw / "pep_256x128" / row[0]))[..., ::-1] for row in rows]
    blank = np.full((128, 64, 3), 90, dtype=np.uint8)
    found = model.find_points([*images, blank])
    assert not found[-1].any()
    seen = found[:-1, :, 2].any(axis=1)
    assert seen.mean() > 0.9
    heights = np.array([row[15:] for row in rows], dtype=np.float64) - 1
    for name, pairs in JOINTS.items():
        errors = [np.abs(found[:-1][seen, coco, 1] - heights[seen, cpm]) for cpm, coco in pairs]
        assert np.median(errors) / 128 < MAX_MEDIAN[name]
