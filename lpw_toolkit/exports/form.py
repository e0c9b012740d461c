"""The contract of an export form, one file each in `forms/`, and what the forms share.

Images are copied byte for byte, each checked against its SHA-256. What a form cannot hold is
returned, and printed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol, cast

import pyarrow.compute as pc

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.image_format import KIND_OF_SUFFIX
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files import writing
from lpw_toolkit.files.opening import Folder
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.plugins import PluginFolder
from lpw_toolkit.progress import Progress

FORMS = PluginFolder("lpw_toolkit.exports.forms", "option --to")

Role = Literal["results", "truth"]
SHARD_BYTES = 64 << 20


@dataclass(frozen=True)
class ExportOptions:
    """What can be asked of a form; None means its default.

    Attributes:
        role: mot: what the text is meant as, `results` (default) or `truth`.
        split: forms with train, query and gallery: number of the split (default: the first).
        shard_bytes: forms in shards: a shard is closed when its images reach this size (default:
            SHARD_BYTES).
    """

    role: Role | None = None
    split: int | None = None
    shard_bytes: int | None = None


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        out: the folder.
        losses: one line for each thing that the form cannot hold, or that was chosen for it.
        n_images: images written, a second copy counted again.
        n_bytes: their size.
    """

    out: Path
    losses: list[str]
    n_images: int = 0
    n_bytes: int = 0


class Form(Protocol):
    """What each file of this folder provides."""

    TITLE: str
    OPTIONS: tuple[str, ...]

    def export(self, dataset: Dataset, out: Path, options: ExportOptions) -> Exported:
        """Writes `dataset` to the new folder `out`, whole or not at all. Errors: LpwError."""


def list_forms() -> list[str]:
    """The names of all forms."""
    return FORMS.names()


def open_form(name: str) -> Form:
    """The form called `name`. Errors: LpwError that lists the names."""
    return cast(Form, FORMS.load(name))


def export_dataset(
    dataset: Dataset, form: str, out: Path, options: ExportOptions | None = None
) -> Exported:
    """Writes `dataset` to the new folder `out` in the form called `form`.

    Errors: LpwError for an unknown form, an option it does not have, or a dataset that it cannot
    hold; then nothing is left behind.
    """
    options = options or ExportOptions()
    plug_in = open_form(form)
    for field in fields(options):
        if getattr(options, field.name) is not None and field.name not in plug_in.OPTIONS:
            do = "leave the option out"
            raise LpwError(
                f"export to {form}",
                f"the option {field.name}",
                ", ".join(plug_in.OPTIONS) or "none",
                do,
            )
    dataset.refuse_repeated_images()
    return plug_in.export(dataset, out, options)


@dataclass(frozen=True)
class Place:
    """Where the images of one tracklet go.

    Attributes:
        tracklet: row in the table of tracklets.
        folder: relative to the export; "" is its top.
        name: a format with `n`, the number of the image, and `suffix` (with its dot).
        first: number of the first image.
        most: images after this many are left out; None keeps all.
        numbers: of all images, where they do not count on from `first`.
    """

    tracklet: int
    folder: str
    name: str
    first: int = 1
    most: int | None = None
    numbers: tuple[int, ...] | None = None


@dataclass
class Tally:
    """Images and bytes written so far."""

    n_images: int = 0
    n_bytes: int = 0

    def add(self, sizes: Iterable[int]) -> None:
        """Counts images by their sizes."""
        for size in sizes:
            self.n_images += 1
            self.n_bytes += size


def copy_images(
    dataset: Dataset, places: list[Place], top: Path, progress: Progress, tally: Tally
) -> None:
    """Copies images byte for byte, hash verified, tracklet by tracklet.

    Errors: CorruptCropError for an image that is not the index's, MismatchError for one that is no
    JPEG or PNG.
    """
    ranges, images = FrameRanges(dataset), open_images(dataset)
    for folder in dict.fromkeys(place.folder for place in places):
        writing.make_folder(top / folder)
    held = Folder(writing.make_folder(top))

    def copy(place: Place) -> list[int]:
        sizes = []
        rows = range(*ranges.bounds[place.tracklet].tolist())[: place.most]
        for n, row in zip(place.numbers or count(place.first), rows, strict=False):
            name = place.name.format(n=n, suffix=read_suffix(dataset, images.name(row)))
            data = images.read(row)
            writing.write_inside(held, f"{place.folder}/{name}" if place.folder else name, data)
            sizes.append(len(data))
        return sizes

    for sizes in prefetch(copy, places):
        tally.add(sizes)
        progress.advance(len(sizes))


def read_suffix(dataset: Dataset, path: str) -> str:
    """The suffix of an image's path, lower case, with its dot. Errors: MismatchError for no JPEG or
    PNG."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in KIND_OF_SUFFIX:
        raise MismatchError(
            dataset.root / path,
            f"a file ending {suffix!r}",
            ".jpg or .png",
            "build the dataset again",
        )
    return suffix


def name_png(dataset: Dataset) -> list[str]:
    """A line about PNG images for forms whose readers only look for `.jpg`; no line where there are
    none."""
    paths = pc.struct_field(dataset.frames["image"], "path")
    n_png = int(pc.sum(pc.ends_with(paths, ".png", ignore_case=True)).as_py() or 0)
    return (
        [f"suffixes: {n_png:,} PNG images are named .jpg, the only name its readers look for"]
        if n_png
        else []
    )


def name_lost_columns(dataset: Dataset, *, kept: tuple[str, ...] = ()) -> list[str]:
    """A line for the columns that hold something and that a form does not carry; no line where it
    carries all.

    Args:
        kept: columns of the tables of tracklets and frames that the form holds.
    """
    tables = (
        (dataset.tracklets, ("scene_id", "video_id")),
        (dataset.frames, ("frame_index", "pts_s", "x1", "score")),
    )
    words = {
        "x1": "boxes",
        "pts_s": "times",
        "scene_id": "scenes",
        "video_id": "videos",
        "frame_index": "frame numbers",
    }
    lost = [
        words.get(name, f"{name}s")
        for table, names in tables
        for name in names
        if name not in kept and table.num_rows > table[name].null_count
    ]
    return [f"{', '.join(lost)}: the form has no place for them"] if lost else []
