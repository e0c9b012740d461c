"""Clips of tracklets for training with torch: a map-style Dataset, its collate function, and a
loader that resumes.

    index = open_index(root, verify_every=16)
    clips = ClipDataset(index, ClipOptions(n_frames=8), tracklet_ids=train)
    loader = ClipLoader(clips, PersonBatches(clips.pids, n_persons=8, n_clips=4, seed=0),
    n_workers=2)
    for batch in loader:  # one epoch; the next `for` is the next epoch
        batch["imgs"]  # (32, 8, 3, 256, 128) uint8

Pixels come as uint8 by default: a quarter of the bytes between processes; normalise on the device
that trains.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.embedding.sampling import (
    SAMPLINGS,
    Draw,
    PersonBatches,
    Sampling,
    choose_frames,
    clip_generator,
)
from lpw_toolkit.errors import CorruptCropError, LpwError

Batch = dict[str, Any]
_PREFETCH = 2  # batches that each worker is ahead


@dataclass(frozen=True)
class ClipOptions:
    """What a clip is.

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
        pids: (N,) 0, 1, … for the sorted persons of these tracklets; -1 where nobody is named.
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
        draw = item if isinstance(item, Draw) else self._draw(range(len(self))[item])
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
        return {**batch, "imgs": _view(pixels)}

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

    def _draw(self, row: int) -> Draw:
        return Draw(row, int(self._epoch), row)

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


def _view(pixels: torch.Tensor) -> torch.Tensor:
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


class ClipLoader:
    """P x K batches, epoch after epoch, that go on exactly where they were stopped.

    Attributes:
        epoch: of the next batch.
        batch: number of the next batch in that epoch.
        skipped: how often each corrupt image was skipped so far (where `ClipOptions.skip_corrupt`
            allows it).

    Args:
        clips: the dataset.
        batches: which clips make a batch.
        n_workers: processes that read; 0 reads here. The batches are the same.
        pin_memory: as torch's DataLoader has it.
        reuse_memory: workers write into memory that is made once, which is faster; `imgs` then hold
            until the batch after the next one is asked for. Needs workers, and clips of one size.

    Errors: LpwError where memory cannot be reused.
    """

    def __init__(
        self,
        clips: ClipDataset,
        batches: PersonBatches,
        *,
        n_workers: int = 0,
        pin_memory: bool = False,
        reuse_memory: bool = False,
    ) -> None:
        self.clips, self.batches = clips, batches
        self.epoch = self.batch = 0
        self.skipped: dict[str, int] = {}
        self._plan: list[_Task] = []
        self._slots = self._make_slots(n_workers) if reuse_memory else None
        self._loader = DataLoader(
            _Telling(clips, self._slots),
            batch_sampler=self._plan,  # filled anew for each epoch
            num_workers=n_workers,
            collate_fn=_keep,
            pin_memory=pin_memory,
            persistent_workers=n_workers > 0,
            prefetch_factor=_PREFETCH if n_workers else None,
            worker_init_fn=_start_worker,
        )

    def __len__(self) -> int:
        return len(self.batches.plan(self.epoch)) - self.batch

    def __iter__(self) -> Iterator[Batch]:
        """The rest of the epoch. Errors: as `ClipDataset`."""
        n_slots = 1 if self._slots is None else len(self._slots)
        rest = self.batches.plan(self.epoch)[self.batch :]
        self._plan[:] = [_Task(number % n_slots, draws) for number, draws in enumerate(rest)]
        for task, batch in zip(self._plan, self._loader, strict=False):
            if isinstance(batch, LpwError):
                try:
                    raise batch
                # a frame that holds its own error is a cycle, in which torch's workers wait 5 s
                # each to end
                finally:
                    del batch
            if self._slots is not None:
                batch["imgs"] = _view(self._slots[task.slot][: len(task.draws)])
            self.batch += 1
            for name in batch.pop("skipped", ()):
                self.skipped[name] = self.skipped.get(name, 0) + 1
            yield batch
        self.epoch, self.batch = self.epoch + 1, 0

    def _make_slots(self, n_workers: int) -> torch.Tensor:
        """Shared memory for all batches that are being read, the one in use and the one before."""
        options, images = self.clips.options, self.clips.index.images
        size = options.size_px or images.common_size_px
        if not n_workers or size is None or options.sampling == "all" or options.dtype != "uint8":
            got = f"{n_workers} workers, size {size}, sampling {options.sampling}, {options.dtype}"
            do = "set size_px, or leave reuse_memory out"
            raise LpwError("clips, reuse_memory", got, "workers and uint8 clips of one size", do)
        n_slots = n_workers * _PREFETCH + 2
        largest = max(len(draws) for draws in self.batches.plan(self.epoch))
        return torch.empty(
            (n_slots, largest, options.n_frames, *size, 3), dtype=torch.uint8
        ).share_memory_()

    def state_dict(self) -> dict[str, Any]:
        """Where the reading stands, after the batches that were handed out; plain values for any
        checkpoint."""
        return {"epoch": self.epoch, "batch": self.batch, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken. Errors: LpwError when that was of other data or
        settings."""
        for name, value in self._identity().items():
            if state.get(name) != value:
                got = f"{state.get(name)!r:.80}"
                raise LpwError(
                    f"state of the clips, {name}",
                    got,
                    f"{value!r:.80}",
                    "resume with the same settings",
                )
        self.epoch, self.batch = int(state["epoch"]), int(state["batch"])

    def _identity(self) -> dict[str, Any]:
        plan, options = self.batches, self.clips.options
        settings = [plan.n_persons, plan.n_clips, plan.seed, plan.min_tracklets, len(plan.persons)]
        clip = [options.n_frames, options.sampling, options.seed, options.train]
        return {
            "digest": str(self.clips.index.dataset.manifest.get("digest")),
            "batches": settings,
            "clips": clip,
        }


class _Task(NamedTuple):
    """One batch to be read: which part of the shared memory takes it, and its clips."""

    slot: int
    draws: list[Draw]


class _Telling:
    """Batches, or the error instead of one: torch would hand on another error than the one that a
    worker raised."""

    def __init__(self, clips: ClipDataset, slots: torch.Tensor | None) -> None:
        self._clips, self._slots = clips, slots

    def __getitems__(self, task: "_Task") -> Batch | LpwError:
        place = None if self._slots is None else self._slots[task.slot][: len(task.draws)]
        try:
            batch = self._clips.read_batch(task.draws, place)
        except LpwError as error:
            return error
        return (
            batch if place is None else {**batch, "imgs": None}
        )  # whoever asked has the same memory


def _keep(batch: Batch | LpwError) -> Batch | LpwError:
    return batch


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the workers are the threads
