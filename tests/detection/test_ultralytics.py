"""YOLO weights: what is accepted, that nothing foreign runs, and that the boxes are ultralytics'
own."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hostile_weights import WRITERS, Marker, _write_pickle, _write_zip
from tiny_models import Picture, Video, draw_frames, make_yolo

from lpw_toolkit.detection.detector import DetectorOptions, open_detector
from lpw_toolkit.errors import LpwError

pytest.importorskip("ultralytics")
REPOSITORY = Path(__file__).resolve().parents[2]
WEIGHTS = "weights/yolov8n_coco_dequantized.pt"


@pytest.mark.parametrize("write", WRITERS, ids=lambda w: w.__name__[7:])
def test_a_strangers_code_never_runs(write: Callable[[Path, Path], None], tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    write(tmp_path / "yolo.pt", marker)
    with pytest.raises(LpwError) as caught:
        open_detector("ultralytics", DetectorOptions(weights=str(tmp_path / "yolo.pt")))
    assert "\n" not in str(caught.value) and "choose the weights of a YOLO detector" in str(
        caught.value
    )
    assert "Ultralytics" not in str(caught.value) and "ERROR" not in str(
        caught.value
    )  # our words, not a library's
    assert not marker.exists()


def test_weights_that_cannot_be_loaded_are_told_in_our_words(tmp_path: Path) -> None:
    import torch

    foreign, damaged, empty = tmp_path / "yolo_a.pt", tmp_path / "yolo_b.pt", tmp_path / "yolo_c.pt"
    torch.save({"model": Marker(tmp_path / "marker")}, foreign)
    torch.save({"model": None, "ema": None}, empty)
    with (
        zipfile.ZipFile(make_yolo(tmp_path / "yolo.pt")) as good,
        zipfile.ZipFile(damaged, "w") as bad,
    ):
        for name in good.namelist():
            if "/data/" not in name:
                bad.writestr(name, good.read(name))
    for path, told in (
        (foreign, "a file that safe loading refuses: it holds more than a network, or is damaged"),
        (damaged, "a damaged file"),
        (empty, "a file without a network of ultralytics' make"),
    ):
        with pytest.raises(LpwError) as caught:
            open_detector("ultralytics", DetectorOptions(weights=str(path)))
        assert (
            str(caught.value)
            == f"{path}: got {told}; expected YOLO weights; choose the weights of a YOLO detector"
        )


def test_the_markers_would_bite_without_safe_loading(tmp_path: Path) -> None:
    import torch

    _write_zip(tmp_path / "a.pt", tmp_path / "marker")
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".onnx", ""])
def test_other_suffixes_are_refused_before_anything_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"yolo{suffix}"
    _write_pickle(path, tmp_path / "marker")
    with pytest.raises(LpwError, match=r"expected \.pt; choose the detector that reads it"):
        open_detector("ultralytics", DetectorOptions(weights=str(path)))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("head", ["Classify", "OBB"])
def test_weights_that_are_not_a_detector(head: str, tmp_path: Path) -> None:
    path = make_yolo(tmp_path / "yolo.pt", head=head)
    with pytest.raises(LpwError, match=f"weights that are not a detector \\({head} head\\)"):
        open_detector("ultralytics", DetectorOptions(weights=str(path)))


def test_weights_without_a_person(tmp_path: Path) -> None:
    path = make_yolo(tmp_path / "yolo.pt", names=("cat", "dog"))
    with pytest.raises(
        LpwError, match=r"classes cat, dog…; expected a class named person, or one class only"
    ):
        open_detector("ultralytics", DetectorOptions(weights=str(path)))


def test_weights_with_nan(tmp_path: Path) -> None:
    import torch

    path = make_yolo(tmp_path / "yolo.pt")
    checkpoint = torch.load(path, weights_only=False)
    next(checkpoint["model"].parameters()).data[0] = float("nan")
    torch.save(checkpoint, path)
    with pytest.raises(LpwError, match="NaN or infinite values"):
        open_detector("ultralytics", DetectorOptions(weights=str(path)))


@pytest.mark.parametrize(("head", "names"), [("Detect", ("head",)), ("Segment", ("car", "person"))])
def test_one_class_and_segmentation_models_give_boxes(
    head: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    path = make_yolo(tmp_path / "yolo.pt", head=head, names=names)
    options = DetectorOptions(weights=str(path), image_size=160, runtime="torch")
    found = list(open_detector("ultralytics", options).detect(draw_frames(2), Video()))
    assert [index for index, _ in found] == [0, 1]
    assert all(len(boxes) for _, boxes in found)


def _tell_difference(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Largest difference of a side in pixels and of a score; both ordered by score, then by
    place."""
    assert found.shape == expected.shape
    order = [
        np.lexsort((b[:, 1].round(), b[:, 0].round(), -b[:, 4].round(4))) for b in (found, expected)
    ]
    gap = np.abs(found[order[0]] - expected[order[1]])
    return float(gap[:, :4].max(initial=0)), float(gap[:, 4].max(initial=0))


