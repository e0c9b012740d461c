"""Training on data of one's own: what is missing is said, and a film of one camera is divided,
trained on, validated and evaluated within the camera."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from lpw_cli.main import main
from make_dataset import make_dataset
from make_reid import make_one_camera
from tiny_training import SMALL

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.split_version import write_split
from rqen.recipe import read_recipe
from rqen.run import run_folder
from rqen.training.distributed import ProcessGroup, Shard
from rqen.training.job import TrainJob
from rqen.training.train import train

STEPS = ("train.iterations=2", "data.n_persons=2", "optim.warmup=0")


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("one")
    return write_split(make_one_camera(folder / "d"), folder / "out", SplitConfig(n_splits=2))[0]


def learn(dataset: Dataset, out: Path, *changes: str) -> Path:
    recipe = read_recipe("modern", (*SMALL, *STEPS, *changes))
    job = TrainJob(dataset.root, out, "mean", recipe, split=1, n_workers=0)
    return train(job, ProcessGroup(Shard(), torch.device("cpu")))


def test_a_run_is_tested_within_the_camera(divided: Dataset, tmp_path: Path) -> None:
    run = learn(
        divided, tmp_path / "run", 'data.batch="triplets"', 'data.positive="cross"',
        'loss.triplet="released"',
    )  # fmt: skip
    words = ["eval", run, "--data", divided.root, "--protocol", "within_camera", "--workers", 0]
    shown = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    assert "protocol: within_camera" in shown.stdout
    assert "splits: split 1" in shown.stdout
    assert "trained on" not in shown.output


def test_validation_is_within_the_camera(divided: Dataset, tmp_path: Path) -> None:
    run = learn(divided, tmp_path / "run", "train.validation=0.4", "train.validate_every=1")
    assert len(run_folder.read_run(run)["validation"]) == 2
    assert run_folder.read_log(run, 2)[-1]["val_map"] >= 0


@pytest.mark.parametrize(
    ("identified", "way"),
    [(False, "`lpw clean --review`.*`lpw clean --apply OUT`"), (True, "`lpw split d`")],
)
def test_what_is_missing_is_said(identified: bool, way: str, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "d", n_tracklets=8, n_frames=2, identified=identified)
    with pytest.raises(LpwError, match=way):
        learn(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
