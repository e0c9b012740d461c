"""`lpw rename`: a version in which cameras and scenes have other names."""

from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.merge import report_version
from lpw_cli.options import FOLDER, dataset_argument, dataset_folder
from lpw_toolkit.versions.renaming import (
    Pair,
    RenameConfig,
    collect_names,
    read_renames,
    rename_dataset,
)


@dataclass(frozen=True, kw_only=True)
class RenameOptions:
    """The options of `lpw rename`."""

    dataset: Path | None
    out: Path
    cameras: tuple[str, ...]
    scenes: tuple[str, ...]
    table: Path | None


@lpw_command(RenameOptions)
@dataset_argument
@option("--out", type=FOLDER, required=True, help="Dataset to be made.")
@option("--camera", "cameras", multiple=True, metavar="OLD=NEW",
        help="A new name of a camera; give it again for another one.")  # fmt: skip
@option("--scene", "scenes", multiple=True, metavar="OLD=NEW",
        help="A new name of a scene.")  # fmt: skip
@option("--table", type=FOLDER, metavar="FILE",
        help="CSV with the columns kind (camera or scene), old and new.")  # fmt: skip
def command(options: RenameOptions) -> None:
    """Writes a version of DATASET with other names. Tracklets keep their ids."""
    pairs = [_split_pair("camera", text) for text in options.cameras]
    pairs += [_split_pair("scene", text) for text in options.scenes]
    pairs += read_renames(options.table) if options.table else []
    config = RenameConfig(
        dataset_folder(options.dataset),
        options.out,
        collect_names(pairs, "camera"),
        collect_names(pairs, "scene"),
    )
    report_version(rename_dataset(config))


def _split_pair(kind: str, text: str) -> Pair:
    old, sign, new = text.partition("=")
    if not (old and sign and new):
        raise click.UsageError(f"--{kind} {text}: give OLD=NEW")
    return kind, old, new
