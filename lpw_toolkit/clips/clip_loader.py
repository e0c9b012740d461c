"""A resumable loader of clips: P x K batches, epoch after epoch.

index = open_index(root, verify_every=16)
clips = ClipDataset(index, ClipOptions(n_frames=8), tracklet_ids=train)
loader = ClipLoader(clips, PersonBatches(clips.pids, n_persons=8, n_clips=4, seed=0),
n_workers=2)
for batch in loader:  # one epoch; the next `for` is the next epoch
    batch["imgs"]  # (32, 8, 3, 256, 128) uint8
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader

from lpw_toolkit.clips.clips import Batch, ClipDataset, view_channels_first
from lpw_toolkit.embedding.sampling import Draw, PersonBatches
from lpw_toolkit.errors import LpwError

_PREFETCH = 2  # batches that each worker is ahead


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
                batch["imgs"] = view_channels_first(self._slots[task.slot][: len(task.draws)])
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
