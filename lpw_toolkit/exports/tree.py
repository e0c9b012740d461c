"""A plain tree of images: a folder per tracklet, named by its id."""

from pathlib import Path, PurePosixPath

from lpw_toolkit.dataset import Dataset, is_inner_path
from lpw_toolkit.errors import LpwError
from lpw_toolkit.exports import Exported, ExportOptions, Place, Tally, copy_images
from lpw_toolkit.folders import publish_folder
from lpw_toolkit.progress import show_progress

TITLE = "plain folders of images"
OPTIONS: tuple[str, ...] = ()
_LOSSES = ["persons, cameras, kinds, splits, times, boxes and scores: only images and tracklet ids are left"]


def export(dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
    """Copies every image to OUT/<tracklet_id>/<n>.jpg (`scen1/view2/000001/7.jpg`), n from 1, hash verified.

    Errors: LpwError when OUT is not empty or an id is no path, CorruptCropError for an image that is not the index's;
    then nothing is left behind.
    """
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    places = [Place(row, check_id(dataset, name), "{n}{suffix}") for row, name in enumerate(ids)]
    tally = Tally()
    with publish_folder(out) as top, show_progress("export", dataset.frames.num_rows, "images") as progress:
        copy_images(dataset, places, top, progress, tally)
    return Exported(out, _LOSSES, tally.n_images, tally.n_bytes)


def check_id(dataset: Dataset, tracklet_id: str) -> str:
    """`tracklet_id` itself if it is a path below a folder. Errors: LpwError."""
    if not is_inner_path(tracklet_id) or str(PurePosixPath(tracklet_id)) != tracklet_id or tracklet_id == ".":
        thing = f"{dataset.root / 'tracklets.parquet'}, tracklet {tracklet_id!r}"
        raise LpwError(thing, "an id that is no folder name", "an id like scen1/view2/000001", "rename the tracklet")
    return tracklet_id
