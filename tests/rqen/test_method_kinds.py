"""Methods of every kind are added by one file, or by another package: they train, resume, embed and
are tested as RQEN is."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from lpw_cli.main import main
from make_reid import make_reid
from plugin_tools import add_plugin
from safetensors.numpy import load_file
from source_lines import ROOT
from tiny_methods import FITTED, NETWORK, PAIRS
from tiny_runs import ALONE, OPTIONS, SMALL

import rqen
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.evaluation.rerank import RerankConfig
from rqen.inference.frame_vectors import write_frame_vectors
from rqen.inference.run_vectors import embed_run, make_embeddings, refuse_unscored
from rqen.model.method import METHODS, open_spec
from rqen.quality_page.scored_tracklets import QualityView
from rqen.recipe import read_recipe
from rqen.reproduce.rows import find_row
from rqen.run import run_folder
from rqen.run.trained_network import open_network
from rqen.training.job import TrainJob
from rqen.training.plan import TrainPlan, list_jobs
from rqen.training.train import forecast, train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Tracklets of 3 to 7 frames."""
    return make_reid(tmp_path_factory.mktemp("kinds") / "d", n_rounds=5)


@pytest.fixture(params=["file", "entry point"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def add(name: str, text: str, tmp_path: Path, patch: pytest.MonkeyPatch, way: str = "file") -> None:
    (tmp_path / "plugin").mkdir()
    add_plugin(METHODS, way, name, text, tmp_path / "plugin", patch)


def make_job(dataset: Dataset, out: Path, method: str, *changes: str, **more: bool) -> TrainJob:
    recipe = read_recipe("demo", (*SMALL, "train.checkpoint_every=1", *changes))
    return TrainJob(dataset.root, out, method, recipe, n_workers=0, **more)


class TestNetwork:
    def test_it_trains_and_is_tested(self, dataset, tmp_path, monkeypatch, way):
        add("halves", NETWORK, tmp_path, monkeypatch, way)
        job = make_job(dataset, tmp_path / "run", "halves", "method.width=5")
        run = train(job, ALONE)
        said = run_folder.read_run(run)
        assert (said["method"], said["recipe"]["method"]) == ("halves", {"width": 5})
        assert load_file(run / "model.safetensors")["model.layer.weight"].shape == (5, 6)
        found = embed_run(run, dataset.root, OPTIONS)
        assert found.vectors.shape == (len(dataset.tracklets), 5)
        assert (found.facts.model, found.scored, found.own) == (
            "halves-demo-efficientnet_lite0", False, None,
        )  # fmt: skip
        evaluated = evaluate(dataset, make_embeddings(found), "market", DistanceSettings("own"))
        assert evaluated.facts["distance"] == "cosine"

    def test_a_stopped_run_ends_with_the_same_weights(self, dataset, tmp_path, monkeypatch):
        add("halves", NETWORK, tmp_path, monkeypatch)
        whole = train(make_job(dataset, tmp_path / "a", "halves", "train.iterations=3"), ALONE)
        again = train(make_job(dataset, tmp_path / "b", "halves", "train.iterations=3"), ALONE)
        (again / "model.safetensors").unlink()
        job = make_job(dataset, tmp_path / "b", "halves", "train.iterations=3", resume=True)
        train(job, ALONE)
        assert (whole / "model.safetensors").read_bytes() == (
            again / "model.safetensors"
        ).read_bytes()

    def test_short_tracklets_are_left_out_and_told(self, dataset, tmp_path, monkeypatch, capsys):
        add("long_halves", NETWORK.replace("min_frames=3", "min_frames=5"), tmp_path, monkeypatch)
        run = train(make_job(dataset, tmp_path / "run", "long_halves"), ALONE)
        lengths = np.array(dataset.tracklets["n_frames"].to_pylist())
        trains = [
            camera.startswith("scen2") for camera in dataset.tracklets["camera_id"].to_pylist()
        ]
        n_all, n_short = sum(trains), int((lengths[trains] < 5).sum())
        assert 0 < n_short < n_all
        assert f"{n_short} of {n_all} training tracklets have less than 5 frames" in (
            capsys.readouterr().err
        )
        assert run_folder.read_run(run)["n_tracklets"] == n_all - n_short

    def test_a_dataset_of_another_kind_is_refused_in_one_line(self, dataset, tmp_path, monkeypatch):
        needs = {"min_frames=3": "no tracklet of 40 frames", "frame_times=True": "without times"}
        for number, (need, expected) in enumerate(needs.items()):
            text = NETWORK.replace("min_frames=3", need.replace("3", "40"))
            add_plugin(METHODS, "file", f"odd{number}", text, tmp_path, monkeypatch)
            with pytest.raises(LpwError, match=expected):
                train(make_job(dataset, tmp_path / f"run{number}", f"odd{number}"), ALONE)
            assert not (tmp_path / f"run{number}").exists()

    def test_settings_that_it_does_not_have_are_refused(self, dataset, tmp_path, monkeypatch):
        add("halves", NETWORK, tmp_path, monkeypatch)
        recipe = read_recipe("demo", ("method.wide=5",))
        with pytest.raises(LpwError, match=r"did you mean method\.width"):
            recipe.specify("halves")
        with pytest.raises(LpwError, match=r"method\.wide"):
            recipe.specify("rqen")

    def test_it_has_no_regions_and_no_quality(self, dataset, tmp_path, monkeypatch):
        add("halves", NETWORK, tmp_path, monkeypatch)
        run = train(make_job(dataset, tmp_path / "run", "halves"), ALONE)
        with pytest.raises(LpwError, match="which has no regions"):
            open_network(run)
        with pytest.raises(LpwError, match="without regions and quality"):
            open_spec("halves")
        with pytest.raises(LpwError, match="which has no regions"):
            write_frame_vectors(run, dataset.root, tmp_path / "f.parquet", OPTIONS)
        with pytest.raises(LpwError, match="which weighs all frames alike"):
            QualityView(run)
        with pytest.raises(LpwError, match="which scores no frame"):
            refuse_unscored(run)
        assert not (tmp_path / "f.parquet").exists()

    def test_it_is_opened_in_python(self, dataset, tmp_path, monkeypatch):
        add("halves", NETWORK, tmp_path, monkeypatch)
        model = rqen.load(train(make_job(dataset, tmp_path / "run", "halves"), ALONE))
        assert (model.method, model.size) == ("halves", (64, 32))
        found = model.describe(np.full((4, 64, 32, 3), 9, np.uint8))
        assert found.vector.shape == (8,)
        with pytest.raises(LpwError, match="resize the frames"):
            model.describe(np.zeros((4, 32, 64, 3), np.uint8))


class TestFitted:
    @pytest.fixture
    def run(self, dataset, tmp_path, monkeypatch, way) -> Path:
        add("colours", FITTED, tmp_path, monkeypatch, way)
        return train(make_job(dataset, tmp_path / "run", "colours", "method.floor=2.5"), ALONE)

    def test_named_arrays_are_the_model_of_the_run(self, run, dataset):
        arrays = load_file(run / "model.safetensors")
        assert {name: value.shape for name, value in arrays.items()} == {
            "model.mean": (3,), "model.scale": (3,),
        }  # fmt: skip
        assert (arrays["model.scale"] >= 2.5).all()
        said = run_folder.read_run(run)
        assert said["kept"] == {"chosen_by": "fitted", "iteration": 0}
        assert len(said["persons"]) == 5
        assert (run / "seen_images.bin").is_file()
        assert said["model_sha256"]

    def test_sets_of_vectors_are_tested(self, run, dataset):
        found = embed_run(run, dataset.root, OPTIONS)
        embeddings = make_embeddings(found)
        own = evaluate(dataset, embeddings, "market", DistanceSettings("own"))
        assert own.facts["distance"] == "sets of colours"
        mean = evaluate(dataset, embeddings, "market", DistanceSettings("euclidean"))
        assert mean.facts["distance"] == "Euclidean"
        settings = DistanceSettings("own", rerank=RerankConfig(3, 2))
        again = evaluate(dataset, embeddings, "market", settings)
        assert again.facts["distance"].startswith("sets of colours + re-ranking")
        learned = evaluate(dataset, embeddings, "market", DistanceSettings("xqda"))
        assert learned.facts["distance"].startswith("XQDA")
        with pytest.raises(LpwError, match="option --pca"):
            evaluate(dataset, embeddings, "market", DistanceSettings("own", pca=2))

    def test_what_it_cannot_describe_is_left_out_and_told(self, run, dataset, monkeypatch):
        method = METHODS.load("colours")
        needs = type(method.METHOD.needs)(min_test_frames=4)
        object.__setattr__(method.METHOD, "needs", needs)
        found = embed_run(run, dataset.root, OPTIONS)
        short = np.array(dataset.tracklets["n_frames"].to_pylist()) < 4
        assert 0 < short.sum() < len(short)
        assert (found.present == ~short).all()
        evaluated = evaluate(dataset, make_embeddings(found), "market", DistanceSettings("own"))
        assert any("are left out of queries and gallery" in note for note in evaluated.notes)
        tested = np.concatenate(
            [evaluated.results[0].trial.query, evaluated.results[0].trial.gallery]
        )
        assert not short[tested].any()

    def test_a_second_start_fits_nothing(self, run, dataset, monkeypatch):
        before = (run / "model.safetensors").read_bytes()
        monkeypatch.setattr("rqen.training.fit._fit_arrays", lambda *_: pytest.fail("fitted again"))
        train(make_job(dataset, run, "colours", "method.floor=2.5", resume=True), ALONE)
        assert (run / "model.safetensors").read_bytes() == before
        with pytest.raises(LpwError, match=r"recipe\.method\.floor: 2\.5 then, 3\.0 now"):
            train(make_job(dataset, run, "colours", "method.floor=3.0", resume=True), ALONE)

    def test_a_changed_array_is_found(self, run, dataset):
        data = bytearray((run / "model.safetensors").read_bytes())
        data[-1] ^= 1
        (run / "model.safetensors").write_bytes(bytes(data))
        with pytest.raises(MismatchError):
            embed_run(run, dataset.root, OPTIONS)


def test_a_fit_that_is_not_finite_is_refused(dataset, tmp_path, monkeypatch):
    add("colours", FITTED.replace("found.mean(0)", "found.mean(0) * np.nan"), tmp_path, monkeypatch)
    with pytest.raises(LpwError, match="colours, mean: got NaN"):
        train(make_job(dataset, tmp_path / "run", "colours"), ALONE)
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_one_camera_is_refused_where_two_are_needed(dataset, tmp_path, monkeypatch):
    add("colours", FITTED, tmp_path, monkeypatch)
    monkeypatch.setattr(
        "rqen.training.start.choose_rows",
        lambda index, split: np.flatnonzero(
            [name == "scen2/view1" for name in index.tracklets["camera_id"].to_pylist()]
        ),
    )
    with pytest.raises(LpwError, match="no person seen by two cameras"):
        train(make_job(dataset, tmp_path / "run", "colours"), ALONE)


def test_workers_change_nothing(dataset, tmp_path, monkeypatch):
    add("colours", FITTED, tmp_path, monkeypatch)
    runs = []
    for n_workers in (0, 2):
        job = make_job(dataset, tmp_path / f"run{n_workers}", "colours")
        runs.append(train(TrainJob(**{**vars(job), "n_workers": n_workers}), ALONE))
    assert len({(run / "model.safetensors").read_bytes() for run in runs}) == 1


def test_a_fit_is_estimated_and_writes_nothing(dataset, tmp_path, monkeypatch):
    add("colours", FITTED, tmp_path, monkeypatch)
    estimate, mode = forecast(make_job(dataset, tmp_path / "run", "colours"), ALONE)
    assert "the fit comes on top" in estimate.basis
    assert mode is None
    assert not (tmp_path / "run").exists()


class TestPairs:
    @pytest.fixture
    def run(self, dataset, tmp_path, monkeypatch, way) -> Path:
        add("maps", PAIRS, tmp_path, monkeypatch, way)
        return train(make_job(dataset, tmp_path / "run", "maps", "train.validation=0.4"), ALONE)

    def test_every_pair_is_scored_once_in_bounded_pieces(self, run, dataset):
        embeddings = make_embeddings(embed_run(run, dataset.root, OPTIONS))
        scored = METHODS.load("maps").SCORED
        scored.clear()
        found = evaluate(dataset, embeddings, "market", DistanceSettings("own"))
        trial = found.results[0].trial
        assert sum(scored) == len(trial.query) * len(trial.gallery)
        assert max(scored) <= 3
        assert found.facts["distance"] == "maps of pairs"

    def test_re_ranking_scores_half_of_all_pairs(self, run, dataset):
        embeddings = make_embeddings(embed_run(run, dataset.root, OPTIONS))
        scored = METHODS.load("maps").SCORED
        scored.clear()
        settings = DistanceSettings("own", rerank=RerankConfig(3, 2))
        trial = evaluate(dataset, embeddings, "market", settings).results[0].trial
        n = len(trial.query) + len(trial.gallery)
        assert sum(scored) == n * (n + 1) // 2

    def test_it_is_calibrated_on_the_persons_held_out(self, run):
        said = run_folder.read_run(run)
        assert said["kept"]["calibrated"]["bias"] == 0.5
        assert said["kept"]["calibrated"]["n"] >= 2 * len(said["validation"]) > 0
        stored = load_file(run / "model.safetensors")["model.layer.bias"]
        assert (stored == 0.5).all()


def test_commands_take_a_method_of_another_kind(dataset, tmp_path, monkeypatch):
    """`train`, `eval`, `embed` and `reproduce`, as a user calls them."""
    add("colours", FITTED, tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)

    def lpw(*words: object) -> str:
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.stdout

    plan = TrainPlan(method="colours", runs=tmp_path / "runs", n_workers=0)
    (job,) = list_jobs(open_dataset(dataset.root), plan)
    assert job.recipe.name == "demo"
    run = train(job, ALONE)
    words = ("eval", run, "--data", dataset.root, "--protocol", "market", "--workers", 0)
    assert "sets of colours" in lpw(*words, "--format", "json")
    assert "Euclidean" in lpw(*words, "--format", "json", "--metric", "euclidean")
    lpw("embed", run, dataset.root, "--out", tmp_path / "e.parquet", "--workers", 0)
    table = pq.read_table(tmp_path / "e.parquet")
    assert table.num_rows == len(dataset.tracklets)
    text = lpw(
        "reproduce", "table2", "--data", dataset.root, "--out", tmp_path / "o", "--workers", 0,
        "--method", "colours+rerank", "--method", "colours", "--method", "colours+euclidean",
        "--json",
    )  # fmt: skip
    rows = {row["row"]: row["ours"] for row in json.loads(text)["rows"]}
    assert all(rows[name]["n"] == 1 for name in ("colours", "colours_rerank", "colours_euclidean"))
    assert len(list((tmp_path / "o" / "runs").iterdir())) == 1


def test_the_fitted_method_of_the_docs_trains(dataset, tmp_path, monkeypatch):
    (text,) = re.findall(
        r"`methods/colours\.py`:\n\n```python\n(.*?)```",
        (ROOT / "docs" / "extending.md").read_text("utf-8"),
        re.DOTALL,
    )
    add("colours", text, tmp_path, monkeypatch)
    found = embed_run(
        train(make_job(dataset, tmp_path / "run", "colours"), ALONE), dataset.root, OPTIONS
    )
    assert found.own.title == "sets of colours"


def test_a_pipeline_is_a_string():
    row = find_row("rqen+xqda+rerank")
    assert (row.name, row.run, row.metric, row.rerank) == ("rqen_xqda_rerank", "rqen", "xqda", True)
    assert row.settings == DistanceSettings("xqda", rerank=RerankConfig())
    assert find_row("rqen-xqda-rerank") == find_row("rqen_xqda_rerank") == row
    assert find_row("ru+kissme").cut == 0
    assert find_row("rqen_pretrained+xqda").run == "rqen_pretrained"
    for wrong in (
        "rqen+rerank+xqda",
        "rqen+rerank+rerank",
        "rqen+xqda+kissme",
        "+xqda",
        "rqen+own",
    ):
        with pytest.raises(LpwError, match="option --method"):
            find_row(wrong)


def test_old_recipes_are_recorded_as_they_were():
    values = read_recipe("modern").values()
    assert "method" not in values
    assert not {"cut_height", "n_pairs", "views"} & values["data"].keys()
    changed = read_recipe("modern", ("data.cut_height=64", "data.n_pairs=2")).values()
    assert (changed["data"]["cut_height"], changed["data"]["n_pairs"]) == (64, 2)
