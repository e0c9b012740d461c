"""What the splits of a dataset hold, in numbers and in words."""

from collections.abc import Sequence
from typing import Any

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.schema import SUBSETS


def describe_splits(dataset: Dataset) -> dict[str, Any] | None:
    """What `dataset.json` says of the splits, and by split the number of tracklets in each subset;
    None without splits."""
    splits, said = dataset.splits, dataset.manifest.get("splits")
    if splits is None:
        return None
    counted = splits.group_by(["split", "subset"]).aggregate([([], "count_all")]).to_pylist()
    numbers = sorted({row["split"] for row in counted})
    counts = {(row["split"], row["subset"]): row["count_all"] for row in counted}
    return {
        **(said if isinstance(said, dict) else {}),
        "n_splits": len(numbers),
        "n_tracklets": [{name: counts.get((n, name), 0) for name in SUBSETS} for n in numbers],
    }


def format_splits(splits: dict[str, Any]) -> str:
    """`describe_splits`'s dictionary as one line."""
    sizes = []
    for name in SUBSETS:
        counts = [row[name] for row in splits["n_tracklets"]]
        low, high = min(counts), max(counts)
        sizes.append(f"{low:,} {name}" if low == high else f"{low:,} to {high:,} {name}")
    drawn = "drawn" if splits.get("drawn") else "published"
    protocol = f" for {splits['protocol']}" if splits.get("protocol") else ""
    source = str(splits.get("source") or "source unknown").removeprefix("drawn ")
    digest = str(splits.get("digest") or "unknown")[:12]
    origins = [str(origin)[:12] for origin in splits.get("origins") or []]
    made_from = f", made from {', '.join(origins)}" if origins else ""
    return (
        f"{splits['n_splits']:,} {drawn}{protocol} ({', '.join(sizes)} tracklets), {source}, "
        f"digest {digest}{made_from}"
    )


def list_roles(dataset: Dataset, names: Sequence[str]) -> list[str]:
    """What each of these tracklets is in the first split, such as `query, gallery`; empty for what
    it is not in."""
    roles: dict[str, list[str]] = {}
    for row in dataset.splits.to_pylist() if dataset.splits else []:
        if row["split"] == 0:
            roles.setdefault(row["tracklet_id"], []).append(row["subset"])
    order = SUBSETS.index
    return [", ".join(sorted(roles.get(name, []), key=order)) for name in names]
