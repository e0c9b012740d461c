"""`lpw locate`: where the images or videos of a dataset are on this machine."""

from pathlib import Path

import click

from lpw_cli.options import FOLDER, json_option, open_named
from lpw_cli.say import say, say_json
from lpw_toolkit.dataset.workspace import locate_images, remember_root


@click.command()
@click.argument("dataset", type=FOLDER, required=False)
@click.option(
    "--images", type=FOLDER, help="Folder of the images of a dataset that was imported in place."
)
@click.option(
    "--video", type=FOLDER, help="Folder of the videos that it was built from, for `lpw relink`."
)
@json_option
def command(
    dataset: Path | None, *, images: Path | None, video: Path | None, as_json: bool
) -> None:
    """Notes where the images or videos of DATASET are, for this user of this machine.

    A dataset that came from elsewhere never says itself which folders outside of it are read.
    """
    if images is None and video is None:
        raise click.UsageError("give --images or --video")
    opened = open_named(dataset)
    found = {}
    if images is not None:
        found["images"] = str(locate_images(opened, images))
    if video is not None:
        found["video"] = str(remember_root(opened, video))
    if as_json:
        say_json(found)
    else:
        say(*(f"{name}: {place}" for name, place in found.items()))
