"""`lpw synth`: a synthetic street."""

from pathlib import Path

import click
import numpy as np

from lpw_cli.options import FOLDER
from lpw_cli.say import say
from lpw_toolkit.synth.street import STREETS, write_street


@click.command()
@click.argument("out", type=FOLDER)
@click.option("--preset", type=click.Choice(list(STREETS)), default="demo", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def command(out: Path, preset: str, seed: int) -> None:
    """Draws a street of textured walkers to OUT: video/, truth/, detections/, persons.json."""
    street = write_street(out, STREETS[preset], np.random.default_rng(seed))
    say(f"{out}: {len(street.videos)} videos, {street.config.n_persons} persons")
