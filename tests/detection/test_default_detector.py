"""Which detector a build takes that gets none: what is told, what is recorded, and what is refused
before anything is fetched."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from embedder import make_model
from lpw_cli.main import main
from media import write_video
from tiny_models import make_yolo, make_yolox
from weights_server import WeightsServer, make_entry, online, server, use_catalogue  # noqa: F401

from lpw_toolkit.detection.detector import DetectorOptions, open_detector
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.catalogue import CatalogueEntry

SAID = "a network of a test, MIT; best F1 at IoU 0.5: street 0.9"


@pytest.fixture
def known(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> CatalogueEntry:
    """The only detector of the catalogue."""
    data = make_yolox()
    source = server.put("yolox_green.onnx", data)
    entry = make_entry(source, data=data, name="green", file="yolox_green.onnx")
    use_catalogue(monkeypatch, entry)
    return entry


def make_film(folder: Path) -> None:
    (folder / "scen1").mkdir(parents=True)
    write_video(folder / "scen1" / "view1.mp4")


def test_a_build_without_options(known: CatalogueEntry, online: Path) -> None:
    make_film(Path("video"))
    done = CliRunner().invoke(main, ["build-tracklets", "video"], catch_exceptions=False)
    path = online / "cache" / "weights" / "yolox_green.onnx"
    told = done.stderr.splitlines()
    assert f"weights {path} ({SAID})" in told
    assert any(line.startswith("fetching yolox_green.onnx (") for line in told)
    manifest: dict[str, Any] = json.loads(Path("video-lpw/dataset.json").read_text())
    assert manifest["detector"] == {
        "name": "green",
        "network": "a network of a test",
        "licence": "MIT",
        "figures": {"what": "best F1 at IoU 0.5", "values": {"street": 0.9}, "source": "a test"},
    }
    assert manifest["settings"]["detect"]["weights_sha256"] == known.sha256
    again = CliRunner().invoke(main, ["build-tracklets", "video", "--download"])
    assert again.exit_code == 0 and "complete already" in again.output
    assert "--download is no longer needed" in again.stderr
    assert "fetching" not in again.stderr


def test_by_name(known: CatalogueEntry) -> None:
    detector = open_detector(None, DetectorOptions(weights="green"))
    assert detector.notes[0].endswith(f"({SAID})") and detector.name == "onnx"
    assert not any("asked for" in note for note in detector.notes)
    assert detector.settings["weights"] == known.file


def test_a_known_file_of_ones_own_is_known_by_its_bytes(known: CatalogueEntry) -> None:
    Path("mine.onnx").write_bytes(make_yolox())
    notes = open_detector(None, DetectorOptions(weights="mine.onnx")).notes
    assert notes[:2] == ["weights mine.onnx (asked for)", f"known as {known.name}: {SAID}"]


def test_the_only_detector_of_the_working_folder(server: WeightsServer) -> None:
    """Whatever its licence, and nothing is fetched then."""
    pytest.importorskip("ultralytics")
    make_yolo(Path("yolo_mine.pt"))
    Path("osnet.bin").write_bytes(b"1")
    detector = open_detector(None, DetectorOptions())
    said = "weights yolo_mine.pt (the only person detector in the working folder)"
    assert (detector.name, detector.notes[0]) == ("ultralytics", said)
    make_yolo(Path("yolo11n-pose.pt"))  # named as a pose model
    assert open_detector(None, DetectorOptions()).notes[0] == said
    assert server.asked == []


def test_two_detectors_are_not_chosen_between(known: CatalogueEntry) -> None:
    for name in ("yolox_a.onnx", "yolox_b.onnx"):
        Path(name).write_bytes(make_yolox())
    with pytest.raises(LpwError, match=r"several files: yolox_a\.onnx, yolox_b\.onnx; expected on"):
        open_detector(None, DetectorOptions())


def test_offline_a_build_stops_and_names_what_is_missing(tmp_path: Path) -> None:
    """The switch holds in a process of its own, as it is set in the environment."""
    make_film(tmp_path / "video")
    environment = {**os.environ, "LPW_OFFLINE": "1", "LPW_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-P", "-m", "lpw_cli", "build-tracklets", "video"]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    last = run.stderr.splitlines()[-1]
    assert last.startswith("lpw: person detector: got none here, and nothing may be fetched")
    assert "yolox_nano.onnx or pedestrian_ssdlite.pb in the working folder or" in last
    assert not (tmp_path / "cache" / "weights").exists()


@pytest.mark.usefixtures("known")
def test_without_a_runtime_one_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpw_toolkit.networks.weights.find_spec", lambda name: None)
    monkeypatch.setattr(
        "lpw_toolkit.networks.weights.load_catalogue",
        lambda: (make_entry(runtimes=("openvino", "onnxruntime")),),
    )
    with pytest.raises(LpwError, match=r'pip install "lpw-toolkit\[openvino\]"'):
        open_detector(None, DetectorOptions())


def test_a_model_of_another_kind_in_the_working_folder_is_left(known: CatalogueEntry) -> None:
    """What an ONNX file is for is told by its inputs and outputs, whatever its name."""
    Path("persons.onnx").write_bytes(make_yolox())
    make_model(Path("osnet.onnx"))
    Path("broken.onnx").write_bytes(b"1")
    said = "weights persons.onnx (the only person detector in the working folder)"
    notes = open_detector(None, DetectorOptions()).notes
    assert notes[:2] == [said, f"known as {known.name}: {SAID}"]
