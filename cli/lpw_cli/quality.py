"""`lpw quality`: what a run's quality predictor says, painted on frames."""

from pathlib import Path
from typing import Any

import click

from lpw_cli.options import FOLDER, dataset_folder, json_option
from lpw_cli.say import say, say_json
from lpw_toolkit.progress import set_style


@click.command()
@click.argument("run", type=FOLDER)
@click.option("--data", type=FOLDER, help="Dataset.  [default: the one at hand]")
@click.option(
    "--out", type=FOLDER, default=Path("quality"), show_default=True, help="Folder to be written."
)
@click.option(
    "--tracklets", "n_tracklets", type=click.IntRange(1, 500), help="How many.  [default: 6]"
)
@click.option(
    "--tracklet",
    "names",
    multiple=True,
    metavar="ID",
    help="Show this one; can be given several times.",
)
@click.option(
    "--among",
    "n_among",
    type=click.IntRange(1),
    help="Score so many, drawn by --seed.  [default: all]",
)
@click.option(
    "--frames",
    "n_frames",
    type=click.IntRange(2, 24),
    default=10,
    show_default=True,
    help="In a row.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of draws, and among equals.",
)
@click.option(
    "--mask",
    type=FOLDER,
    help="Frame what was corrupted: the mask of a corrupted dataset.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Processes that read ahead.",
)
@json_option
def command(
    run: Path, *, data: Path | None, out: Path, workers: int, as_json: bool, **values: Any
) -> None:
    """Paints the scores that RUN gives to every region on frames, with the last maps beneath: PNGs
    and a local page.

    Shown are the tracklets whose scores differ most, or those named by --tracklet.
    """
    set_style("json" if as_json else "auto")
    if values["names"] and (values["n_tracklets"] is not None or values["n_among"] is not None):
        raise click.UsageError("--tracklet names what is shown: leave --tracklets and --among out")
    from rqen.inference.run_vectors import ScoringOptions
    from rqen.quality_page.quality_page import QualityOptions, refuse_unweighted, write_quality_page

    refuse_unweighted(run)
    given = {name: value for name, value in values.items() if value is not None}
    files = write_quality_page(
        run, dataset_folder(data), out, QualityOptions(**given), ScoringOptions(n_workers=workers)
    )
    if as_json:
        say_json({"page": str(files[0]), "pictures": [str(file) for file in files[1:]]})
    else:
        say(f"open {files[0]}")
