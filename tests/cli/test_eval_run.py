"""`lpw embed RUN` and `lpw eval RUN`: from a trained run to vectors, scores and figures in one
command."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result
from lpw_cli.main import main
from make_reid import SplitRow, make_reid, rewrite
from tiny_runs import evaluate_run, read_scores

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.schema import METRICS
from lpw_toolkit.dataset.tables import read_table
from lpw_toolkit.embedding.embeddings import read_embeddings
from lpw_toolkit.errors import LpwError, MismatchError
from rqen.inference.run_vectors import ScoringOptions, embed_run
from rqen.recipe import read_recipe
from rqen.run import run_folder
from rqen.training.distributed import ProcessGroup, Shard
from rqen.training.job import TrainJob
from rqen.training.train import train

SMALL = (
    "model.weights=random", "model.last_stride=2", "data.height=64", "data.width=32",
    "data.n_persons=4",
    "data.n_sets=2", "data.n_frames=2", "data.crop=2", "train.iterations=1",
    "train.precision=float32",
    "train.channels_last=no", "optim.warmup=0",
)  # fmt: skip


def lpw(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


def show(*words: object) -> Result:
    done = lpw(*words)
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done


def refuse(*words: object) -> str:
    """The one line in which a command refuses."""
    done = lpw(*words)
    assert done.exit_code
    if isinstance(done.exception, LpwError):
        assert "\n" not in str(done.exception)
        return str(done.exception)
    assert isinstance(done.exception, SystemExit)
    return done.output.splitlines()[-1]


def make_run(dataset: Dataset, out: Path, split: int | None = 0, method: str = "rqen") -> Path:
    alone = ProcessGroup(Shard(), torch.device("cpu"))
    return train(
        TrainJob(dataset.root, out, method, read_recipe("modern", SMALL), split=split, n_workers=0),
        alone,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset `d`, `halves` with two splits that swap the scenes, and runs: `run`, `all` and
    `qfix`, and `half`."""
    root = tmp_path_factory.mktemp("home")
    dataset = make_reid(root / "d")
    halves = make_reid(root / "halves", n_rounds=5, seed=1)
    rewrite(halves, splits=swap_scenes(halves))
    plans = {"run": (0, "rqen"), "all": (None, "rqen"), "qfix": (0, "qfix"), "half": (1, "qan")}
    for name, (split, method) in plans.items():
        make_run(halves if name == "half" else dataset, root / name, split, method)
    return root


def swap_scenes(dataset: Dataset) -> list[SplitRow]:
    rows: list[SplitRow] = []
    for split in (0, 1):
        for name, camera in zip(
            *(dataset.tracklets[c].to_pylist() for c in ("tracklet_id", "camera_id")), strict=True
        ):
            part = "gallery" if camera.endswith("view1") else "query"
            if int(name[-1]) < 3 or camera.startswith("scen2"):
                rows.append(
                    (split, "train" if camera.startswith(f"scen{2 - split}") else part, name)
                )
    return rows


def on(home: Path, *words: object) -> list[object]:
    return ["eval", home / "run", "--data", home / "d", "--protocol", "lpw", "--workers", 0, *words]


