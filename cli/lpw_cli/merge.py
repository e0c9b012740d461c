"""`lpw merge`: several datasets become one."""

from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER
from lpw_cli.say import say_result
from lpw_toolkit.names import count_of
from lpw_toolkit.versions.carrying import Made
from lpw_toolkit.versions.merging import MergeConfig, merge_datasets


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """The options of `lpw merge`."""

    datasets: tuple[Path, ...]
    out: Path
    persons: Path | None


@lpw_command(MergeOptions)
@click.argument("datasets", type=FOLDER, nargs=-1, metavar="[DATASETS]...")
@option("--data", type=FOLDER, multiple=True, instead_of="datasets", must=True,
        help="A dataset, in place of DATASETS; given several times.")  # fmt: skip
@option("--out", type=FOLDER, required=True, help="Dataset to be made.")
@option(
    "--persons",
    type=FOLDER,
    metavar="FILE",
    help="CSV with the columns dataset, person and new: persons that get the same id are one.",
)
def command(options: MergeOptions) -> None:
    """Joins DATASETS (two or more, of different films) into one.

    Persons are kept apart; two builds of one film need --persons. Where two datasets share a name,
    names begin with the dataset's name.
    """
    report_version(merge_datasets(MergeConfig(options.datasets, options.out, options.persons)))


def report_version(made: Made) -> None:
    """Prints what became of a new version."""
    manifest, root = made.dataset.manifest, made.dataset.root
    counts = manifest["counts"]
    figures = ", ".join(count_of(value, key[2:-1]) for key, value in counts.items())
    say_result(
        {
            "dataset": str(root),
            **counts,
            "digest": manifest["digest"],
            "remarks": list(made.lines),
        },
        *made.lines,
        f"written: {root} ({figures})",
    )
