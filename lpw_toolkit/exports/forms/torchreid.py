"""The tree that torchreid's video dataset `mars` loads unchanged: OUT is its root."""

from pathlib import Path

import numpy as np

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.exports.form import Exported, ExportOptions, Tally, name_lost_columns, name_png
from lpw_toolkit.exports.mars_layout import LIMITS, write_mars
from lpw_toolkit.exports.roles import JUNK, ExportRoles, cast_roles, format_mapping
from lpw_toolkit.files import writing
from lpw_toolkit.progress import show_progress

TITLE = "torchreid's video dataset `mars`"
OPTIONS: tuple[str, ...] = ("split",)


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Writes OUT/mars in the layout of MARS, for `VideoDataManager(root=OUT, sources="mars")`, and
    OUT/tracklets.csv.

    Errors: LpwError when OUT is not empty, no person is named, or the loader cannot hold the
    persons or cameras; CorruptCropError. Then nothing is left behind.
    Source: KaiyangZhou/deep-person-reid:torchreid/data/datasets/video/mars.py (0.2.5).
    """
    cast = cast_roles(dataset, options.split, LIMITS)
    tally = Tally()
    rows = np.unique(np.concatenate(list(cast.roles.subsets().values())))
    n_images = FrameRanges(dataset).n_frames(rows)
    with publish_folder(out) as folder, show_progress("export", n_images, "images") as progress:
        names = write_mars(
            dataset, cast, folder / "mars", most=None, progress=progress, tally=tally
        )
        writing.write_file(folder / "tracklets.csv", format_mapping(dataset, names, cast))
    lines = [*cast.lines, *_name_habits(cast), *name_png(dataset), *name_lost_columns(dataset)]
    return Exported(out, lines, tally.n_images, tally.n_bytes)


def _name_habits(cast: ExportRoles) -> list[str]:
    """Lines about what the loader does with the tree."""
    roles = cast.roles
    doubles = np.intersect1d(roles.query, roles.gallery)
    answers = np.setdiff1d(roles.gallery, roles.query)
    seen = set(zip(cast.person[answers].tolist(), cast.camera[answers].tolist(), strict=True))
    cameras: dict[int, set[int]] = {}
    for person, camera in seen:
        cameras.setdefault(person, set()).add(camera)
    n_lost = sum(
        not cameras.get(int(cast.person[row]), set()) - {int(cast.camera[row])}
        for row in roles.query
    )
    n_junk = int((cast.person[roles.gallery] == JUNK).sum())
    lines = [f"gallery: torchreid takes {len(doubles):,} queries out of it"] if len(doubles) else []
    lines += (
        [f"queries: {n_lost:,} have no right answer there, and torchreid passes over them"]
        if n_lost
        else []
    )
    return [*lines, *([f"junk: torchreid passes over {n_junk:,} tracklets"] if n_junk else [])]
