"""`lpw train`: RQEN, its ablations and the methods it is compared with."""

import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.estimates import announcer, dry_run_option
from lpw_cli.options import FOLDER, dataset_argument, offline_option, open_named
from lpw_cli.say import say_note, say_result, set_stopped
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.estimate import Announce, Estimate, describe_seconds
from lpw_toolkit.files.opening import is_file
from rqen.model.method import list_spellings

if TYPE_CHECKING:
    from rqen.training.job import TrainJob

#: Longer trainings are told how they become shorter, and how short.
LONG_S, SHORTER_S = 600.0, 300.0


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of `lpw train`."""

    method: str
    dataset: Path | None
    recipe: str | None
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
    dry_run: bool


@lpw_command(TrainOptions)
@click.argument("method", type=click.Choice(list_spellings()))
@dataset_argument
@option("--out", type=FOLDER, help="Folder of the run.  [default: runs/METHOD-RECIPE]")
@option("--recipe", help="A recipe by name, or a .toml file.  [default: the method's own]")
@option(
    "--split",
    default="0",
    show_default=True,
    help="Number of a split, all, or none: every named tracklet.",
)
@option("--resume", is_flag=True, help="Resume a run that was stopped.")
@dry_run_option()
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
    """Trains METHOD: RQEN, one of its ablations, or a method that it is compared with.

    Without DATASET it is the latest one at hand that has persons and splits. The test split is
    never used. Under torchrun (`torchrun --nproc-per-node 4 -m lpw_cli train …`)
    several processes train one network.
    """
    from lpw_toolkit.dataset.at_hand import PERSONS, SPLITS
    from lpw_toolkit.files.writing import refuse_unwritable
    from rqen.run.latest import name_latest, runs_folder
    from rqen.training.distributed import open_process_group
    from rqen.training.plan import TrainPlan, list_jobs
    from rqen.training.train import train

    dataset = open_named(options.dataset, PERSONS if options.split == "none" else SPLITS)
    runs = runs_folder()
    plan = TrainPlan(
        method=options.method,
        recipe=options.recipe,
        changes=options.changes,
        backbone=options.backbone,
        weights=options.weights,
        split=options.split,
        out=options.out,
        runs=runs,
        start_from=options.start_from,
        download=options.download,
        n_workers=options.workers,
        resume=options.resume,
        tensorboard=options.tensorboard,
    )
    refuse_unwritable(options.out or runs / "run")
    with open_process_group() as team:
        if options.dry_run and not team.is_alone:
            raise LpwError(
                "option --dry-run", f"{team.share.n} processes", "one", "leave torchrun out"
            )
        for job in list_jobs(dataset, plan):
            if team.leads:
                say_note(f"run: {job.out}")
            set_stopped(partial(_tell_stopped, job.out))
            run = train(job, team, _announcer(job, dry_run=options.dry_run))
            if team.leads:
                name_latest(run, runs)
                then = f"next: lpw eval {shlex.quote(str(run))}"
                say_result({"run": str(run)}, f"trained: {run}", then)


def _announcer(job: "TrainJob", *, dry_run: bool) -> Announce | None:
    """What is done with the estimate: where the training is long, how to make it shorter comes
    before it."""
    announce = announcer(dry_run=dry_run)
    if announce is None:
        return None

    def tell(estimate: Estimate) -> None:
        steps = job.recipe.train.iterations
        if estimate.seconds > LONG_S and steps:
            fewer = max(1, round(steps * SHORTER_S / estimate.seconds))
            say_note(
                f"shorter, and less well trained: --set train.iterations={fewer} takes about "
                f"{describe_seconds(SHORTER_S)}"
            )
        announce(estimate)

    return tell


def _tell_stopped(out: Path) -> str:
    kept = is_file(out / "run.json")
    then = "the same command with --resume goes on from the last checkpoint"
    return f"stopped; {then}" if kept else "stopped before the first step; nothing was written"
