"""What every detector promises: the tests loop over all files found in the folder of detectors."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_models import (
    Picture,
    Video,
    draw_frames,
    make_detr,
    make_exported_yolo,
    make_nanodet,
    make_ssd,
    make_yolo,
    make_yolox,
)

from lpw_toolkit.boxes import iou, nms
from lpw_toolkit.detection.detector import Detector, DetectorOptions, detector_names, open_detector
from lpw_toolkit.detection.inference import detect_frames
from lpw_toolkit.detection.letterbox import fit_centred, fit_corner
from lpw_toolkit.errors import LpwError

Found = list[tuple[int, NDArray[np.float32]]]


def _make_ultralytics(folder: Path) -> DetectorOptions:
    pytest.importorskip("ultralytics")
    return DetectorOptions(
        weights=str(make_yolo(folder / "yolo-tiny.pt")), image_size=160, min_score=0.4
    )


def _make_onnx(data: bytes) -> Callable[[Path], DetectorOptions]:
    def make(folder: Path) -> DetectorOptions:
        (folder / "tiny.onnx").write_bytes(data)
        return DetectorOptions(weights=str(folder / "tiny.onnx"))

    return make


def _make_torchvision(folder: Path) -> DetectorOptions:
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision").models
    torch.manual_seed(0)
    model = models.get_model("ssdlite320_mobilenet_v3_large", weights=None, weights_backbone=None)
    for layer in model.head.classification_head.module_list:
        layer[1].bias.view(-1, 91).data[:, 1] = 6.0  # persons everywhere
    torch.save(model.state_dict(), folder / "ssdlite.pth")
    return DetectorOptions(weights=str(folder / "ssdlite.pth"))


def _make_boxes(folder: Path) -> DetectorOptions:
    lines = [
        f"{n + 1},-1,{10 + n},{20 - n * 2},40,90,{0.3 + 0.01 * n},-1,-1,-1\n"
        for n in range(40)
        for _ in range(2)
    ]
    (folder / "det.txt").write_text("".join(lines))
    return DetectorOptions(boxes=folder / "det.txt")


def _make_ssd(folder: Path) -> DetectorOptions:
    pytest.importorskip("openvino")
    (folder / "graph.pb").write_bytes(make_ssd())
    return DetectorOptions(weights=str(folder / "graph.pb"))


MAKERS = {
    "ultralytics": _make_ultralytics,
    "onnx": _make_onnx(make_yolox()),
    "nanodet": _make_onnx(make_nanodet()),
    "yolo": _make_onnx(make_exported_yolo()),
    "detr": _make_onnx(make_detr()),
    "boxes": _make_boxes,
    "ssd": _make_ssd,
    "torchvision": _make_torchvision,
}


@pytest.fixture(scope="module", params=detector_names())
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, DetectorOptions]:
    return request.param, MAKERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def detector(opened: tuple[str, DetectorOptions]) -> Detector:
    return open_detector(*opened)


def _run(detector: Detector, frames: list[Picture]) -> Found:
    return list(detector.detect(iter(frames), Video()))


def _as_bytes(found: Found) -> list[tuple[int, bytes]]:
    return [(index, boxes.tobytes()) for index, boxes in found]


def test_every_file_of_the_folder_is_tested() -> None:
    assert set(MAKERS) == set(detector_names())


def test_boxes_are_float_rows_inside_the_frame_best_first(detector: Detector) -> None:
    found = _run(detector, draw_frames(40))
    assert sum(len(boxes) for _, boxes in found) >= 40
    for _, boxes in found:
        assert boxes.dtype == np.float32
        assert boxes.ndim == 2 and boxes.shape[1] == 5
        assert (
            (boxes[:, :4] >= 0).all()
            and (boxes[:, [0, 2]] <= 160).all()
            and (boxes[:, [1, 3]] <= 120).all()
        )
        assert (boxes[:, 2] > boxes[:, 0]).all() and (boxes[:, 3] > boxes[:, 1]).all()
        assert (np.diff(boxes[:, 4]) <= 0).all()


def test_every_frame_once_in_order_without_duplicates(detector: Detector) -> None:
    frames = draw_frames(40)
    for index in (1, 2, 3, 17, 39):
        frames[index].duplicate = True
    assert [index for index, _ in _run(detector, frames)] == [
        f.index for f in frames if not f.duplicate
    ]


def test_no_frames_no_boxes() -> None:
    with pytest.raises(StopIteration):
        next(detect_frames([], lambda w, h: pytest.fail("opened a stage"), 4))


def test_same_bytes_again_and_from_any_batch_on(detector: Detector) -> None:
    frames = draw_frames(40)
    whole = _as_bytes(_run(detector, frames))
    assert _as_bytes(_run(detector, frames)) == whole
    start = 3 * int(detector.settings.get("batch_size", 1))
    assert _as_bytes(_run(detector, frames[start:])) == whole[start:]


def test_same_bytes_from_a_second_opening(
    opened: tuple[str, DetectorOptions], detector: Detector
) -> None:
    frames = draw_frames(40)
    again = open_detector(*opened)
    assert again.settings == detector.settings
    assert _as_bytes(_run(again, frames)) == _as_bytes(_run(detector, frames))


def test_the_picture_may_be_overwritten_by_the_next_one(detector: Detector) -> None:
    frames = draw_frames(40)
    buffer = np.empty((120, 160, 3), dtype=np.uint8)

    def reuse():
        for frame in frames:
            buffer[:] = frame.image
            yield Picture(frame.index, buffer)

    assert _as_bytes(list(detector.detect(reuse(), Video()))) == _as_bytes(_run(detector, frames))


def test_stopping_early_and_starting_again(detector: Detector) -> None:
    frames = draw_frames(40)
    whole = _as_bytes(_run(detector, frames))
    for _ in range(5):
        stopped = detector.detect(iter(frames), Video())
        assert next(iter(stopped))[0] == 0
        stopped.close()
    assert _as_bytes(_run(detector, frames)) == whole


def test_a_change_of_size_in_the_middle(detector: Detector) -> None:
    frames = [*draw_frames(21), *draw_frames(19, 200, 160, first=21)]
    found = _run(detector, frames)
    assert [index for index, _ in found] == list(range(40))
    again = _run(detector, frames)
    assert _as_bytes(found) == _as_bytes(again)


def test_pictures_are_only_read_by_those_who_say_so(detector: Detector) -> None:
    if not detector.needs_images:
        found = _run(detector, [Picture(i, None) for i in range(40)])
        assert len(found) == 40
    else:
        assert {"runtime", "runtime_version", "precision", "threads", "image_size"} <= set(
            detector.settings
        )


def test_settings_are_plain_and_name_no_place(
    opened: tuple[str, DetectorOptions], detector: Detector
) -> None:
    assert detector.name == detector.settings["name"] == opened[0]
    assert all(isinstance(value, str | int | float | bool) for value in detector.settings.values())
    assert not any("/" in str(value) for value in detector.settings.values())
    assert any(
        "sha256" in key and len(str(value)) == 64 for key, value in detector.settings.items()
    )


def test_unknown_detectors_and_numbers_out_of_range() -> None:
    with pytest.raises(
        LpwError, match=r"detector: got magic; expected boxes, .*onnx, .*ultralytics"
    ):
        open_detector("magic", DetectorOptions())
    for bad in (
        {"min_score": 1.0},
        {"nms_iou": 0.0},
        {"image_size": 8},
        {"batch_size": 0},
        {"min_score": -0.1},
    ):
        with pytest.raises(LpwError, match="choose another value"):
            open_detector("boxes", DetectorOptions(**bad))


def test_a_batch_of_several_gives_the_boxes_of_one(
    opened: tuple[str, DetectorOptions], detector: Detector
) -> None:
    frames = draw_frames(11)
    frames[5].duplicate = True
    single = _run(detector, frames) if detector.needs_images else []
    options = replace(opened[1], batch_size=4)
    if opened[0] in ("ultralytics", "ssd", "torchvision"):
        batched = _run(open_detector(opened[0], options), frames)
        assert [index for index, _ in batched] == [index for index, _ in single]
        assert (
            _as_bytes(_run(open_detector(opened[0], options), frames[8:])) == _as_bytes(batched)[7:]
        )
    elif detector.needs_images:
        assert open_detector(opened[0], options).settings["batch_size"] == 1  # the model's own
    else:
        with pytest.raises(LpwError, match="option --batch-size: got 4 beside --boxes"):
            open_detector(opened[0], options)


def test_suppression_keeps_the_best_and_stays_small() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 300, (400, 2))
    boxes = np.hstack([corners, corners + rng.uniform(20, 80, (400, 2))])
    scores = rng.choice([0.3, 0.5, 0.7], 400)
    kept = nms(boxes, scores, 0.5)
    overlap = iou(boxes, boxes)
    order = list(np.argsort(-scores, kind="stable"))
    assert kept.tolist() == [i for i in order if i in set(kept)]
    assert (overlap[np.ix_(kept, kept)] - np.eye(len(kept)) <= 0.5).all()
    for dropped in set(order) - set(kept.tolist()):
        better = [k for k in kept if order.index(k) < order.index(dropped)]
        assert (overlap[dropped, better] > 0.5).any()
    many = np.tile(boxes, (50, 1))
    tracemalloc.start()
    assert len(nms(many, np.tile(scores, 50), 0.5)) == len(kept)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32e6


def test_letterbox_there_and_back() -> None:
    for width, height in ((768, 576), (640, 480), (1920, 1080), (101, 999), (33, 7)):
        for box in (fit_centred(width, height, 640, 32), fit_corner(width, height, 416, 416)):
            out = np.full((box.height, box.width, 3), 7, dtype=np.uint8)
            box.draw(np.zeros((height, width, 3), dtype=np.uint8), out)
            assert set(np.unique(out)) <= {0, 114}
            assert (out == 0).all(axis=2).sum() == box.scaled_width * box.scaled_height
            corners = np.array(
                [[box.left, box.top, box.left + box.scaled_width, box.top + box.scaled_height]]
            )
            assert box.restore(corners.astype(np.float32)) == pytest.approx(
                np.array([[0, 0, width, height]])
            )
    assert (fit_centred(1920, 1080, 640, 32).width, fit_centred(1920, 1080, 640, 32).height) == (
        640,
        384,
    )
