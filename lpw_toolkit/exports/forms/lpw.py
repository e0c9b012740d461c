"""The layout of LPW: `pep_256x128/scenN/viewM/ID/n.jpg`, one tracklet for each scene, view and
person."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.errors import LpwError
from lpw_toolkit.exports.form import (
    Exported,
    ExportOptions,
    Place,
    Tally,
    copy_images,
    name_lost_columns,
    name_png,
)
from lpw_toolkit.exports.roles import format_mapping, number_names
from lpw_toolkit.files import writing
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.progress import show_progress

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
    """Writes OUT/pep_256x128/scenN/viewM/ID/n.jpg and OUT/tracklets.csv, which names what each
    folder holds.

    n is the frame number in the video where it is known and rises within the folder; otherwise it
    counts from 1.

    Errors: LpwError when OUT is not empty or no person is named; CorruptCropError. Then nothing is
    left behind.
    """
    folders, ranges, tally = _sort_into_folders(dataset), FrameRanges(dataset), Tally()
    places = [
        place
        for name, rows in folders.rows.items()
        for place in _place_tracklets(ranges, name, rows)
    ]
    n_images = ranges.n_frames(np.array([place.tracklet for place in places]))
    with publish_folder(out) as folder, show_progress("export", n_images, "images") as progress:
        copy_images(dataset, places, folder, progress, tally)
        names = {
            place.tracklet: f"{place.folder}/{(place.numbers or (place.first,))[0]}.jpg"
            for place in places
        }
        writing.write_file(folder / "tracklets.csv", format_mapping(dataset, names))
    kept = ("scene_id", "frame_index") if all(place.numbers for place in places) else ("scene_id",)
    lost = [
        *_name_losses(dataset, folders),
        *name_png(dataset),
        *name_lost_columns(dataset, kept=kept),
    ]
    return Exported(out, lost, tally.n_images, tally.n_bytes)


def _place_tracklets(ranges: FrameRanges, folder: str, rows: list[int]) -> list[Place]:
    """Where the images of the tracklets in one folder go: by frame numbers where these tell all
    apart, in order."""
    columns = [ranges.frames(row)["frame_index"] for row in rows]
    known = not any(column.null_count for column in columns)
    numbers = [column.to_pylist() for column in columns]
    joined = np.array([n for each in numbers for n in each]) if known else np.zeros(1)
    if known and joined[0] >= 0 and (np.diff(joined) > 0).all():
        return [
            Place(row, folder, "{n}.jpg", numbers=tuple(each))
            for row, each in zip(rows, numbers, strict=True)
        ]
    firsts = np.cumsum([1, *(len(column) for column in columns[:-1])]).tolist()
    return [
        Place(row, folder, "{n}.jpg", first=first) for row, first in zip(rows, firsts, strict=True)
    ]


def _sort_into_folders(dataset: Dataset) -> _Folders:
    """`pep_256x128/scen1/view2/12` for each tracklet of a named person; numbers that the ids have
    are kept."""
    columns = ["tracklet_id", "scene_id", "camera_id", "person_id", "kind"]
    rows = dataset.tracklets.select(columns).to_pylist()
    held = [
        i for i, row in enumerate(rows) if row["kind"] == "person" and row["person_id"] is not None
    ]
    if not held:
        raise LpwError(
            dataset.root,
            "no named person",
            "persons with ids",
            "export the image tree (--to tree)",
        )
    scenes = number_names(_scene_of(rows[i]) for i in held)
    views = {
        s: number_names(rows[i]["camera_id"] for i in held if _scene_of(rows[i]) == s)
        for s in scenes
    }
    people = {
        s: number_names((rows[i]["person_id"] for i in held if _scene_of(rows[i]) == s), least=0)
        for s in scenes
    }
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
    for person, scene in zip(
        table["person_id"].to_pylist(), table["scene_id"].to_pylist(), strict=True
    ):
        if person is not None:
            scenes.setdefault(person, set()).add(scene or "")
    n_apart = sum(len(found) > 1 for found in scenes.values())
    facts = {
        f"left out: {n_left_out:,} unnamed tracklets, distractors or junk": n_left_out,
        f"tracklets: {folders.n_joined:,} follow another one of their person in the same view, in "
        f"its folder": (folders.n_joined),
        f"persons: {n_apart:,} in several scenes become one person in each": n_apart,
        "splits: the protocol of LPW fixes its own": dataset.splits is not None,
    }
    return [line for line, holds in facts.items() if holds]
