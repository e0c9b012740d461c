"""`lpw synth`: a synthetic street."""

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER
from lpw_cli.say import say_result
from lpw_toolkit.synth.street import STREETS, write_street


@dataclass(frozen=True, kw_only=True)
class SynthOptions:
    """The options of `lpw synth`."""

    folder: Path
    preset: str
    seed: int
    first_frame: int


@lpw_command(SynthOptions)
@click.argument("folder", type=FOLDER, required=False, metavar="OUT")
@option("--out", type=FOLDER, instead_of="folder", must=True, help="The folder, in place of OUT.")
@option(
    "--preset",
    type=click.Choice(list(STREETS)),
    default="demo",
    show_default=True,
    help="Size of the street.",
)
@option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@option(
    "--first-frame",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="The number of the first frame in truth and detections.",
)
def command(options: SynthOptions) -> None:
    """Draws a street of textured walkers to OUT: video/, truth/, detections/, persons.json."""
    street = write_street(
        options.folder,
        STREETS[options.preset],
        np.random.default_rng(options.seed),
        first_frame=options.first_frame,
    )
    n_videos, n_persons = len(street.videos), street.config.n_persons
    say_result(
        {"out": str(options.folder), "n_videos": n_videos, "n_persons": n_persons},
        f"{options.folder}: {n_videos} videos, {n_persons} persons",
    )
