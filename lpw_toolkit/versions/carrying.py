"""What carries over to a new version, and what does not: splits, decisions, suggestions."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.splits.restated import restate_splits

#: Said of every new version.
ANEW = "suggestions, embeddings and images.pack are not carried over: make them anew"
_DRAW = "draw new ones with `lpw split`"


@dataclass(frozen=True)
class Made:
    """A new version.

    Attributes:
        dataset: it, complete.
        lines: what was done, what carries over and what does not.
    """

    dataset: Dataset
    lines: tuple[str, ...]


@dataclass(frozen=True)
class KeptSplits:
    """Splits of a parent, without the tracklets that are gone.

    Attributes:
        table: schema.SPLITS with the metadata that a dataset's splits carry; None where they are no
            longer valid, or there were none.
        facts: `splits` of `dataset.json`; empty without a table.
        line: what became of them; None where there were none.
    """

    table: pa.Table | None
    facts: dict[str, Any]
    line: str | None


def keep_splits(parent: Dataset, tracklets: pa.Table) -> KeptSplits:
    """The splits of `parent` for `tracklets`, which are some of its own. A split that has no
    training, query or gallery tracklet left ends them all: they are averaged. So does a camera that
    is two of `parent`: who is asked for in another camera has changed."""
    splits, said = parent.splits, parent.manifest.get("splits")
    if splits is None or not isinstance(said, dict):
        return KeptSplits(None, {}, None)
    if _joins_cameras(parent.tracklets, tracklets):
        line = f"splits are not carried over: cameras are one that were two; {_DRAW}"
        return KeptSplits(None, {}, line)
    stays = pc.is_in(splits["tracklet_id"], value_set=tracklets["tracklet_id"].combine_chunks())
    kept = splits.filter(stays)
    before, after = ({*_iter_subsets(table)} for table in (splits, kept))
    if lost := sorted(before - after):
        split, subset = lost[0]
        line = f"splits are not carried over: split {split} has no {subset} left; {_DRAW}"
        return KeptSplits(None, {}, line)
    n_lost = splits.num_rows - kept.num_rows
    if not n_lost:
        return KeptSplits(splits, {"splits": said}, "splits carry over")
    note = f"{n_lost:,} of {splits.num_rows:,} rows left it with their tracklets"
    table, facts = restate_splits(said, kept, note)
    return KeptSplits(table, {"splits": facts}, f"splits carry over: {facts['note']}")


def _joins_cameras(before: pa.Table, after: pa.Table) -> bool:
    camera_of = dict(
        zip(before["tracklet_id"].to_pylist(), before["camera_id"].to_pylist(), strict=True)
    )
    pairs = {
        (new, camera_of[name])
        for name, new in zip(
            after["tracklet_id"].to_pylist(), after["camera_id"].to_pylist(), strict=True
        )
    }
    return len(pairs) > len({new for new, _ in pairs})


def _iter_subsets(splits: pa.Table) -> list[tuple[int, str]]:
    counted = splits.group_by(["split", "subset"]).aggregate([])
    return list(zip(counted["split"].to_pylist(), counted["subset"].to_pylist(), strict=True))
