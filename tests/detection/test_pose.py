"""Key points by a YOLO pose model: those of ultralytics' own predictor, and nothing foreign is
run."""

from pathlib import Path

import numpy as np
import pytest
from hostile_weights import WRITERS
from make_pose import make_pose
from tiny_models import make_yolo

from lpw_toolkit.detection.pose import PoseOptions, open_pose
from lpw_toolkit.detection.yolo_pose import pick_points
from lpw_toolkit.errors import LpwError

pytest.importorskip("ultralytics")


def draw_images(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in sizes]


def test_equal_to_the_predictor(tmp_path, monkeypatch):
    """Two sizes of crops, one batch; its answer is clipped to the picture, ours is not."""
    monkeypatch.chdir(tmp_path)
    from ultralytics import YOLO

    weights = make_pose(tmp_path / "yolo.pt", plan="yolov8n-pose.yaml", bias=0.0)
    images = draw_images((128, 64), (128, 64), (96, 80), (128, 64))
    found = open_pose(PoseOptions(str(weights), image_size=160)).find_points(images)
    assert found.shape == (4, 17, 3)
    other = YOLO(str(weights))
    for image, points in zip(images, found, strict=True):
        bgr = np.ascontiguousarray(image[..., ::-1])
        answer = (
            other.predict(bgr, imgsz=160, conf=0.25, verbose=False, save=False)[0]
            .keypoints.data[0]
            .numpy()
        )
        sides = np.clip(points[:, :2], 0, [image.shape[1], image.shape[0]])
        assert np.abs(sides - answer[:, :2]).max() < 0.05
        assert np.abs(points[:, 2] - answer[:, 2]).max() < 1e-3


def test_a_planned_model_gives_its_points_back(tmp_path):
    heights = np.linspace(10, 300, 17)
    weights = make_pose(tmp_path / "yolo.pt", heights_px=heights)
    found = open_pose(PoseOptions(str(weights))).find_points(draw_images((128, 64)))[0]
    assert found[:, 1] == pytest.approx(heights * 128 / 320, abs=1e-3)
    assert found[:, 0] == pytest.approx(np.full(17, 32 * 128 / 320), abs=1e-3)
    assert found[:, 2] == pytest.approx(np.full(17, 1 / (1 + np.exp(-3))), abs=1e-3)


@pytest.mark.parametrize("plan", ["yolo11n-pose.yaml", "yolo26n-pose.yaml"])
def test_other_generations_answer(tmp_path, plan):
    weights = make_pose(tmp_path / "yolo.pt", plan=plan)
    found = open_pose(PoseOptions(str(weights), image_size=64)).find_points(draw_images((64, 32)))
    assert found.shape == (1, 17, 3)
    assert np.isfinite(found).all()


def test_nobody_is_zeros(tmp_path):
    model = open_pose(PoseOptions(str(make_pose(tmp_path / "yolo.pt", bias=-9.0)), image_size=50))
    assert model.image_size == 64  # a multiple of the stride
    assert not model.find_points(draw_images((64, 32), (64, 32))).any()
    assert model.find_points([]).shape == (0, 17, 3)


class TestPicking:
    def test_the_surest_person_counts(self):
        rows = np.zeros((1, 4 + 2 + 51, 3), dtype=np.float32)
        rows[0, 4], rows[0, 5] = [0.9, 0.3, 0.4], [0.1, 0.6, 0.7]
        rows[0, 6:, 2] = np.arange(51)
        assert pick_points(rows, 1, 3, end2end=False)[0].ravel().tolist() == list(range(51))

    def test_without_confidences_a_point_is_as_sure_as_its_person(self):
        rows = np.full((1, 4 + 1 + 34, 2), 0.5, dtype=np.float32)
        assert pick_points(rows, 0, 2, end2end=False)[0, :, 2].tolist() == [0.5] * 17

    def test_a_network_that_chose_itself(self):
        rows = np.zeros((1, 2, 6 + 51), dtype=np.float32)
        rows[0, :, 4], rows[0, :, 5] = [0.9, 0.5], [1, 0]  # a dog, then a person
        rows[0, 1, 6:] = 7
        assert (pick_points(rows, 0, 3, end2end=True) == 7).all()
        assert not pick_points(rows, 2, 3, end2end=True).any()


@pytest.mark.parametrize("write", WRITERS, ids=lambda w: w.__name__[7:])
def test_a_strangers_code_never_runs(write, tmp_path):
    write(tmp_path / "yolo.pt", tmp_path / "marker")
    with pytest.raises(LpwError) as caught:
        open_pose(PoseOptions(str(tmp_path / "yolo.pt")))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "marker").exists()


def test_models_of_other_kinds(tmp_path):
    with pytest.raises(LpwError, match=r"find no key points \(Detect head\)"):
        open_pose(PoseOptions(str(make_yolo(tmp_path / "yolo_a.pt"))))
    with pytest.raises(LpwError, match="21 key points with 3 values each; expected COCO's 17"):
        open_pose(PoseOptions(str(make_pose(tmp_path / "yolo_b.pt", n_points=21))))
    with pytest.raises(LpwError, match="no such file"):
        open_pose(PoseOptions(str(Path("yolo11n-pose.pt"))))
