"""`lpw show`: contact sheets and timelines, or one person across cameras, as a local page."""

from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER, dataset_argument, open_named
from lpw_cli.say import say, say_result
from lpw_toolkit.errors import PartialError
from lpw_toolkit.pages.dataset_page import write_show
from lpw_toolkit.pages.persons_page import write_persons


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """The options of `lpw show`."""

    dataset: Path | None
    out: Path
    persons: bool
    single_file: bool
    max_crops: int


@lpw_command(ShowOptions)
@dataset_argument
@option("--out", type=FOLDER, default=Path("show"), show_default=True, help="Folder to be written.")
@option(
    "--persons", is_flag=True, help="By person: a row of crops for each camera that saw the person."
)
@option("--single-file", is_flag=True, help="Everything in one HTML file; up to 500 tracklets.")
@option(
    "--max-crops",
    type=click.IntRange(1, 60),
    default=12,
    show_default=True,
    help="Crops in a strip.",
)
def command(options: ShowOptions) -> None:
    """Writes DATASET as pictures: a timeline per camera, a strip of crops per tracklet. Nothing
    leaves the machine."""
    opened = open_named(options.dataset)
    write = write_persons if options.persons else write_show
    report = write(
        opened, options.out, single_file=options.single_file, max_crops=options.max_crops
    )
    say(*(f"problem: {line}" for line in report.problems), err=True)
    say_result({"page": str(report.page), "problems": report.problems}, f"open {report.page}")
    if report.problems:
        got = f"{len(report.problems)} crops that cannot be shown"
        raise PartialError(opened.root, got, "whole crops", "run `lpw check`")
