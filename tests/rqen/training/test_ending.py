"""Whatever goes wrong in a step or in a process that reads ahead, the command ends at once."""

import os
import subprocess
import sys
from pathlib import Path

import moments
import pytest
from tiny_training import SMALL, make_data

FAULTS = {
    "step": (
        "from rqen.training.train import Runner as Owner\n"
        "before = Owner.step\n"
        "def step(self, batch, iteration):\n"
        "    if {where} and iteration == 1:\n"
        "        raise ZeroDivisionError('a bug of ours')\n"
        "    return before(self, batch, iteration)\n"
        "Owner.step = step\n"
    ),
    "reader": (
        "from rqen.data.batches import Batches as Owner\n"
        "before = Owner.__getitem__\n"
        "def get(self, iteration):\n"
        "    if {where} and iteration == 1:\n"
        "        raise ZeroDivisionError('a bug of ours')\n"
        "    return before(self, iteration)\n"
        "Owner.__getitem__ = get\n"
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("ending") / "d")


def train(
    folder: Path, data: Path, fault: str, *changes: str, team: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    """`lpw train` with that fault, in one process or as torchrun starts them."""
    script = folder / "train.py"
    script.write_text(f"import os\n{fault}\nfrom lpw_cli.main import run\nrun()\n", "utf-8")
    sets = [word for change in (*SMALL, *changes) for word in ("--set", change)]
    words = ["train", "rqen", str(data), "--split", "none", "--out", str(folder / "run")]
    return subprocess.run(
        [sys.executable, *team, str(script), *words, "--workers", "1", *sets],
        capture_output=True,
        text=True,
        timeout=2 * moments.PATIENCE_S,  # a hang is the fault that this is about
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unexpected_error_ends_the_command(fault, data, tmp_path):
    done = train(tmp_path, data, FAULTS[fault].format(where="True"))
    assert done.returncode == 1, done.stderr
    assert "ZeroDivisionError: " in done.stderr
    assert "a bug of ours" in done.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_an_error_of_one_process_ends_all(data, tmp_path):
    team = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    fault = FAULTS["step"].format(where="os.environ['RANK'] == '1'")
    done = train(tmp_path, data, fault, team=team)
    assert done.returncode != 0
    assert "a bug of ours" in done.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (("data.n_persons=1", "data.n_sets=1"), "data.n_persons, data.n_sets: got 1 in the batch"),
        (("data.n_persons=1",), "data.n_persons: got 1; expected 2 or more with batch_hard"),
        (("data.n_sets=1",), "data.n_sets: got 1; expected 2 or more with batch_hard"),
        (("loss.triplet=released",), "data.batch: got sets; expected triplets"),
        (
            ("data.batch=frames", "data.n_frames=1", "loss.triplet=none"),
            "data.n_frames: got 1 in the batch of a process; expected 2 or more",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(changes, told, data, tmp_path):
    done = train(tmp_path, data, "", *changes)
    assert done.returncode == 2
    assert f"lpw: {told}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
