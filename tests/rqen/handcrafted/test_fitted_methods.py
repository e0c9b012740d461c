"""TDL and STA as methods: they are fitted, resumed, embedded and tested like RQEN."""

import numpy as np
import pytest
from make_reid import make_reid
from safetensors.numpy import load_file
from tiny_runs import ALONE, OPTIONS

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.evaluation.rerank import RerankConfig
from rqen.inference.run_vectors import embed_run, make_embeddings
from rqen.model.method import open_method
from rqen.recipe import read_recipe
from rqen.reproduce.rows import find_row
from rqen.training.job import TrainJob
from rqen.training.train import train

QUICK = {"tdl": (), "sta": ("method.n_components=2", "method.n_starts=1", "method.n_dims=4")}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_reid(tmp_path_factory.mktemp("fitted") / "d", n_rounds=5)


def make_job(dataset: Dataset, out, method: str, *, n_workers: int = 0) -> TrainJob:
    recipe = read_recipe(open_method(method).recipe, QUICK[method])
    return TrainJob(dataset.root, out, method, recipe, n_workers=n_workers)


@pytest.mark.parametrize("method", ["tdl", "sta"])
def test_is_fitted_and_tested(method: str, dataset: Dataset, tmp_path, capsys) -> None:
    run = train(make_job(dataset, tmp_path / "run", method), ALONE)
    found = embed_run(run, dataset.root, OPTIONS)
    assert found.present.all()
    assert np.isfinite(found.vectors).all()
    assert (found.own is None) == (method == "tdl")
    told = capsys.readouterr().err
    for text in ("10 of 10 tracklets have no", "20 of 20 tracklets have no"):  # 3 to 7 frames
        assert (text in told) == (method == "sta")
    embeddings = make_embeddings(found)
    rerank = RerankConfig(k1=3, k2=2)
    for settings in (DistanceSettings("own"), DistanceSettings("own", rerank=rerank)):
        evaluated = evaluate(dataset, embeddings, "market", settings)
        values = {row["metric"]: row["value"] for row in evaluated.metrics.to_pylist()}
        assert 0 < values["map"] <= 1
    again = train(make_job(dataset, tmp_path / "again", method, n_workers=1), ALONE)
    assert (again / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_the_weight_and_its_choice_are_in_the_run(dataset: Dataset, tmp_path) -> None:
    run = train(make_job(dataset, tmp_path / "run", "tdl"), ALONE)
    arrays = load_file(run / "model.safetensors")
    tried, weight = arrays["model.tried"], arrays["model.weight"]
    assert weight.shape == (1,)
    assert len(tried) == 0 or weight[0] == tried[tried[:, 1].argmax(), 0]
    assert (arrays["model.violated"] <= 1).all()


def test_the_recipes_say_every_setting() -> None:
    for method in ("tdl", "sta"):
        spec = open_method(method)
        recipe = read_recipe(spec.recipe)
        assert set(dict(recipe.method)) == set(spec.settings.__dataclass_fields__)
        assert recipe.read_settings(method) == spec.settings()
        assert (recipe.data.height, recipe.data.width) == (128, 64)


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        ("tdl", "method.weight=1.5", r"method\.weight: got 1\.5; expected a number from 0 to 1"),
        ("tdl", "method.n_dims=0", r"method\.n_dims: got 0"),
        ("sta", "method.sample_share=0", r"method\.sample_share: got 0"),
        ("sta", "method.max_cycles=1", r"method\.max_cycles: got 1"),
        ("sta", "method.metric=lda", r"method\.metric"),
    ],
)
def test_settings_out_of_their_range(method: str, change: str, message: str) -> None:
    recipe = read_recipe(open_method(method).recipe, (change,))
    with pytest.raises(LpwError, match=message):
        recipe.specify(method)


def test_rows_of_the_paper_and_what_may_follow() -> None:
    assert find_row("sta").method == "sta"
    assert find_row("tdl+rerank").label == "TDL+Rerank"
    assert find_row("rqen+tdl").label == "RQEN+TDL"
