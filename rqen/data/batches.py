"""Batches of a run: batch i is a function of (seed, i) alone, so that a resumed run sees the same
ones.

A process of several takes its share of each batch: whole persons of P x K sets, its own triplets,
its own frames.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.embedding.sampling import choose_frames
from lpw_toolkit.errors import LpwError
from rqen.data.augment import Augmentation
from rqen.data.clips import open_reader
from rqen.data.prefetch import iter_ahead
from rqen.data.samplers import Pool, draw_frames, draw_pairs, draw_sets, draw_triplets
from rqen.model.clip import FrameReader
from rqen.recipe import DataRecipe

Ints = NDArray[np.int64]


class Batch(NamedTuple):
    """The data of one training step.

    Attributes:
        images: (B, T, C, H, W) uint8: RGB, or what the method's reader gives.
        person: (B,) labels.
    """

    images: Tensor
    person: Tensor


@dataclass(frozen=True)
class Shard:
    """Which part of every batch this process takes: part `rank` of `n`."""

    rank: int = 0
    n: int = 1


class Batches(Dataset):
    """Batch i for any i from 0.

    Args:
        index: the opened dataset.
        pool: tracklets that train.
        recipe: what a batch holds.
        augmentation: what is drawn for each set.
        seed: see the module.
        share: of this process.
        reader: of frames; None reads RGB.
    """

    def __init__(
        self,
        index: TrackletIndex,
        pool: Pool,
        recipe: DataRecipe,
        augmentation: Augmentation,
        seed: int,
        share: Shard,
        reader: FrameReader | None = None,
    ) -> None:
        self.index, self.pool, self.recipe, self.augmentation = index, pool, recipe, augmentation
        self.seed, self.share = seed, share
        self.reader = reader or open_reader(None, index, (recipe.height, recipe.width))
        if recipe.batch == "sets" and recipe.n_persons % share.n:
            got = f"{recipe.n_persons} persons for {share.n} processes"
            raise LpwError(
                "data.n_persons",
                got,
                "a multiple of the processes",
                "choose another number of either",
            )

    def __getitem__(self, iteration: int) -> Batch:
        """Errors: CorruptCropError that names an image."""
        rng = np.random.default_rng([self.seed, iteration])
        places = self._plan(rng, iteration)
        generators = rng.spawn(len(places))
        mine = take_share(places, self.recipe, self.share)
        sets = [self._read(int(places[i]), generators[i]) for i in mine]
        images = torch.from_numpy(np.stack(sets)).permute(0, 1, 4, 2, 3).contiguous()
        return Batch(images, torch.from_numpy(self.pool.person[places[mine]]))

    def _plan(self, rng: np.random.Generator, iteration: int) -> Ints:
        recipe = self.recipe
        if recipe.batch == "sets":
            return draw_sets(self.pool, recipe.n_persons, recipe.n_sets, rng)
        if recipe.batch == "triplets":
            n_triplets = recipe.n_triplets * self.share.n
            return draw_triplets(self.pool, n_triplets, rng, cross=recipe.positive == "cross")
        if recipe.batch == "pairs":
            return draw_pairs(self.pool, recipe.n_pairs * self.share.n, self.seed, iteration)
        return draw_frames(self.pool, recipe.n_frames * self.share.n, rng)

    def _read(self, place: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        first, end = self.index.starts[self.pool.rows[place] :][:2].tolist()
        n_wanted = 1 if self.recipe.batch == "frames" else self.recipe.n_frames
        chosen = choose_frames(end - first, n_wanted, self.recipe.sampling, rng)
        return self.augmentation.apply(self.reader.read(first + chosen), rng, self.reader.mirror)


def take_share(places: Ints, recipe: DataRecipe, share: Shard) -> Ints:
    """Places in the batch (n,) that this process takes, in the batch's order within each role.

    Of `triplets` a share holds its anchors, then its positives, then its negatives, as a whole
    batch does.
    """
    n_roles = {"triplets": 3, "pairs": 2}.get(recipe.batch, 1)
    unit = recipe.n_sets if recipe.batch == "sets" else 1
    blocks = np.arange(len(places)).reshape(n_roles, -1, unit)
    size = blocks.shape[1] // share.n
    return blocks[:, share.rank * size : (share.rank + 1) * size].reshape(-1)


class _Span(Dataset):
    """Batches [start, stop) as items from 0."""

    def __init__(self, batches: Batches, start: int, stop: int) -> None:
        self._batches, self._start, self._stop = batches, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, place: int) -> Batch:
        return self._batches[self._start + place]


def open_loader(
    batches: Batches, start: int, stop: int, n_workers: int
) -> Generator[Batch, None, None]:
    """Batches [start, stop) in order, made by `n_workers` processes ahead of their use (0: made
    when asked for); to be closed, as `iter_ahead`.

    Errors: as `Batches`, and as `iter_ahead`.
    """
    return iter_ahead(_Span(batches, start, stop), n_workers)
