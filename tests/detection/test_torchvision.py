"""Torchvision's detection models: told by their tensors, and their boxes are torchvision's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_weights import WRITERS
from tiny_models import Picture, Video, draw_frames

from lpw_toolkit.detection.detector import DetectorOptions, choose_detector, open_detector
from lpw_toolkit.errors import LpwError

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision").models
NAME = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def model() -> Any:
    """A model of random weights that sees persons, and others, everywhere."""
    torch.manual_seed(0)
    model = models.get_model(NAME, weights=None, weights_backbone=None).eval()
    for layer in model.head.classification_head.module_list:
        bias = layer[1].bias.view(-1, 91)
        bias.data[:, 1], bias.data[:, 2] = 6.0, 5.0
    return model


def _save(model: Any, path: Path) -> DetectorOptions:
    torch.save(model if isinstance(model, dict) else model.state_dict(), path)
    return DetectorOptions(weights=str(path), nms_iou=1.0)


def test_its_boxes_are_those_of_torchvision(model: Any, tmp_path: Path) -> None:
    options = _save(model, tmp_path / "any.pth")
    frames = draw_frames(3)
    assert choose_detector(options) == "torchvision"
    detector = open_detector(None, options)
    assert detector.settings["model"] == NAME
    n_others = 0
    for index, boxes in detector.detect(frames, Video()):
        image = torch.from_numpy(frames[index].image[..., ::-1].copy()).permute(2, 0, 1) / 255
        with torch.inference_mode():
            (own,) = model([image])
        persons = (own["labels"] == 1) & (own["scores"] > 0.25)
        n_others += int((own["labels"] == 2).sum())
        expected = np.concatenate([own["boxes"], own["scores"][:, None]], 1)[persons.numpy()]
        assert len(boxes) > 5
        assert boxes == pytest.approx(
            expected[np.argsort(-expected[:, 4], kind="stable")], abs=1e-3
        )
    assert n_others > 0


def test_weights_of_training_and_of_one_class_are_taken(tmp_path: Path) -> None:
    single = models.get_model(NAME, weights=None, weights_backbone=None, num_classes=2)
    path = tmp_path / "trained.pth"
    detector = open_detector(None, _save({"model": single.state_dict(), "epoch": 3}, path))
    assert detector.settings["model"] == NAME
    assert [len(found) == 2 for found in detector.detect(draw_frames(2), Video())] == [True, True]


def test_a_name_finds_its_official_file(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _save(model, tmp_path / f"{NAME}-a79551df.pth")
    options = DetectorOptions(weights=NAME)
    assert choose_detector(options) == "torchvision"
    assert open_detector(None, options).settings["weights"] == f"{NAME}-a79551df.pth"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (
            "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
            "fasterrcnn_mobilenet_v3_large_320_fpn",
        ),
        ("fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth", "fasterrcnn_mobilenet_v3_large_fpn"),
        ("retinanet_resnet50_fpn_v2_coco-5905b1c5.pth", "retinanet_resnet50_fpn_v2"),
    ],
)
def test_of_models_with_the_same_tensors_the_name_of_the_file_tells(file: str, name: str) -> None:
    from lpw_toolkit.detection.detectors.torchvision import _iter_candidates

    assert next(_iter_candidates(file)) == (name, 91)


class TestRefused:
    def test_weights_of_no_detection_model(self, tmp_path: Path) -> None:
        other = models.get_model("mobilenet_v3_small", weights=None)
        with pytest.raises(
            LpwError, match=r"tensors .* of no model there; expected a model of torch"
        ):
            open_detector(None, _save(other, tmp_path / "other.pth"))

    def test_nan(self, model: Any, tmp_path: Path) -> None:
        state = {key: value.clone() for key, value in model.state_dict().items()}
        state[next(iter(state))].fill_(float("nan"))
        with pytest.raises(LpwError, match="NaN or infinite"):
            open_detector(None, _save(state, tmp_path / "nan.pth"))

    def test_options_that_do_not_fit(self, model: Any, tmp_path: Path) -> None:
        options = _save(model, tmp_path / "model.pth")
        for name, value in (("runtime", "openvino"), ("precision", "bfloat16")):
            with pytest.raises(LpwError, match=f"--{name}: got {value}"):
                open_detector(None, DetectorOptions(**{"weights": options.weights, name: value}))

    @pytest.mark.parametrize("write", WRITERS)
    def test_files_that_would_run_code(self, write: Any, tmp_path: Path) -> None:
        marker = tmp_path / "marker"
        write(tmp_path / "model.pth", marker)
        with pytest.raises(LpwError):
            open_detector(None, DetectorOptions(weights=str(tmp_path / "model.pth")))
        assert not marker.exists()


def test_a_missing_package_names_the_extra(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lpw_toolkit.networks import runtimes

    options = _save(model, tmp_path / "model.pth")
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    with pytest.raises(LpwError, match=r'no package torch; .*pip install "lpw-toolkit\[train\]'):
        open_detector(None, options)


def test_frames_of_another_size_are_seen_as_they_are(model: Any, tmp_path: Path) -> None:
    detector = open_detector(None, _save(model, tmp_path / "model.pth"))
    tall = Picture(0, np.random.default_rng(0).integers(0, 255, (300, 100, 3), np.uint8), 100, 300)
    [(_, boxes)] = detector.detect([tall], Video())
    assert len(boxes) and boxes[:, 3].max() > 200 and boxes[:, 2].max() <= 100
