"""The report of an import, as text and JSON: counts beside the published ones, splits, and what was
left out."""

import shlex
from typing import Any

from lpw_toolkit.benchmarks.importing import ImportResult

_COUNTS = {
    "n_persons": "persons",
    "n_tracklets": "tracklets",
    "n_images": "images",
    "n_cameras": "cameras",
}


def import_fields(result: ImportResult) -> dict[str, Any]:
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


def import_lines(result: ImportResult) -> list[str]:
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
        f"next: lpw check {shlex.quote(str(root))}",
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
