"""The command line: starts fast, and says what it can do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from lpw_cli.main import COMMANDS, find_extra, main
from street import OPTIONS, run_lpw
from tour import make_tour

from lpw_toolkit.errors import install_hint


def test_help_imports_little_and_no_heavy_package():
    code = (
        "import sys; sys.argv = ['lpw', '--help']\nfrom lpw_cli.main import run\ntry: "
        "run()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    ).stderr.split()
    assert not {"numpy", "pyarrow", "torch", "cv2", "av", "ultralytics"} & set(loaded)
    assert len(loaded) < 250, "135 with Python's own: 0.1 s (tests/bench/bench_house.py)"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    done = CliRunner().invoke(main, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) > 5 and "Usage" in done.output


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        ("torch", ["train", "rqen", "--data", "."], "train"),
        ("torch", ["quality", "run", "--data", "."], "train"),
    ],
)
def test_a_package_that_is_not_installed_is_told_in_one_line(module, words, extra):
    code = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['lpw', *{words}]\nfrom "
        f"lpw_cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"lpw: this command: got no package {module}; expected the extra `{extra}`; "
        + install_hint(extra)
    ]


def test_extras_are_found_by_the_module():
    modules = ("torch._C", "efficientnet_lite_pytorch", "matplotlib", "pandas", "nothing")
    assert [find_extra(name) for name in modules] == ["train", "train", "plot", None, None]


def test_linking_without_torch_and_without_images():
    code = (
        "import sys; import lpw_toolkit.linking.linker, lpw_toolkit.dataset.mot_text; "
        "print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    ).stdout.split()
    assert not {"torch", "cv2", "av", "ultralytics"} & set(loaded)


@pytest.fixture(scope="module")
def tour(tmp_path_factory) -> Path:
    return make_tour(tmp_path_factory.mktemp("tour"))


def test_the_only_dataset_at_hand_is_taken_and_printed(tour, tmp_path):
    build = ["build-tracklets", tour / "video", "--boxes", tour / "det.txt", *OPTIONS]
    assert run_lpw(*build, cwd=tmp_path).returncode == 0
    done = run_lpw("info", cwd=tmp_path)
    assert done.returncode == 0 and "dataset: video-lpw" in done.stderr
    assert run_lpw("info", cwd=tmp_path / "video-lpw").returncode == 0
    assert run_lpw(*build, "--out", "another", cwd=tmp_path).returncode == 0
    several = run_lpw("info", cwd=tmp_path)
    assert several.returncode == 2 and "another, video-lpw" in several.stderr


@pytest.mark.parametrize("arguments", [
    ["link", "gone.txt", "--out", "t.txt"], ["info", "gone"], ["check", "gone"], ["show", "gone"],
    ["relink", "gone", "--out", "v9"], ["score-tracklets", "gone.txt", "--truth", "gt.txt"],
    ["export", "gone", "out", "--to", "mot"], ["link", "det.txt", "--out", "t.txt", "--iou", "0"],
    ["link", "det.txt", "--out", "no/such/folder/t.txt"],
    ["build-tracklets", "video", "--threads", "0"],
])  # fmt: skip
def test_wrong_calls_are_one_line(arguments, tour):
    done = run_lpw(*arguments, cwd=tour)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("lpw: ")


def test_a_damaged_dataset_is_exit_code_3(tour, tmp_path):
    root = tmp_path / "dataset"
    assert (
        run_lpw(
            "build-tracklets", "video", "--out", root, "--boxes", "det.txt", *OPTIONS, cwd=tour
        ).returncode
        == 0
    )
    assert run_lpw("check", root).returncode == 0
    image = next(root.rglob("*.jpg"))
    data = bytearray(image.read_bytes())
    data[-100] ^= 1
    image.write_bytes(data)
    done = run_lpw("check", root)
    assert done.returncode == 3 and image.name in done.stdout


def test_output_replaces_neither_its_input_nor_a_device(tour):
    before = (tour / "det.txt").read_text()
    same = run_lpw("link", "det.txt", "--out", "det.txt", cwd=tour)
    assert same.returncode == 2 and (tour / "det.txt").read_text() == before
    (tour / "pipe").exists() or os.mkfifo(tour / "pipe")
    for arguments in (["link", "det.txt", "--out", "pipe"], ["link", "pipe", "--out", "t.txt"]):
        done = run_lpw(*arguments, cwd=tour)
        assert done.returncode == 2 and "Traceback" not in done.stderr
    assert (tour / "pipe").is_fifo()


def test_a_closed_standard_output_is_no_traceback(tour):
    command = f"{sys.executable} -m lpw_cli -q link det.txt --out closed.txt >&-"
    done = subprocess.run(["bash", "-c", command], cwd=tour, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def test_a_frame_number_far_away_costs_no_memory(tour):
    (tour / "far.txt").write_text("1,1,100,100,50,100,1\n2147483647,1,100,100,50,100,1\n")
    done = run_lpw("score-tracklets", "far.txt", "--truth", "far.txt", "--json", cwd=tour)
    assert done.returncode == 0 and json.loads(done.stdout)["all"]["IDF1"] == 1.0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    "arguments", ["--help", "link det.txt --out full.txt --json", "link --help"]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_named(arguments, unbuffered, tour):
    command = ["bash", "-c", f"{sys.executable} -m lpw_cli {arguments} > /dev/full"]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, cwd=tour, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    expected = "a place that takes what is printed; fix that and run again"
    said = f"standard output: got no space left on device; expected {expected}"
    if "--json" in arguments:
        assert json.loads(done.stderr.splitlines()[-1]) == {
            "error": {"message": said},
            "exit_code": 2,
        }
    else:
        assert done.stderr == f"lpw: {said}\n"


def test_missing_ground_truth_is_named_by_its_option(tour):
    build = ["build-tracklets", "video", "--boxes", "det.txt", *OPTIONS, "--out", "truthless"]
    assert run_lpw(*build, cwd=tour).returncode == 0
    for tracklets in ("det.txt", "truthless"):
        done = run_lpw("score-tracklets", tracklets, "--truth", "/nonexistent/gt", cwd=tour)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "lpw: option --truth: got /nonexistent/gt, where nothing is; expected ground"
        )
