"""YOLOX-style ONNX: decoding, both runtimes, and models that are something else."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_models import Picture, Video, draw_frames, field, make_yolox, model, node, port, tensor

from lpw_toolkit.boxes import iou
from lpw_toolkit.detection.cells import lay_grid
from lpw_toolkit.detection.detector import DetectorOptions, open_detector
from lpw_toolkit.detection.detectors.onnx import decode_cells
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.onnx_file import refuse_external_data

REPOSITORY = Path(__file__).resolve().parents[2]
RUNTIMES = ["onnxruntime", "openvino"]


def _write(path: Path, data: bytes) -> DetectorOptions:
    path.write_bytes(data)
    return DetectorOptions(weights=str(path), precision="float32")


def _green_square(left: int, top: int, side: int, width: int = 128, height: int = 96) -> Picture:
    image = np.full((height, width, 3), 100, dtype=np.uint8)
    image[top : top + side, left : left + side] = (0, 255, 0)
    return Picture(0, image, width, height)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cell_of_colour_becomes_its_box(runtime: str, tmp_path: Path) -> None:
    # 128 x 96 scales by a half into the 64 x 64 input: 16 pixels of the frame are one cell of
    # stride 8.
    options = _write(tmp_path / "yolox.onnx", make_yolox())
    chosen = DetectorOptions(
        weights=options.weights, precision="float32", runtime=runtime, min_score=0.5
    )
    detector = open_detector("onnx", chosen)
    [(index, boxes)] = detector.detect([_green_square(48, 32, 16)], Video())
    assert index == 0
    assert boxes == pytest.approx(np.array([[48, 32, 64, 48, 1.0]]), abs=1e-3)


def test_both_runtimes_agree(tmp_path: Path) -> None:
    options = _write(tmp_path / "yolox.onnx", make_yolox(fixed=False))
    found = []
    for runtime in RUNTIMES:
        chosen = DetectorOptions(
            weights=options.weights, precision="float32", runtime=runtime, image_size=128
        )
        detector = open_detector("onnx", chosen)
        found.append(
            np.concatenate([boxes for _, boxes in detector.detect(draw_frames(8), Video())])
        )
    assert len(found[0]) > 8
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_decoding_follows_the_formula() -> None:
    grid = lay_grid(64, 32)
    assert len(grid) == 8 * 4 + 4 * 2 + 2 * 1
    assert grid[9].tolist() == [1, 1, 8] and grid[-1].tolist() == [1, 0, 32]
    answer = np.zeros((len(grid), 7), dtype=np.float32)
    answer[9] = [0.25, 0.75, np.log(2), np.log(3), 0.5, 0.8, 0.1]
    answer[-1] = [0, 0, 0, 0, 0.9, 0.3, 0.4]  # another class is likelier
    boxes, scores = decode_cells(answer, grid)
    assert boxes[9] == pytest.approx([10 - 8, 14 - 12, 10 + 8, 14 + 12])
    assert scores[9] == pytest.approx(0.4) and scores[-1] == 0


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_models_that_are_not_yolox(runtime: str, tmp_path: Path) -> None:
    identity = [node("Identity", ["images"], "output")]
    wrong = {
        "embedding": model(
            identity, [], port("images", [1, 3, 64, 32]), port("output", [1, 3, 64, 32])
        ),
        "few": make_yolox(n_outputs=4),
    }
    for name, data in wrong.items():
        _write(tmp_path / f"{name}.onnx", data)
        with pytest.raises(
            LpwError,
            match=r"got inputs images 1x3x64x\d\d; outputs output 1x.*; expected input Nx3xHxW",
        ):
            open_detector(
                "onnx", DetectorOptions(weights=str(tmp_path / f"{name}.onnx"), runtime=runtime)
            )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_nan_weights(runtime: str, tmp_path: Path) -> None:
    _write(tmp_path / "yolox.onnx", make_yolox(nan=True))
    detector = open_detector(
        "onnx", DetectorOptions(weights=str(tmp_path / "yolox.onnx"), runtime=runtime)
    )
    with pytest.raises(LpwError, match="NaN or infinite answers"):
        list(detector.detect(draw_frames(1), Video()))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_damaged_files(runtime: str, tmp_path: Path) -> None:
    good = make_yolox()
    noise = np.random.default_rng(0).bytes(500)
    for name, data in {
        "cut": good[:-40],
        "noise": noise,
        "text": b"hello, this is no model",
        "half": good[:90],
    }.items():
        _write(tmp_path / f"{name}.onnx", data)
        with pytest.raises(LpwError) as caught:
            open_detector(
                "onnx", DetectorOptions(weights=str(tmp_path / f"{name}.onnx"), runtime=runtime)
            )
        assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)


def test_weights_in_another_file_are_refused_wherever_they_hide(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.ones(18, dtype=np.float32).tobytes())
    entry = field(1, "location") + field(2, "../secret.bin")
    outside = (
        field(1, 3) + field(1, 6) + field(2, 1) + field(8, "mix") + field(13, entry) + field(14, 1)
    )
    constant = node("Constant", [], "mix", field(1, "value") + field(5, outside) + field(20, 4))
    ports = port("images", [1, 3, 64, 64]), port("output", [1, 3, 64, 6])
    inner = field(1, constant) + field(2, "inner")
    branch = node(
        "If", ["images"], "output", field(1, "then_branch") + field(6, inner) + field(20, 5)
    )
    (tmp_path / "models").mkdir()
    for number, (nodes, weights) in enumerate([([], [outside]), ([constant], []), ([branch], [])]):
        path = tmp_path / "models" / f"yolox{number}.onnx"
        path.write_bytes(model(nodes, weights, *ports))
        with pytest.raises(LpwError, match=r"weights in another file \(external data\)"):
            open_detector("onnx", DetectorOptions(weights=str(path)))
    inside = tmp_path / "inside.onnx"
    inside.write_bytes(model([], [tensor("mix", np.ones((3, 6), dtype=np.float32))], *ports))
    refuse_external_data(inside)


def test_a_deeply_nested_file_ends_with_an_error(tmp_path: Path) -> None:
    data = b""
    for _ in range(3000):
        data = field(1, field(5, field(6, data)))  # node, attribute, graph
    (tmp_path / "deep.onnx").write_bytes(field(7, data))
    with pytest.raises(LpwError, match="no ONNX model, or a damaged one"):
        refuse_external_data(tmp_path / "deep.onnx")


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    path = str(tmp_path / "yolox.onnx")
    _write(tmp_path / "yolox.onnx", make_yolox())
    with pytest.raises(
        LpwError, match=r"--runtime: got torch; expected auto \| onnxruntime \| openvino"
    ):
        open_detector("onnx", DetectorOptions(weights=path, runtime="torch"))
    with pytest.raises(LpwError, match="add --runtime openvino"):
        open_detector(
            "onnx", DetectorOptions(weights=path, runtime="onnxruntime", precision="bfloat16")
        )


@pytest.mark.parametrize("package", ["onnxruntime", "openvino"])
def test_missing_packages(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lpw_toolkit.networks import runtimes

    _write(tmp_path / "yolox.onnx", make_yolox())
    found = runtimes.find_spec
    monkeypatch.setattr(
        runtimes, "find_spec", lambda name: None if name == package else found(name)
    )
    other = {"onnxruntime": "openvino", "openvino": "onnxruntime"}[package]
    assert (
        open_detector("onnx", DetectorOptions(weights=str(tmp_path / "yolox.onnx"))).settings[
            "runtime"
        ]
        == other
    )
    extra = {"onnxruntime": "onnx", "openvino": "openvino"}[package]
    with pytest.raises(
        LpwError, match=rf'--runtime {package}: .*pip install "lpw-toolkit\[{extra}\]"'
    ):
        open_detector(
            "onnx", DetectorOptions(weights=str(tmp_path / "yolox.onnx"), runtime=package)
        )


def test_the_model_decides_its_input_size(tmp_path: Path) -> None:
    options = _write(tmp_path / "yolox.onnx", make_yolox())
    detector = open_detector("onnx", options)
    assert detector.settings["image_size"] == 64 and detector.settings["batch_size"] == 1
    assert "image size 64x64, as the model has it" in detector.notes


AUDITED = """
import sys
def listen(event, args):
    if event.startswith("socket.") or event == "subprocess.Popen":
        print(event, args)