class TestEmbed:
    def test_vectors_and_scores(self, home: Path, tmp_path: Path) -> None:
        out, quality = tmp_path / "e.parquet", tmp_path / "q.parquet"
        words = ["embed", home / "run", "--data", home / "d", "--out", out, "--workers", 0]
        done = show(*words, "--quality", quality)
        found = embed_run(home / "run", home / "d", ScoringOptions(n_workers=0))
        read = read_embeddings(out, found.dataset)
        np.testing.assert_allclose(read.vectors, found.vectors, atol=1e-6)
        assert read.facts == found.facts
        np.testing.assert_allclose(read_scores(quality, found.dataset), found.scores, atol=1e-6)
        assert "16 tracklets, 3840 numbers each, from 78 images" in done.stdout
        assert "3 scores for each of 78 images" in done.stdout
        said = json.loads(show(*words, "--json").stdout)
        assert (said["n_tracklets"], said["n_regions"], said["quality"]) == (16, 3, None)

    def test_what_it_writes_can_be_evaluated(self, home: Path, tmp_path: Path) -> None:
        out = tmp_path / "e.parquet"
        show("embed", home / "run", "--data", home / "d", "--out", out, "--workers", 0)
        one = show("eval", "--embeddings", out, "--data", home / "d", "--protocol", "lpw").stdout
        assert one.splitlines()[1] == show(*on(home)).stdout.splitlines()[1]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "give one of RUN, --onnx"),
            (["run", "--onnx", "m.onnx"], "RUN and --onnx do not go together"),
            (["run", "--pooling", "max"], "--pooling belongs to --onnx"),
            (["run", "--flip"], "--flip belongs to --onnx"),
            (["run", "--threads", "2"], "--threads belongs to --onnx"),
            (["--onnx", "m.onnx", "--quality", "q.parquet"], "--quality belongs to RUN"),
            (["--onnx", "m.onnx", "--workers", "0"], "--workers belongs to RUN"),
            (["run", "--batch-size", "0"], "1 or more"),
            (["d"], "without run.json"),
            (["nowhere"], "no such folder"),
            (["run", "--out", "d/e.parquet"], "a place inside the dataset d"),
            (["run", "--quality", "d/q.parquet"], "a place inside the dataset d"),
            (["qfix", "--quality", "q.parquet"], "scores no frame"),
        ],
    )
    def test_bad_calls(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
    ) -> None:
        monkeypatch.chdir(home)
        assert message in refuse("embed", *words, "--data", "d")
        assert not (home / "embeddings.parquet").exists()


