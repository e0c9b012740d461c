"""`lpw import`: a published benchmark becomes a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lpw_cli.command import lpw_command, option
from lpw_cli.options import FOLDER
from lpw_cli.say import say_note, say_result
from lpw_toolkit.benchmarks.importing import ImportConfig, ImportResult, import_benchmark
from lpw_toolkit.benchmarks.reader import ReadOptions, list_benchmarks

_COUNTS = {
    "n_persons": "persons",
    "n_tracklets": "tracklets",
    "n_images": "images",
    "n_cameras": "cameras",
}


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
    say_result(as_fields(result), *iter_lines(result))


def as_fields(result: ImportResult) -> dict[str, Any]:
    """The result for machines."""
    manifest, facts = result.dataset.manifest, result.facts
    kept = {
        "splits": manifest["splits"],
        **{k: facts[k] for k in ("mismatches", "dropped", "extras", "notes")},
    }
    own = {
        "dataset": str(result.dataset.root),
        "benchmark": facts["benchmark"],
        **manifest["counts"],
    }
    return {
        **own,
        "published": result.published,
        **kept,
        "digest": manifest["digest"],
        "remarks": result.remarks,
    }


def iter_lines(result: ImportResult) -> list[str]:
    """The result for people: counts beside the published ones, splits, and whatever was left out or
    differs."""
    facts, counts, root = result.facts, result.dataset.manifest["counts"], result.dataset.root
    lines = [
        *result.remarks,
        f"{facts['title']}: {facts['citation']}",
        f"{'':12}{'here':>12}{'published':>12}",
    ]
    for name, shown in _COUNTS.items():
        said = result.published.get(name)
        differs = "" if said is None or said == counts[name] else "  differs"
        lines.append(
            f"{shown:12}{counts[name]:>12,}{'-' if said is None else f'{said:,}':>12}{differs}"
        )
    lines.append(_describe_splits(result.dataset.manifest["splits"]))
    lines += [f"note: {line}" for line in facts["notes"]]
    if facts["extras"]["n_files"]:
        first = facts["extras"]["first"][0]
        lines.append(
            f"note: {facts['extras']['n_files']} files belong to no tracklet (first: {first})"
        )
    if facts["dropped"]["n_images"]:
        dropped = facts["dropped"]
        lines.append(
            f"left out: {dropped['n_images']} unusable images, {dropped['n_tracklets']} whole "
            f"tracklets"
        )
    if facts["mismatches"]:
        lines.append(
            f"partial: {len(facts['mismatches'])} counts differ from the published ones (recorded)"
        )
    return [
        *lines,
        f"licence: {result.dataset.manifest['licence']}",
        f"{root}: complete",
        f"next: lpw check {root}",
    ]


def _describe_splits(splits: dict[str, Any] | None) -> str:
    if splits is None:
        return "splits: none (the tree is too partial for any)"
    drawn = ", DRAWN, not the published ones" if splits["drawn"] else ""
    note = f"; {splits['note']}" if splits["note"] else ""
    return (
        f"splits: {splits['n_splits']} from {splits['source']}{drawn}, digest "
        f"{splits['digest'][:16]}{note}"
    )