sys.addaudithook(listen)
from tiny_models import Video, draw_frames
from lpw_toolkit.detection.cells import lay_grid
from lpw_toolkit.detection.detector import DetectorOptions, open_detector
options = DetectorOptions(weights=sys.argv[1], runtime=sys.argv[2])
assert len(list(open_detector("onnx", options).detect(draw_frames(3), Video()))) == 3
assert "ultralytics" not in sys.modules and "torch" not in sys.modules
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_socket_opens_and_no_torch_is_loaded(runtime: str, tmp_path: Path) -> None:
    _write(tmp_path / "yolox.onnx", make_yolox())
    environment = {k: v for k, v in os.environ.items() if k != "CI"}
    environment["PYTHONPATH"] = f"{REPOSITORY}:{REPOSITORY / 'tests' / 'fixtures'}"
    command = [sys.executable, "-c", AUDITED, str(tmp_path / "yolox.onnx"), runtime]
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""


@pytest.mark.realdata
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_yolox_nano_finds_the_people_of_a_real_street(runtime: str, shared_data: Path) -> None:
    video = cv2.VideoCapture(str(shared_data / "video/pets09-s2l1/vtest.avi"))
    frames = [Picture(i, video.read()[1], 768, 576) for i in range(40)]
    options = DetectorOptions(weights=str(shared_data / "weights/yolox_nano.onnx"), runtime=runtime)
    found = dict(open_detector("onnx", options).detect(frames, Video()))
    lines = (shared_data / "mot15/PETS09-S2L1/gt/gt.txt").read_text().splitlines()
    truth = np.array([[float(cell) for cell in line.split(",")[:6]] for line in lines])
    hits, n_truth, n_found = 0, 0, 0
    for index, boxes in found.items():
        rows = truth[truth[:, 0] == index + 1][:, 2:6]
        rows[:, 2:] += rows[:, :2]
        hits += int((iou(rows, boxes[:, :4].astype(np.float64)) >= 0.5).any(axis=1).sum())
        n_truth, n_found = n_truth + len(rows), n_found + len(boxes)
    assert hits / n_truth > 0.8 and hits / n_found > 0.6


@pytest.mark.realdata
def test_a_real_embedding_network_is_refused(shared_data: Path) -> None:
    with pytest.raises(LpwError, match=r"inputs \S+ 1x3x256x128; outputs \S+ 1x512"):
        open_detector(
            "onnx", DetectorOptions(weights=str(shared_data / "weights/osnet_x0_25_msmt17.onnx"))
        )


def test_signals_are_survived_after_openvino_models_came_and_went(tmp_path):
    """OpenVINO gives each core a signal stack: cores that end out of order left one that is
    gone."""
    pytest.importorskip("openvino")
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lpw_toolkit.networks import onnx_model, runtimes, weights\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled'))\n"
        "def read():\n"
        "    model = "
        "runtimes.feed_pixels(onnx_model.read_openvino(weights.read_weights(Path(sys.argv[1])), "
        "''))\n"
        "    return runtimes.OpenVinoNetwork(model, 'float32', 1)\n"
        "first, second = read(), read()\n"
        "del first\n"
        "third = read()\n"
        "del second, third\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
    )
    file = tmp_path / "tiny.onnx"
    file.write_bytes(make_yolox())
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
