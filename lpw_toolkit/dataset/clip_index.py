"""A dataset opened for reading clips: the frame rows of each tracklet, and an image reader."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.image_reader import IMAGE_COLUMNS, ImageReader, Source, open_images
from lpw_toolkit.dataset.schema import FRAMES
from lpw_toolkit.dataset.tables import run_starts, to_integers
from lpw_toolkit.errors import MismatchError


@dataclass(frozen=True)
class TrackletIndex:
    """Tracklets and their images.

    Attributes:
        dataset: the dataset.
        tracklets: its table of tracklets, N rows.
        starts: (N + 1,) tracklet i has the rows `starts[i]` to `starts[i + 1]` (half-open) of the
            table of frames.
        images: reads and decodes those rows.
    """

    dataset: Dataset
    tracklets: pa.Table
    starts: NDArray[np.int64]
    images: ImageReader

    def __len__(self) -> int:
        return int(self.tracklets.num_rows)


def open_index(root: Path, *, source: Source = "auto", verify_every: int = 1) -> TrackletIndex:
    """Opens the dataset at `root` for reading clips.

    Both tables are read with page checksums verified, and only the columns that reading needs; that
    frames and tracklets name the same ids in the same order, with dense positions and as many
    frames as they say, is checked.

    Errors: LpwError when there is no dataset, MismatchError for tables that are damaged or do not
    fit each other.
    """
    dataset = open_dataset(root)
    frames = dataset.read_table(
        "frames.parquet", FRAMES, columns=["tracklet_id", "position", *IMAGE_COLUMNS]
    )
    starts = _group(dataset, frames)
    return TrackletIndex(
        dataset,
        dataset.tracklets,
        starts,
        open_images(dataset, frames, source=source, verify_every=verify_every),
    )


def _group(dataset: Dataset, frames: pa.Table) -> NDArray[np.int64]:
    tracklets, runs = dataset.tracklets, run_starts(frames["tracklet_id"])
    starts = np.append(runs, frames.num_rows)
    rows = pa.Array.from_buffers(
        pa.int64(), len(runs), [None, pa.py_buffer(runs)]
    )  # pa.array would import pandas
    fits = frames["tracklet_id"].take(rows).equals(tracklets["tracklet_id"])
    fits = fits and np.array_equal(np.diff(starts), to_integers(tracklets, "n_frames"))
    if fits:
        dense = np.arange(frames.num_rows) - np.repeat(runs, np.diff(starts))
        fits = np.array_equal(dense, to_integers(frames, "position"))
    if not fits:
        expected = "the tracklets of tracklets.parquet, in its order, positions 0, 1, 2, …"
        raise MismatchError(
            dataset.root / "frames.parquet",
            "other rows",
            expected,
            "run `lpw check` on the dataset",
        )
    return starts
