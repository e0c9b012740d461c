"""`lpw export`: a dataset in the form another tool reads."""

from pathlib import Path

import click

from cli.options import FOLDER, dataset_folder
from lpw_toolkit.dataset import open_dataset
from lpw_toolkit.export import EXPORTS


@click.command()
@click.argument("paths", type=FOLDER, nargs=-1, metavar="[DATASET] OUT")
@click.option("--to", "form", type=click.Choice(list(EXPORTS)), required=True)
@click.option(
    "--as", "role", type=click.Choice(["results", "truth"]), help="What MOT text is meant as.  [default: results]"
)
def command(paths: tuple[Path, ...], form: str, role: str | None) -> None:
    """Writes DATASET to the folder OUT: mot (TrackEval layout), coco (with track ids), tree (plain images)."""
    if not 1 <= len(paths) <= 2:
        raise click.UsageError("give [DATASET] OUT")
    if role and form != "mot":
        raise click.UsageError("--as belongs to --to mot")
    dataset = open_dataset(dataset_folder(paths[0] if len(paths) == 2 else None))
    options = {"role": role} if role else {}
    click.echo(f"written: {EXPORTS[form](dataset, paths[-1], **options)}")
