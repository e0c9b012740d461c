"""`lpw locate`: records where the images or videos of a dataset are on this machine."""

from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER, dataset_argument, open_named
from lpw_cli.say import say_result
from lpw_toolkit.dataset.workspace import locate_images, remember_root


@dataclass(frozen=True, kw_only=True)
class LocateOptions:
    """The options of `lpw locate`."""

    dataset: Path | None
    images: Path | None
    video: Path | None


@lpw_command(LocateOptions)
@dataset_argument
@option(
    "--images", type=FOLDER, help="Folder of the images of a dataset that was imported in place."
)
@option("--video", type=FOLDER, help="Folder of the videos it was built from, for `lpw relink`.")
def command(options: LocateOptions) -> None:
    """Remembers where the images or videos of DATASET are, for this user of this machine.

    A dataset that came from elsewhere never says itself which folders outside of it are read.
    """
    if options.images is None and options.video is None:
        raise click.UsageError("give --images or --video")
    opened = open_named(options.dataset)
    found = {}
    if options.images is not None:
        found["images"] = str(locate_images(opened, options.images))
    if options.video is not None:
        found["video"] = str(remember_root(opened, options.video))
    say_result(found, *(f"{name}: {place}" for name, place in found.items()))
