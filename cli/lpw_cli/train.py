"""`lpw train`: RQEN, its ablations and the methods it is compared with."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpw_cli.options import FOLDER, json_option, open_named
from lpw_cli.say import say, say_json
from lpw_toolkit.errors import LpwError
from lpw_toolkit.progress import set_style
from rqen.model.method import list_spellings

if TYPE_CHECKING:
    from rqen.training.job import TrainJob


@click.command()
@click.argument("method", type=click.Choice(list_spellings()))
@click.option("--data", type=FOLDER, help="Dataset.  [default: the one at hand]")
@click.option(
    "--recipe", default="modern", show_default=True, help="A recipe by name, or a .toml file."
)
@click.option("--backbone", help="A backbone by name, or timm:NAME.  [default: the recipe's]")
@click.option("--weights", help="imagenet, random, or a file.  [default: the recipe's]")
@click.option("--download", is_flag=True, help="Fetch public weights that are not on this machine.")
@click.option(
    "--split",
    default="0",
    show_default=True,
    help="Number of a split, all, or none: every named tracklet.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Change a value of the recipe.",
)
@click.option("--start-from", type=FOLDER, help="A run whose weights are the start.")
@click.option("--out", type=FOLDER, help="Folder of the run.  [default: runs/METHOD-RECIPE]")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped, to the same end.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Processes that read ahead.",
)
@click.option(
    "--tensorboard",
    is_flag=True,
    help="Also write the log as TensorBoard reads it, to RUN/tensorboard.",
)
@json_option
def command(
    method: str, *, data: Path | None, out: Path | None, split: str, as_json: bool, **options: Any
) -> None:
    """Trains RQEN, an ablation of it, or a method it is compared with.

    The test split is never looked at. Under torchrun
    (`torchrun --nproc-per-node 4 -m lpw_cli train …`) several processes train one network.
    """
    from rqen.training.distributed import open_process_group
    from rqen.training.train import train

    set_style("json" if as_json else "auto")
    root = open_named(data).root
    with open_process_group() as team:
        for job in _list_jobs(method, root, out, split, options):
            if team.leads:
                say(f"run: {job.out}", err=True)
            run = train(job, team)
            if team.leads:
                report = say_json if as_json else say
                report({"run": str(run)} if as_json else f"trained: {run}")


def _list_jobs(
    method: str, root: Path, out: Path | None, split: str, options: dict[str, Any]
) -> "list[TrainJob]":
    from lpw_toolkit.dataset.dataset import open_dataset
    from lpw_toolkit.evaluation.trials import read_trials
    from rqen.recipe import read_recipe
    from rqen.training.job import TrainJob, refuse_new_runs

    changes = [
        f'model.{name}="{options[name]}"' for name in ("backbone", "weights") if options[name]
    ]
    recipe = read_recipe(options["recipe"], (*changes, *options["changes"])).adapt(method)
    recipe.specify(method)
    base = out or Path("runs") / f"{method.replace('-', '_')}-{recipe.name}"
    if split == "all":
        numbers: list[int | None] = [trial.split for trial in read_trials(open_dataset(root))]
        outs = [base / f"split{number}" for number in numbers]
    elif split == "none" or split.isdecimal():
        numbers, outs = [None if split == "none" else int(split)], [base]
    else:
        raise LpwError("option --split", split, "a number, all or none", "choose one of them")
    shared = {
        "start_from": options["start_from"], "download": options["download"],
        "n_workers": options["workers"], "resume": options["resume"],
        "tensorboard": options["tensorboard"],
    }  # fmt: skip
    jobs = [
        TrainJob(root, place, method, recipe, split=number, **shared)
        for number, place in zip(numbers, outs, strict=True)
    ]
    if options["resume"]:
        refuse_new_runs(jobs)
    return jobs
