"""What `lpw train` was asked for becomes jobs: the recipe with its changes, and a run for each
split."""

from dataclasses import dataclass
from pathlib import Path

from lpw_toolkit.dataset.dataset import Dataset, refuse_inside_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.trials import read_trials
from lpw_toolkit.files.opening import is_file, is_folder
from lpw_toolkit.progress import say_once
from rqen.data.samplers import count_persons
from rqen.model.method import open_method
from rqen.recipe import Recipe, read_recipe
from rqen.recipe_forms import LARGE, STANDARD
from rqen.run.latest import LATEST
from rqen.run.run_folder import RUN
from rqen.training.job import TrainJob


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """What is to be trained, in the words of a user.

    Attributes:
        method: a name of `rqen.model.methods`.
        recipe: a recipe by name, or a .toml file; None is the method's own.
        changes: of the recipe: `section.key=value`.
        backbone, weights: of the network; None is the recipe's.
        split: number of a split, `all`, or `none`: every named tracklet.
        out: folder of the run, or with `all` of the runs; None is one in `runs` that method and
            recipe name.
        runs: the folder of runs.
        start_from, download, n_workers, resume, tensorboard: as in `TrainJob`.
    """

    method: str
    recipe: str | None = None
    changes: tuple[str, ...] = ()
    backbone: str | None = None
    weights: str | None = None
    split: str = "0"
    out: Path | None = None
    runs: Path
    start_from: Path | None = None
    download: bool = False
    n_workers: int = 1
    resume: bool = False
    tensorboard: bool = False

    def read_recipe(self, n_persons: int = 0) -> Recipe:
        """The recipe with all changes, in the form for `n_persons` training persons. Errors:
        LpwError."""
        network = {"backbone": self.backbone, "weights": self.weights}
        changes = [f'model.{name}="{value}"' for name, value in network.items() if value]
        recipe = read_recipe(
            self.recipe or open_method(self.method).recipe,
            (*changes, *self.changes),
            method=self.method,
            n_persons=n_persons,
        )
        recipe.specify(self.method)
        return recipe


def list_jobs(dataset: Dataset, plan: TrainPlan) -> list[TrainJob]:
    """The jobs of a plan: one, or with `all` one for each split of `dataset`.

    Errors: LpwError for a recipe or split that is not there, a place inside a dataset, and where
    there is nothing to resume.
    """
    recipe = plan.read_recipe()
    base = plan.out or plan.runs / f"{plan.method.replace('-', '_')}-{recipe.name}"
    refuse_inside_dataset(base)
    if is_folder(plan.runs / LATEST) or base.absolute() == (plan.runs / LATEST).absolute():
        got = f"a run in {plan.runs / LATEST}"
        do = "rename it, or choose another --out"
        raise LpwError("folder of the run", got, "a text that names the newest run", do)
    if plan.split == "all":
        numbers: list[int | None] = [trial.split for trial in read_trials(dataset)]
        outs = [base / f"split{number}" for number in numbers]
    elif plan.split == "none" or plan.split.isdecimal():
        numbers, outs = [None if plan.split == "none" else int(plan.split)], [base]
    else:
        raise LpwError("option --split", plan.split, "a number, all or none", "choose one of them")
    if plan.resume and not any(is_file(out / RUN) for out in outs):
        raise LpwError("option --resume", f"no run in {base}", "a run that was stopped",
                       "leave --resume out, or name the run with --out")  # fmt: skip
    counts = [count_persons(dataset, number) for number in numbers]
    for n_persons in dict.fromkeys(counts):
        _tell_length(plan.read_recipe(n_persons), n_persons)
    return [
        TrainJob(
            dataset.root,
            out,
            plan.method,
            plan.read_recipe(n_persons),
            split=number,
            start_from=plan.start_from,
            download=plan.download,
            n_workers=plan.n_workers,
            resume=plan.resume,
            tensorboard=plan.tensorboard,
        )
        for number, out, n_persons in zip(numbers, outs, counts, strict=True)
    ]


def _tell_length(recipe: Recipe, n_persons: int) -> None:
    if recipe.train.length == LARGE:
        say_once(
            f"note: {n_persons:,} persons train: the {LARGE} form of recipe {recipe.name}, "
            f"{recipe.train.iterations:,} steps (train.length={STANDARD} takes the other)"
        )
