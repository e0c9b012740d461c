"""Datasets of labels alone (no image, no frame): for tests of protocols, embeddings and evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.dataset import Dataset, close_dataset
from lpw_toolkit.files import writing

#: tracklet_id, person_id, camera_id, kind
Row = tuple[str, str | None, str, str]
SplitRow = tuple[int, str, str]
SOURCE = {"source": "made by a test", "digest": "5" * 64, "drawn": False, "note": None}


def make_labelled(
    root: Path,
    rows: Sequence[Row],
    splits: Sequence[SplitRow] | None = None,
    *,
    n_frames: int = 4,
    name: str = "labels",
    source: dict[str, Any] | None = None,
) -> Dataset:
    """Writes a dataset with the tracklets `rows`, sorted by id, and the splits (number, subset, tracklet_id)."""
    writing.make_folder(root)
    rows = sorted(rows)
    ids, persons, cameras, kinds = (list(column) for column in zip(*rows, strict=True))
    none: list[None] = [None] * len(rows)
    columns = [ids, none, cameras, persons, kinds, none, [n_frames] * len(rows), none, none]
    tables.write_table(root / "tracklets.parquet", tables.make_table(columns, schema.TRACKLETS), schema.TRACKLETS)
    frames = schema.FRAMES.empty_table()
    tables.write_table(root / "frames.parquet", frames, schema.FRAMES)
    facts: dict[str, Any] = {"name": name, "parent": None, "sources": [], "settings": {}}
    if splits is not None:
        columns = [list(column) for column in zip(*splits, strict=True)] if splits else [[], [], []]
        tables.write_table(root / "splits.parquet", tables.make_table(columns, schema.SPLITS), schema.SPLITS)
        facts["splits"] = source or SOURCE
    return close_dataset(root, facts)


def two_cameras(n_persons: int, n_splits: int, cameras: tuple[str, str] = ("cam_a", "cam_b")) -> dict[str, Any]:
    """Arguments for `make_labelled`: n persons in two cameras; split s trains on the persons p with (p + s) % 2."""
    rows: list[Row] = [(f"{c}/{p:03d}", f"{p:03d}", c, "person") for c in cameras for p in range(n_persons)]
    splits: list[SplitRow] = []
    for split in range(n_splits):
        for camera, subset in zip(cameras, ("query", "gallery"), strict=True):
            for person in range(n_persons):
                trains = (person + split) % 2 == 1
                splits.append((split, "train" if trains else subset, f"{camera}/{person:03d}"))
    return {"rows": rows, "splits": splits}


#: Three persons, three cameras, a distractor, two pieces of junk; q1 to q5 ask. Of the gallery without queries, q1 and
#: q2 have nobody by another camera left. Places on a line as features: every rank can be read off by eye.
#:   0    .05   .1    .2    .3      10    10.1  10.2  10.4     20    20.5
#:   q1   j1    a1    d1    q3      q2    a2    j2    q5       q4    a3
SMALL_MARS: dict[str, Any] = {
    "rows": [
        ("a1", "p1", "c1", "person"), ("a2", "p2", "c2", "person"), ("a3", "p3", "c3", "person"),
        ("d1", None, "c1", "distractor"), ("j1", None, "c2", "junk"), ("j2", None, "c3", "junk"),
        ("q1", "p1", "c1", "person"), ("q2", "p2", "c2", "person"), ("q3", "p1", "c2", "person"),
        ("q4", "p3", "c1", "person"), ("q5", "p2", "c3", "person"),
        ("t1", "p8", "c1", "person"), ("t2", "p8", "c2", "person"),
    ],
    "splits": [(0, "query", name) for name in ("q1", "q2", "q3", "q4", "q5")]
    + [(0, "gallery", name) for name in ("a1", "a2", "a3", "d1", "j1", "j2")]
    + [(0, "train", name) for name in ("t1", "t2")],
}  # fmt: skip
PLACES = {
    "q1": 0.0, "j1": 0.05, "a1": 0.1, "d1": 0.2, "q3": 0.3, "q2": 10.0, "a2": 10.1, "j2": 10.2, "q5": 10.4,
    "q4": 20.0, "a3": 20.5, "t1": 30.0, "t2": 30.1,
}  # fmt: skip


def rows_of(dataset: Dataset, names: Sequence[str]) -> list[int]:
    """Rows of the tracklets called `names`."""
    known = dataset.tracklets["tracklet_id"].to_pylist()
    return [known.index(name) for name in names]


def names_of(dataset: Dataset, rows: "np.ndarray[Any, Any]") -> list[str]:
    """Names of the tracklets in `rows`."""
    return dataset.tracklets["tracklet_id"].take(pa.array(rows)).to_pylist()
