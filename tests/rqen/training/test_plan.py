"""What `lpw train` was asked for becomes jobs."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from lpw_cli.train import command as train_command
from make_reid import make_reid

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.trials import read_trials
from rqen import recipe_forms
from rqen.data.samplers import count_persons
from rqen.run.run_folder import read_run
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


class TestLength:
    """The real threshold is in test_recipe.py; here every dataset is large."""

    @pytest.fixture(autouse=True)
    def all_are_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recipe_forms, "LARGE_PERSONS", 3)

    def test_persons_who_train_are_counted(self, dataset: Dataset) -> None:
        persons = dataset.tracklets["person_id"].to_pylist()
        (trial,) = read_trials(dataset)
        train = {persons[row] for row in trial.train} - {None}
        assert count_persons(dataset, 0) == len(train) > 3
        assert count_persons(dataset, None) == len(set(persons) - {None}) > len(train)
        assert count_persons(dataset, 7) == 0

    def test_a_large_dataset_has_the_long_recipe(
        self, dataset: Dataset, plan: TrainPlan, capsys: pytest.CaptureFixture[str]
    ) -> None:
        released = replace(plan, method="rqen", recipe="released_pool2")
        (job,) = list_jobs(dataset, released)
        assert job.recipe.train.iterations == 150_000
        assert "the large form of recipe released_pool2, 150,000 steps" in capsys.readouterr().err
        (job,) = list_jobs(dataset, replace(released, method="baseline"))
        assert job.recipe.train.iterations == 50_000
        (job,) = list_jobs(dataset, replace(released, changes=("train.length=standard",)))
        assert job.recipe.train.iterations == 15_000

    def test_its_hours_are_printed_first_and_its_length_is_recorded(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        sets = ("data.height=64", "data.width=32", "data.n_frames=2", "train.precision=float32",
                "train.channels_last=no", "model.auxiliary=false")  # fmt: skip
        words = ["rqen", "--data", str(dataset.root), "--out", str(out), "--weights", "random"]
        words += ["--recipe", "paper", "--workers", "0"]
        words += [word for value in sets for word in ("--set", value)]
        tried = CliRunner().invoke(train_command, [*words, "--dry-run"])
        assert "150,000 of which are to come" in tried.stdout, tried.output
        assert tried.stdout.startswith("train: about ")
        assert not out.exists()
        done = CliRunner().invoke(train_command, [*words, "--set", "train.iterations=1"])
        assert done.exit_code == 0, done.output
        train = read_run(out)["recipe"]["train"]
        assert (train["length"], train["iterations"]) == ("large", 1)
