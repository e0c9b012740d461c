"""Reads images in tracklet order and gathers them into shards of about one size, with one shard in
memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.exports.roles import Ints, read_roles
from lpw_toolkit.files.prefetch import prefetch


@dataclass(frozen=True)
class Loaded:
    """One tracklet with its images.

    Attributes:
        tracklet: row in the table of tracklets.
        frames: its rows of the table of frames.
        images: encoded, one for each row.
    """

    tracklet: int
    frames: pa.Table
    images: list[bytes]

    @property
    def n_bytes(self) -> int:
        """Size of the images."""
        return sum(map(len, self.images))


def read_shards(dataset: Dataset, rows: Ints, shard_bytes: int) -> Iterator[list[Loaded]]:
    """Tracklets in the order of `rows`; a shard ends with the tracklet that makes it reach
    `shard_bytes`.

    Errors: CorruptCropError for an image that is not the index's.
    """
    ranges, images = FrameRanges(dataset), open_images(dataset)

    def load(tracklet: int) -> Loaded:
        rows = range(*ranges.bounds[tracklet].tolist())
        return Loaded(tracklet, ranges.frames(tracklet), [images.read(row) for row in rows])

    shard: list[Loaded] = []
    size = 0
    for loaded in prefetch(load, rows.tolist()):
        shard.append(loaded)
        size += loaded.n_bytes
        if size >= shard_bytes:
            yield shard
            shard, size = [], 0
    if shard:
        yield shard


def name_parts(
    dataset: Dataset, split: int | None, *, whole: str
) -> tuple[dict[str, Ints], list[str]]:
    """The tracklets (rows) of each part of a form in shards, empty ones left out, and what was
    chosen.

    Args:
        whole: what the only part is called where the dataset has no splits.

    Returns: parts `train`, `query`, `gallery` and, for tracklets in none of them, `rest`.
    """
    n_tracklets = dataset.tracklets.num_rows
    roles = read_roles(dataset, split)
    if roles is None:
        return {whole: np.arange(n_tracklets)}, [
            f"splits: the dataset has none; everything is in `{whole}`"
        ]
    parts = {**roles.subsets(), "rest": roles.rest(n_tracklets)}
    n_double = len(np.intersect1d(roles.query, roles.gallery))
    lines = (
        [f"doubles: {n_double:,} tracklets are both, and stand in `query` and `gallery`"]
        if n_double
        else []
    )
    return {name: rows for name, rows in parts.items() if len(rows)}, [*roles.lines, *lines]
