"""A plain tree of images: one folder per tracklet, named by its id where the file system allows
it."""

import re
from pathlib import Path, PurePosixPath

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.manifest import is_inner_path
from lpw_toolkit.dataset.output_folder import publish_folder
from lpw_toolkit.errors import LpwError
from lpw_toolkit.exports.form import Exported, ExportOptions, Place, Tally, copy_images
from lpw_toolkit.exports.roles import format_mapping
from lpw_toolkit.files import writing
from lpw_toolkit.names import safe_file_name
from lpw_toolkit.progress import show_progress

TITLE = "plain folders of images"
OPTIONS: tuple[str, ...] = ()
NAMES = "names.csv"
_LOSSES = [
    (
        "persons, cameras, kinds, splits, times, boxes and scores: only images and tracklet ids "
        "are "
        "left"
    )
]
_IMAGE = re.compile(r"\d+\.(jpe?g|png)", re.IGNORECASE)


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Copies every image to OUT/<tracklet_id>/<n>.jpg (`scen1/view2/000001/7.jpg`), n from 1, hash
    verified.

    Where an id is no name that every file system holds, its folder is called otherwise
    (`names.safe_file_name`), and OUT/names.csv says which folder is which tracklet.

    Errors: LpwError when OUT is not empty or an id is no path, CorruptCropError for an image that
    is not the index's; then nothing is left behind.
    """
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    folders = name_folders([check_id(dataset, name) for name in ids])
    places = [Place(row, folder, "{n}{suffix}") for row, folder in enumerate(folders)]
    n_renamed = sum(folder != name for folder, name in zip(folders, ids, strict=True))
    tally = Tally()
    with (
        publish_folder(out) as top,
        show_progress("export", dataset.frames.num_rows, "images") as progress,
    ):
        copy_images(dataset, places, top, progress, tally)
        if n_renamed:
            writing.write_file(top / NAMES, format_mapping(dataset, dict(enumerate(folders))))
    renamed = (
        f"names: {n_renamed:,} ids that not every file system holds are folders of other "
        f"names; see {NAMES}"
    )
    return Exported(
        out, [*_LOSSES, *([renamed] if n_renamed else [])], tally.n_images, tally.n_bytes
    )


def name_folders(ids: list[str]) -> list[str]:
    """A path for each id, safe part by part; equal parts of the same folder stay equal, others
    apart."""
    made: dict[tuple[str, str], str] = {}
    taken: dict[str, set[str]] = {"": {NAMES}}
    folders = []
    for name in ids:
        folder = ""
        for part in name.split("/"):
            if (folder, part) not in made:
                beside = taken.setdefault(folder, set())
                wanted = (
                    f"{part}_" if _IMAGE.fullmatch(part) else part
                )  # images of another tracklet may lie there
                made[folder, part] = f"{folder}{safe_file_name(wanted, beside)}/"
            folder = made[folder, part]
        folders.append(folder.removesuffix("/"))
    return folders


def check_id(dataset: Dataset, tracklet_id: str) -> str:
    """`tracklet_id` itself if it is a path below a folder. Errors: LpwError."""
    if (
        not is_inner_path(tracklet_id)
        or str(PurePosixPath(tracklet_id)) != tracklet_id
        or tracklet_id == "."
    ):
        thing = f"{dataset.root / 'tracklets.parquet'}, tracklet {tracklet_id!r}"
        raise LpwError(
            thing,
            "an id that is no folder name",
            "an id like scen1/view2/000001",
            "rename the tracklet",
        )
    return tracklet_id
