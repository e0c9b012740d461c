"""A detector of the user's own: any function that gives boxes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from street import make_street
from tiny_models import Picture, Video, draw_frames

import lpw_toolkit
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.detection.function_detector import FunctionDetector
from lpw_toolkit.errors import LpwError


@dataclass
class Detections:
    """The form of `supervision.Detections`."""

    xyxy: np.ndarray
    confidence: np.ndarray | None


def find_green(picture: np.ndarray) -> np.ndarray:
    """The green block of `draw_frames`."""
    rows, columns = np.nonzero((picture == (0, 255, 0)).all(axis=2))
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.75]
    return np.array([box], dtype=np.float32)


def _run(answer: Any, **options: Any) -> np.ndarray:
    detector = FunctionDetector(lambda picture: answer, DetectorOptions(**options))
    [(_, boxes)] = detector.detect(draw_frames(1), Video())
    assert boxes.dtype == np.float32
    return boxes


def test_it_gets_each_frame_once_as_bgr_and_its_boxes_are_taken() -> None:
    frames = draw_frames(5)
    frames[2].duplicate = True
    found = dict(FunctionDetector(find_green).detect(frames, Video()))
    assert list(found) == [0, 1, 3, 4]
    assert found[3].tolist() == [[20, 40, 60, 80, 0.75]]


def test_a_picture_may_be_kept_and_drawn_into() -> None:
    kept = []

    def draw(picture: np.ndarray) -> list[Any]:
        kept.append(picture)
        picture[:] = 7
        return []

    buffer = np.zeros((120, 160, 3), dtype=np.uint8)
    buffer.setflags(write=False)
    list(FunctionDetector(draw).detect([Picture(0, buffer), Picture(1, buffer)], Video()))
    assert len(kept) == 2 and (kept[0] == 7).all() and (buffer == 0).all()


def test_boxes_are_clipped_sorted_and_what_is_outside_is_left_out() -> None:
    answer = [[10, 10, 30, 50, 0.2], [-5, -5, 20, 500, 0.9], [300, 10, 340, 50, 0.8]]
    boxes = _run(answer)
    assert boxes == pytest.approx(np.array([[0, 0, 20, 120, 0.9], [10, 10, 30, 50, 0.2]]))
    assert len(_run(answer, min_score=0.2)) == 1


@pytest.mark.parametrize("nothing", [[], np.zeros((0, 5)), np.zeros(0), np.zeros((0, 4))])
def test_no_persons(nothing: Any) -> None:
    assert _run(nothing).shape == (0, 5)


def test_detections_of_supervision() -> None:
    xyxy = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=np.float32)
    boxes = _run(Detections(xyxy, np.array([0.5, 0.75])))
    assert boxes.tolist() == [[5, 6, 7, 8, 0.75], [1, 2, 3, 4, 0.5]]
    assert _run(Detections(xyxy, None))[:, 4].tolist() == [1, 1]
    assert _run(Detections(np.zeros((0, 4)), np.zeros(0))).shape == (0, 5)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([[1, 2, 3, 4]], "an array 1x4"), ([1, 2, 3, 4, 0.5], "an array 5"), (3.0, "one number"),
        ([[1, 2, 3, 4, 50.0]], "scores from 50 to 50"), ([[1, 2, 3, float("nan"), 1]], "NaN"),
        ([[9, 2, 3, 4, 0.5]], "a box that ends before it begins"),
    ],
)  # fmt: skip
def test_answers_that_are_no_boxes_are_refused(answer: Any, told: str) -> None:
    with pytest.raises(LpwError, match=rf"{told}.* for frame 0; expected \(N, 5\)"):
        _run(answer)


@pytest.mark.parametrize(
    ("name", "value"), [("weights", "a.pt"), ("threads", 2), ("nms_iou", 0.5), ("boxes", Path("b"))]
)
def test_options_of_networks_are_refused(name: str, value: Any) -> None:
    with pytest.raises(LpwError, match=f"option --{name.replace('_', '-')}: got {value} beside"):
        FunctionDetector(find_green, DetectorOptions(**{name: value}))


def test_it_is_recorded_by_the_name_given_or_its_own() -> None:
    class Model:
        def __call__(self, picture: np.ndarray) -> list[Any]:
            return []

    assert FunctionDetector(find_green).settings["name"] == f"{__name__}.find_green"
    assert FunctionDetector(Model()).settings["name"].endswith("Model")
    named = FunctionDetector(find_green, name="green", version="2")
    assert (named.name, named.settings["version"]) == ("green", "2")


class TestBuilding:
    @pytest.fixture(scope="class")
    @classmethod
    def street(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return make_street(tmp_path_factory.mktemp("street")) / "video"

    @pytest.mark.parametrize("version", [None, "1"])
    def test_a_version_keeps_detections_for_other_builds(
        self, version: str | None, street: Path, tmp_path: Path
    ) -> None:
        calls = []

        def middle(picture: np.ndarray) -> list[list[float]]:
            calls.append(picture.shape)
            height, width = picture.shape[:2]
            return [[width / 4, height / 4, width / 2, height * 3 / 4, 0.9]]

        counts = []
        for number in range(2):
            dataset = lpw_toolkit.build_tracklets(
                street, tmp_path / f"out{number}", detector=middle, detector_name="middle",
                detector_version=version, cache=tmp_path / "cache", preset="paper", min_length=4,
            )  # fmt: skip
            counts.append(len(calls))
            settings = open_dataset(dataset.root).manifest["settings"]["detect"]
            assert settings == {"name": "middle", "version": version or "", "min_score": "none"}
            assert len(dataset) > 0
        assert counts[0] > 0
        assert counts[1] == (counts[0] if version else 2 * counts[0])

    def test_a_name_without_a_function_is_refused(self, street: Path, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="expected a function of your own"):
            lpw_toolkit.build_tracklets(street, tmp_path / "out", detector_name="mine")
