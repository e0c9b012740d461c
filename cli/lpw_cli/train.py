"""`lpw train`: RQEN, its ablations and the methods it is compared with."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER, dataset_argument, offline_option, open_named
from lpw_cli.say import say_note, say_result
from lpw_toolkit.errors import LpwError
from rqen.model.method import list_spellings

if TYPE_CHECKING:
    from lpw_toolkit.dataset.dataset import Dataset
    from rqen.training.job import TrainJob


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of `lpw train`."""

    method: str
    dataset: Path | None
    recipe: str
    backbone: str | None
    weights: str | None
    download: bool
    split: str
    changes: tuple[str, ...]
    start_from: Path | None
    out: Path | None
    resume: bool
    workers: int
    tensorboard: bool


@lpw_command(TrainOptions)
@click.argument("method", type=click.Choice(list_spellings()))
@dataset_argument
@option("--out", type=FOLDER, help="Folder of the run.  [default: runs/METHOD-RECIPE]")
@option("--recipe", default="modern", show_default=True, help="A recipe by name, or a .toml file.")
@option(
    "--split",
    default="0",
    show_default=True,
    help="Number of a split, all, or none: every named tracklet.",
)
@option("--resume", is_flag=True, help="Resume a run that was stopped.")
@option("--backbone", help="A backbone by name, or timm:NAME.  [default: the recipe's]",
        heading="Network")  # fmt: skip
@option("--weights", help="imagenet, random, or a file.  [default: the recipe's]",
        heading="Network")  # fmt: skip
@option("--download", is_flag=True, heading="Network",
        help="Let a timm:NAME backbone fetch its weights itself, unpinned.")  # fmt: skip
@option("--start-from", type=FOLDER, help="Start from the weights of this run.",
        heading="Network")  # fmt: skip
@option(
    "--set",
    "changes",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    heading="Training",
    help="Change a value of the recipe.",
)
@option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    heading="Training",
    help="Processes that read ahead.",
)
@option(
    "--tensorboard",
    is_flag=True,
    heading="Training",
    help="Also write the log as TensorBoard reads it, to RUN/tensorboard.",
)
@offline_option
def command(options: TrainOptions) -> None:
    """Trains METHOD: rqen, ru, rm, rl, qan, qfix, more-params, mean or baseline.

    The test split is never used. Under torchrun (`torchrun --nproc-per-node 4 -m lpw_cli train …`)
    several processes train one network.
    """
    from rqen.training.distributed import open_process_group
    from rqen.training.train import train

    dataset = open_named(options.dataset)
    with open_process_group() as team:
        for job in _list_jobs(options, dataset):
            if team.leads:
                say_note(f"run: {job.out}")
            run = train(job, team)
            if team.leads:
                say_result({"run": str(run)}, f"trained: {run}")


def _list_jobs(options: TrainOptions, dataset: "Dataset") -> "list[TrainJob]":
    from lpw_toolkit.evaluation.trials import read_trials
    from rqen.recipe import read_recipe
    from rqen.training.job import TrainJob

    method, split = options.method, options.split
    network = {"backbone": options.backbone, "weights": options.weights}
    changes = [f'model.{name}="{value}"' for name, value in network.items() if value]
    recipe = read_recipe(options.recipe, (*changes, *options.changes)).adapt(method)
    recipe.specify(method)
    base = options.out or Path("runs") / f"{method.replace('-', '_')}-{recipe.name}"
    if split == "all":
        numbers: list[int | None] = [trial.split for trial in read_trials(dataset)]
        outs = [base / f"split{number}" for number in numbers]
    elif split == "none" or split.isdecimal():
        numbers, outs = [None if split == "none" else int(split)], [base]
    else:
        raise LpwError("option --split", split, "a number, all or none", "choose one of them")
    if options.resume and not any((out / "run.json").is_file() for out in outs):
        raise LpwError("option --resume", f"no run in {base}", "a run that was stopped",
                       "leave --resume out, or name the run with --out")  # fmt: skip
    return [
        TrainJob(
            dataset.root,
            place,
            method,
            recipe,
            split=number,
            start_from=options.start_from,
            download=options.download,
            n_workers=options.workers,
            resume=options.resume,
            tensorboard=options.tensorboard,
        )
        for number, place in zip(numbers, outs, strict=True)
    ]
