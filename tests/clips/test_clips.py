"""Clips: frame sampling, P x K batches, the same clips whatever the workers, resuming, damage,
padding."""

import pickle
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from make_dataset import make_dataset

from lpw_toolkit.clips.clip_loader import ClipLoader
from lpw_toolkit.clips.clips import ClipDataset, ClipOptions, collate
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.pack import write_pack
from lpw_toolkit.embedding.sampling import (
    SAMPLINGS,
    Draw,
    PersonBatches,
    choose_frames,
    clip_generator,
)
from lpw_toolkit.errors import CorruptCropError, LpwError

SIZE = (32, 16)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "little"
    write_pack(make_dataset(root, n_tracklets=48, n_frames=6))
    return root


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class TestFrames:
    @given(st.integers(1, 60), st.integers(1, 20), st.sampled_from(SAMPLINGS), st.integers(0, 9))
    def test_positions_are_frames_of_the_tracklet_in_order(
        self, n: int, t: int, sampling: Any, seed: int
    ) -> None:
        found = choose_frames(n, t, sampling, rng(seed))
        assert len(found) == (n if sampling == "all" else t)
        assert found.min() >= 0 and found.max() < n and (np.diff(found) >= 0).all()

    @given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 9))
    def test_random_repeats_only_where_it_must(self, n: int, t: int, seed: int) -> None:
        times = Counter(choose_frames(n, t, "random", rng(seed)).tolist())
        assert max(times.values()) == -(-t // n)
        assert t < n or (len(times) == n and min(times.values()) == t // n)

    @given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 9))
    def test_restricted_takes_one_of_each_stretch(self, n: int, t: int, seed: int) -> None:
        borders = np.arange(t + 1) * n // t
        first, drawn = (
            choose_frames(n, t, "restricted", None),
            choose_frames(n, t, "restricted", rng(seed)),
        )
        assert first.tolist() == borders[:-1].tolist()
        assert (drawn >= borders[:-1]).all() and (
            drawn < np.maximum(borders[1:], borders[:-1] + 1)
        ).all()

    def test_by_hand(self) -> None:
        assert choose_frames(8, 4, "evenly", None).tolist() == [1, 3, 5, 7]
        assert choose_frames(9, 3, "evenly", None).tolist() == [1, 4, 7]
        assert choose_frames(2, 4, "evenly", None).tolist() == [0, 0, 1, 1]
        assert choose_frames(9, 4, "consecutive", None).tolist() == [0, 1, 2, 3]
        assert choose_frames(3, 4, "consecutive", rng()).tolist() == [0, 0, 1, 2]
        starts = {int(choose_frames(9, 4, "consecutive", rng(i))[0]) for i in range(40)}
        assert starts == {0, 1, 2, 3, 4, 5}
        assert choose_frames(8, 4, "restricted", None).tolist() == [0, 2, 4, 6]
        assert choose_frames(3, 8, "all", None).tolist() == [0, 1, 2]
        assert choose_frames(4, 4, "random", rng()).tolist() == [0, 1, 2, 3]
        with pytest.raises(LpwError, match="without a generator"):
            choose_frames(4, 2, "random", None)

    def test_every_frame_is_drawn_as_often(self) -> None:
        times = np.bincount(
            np.concatenate([choose_frames(10, 4, "random", rng(s)) for s in range(2000)])
        )
        assert abs(times / 800 - 1).max() < 0.1


def persons_of(counts: list[int]) -> np.ndarray:
    return np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))


