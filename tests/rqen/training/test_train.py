"""Training: it goes on to the bit, keeps what it has, says what is wrong, and several processes do
what one does."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import moments
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from lpw_cli.train import command
from tiny_training import SMALL, make_data
from tiny_training import make_job as job

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.errors import LpwError, MismatchError
from rqen.data.batches import Shard
from rqen.inference.embed import SetEmbedOptions, embed_tracklets
from rqen.recipe import OptimRecipe, read_recipe
from rqen.run import run_folder, speed_trial
from rqen.run.speed_trial import Mode, choose_mode, list_modes
from rqen.run.trained_network import open_network
from rqen.training import train as training
from rqen.training.distributed import ProcessGroup
from rqen.training.optimiser import rate_at

ALONE = ProcessGroup(Shard(), torch.device("cpu"))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_data(tmp_path_factory.mktemp("train") / "d")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Path:
    return training.train(job(data, tmp_path_factory.mktemp("runs") / "whole"), ALONE)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return run_folder.read_state(run / run_folder.MODEL).model


def differ(one: Path, other: Path) -> float:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return max(float((a[n].double() - b[n].double()).abs().max()) for n in a)


def call(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lpw_cli", "train", *arguments]


def arguments(data: Path, out: Path, *changes: str) -> list[str]:
    sets = [word for change in (*SMALL, *changes) for word in ("--set", change)]
    return [
        "rqen",
        "--data",
        str(data),
        "--split",
        "none",
        "--out",
        str(out),
        "--workers",
        "0",
        *sets,
    ]


class TestRun:
    def test_what_a_run_leaves(self, finished):
        assert sorted(p.name for p in finished.iterdir()) == [
            "checkpoint.safetensors", "curve.png", "log.csv", "log.jsonl", "model.safetensors",
            "run.json", "seen_crops.bin", "seen_images.bin",
        ]  # fmt: skip
        facts = run_folder.read_run(finished)
        assert facts["method"] == "rqen"
        assert facts["recipe"]["optim"]["kind"] == "adam"
        assert facts["mode"] == {
            "precision": "float32", "channels_last": False, "seconds": {}, "cuda_graph": False,
        }  # fmt: skip
        assert facts["weights"] == "random"
        assert str(finished.parent) not in (finished / "run.json").read_text()
        rows = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
        assert rows[-1]["iteration"] == 5
        assert {"loss", "softmax", "triplet", "lr", "images_per_s", "wait"} <= rows[-1].keys()

    def test_the_same_job_gives_the_same_weights(self, data, finished, tmp_path):
        assert differ(finished, training.train(job(data, tmp_path / "again"), ALONE)) == 0

    def test_two_runs_of_one_job_are_the_same_files(self, data, finished, tmp_path):
        again = training.train(job(data, tmp_path / "again"), ALONE)
        for name in (run_folder.RUN, run_folder.MODEL, run_folder.CHECKPOINT):
            assert (again / name).read_bytes() == (finished / name).read_bytes(), name

    def test_a_run_that_stops_goes_on_to_the_bit(self, data, finished, tmp_path, monkeypatch):
        class StopError(Exception):
            pass

        step = training.Runner.step

        def stop_at_four(self, batch, iteration):
            if iteration == 3:
                raise StopError
            return step(self, batch, iteration)

        monkeypatch.setattr(training.Runner, "step", stop_at_four)
        with pytest.raises(StopError):
            training.train(job(data, tmp_path / "run"), ALONE)
        monkeypatch.undo()
        assert run_folder.read_state(tmp_path / "run" / run_folder.CHECKPOINT).iteration == 2
        assert (
            differ(finished, training.train(job(data, tmp_path / "run", resume=True), ALONE)) == 0
        )

    def test_a_complete_run_is_left_as_it_is(self, data, finished):
        before = (finished / run_folder.MODEL).stat().st_mtime_ns
        training.train(job(data, finished, resume=True), ALONE)
        assert (finished / run_folder.MODEL).stat().st_mtime_ns == before

    def test_a_run_of_a_gpu_goes_on_without_one(self, data, finished, tmp_path):
        run = tmp_path / "run"
        shutil.copytree(finished, run)
        (run / run_folder.MODEL).unlink()
        facts = run_folder.read_run(run)
        run_folder.write_run(run, {**facts, "mode": {**facts["mode"], "cuda_graph": True}})
        assert differ(finished, training.train(job(data, run, resume=True), ALONE)) == 0

    def test_passes_are_recorded_once_and_recording_leaves_no_trace(
        self, data, finished, tmp_path, monkeypatch
    ):
        """What a GPU does of it is in test_gpu.py."""
        recorded = []

        def record(network, sample):
            assert network.training
            recorded.append(sample[0].shape)
            network(sample[0])  # moves the running statistics, as a recording does

        monkeypatch.setattr(training, "_can_record", lambda *_: True)
        monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
        run = training.train(job(data, tmp_path / "run", "train.cuda_graph=yes"), ALONE)
        assert recorded == [(8, 2, 3, 64, 32)]
        assert run_folder.read_run(run)["mode"]["cuda_graph"]
        assert differ(finished, run) == 0

    def test_a_network_that_cannot_be_recorded(self, data, tmp_path, monkeypatch):
        def fail(*_):
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

        monkeypatch.setattr(training, "_can_record", lambda *_: True)
        monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
        with pytest.raises(
            LpwError,
            match=r"cannot be recorded \(operation not permitted when stream is capturing\)",
        ):
            training.train(job(data, tmp_path / "run", "train.cuda_graph=yes"), ALONE)
        run = training.train(
            job(data, tmp_path / "auto", "train.cuda_graph=auto", "train.iterations=1"), ALONE
        )
        assert not run_folder.read_run(run)["mode"]["cuda_graph"]

    @pytest.mark.parametrize(
        ("method", "recipe"), [("rqen", "modern"), ("more_params", "modern"), ("qan", "paper")]
    )
    def test_a_compiled_network_is_one_graph_and_says_the_same(
        self, data, tmp_path, monkeypatch, method, recipe
    ):
        changes = ("train.iterations=2", "data.crop=0", "model.backbone=efficientnet_lite0")
        plain = training.train(
            job(data, tmp_path / "plain", *changes, method=method, recipe=recipe), ALONE
        )
        whole = functools.partial(torch.compile, backend="eager", fullgraph=True)
        monkeypatch.setattr(torch, "compile", whole)
        compiled = training.train(
            job(
                data, tmp_path / "one", *changes, "train.compile=true", method=method, recipe=recipe
            ),
            ALONE,
        )
        assert differ(plain, compiled) < 1e-5

    @pytest.mark.parametrize("method", ["mean", "qan", "qfix", "more_params"])
    def test_other_methods(self, data, tmp_path, method):
        run = training.train(
            job(data, tmp_path / "run", "train.iterations=1", method=method), ALONE
        )
        assert open_network(run)[1]["method"] == method

    @pytest.mark.parametrize(
        ("recipe", "loss"), [("paper", "printed"), ("released_image", "released")]
    )
    def test_triplets_on_a_network_with_auxiliary_heads(self, data, tmp_path, recipe, loss):
        changes = (
            "model.backbone=bn_inception",
            "data.height=64",
            "data.width=64",
            "train.iterations=1",
            f"loss.triplet={loss}",
        )
        run = training.train(
            job(data, tmp_path / "run", *changes, "data.crop=0", "optim.warmup=0", recipe=recipe),
            ALONE,
        )
        row = json.loads((run / "log.jsonl").read_text())
        assert row["softmax"] > 2 * np.log(7)  # three heads that know nothing yet
        assert {"triplet", "pull"} <= row.keys()
        network, facts = open_network(run)
        assert facts["width"] == network.backbone.width == 576

    def test_start_from_another_run(self, data, finished, tmp_path):
        later = replace(
            job(data, tmp_path / "run", "train.iterations=1", "optim.lr=0"), start_from=finished
        )
        start, end = weights(finished), weights(training.train(later, ALONE))
        assert torch.equal(start["backbone._conv_stem.weight"], end["backbone._conv_stem.weight"])
        assert not torch.equal(start["main.0.weight"], end["main.0.weight"])


class TestFaults:
    def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(
        self, data, tmp_path, monkeypatch
    ):
        measure = training.Runner._measure

        def spoil(self, batch):
            loss, parts = measure(self, batch)
            return (loss * float("nan") if self.n > 3 else loss), parts

        def count(self, batch, iteration):
            self.n = iteration + 1
            return step(self, batch, iteration)

        step = training.Runner.step
        monkeypatch.setattr(training.Runner, "_measure", spoil)
        monkeypatch.setattr(training.Runner, "step", count)
        with pytest.raises(LpwError, match=r"loss at iteration 4: got nan.*optim\.lr"):
            training.train(job(data, tmp_path / "run"), ALONE)
        assert run_folder.read_state(tmp_path / "run" / run_folder.CHECKPOINT).iteration == 2

    def test_memory_that_ends_is_told_with_the_setting(self, data, tmp_path, monkeypatch):
        def run_out(self, batch):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(training.Runner, "_measure", run_out)
        with pytest.raises(LpwError, match=r"data\.n_persons"):
            training.train(job(data, tmp_path / "run"), ALONE)

    def test_other_settings_are_listed(self, data, finished):
        with pytest.raises(LpwError, match=r"recipe\.optim\.lr: 0\.00035 then, 0\.5 now"):
            training.train(job(data, finished, "optim.lr=0.5", resume=True), ALONE)

    def test_a_run_that_is_there_is_not_overwritten(self, data, finished, tmp_path):
        with pytest.raises(LpwError, match="--resume"):
            training.train(job(data, finished), ALONE)
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(LpwError, match="other things"):
            training.train(job(data, tmp_path), ALONE)

    @pytest.mark.parametrize("content", [b"", b"\xff" * 64, None])
    def test_a_damaged_checkpoint_is_named(self, data, finished, tmp_path, content):
        run = tmp_path / "run"
        run.mkdir()
        (run / "run.json").write_bytes((finished / "run.json").read_bytes())
        whole = (finished / run_folder.CHECKPOINT).read_bytes()
        (run / run_folder.CHECKPOINT).write_bytes(
            whole[: len(whole) // 2] if content is None else content
        )
        with pytest.raises(MismatchError, match=r"checkpoint\.safetensors"):
            training.train(job(data, run, resume=True), ALONE)

    def test_a_dataset_without_splits(self, data, tmp_path):
        with pytest.raises(LpwError, match="lpw split"):
            training.train(replace(job(data, tmp_path / "run"), split=0), ALONE)

    def test_kill_9_at_every_write_of_a_checkpoint(self, data, finished, tmp_path):
        """The same command goes on, whatever point of a publication it was killed at."""
        out = tmp_path / "run"
        log = tmp_path / "points"
        counted = call(*arguments(data, tmp_path / "count", "train.iterations=2"))
        watched = {**os.environ, "LPW_FAULT_LOG": str(log)}
        done = subprocess.run(counted, env=watched, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        n_points = len(log.read_text().splitlines())
        assert n_points > 12
        for number in sorted({2, n_points // 3, n_points // 2, n_points - 4}):
            resume = ["--resume"] if (out / run_folder.RUN).is_file() else []
            killed = subprocess.run(call(*arguments(data, out, "train.iterations=2"), *resume),
                                    env={**os.environ, "LPW_FAULT": f"any:{number}"},
                                    capture_output=True)  # fmt: skip
            assert killed.returncode in (0, -signal.SIGKILL)
        again = subprocess.run(
            call(*arguments(data, out, "train.iterations=2"), "--resume"),
            capture_output=True,
            text=True,
        )
        assert again.returncode == 0, again.stderr
        assert differ(out, tmp_path / "count") == 0

    @pytest.mark.parametrize("how", ["ctrl-c", "end of all"])
    def test_a_signal_saves_after_the_step_and_the_same_command_goes_on(self, data, tmp_path, how):
        """Service managers and schedulers end all processes at once, also those that read ahead."""
        out = tmp_path / "run"
        words = arguments(data, out, "train.iterations=6", "train.checkpoint_every=1000")
        command = [*call(*words), "--workers", "2"]
        held = moments.hold_after("rqen.training.train", "Runner.step", 3)
        start = held + "import lpw_cli.main; lpw_cli.main.run()"
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        running = moments.start([sys.executable, "-c", start, *command[3:]], **pipes)
        moments.wait_until_held(running)
        number = signal.SIGINT if how == "ctrl-c" else signal.SIGTERM
        assert "Traceback" not in moments.signal_held(running, number)
        assert running.returncode == 128 + number
        assert run_folder.read_state(out / run_folder.CHECKPOINT).iteration == 3
        assert not (out / run_folder.MODEL).exists()
        with pytest.raises(ProcessLookupError):
            os.killpg(running.pid, 0)
        again = subprocess.run([*command, "--resume"], capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert (out / run_folder.MODEL).exists()

    def test_a_cuda_graph_is_refused_where_there_is_no_gpu(self, data, tmp_path):
        with pytest.raises(LpwError, match=r"train\.cuda_graph: got yes, for 1 x cpu"):
            training.train(job(data, tmp_path / "run", "train.cuda_graph=yes"), ALONE)


@pytest.fixture
def one_thread():
    """As torchrun gives to each process: sums in another order differ by more than what is
    tested."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
