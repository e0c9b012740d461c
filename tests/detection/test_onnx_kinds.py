"""NanoDet, exported YOLO and DETR models: a colour becomes its box, and what a file is, is told by
its inputs and outputs."""

from pathlib import Path

import numpy as np
import pytest
from scoring import score_video
from tiny_models import (
    Picture,
    Video,
    make_detr,
    make_exported_yolo,
    make_nanodet,
    make_yolox,
    model,
    node,
    port,
)

from lpw_toolkit.detection.detector import (
    DETECTORS,
    DetectorOptions,
    choose_detector,
    open_detector,
)
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.onnx_ports import read_ports
from lpw_toolkit.networks.weights import WeightsFile

RUNTIMES = ["onnxruntime", "openvino"]
KINDS = {
    "onnx": make_yolox(),
    "nanodet": make_nanodet(),
    "yolo": make_exported_yolo(),
    "yolo, end to end": make_exported_yolo(end2end=True),
    "yolo, one class": make_exported_yolo(properties={}, n_classes=1, person=0),
    "detr": make_detr(),
    "detr, softmax": make_detr(92, ("pred_boxes", "logits")),
    "detr, one class": make_detr(1, ("pred_boxes", "pred_logits")),
}


def _write(path: Path, data: bytes, runtime: str = "auto") -> DetectorOptions:
    path.write_bytes(data)
    return DetectorOptions(weights=str(path), precision="float32", runtime=runtime, min_score=0.5)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_of_colour_becomes_its_box(kind: str, runtime: str, tmp_path: Path) -> None:
    """A square frame fills the input however a kind places it: 16 pixels are one cell of 8."""
    image = np.full((128, 128, 3), 100, dtype=np.uint8)
    image[32:48, 96:112] = (0, 255, 0)
    detector = open_detector(None, _write(tmp_path / "model.onnx", KINDS[kind], runtime))
    assert detector.name == kind.partition(",")[0]
    [(_, boxes)] = detector.detect([Picture(0, image, 128, 128)], Video())
    assert boxes == pytest.approx(np.array([[96, 32, 112, 48, 1.0]]), abs=0.02)


