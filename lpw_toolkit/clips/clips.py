"""Clips of tracklets for training with torch: a map-style Dataset and its collate function.

Pixels come as uint8 by default: a quarter of the bytes between processes; normalise on the device
that trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.embedding.sampling import (
    SAMPLINGS,
    Draw,
    Sampling,
    choose_frames,
    clip_generator,
)
from lpw_toolkit.errors import CorruptCropError, LpwError

Batch = dict[str, Any]


@dataclass(frozen=True)
class ClipOptions:
    """The settings of a clip.

    Attributes:
        n_frames: T; of no meaning for the sampling `all`.
        sampling: see `sampling.choose_frames`.
        size_px: height and width that every image is stretched to; None keeps them, and all of a
            clip must be alike.
        train: False draws nothing: `restricted` takes the first frame of each stretch, `random` is
            refused.
        seed: of everything drawn.
        dtype: `uint8` 0-255, or `float32` 0-1.
        skip_corrupt: an image that is not the index's is replaced by the next good one of its
            tracklet and named in the item's `skipped`; otherwise it is an error.
    """

    n_frames: int = 8
    sampling: Sampling = "random"
    size_px: tuple[int, int] | None = (256, 128)
    train: bool = True
    seed: int = 0
    dtype: Literal["uint8", "float32"] = "uint8"
    skip_corrupt: bool = False

    def __post_init__(self) -> None:
        ranges = [
            ("n_frames", self.n_frames, self.n_frames >= 1, "1 or more"),
            ("seed", self.seed, self.seed >= 0, "0 or more"),
            ("sampling", self.sampling, self.sampling in SAMPLINGS, " | ".join(SAMPLINGS)),
            (
                "sampling",
                "random at test",
                self.train or self.sampling != "random",
                "evenly, restricted or all",
            ),
            ("dtype", self.dtype, self.dtype in ("uint8", "float32"), "uint8 | float32"),
            (
                "size_px",
                self.size_px,
                self.size_px is None or min(self.size_px) >= 1,
                "height and width in pixels",
            ),
        ]
        for name, value, good, expected in ranges:
            if not good:
                raise LpwError(f"clips, {name}", f"{value}", expected, "choose another value")


class ClipDataset(Dataset):  # type: ignore[misc]  # torch is not typed here
    """Clips of tracklets, one item for each.

    An item is a dict: `imgs` (T, 3, H, W) RGB, `pid` and `camid` int, `tracklet_id` str. In memory
    the channels of a pixel lie together, as decoders write them and as torch calls `channels_last`.
    The item is a function of (seed, epoch, place) alone, whichever worker makes it: index it by a
    `Draw`, or by a row, whose place is then its number and whose epoch is that of `set_epoch`.

    Attributes:
        pids: (N,) 0, 1, … for the sorted persons of these tracklets; -1 where no person is named.
        camids: (N,) the same for cameras.
        persons, cameras: the names behind these numbers.

    Args:
        index: the opened dataset.
        options: what a clip is.
        tracklet_ids: which tracklets, in this order; None is all of the dataset.
    """

    def __init__(
        self, index: TrackletIndex, options: ClipOptions, tracklet_ids: Sequence[str] | None = None
    ) -> None:
        self.index, self.options = index, options
        self._tracklets = _select(index, tracklet_ids)
        table = index.tracklets.take(pa.array(self._tracklets))
        self.persons, self.pids = _number(table["person_id"])
        self.cameras, self.camids = _number(table["camera_id"])
        self._names: list[str] = table["tracklet_id"].to_pylist()
        self._epoch = torch.zeros(
            (), dtype=torch.int64
        ).share_memory_()  # workers that live on see the change

    def __len__(self) -> int:
        return len(self._tracklets)

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch clips that are asked for by row belong to."""
        self._epoch.fill_(epoch)

    def __getitem__(self, item: int | Draw) -> Batch:
        """One clip. Errors: CorruptCropError naming the image; LpwError for sizes that differ
        within a clip."""
        draw = item
        if not isinstance(draw, Draw):
            row = range(len(self))[draw]
            draw = Draw(row, int(self._epoch), row)
        rows = self._choose(draw)
        clip = np.empty((len(rows), *self._size([rows]), 3), dtype=np.uint8)
        found = self._read(draw, rows, clip)
        imgs = torch.from_numpy(clip).permute(0, 3, 1, 2)
        return {**found, "imgs": imgs.float() / 255 if self.options.dtype == "float32" else imgs}

    def read_batch(self, draws: Sequence[Draw], pixels: torch.Tensor | None = None) -> Batch:
        """What `collate` makes of these clips. In a worker the pixels go straight into shared
        memory.

        Args:
            pixels: (B, T, H, W, 3) uint8 that take them; without it new ones.
        """
        if self.options.sampling == "all" or self.options.dtype != "uint8":
            return collate([self[draw] for draw in draws])
        chosen = [self._choose(draw) for draw in draws]
        if pixels is None:
            pixels = _make_pixels((len(draws), self.options.n_frames, *self._size(chosen), 3))
        clips = zip(draws, chosen, pixels.numpy(), strict=True)
        batch = _collate_facts([self._read(draw, rows, clip) for draw, rows, clip in clips])
        return {**batch, "imgs": view_channels_first(pixels)}

    def _choose(self, draw: Draw) -> list[int]:
        """Rows (T,) of the table of frames."""
        first, end = self.index.starts[self._tracklets[draw.row] :][:2].tolist()
        options = self.options
        rng = clip_generator(options.seed, draw.epoch, draw.place) if options.train else None
        places = choose_frames(end - first, options.n_frames, options.sampling, rng)
        return [first + place for place in places.tolist()]

    def _size(self, clips: list[list[int]]) -> tuple[int, int]:
        """Height and width of all images of `clips`. Errors: LpwError where they differ."""
        if self.options.size_px:
            return self.options.size_px
        sizes = {self.index.images.size_px(row): row for rows in clips for row in rows}
        if len(sizes) > 1:
            (one, _), (other, row) = list(sizes.items())[:2]
            got = f"{other[0]}x{other[1]} beside images of {one[0]}x{one[1]}"
            raise LpwError(self.index.images.name(row), got, "one size", "set size_px")
        return next(iter(sizes))

    def _read(self, draw: Draw, rows: list[int], clip: NDArray[np.uint8]) -> Batch:
        """Decodes `rows` into `clip` (T, H, W, 3); returns everything of the item but its
        pixels."""
        skipped: list[str] = []
        for row, place in zip(rows, clip, strict=True):
            self._decode(draw.row, row, place, skipped)
        found: Batch = {"pid": int(self.pids[draw.row]), "camid": int(self.camids[draw.row])}
        found["tracklet_id"] = self._names[draw.row]
        return {**found, "skipped": skipped} if self.options.skip_corrupt else found

    def _decode(self, clip: int, row: int, place: NDArray[np.uint8], skipped: list[str]) -> None:
        """The image of `row`, or of the next good row of the tracklet where that is asked for, into
        `place`."""
        first, end = self.index.starts[self._tracklets[clip] :][:2].tolist()
        for other in (*range(row, end), *range(first, row)):
            try:
                self.index.images.decode(other, place.shape[:2], place)
            except CorruptCropError as error:
                if not self.options.skip_corrupt:
                    raise
                skipped.append(self.index.images.name(other))
                last = error
            else:
                return
        raise last