class TestTeam:
    def train_two(self, data: Path, out: Path, *changes: str, method: str = "rqen") -> Path:
        engine = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
        ]
        words = [method, *arguments(data, out, *changes)[1:]]
        command = [*engine, "-m", "lpw_cli", "train", *words]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=moments.PATIENCE_S,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        return out

    def test_two_processes_match_one_when_normalisation_is_frozen(self, data, tmp_path):
        changes = (
            "optim.freeze_bn=true", "optim.kind=sgd", "optim.lr=0.01", "train.iterations=3",
            "model.heads=frame",
            "model.weights=imagenet",
        )  # fmt: skip
        one = training.train(job(data, tmp_path / "one", *changes), ALONE)
        assert differ(one, self.train_two(data, tmp_path / "two", *changes)) < 1e-5

    def test_all_parameters_take_part_in_the_steps_of_two_processes(self, data, tmp_path):
        """The second step fails where the first one left out a parameter, as the scores of
        more_params once were behind a neck."""
        run = self.train_two(
            data, tmp_path / "run", "train.iterations=2", "optim.warmup=0", method="more_params"
        )
        assert run_folder.read_state(run / run_folder.MODEL).iteration == 2

    def test_with_live_normalisation_they_match_one_that_normalises_each_half(
        self, data, tmp_path, monkeypatch
    ):
        changes = ("optim.kind=sgd", "optim.lr=0.05", "train.iterations=1", "model.heads=frame")
        two = self.train_two(data, tmp_path / "two", *changes)

        class Halves(torch.nn.Module):
            """Runs the halves of a batch one after the other, as two processes would at the same
            time."""

            def __init__(self, network):
                super().__init__()
                self.network = network

            def forward(self, images):
                parts = [self.network(half) for half in images.chunk(2)]
                joined = [
                    torch.cat(values)
                    for values in zip(*(p._replace(logits=p.logits[0]) for p in parts), strict=True)
                ]
                output = type(parts[0])(*joined)
                return output._replace(logits=(output.logits,))

        monkeypatch.setattr(ProcessGroup, "join", lambda self, network: Halves(network))
        one = weights(training.train(job(data, tmp_path / "one", *changes), ALONE))
        other = weights(two)
        learned = [name for name in one if "running" not in name and "tracked" not in name]
        assert max(float((one[n] - other[n]).abs().max()) for n in learned) < 1e-5


