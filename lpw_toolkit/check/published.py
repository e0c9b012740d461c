"""An imported benchmark beside the published facts (`manifests/<name>/facts.json`): every count,
and where it differs.

What was allowed to differ when it was imported is recorded in `dataset.json` and stays a warning.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit.benchmarks.reader import is_count, list_benchmarks, published_counts, read_facts
from lpw_toolkit.check.problems import MAX_ROWS_NAMED, Problem
from lpw_toolkit.dataset.schema import SUBSETS

_MANIFEST, _TRACKLETS, _SPLITS = "dataset.json", "tracklets.parquet", "splits.parquet"


def check_published(
    manifest: dict[str, Any], tracklets: pa.Table, splits: pa.Table | None, n_images: int
) -> Iterator[Problem]:
    """Problems of a dataset whose manifest says from which benchmark it was imported; nothing for
    any other."""
    settings = manifest.get("settings")
    said = settings.get("import") if isinstance(settings, dict) else None
    if not isinstance(said, dict) or "benchmark" not in said:
        return
    name = said.get("benchmark")
    if name not in list_benchmarks():
        yield Problem(
            _MANIFEST,
            None,
            "published",
            f"the benchmark {name!r:.80}, of which nothing is known",
            "warning",
        )
        return
    recorded = _recorded(said)
    for line in recorded[:MAX_ROWS_NAMED]:
        yield Problem(
            _MANIFEST, None, "published", f"recorded when it was imported: {line}", "warning"
        )
    if len(recorded) > MAX_ROWS_NAMED:
        yield Problem(
            _MANIFEST,
            None,
            "published",
            f"{len(recorded) - MAX_ROWS_NAMED} more recorded",
            "warning",
        )
    if recorded:
        return
    counts = read_facts(str(name)).counts
    variant = said.get("variant")
    for file, found in _iter_differences(
        counts, variant if isinstance(variant, str) else None, tracklets, n_images
    ):
        yield Problem(file, None, "published", found)
    if splits is not None:
        for found in _iter_subset_differences(counts, tracklets, splits):
            yield Problem(_SPLITS, None, "published", found)


def _recorded(said: dict[str, Any]) -> list[str]:
    """What the import was allowed to go on with."""
    lines = said.get("mismatches")
    recorded = [str(line) for line in lines] if isinstance(lines, list) else []
    dropped = said.get("dropped")
    n_images = dropped.get("n_images") if isinstance(dropped, dict) else 0
    return [*recorded, f"{n_images} unusable images left out"] if n_images else recorded


def _iter_differences(
    counts: dict[str, Any], variant: str | None, tracklets: pa.Table, n_images: int
) -> Iterator[tuple[str, str]]:
    """File and words for each number of the whole, of a scene and of a camera that differs."""
    whole = published_counts(counts, variant)
    found = {
        **_count(tracklets),
        "n_images": n_images,
        "n_cameras": len(tracklets["camera_id"].unique()),
    }
    for name, value in found.items():
        if name in whole and whole[name] != value:
            yield _TRACKLETS, f"{name} {value} where {whole[name]} is published"
    for column, suffix in (("camera_id", "_by_camera"), ("scene_id", "_by_scene")):
        for key, said in counts.items():
            name = key.removesuffix(suffix)
            if key == name or not isinstance(said, dict) or not _is_of_whole(said, name, whole):
                continue
            for place, value in said.items():
                own = _count(tracklets.filter(pc.equal(tracklets[column], place))).get(name, value)
                if own != value:
                    yield _TRACKLETS, f"{place}: {name} {own} where {value} is published"


def _is_of_whole(said: dict[str, Any], name: str, whole: dict[str, int]) -> bool:
    """Whether numbers by place are of what is imported: PRID's cameras see more persons than its
    protocol takes."""
    return all(map(is_count, said.values())) and max(said.values(), default=0) <= whole.get(name, 0)


def _iter_subset_differences(
    counts: dict[str, Any], tracklets: pa.Table, splits: pa.Table
) -> Iterator[str]:
    by_subset = {**counts.get("subsets", {}), **counts}
    for subset in SUBSETS:
        said = by_subset.get(subset)
        if not isinstance(said, dict):
            continue
        for number in np.unique(splits["split"].to_numpy()).tolist():
            chosen = splits.filter(
                pc.and_(pc.equal(splits["split"], number), pc.equal(splits["subset"], subset))
            )
            own = tracklets.filter(
                pc.is_in(tracklets["tracklet_id"], value_set=chosen["tracklet_id"].combine_chunks())
            )
            for name, value in {
                **_count(own),
                "n_images": int(pc.sum(own["n_frames"]).as_py() or 0),
            }.items():
                if is_count(said.get(name)) and said[name] != value:
                    yield (
                        f"split {number}, {subset}: {name} {value} where {said[name]} is published"
                    )


def _count(tracklets: pa.Table) -> dict[str, int]:
    return {
        "n_persons": len(tracklets["person_id"].drop_null().unique()),
        "n_tracklets": tracklets.num_rows,
    }
