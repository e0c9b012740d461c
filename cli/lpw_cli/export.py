"""`lpw export`: a dataset in the form another tool reads."""

from pathlib import Path

import click

from lpw_cli.options import FOLDER, open_named
from lpw_cli.say import say
from lpw_toolkit.exports.form import ExportOptions, Role, export_dataset, list_forms


@click.command()
@click.argument("paths", type=FOLDER, nargs=-1, metavar="[DATASET] OUT")
@click.option("--to", "form", type=click.Choice(list_forms()), required=True)
@click.option(
    "--as",
    "role",
    type=click.Choice(["results", "truth"]),
    help="mot: what the text is meant as.  [default: results]",
)
@click.option(
    "--split",
    type=click.IntRange(min=0),
    help="Forms with train, query and gallery: which of the dataset's splits.  [default: the "
    "first]",
)
@click.option(
    "--shard-mb", type=click.IntRange(min=1), help="hf, webdataset: size of a shard.  [default: 64]"
)
def command(
    paths: tuple[Path, ...],
    *,
    form: str,
    role: Role | None,
    split: int | None,
    shard_mb: int | None,
) -> None:
    """Writes DATASET to the folder OUT in the form that another tool reads, and says what that form
    cannot hold.

    mot: TrackEval's layout; coco: JSON with track ids; tree: plain images; hf: Parquet for Hugging
    Face datasets; webdataset: tar shards; torchreid, fastreid: trees that these load unchanged;
    lpw, mars: layouts of the benchmarks.
    """
    if not 1 <= len(paths) <= 2:
        raise click.UsageError("give [DATASET] OUT")
    dataset = open_named(paths[0] if len(paths) == 2 else None)
    options = ExportOptions(role=role, split=split, shard_bytes=shard_mb and shard_mb << 20)
    made = export_dataset(dataset, form, paths[-1], options)
    say(*(f"note: {line}" for line in made.losses))
    size = f" ({made.n_images:,} images, {made.n_bytes / 1e6:,.1f} MB)" if made.n_images else ""
    say(f"written: {made.out}{size}")