def view_channels_first(pixels: torch.Tensor) -> torch.Tensor:
    """(B, T, H, W, 3) as (B, T, 3, H, W)."""
    return pixels.permute(0, 1, 4, 2, 3)


def _make_pixels(shape: tuple[int, ...]) -> torch.Tensor:
    """Bytes (uninitialised) of `shape`; in a worker in shared memory, so that they need not be
    copied there."""
    if torch.utils.data.get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    storage = torch.UntypedStorage._new_shared(int(np.prod(shape)))
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)


def _select(index: TrackletIndex, tracklet_ids: Sequence[str] | None) -> NDArray[np.int64]:
    """Rows (N,) of the table of tracklets."""
    if tracklet_ids is None:
        return np.arange(len(index))
    rows = {name: row for row, name in enumerate(index.tracklets["tracklet_id"].to_pylist())}
    unknown = [name for name in tracklet_ids if name not in rows]
    if unknown or not len(tracklet_ids):
        got = f"{len(unknown)} unknown ({unknown[0]})" if unknown else "none"
        raise LpwError(
            "tracklets of the clips",
            got,
            f"tracklets of {index.dataset.name}",
            "take them from its tables",
        )
    return np.array([rows[name] for name in tracklet_ids], dtype=np.int64)


def _number(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Sorted names, and the number of each row's name among them; -1 for null."""
    values = column.to_pylist()
    names = sorted({value for value in values if value is not None})
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.array([numbers.get(value, -1) for value in values], dtype=np.int64)


def collate(items: list[Batch]) -> Batch:
    """A batch: `imgs` (B, T, 3, H, W), `pid` and `camid` (B,) int64, `tracklet_id` list of str.

    Where the clips differ in length, T is the longest, the rest is zeros, and `mask` (B, T) is True
    for real frames.
    """
    clips = [item["imgs"] for item in items]
    lengths = torch.tensor([len(clip) for clip in clips])
    batch = _collate_facts(items)
    if len(set(lengths.tolist())) == 1:
        batch["imgs"] = torch.utils.data.default_collate(clips)  # straight into shared memory
    else:
        padded = clips[0].new_zeros((len(clips), int(lengths.max()), *clips[0].shape[1:]))
        for place, clip in zip(padded, clips, strict=True):
            place[: len(clip)] = clip
        batch["imgs"] = padded
        batch["mask"] = torch.arange(padded.shape[1])[None] < lengths[:, None]
    return batch


def _collate_facts(items: list[Batch]) -> Batch:
    """Everything of a batch but its pixels."""
    batch: Batch = {key: torch.tensor([item[key] for item in items]) for key in ("pid", "camid")}
    batch["tracklet_id"] = [item["tracklet_id"] for item in items]
    if "skipped" in items[0]:
        batch["skipped"] = [name for item in items for name in item["skipped"]]
    return batch