class TestEmbed:
    @pytest.mark.parametrize("method", ["rqen", "more_params", "mean"])
    @pytest.mark.parametrize("heads", ["neck", "frame"])
    def test_streaming_equals_the_network_on_whole_sets(self, data, tmp_path, method, heads):
        run = training.train(
            job(
                data, tmp_path / "run", "train.iterations=1", f"model.heads={heads}", method=method
            ),
            ALONE,
        )
        network, _ = open_network(run)
        index = open_index(data)
        rows = np.array([5, 0, 9])
        found = [
            embed_tracklets(network, index, rows, SetEmbedOptions(64, 32, batch=b, n_workers=0))
            for b in (3, 64)
        ]
        np.testing.assert_allclose(found[0].vectors, found[1].vectors, atol=1e-5)
        for i, row in enumerate(rows):
            images = [
                index.images.decode(int(r), (64, 32))
                for r in range(index.starts[row], index.starts[row + 1])
            ]
            pixels = network.prepare(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))
            with torch.no_grad():
                whole = network(pixels[None])
            np.testing.assert_allclose(found[0].vectors[i], whole.embedding[0].numpy(), atol=1e-5)
        assert found[0].scores.shape == (found[0].n_frames.sum(), 1 if method == "mean" else 3)


class TestParts:
    def test_rates(self):
        step = OptimRecipe(schedule="step", steps=(2, 4), gamma=0.5)
        assert [rate_at(i, 6, step) for i in range(6)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
        cosine = OptimRecipe(schedule="cosine", warmup=10)
        assert rate_at(0, 110, cosine) == pytest.approx(0.01)
        assert rate_at(10, 110, cosine) == pytest.approx(1)
        assert rate_at(60, 110, cosine) == pytest.approx(0.5, abs=1e-3)

    def test_the_trial_takes_the_fastest_and_leaves_out_what_fails(self, monkeypatch):
        made, now = [], [0.0]
        monkeypatch.setattr(speed_trial.time, "perf_counter", lambda: now[0])

        def make_step(_, mode):
            if mode.channels_last:
                raise RuntimeError("not supported")
            made.append(mode.name)
            step_s = 0.02 if mode.precision == "bfloat16" else 0.001
            return lambda: now.append(now.pop() + step_s)

        modes = [Mode(p, layout, {}) for p in ("bfloat16", "float32") for layout in (True, False)]
        chosen = choose_mode(modes, torch.nn.Linear(1, 1), make_step)
        assert (chosen.precision, chosen.channels_last) == ("float32", False)
        assert (
            list(chosen.seconds) == made == ["bfloat16, channels first", "float32, channels first"]
        )

    def test_graphs_are_tried_only_where_steps_can_be_recorded(self):
        recipe = read_recipe("modern").train
        assert [mode.cuda_graph for mode in list_modes(recipe)] == [False] * 4
        assert [mode.cuda_graph for mode in list_modes(recipe, can_record=True)] == [
            False,
            True,
        ] * 4
        never = replace(recipe, cuda_graph="no", precision="float32")
        assert [mode.name for mode in list_modes(never, can_record=True)] == [
            "float32, channels first", "float32, channels last",
        ]  # fmt: skip

    def test_no_mode_that_runs(self):
        def fail(*_):
            raise RuntimeError("not supported")

        with pytest.raises(LpwError, match=r"train\.precision"):
            choose_mode(
                [Mode("float32", False, {}), Mode("bfloat16", False, {})],
                torch.nn.Linear(1, 1),
                fail,
            )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rqen", "--split", "none", "--resume"], "no run in"),
        (["rqen", "--recipe", "fast"], "paper"),
        (["rqen", "--split", "first"], "a number, all or none"),
        (["rqen", "--set", "optim.lr"], "SECTION.KEY=VALUE"),
        (["rqen", "--backbone", "vgg", "--split", "none"], "bn_inception"),
        (["rqen", "--split", "none", "--start-from", "nowhere", "--set", "model.weights=random"],
        "nowhere"),
    ],
)  # fmt: skip
def test_the_command_refuses_in_one_line(data, tmp_path, words, message):
    result = CliRunner().invoke(
        command, [*words, "--data", str(data), "--out", str(tmp_path / "run")]
    )
    assert isinstance(result.exception, LpwError)
    assert message in str(result.exception)


def test_the_command_knows_the_methods_of_the_folder():
    result = CliRunner().invoke(command, ["best"])
    assert result.exit_code == 2
    assert all(f"'{name}'" in result.output for name in ("rqen", "more-params", "more_params"))
