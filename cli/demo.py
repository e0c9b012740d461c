"""`lpw demo`: everything that exists so far, on a synthetic street, offline."""

import time
from pathlib import Path

import click
import numpy as np

from cli.options import FOLDER
from lpw_toolkit.build import BuildConfig, build_tracklets
from lpw_toolkit.check import check_dataset
from lpw_toolkit.dataset import open_dataset
from lpw_toolkit.detectors import DetectorOptions
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.folders import check_free
from lpw_toolkit.info import format_table1, table1
from lpw_toolkit.score import format_score, score_against
from lpw_toolkit.show import write_show
from lpw_toolkit.synth import STREETS, open_street, write_street
from lpw_toolkit.truth import Prices

SEED = 0


@click.command()
@click.option("--out", type=FOLDER, default=Path("lpw-demo"), show_default=True, help="Folder for everything it makes.")
@click.option("--preset", type=click.Choice(list(STREETS)), default="demo", show_default=True)
def command(out: Path, preset: str) -> None:
    """Draws a street, builds a dataset from it, verifies, scores and shows it; run again it goes on.

    The boxes come from the street's ground truth through a noise model (plug-in `boxes`), not from a network: this
    shows the tool, and proves nothing about a detector.
    """
    start = time.monotonic()
    street, dataset = out / "street", out / "dataset"
    _say("1/5 street", f"drawing synthetic videos to {street} (seed {SEED})")
    _draw(street, preset)
    _say("2/5 build", "boxes are simulated (noise added to the truth), linking and cropping are real")
    options = DetectorOptions(boxes=street / "detections")
    config = BuildConfig(root=street / "video", out=dataset, detector="boxes", options=options)
    counts = build_tracklets(config).dataset.manifest["counts"]
    _say("", f"{counts['n_tracklets']} tracklets, {counts['n_images']} crops, {counts['n_cameras']} cameras")
    _say("3/5 check", "verifying tables and images")
    if not check_dataset(dataset).ok:
        raise MismatchError(dataset, "problems", "the dataset just built", "run `lpw check` on it")
    _say("4/5 score", "tracklets against the street's exact truth")
    click.echo(format_score(score_against(dataset, street / "truth", prices=Prices())))
    click.echo(format_table1(table1(open_dataset(dataset))))
    page = write_show(open_dataset(dataset), out / "show").page
    _say("5/5 show", f"done in {time.monotonic() - start:.0f} s: open {page}")


def _draw(street: Path, preset: str) -> None:
    if (street / "street.json").is_file():
        if open_street(street).config != STREETS[preset]:
            raise LpwError(street, "another street", f"the {preset} street", "remove it or choose another --out")
        return
    if street.parent.exists() and not street.exists():
        check_free(street.parent)
    write_street(street, STREETS[preset], np.random.default_rng(SEED))


def _say(step: str, text: str) -> None:
    click.echo(f"{step:<12}{text}" if step else f"{'':<12}{text}")
