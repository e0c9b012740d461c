"""What `lpw train` was asked for becomes jobs."""

from dataclasses import replace
from pathlib import Path

import pytest
from make_reid import make_reid

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from rqen.training.plan import TrainPlan, list_jobs


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_reid(tmp_path / "d")


@pytest.fixture
def plan(tmp_path: Path) -> TrainPlan:
    return TrainPlan(method="more-params", runs=tmp_path / "runs")


def test_one_run_that_method_and_recipe_name(dataset: Dataset, plan: TrainPlan) -> None:
    (job,) = list_jobs(dataset, replace(plan, changes=("data.n_frames=3",), weights="random"))
    assert (job.data, job.out) == (dataset.root, plan.runs / "more_params-modern")
    assert (job.split, job.method, job.recipe.data.n_frames) == (0, "more-params", 3)
    assert job.recipe.model.weights == "random"
    (job,) = list_jobs(dataset, replace(plan, split="none", out=plan.runs.parent / "mine"))
    assert (job.split, job.out.name) == (None, "mine")


def test_a_run_for_each_split(dataset: Dataset, plan: TrainPlan) -> None:
    (job,) = list_jobs(dataset, replace(plan, split="all"))
    assert (job.split, job.out) == (0, plan.runs / "more_params-modern" / "split0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "first"}, "option --split: got first"),
        ({"resume": True}, "no run in"),
        ({"method": "best"}, "best"),
        ({"recipe": "no-such"}, "no-such"),
    ],
)
def test_what_cannot_be(
    dataset: Dataset, plan: TrainPlan, change: dict[str, str], message: str
) -> None:
    with pytest.raises(LpwError, match=message):
        list_jobs(dataset, replace(plan, **change))


def test_places_that_are_taken(dataset: Dataset, plan: TrainPlan) -> None:
    with pytest.raises(LpwError, match="a place inside the dataset d"):
        list_jobs(dataset, replace(plan, out=dataset.root / "runs" / "x"))
    with pytest.raises(LpwError, match="a text that names the newest run"):
        list_jobs(dataset, replace(plan, out=plan.runs / "latest"))
    (plan.runs / "latest").mkdir(parents=True)
    with pytest.raises(LpwError, match="a text that names the newest run"):
        list_jobs(dataset, plan)
