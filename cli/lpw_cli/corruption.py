"""`lpw corruption`: a study that tests whether quality by region helps where regions are
corrupted."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER, dataset_argument, dataset_folder
from lpw_cli.say import say_result

if TYPE_CHECKING:
    from rqen.corruption.plan import Position


@dataclass(frozen=True)
class MakeOptions:
    """The options of `lpw corruption make`."""

    dataset: Path | None
    out: Path
    tests: int
    train_draws: int
    split: int
    position: "Position"
    cover_width_frac: float
    blur_sigma_frac: float
    darken_factor: float


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of `lpw corruption evaluate`."""

    runs: tuple[Path, ...]
    data: Path
    corrupted: tuple[Path, ...]
    batch_size: int
    workers: int


@click.group()
def command() -> None:
    """Corrupts one body region in half the frames of each tracklet, and tests runs on that.

    The corrupted region is covered by a patch of another person, blurred or darkened. `make` writes
    FOLDER/train and FOLDER/test01, …; train on the first with `lpw train METHOD --data
    FOLDER/train`, and compare the runs with `evaluate`.
    """


@lpw_command(MakeOptions)
@dataset_argument
@option("--out", type=FOLDER, required=True, help="Folder of the corrupted datasets.")
@option(
    "--tests", type=click.IntRange(1, 99), default=1, show_default=True, help="Corrupted test sets."
)
@option(
    "--train-draws",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="Times each tracklet is in the training set.",
)
@option("--split", type=int, default=0, show_default=True, help="Split that is tested.")
@option(
    "--position",
    type=click.Choice(["regions", "random"]),
    default="regions",
    show_default=True,
    help="Where the corruption lies: on a region of 3:2:2, or as many rows at a random height.",
)
@option(
    "--cover-width-frac",
    type=float,
    default=0.8,
    show_default=True,
    help="Width of a covering patch, as a share of the image's width.",
)
@option(
    "--blur-sigma-frac",
    type=float,
    default=0.05,
    show_default=True,
    help="Standard deviation of the blur, as a share of the image's height.",
)
@option(
    "--darken-factor",
    type=float,
    default=0.15,
    show_default=True,
    help="Factor that darkens a region.",
)
def make(options: MakeOptions) -> None:
    """Writes the corrupted training and test sets of DATASET."""
    from lpw_toolkit.dataset.at_hand import SPLITS
    from rqen.corruption.plan import CorruptionConfig
    from rqen.corruption.study import make_corrupted_sets

    dataset = dataset_folder(options.dataset, SPLITS)
    config = CorruptionConfig(
        cover_width_frac=options.cover_width_frac,
        blur_sigma_frac=options.blur_sigma_frac,
        darken_factor=options.darken_factor,
        position=options.position,
    )
    sets = make_corrupted_sets(
        dataset, options.out, config,
        n_tests=options.tests, n_train_draws=options.train_draws, split=options.split,
    )  # fmt: skip
    lines = [f"train: {sets.train}", *(f"test: {test}" for test in sets.tests)]
    say_result({"train": str(sets.train), "tests": [str(test) for test in sets.tests]}, *lines)


@lpw_command(EvaluateOptions)
@click.argument("runs", type=FOLDER, nargs=-1, required=True)
@option("--data", type=FOLDER, required=True, help="The clean dataset.")
@option(
    "--corrupted",
    type=FOLDER,
    required=True,
    multiple=True,
    help="What `lpw corruption make` wrote: its --out; can be given several times.",
)
@option(
    "--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Frames at once."
)
@option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Processes that read ahead.",
)
def evaluate(options: EvaluateOptions) -> None:
    """Tests RUNS on the corrupted test sets; the first is compared with each of the others.

    Each camera is the query in turn, all others are the gallery, by cosine distance. AUC is the
    chance that a corrupted region scores lower than a clean one. Intervals (95 %) are a paired
    bootstrap over persons, and over the seeds of runs that differ in nothing else. With several
    --corrupted, each kind of corruption gets its table.
    """
    from rqen.corruption.study import evaluate_run, name_method, open_corrupted_sets
    from rqen.corruption.study_report import make_studies_report
    from rqen.inference.run_vectors import ScoringOptions

    folders = dict.fromkeys(options.corrupted)
    opened = {str(folder): open_corrupted_sets(options.data, folder) for folder in folders}
    scoring = ScoringOptions(options.batch_size, options.workers)
    studies = {
        name: (sets.noise, {str(run): evaluate_run(run, sets, scoring) for run in options.runs})
        for name, sets in opened.items()
    }
    methods = {str(run): name_method(run) for run in options.runs}
    facts, table = make_studies_report(studies, methods)
    say_result(facts, *table.splitlines())


command.add_command(make, "make")
command.add_command(evaluate, "evaluate")
