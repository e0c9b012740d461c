"""`lpw export`: a dataset in the form another tool reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER, open_named
from lpw_cli.say import say_note, say_result
from lpw_toolkit.exports.form import FORMS, ExportOptions, Role, export_dataset, list_forms


@dataclass(frozen=True, kw_only=True)
class ExportCommandOptions:
    """The options of `lpw export`."""

    dataset: Path | None
    out: Path | None
    form: str
    role: Role | None
    split: int | None
    shard_mb: int | None


def _forms_with(name: str) -> str:
    """The forms that one of `ExportOptions` belongs to, as a condition."""
    return " or ".join(f"--to {form}" for form in list_forms() if name in FORMS.load(form).OPTIONS)


_USAGE = "give [DATASET] OUT, or --data DATASET and --out OUT"


def _arrange(values: dict[str, Any]) -> None:
    """`[DATASET] OUT`, each of which may be an option."""
    paths = list(values.pop("paths"))
    if values["out"] is None and paths:
        values["out"] = paths.pop()
    if len(paths) + (values["dataset"] is not None) > 1:
        raise click.UsageError(_USAGE)
    values["dataset"] = values["dataset"] or (paths[0] if paths else None)


@lpw_command(ExportCommandOptions, arrange=_arrange)
@click.argument("paths", type=FOLDER, nargs=-1, metavar="[DATASET] OUT")
@option("--to", "form", type=click.Choice(list_forms()), required=True, help="The form.")
@option("--data", "dataset", type=FOLDER, help="The dataset, in place of DATASET.")
@option("--out", type=FOLDER, help="Folder to be written, in place of OUT.")
@option(
    "--as",
    "role",
    type=click.Choice(["results", "truth"]),
    needs=_forms_with("role"),
    heading="Options of some forms",
    help="mot: what the text is meant as.  [default: results]",
)
@option(
    "--split",
    type=click.IntRange(min=0),
    needs=_forms_with("split"),
    heading="Options of some forms",
    help="Forms with train, query and gallery: which of the dataset's splits.  [default: the "
    "first]",
)
@option(
    "--shard-mb",
    type=click.IntRange(min=1),
    needs=_forms_with("shard_bytes"),
    heading="Options of some forms",
    help="hf, webdataset: size of a shard.  [default: 64]",
)
def command(options: ExportCommandOptions) -> None:
    """Writes DATASET to the folder OUT in the form that another tool reads, and says what that form
    cannot hold.

    mot: TrackEval's layout; coco: JSON with track ids; tree: plain images; hf: Parquet for Hugging
    Face datasets; webdataset: tar shards; torchreid, fastreid: trees that these load unchanged;
    lpw, mars: layouts of the benchmarks.
    """
    if options.out is None:
        raise click.UsageError(_USAGE)
    shard_bytes = options.shard_mb and options.shard_mb << 20
    settings = ExportOptions(role=options.role, split=options.split, shard_bytes=shard_bytes)
    dataset = open_named(options.dataset)
    made = export_dataset(dataset, options.form, options.out, settings)
    if not dataset.tracklets.num_rows:
        say_note(f"warning: {dataset.name} has no tracklets, so the export holds none")
    size = f" ({made.n_images:,} images, {made.n_bytes / 1e6:,.1f} MB)" if made.n_images else ""
    say_result(
        {
            "out": str(made.out),
            "form": options.form,
            "n_images": made.n_images,
            "n_bytes": made.n_bytes,
            "notes": list(made.losses),
        },
        *(f"note: {line}" for line in made.losses),
        f"written: {made.out}{size}",
    )
