"""The command line: starts fast, says what it can do, and does what the README says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from embedder import make_model
from fakes import write_fake
from lpw_cli.main import COMMANDS, find_extra, main
from street import OPTIONS, make_street, run_lpw

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def readme_commands() -> list[list[str]]:
    """Every `lpw` line of the README's code blocks, as arguments without `lpw`."""
    lines = [
        line
        for block in re.findall(r"```\n(.*?)```", README, re.DOTALL)
        for line in block.splitlines()
    ]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("lpw ")]


def test_help_starts_in_a_third_of_a_second():
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "lpw_cli", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3


def test_help_imports_no_heavy_package():
    code = (
        "import sys; sys.argv = ['lpw', '--help']\nfrom lpw_cli.main import run\ntry: "
        "run()\nfinally: print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    ).stdout.split()
    assert not {"numpy", "pyarrow", "torch", "cv2", "av", "ultralytics"} & set(loaded)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    done = CliRunner().invoke(main, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) > 5 and "Usage" in done.output


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        ("torch", ["train", "rqen", "--data", "."], "train"),
        ("safetensors", ["train", "rqen", "--data", "."], "train"),
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
        (
            f"lpw: this command: got no package {module}; expected the extra `{extra}`; pip "
            f"install "
            f'"lpw-toolkit[{extra}]"'
        )
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


def write_landmarks(tree: Path) -> None:
    """Fourteen joints in CPM's order for every image of the tree, 1-based pixels, as of one upright
    person."""
    heights = (0.06, 0.17, 0.2, 0.35, 0.47, 0.2, 0.35, 0.47, 0.51, 0.72, 0.93, 0.51, 0.72, 0.93)
    lines = ["path," + ",".join(f"{axis}{i}" for axis in "xy" for i in range(1, 15))]
    root = next(tree.rglob("pep_256x128"))
    for image in sorted(root.rglob("*.jpg")):
        pixels = cv2.imread(str(image))
        if pixels is None:  # the tree has a damaged one
            continue
        height, width = pixels.shape[:2]
        values = [width / 2] * 14 + [1 + share * (height - 1) for share in heights]
        lines.append(f"{image.relative_to(root)}," + ",".join(f"{value:.1f}" for value in values))
    (tree / "landmarks.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def tour(tmp_path_factory) -> Path:
    """A folder as the README's reader has it: video/, gt.txt, det.txt (of a synthetic street's
    first camera), and in place of a part of LPW and of a trained model a drawn tree and a network
    that sees colours."""
    folder = tmp_path_factory.mktemp("tour")
    street = make_street(folder / "street")
    (folder / "video").mkdir()
    shutil.copy(street / "video" / "scen1" / "view1.mp4", folder / "video" / "view1.mp4")
    shutil.copy(street / "truth" / "scen1" / "view1.txt", folder / "gt.txt")
    shutil.copy(street / "detections" / "scen1" / "view1.txt", folder / "det.txt")
    write_fake("lpw", folder / "mini_lpw", np.random.default_rng(0))
    write_landmarks(folder / "mini_lpw")
    make_model(folder / "osnet.onnx")
    return folder


def test_the_readme_tour_runs_as_written(tour):
    """All of it with saved boxes in place of the weights (the weights' turn is the next test)."""
    names = [arguments[0] for arguments in readme_commands()]
    assert set(COMMANDS) - {"demo"} <= set(names)
    for arguments in readme_commands():
        if arguments[0] == "demo":
            continue
        if "--weights" in arguments:
            arguments = [*arguments[:-2], "--boxes", "det.txt", *OPTIONS]
        if arguments[0] in ("train", "reproduce"):
            arguments = [
                *arguments,
                "--set",
                "train.iterations=1",
                "--set",
                "train.precision=float32",
            ]
        done = run_lpw(*arguments, cwd=tour)
        assert done.returncode == 0, (arguments, done.stderr)
    assert (tour / "show" / "index.html").is_file()
    assert (tour / "v2" / "dataset.json").is_file()
    assert (tour / "result" / "metrics.parquet").is_file() and (tour / "worst.html").is_file()
    assert (tour / "scores" / "index.html").is_file() and (tour / "regions.png").is_file()
    assert (tour / "persons" / "index.html").is_file() and (
        tour / "for-torchreid" / "tracklets.csv"
    ).is_file()
    assert len((tour / "tracks.txt").read_text().splitlines()) > 10


@pytest.mark.realdata
def test_the_readme_tour_on_real_video_with_real_weights(shared_data, tmp_path):
    (tmp_path / "video").mkdir()
    shutil.copy(shared_data / "video" / "tud-stadtmitte" / "TUD-Stadtmitte.mp4", tmp_path / "video")
    shutil.copy(shared_data / "mot15" / "TUD-Stadtmitte" / "gt" / "gt.txt", tmp_path / "gt.txt")
    shutil.copy(shared_data / "mot15" / "TUD-Stadtmitte" / "det" / "det.txt", tmp_path / "det.txt")
    shutil.copy(shared_data / "weights" / "yolov8n_coco_dequantized.pt", tmp_path / "yolov8n.pt")
    shutil.copytree(shared_data / "mini_lpw", tmp_path / "mini_lpw")
    shutil.copy(shared_data / "weights" / "osnet_x0_25_msmt17.onnx", tmp_path / "osnet.onnx")
    env = {"LPW_CACHE": str(tmp_path / "cache")}
    for arguments in readme_commands():
        if (
            arguments[0] not in ("demo", "synth", "train", "reproduce")
            and "runs/rqen" not in arguments
        ):
            done = run_lpw(*arguments, cwd=tmp_path, env=env)
            assert done.returncode == 0, (arguments, done.stderr)
    score = json.loads(
        run_lpw("score-tracklets", "my-dataset", "--truth", "gt.txt", "--json", cwd=tmp_path).stdout
    )
    assert score["all"]["yield_frac"] > 0.5 and score["all"]["purity"] > 0.9
    rows = json.loads((tmp_path / "result" / "table.json").read_text())
    assert "cmc@1" in json.dumps(rows)


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
    command = f"{sys.executable} -m lpw_cli link det.txt --out closed.txt >&-"
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
    expected = "a place that takes what is printed; mend that and run again"
    assert (
        done.stderr == f"lpw: standard output: got no space left on device; expected {expected}\n"
    )


def test_missing_ground_truth_is_named_by_its_option(tour):
    build = ["build-tracklets", "video", "--boxes", "det.txt", *OPTIONS, "--out", "truthless"]
    assert run_lpw(*build, cwd=tour).returncode == 0
    for tracklets in ("det.txt", "truthless"):
        done = run_lpw("score-tracklets", tracklets, "--truth", "/nonexistent/gt", cwd=tour)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "lpw: option --truth: got /nonexistent/gt, where nothing is; expected ground"
        )
