"""The estimate of a training: right in its numbers, and without a trace in the weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from clocks import Clock
from lpw_cli.train import command
from tiny_training import SMALL, make_data, make_job

from rqen.data.batches import Shard
from rqen.run import run_folder
from rqen.training.distributed import ProcessGroup
from rqen.training.forecast import count_images, estimate_training
from rqen.training.train import train

ALONE = ProcessGroup(Shard(), torch.device("cpu"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("forecast") / "d")


def test_seconds_and_bytes(data, tmp_path):
    clock, network = Clock(), torch.nn.Linear(10, 5)
    job = make_job(data, tmp_path / "r", "train.iterations=210", "train.validate_every=100")
    found = estimate_training(
        job, network, lambda: clock.pass_s(0.25), lambda: clock.pass_s(2.0), 10, 48, clock
    )
    assert count_images(job.recipe) == 4 * 2 * 2
    steps, reads = 2 + 200 * 2.0, 0.25 * 200  # the first one warms up; reading is short
    ranked = 3 * 48 * (steps / 200 / 16 / 3)
    assert found.seconds == pytest.approx(steps + reads + ranked)
    assert found.n_files == 6
    weights, moments = 4 * 55, 2 * 4 * 55
    assert found.n_bytes == 3 * weights + moments + 100_000


def test_without_validation_nothing_is_ranked(data, tmp_path):
    clock, network = Clock(), torch.nn.Linear(10, 5)
    job = make_job(data, tmp_path / "r", "optim.kind=sgd", "train.iterations=20")
    found = estimate_training(
        replace(job, n_workers=2), network, lambda: None, lambda: clock.pass_s(1), 0, 0, clock
    )
    assert found.seconds == 20
    assert found.n_bytes == 2 * 4 * 55 + 4 * 55 + 100_000


def test_a_trial_leaves_no_trace_in_the_weights(data, tmp_path):
    told = []
    changes = ("train.validation=0.4", "data.flip=0.5", "train.iterations=3")
    runs = [
        train(make_job(data, tmp_path / name, *changes), ALONE, announce)
        for name, announce in (("with", told.append), ("without", None))
    ]
    one, other = (run_folder.read_state(run / run_folder.MODEL).model for run in runs)
    assert [estimate.work for estimate in told] == ["train"]
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_that_resumes_counts_what_is_left(data, tmp_path):
    class EnoughError(Exception):
        pass

    def stop(estimate):
        raise EnoughError(estimate.basis)

    out = tmp_path / "run"
    with pytest.raises(EnoughError, match="5 of which"):
        train(make_job(data, out), ALONE, stop)
    assert not out.exists()
    train(make_job(data, out), ALONE)
    (out / run_folder.MODEL).unlink()
    with pytest.raises(EnoughError, match="0 of which"):
        train(make_job(data, out, resume=True), ALONE, stop)


def test_a_dry_run_writes_nothing(data, tmp_path):
    sets = [word for change in SMALL for word in ("--set", change)]
    words = ["rqen", str(data), "--split", "none", "--out", str(tmp_path / "r"), *sets]
    done = CliRunner().invoke(command, [*words, "--workers", "0", "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["work"] == "train"
    assert list(tmp_path.iterdir()) == []