def _predict(
    path: Path, frames: list[Picture], *, person: int, image_size: int
) -> list[np.ndarray]:
    from ultralytics import YOLO

    model = YOLO(str(path))
    found = []
    for frame in frames:
        chosen = {
            "classes": [person],
            "conf": 0.25,
            "iou": 0.7,
            "imgsz": image_size,
            "verbose": False,
        }
        boxes = model.predict(frame.image, save=False, **chosen)[0].boxes
        found.append(np.concatenate([boxes.xyxy.numpy(), boxes.conf.numpy()[:, None]], axis=1))
    return found


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
@pytest.mark.parametrize("end2end", [False, True])
def test_equal_to_the_predictor(
    runtime: str, end2end: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = make_yolo(tmp_path / "yolo.pt", end2end=end2end)
    frames = draw_frames(3, 200, 130)
    options = DetectorOptions(
        weights=str(path), image_size=160, runtime=runtime, precision="float32"
    )
    found = list(open_detector("ultralytics", options).detect(frames, Video()))
    for (_, boxes), expected in zip(
        found, _predict(path, frames, person=1, image_size=160), strict=True
    ):
        assert len(boxes) > 3
        side_px, score = _tell_difference(boxes, expected)
        assert side_px < 0.5 and score < 1e-3


def _read_street(shared_data: Path, n_frames: int) -> list[Picture]:
    video = cv2.VideoCapture(str(shared_data / "video/tud-stadtmitte/TUD-Stadtmitte.mp4"))
    images = [video.read()[1] for _ in range(n_frames)]
    return [Picture(i, image, image.shape[1], image.shape[0]) for i, image in enumerate(images)]


@pytest.mark.realdata
@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_equal_to_the_predictor_on_real_video(runtime: str, shared_data: Path) -> None:
    frames = _read_street(shared_data, 12)
    options = DetectorOptions(
        weights=str(shared_data / WEIGHTS), runtime=runtime, precision="float32"
    )
    found = list(open_detector("ultralytics", options).detect(frames, Video()))
    predicted = _predict(shared_data / WEIGHTS, frames, person=0, image_size=640)
    for (_, boxes), expected in zip(found, predicted, strict=True):
        side_px, score = _tell_difference(boxes, expected)
        assert side_px < 0.5 and score < 1e-3


@pytest.mark.realdata
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_bytes_on_real_video_whatever_the_threads_and_the_start(
    precision: str, shared_data: Path
) -> None:
    frames, runs = _read_street(shared_data, 8), []
    for threads, first in ((1, 0), (2, 0), (2, 3)):
        chosen = {"runtime": "openvino", "precision": precision, "threads": threads}
        detector = open_detector(
            "ultralytics", DetectorOptions(weights=str(shared_data / WEIGHTS), **chosen)
        )
        runs.append([boxes.tobytes() for _, boxes in detector.detect(frames[first:], Video())])
    assert runs[0] == runs[1]
    assert runs[2] == runs[0][3:]


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    path = str(make_yolo(tmp_path / "yolo.pt"))
    with pytest.raises(
        LpwError, match=r"--runtime: got onnxruntime; expected auto \| torch \| openvino"
    ):
        open_detector("ultralytics", DetectorOptions(weights=path, runtime="onnxruntime"))
    with pytest.raises(LpwError, match=r"--precision: got int8; expected auto, float32, bfloat16"):
        open_detector("ultralytics", DetectorOptions(weights=path, precision="int8"))
    with pytest.raises(
        LpwError, match=r"option --threads: got 0; expected a whole number from 1 to 1024"
    ):
        open_detector("ultralytics", DetectorOptions(weights=path, threads=0))


def test_the_image_size_is_rounded_up_to_the_stride_and_choices_are_told(tmp_path: Path) -> None:
    path = make_yolo(tmp_path / "yolo.pt")
    detector = open_detector(
        "ultralytics", DetectorOptions(weights=str(path), image_size=150, runtime="torch")
    )
    assert detector.settings["image_size"] == 160
    assert any(str(path) in note for note in detector.notes)
    assert any(
        f"precision {detector.settings['precision']} (the processor has" in note
        for note in detector.notes
    )
    assert detector.startup_s > 0


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_number_of_threads_moves_no_bit(runtime: str, precision: str, tmp_path: Path) -> None:
    path, found = make_yolo(tmp_path / "yolo.pt"), []
    for threads in (1, 3):
        chosen = {"runtime": runtime, "precision": precision, "threads": threads, "min_score": 0.1}
        detector = open_detector(
            "ultralytics", DetectorOptions(weights=str(path), image_size=160, **chosen)
        )
        assert detector.settings["threads"] == threads
        found.append(
            [(index, boxes.tobytes()) for index, boxes in detector.detect(draw_frames(12), Video())]
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("has", [True, False])
@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_auto_follows_the_processor(
    has: bool, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lpw_toolkit.networks import runtimes

    monkeypatch.setattr(runtimes, "_has_bfloat16", lambda name: has and name == runtime)
    assert runtimes.choose_precision("auto", runtime)[0] == ("bfloat16" if has else "float32")
    assert runtimes.choose_precision("float32", runtime) == ("float32", "asked for")


def test_missing_package_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_yolo(tmp_path / "yolo.pt")
    monkeypatch.setitem(sys.modules, "ultralytics.nn", None)
    with pytest.raises(LpwError, match=r'pip install "lpw-toolkit\[ultralytics\]"'):
        open_detector("ultralytics", DetectorOptions(weights=str(path)))


AUDITED = """
import os, sys
events = []
def listen(event, args):
    started = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
    if event.startswith("socket.") or event in started:
        events.append((event, str(args)))
sys.addaudithook(listen)
from tiny_models import Video, draw_frames
from lpw_toolkit.detection.detector import DetectorOptions, open_detector
options = DetectorOptions(weights=sys.argv[1], image_size=160, runtime=sys.argv[2])
list(open_detector("ultralytics", options).detect(draw_frames(2), Video()))
from ultralytics.utils import SETTINGS, SAFE_LOAD, AUTOINSTALL, ONLINE
assert SAFE_LOAD and not AUTOINSTALL and not ONLINE and SETTINGS["sync"] is False
assert "OMP_NUM_THREADS" not in os.environ
for event in events:
    print(*event)
"""


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_no_socket_opens_and_no_pip_starts(runtime: str, tmp_path: Path) -> None:
    path = make_yolo(tmp_path / "yolo.pt")
    removed = ("YOLO_", "ULTRALYTICS_", "OMP_", "PYTEST_", "CI")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(removed)}
    environment |= {
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests' / 'fixtures'}",
        "HOME": str(tmp_path),
    }
    environment["LPW_CACHE"] = str(tmp_path / "cache")
    command = [sys.executable, "-c", AUDITED, str(path), runtime]
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "socket" not in ended.stdout
    assert "pip" not in ended.stdout
    assert not (tmp_path / ".config").exists()  # ultralytics' settings lie in our cache
