"""Odd values of options are refused in one line that names the option as it was typed."""

import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lpw_cli.main import main

from lpw_toolkit.build.assembly import BuildSettings
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.dataset.mot_text import read_detections
from lpw_toolkit.detection.detector import (
    DetectorOptions,
    check_options,
    choose_detector,
    open_detector,
)
from lpw_toolkit.errors import LpwError, check_range
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.synth.street import NoiseConfig, StreetConfig
from lpw_toolkit.truth.cleanup_cost import CleanupCosts

CONFIGS = [LinkConfig, CropConfig, CleanupCosts, StreetConfig, NoiseConfig]
NAMES = {"size_px": "size", "min_score": "conf"}
BAD: list[tuple[type, str, Any]] = [
    (CropConfig, "min_height_px", -1), (CropConfig, "min_width_px", math.inf),
    (CropConfig, "max_aspect", math.inf),
    (CropConfig, "max_aspect", math.nan), (CropConfig, "max_aspect", 0),
    (CropConfig, "min_aspect", 0),
    (CropConfig, "min_aspect", 6.0), (CropConfig, "min_inside_frac", 1.5),
    (CropConfig, "jpeg_quality", 0),
    (CropConfig, "smooth_frames", math.nan), (CropConfig, "size_px", (0, 128)),
    (CropConfig, "size_px", (1, 5000)),
    (LinkConfig, "iou", 0), (LinkConfig, "iou", math.nan), (LinkConfig, "max_gap", 0),
    (LinkConfig, "max_gap", 2.5),
    (LinkConfig, "gap_rival_ratio", math.inf), (LinkConfig, "min_length", -1),
    (BuildSettings, "segment_frames", 0),
    (CleanupCosts, "accept_s", -1), (CleanupCosts, "min_majority_frac", 5),
    (CleanupCosts, "min_mixed_frames", 0),
    (CleanupCosts, "min_frames", 2.5), (CleanupCosts, "merge_s", math.nan),
]  # fmt: skip
BAD_DETECTOR: list[tuple[str, Any]] = [
    ("threads", -1), ("threads", 0), ("threads", 10**9), ("batch_size", math.inf),
    ("batch_size", 0),
    ("image_size", 16), ("nms_iou", 0), ("nms_iou", math.nan), ("min_score", 1.0),
    ("min_score", math.nan),
]  # fmt: skip


@pytest.mark.parametrize(("config", "field", "value"), BAD, ids=str)
def test_a_config_names_the_option(config: type, field: str, value: Any) -> None:
    with pytest.raises(LpwError) as caught:
        config(**{field: value})
    assert caught.value.thing == f"option --{NAMES.get(field, field).replace('_', '-')}"


@pytest.mark.parametrize("with_boxes", [False, True])
@pytest.mark.parametrize(("field", "value"), BAD_DETECTOR, ids=str)
def test_detector_options_name_theirs(field: str, value: Any, with_boxes: bool) -> None:
    options = DetectorOptions(boxes=Path("boxes.txt") if with_boxes else None, **{field: value})
    with pytest.raises(LpwError) as caught:
        check_options(options)
    assert caught.value.thing == f"option --{NAMES.get(field, field).replace('_', '-')}"


@pytest.mark.parametrize("config", CONFIGS)
def test_no_number_of_any_config_may_be_nan_infinite_or_far_below_zero(config: type) -> None:
    plain, numbers = config(), 0
    for name, value in vars(plain).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            numbers += 1
            for odd in (math.nan, math.inf, -math.inf, -1e6):
                with pytest.raises(LpwError, match=name.replace("_", "[_-]")):
                    config(**{name: odd})
    assert numbers >= 5


@pytest.mark.parametrize("fps", [0, -25, 1e9, 1e-9, math.nan, math.inf])
def test_frame_rates_that_no_camera_has(tmp_path: Path, fps: float) -> None:
    (tmp_path / "det.txt").write_text("1,-1,10,10,20,40,1\n")
    done = CliRunner().invoke(
        main,
        ["link", str(tmp_path / "det.txt"), "--out", str(tmp_path / "t.txt"), "--fps", str(fps)],
    )
    assert (
        str(done.exception).startswith("option --fps: got ") and not (tmp_path / "t.txt").exists()
    )
    assert read_detections(tmp_path / "det.txt", fps=29.97)["pts_s"].to_pylist() == [0.0]


def test_the_limits_themselves() -> None:
    check_range("option --x", 0, 0, 1)
    check_range("option --x", 1.0, 0, 1, whole=True)
    for odd in (True, "1", None, 0):
        with pytest.raises(LpwError, match="a number above 0 to below 1"):
            check_range("option --x", odd, 0, 1, above=True, below=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("weights", "yolo.pt"), ("threads", 2), ("runtime", "torch")],
)
def test_options_of_a_network_beside_saved_boxes_are_refused(
    tmp_path: Path, field: str, value: Any
) -> None:
    (tmp_path / "det.txt").write_text("1,-1,10,10,20,40,1\n")
    with pytest.raises(
        LpwError, match=rf"option --{field}: got {value} beside --boxes, where no network runs"
    ):
        open_detector("boxes", DetectorOptions(boxes=tmp_path / "det.txt", **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"), [("boxes", Path("det.txt")), ("box_scores", "percent")]
)
def test_saved_boxes_beside_a_network_are_refused(
    monkeypatch: pytest.MonkeyPatch, field: str, value: Any
) -> None:
    class Network:
        needs_images = True

    monkeypatch.setattr(
        "lpw_toolkit.detection.detectors.onnx.open_detector", lambda options: Network()
    )
    with pytest.raises(LpwError, match="beside detector onnx, which reads the images"):
        open_detector("onnx", DetectorOptions(**{field: value}))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "ultralytics"), ({"weights": "yolov8n.pt"}, "ultralytics"),
        ({"weights": "models/yolox.onnx"}, "onnx"), ({"weights": "YOLOX.ONNX"}, "onnx"),
        ({"weights": "other.bin"}, "ultralytics"), ({"boxes": Path("det.txt")}, "boxes"),
    ],
)  # fmt: skip
def test_options_choose_the_detector(options: dict[str, Any], name: str) -> None:
    assert choose_detector(DetectorOptions(**options)) == name


@pytest.mark.parametrize("suffix", ["onnx", "pt"])
def test_a_build_without_a_detector_takes_the_one_of_the_weights(
    tmp_path: Path, suffix: str
) -> None:
    """The weights are missing: the message comes from the detector that was chosen."""
    weights = tmp_path / f"none.{suffix}"
    messages = []
    for name in (None, {"onnx": "onnx", "pt": "ultralytics"}[suffix]):
        with pytest.raises(LpwError) as caught:
            open_detector(name, DetectorOptions(weights=str(weights)))
        messages.append(str(caught.value))
    assert messages[0] == messages[1] and weights.name in messages[0]
