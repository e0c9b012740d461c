"""The tree that fast-reid's `Market1501` loads unchanged, or its `DukeMTMC` where that has too few
numbers."""

from pathlib import Path

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
from lpw_toolkit.exports.roles import JUNK, ExportRoles, FormLimits, cast_roles, format_mapping
from lpw_toolkit.files import writing
from lpw_toolkit.files.listing import natural_key
from lpw_toolkit.progress import show_progress

TITLE = "fast-reid's Market1501"
OPTIONS: tuple[str, ...] = ("split",)
FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
#: Name in fast-reid -> folder in its root and the largest numbers that its loader accepts.
LAYOUTS = {
    "Market1501": ("Market-1501-v15.09.15", FormLimits(persons=1501, cameras=6)),
    "DukeMTMC": ("DukeMTMC-reID", FormLimits(persons=999_999, cameras=8)),
}


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Writes
    OUT/Market-1501-v15.09.15/{bounding_box_train,query,bounding_box_test}/0001_c1s1_000001_00.jpg.

    Every image of a tracklet is an item; s counts the tracklets of a person in a camera, the next
    number is the image. OUT/tracklets.csv says what each name stands for.
    Errors: LpwError when OUT is not empty, nobody is named, or no layout holds the persons or
    cameras; CorruptCropError. Then nothing is left behind.
    Source: JDAI-CV/fast-reid:fastreid/data/datasets/{market1501,dukemtmcreid}.py.
    """
    layout, cast, lines = _choose_layout(dataset, options.split)
    names = _name_tracklets(dataset, cast, layout)
    places = {
        subset: [
            Place(row, FOLDERS[subset], names[row] + "_{n:06d}_00.jpg")
            for row in rows.tolist()
            if row in names
        ]
        for subset, rows in cast.roles.subsets().items()
    }
    counts = {
        s: FrameRanges(dataset).n_frames(np.array([p.tracklet for p in places[s]], dtype=np.int64))
        for s in places
    }
    tally = Tally()
    with (
        publish_folder(out) as folder,
        show_progress("export", sum(counts.values()), "images") as progress,
    ):
        top = folder / LAYOUTS[layout][0]
        for subset in places:
            copy_images(dataset, places[subset], top, progress, tally)
        writing.write_file(folder / "tracklets.csv", format_mapping(dataset, names, cast))
    items = ", ".join(f"{n:,} {subset}" for subset, n in counts.items())
    alone = (
        f"tracklets: every image stands alone, {items}; s in the names tells tracklets of a "
        f"person apart"
    )
    lines = [*cast.lines, *lines, alone, *name_png(dataset), *name_lost_columns(dataset)]
    return Exported(out, lines, tally.n_images, tally.n_bytes)


def _choose_layout(dataset: Dataset, split: int | None) -> tuple[str, ExportRoles, list[str]]:
    try:
        return "Market1501", cast_roles(dataset, split, LAYOUTS["Market1501"][1]), []
    except LpwError as refusal:
        if not refusal.expected.startswith("at most"):
            raise
        cast = cast_roles(dataset, split, LAYOUTS["DukeMTMC"][1])
        lines = [f"layout: DukeMTMC, for Market1501 does not hold {refusal.got}"]
    n_junk = int((cast.person[cast.roles.gallery] == JUNK).sum())
    lines += [f"junk: {n_junk:,} tracklets are left out, for DukeMTMC knows none"] if n_junk else []
    return "DukeMTMC", cast, lines


def _name_tracklets(dataset: Dataset, cast: ExportRoles, layout: str) -> dict[int, str]:
    """`0001_c1s1` for each tracklet of the cast, in the order of these names; without junk where
    none is known."""
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    rows = np.unique(np.concatenate(list(cast.roles.subsets().values()))).tolist()
    kept = [row for row in rows if layout == "Market1501" or cast.person[row] != JUNK]
    kept.sort(key=lambda row: (cast.person[row], cast.camera[row], natural_key(ids[row])))
    counts: dict[str, int] = {}
    names = {}
    for row in kept:
        code = "-1" if cast.person[row] == JUNK else f"{cast.person[row]:04d}"
        start = f"{code}_c{cast.camera[row]}s"
        counts[start] = counts.get(start, 0) + 1
        names[row] = f"{start}{counts[start]}"
    return names
