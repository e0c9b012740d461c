"""`lpw relink`: the same detections, linked another way."""

from pathlib import Path
from typing import Any

import click

from lpw_cli.build_tracklets import recipe_options, report, take_recipe
from lpw_cli.options import FOLDER, VIDEO, dataset_folder, json_option
from lpw_toolkit.build.build import RelinkConfig, relink
from lpw_toolkit.progress import set_style


@click.command()
@click.argument("dataset", type=FOLDER, required=False)
@click.option("--out", type=FOLDER, required=True, help="Dataset to be made.")
@click.option(
    "--video", type=VIDEO, help="Where the videos lie now.  [default: where they lay at the build]"
)
@recipe_options
@json_option
def command(
    dataset: Path | None, out: Path, *, as_json: bool, allow_damaged: bool, **values: Any
) -> None:
    """Makes a new dataset from the raw detections of DATASET and its videos, without a second
    detection."""
    set_style("json" if as_json else "auto")
    config = RelinkConfig(
        dataset=dataset_folder(dataset),
        out=out,
        video_root=values.pop("video"),
        recipe=take_recipe(values),
        restart=values.pop("restart"),
    )
    report(relink(config), as_json=as_json, allow_damaged=allow_damaged)
