"""`lpw relink`: the same detections, linked another way."""

from dataclasses import dataclass
from pathlib import Path

from lpw_cli.build_tracklets import SettingsOptions, report, settings_options
from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER, VIDEO, dataset_argument, dataset_folder
from lpw_toolkit.build.assembly import Notes
from lpw_toolkit.build.build import RelinkConfig, relink


@dataclass(frozen=True, kw_only=True)
class RelinkOptions(SettingsOptions):
    """The options of `lpw relink`."""

    dataset: Path | None
    out: Path
    video: Path | None


@lpw_command(RelinkOptions)
@dataset_argument
@option("--out", type=FOLDER, required=True, help="Dataset to be made.")
@option(
    "--video", type=VIDEO, help="Where the videos are now.  [default: where the build found them]"
)
@settings_options
def command(options: RelinkOptions) -> None:
    """Makes a new dataset from the raw detections of DATASET and its videos, without a second
    detection."""
    config = RelinkConfig(
        dataset=dataset_folder(options.dataset),
        out=options.out,
        video_root=options.video,
        recipe=options.build_settings(Notes(options.name)),
        restart=options.restart,
    )
    report(relink(config), allow_damaged=options.allow_damaged)