class TestBatches:
    @given(
        st.lists(st.integers(1, 9), min_size=4, max_size=20),
        st.integers(2, 4),
        st.integers(1, 5),
        st.integers(0, 5),
    )
    def test_batches_hold_p_persons_with_k_clips(
        self, counts: list[int], p: int, k: int, epoch: int
    ) -> None:
        persons = persons_of(counts)
        if sum(count > 1 for count in counts) < p:
            return
        plan = PersonBatches(persons, p, k).plan(epoch)
        assert plan
        places = [draw.place for batch in plan for draw in batch]
        assert places == list(range(len(plan) * p * k)) and {d.epoch for b in plan for d in b} == {
            epoch
        }
        for batch in plan:
            labels = persons[[draw.row for draw in batch]].reshape(p, k)
            assert (labels == labels[:, :1]).all() and len(set(labels[:, 0].tolist())) == p
            for group in np.array([draw.row for draw in batch]).reshape(p, k).tolist():
                n_own = int((persons == persons[group[0]]).sum())
                assert n_own > 1
                assert (
                    max(Counter(group).values()) == -(-k // n_own)
                    if n_own < k
                    else len(set(group)) == k
                )

    def test_every_tracklet_is_used_where_no_person_is_left_over(self) -> None:
        persons = persons_of([5] * 8)
        plan = PersonBatches(persons, 4, 2).plan(0)
        assert {draw.row for batch in plan for draw in batch} == set(range(40))
        assert len(plan) == 8 * 3 // 4

    def test_single_tracklets_and_nobody_are_left_out_unless_asked_for(self) -> None:
        persons = np.array([0, 1, 1, 2, 2, 3, -1, -1])
        assert PersonBatches(persons, 2, 2).eligible.tolist() == [1, 2]
        rows = {draw.row for batch in PersonBatches(persons, 2, 3).plan(0) for draw in batch}
        assert rows == {1, 2, 3, 4}
        everybody = PersonBatches(persons, 4, 2, min_tracklets=1).plan(0)
        assert {draw.row for draw in everybody[0]} == {0, 1, 2, 3, 4, 5}

    def test_seed_and_epoch_decide(self) -> None:
        persons = persons_of([3] * 10)
        plans = {
            (s, e): tuple(PersonBatches(persons, 5, 2, seed=s).plan(e)[0])
            for s in range(3)
            for e in range(3)
        }
        assert len({tuple(d.row for d in plan) for plan in plans.values()}) == 9
        assert PersonBatches(persons, 5, 2, seed=2).plan(1)[0] == list(plans[2, 1])
        assert clip_generator(0, 1, 2).random() != clip_generator(0, 1, 3).random()

    @pytest.mark.parametrize(
        "arguments", [{"n_persons": 0}, {"n_clips": 0}, {"seed": -1}, {"n_persons": 4}]
    )
    def test_what_cannot_be(self, arguments: dict[str, int]) -> None:
        with pytest.raises(LpwError):
            PersonBatches(np.array([0, 0, 1, 1, 2]), **{"n_persons": 2, "n_clips": 2, **arguments})


def open_clips(root: Path, **options: Any) -> ClipDataset:
    return ClipDataset(open_index(root), ClipOptions(**{"n_frames": 4, "size_px": SIZE, **options}))


def flatten(batches: Any) -> list[tuple[Any, ...]]:
    keys = ("pid", "camid")
    return [
        (b["imgs"].numpy().tobytes(), b["tracklet_id"], *(b[key].tolist() for key in keys))
        for b in batches
    ]


class TestItems:
    def test_keys_shapes_and_labels(self, made: Path) -> None:
        clips = open_clips(made)
        item = clips[3]
        row = clips.index.tracklets.slice(3, 1).to_pylist()[0]
        assert item["imgs"].shape == (4, 3, *SIZE) and item["imgs"].dtype == torch.uint8
        assert (
            item.keys() == {"imgs", "pid", "camid", "tracklet_id"}
            and item["tracklet_id"] == row["tracklet_id"]
        )
        assert clips.cameras[item["camid"]] == row["camera_id"]
        assert (clips.persons[item["pid"]] if item["pid"] >= 0 else None) == row["person_id"]
        assert sorted(set(clips.pids.tolist()) - {-1}) == list(range(len(clips.persons)))

    def test_pixels_are_those_of_the_frames(self, made: Path) -> None:
        clips = open_clips(made, sampling="all", size_px=None)
        imgs, images = clips[5]["imgs"].numpy(), clips.index.images
        rows = range(clips.index.starts[5], clips.index.starts[6])
        assert len(imgs) == len(rows)
        for clip, row in zip(imgs, rows, strict=True):
            assert np.array_equal(clip.transpose(1, 2, 0), images.decode(row))

    def test_float_is_between_0_and_1(self, made: Path) -> None:
        pixels, whole = open_clips(made, dtype="float32")[0]["imgs"], open_clips(made)[0]["imgs"]
        assert pixels.dtype == torch.float32 and torch.allclose(
            pixels * 255, whole.float(), atol=1e-4
        )

    def test_a_choice_of_tracklets_keeps_its_order(self, made: Path) -> None:
        index = open_index(made)
        names = index.tracklets["tracklet_id"].to_pylist()[7:2:-1]
        clips = ClipDataset(index, ClipOptions(size_px=SIZE), names)
        assert [clips[i]["tracklet_id"] for i in range(len(clips))] == names and len(
            clips[-1]["imgs"]
        ) == 8
        with pytest.raises(LpwError, match=r"1 unknown \(nobody\)"):
            ClipDataset(index, ClipOptions(), [*names, "nobody"])

    def test_epochs_and_places_differ_and_repeat(self, made: Path) -> None:
        clips = open_clips(made, n_frames=3)
        first = clips[0]["imgs"]
        clips.set_epoch(1)
        later = [clips[Draw(0, 1, place)]["imgs"] for place in range(6)]
        assert torch.equal(clips[0]["imgs"], later[0])
        assert any(not torch.equal(first, other) for other in later)
        clips.set_epoch(0)
        assert torch.equal(clips[0]["imgs"], first)

    @pytest.mark.parametrize(
        "options",
        [
            {"n_frames": 0},
            {"seed": -1},
            {"sampling": "some"},
            {"train": False},
            {"dtype": "int8"},
            {"size_px": (0, 1)},
        ],
    )
    def test_options_that_cannot_be(self, options: dict[str, Any]) -> None:
        with pytest.raises(LpwError, match="clips, "):
            ClipOptions(**options)

    def test_at_test_nothing_is_drawn(self, made: Path) -> None:
        clips = open_clips(made, sampling="restricted", train=False)
        before = clips[2]["imgs"]
        clips.set_epoch(3)
        assert torch.equal(clips[2]["imgs"], before)


class TestCollate:
    def test_clips_of_one_length_need_no_mask(self, made: Path) -> None:
        clips = open_clips(made)
        batch = collate([clips[0], clips[1]])
        assert batch["imgs"].shape == (2, 4, 3, *SIZE) and "mask" not in batch
        assert batch["pid"].dtype == batch["camid"].dtype == torch.int64

    def test_all_frames_are_padded_and_masked(self, made: Path) -> None:
        clips = open_clips(made, sampling="all")
        items = [clips[0], clips[1], clips[6]]
        batch = collate(items)
        lengths = [len(item["imgs"]) for item in items]
        assert len(set(lengths)) > 1 and batch["mask"].sum(dim=1).tolist() == lengths
        for place, item, length in zip(batch["imgs"], items, lengths, strict=True):
            assert torch.equal(place[:length], item["imgs"]) and not place[length:].any()

    @pytest.mark.parametrize("options", [{}, {"sampling": "all"}, {"dtype": "float32"}])
    def test_a_batch_read_at_once_is_the_same(self, made: Path, options: dict[str, Any]) -> None:
        clips = open_clips(made, **options)
        draws = [Draw(i, 2, 7 * i) for i in (4, 0, 4, 9)]
        wanted, found = collate([clips[draw] for draw in draws]), clips.read_batch(draws)
        assert wanted.keys() == found.keys() and wanted["tracklet_id"] == found["tracklet_id"]
        assert all(torch.equal(wanted[key], found[key]) for key in wanted if key != "tracklet_id")

    def test_torch_loads_it_alone(self, made: Path) -> None:
        clips = open_clips(made, sampling="all")
        batches = list(torch.utils.data.DataLoader(clips, batch_size=5, collate_fn=collate))
        assert [name for b in batches for name in b["tracklet_id"]] == [
            clips[i]["tracklet_id"] for i in range(48)
        ]


def open_loader(root: Path, n_workers: int = 0, **options: Any) -> ClipLoader:
    clips = open_clips(root, **options)
    return ClipLoader(clips, PersonBatches(clips.pids, 2, 2, seed=5), n_workers=n_workers)


class TestLoader:
    def test_the_same_clips_whatever_the_workers(self, made: Path) -> None:
        alone = open_loader(made)
        wanted = [flatten(alone), flatten(alone)]
        assert wanted[0] != wanted[1] and len(wanted[0]) > 2
        for n_workers in (1, 2):
            loader = open_loader(made, n_workers)
            assert [flatten(loader), flatten(loader)] == wanted

    def test_memory_that_is_used_again_holds_the_same_clips_until_the_batch_after_the_next(
        self, made: Path
    ) -> None:
        wanted = flatten(open_loader(made))
        clips = open_clips(made)
        loader = ClipLoader(
            clips, PersonBatches(clips.pids, 2, 2, seed=5), n_workers=2, reuse_memory=True
        )
        assert [flatten(loader), loader.epoch] == [wanted, 1]
        held: list[Any] = []
        places = set()
        for number, batch in enumerate(loader):
            held.append((batch, batch["imgs"].clone()))
            places.add(batch["imgs"].data_ptr())
            if number:
                assert torch.equal(*(held[number - 1][0]["imgs"], held[number - 1][1]))
        assert len(places) <= 6 and len(held) == len(wanted)

    @pytest.mark.parametrize("options", [{"sampling": "all"}, {"dtype": "float32"}])
    def test_memory_that_cannot_be_used_again(self, made: Path, options: dict[str, Any]) -> None:
        clips = open_clips(made, **options)
        with pytest.raises(LpwError, match="reuse_memory"):
            ClipLoader(
                clips, PersonBatches(clips.pids, 2, 2, seed=5), n_workers=1, reuse_memory=True
            )
        with pytest.raises(LpwError, match="0 workers"):
            ClipLoader(open_clips(made), PersonBatches(clips.pids, 2, 2, seed=5), reuse_memory=True)

    @pytest.mark.parametrize("n_workers", [0, 2])
    def test_a_state_gives_exactly_the_rest(self, made: Path, n_workers: int) -> None:
        whole = open_loader(made)
        wanted = [flatten(whole), flatten(whole)]
        for stop in (1, 3, len(wanted[1])):
            loader = open_loader(made, n_workers)
            list(loader)
            for count, _ in enumerate(loader, 1):
                if count == stop:
                    break
            state = pickle.loads(pickle.dumps(loader.state_dict()))
            resumed = open_loader(made, n_workers)
            resumed.load_state_dict(state)
            assert len(resumed) == len(wanted[1]) - stop
            assert flatten(resumed) == wanted[1][stop:] and resumed.epoch == 2
            assert flatten(loader) == wanted[1][stop:]  # and so does the one that was left

    def test_a_state_of_other_settings_is_refused(self, made: Path) -> None:
        state = open_loader(made).state_dict()
        for change in ({"n_frames": 5}, {"seed": 1}, {"sampling": "evenly"}):
            with pytest.raises(LpwError, match="state of the clips, clips"):
                open_loader(made, **change).load_state_dict(state)
        with pytest.raises(LpwError, match="digest"):
            open_loader(made).load_state_dict({**state, "digest": "0"})


class TestDamage:
    @pytest.fixture
    def spoilt(self, made: Path, tmp_path: Path) -> tuple[Path, list[str]]:
        """A dataset without a pack, two of whose images are empty."""
        root = tmp_path / "little"
        shutil.copytree(made, root)
        (root / "pack.parquet").unlink()
        index = open_index(root)
        row = int(np.flatnonzero(ClipDataset(index, ClipOptions()).pids >= 0)[0])
        names = [index.images.name(int(index.starts[row]) + i) for i in (0, 1)]
        for name in names:
            (root / name).write_bytes(b"")
        return root, names

    @pytest.mark.parametrize("n_workers", [0, 2])
    def test_a_corrupt_image_stops_training_and_is_named(
        self, spoilt: tuple[Path, list[str]], n_workers: int
    ) -> None:
        loader = open_loader(spoilt[0], n_workers, sampling="all")
        with pytest.raises(CorruptCropError, match=spoilt[1][0]):
            list(loader)

    @pytest.mark.parametrize("n_workers", [0, 2])
    def test_skipping_is_on_request_and_counted(
        self, spoilt: tuple[Path, list[str]], n_workers: int
    ) -> None:
        loader = open_loader(spoilt[0], n_workers, sampling="restricted", skip_corrupt=True)
        batches = list(loader)
        assert set(loader.skipped) <= set(spoilt[1]) and sum(loader.skipped.values()) >= 1
        assert all(batch["imgs"].shape[1] == 4 and "skipped" not in batch for batch in batches)

    def test_the_next_good_frame_takes_the_place(self, spoilt: tuple[Path, list[str]]) -> None:
        clips = open_clips(spoilt[0], sampling="all", skip_corrupt=True)
        item = next(item for item in (clips[i] for i in range(48)) if item["skipped"])
        assert item["skipped"] == [spoilt[1][0], spoilt[1][1], spoilt[1][1]]
        assert torch.equal(item["imgs"][0], item["imgs"][2]) and torch.equal(
            item["imgs"][1], item["imgs"][2]
        )

    def test_a_tracklet_without_a_good_image_is_an_error(
        self, spoilt: tuple[Path, list[str]]
    ) -> None:
        folder = (spoilt[0] / spoilt[1][0]).parent
        for file in folder.iterdir():
            file.write_bytes(b"")
        clips = open_clips(spoilt[0], skip_corrupt=True)
        row = (
            clips.index.tracklets["tracklet_id"]
            .to_pylist()
            .index(folder.relative_to(spoilt[0] / "images").as_posix())
        )
        with pytest.raises(CorruptCropError, match=folder.name):
            clips[row]

    def test_sizes_that_differ_need_a_size(self, made: Path) -> None:
        clips = open_clips(made, size_px=None)
        clips.index.images._heights = clips.index.images._heights.copy()
        clips.index.images._heights[1] = 50
        with pytest.raises(
            LpwError, match=r"got 50x32 beside images of 64x32; expected one size; set size_px"
        ):
            clips._size([[0, 1]])
        assert clips._size([[0, 2]]) == (64, 32)
