"""A validation set out of the training persons: who is in it, what is kept, and that a stopped run
keeps the same."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from make_reid import make_reid, rewrite

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.errors import LpwError
from rqen.data.samplers import make_pool
from rqen.inference.describe import EmbedRequest
from rqen.inference.embed import SetEmbedOptions
from rqen.recipe import TrainRecipe, read_recipe
from rqen.run import run_folder
from rqen.run.trained_network import open_network
from rqen.training import train as training
from rqen.training.distributed import ProcessGroup, Shard
from rqen.training.job import TrainJob
from rqen.training.tensorboard_log import FOLDER, publish_events
from rqen.training.throughput import Throughput
from rqen.training.validation import Best, split_pool, validate

ALONE = ProcessGroup(Shard(), torch.device("cpu"))
SMALL = (
    "model.weights=random", "model.last_stride=2", "data.height=64", "data.width=32",
    "data.n_persons=3",
    "data.n_sets=2", "data.n_frames=2", "data.crop=2", "train.iterations=4",
    "train.checkpoint_every=2",
    "train.precision=float32", "train.channels_last=no", "optim.warmup=0", "train.validation=0.4",
    "train.validate_every=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_reid(tmp_path_factory.mktemp("validation") / "d", n_rounds=6)


def job(dataset: Dataset, out: Path, *changes: str, resume: bool = False) -> TrainJob:
    recipe = read_recipe("modern", (*SMALL, *changes))
    return TrainJob(dataset.root, out, "mean", recipe, n_workers=0, resume=resume)


def script(monkeypatch: pytest.MonkeyPatch, figures: list[float]) -> None:
    """The mAP that every validation finds, one after the other."""
    left = iter(figures)

    def find(*_: object) -> dict[str, float]:
        return {"val_rank1": 0.5, "val_map": next(left)}

    monkeypatch.setattr(training, "validate", find)


def weights(run: Path, name: str = run_folder.MODEL) -> dict[str, torch.Tensor]:
    return run_folder.read_state(run / name).model


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_who_is_held_out(dataset: Dataset) -> None:
    index = open_index(dataset.root)
    pool = make_pool(index.tracklets, np.arange(len(index)))
    recipe = TrainRecipe(validation=0.4, seed=1)
    kept, held = split_pool(index, pool, recipe)
    persons = index.tracklets["person_id"].to_pylist()
    assert not {persons[row] for row in held} & {persons[row] for row in kept.rows}
    assert sorted([*held, *kept.rows]) == sorted(pool.rows)
    np.testing.assert_array_equal(split_pool(index, pool, recipe)[1], held)
    assert not np.array_equal(split_pool(index, pool, replace(recipe, seed=2))[1], held)
    whole, nobody = split_pool(index, pool, TrainRecipe())
    assert whole is pool
    assert not len(nobody)


@pytest.mark.parametrize("share", [0.01, 0.95])
def test_a_share_that_leaves_too_few(dataset: Dataset, tmp_path: Path, share: float) -> None:
    with pytest.raises(LpwError, match="either side"):
        training.train(job(dataset, tmp_path / "run", f"train.validation={share}"), ALONE)


def test_one_camera(tmp_path: Path) -> None:
    data = rewrite(make_reid(tmp_path / "d", n_rounds=6), lambda _: {"camera_id": "one"})
    with pytest.raises(LpwError, match="no held-out person seen by two cameras"):
        training.train(job(data, tmp_path / "run"), ALONE)


def test_figures_are_those_of_a_ranking_across_cameras(dataset: Dataset) -> None:
    """Four tracklets whose places can be counted: of equal distances the first in the table is
    nearer."""
    index = open_index(dataset.root)
    names = ("scen2/view1/000001", "scen2/view1/000002", "scen2/view2/000001", "scen2/view2/000002")
    held = np.array([index.tracklets["tracklet_id"].to_pylist().index(name) for name in names])

    vectors = np.array([[1, 0], [0, 1], [0.9, 0.1], [1, 0]], dtype=np.float32)
    request = EmbedRequest("rqen", read_recipe("modern"), SetEmbedOptions(64, 32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "rqen.training.validation.embed_by_method", lambda *_: (vectors, np.ones(4, bool), None)
        )
        found = validate(None, index, held, request)
    # right answers stand at 2 (after 4), at 3 (after 3 and 1, as far as it), at 1 (before 4, as
    # far), and at 3
    assert found == {
        "val_rank1": 0.25,
        "val_map": pytest.approx((1 / 2 + 1 / 3 + 1 + 1 / 3) / 4, abs=1e-6),
    }


def test_the_best_weights_are_kept_and_said(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, [0.2, 0.6, 0.6, 0.1])
    run = training.train(job(dataset, tmp_path / "run"), ALONE)
    said = run_folder.read_run(run)
    assert said["kept"] == {"chosen_by": "validation mAP", "iteration": 2, "map": 0.6, "rank1": 0.5}
    assert len(said["validation"]) == 2
    assert not set(said["validation"]) & set(said["persons"])
    assert run_folder.read_state(run / run_folder.MODEL).iteration == 2
    last = run_folder.read_state(run / run_folder.CHECKPOINT)
    assert last.iteration == 4
    assert are_equal(last.best, weights(run))
    assert not are_equal(last.model, weights(run))
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["val_map"] for row in rows] == [0.2, 0.6, 0.6, 0.1]
    assert all(0 <= row["wait"] <= 1 for row in rows)
    assert "val_rank1" in (run / "log.csv").read_text().splitlines()[0]
    assert open_network(run)[1]["kept"] == said["kept"]


def test_a_stopped_run_keeps_the_same(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training.train(job(dataset, tmp_path / "whole"), ALONE)
    step = training.Runner.step

    def stop(self: training.Runner, batch: object, iteration: int) -> dict[str, object]:
        if iteration == 3:
            raise InterruptedError
        return step(self, batch, iteration)

    monkeypatch.setattr(training.Runner, "step", stop)
    with pytest.raises(InterruptedError):
        training.train(job(dataset, tmp_path / "run"), ALONE)
    monkeypatch.undo()
    again = training.train(job(dataset, tmp_path / "run", resume=True), ALONE)
    assert are_equal(weights(again), weights(whole))
    assert run_folder.read_run(again)["kept"] == run_folder.read_run(whole)["kept"]


def test_validating_changes_nothing_of_the_training(dataset: Dataset, tmp_path: Path) -> None:
    often = training.train(job(dataset, tmp_path / "often"), ALONE)
    once = training.train(job(dataset, tmp_path / "once", "train.validate_every=0"), ALONE)
    assert are_equal(weights(often, run_folder.CHECKPOINT), weights(once, run_folder.CHECKPOINT))
    rows = [json.loads(line) for line in (once / "log.jsonl").read_text().splitlines()]
    assert ["val_map" in row for row in rows] == [True]


def test_the_test_split_is_never_looked_at(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    decode = type(open_index(dataset.root).images).decode

    def note(self: object, row: int, size: tuple[int, int]) -> object:
        seen.add(row)
        return decode(self, row, size)

    monkeypatch.setattr(type(open_index(dataset.root).images), "decode", note)
    training.train(job(dataset, tmp_path / "run"), ALONE)
    ids = open_dataset(dataset.root).tracklets["tracklet_id"].to_pylist()
    starts = open_index(dataset.root).starts
    owners = {ids[int(np.searchsorted(starts, row, "right")) - 1] for row in seen}
    assert owners
    assert all(name.startswith("scen2/") for name in owners)


def test_of_equals_the_first_stay() -> None:
    best = Best()
    for iteration, value in ((1, 0.5), (2, 0.5), (3, 0.4)):
        best.offer(iteration, {"val_map": value, "val_rank1": value}, torch.nn.Linear(1, 1))
    assert best.figures == {"iteration": 1, "map": 0.5, "rank1": 0.5}


def test_without_a_validation_set_the_last_weights_are_kept(
    dataset: Dataset, tmp_path: Path
) -> None:
    changes = ("train.validation=0", "train.checkpoint_every=0", "train.iterations=2")
    run = training.train(job(dataset, tmp_path / "run", *changes), ALONE)
    said = run_folder.read_run(run)
    assert said["kept"] == {"chosen_by": "last iteration", "iteration": 2}
    assert said["validation"] == []
    assert are_equal(weights(run), weights(run, run_folder.CHECKPOINT))


def test_the_share_of_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("rqen.training.throughput.time.perf_counter", lambda: now[0])

    class Batch:
        images = np.zeros((2, 3))

    def load() -> object:
        for _ in range(4):
            now[0] += 1.0
            yield Batch

    pace = Throughput()
    for _ in pace.watch(load()):
        now[0] += 3.0
    assert pace.read() == {"images_per_s": 1.5, "wait": 0.25}
    pace.restart()
    assert pace.read()["wait"] == 0


class TestTensorboard:
    def read(self, run: Path) -> list[tuple[int, float]]:
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        events = accumulator.EventAccumulator(str(run / FOLDER))
        events.Reload()
        return [(event.step, round(event.value, 3)) for event in events.Scalars("loss")]

    def test_a_run_that_goes_on_writes_nothing_twice(self, tmp_path: Path) -> None:
        rows = [{"iteration": step, "loss": 1 / step, "lr": 0.1} for step in (20, 40, 60)]
        publish_events(tmp_path, rows[:2], 40)
        publish_events(tmp_path, rows, 60)
        publish_events(tmp_path, rows[:2], 50)  # it went on from 40
        publish_events(tmp_path, rows, 60)
        assert self.read(tmp_path) == [(20, 0.05), (40, 0.025), (60, 0.017)]
        names = [entry.name[-3:] for entry in sorted((tmp_path / FOLDER).iterdir())]
        assert names == ["040", "050", "060"]

    def test_training_writes_what_the_log_has(self, dataset: Dataset, tmp_path: Path) -> None:
        asked = replace(job(dataset, tmp_path / "run", "train.validate_every=0"), tensorboard=True)
        run = training.train(asked, ALONE)
        rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        assert self.read(run) == [(row["iteration"], round(row["loss"], 3)) for row in rows]

    def test_without_the_package(
        self, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
        with pytest.raises(LpwError, match="pip install tensorboard"):
            training.train(replace(job(dataset, tmp_path / "run"), tensorboard=True), ALONE)
        assert not (tmp_path / "run").exists()
