"""Batches of a training run: the same whatever the workers and wherever it starts; shares of
several processes."""

import multiprocessing
import os
import signal
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from make_dataset import make_dataset

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.errors import CorruptCropError, LpwError
from rqen.data.augment import ERASED_AREA, Augmentation
from rqen.data.batches import Batches, Shard, open_loader, take_share
from rqen.data.prefetch import iter_ahead
from rqen.data.samplers import make_pool
from rqen.recipe import DataRecipe

PLAIN = Augmentation(0.0, 0, 0.0, (0, 0, 0))
RICH = Augmentation(0.5, 2, 0.5, (9, 9, 9))
SETS = DataRecipe(height=16, width=8, batch="sets", n_persons=4, n_sets=2, n_frames=3)
KINDS = [
    SETS,
    replace(SETS, batch="triplets", n_triplets=2),
    replace(SETS, batch="frames", n_frames=5),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = tmp_path_factory.mktemp("batches") / "d"
    make_dataset(root, n_tracklets=24, n_frames=2)
    return open_index(root)


def batches_of(index, recipe, augmentation=RICH, share=None):
    pool = make_pool(index.tracklets, np.arange(len(index)))
    return Batches(index, pool, recipe, augmentation, 3, share or Shard())


@pytest.mark.parametrize("recipe", KINDS, ids=lambda r: r.batch)
def test_shapes_and_labels(index, recipe):
    batch = batches_of(index, recipe)[0]
    n_sets, n_frames = {"sets": (8, 3), "triplets": (6, 3), "frames": (5, 1)}[recipe.batch]
    assert batch.images.shape == (n_sets, n_frames, 3, 16, 8)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous()
    if recipe.batch == "triplets":
        anchor, positive, negative = batch.person.reshape(3, 2)
        assert (anchor == positive).all()
        assert (anchor != negative).all()


@pytest.mark.parametrize("recipe", KINDS, ids=lambda r: r.batch)
def test_a_batch_is_a_function_of_seed_and_number(index, recipe):
    made = batches_of(index, recipe)
    for n_workers in (0, 2):
        loaded = list(open_loader(made, 2, 5, n_workers))
        assert len(loaded) == 3
        for number, batch in enumerate(loaded, 2):
            assert torch.equal(batch.images, made[number].images)
            assert torch.equal(batch.person, made[number].person)
    assert not torch.equal(made[0].images, made[1].images)


@pytest.mark.parametrize("recipe", KINDS, ids=lambda r: r.batch)
def test_shares_of_two_processes_make_the_whole(index, recipe):
    """Whole persons of P x K sets; of the rest each process takes as much as one process alone
    would."""
    parts = [batches_of(index, recipe, share=Shard(rank, 2))[4] for rank in range(2)]
    if recipe.batch == "sets":
        whole = batches_of(index, recipe)[4]
        assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
        assert not set(parts[0].person.tolist()) & set(parts[1].person.tolist())
    else:
        alone = batches_of(index, recipe)[4]
        assert all(part.images.shape == alone.images.shape for part in parts)
        assert not torch.equal(parts[0].images, parts[1].images)


def test_a_share_of_triplets_holds_whole_triplets():
    recipe = replace(SETS, batch="triplets")
    places = np.arange(12)
    assert take_share(places, recipe, Shard(1, 2)).tolist() == [2, 3, 6, 7, 10, 11]


def test_persons_that_cannot_be_shared(index):
    with pytest.raises(LpwError, match="multiple of the processes"):
        batches_of(index, SETS, share=Shard(0, 3))


def test_a_corrupt_image_is_named(tmp_path):
    root = tmp_path / "d"
    make_dataset(root, n_tracklets=12, n_frames=1)
    for file in sorted((root / "images").rglob("*.jpg")):
        file.write_bytes(b"")
    with pytest.raises(CorruptCropError, match="images/"):
        batches_of(open_index(root), SETS)[0]


class TestAugmentation:
    def picture(self):
        return np.random.default_rng(0).integers(1, 255, (3, 40, 20, 3), dtype=np.uint8)

    def test_nothing_asked_nothing_changed(self):
        assert np.array_equal(PLAIN.apply(self.picture(), np.random.default_rng(0)), self.picture())

    def test_flip(self):
        flipped = Augmentation(1.0, 0, 0.0, (0, 0, 0)).apply(
            self.picture(), np.random.default_rng(0)
        )
        assert np.array_equal(flipped, self.picture()[:, :, ::-1])

    def test_crop_moves_all_frames_alike(self):
        picture = np.repeat(self.picture()[:1], 3, axis=0)
        moved = Augmentation(0.0, 4, 0.0, (0, 0, 0)).apply(picture, np.random.default_rng(1))
        assert moved.shape == picture.shape
        assert not np.array_equal(moved, picture)
        assert np.array_equal(moved[0], moved[2])

    def test_erase_fills_one_rectangle_in_all_frames(self):
        shares = []
        for seed in range(50):
            erased = Augmentation(0.0, 0, 1.0, (0, 0, 0)).apply(
                self.picture(), np.random.default_rng(seed)
            )
            gone = (erased == 0).all(axis=3)
            assert (gone == gone[0]).all()
            rows, columns = np.flatnonzero(gone[0].any(1)), np.flatnonzero(gone[0].any(0))
            assert gone[0][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            shares.append(gone[0].mean())
        assert 0.5 * ERASED_AREA[0] < min(shares)
        assert max(shares) < 1.2 * ERASED_AREA[1]

    def test_the_original_is_left_alone(self):
        picture = self.picture()
        RICH.apply(picture, np.random.default_rng(2))
        assert np.array_equal(picture, self.picture())


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_corrupt_image_is_named_whoever_reads_it(tmp_path, n_workers):
    make_dataset(tmp_path / "d", n_tracklets=8, n_frames=2)
    for image in (tmp_path / "d" / "images").rglob("*.jpg"):
        image.write_bytes(image.read_bytes()[:-9])
    with pytest.raises(CorruptCropError, match=r"^images/.*jpg: got ") as caught:
        list(open_loader(batches_of(open_index(tmp_path / "d"), SETS), 0, 3, n_workers))
    assert "\n" not in str(caught.value)


def test_a_process_that_was_ended_is_told(index):
    class Deadly(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, _):
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(LpwError, match="--workers"):
        list(iter_ahead(Deadly(), 1))


class TestEndingEarly:
    """Whoever stops before the last item leaves no process behind."""

    class Squares(torch.utils.data.Dataset):
        def __len__(self):
            return 50

        def __getitem__(self, place):
            if place == 7:
                raise ZeroDivisionError("item seven")
            return place**2

    def test_closing_ends_the_processes_although_an_error_holds_the_loader(self):
        items = iter_ahead(self.Squares(), 2)
        with pytest.raises(KeyError) as held, closing(items):
            for item in items:
                if item == 4:
                    raise KeyError("the step that failed")
        assert held.value.__traceback__ is not None
        assert multiprocessing.active_children() == []

    @pytest.mark.parametrize("n_workers", [0, 2])
    def test_an_unexpected_error_of_an_item_ends_them_too(self, n_workers):
        items = iter_ahead(self.Squares(), n_workers)
        with pytest.raises(ZeroDivisionError, match="item seven"):
            list(items)
        assert multiprocessing.active_children() == []
