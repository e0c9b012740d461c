"""`lpw eval` from the outside: figures, files, the lock over several results, bad input, start-up
without torch."""

import csv
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from fakes import write_fake
from lpw_cli.main import main
from make_dataset import make_dataset
from make_labelled import PLACES, SMALL_MARS, make_labelled, two_cameras

from lpw_toolkit.benchmarks.reader import list_benchmarks
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.schema import METRICS, QUERIES
from lpw_toolkit.dataset.tables import read_table
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, write_embeddings
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import faults

OUTPUTS = [
    "metrics.parquet",
    "queries.parquet",
    "results.txt",
    "table.csv",
    "table.json",
    "table.md",
    "table.tex",
]


def lpw(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["eval", *map(str, arguments)])


def show(*arguments: object) -> str:
    done = lpw(*arguments)
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


def embed(dataset: Dataset, out: Path, vectors: Any, model: str = "line") -> Path:
    facts = EmbeddingFacts(model, None, dataset.manifest["digest"], "all")
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    write_embeddings(out, ids, np.asarray(vectors, np.float32), facts)
    return out


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`mars` and `prid`, each with embeddings beside it."""
    root = tmp_path_factory.mktemp("eval")
    mars = make_labelled(root / "mars", **SMALL_MARS, name="mars")
    embed(
        mars,
        root / "mars.parquet",
        [[PLACES[name]] for name in mars.tracklets["tracklet_id"].to_pylist()],
    )
    prid = make_labelled(root / "prid", **two_cameras(20, 10), name="prid")
    rng = np.random.default_rng(0)
    persons = rng.normal(size=(20, 6))
    seen = [
        persons[int(name[-3:])] + rng.normal(size=6) * 0.7
        for name in prid.tracklets["tracklet_id"].to_pylist()
    ]
    embed(prid, root / "prid.parquet", seen)
    return root


def on_mars(home: Path, *more: object) -> list[object]:
    return [
        "--embeddings",
        home / "mars.parquet",
        "--data",
        home / "mars",
        "--metric",
        "euclidean",
        *more,
    ]


def on_prid(home: Path, *more: object) -> list[object]:
    return [
        "--embeddings",
        home / "prid.parquet",
        "--data",
        home / "prid",
        "--protocol",
        "prid2011",
        *more,
    ]


class TestFigures:
    @pytest.mark.parametrize(
        ("protocol", "cells"),
        [
            ("mars", ["60.0", "100.0", "100.0", "100.0", "73.3", "83.3", "5", "11", "0"]),
            (
                "mars_queries_back",
                ["60.0", "100.0", "100.0", "100.0", "81.7", "83.3", "5", "9", "0"],
            ),
            ("mars-torchreid", ["66.7", "100.0", "100.0", "100.0", "83.3", "83.3", "5", "4", "2"]),
        ],
    )
    def test_three_rules_three_numbers(self, protocol: str, cells: list[str], home: Path) -> None:
        lines = show(*on_mars(home, "--protocol", protocol)).splitlines()
        assert lines[1].split() == ["line", "Euclidean", *cells]
        assert any(line.startswith("gallery: ") for line in lines)
        assert ("2 of 5 queries have no right answer in the gallery, skipped: q1, q2" in lines) == (
            cells[-1] == "2"
        )

    def test_ten_splits_and_one(self, home: Path) -> None:
        assert "±" in show(*on_prid(home))
        assert "splits: mean of 10" in show(*on_prid(home))
        one = show(*on_prid(home, "--split", 3))
        assert "±" not in one
        assert "splits: split 3" in one

    def test_compare_protocols(self, home: Path) -> None:
        shown = show(*on_mars(home, "--protocol", "mars", "--compare-protocols"))
        assert [line.split()[1] for line in shown.splitlines()[1:9]] == [
            "mars", "mars", "cross_camera", "cross_camera", "mars_queries_back",
            "mars_queries_back",
            "mars_torchreid", "mars_torchreid",
        ]  # fmt: skip
        assert (
            "mars_queries_back, trapezoid AP: its gallery lacks 2 junk, which no query sees anyway"
            in shown
        )
        assert "mars, step AP: AP is the mean precision at the right answers" in shown

    @pytest.mark.parametrize(
        "metric", ["cosine", "euclidean", "sqeuclidean", "xqda", "kissme", "tdl"]
    )
    def test_every_metric_with_and_without_reranking(self, metric: str, home: Path) -> None:
        plain = show(*on_prid(home, "--metric", metric, "--pca", 3))
        rerank = ["--rerank", "--k1", 5, "--lambda", 1, "--half", "half_up"]
        again = show(*on_prid(home, "--metric", metric, "--pca", 3, *rerank))
        assert plain.splitlines()[1].split()[-9:] == again.splitlines()[1].split()[-9:], (
            "lambda 1 keeps the order"
        )
        assert "re-ranking (k1 5, k2 6, lambda 1, half half_up)" in again

    def test_seed_and_solver_are_said(self, home: Path) -> None:
        shown = show(
            *on_prid(
                home, "--metric", "xqda", "--solver", "svd", "--dims", 2, "--seed", 5, "--split", 0
            )
        )
        assert "XQDA (svd, 2 dims, ridge 0.001), learned on the training part, seed 5" in shown

    def test_learned_on_another_dataset(self, home: Path, tmp_path: Path) -> None:
        other = make_labelled(
            tmp_path / "ilids", **two_cameras(40, 1, ("cam1", "cam2")), name="ilids"
        )
        vectors = np.random.default_rng(1).normal(size=(80, 6))
        train = [
            "--train-data",
            other.root,
            "--train-embeddings",
            embed(other, tmp_path / "e.parquet", vectors),
        ]
        base = ["--embeddings", home / "prid.parquet", "--data", home / "prid", "--metric", "xqda"]
        shown = show(*base, "--protocol", "cross_dataset", *train)
        assert f"learned on ilids ({other.manifest['digest'][:12]})" in shown
        assert shown.splitlines()[1].split()[-3:] == ["20", "20", "0"]
        assert "mean of 10" in show(*base, "--protocol", "cross_dataset_half", *train)

    def test_the_dataset_at_hand(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(home / "mars", tmp_path / "mars")
        monkeypatch.chdir(tmp_path)
        done = lpw(
            "--embeddings", home / "mars.parquet", "--protocol", "mars", "--metric", "euclidean"
        )
        assert done.exit_code == 0
        assert "dataset: mars" in done.stderr

    def test_frames_are_pooled(self, home: Path, tmp_path: Path) -> None:
        ids = list(PLACES)
        rows = [
            (name, i, [PLACES[name] + shift])
            for name in ids
            for i, shift in enumerate((-0.01, 0.01))
        ]
        columns = dict(
            zip(
                ("tracklet_id", "position", "embedding"),
                map(list, zip(*rows, strict=True)),
                strict=True,
            )
        )
        pq.write_table(pa.table(columns), tmp_path / "frames.parquet")
        options = ["--data", home / "mars", "--protocol", "mars", "--metric", "euclidean"]
        shown = show("--embeddings", tmp_path / "frames.parquet", *options)
        assert (
            shown.splitlines()[1].split()[2:]
            == show(*on_mars(home, "--protocol", "mars")).splitlines()[1].split()[2:]
        )
        assert "frames used: 26 of 52, pooled by mean" in shown
        assert "pooled by max" in show(
            "--embeddings", tmp_path / "frames.parquet", *options, "--pooling", "max"
        )


class TestFiles:
    def test_a_folder_of_tables(self, home: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        show(*on_mars(home, "--protocol", "mars_torchreid", "--out", out))
        assert sorted(os.listdir(out)) == OUTPUTS
        rows = read_table(out / "metrics.parquet", METRICS).to_pylist()
        assert {row["metric"]: row["value"] for row in rows}["map"] == pytest.approx(2.5 / 3)
        queries = read_table(out / "queries.parquet", QUERIES).to_pylist()
        assert [q["tracklet_id"] for q in queries if q["skipped"]] == ["q1", "q2"]
        record = json.loads((out / "table.json").read_text())
        assert record["skipped"] == ["q1", "q2"]
        assert float(next(csv.DictReader((out / "table.csv").open()))["map"]) == pytest.approx(
            2.5 / 3
        )
        assert "skipped: q1, q2" in (out / "table.md").read_text()
        assert str(tmp_path) not in "".join((out / name).read_text() for name in OUTPUTS[2:])

    def test_equal_runs_write_equal_bytes_and_replace_each_other(
        self, home: Path, tmp_path: Path
    ) -> None:
        for name in ("one", "two", "one"):
            show(*on_prid(home, "--metric", "xqda", "--out", tmp_path / name))
        assert sorted(os.listdir(tmp_path)) == ["one", "two"]
        for name in OUTPUTS:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

    @pytest.mark.parametrize("suffix", ["png", "svg"])
    def test_a_plot(self, suffix: str, home: Path, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        show(
            *on_mars(
                home,
                "--protocol",
                "mars",
                "--compare-protocols",
                "--plot",
                tmp_path / f"cmc.{suffix}",
            )
        )
        head = (tmp_path / f"cmc.{suffix}").read_bytes()[:100]
        assert head.startswith(b"\x89PNG") if suffix == "png" else b"<?xml" in head

    def test_a_page(self, tmp_path: Path) -> None:
        dataset = make_dataset(tmp_path / "d", n_tracklets=24, n_frames=2)
        labels = dataset.tracklets.to_pylist()
        vectors = [[hash_of(row["person_id"]), i / 100, 1.0] for i, row in enumerate(labels)]
        embeddings = embed(dataset, tmp_path / "e.parquet", vectors)
        page = tmp_path / "worst.html"
        show(
            "--embeddings",
            embeddings,
            "--data",
            dataset.root,
            "--protocol",
            "market",
            "--page",
            page,
        )
        text = page.read_text()
        assert "data:image" in text
        assert dataset.digest[:12] in text
        assert "own camera" in text

    @pytest.mark.parametrize("form", ["csv", "json", "markdown", "latex"])
    def test_forms(self, form: str, home: Path) -> None:
        shown = show(*on_prid(home, "--format", form))
        if form == "json":
            assert len(json.loads(shown)["lines"]) == 11
            assert shown == show(*on_prid(home, "--json"))
        marks = {
            "csv": "cmc@1:std",
            "json": "dataset_digest",
            "markdown": "| --- |",
            "latex": r"\begin{tabular}",
        }
        assert marks[form] in shown

    def test_several_results_in_one_table(self, home: Path, tmp_path: Path) -> None:
        show(*on_prid(home, "--out", tmp_path / "cosine"))
        show(*on_prid(home, "--metric", "kissme", "--pca", 3, "--out", tmp_path / "kissme"))
        shown = show(
            "--table", tmp_path / "cosine", tmp_path / "kissme" / "metrics.parquet"
        ).splitlines()
        assert [line.split()[1] for line in shown[1:3]] == ["cosine", "KISSME"]

    def test_the_lock(self, home: Path, tmp_path: Path) -> None:
        for protocol in ("mars", "mars_torchreid"):
            show(*on_mars(home, "--protocol", protocol, "--out", tmp_path / protocol))
        both = [tmp_path / "mars", tmp_path / "mars_torchreid"]
        done = lpw("--table", *both)
        assert isinstance(done.exception, LpwError)
        assert "protocol lock: got protocol: mars / mars_torchreid; gallery:" in str(done.exception)
        assert "AP form: trapezoid / step" in str(done.exception)
        assert "so they do not rank the models" in show("--table", *both, "--mix")


def hash_of(person: str | None) -> float:
    return float(sum(map(ord, person or "")))


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--protocol", "duke"], "option --protocol: got duke; expected cross_camera,"),
            (["--protocol", "prid2011"], "cameras of the query: got c1, c2, c3; expected cam_a"),
            (["--protocol", "mars", "--split", "x"], "option --split: got x"),
            (["--protocol", "mars", "--split", "-1"], "option --split: got -1"),
            (
                ["--protocol", "mars", "--split", "7"],
                "option --split: got 7; expected one of 0, or all",
            ),
            (
                ["--protocol", "mars", "--pooling", "max"],
                "option --pooling: got one row per tracklet",
            ),
            (
                ["--protocol", "mars", "--plot", "cmc.jpg"],
                "option --plot: got cmc.jpg; expected a name that ends in .png",
            ),
            (["--protocol", "mars", "--page", "page"], "option --page: got page"),
            (
                ["--protocol", "mars", "--embeddings", "none.parquet"],
                "none.parquet: got no such file",
            ),
            (["--protocol", "mars", "--data", "none"], "none: got no such folder"),
            (["--protocol", "mars", "--metric", "cosine"], "which have no direction: q1"),
        ],
    )
    def test_in_one_line(
        self, options: list[str], message: str, home: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        done = lpw(*on_mars(home, *options, "--out", out))
        assert isinstance(done.exception, LpwError), done.output
        assert done.exception.exit_code == 2
        assert message in str(done.exception)
        assert not out.exists()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--k1", "5"], "--k1 belongs to --rerank"),
            (["--lambda", "0.5"], "--lambda belongs to --rerank"),
            (["--half", "half_up"], "--half belongs to --rerank"),
            (["--drop-twins"], "--deduplicate-queries belongs to --rerank"),
            (["--solver", "svd"], "--solver belongs to --metric xqda"),
            (
                ["--seed", "3"],
                "--seed belongs to --metric kissme or --metric tdl or --metric xqda or --pca",
            ),
            (["--metric", "xqda", "--train-data", "a"], "belongs to --train-emb"),
            (["--table"], "--embeddings and --table do not go together"),
            (["stray"], "RUN and --embeddings do not go together"),
            (["--lambda", "2", "--rerank"], "not in the range"),
            (["--k1", "0", "--rerank"], "not in the range"),
            (["--pca", "0"], "not in the range"),
        ],
    )
    def test_options_that_change_nothing(
        self, options: list[str], message: str, home: Path
    ) -> None:
        done = lpw(*on_mars(home, "--protocol", "mars", *options))
        assert done.exit_code == 2
        assert message in done.output

    def test_what_is_missing(self, home: Path) -> None:
        assert "--table needs folders" in lpw("--table").output

    def test_places_that_are_not_free(self, home: Path, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").write_text("precious")
        for option, place in (
            ("--out", tmp_path / "mine"),
            ("--out", home / "mars" / "r"),
            ("--plot", home / "mars/c.png"),
        ):
            done = lpw(*on_mars(home, "--protocol", "mars", option, place))
            assert isinstance(done.exception, LpwError)
        assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"
        assert sorted(os.listdir(home / "mars")) == [
            "dataset.json", "frames.parquet", "splits.parquet", "tracklets.parquet"
        ]  # fmt: skip

    def test_embeddings_of_another_dataset_exit_3(self, home: Path) -> None:
        done = lpw(
            "--embeddings", home / "prid.parquet", "--data", home / "mars", "--protocol", "mars"
        )
        assert isinstance(done.exception, LpwError)
        assert done.exception.exit_code == 3


class TestStart:
    def test_no_torch_and_no_pictures(self, home: Path) -> None:
        code = (
            "import sys; sys.argv = ['lpw', 'eval', '--embeddings', 'prid.parquet', '--data', "
            "'prid', '--protocol',"
            " 'prid2011', '--metric', 'xqda', '--rerank']\nfrom lpw_cli.main import run\ntry: "
            "run()\n"
            "finally: print('LOADED', *sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True
        )
        loaded = set(run.stdout.partition("LOADED")[2].split())
        assert "re-ranking" in run.stdout
        assert not {"torch", "cv2", "av", "onnxruntime", "matplotlib"} & loaded

    def test_quick(self, home: Path) -> None:
        """In CPU time, which other processes on the machine hardly change."""
        command = [sys.executable, "-m", "lpw_cli", "eval", *map(str, on_prid(home))]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


@pytest.mark.parametrize("benchmark", list_benchmarks())
def test_imported_benchmarks_are_scored_by_their_own_protocol(
    benchmark: str, tmp_path: Path
) -> None:
    write_fake(benchmark, tmp_path / "raw", np.random.default_rng(0))
    run = [
        "import",
        benchmark.replace("_", "-"),
        str(tmp_path / "raw"),
        "--out",
        str(tmp_path / "d"),
        "--allow-partial",
    ]
    done = CliRunner().invoke(main, run)
    assert done.exit_code == 0, done.output
    dataset = open_dataset(tmp_path / "d")
    persons = dataset.tracklets["person_id"].to_pylist()
    rng = np.random.default_rng(1)
    known = {person: rng.normal(size=8) for person in sorted({p for p in persons if p})}
    vectors = [known.get(person, rng.normal(size=8)) for person in persons]
    options = [
        "--embeddings",
        embed(dataset, tmp_path / "e.parquet", vectors),
        "--data",
        dataset.root,
    ]
    record = json.loads(show(*options, "--protocol", benchmark, "--json"))
    last = record["lines"][-1]
    assert last["cmc@1"] == 1.0, "persons are told apart without fault"
    assert last["split_source"]
    compared = show(*options, "--protocol", benchmark, "--compare-protocols")
    assert "against " + benchmark in compared


@pytest.mark.realdata
def test_mini_lpw_with_the_colours_of_real_crops(shared_data: Path, tmp_path: Path) -> None:
    """Import, vectors for each frame, figures: real crops, where colours alone find well above
    chance."""
    cv2 = pytest.importorskip("cv2")
    run = [
        "import",
        "lpw",
        str(shared_data / "mini_lpw"),
        "--out",
        str(tmp_path / "d"),
        "--in-place",
        "--allow-partial",
    ]
    done = CliRunner().invoke(main, run)
    assert done.exit_code == 0, done.output
    dataset = open_dataset(tmp_path / "d")
    tracklets, splits = dataset.tracklets.to_pylist(), dataset.splits
    assert splits is not None
    wanted = {row["tracklet_id"] for row in splits.to_pylist() if row["subset"] != "train"}
    assert len(wanted) == 116 + 198
    frames = dataset.frames.select(["tracklet_id", "position", "image"]).to_pylist()
    rows = [row for row in frames if row["tracklet_id"] in wanted]
    vectors = []
    for row in rows:
        bands = np.array_split(cv2.imread(str(dataset.image_file(row["image"]["path"]))), 6)
        vectors.append(
            np.concatenate(
                [np.histogram(band[..., c], 8, (0, 256))[0] for band in bands for c in range(3)]
            )
        )
    columns = {name: [row[name] for row in rows] for name in ("tracklet_id", "position")}
    table = pa.table({**columns, "embedding": pa.array([v.astype(np.float32) for v in vectors])})
    pq.write_table(table, tmp_path / "colours.parquet")
    shown = show(
        "--embeddings",
        tmp_path / "colours.parquet",
        "--data",
        dataset.root,
        "--protocol",
        "lpw",
        "--json",
    )
    line = json.loads(shown)["lines"][0]
    assert (line["n_query"], line["n_gallery"], line["frames_used"]) == (
        116,
        198,
        "all, pooled by mean",
    )
    assert line["cmc@1"] > 0.3
    assert "not the published LPW" in line["split_source"]
    assert len(tracklets) == 1091


@pytest.mark.parametrize("fault", ["write:1", "write:4", "fsync:1", "rename:1"])
def test_a_full_disk_leaves_no_results(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    faults._hits.clear()
    monkeypatch.setenv("LPW_FAULT", f"{fault}:ENOSPC")
    done = lpw(*on_mars(home, "--out", tmp_path / "r"))
    assert isinstance(done.exception, LpwError) and "no space left" in str(done.exception).lower()
    assert not (tmp_path / "r").exists()
    monkeypatch.delenv("LPW_FAULT")
    show(*on_mars(home, "--out", tmp_path / "r"))
    assert sorted(file.name for file in (tmp_path / "r").iterdir()) == OUTPUTS
