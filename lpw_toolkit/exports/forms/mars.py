"""The layout of MARS: `bbox_train`, `bbox_test`, `info/*.mat`; junk and distractors are kept."""

from pathlib import Path

import numpy as np

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.exports.form import Exported, ExportOptions, Tally, name_lost_columns, name_png
from lpw_toolkit.exports.mars_layout import LIMITS, write_mars
from lpw_toolkit.exports.roles import ExportRoles, cast_roles, format_mapping
from lpw_toolkit.files import writing
from lpw_toolkit.progress import show_progress

TITLE = "the layout of MARS"
OPTIONS: tuple[str, ...] = ("split",)
_MAX_IMAGES = 999  # the F number has three digits


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Writes OUT/{bbox_train,bbox_test,info} and OUT/tracklets.csv, which says what each name
    stands for.

    Errors: LpwError when OUT is not empty, no person is named, or the layout cannot hold the
    persons or cameras; CorruptCropError. Then nothing is left behind.
    """
    cast = cast_roles(dataset, options.split, LIMITS)
    tally, ranges = Tally(), FrameRanges(dataset)
    rows = np.unique(np.concatenate(list(cast.roles.subsets().values())))
    with (
        publish_folder(out) as folder,
        show_progress("export", ranges.n_frames(rows), "images") as progress,
    ):
        names = write_mars(dataset, cast, folder, most=_MAX_IMAGES, progress=progress, tally=tally)
        writing.write_file(folder / "tracklets.csv", format_mapping(dataset, names, cast))
    n_cut = ranges.n_frames(rows) - tally.n_images
    cut = (
        [f"long tracklets: {n_cut:,} images after the {_MAX_IMAGES}th of a tracklet are left out"]
        if n_cut
        else []
    )
    lines = [
        *cast.lines,
        *_name_returns(cast),
        *cut,
        *name_png(dataset),
        *name_lost_columns(dataset),
    ]
    return Exported(out, lines, tally.n_images, tally.n_bytes)


def _name_returns(cast: ExportRoles) -> list[str]:
    """A line about queries that the layout puts into the gallery, where they were not."""
    n_outside = len(np.setdiff1d(cast.roles.query, cast.roles.gallery))
    return (
        [f"gallery: MARS keeps queries in it, so {n_outside:,} come to it that were not there"]
        if n_outside
        else []
    )
