"""`lpw show`: contact sheets and timelines, or one person across cameras, as a local page."""

from pathlib import Path

import click

from lpw_cli.options import FOLDER, json_option, open_named
from lpw_cli.say import say, say_json
from lpw_toolkit.errors import PartialError
from lpw_toolkit.pages.dataset_page import write_show
from lpw_toolkit.pages.persons_page import write_persons
from lpw_toolkit.progress import set_style


@click.command()
@click.argument("dataset", type=FOLDER, required=False)
@click.option(
    "--out", type=FOLDER, default=Path("show"), show_default=True, help="Folder to be written."
)
@click.option(
    "--persons", is_flag=True, help="By person: a row of crops for each camera that saw the person."
)
@click.option(
    "--single-file", is_flag=True, help="Everything in one HTML file; up to 500 tracklets."
)
@click.option(
    "--max-crops",
    type=click.IntRange(1, 60),
    default=12,
    show_default=True,
    help="Crops in a strip.",
)
@json_option
def command(
    dataset: Path | None,
    *,
    out: Path,
    persons: bool,
    single_file: bool,
    max_crops: int,
    as_json: bool,
) -> None:
    """Writes DATASET as pictures: a timeline per camera, a strip of crops per tracklet. Nothing
    leaves the machine."""
    set_style("json" if as_json else "auto")
    opened = open_named(dataset)
    write = write_persons if persons else write_show
    report = write(opened, out, single_file=single_file, max_crops=max_crops)
    say(*(f"problem: {line}" for line in report.problems), err=True)
    if as_json:
        say_json({"page": str(report.page), "problems": report.problems})
    else:
        say(f"open {report.page}")
    if report.problems:
        got = f"{len(report.problems)} crops that cannot be shown"
        raise PartialError(opened.root, got, "whole crops", "run `lpw check`")