class TestEval:
    def test_the_figures_are_those_of_the_library(self, home: Path, tmp_path: Path) -> None:
        show(
            *on(
                home,
                "--out",
                tmp_path / "out",
                "--plot",
                tmp_path / "cmc.png",
                "--page",
                tmp_path / "p.html",
            )
        )
        expected = evaluate_run(
            embed_run(home / "run", home / "d", ScoringOptions(n_workers=0)), "lpw"
        )["all"]
        rows = read_table(tmp_path / "out" / "metrics.parquet", METRICS)
        assert rows["value"].to_pylist() == pytest.approx(expected.metrics["value"].to_pylist())
        assert rows["model"].unique().to_pylist() == [expected.facts["model"]]
        assert (tmp_path / "cmc.png").stat().st_size > 1000
        assert "rqen-modern-efficientnet_lite0" in (tmp_path / "p.html").read_text("utf-8")

    def test_each_region_stands_beside_all(self, home: Path, tmp_path: Path) -> None:
        done = show(
            *on(home, "--ablate", "regions", "--format", "json", "--plot", tmp_path / "cmc.svg")
        )
        models = [line["model"].split(" (")[0] for line in json.loads(done.stdout)["lines"]]
        base = "rqen-modern-efficientnet_lite0"
        assert models == [base, f"{base} +RU", f"{base} +RM", f"{base} +RL"]
        assert all(name in (tmp_path / "cmc.svg").read_text() for name in models)
        assert "+RM" in show(*on(home, "--ablate", "regions")).stdout

    @pytest.mark.parametrize(
        "words",
        [["--rerank", "--k1", 3], ["--metric", "kissme", "--pca", 2], ["--compare-protocols"]],
    )
    def test_options_of_eval(self, home: Path, words: list[object]) -> None:
        assert "rqen-modern" in show(*on(home, *words)).stdout

    def test_only_what_is_needed_is_embedded(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []

        def note(*words: Any) -> Any:
            asked.append(words[3])
            return embed_run(*words)

        monkeypatch.setattr("rqen.inference.run_vectors.embed_run", note)
        show(*on(home))
        show(*on(home, "--metric", "euclidean", "--pca", 2))
        assert len(asked[0]) == 8  # scene 1
        assert asked[1] is None

    def test_a_run_is_tested_on_its_own_split(self, home: Path) -> None:
        words = [
            "eval",
            home / "half",
            "--data",
            home / "halves",
            "--protocol",
            "market",
            "--workers",
            0,
        ]
        shown = show(*words).stdout
        assert "splits: split 1" in shown
        assert "trained on" not in shown
        assert show(*words, "--split", 1).stdout == shown
        for split in ("0", "all"):
            message = refuse(*words, "--split", split)
            assert "trained on split 1 of little" in message and "--allow-seen" in message
        assert "--split" in refuse(*words, "--split", "7")

    def test_another_split_of_its_own_dataset_is_printed_if_asked_for(self, home: Path) -> None:
        words = ["eval", home / "half", "--data", home / "halves", "--protocol", "market",
                 "--workers", 0, "--allow-seen", "--split"]  # fmt: skip
        said = json.loads(show(*words, 0, "--json").stdout)
        assert [(line["split"], line["n_seen"]) for line in said["lines"]] == [(0, 2)]
        shown = show(*words, "all").stdout
        assert shown.splitlines()[0].endswith("trained on")
        assert "show persons whom the model was trained on" in shown

    def test_on_another_dataset_every_split_counts(self, home: Path) -> None:
        words = [
            "eval",
            home / "run",
            "--data",
            home / "halves",
            "--protocol",
            "market",
            "--workers",
            0,
        ]
        assert "mean of 2" in show(*words).stdout
        assert "splits: split 0" in show(*words, "--split", 0).stdout
        assert "one of 0, 1, or all" in refuse(*words, "--split", 2)

    def test_figures_of_persons_that_trained_are_asked_for_and_say_so(
        self, home: Path, tmp_path: Path
    ) -> None:
        words = ["eval", home / "all", "--data", home / "d", "--protocol", "lpw", "--workers", 0]
        told = "4 of 4 queries show persons whom the model was trained on: no test of it"
        out = ["--out", tmp_path / "out", "--plot", tmp_path / "p.png"]
        for more in ([], out, ["--compare-protocols"], ["--ablate", "regions"]):
            message = refuse(*words, *more)
            assert told in message and "--allow-seen" in message
        assert not list(tmp_path.iterdir())
        shown = show(*words, "--allow-seen", "--ablate", "regions", *out[:2]).stdout
        assert told in shown
        lines = shown.splitlines()
        assert lines[0].endswith("trained on")
        assert all(line.endswith("4 of 4") for line in lines[1:5])
        rows = read_table(tmp_path / "out" / "metrics.parquet", METRICS)
        assert set(rows["n_seen"].to_pylist()) == {4}
        said = json.loads(show(*words, "--allow-seen", "--json").stdout)
        assert [line["n_seen"] for line in said["lines"]] == [4]
        again = show("eval", "--table", tmp_path / "out").stdout
        assert again.splitlines()[1].endswith("4 of 4")
        compared = show(*words, "--allow-seen", "--compare-protocols", "--json").stdout
        assert {line["n_seen"] for line in json.loads(compared)["lines"]} == {4}

    def test_figures_of_others_say_that_too(self, home: Path) -> None:
        assert "trained on" not in show(*on(home)).stdout
        said = json.loads(show(*on(home, "--json")).stdout)
        assert [line["n_seen"] for line in said["lines"]] == [0]

    def test_embeddings_of_a_run_know_whom_it_has_seen(self, home: Path, tmp_path: Path) -> None:
        out = tmp_path / "e.parquet"
        show("embed", home / "all", "--data", home / "d", "--out", out, "--workers", 0)
        words = ["eval", "--embeddings", out, "--data", home / "d", "--protocol", "lpw"]
        assert "4 of 4 queries show persons whom the model" in refuse(*words)
        assert "4 of 4" in show(*words, "--allow-seen").stdout
        frames = ["--per-frame", "--out", tmp_path / "f.parquet"]
        show("embed", home / "all", "--data", home / "d", *frames, "--workers", 0)
        words[2] = tmp_path / "f.parquet"
        assert "4 of 4 queries show persons whom the model" in refuse(*words)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["run", "qfix", "--protocol", "lpw"], "RESULTS belong to --table"),
            (
                ["run", "--embeddings", "e.parquet", "--protocol", "lpw"],
                "RUN and --embeddings do not go together",
            ),
            (
                ["--ablate", "regions", "--embeddings", "e.parquet", "--protocol", "lpw"],
                "--ablate belongs to RUN",
            ),
            (["run", "--pooling", "max", "--protocol", "lpw"], "--pooling belongs to --embeddings"),
            (
                ["run", "--ablate", "regions", "--compare-protocols", "--protocol", "lpw"],
                "leave one out",
            ),
            (["run", "--ablate", "joints", "--protocol", "lpw"], "regions"),
            (["nowhere", "--protocol", "lpw"], "no such folder"),
            (["d", "--protocol", "lpw"], "without run.json"),
            (["run", "--protocol", "best"], "ilids_vid"),
            (["run", "--protocol", "prid2011"], "cam_a"),
        ],
    )
    def test_bad_calls(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
    ) -> None:
        monkeypatch.chdir(home)
        assert message in refuse("eval", *words, "--data", "d")

    def test_regions_of_a_vector_without(self, home: Path) -> None:
        words = [
            "--data",
            home / "halves",
            "--protocol",
            "market",
            "--workers",
            0,
            "--ablate",
            "regions",
        ]
        assert "one region" in refuse("eval", home / "half", *words)

    def test_a_dataset_with_one_camera(self, home: Path, tmp_path: Path) -> None:
        dataset = make_reid(tmp_path / "d", n_rounds=1, split=False)
        rewrite(dataset, lambda _: {"camera_id": "one", "kind": "person", "person_id": "p"})
        message = refuse(
            "eval", home / "run", "--data", tmp_path / "d", "--protocol", "market", "--workers", 0
        )
        assert "one camera (one); expected two cameras or more" in message

    @pytest.mark.parametrize("name", [run_folder.MODEL, run_folder.RUN])
    def test_damaged_files_of_a_run(self, home: Path, tmp_path: Path, name: str) -> None:
        run = tmp_path / "run"
        shutil.copytree(home / "run", run)
        (run / name).write_bytes((run / name).read_bytes()[:-200])
        done = lpw("eval", run, "--data", home / "d", "--protocol", "lpw", "--workers", 0)
        assert isinstance(done.exception, MismatchError)
        assert f"{name}: got a damaged file" in str(done.exception)
        (run / name).unlink()
        assert ("not complete" if name == run_folder.MODEL else "without run.json") in refuse(
            "eval", run, "--data", home / "d", "--protocol", "lpw"
        )

    def test_an_image_that_is_damaged(self, home: Path, tmp_path: Path) -> None:
        make_reid(tmp_path / "d", n_rounds=2)
        image = tmp_path / "d" / "images" / "scen1" / "view2" / "000001" / "2.jpg"
        image.write_bytes(image.read_bytes()[:-40])
        message = refuse("eval", home / "run", "--data", tmp_path / "d", "--protocol", "lpw")
        assert message.startswith("images/scen1/view2/000001/2.jpg: got")


def test_quality_opens_elsewhere(home: Path, tmp_path: Path) -> None:
    quality = tmp_path / "q.parquet"
    words = [
        "--data",
        home / "d",
        "--out",
        tmp_path / "e.parquet",
        "--quality",
        quality,
        "--workers",
        0,
    ]
    show("embed", home / "run", *words)
    assert pq.read_table(quality).column_names == ["tracklet_id", "position", "region", "score"]