@pytest.mark.parametrize(
    ("kind", "box"),
    [
        # 128 x 64 lies at the top, in the middle, or over the whole of 64 x 64.
        ("onnx", [96, 32, 112, 48]),
        ("nanodet", [96, 32, 112, 48]),
        ("yolo", [96, 32, 112, 48]),
        ("detr", [96, 32, 112, 40]),
    ],
)
def test_a_frame_lies_in_the_input_as_its_kind_has_it(
    kind: str, box: list[int], tmp_path: Path
) -> None:
    image = np.full((64, 128, 3), 100, dtype=np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = (0, 255, 0)
    detector = open_detector(None, _write(tmp_path / "model.onnx", KINDS[kind]))
    [(_, boxes)] = detector.detect([Picture(0, image, 128, 64)], Video())
    assert boxes[:, :4] == pytest.approx(np.array([box]), abs=0.02)


@pytest.mark.parametrize("kind", ["yolo", "yolo, end to end", "detr"])
def test_pixels_come_as_rgb(kind: str, tmp_path: Path) -> None:
    """Green with red is grey to these models, green with blue is not."""
    detector = open_detector(None, _write(tmp_path / "model.onnx", KINDS[kind]))
    counts = []
    for colour in ((0, 255, 255), (255, 255, 0)):  # BGR
        image = np.full((128, 128, 3), colour, dtype=np.uint8)
        [(_, boxes)] = detector.detect([Picture(0, image, 128, 128)], Video())
        counts.append(len(boxes))
    assert counts[0] == 0 and counts[1] > 0


def test_a_model_of_several_kinds_is_none() -> None:
    """Each model is accepted by one plug-in, so that their order plays no part."""
    readers = [name for name in DETECTORS.names() if hasattr(DETECTORS.load(name), "accepts")]
    assert len(readers) >= 4
    for kind, data in KINDS.items():
        ports = read_ports(WeightsFile(Path("model.onnx"), data))
        accepting = [name for name in readers if DETECTORS.load(name).accepts(ports)]
        assert accepting == [kind.partition(",")[0]]


def test_the_name_of_a_file_plays_no_part(tmp_path: Path) -> None:
    assert choose_detector(_write(tmp_path / "yolox_s.onnx", make_detr())) == "detr"
    assert choose_detector(_write(tmp_path / "rfdetr.onnx", make_nanodet())) == "nanodet"


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ("yolox_tiny.onnx", "onnx"), ("yolox_tiny", "onnx"), ("yolov8n.onnx", "yolo"),
        ("nanodet_m_416.onnx", "nanodet"), ("rf-detr-nano.onnx", "detr"),
        ("yolov8n", "ultralytics"), ("yolo11n.pt", "ultralytics"), ("no-such-name", "ultralytics"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_there_goes_to_the_detector_of_its_name(
    weights: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LPW_CACHE", str(tmp_path / "cache"))
    assert choose_detector(DetectorOptions(weights=weights)) == name


class TestRefused:
    def test_a_model_of_no_kind_with_its_ports_and_all_kinds(self, tmp_path: Path) -> None:
        data = model(
            [node("Identity", ["x"], "y")], [], port("x", [1, 3, 8, 8]), port("y", ["n", 8])
        )
        with pytest.raises(LpwError) as caught:
            open_detector(None, _write(tmp_path / "other.onnx", data))
        assert "got inputs x 1x3x8x8; outputs y ?x8; expected" in str(caught.value)
        for name in ("onnx", "nanodet", "yolo", "detr"):
            assert f"({name})" in str(caught.value)

    def test_a_file_of_no_suffix_that_a_detector_reads(self, tmp_path: Path) -> None:
        (tmp_path / "model.tflite").write_bytes(b"TFL3")
        with pytest.raises(LpwError, match=r"got a \.tflite file; expected .*\(ssd\).*--boxes"):
            open_detector(None, DetectorOptions(weights=str(tmp_path / "model.tflite")))

    @pytest.mark.parametrize("name", ["onnx", "nanodet", "yolo", "detr"])
    def test_a_model_of_another_kind_than_the_detector_asked_for(
        self, name: str, tmp_path: Path
    ) -> None:
        other = make_nanodet() if name == "detr" else make_detr()
        with pytest.raises(
            LpwError, match=r"got inputs images 1x3x64x64; outputs .*; expected input"
        ):
            open_detector(name, _write(tmp_path / "model.onnx", other))

    @pytest.mark.parametrize(
        "data",
        [
            make_exported_yolo(properties={"task": "segment", "names": "{0: 'person'}"}),
            make_exported_yolo(properties={"task": "detect", "names": "{0: 'car', 1: 'dog'}"}),
            make_detr(80, ("pred_boxes", "logits")),
        ],
        ids=["another task", "no persons", "unknown classes"],
    )
    def test_a_model_whose_persons_are_not_known(self, data: bytes, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="got inputs images 1x3x64x64; outputs"):
            open_detector(None, _write(tmp_path / "model.onnx", data))

    def test_answers_unlike_what_the_file_declares(self, tmp_path: Path) -> None:
        names = ("pred_boxes", "logits")
        hidden = make_detr(80, names).replace(
            port(names[1], [1, 84, 80]), port(names[1], [1, 84, 91])
        )
        with pytest.raises(LpwError):
            detector = open_detector(None, _write(tmp_path / "model.onnx", hidden, "openvino"))
            list(detector.detect([Picture(0, np.zeros((64, 64, 3), np.uint8), 64, 64)], Video()))


def test_other_classes_are_left_out(tmp_path: Path) -> None:
    image = np.full((128, 128, 3), (0, 255, 0), dtype=np.uint8)
    for data in (make_exported_yolo(person=0), make_exported_yolo(person=0, end2end=True)):
        detector = open_detector(None, _write(tmp_path / "model.onnx", data))
        [(_, boxes)] = detector.detect([Picture(0, image, 128, 128)], Video())
        assert boxes.shape == (0, 5)


@pytest.mark.realdata
def test_nanodet_finds_the_people_of_a_real_street(shared_data: Path) -> None:
    weights = shared_data / "weights/nanodet_m_416.onnx"
    detector = open_detector(None, DetectorOptions(weights=str(weights)))
    assert detector.name == "nanodet"
    assert score_video(detector, shared_data, "PETS09-S2L1", step=40).f1 > 0.85


@pytest.mark.realdata
def test_an_exported_yolo_finds_what_its_checkpoint_finds(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    plugin = DETECTORS.load("ultralytics")
    weights = shared_data / "weights/yolov8n_coco_dequantized.pt"
    own = open_detector(None, DetectorOptions(weights=str(weights), precision="float32"))
    plugin.import_safely()
    from ultralytics import YOLO

    (tmp_path / "yolov8n.pt").write_bytes(weights.read_bytes())
    exported = YOLO(str(tmp_path / "yolov8n.pt")).export(
        format="onnx", simplify=False, dynamic=True
    )
    detector = open_detector(None, DetectorOptions(weights=exported, precision="float32"))
    assert detector.name == "yolo"
    scores = [score_video(d, shared_data, "PETS09-S2L1", step=80) for d in (own, detector)]
    assert scores[0] == scores[1] and scores[0].f1 > 0.85
