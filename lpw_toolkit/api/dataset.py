"""A dataset in Python: a sequence of tracklets, tables as pandas, pictures in notebooks."""

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.api.calls import public_call
from lpw_toolkit.api.settings import take_path
from lpw_toolkit.dataset import dataset as stored_dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.image_codec import decode_image
from lpw_toolkit.dataset.image_reader import ImageReader, open_images
from lpw_toolkit.names import html_text
from lpw_toolkit.pages.dataset_page import write_show
from lpw_toolkit.pages.sprites import draw_strip, sample_positions

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL.Image import Image

Stored = stored_dataset.Dataset
_N_CROPS = 12


@dataclass(frozen=True, repr=False, eq=False)
class TrackletView:
    """One tracklet of a `Dataset`: one person, seen by one camera for a while.

    Attributes:
        dataset: the dataset that it belongs to.
        row: its row in `dataset.tracklets`.
    """

    dataset: "Dataset"
    row: int

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """Its row of the table of tracklets: `tracklet_id`, `camera_id`, `person_id`, `kind`,
        `n_frames`, …; None where a value is unknown."""
        return dict(self.dataset.stored.tracklets.slice(self.row, 1).to_pylist()[0])

    @property
    def id(self) -> str:
        """`tracklet_id`, unique in the dataset."""
        return str(self.info["tracklet_id"])

    @property
    def camera_id(self) -> str:
        """The camera that saw it."""
        return str(self.info["camera_id"])

    @property
    def person_id(self) -> str | None:
        """The person id; None if unknown."""
        person: str | None = self.info["person_id"]
        return person

    def __len__(self) -> int:
        return int(self.info["n_frames"])

    @property
    def frames(self) -> "DataFrame":
        """Its rows of `Dataset.frames`, in temporal order."""
        return _to_pandas(self.dataset.ranges.frames(self.row))

    def images(self) -> "NDArray[np.uint8] | list[NDArray[np.uint8]]":
        """All its crops, in temporal order, each verified against the SHA-256 of the index.

        Returns:
            (T, H, W, 3) uint8, RGB; a list of T arrays (H, W, 3) where the crops differ in size.

        Raises:
            CorruptCropError: an image is missing, or not the one of the index.

        >>> from lpw_toolkit import open_dataset
        >>> open_dataset("mini")[0].images().shape[1:]
        (64, 32, 3)
        """
        start, stop = self.dataset.ranges.bounds[self.row].tolist()
        images = [self.dataset.reader.decode(row) for row in range(start, stop)]
        return np.stack(images) if len({image.shape for image in images}) == 1 else images

    def show(self, n_crops: int = _N_CROPS) -> "Image":
        """At most `n_crops` of its crops side by side, 96 px high; a damaged one is crossed out.

        A notebook shows the picture; `.show()` of it opens a window.

        >>> from lpw_toolkit import open_dataset
        >>> open_dataset("mini")[0].show(n_crops=4).size
        (192, 96)
        """
        from PIL import Image

        jpeg = _draw(self.dataset.stored, self._sample(n_crops))
        return Image.fromarray(decode_image(jpeg)[..., ::-1])  # BGR to RGB

    def _sample(self, n_crops: int) -> NDArray[np.int64]:
        start = int(self.dataset.ranges.bounds[self.row, 0])
        return start + np.array(sample_positions(len(self), n_crops), dtype=np.int64)

    def __repr__(self) -> str:
        person = self.person_id or "unknown person"
        return f"Tracklet {self.id!r}: {len(self)} images, {person}, camera {self.camera_id}"

    def _repr_html_(self) -> str:
        return _page(repr(self), _draw(self.dataset.stored, self._sample(_N_CROPS)))


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """A complete dataset, opened by `open_dataset`: a sequence of its tracklets.

    Attributes:
        stored: the folder as the rest of the toolkit takes it, with Arrow tables.

    >>> from lpw_toolkit import open_dataset
    >>> dataset = open_dataset("mini")
    >>> dataset[0].id == dataset.tracklets["tracklet_id"][0]
    True
    >>> len(dataset[2:5])
    3
    >>> sum(len(tracklet) for tracklet in dataset) == len(dataset.frames)
    True
    """

    stored: Stored

    @property
    def name(self) -> str:
        """The name that the dataset gives itself."""
        return self.stored.name

    @property
    def root(self) -> Path:
        """Its folder."""
        return self.stored.root

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of `dataset.json` and all that it names; every result carries it."""
        return self.stored.digest

    @property
    def counts(self) -> dict[str, int]:
        """`n_tracklets`, `n_images`, `n_persons`, `n_cameras` and `n_scenes`."""
        return dict(self.stored.manifest["counts"])

    @cached_property
    def tracklets(self) -> "DataFrame":
        """One row for each tracklet: `tracklet_id`, `scene_id`, `camera_id`, `person_id`, `kind`,
        `video_id`, `n_frames`, `first_pts_s`, `last_pts_s` (seconds in the video)."""
        return self.stored.tracklets.to_pandas()

    @cached_property
    def frames(self) -> "DataFrame":
        """One row for each image, by tracklet and `position`: `image` (path in the dataset), size
        in pixels, `sha256`, `frame_index` and `pts_s` in the video, box `x1 y1 x2 y2` in pixels of
        the video, `score`."""
        return _to_pandas(self.stored.frames)

    @cached_property
    def splits(self) -> "DataFrame | None":
        """Which tracklets are train, query and gallery in each split; None without splits."""
        return None if self.stored.splits is None else self.stored.splits.to_pandas()

    @cached_property
    def ranges(self) -> FrameRanges:
        """Which rows of `frames` each tracklet has."""
        return FrameRanges(self.stored)

    @cached_property
    def reader(self) -> ImageReader:
        """Reads single images by their row in `frames`."""
        return open_images(self.stored)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {
            name: row for row, name in enumerate(self.stored.tracklets["tracklet_id"].to_pylist())
        }

    def __len__(self) -> int:
        return int(self.stored.tracklets.num_rows)

    @overload
    def __getitem__(self, key: "str | int") -> TrackletView: ...
    @overload
    def __getitem__(self, key: slice) -> list[TrackletView]: ...
    def __getitem__(self, key: "str | int | slice") -> TrackletView | list[TrackletView]:
        """The tracklet with this id or at this place (from 0, negative from the end); a list of
        tracklets for a slice.

        Raises:
            KeyError: no tracklet has this id.
            IndexError: there are not so many tracklets.
        """
        if isinstance(key, str):
            return TrackletView(self, self._rows[key])
        if isinstance(key, slice):
            return [TrackletView(self, row) for row in range(len(self))[key]]
        return TrackletView(self, range(len(self))[key])

    def __iter__(self) -> Iterator[TrackletView]:
        return (TrackletView(self, row) for row in range(len(self)))

    def __contains__(self, tracklet_id: object) -> bool:
        return tracklet_id in self._rows

    def show(self, out: "str | os.PathLike[str]" = "show") -> Path:
        """Writes the dataset as a page of pictures, as `lpw show` does.

        Args:
            out: folder to be written; an older page there is replaced, anything else refused.

        Returns:
            The file to open in a browser.

        Raises:
            LpwError: `out` holds other things, or lies in the dataset.

        >>> from lpw_toolkit import open_dataset
        >>> open_dataset("mini").show("pictures").as_posix()
        'pictures/index.html'
        """
        return write_show(self.stored, take_path(out)).page

    def __repr__(self) -> str:
        counts = ", ".join(f"{n:,} {name.removeprefix('n_')}" for name, n in self.counts.items())
        return f"Dataset {self.name!r}: {counts} ({self.root})"

    def _repr_html_(self) -> str:
        """The counts, and a crop from the middle of some tracklets."""
        tracklets = sample_positions(len(self), _N_CROPS)
        rows = (
            self.ranges.bounds[tracklets].sum(axis=1) // 2 if tracklets else np.zeros(0, np.int64)
        )
        return _page(repr(self), _draw(self.stored, rows) if tracklets else b"")


@public_call
def open_dataset(root: "str | os.PathLike[str]") -> Dataset:
    """Opens the dataset in the folder `root`, verified against its `dataset.json`.

    Args:
        root: folder that `lpw build-tracklets`, `lpw import`, … made.

    Raises:
        LpwError: there is no dataset, or it is unfinished.
        MismatchError: its manifest or tables are damaged, or not the ones it was written with.

    >>> from lpw_toolkit import open_dataset
    >>> open_dataset("mini")
    Dataset 'mini': 12 tracklets, 165 images, 6 persons, 4 cameras, 2 scenes (mini)
    """
    return Dataset(stored_dataset.open_dataset(take_path(root)))


def to_stored(dataset: "Dataset | Stored | str | os.PathLike[str]") -> Stored:
    """The dataset that is meant by itself or by its folder. Raises: as `open_dataset`."""
    if isinstance(dataset, Dataset):
        return dataset.stored
    return (
        dataset if isinstance(dataset, Stored) else stored_dataset.open_dataset(take_path(dataset))
    )


def _to_pandas(frames: pa.Table) -> "DataFrame":
    """The table of frames with the path of each image in the column `image`."""
    column = frames.schema.get_field_index("image")
    paths = pc.struct_field(frames["image"], "path")
    return frames.set_column(column, "image", paths).to_pandas()


def _draw(stored: Stored, rows: "NDArray[np.int64]") -> bytes:
    """The images in `rows` of the table of frames side by side, as JPEG."""
    return draw_strip(stored, stored.frames.take(pa.array(rows))).jpeg


def _page(title: str, jpeg: bytes) -> str:
    picture = f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="crops">'
    return f"<div><p>{html_text(title)}</p>{picture if jpeg else ''}</div>"
