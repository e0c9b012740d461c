"""Calls that say something else than the user means: each is refused, or told, before any work."""

from pathlib import Path

import pytest
from build_tools import street  # noqa: F401 (fixture)
from click.testing import CliRunner
from lpw_cli.main import main
from make_dataset import make_dataset
from make_labelled import make_labelled, two_cameras
from street import build_arguments, run_lpw
from tiny_models import make_ssd

from lpw_toolkit.dataset.plan_changes import compare_plans
from lpw_toolkit.detection.detector import DetectorOptions, open_detector
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.protocol import open_protocol
from lpw_toolkit.networks.runtimes import choose_precision, choose_runtime
from lpw_toolkit.networks.weights import find_named
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.draw import draw_splits
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.recipe import read_recipe


@pytest.mark.parametrize(
    "words",
    [
        ["info", ""],
        ["info", "--data", ""],
        ["split", ""],
        ["build-tracklets", ""],
        ["clean", "", "--status"],
        ["train", "rqen", ""],
        ["eval", ""],
        ["info", ".", "--data", ""],
    ],
)
def test_an_empty_path_is_not_the_working_folder(words: list[str], tmp_path: Path) -> None:
    done = run_lpw(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "an empty path: is a variable of the shell not set?" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", [".", "./"])
def test_the_working_folder_with_other_things_is_no_output(street, out, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    words = build_arguments(street, Path("OUT"))
    done = run_lpw(*[out if word in ("OUT", Path("OUT")) else word for word in words], cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "action", [["--status"], ["--replay"], ["--agreement"], ["--apply", "out"]], ids=str
)
def test_decisions_that_are_not_there_are_not_none(action: list[str], tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", n_tracklets=4, identified=False)
    done = run_lpw("clean", "set", *action, "--state", "TYPO", cwd=tmp_path)
    assert done.returncode == 2
    assert "option --state" in done.stderr and "TYPO: got no such folder" in done.stderr
    assert not (tmp_path / "out").exists()


def test_variables_that_name_no_option_are_told(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", n_tracklets=4, identified=False)
    env = {"LPW_CLEAN_SATE": "x", "LPW_LIMIT_FOO": "3", "LPW_CLEAN_STATE": ""}
    done = run_lpw("clean", "set", "--status", cwd=tmp_path, env=env)
    assert done.returncode == 0
    assert "LPW_CLEAN_SATE in the environment is no option" in done.stderr
    assert "Did you mean LPW_CLEAN_STATE?" in done.stderr
    assert "LPW_LIMIT_FOO in the environment is no bound" in done.stderr
    assert "LPW_CLEAN_STATE in" not in done.stderr


def test_a_training_that_could_not_be_written_is_refused_at_once(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", n_tracklets=12)
    (tmp_path / "runs").write_text("a file", "utf-8")
    for more in ([], ["--dry-run"]):
        done = run_lpw("train", "rqen", "set", "--split", "none", *more, cwd=tmp_path)
        assert done.returncode == 2
        assert "runs, which is no folder" in done.stderr


def test_boxes_beside_another_detector_are_refused_before_weights_are_looked_for() -> None:
    with pytest.raises(LpwError, match="beside detector onnx, which reads the images"):
        open_detector("onnx", DetectorOptions(boxes=Path("det.txt")))


def test_an_image_size_that_the_network_cannot_take(tmp_path: Path) -> None:
    path = tmp_path / "pedestrian_ssdlite.pb"
    path.write_bytes(make_ssd())
    with pytest.raises(LpwError, match=r"--image-size: got 320; expected \d+, the only size"):
        open_detector("ssd", DetectorOptions(weights=str(path), image_size=320))


def test_other_boxes_are_told_in_words() -> None:
    old, new = ({"detect": {"files_sha256": digest}} for digest in ("a" * 64, "b" * 64))
    assert str(compare_plans(old, new)) == "the files of boxes are others than before"


def test_the_share_that_is_tested_and_few_queries_are_told(tmp_path: Path) -> None:
    rows = two_cameras(9, 1)["rows"]
    dataset = make_labelled(tmp_path / "set", rows)
    sources = dataset.manifest.get("sources", [])
    drawn = draw_splits(dataset.tracklets, sources, SplitConfig(test_frac=0.01), "set")
    assert "0.22 (0.01 was asked) of the persons are tested" in drawn.how
    n = drawn.counts[0].n_queries
    assert f"few queries: with {n} of them each moves rank-1 by {100 / n:.0f} points" in drawn.notes
    half = draw_splits(dataset.tracklets, sources, SplitConfig(test_frac=0.5), "set")
    assert "0.5 of the persons are tested" in half.how


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: open_boxes(box_scores="procent"), "percent"),
        (lambda: open_boxes(box_geometry="displya"), "display"),
        (
            lambda: choose_runtime(
                "opnvino", ("auto", "onnxruntime", "openvino"), preferred="a", fallback="b"
            ),
            "openvino",
        ),
        (lambda: choose_precision("bfloat61", "torch"), "bfloat16"),
        (lambda: find_named("pedestrian_ssdlit", "person detector"), "pedestrian_ssdlite"),
        (lambda: read_recipe("modrn"), "modern"),
        (lambda: open_protocol("markt"), "market"),
        (lambda: open_backbone("resnet_5", BackboneOptions("random")), "resnet50"),
    ],
)
def test_misspelt_values_are_told_the_nearest(call, near):
    with pytest.raises(LpwError) as caught:
        call()
    assert str(caught.value).endswith(f"; did you mean {near}?")


@pytest.mark.parametrize("command", ["filter", "rename"])
def test_misspelt_cameras_are_told_the_nearest(command: str, tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", n_tracklets=4)
    given = "scen1/viw1" + "=new" * (command == "rename")
    done = CliRunner().invoke(
        main, [command, str(tmp_path / "set"), "--camera", given, "--out", str(tmp_path / "new")]
    )
    assert str(done.exception).endswith("; did you mean scen1/view1?")


def open_boxes(**settings: str) -> object:
    return open_detector("boxes", DetectorOptions(boxes=Path("gone"), **settings))
