"""Little datasets with images, persons, kinds and splits, for what writes and shows re-identification data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from make_dataset import make_dataset

from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.dataset import Dataset, close_dataset

#: split, subset, tracklet
SplitRow = tuple[int, str, str]
FACTS = ("name", "parent", "sources", "settings", "licence", "consent")


def rewrite(
    dataset: Dataset,
    change: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    splits: list[SplitRow] | None = None,
    **facts: Any,
) -> Dataset:
    """The dataset with its table of tracklets changed row by row (not the ids), and with `splits`, closed again."""
    if change is not None:
        rows = [row | change(row) for row in dataset.tracklets.to_pylist()]
        table = pa.Table.from_pylist(rows, schema=schema.TRACKLETS)
        tables.write_table(dataset.root / "tracklets.parquet", table, schema.TRACKLETS)
    if splits is not None:
        columns = [list(column) for column in zip(*splits, strict=True)]
        table = tables.make_table(columns, schema.SPLITS)
        tables.write_table(dataset.root / "splits.parquet", table, schema.SPLITS)
    return close_dataset(dataset.root, {key: dataset.manifest[key] for key in FACTS} | facts)


def make_reid(root: Path, *, n_rounds: int = 4, split: bool = True, boxes: bool = False) -> Dataset:
    """Two scenes, two views each, `n_rounds` persons per scene that both views see.

    Scene 2 trains, scen1/view2 asks, scen1/view1 answers; scen1/view1/000004 is a distractor and 000003 junk.
    """
    dataset = make_dataset(root, n_tracklets=4 * n_rounds, n_frames=3, boxes=boxes)
    kinds = {"scen1/view1/000003": "junk", "scen1/view1/000004": "distractor"}

    def name_person(row: dict[str, Any]) -> dict[str, Any]:
        kind = kinds.get(row["tracklet_id"], "person")
        scene, _, number = row["tracklet_id"].split("/")
        return {"kind": kind, "person_id": f"{scene}/{int(number)}" if kind == "person" else None}

    roles = {"scen2/view1": "train", "scen2/view2": "train", "scen1/view2": "query", "scen1/view1": "gallery"}
    table = dataset.tracklets
    pairs = zip(table["camera_id"].to_pylist(), table["tracklet_id"].to_pylist(), strict=True)
    splits = [(0, roles[camera], name) for camera, name in pairs]
    return rewrite(dataset, name_person, splits if split else None)
