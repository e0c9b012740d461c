"""The layout of LPW: `pep_256x128/scenN/viewM/ID/n.jpg`, one tracklet for each scene, view and person."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit import publish
from lpw_toolkit.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.exports import Exported, ExportOptions, Place, Tally, copy_images, name_lost_columns, name_png
from lpw_toolkit.folders import publish_folder
from lpw_toolkit.listing import natural_key
from lpw_toolkit.progress import show_progress
from lpw_toolkit.roles import format_mapping, number_names
from lpw_toolkit.tracklets import Ranges

TITLE = "the layout of LPW"
OPTIONS: tuple[str, ...] = ()
TOP = "pep_256x128"


@dataclass(frozen=True)
class _Folders:
    """Rows of the table of tracklets by the folder they go to, in natural order of their ids."""

    rows: dict[str, list[int]]

    @property
    def n_joined(self) -> int:
        """Tracklets that come after another one in its folder."""
        return sum(len(rows) - 1 for rows in self.rows.values())


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Writes OUT/pep_256x128/scenN/viewM/ID/n.jpg, n from 1, and OUT/tracklets.csv, which names what each folder holds.

    Errors: LpwError when OUT is not empty or nobody is named; CorruptCropError. Then nothing is left behind.
    """
    folders = _sort_into_folders(dataset)
    places, n_images, ranges, tally = [], 0, Ranges(dataset), Tally()
    for name, rows in folders.rows.items():
        first = 1
        for row in rows:
            places.append(Place(row, name, "{n}.jpg", first=first))
            first += ranges.n_frames(np.array([row]))
        n_images += first - 1
    with publish_folder(out) as folder, show_progress("export", n_images, "images") as progress:
        copy_images(dataset, places, folder, progress, tally)
        names = {place.tracklet: f"{place.folder}/{place.first}.jpg" for place in places}
        publish.write_file(folder / "tracklets.csv", format_mapping(dataset, names))
    lost = [*_name_losses(dataset, folders), *name_png(dataset), *name_lost_columns(dataset, kept=("scene_id",))]
    return Exported(out, lost, tally.n_images, tally.n_bytes)


def _sort_into_folders(dataset: Dataset) -> _Folders:
    """`pep_256x128/scen1/view2/12` for each tracklet of a named person; numbers that the ids have are kept."""
    columns = ["tracklet_id", "scene_id", "camera_id", "person_id", "kind"]
    rows = dataset.tracklets.select(columns).to_pylist()
    held = [i for i, row in enumerate(rows) if row["kind"] == "person" and row["person_id"] is not None]
    if not held:
        raise LpwError(dataset.root, "nobody who is named", "persons with ids", "export the image tree (--to tree)")
    scenes = number_names(_scene_of(rows[i]) for i in held)
    views = {s: number_names(rows[i]["camera_id"] for i in held if _scene_of(rows[i]) == s) for s in scenes}
    people = {s: number_names((rows[i]["person_id"] for i in held if _scene_of(rows[i]) == s), least=0) for s in scenes}
    keys = {}
    for i in held:
        scene, row = _scene_of(rows[i]), rows[i]
        place = (scenes[scene], views[scene][row["camera_id"]], people[scene][row["person_id"]])
        keys[i] = (place, natural_key(row["tracklet_id"]))
    found: dict[str, list[int]] = {}
    for i in sorted(keys, key=lambda i: keys[i]):
        (scene_number, view, person), _ = keys[i]
        found.setdefault(f"{TOP}/scen{scene_number}/view{view}/{person}", []).append(i)
    return _Folders(found)


def _scene_of(row: dict[str, Any]) -> str:
    return row["scene_id"] or ""


def _name_losses(dataset: Dataset, folders: _Folders) -> list[str]:
    table = dataset.tracklets
    n_left_out = table.num_rows - sum(len(rows) for rows in folders.rows.values())
    scenes: dict[str, set[str]] = {}
    for person, scene in zip(table["person_id"].to_pylist(), table["scene_id"].to_pylist(), strict=True):
        if person is not None:
            scenes.setdefault(person, set()).add(scene or "")
    n_apart = sum(len(found) > 1 for found in scenes.values())
    facts = {
        f"left out: {n_left_out:,} tracklets of nobody named, distractors or junk": n_left_out,
        f"tracklets: {folders.n_joined:,} follow another one of their person in the same view, in its folder": (
            folders.n_joined
        ),
        f"persons: {n_apart:,} in several scenes become one person in each": n_apart,
        "splits: the protocol of LPW fixes its own": dataset.splits is not None,
    }
    return [line for line, holds in facts.items() if holds]
