"""`lpw import`: a published benchmark becomes a dataset."""

from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER
from lpw_cli.say import say_note, say_result
from lpw_toolkit.benchmarks.import_report import import_fields, import_lines
from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.benchmarks.reader import ReadOptions, list_benchmarks


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """The options of `lpw import`."""

    benchmark: str
    raw_dir: Path
    out: Path
    in_place: bool
    allow_partial: bool
    variant: str | None
    split_seed: int | None
    name: str | None
    licence: str | None
    consent: str | None
    restart: bool


@lpw_command(ImportOptions)
@click.argument(
    "benchmark", type=click.Choice([name.replace("_", "-") for name in list_benchmarks()])
)
@click.argument("raw_dir", type=FOLDER)
@option("--out", type=FOLDER, required=True, help="Dataset to be made.")
@option("--in-place", is_flag=True, help="Leave the images where they are and only index them.")
@option(
    "--allow-partial",
    is_flag=True,
    help="Continue although counts differ or images are unusable; this is recorded.",
)
@option("--restart", is_flag=True, help="Discard an unfinished import with other settings.")
@option(
    "--variant",
    heading="Benchmark",
    help="Which persons or form, for benchmarks that have several (prid2011: 178 or 200).",
)
@option(
    "--split-seed",
    type=click.IntRange(0),
    heading="Benchmark",
    help="Draw splits with this seed instead of the published ones.",
)
@option("--name", heading="Notes", help="Name of the dataset.  [default: that of the benchmark]")
@option(
    "--licence",
    heading="Notes",
    help="Under which licence it may be used.  [default: what is known of its terms]",
)
@option("--consent", heading="Notes", help="The consent of the people it shows.")
def command(options: ImportOptions) -> None:
    """Makes a dataset of the raw BENCHMARK in RAW_DIR: a folder, or a .zip or .tar as it was
    downloaded.

    The same command again resumes an interrupted import. Exit code 3: counts differ from the
    published ones, or images cannot be used.
    """
    config = ImportConfig(
        options.benchmark,
        options.raw_dir,
        options.out,
        in_place=options.in_place,
        allow_partial=options.allow_partial,
        options=ReadOptions(options.variant, options.split_seed),
        name=options.name,
        licence=options.licence,
        consent=options.consent,
        restart=options.restart,
    )
    result = import_benchmark(config, say_note)
    say_result(import_fields(result), *import_lines(result))
