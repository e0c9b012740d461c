"""Corruption: what is drawn, what it does to pixels, the dataset and the mask beside it, and
what is measured."""

import hashlib
import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_dataset import make_dataset
from sealing import seal_tables, write_manifest

from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.dataset.labels import Labels, read_labels
from lpw_toolkit.dataset.schema import SPLITS
from lpw_toolkit.dataset.tables import make_table, write_table
from lpw_toolkit.dataset.workspace import LOCAL
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.listing import iter_files
from rqen.corruption.corrupt import (
    corrupt_region,
    find_corrupted_rows,
    find_main_region,
    find_rows,
)
from rqen.corruption.evaluate import compare_scores, measure_auc, rank_by_each_camera
from rqen.corruption.inject import find_donors, inject_corruption, read_mask
from rqen.corruption.plan import (
    BLUR,
    COVER,
    DARKEN,
    KINDS,
    REGIONS,
    CorruptionConfig,
    DonorPool,
    draw_corruption,
)

MIDDLE = np.array([0.5, 0.5, 0.5, 0.5])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """24 tracklets of 5 to 9 frames; scenes 1 and 2 as test and training, in one split."""
    root = tmp_path_factory.mktemp("corruption") / "source"
    dataset = make_dataset(root, n_tracklets=24, n_frames=5, boxes=False)
    rows = [
        (
            0,
            "train" if scene == "scen2" else ("query" if camera == "scen1/view1" else "gallery"),
            name,
        )
        for name, scene, camera, person in zip(
            *(
                dataset.tracklets[c].to_pylist()
                for c in ("tracklet_id", "scene_id", "camera_id", "person_id")
            ),
            strict=True,
        )
        if person is not None
    ]
    write_table(root / "splits.parquet", make_table(list(zip(*rows, strict=True)), SPLITS), SPLITS)
    manifest = json.loads((root / "dataset.json").read_text())
    manifest["splits"] = {
        "source": "made",
        "digest": "0",
        "drawn": True,
        "n_splits": 1,
        "note": None,
    }
    write_manifest(root, manifest)
    seal_tables(root, "splits.parquet")
    return root


@pytest.fixture(scope="module")
def injected(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("injected")
    return inject_corruption(
        source, folder / "corrupted", folder / "mask.parquet", CorruptionConfig(seed=3)
    ), folder / "mask.parquet"


def make_pool(lengths: list[int], persons: list[int], subset: list[int] | None = None) -> DonorPool:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return DonorPool(np.array(persons), np.array(subset or [0] * len(persons)), starts)


class TestPlan:
    @given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.integers(0, 99))
    def test_half_of_the_frames_of_each_tracklet(self, lengths, seed):
        pool = make_pool(lengths, list(range(len(lengths))))
        corruption = draw_corruption(pool, np.arange(len(lengths)), seed)
        owner = np.searchsorted(pool.starts, corruption.frame, "right") - 1
        assert np.bincount(owner, minlength=len(lengths)).tolist() == [n // 2 for n in lengths]
        assert np.all(np.diff(corruption.frame) > 0)
        donor = np.searchsorted(pool.starts, corruption.donor, "right") - 1
        assert np.all(donor != owner)

    def test_regions_kinds_and_donors_are_drawn_evenly(self):
        pool = make_pool([4] * 3000, list(range(3000)))
        corruption = draw_corruption(pool, np.arange(3000), 0)
        table = np.histogram2d(corruption.region, corruption.kind, bins=(3, 3))[0]
        assert np.all(np.abs(table - 6000 / 9) < 5 * np.sqrt(6000 / 9))
        assert np.bincount(corruption.frame % 4).tolist() == pytest.approx([1500] * 4, abs=150)
        assert np.ptp(np.bincount(corruption.donor // 400)) < 350

    def test_patches_stay_in_the_subset_and_come_from_named_persons(self):
        pool = make_pool([6] * 8, [0, 0, 1, -1, 2, 3, -1, 3], [0, 0, 0, 0, 1, 1, 1, 1])
        for seed in range(20):
            corruption = draw_corruption(pool, np.arange(8), seed)
            owner, donor = corruption.frame // 6, corruption.donor // 6
            assert np.array_equal(pool.subset[owner], pool.subset[donor])
            assert np.all(pool.person[donor] >= 0)
            assert np.all(pool.person[donor] != pool.person[owner])

    def test_other_tracklets_change_nothing(self):
        pool = make_pool([4, 5, 6, 7], [0, 1, 2, 3])
        whole, part = (
            draw_corruption(pool, np.arange(4), 5),
            draw_corruption(pool, np.array([2]), 5),
        )
        mine = (whole.frame >= 9) & (whole.frame < 15)
        assert np.array_equal(whole.place[mine], part.place)
        assert np.array_equal(whole.donor[mine], part.donor)

    def test_seeds_and_draws_differ(self):
        pool = make_pool([8] * 6, list(range(6)))
        drawn = [
            draw_corruption(pool, np.arange(6), seed, draw).place
            for seed, draw in ((0, 0), (0, 1), (1, 0))
        ]
        assert not np.array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])

    def test_nobody_to_take_a_patch_from(self):
        with pytest.raises(LpwError, match="no other person beside that of tracklet 0"):
            draw_corruption(make_pool([4, 4], [7, 7]), np.arange(2), 0)
        with pytest.raises(LpwError, match="got none"):
            draw_corruption(make_pool([4, 4], [7, 8]), np.zeros(0, dtype=np.int64), 0)

    @pytest.mark.parametrize(
        "changes",
        [
            {"seed": -1}, {"seed": 1.5}, {"division": (1.0, 1.0)}, {"division": (3.0, 0.0, 2.0)},
            {"jpeg_quality": 0},
            {"cover_height_frac": 0}, {"cover_width_frac": 1.1}, {"blur_sigma_frac": float("nan")},
            {"darken_factor": 1}, {"darken_factor": -0.1}, {"n_draws": 0},
            {"position": "anywhere"}, {"darken_factor": float("nan")},
        ],
    )  # fmt: skip
    def test_bad_settings(self, changes):
        with pytest.raises(LpwError, match=r"choose (another value|one of them)"):
            CorruptionConfig(**changes)


class TestCorrupt:
    def test_rows_are_as_the_regions_of_the_network(self):
        assert [find_rows(7, (3.0, 2.0, 2.0), r) for r in range(3)] == [(0, 3), (3, 5), (5, 7)]
        assert [find_rows(128, (3.0, 2.0, 2.0), r) for r in range(3)] == [
            (0, 55),
            (55, 91),
            (91, 128),
        ]
        assert all(
            top < bottom <= 2
            for top, bottom in (find_rows(2, (3.0, 2.0, 2.0), r) for r in range(3))
        )

    @pytest.mark.parametrize("kind", [COVER, BLUR, DARKEN])
    @pytest.mark.parametrize("region", range(3))
    def test_only_the_region_changes(self, kind, region):
        rng = np.random.default_rng(0)
        image, donor = rng.integers(0, 256, (2, 56, 24, 3), dtype=np.uint8)
        before = image.copy()
        found = corrupt_region(image, region, kind, donor, MIDDLE, CorruptionConfig())
        top, bottom = find_rows(56, (3.0, 2.0, 2.0), region)
        assert np.array_equal(image, before)
        assert np.array_equal(
            np.delete(found, np.s_[top:bottom], 0), np.delete(image, np.s_[top:bottom], 0)
        )
        assert np.mean(found[top:bottom] != image[top:bottom]) > 0.7

    def test_random_rows_are_as_many_and_lie_anywhere(self):
        config = CorruptionConfig(position="random")
        for region, n_rows in enumerate((55, 36, 37)):
            found = [
                find_corrupted_rows(128, region, height, config)
                for height in np.linspace(0, 1, 400, endpoint=False)
            ]
            tops, bottoms = np.array(found).T
            assert set(bottoms - tops) == {n_rows}
            assert (tops.min(), bottoms.max()) == (0, 128)
            assert len(set(tops)) == 128 - n_rows + 1
        assert find_corrupted_rows(128, 1, 0.9, CorruptionConfig()) == (55, 91)

    def test_a_corruption_at_a_random_height_changes_those_rows_alone(self):
        rng = np.random.default_rng(1)
        image, donor = rng.integers(0, 256, (2, 70, 24, 3), dtype=np.uint8)
        config = CorruptionConfig(position="random")
        for kind in (COVER, BLUR, DARKEN):
            found = corrupt_region(image, 1, kind, donor, MIDDLE, config, 0.5)
            top, bottom = find_corrupted_rows(70, 1, 0.5, config)
            assert (top, bottom) == (25, 45)
            rows = np.flatnonzero((found != image).any(axis=(1, 2)))
            assert (rows.min(), rows.max()) == (top, bottom - 1)

    def test_the_main_region_is_where_most_rows_are(self):
        division = (3.0, 2.0, 2.0)
        assert find_main_region(70, (25, 45), division) == 1
        assert find_main_region(70, (0, 30), division) == 0
        assert find_main_region(70, (45, 65), division) == 2
        assert find_main_region(70, (20, 40), division) == 0

    def test_cover_is_a_part_of_the_donor(self):
        image = np.zeros((70, 20, 3), dtype=np.uint8)
        donor = (
            np.arange(70 * 20, dtype=np.uint16).reshape(70, 20, 1).repeat(3, 2).astype(np.uint8) | 1
        )
        place = np.array([0.0, 0.999, 0.5, 0.0])
        found = corrupt_region(
            image,
            1,
            COVER,
            donor,
            place,
            CorruptionConfig(cover_height_frac=0.5, cover_width_frac=0.5),
        )
        rows, columns = np.nonzero(found[..., 0])
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 39, 10, 19)
        assert np.array_equal(found[30:40, 10:20], donor[30:40, 0:10])

    def test_blur_has_the_deviation_that_is_stated(self):
        image = np.zeros((140, 64, 3), dtype=np.uint8)
        image[:, 32] = 255
        row = corrupt_region(image, 0, BLUR, None, MIDDLE, CorruptionConfig(blur_sigma_frac=0.03))[
            20, :, 0
        ].astype(float)
        spread = np.sqrt(np.sum(row * (np.arange(64) - 32.0) ** 2) / row.sum())
        assert spread == pytest.approx(4.2, rel=0.05)

    def test_darken_multiplies(self):
        image = np.full((14, 4, 3), 200, dtype=np.uint8)
        found = corrupt_region(image, 2, DARKEN, None, MIDDLE, CorruptionConfig(darken_factor=0.15))
        assert np.unique(found[10:]).tolist() == [30]


class TestInjection:
    def test_the_dataset_is_an_ordinary_one(self, source, injected):
        found, origin = injected[0], open_dataset(source)
        assert found.frames.drop(["sha256"]).equals(origin.frames.drop(["sha256"]))
        assert found.tracklets.equals(origin.tracklets)
        assert found.splits is not None
        assert found.splits.equals(origin.splits)
        assert found.manifest["parent"] == {"name": "little", "digest": origin.manifest["digest"]}
        assert found.manifest["settings"]["corruption"]["blur_sigma_frac"] == 0.05
        images = open_images(found)
        assert all(images.decode(row).shape == (64, 32, 3) for row in range(len(images)))

    def test_the_mask_is_apart_and_right(self, source, injected):
        found, mask = injected
        region, kind = read_mask(mask, found.frames)
        assert not [file for file in iter_files(found.root) if "mask" in file.name]
        assert np.array_equal(region >= 0, kind >= 0)
        counts = np.add.reduceat((region >= 0).astype(int), open_index(found.root).starts[:-1])
        assert counts.tolist() == [n // 2 for n in found.tracklets["n_frames"].to_pylist()]
        before, after = open_images(open_dataset(source)), open_images(found)
        for row in range(len(region)):
            change = np.abs(before.decode(row).astype(int) - after.decode(row)).mean(axis=(1, 2))
            for r in range(3):
                top, bottom = find_rows(64, (3.0, 2.0, 2.0), r)
                inner = change[
                    top + 2 : bottom - 2
                ].mean()  # what the codec smears over a border counts for neither
                assert (inner > 8) == (region[row] == r), inner

    def test_clean_images_are_encoded_anew_like_the_others(self, source, injected):
        region, _ = read_mask(injected[1], injected[0].frames)
        row = int(np.flatnonzero(region < 0)[0])
        pixels = open_images(open_dataset(source)).decode(row)
        data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        assert injected[0].frames["sha256"][row].as_py() == hashlib.sha256(data).digest()

    def test_some_tracklets_alone_are_the_same(self, source, injected, tmp_path):
        part = inject_corruption(
            source,
            tmp_path / "d",
            tmp_path / "m.parquet",
            CorruptionConfig(seed=3),
            np.array([4, 2]),
        )
        names = part.tracklets["tracklet_id"].to_pylist()
        assert names == injected[0].tracklets["tracklet_id"].take([2, 4]).to_pylist()
        everything, own = (
            {
                (i["path"], h)
                for i, h in zip(
                    *(d.frames[c].to_pylist() for c in ("image", "sha256")), strict=True
                )
            }
            for d in (injected[0], part)
        )
        assert own < everything
        assert read_mask(tmp_path / "m.parquet", part.frames)[0].shape == (part.frames.num_rows,)

    def test_again_is_nothing_to_do_and_the_mask_comes_back(self, source, tmp_path):
        call = (
            source,
            tmp_path / "d",
            tmp_path / "m.parquet",
            CorruptionConfig(seed=1),
            np.arange(3),
        )
        first = inject_corruption(*call)
        mask = (tmp_path / "m.parquet").read_bytes()
        (tmp_path / "m.parquet").unlink()
        stamp = (tmp_path / "d" / "dataset.json").stat().st_mtime_ns
        assert inject_corruption(*call).manifest == first.manifest
        assert (tmp_path / "d" / "dataset.json").stat().st_mtime_ns == stamp
        assert (tmp_path / "m.parquet").read_bytes() == mask
        with pytest.raises(LpwError, match="other settings"):
            inject_corruption(*call[:3], CorruptionConfig(seed=2), np.arange(3))

    def test_a_dataset_of_an_older_version_is_complete(self, source, tmp_path):
        """Settings and names were those of `planted_noise` before."""
        config = CorruptionConfig(seed=1)
        call = (source, tmp_path / "d", tmp_path / "m.parquet", config, np.arange(3))
        digest = inject_corruption(*call).digest
        file = tmp_path / "d" / LOCAL / "plan.json"
        plan = json.loads(file.read_text())
        old = {**plan["settings"]["corruption"]}
        old["n_spoiled"] = old.pop("n_corrupted")
        plan |= {"name": "little-noise1", "settings": {"planted_noise": old}}
        file.write_text(json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False))
        assert inject_corruption(*call).digest == digest

    def test_at_random_heights_the_mask_names_where_most_of_it_is(self, source, tmp_path):
        config = CorruptionConfig(seed=3, position="random")
        found = inject_corruption(source, tmp_path / "d", tmp_path / "m.parquet", config)
        assert found.manifest["settings"]["corruption"]["position"] == "random"
        region, kind = read_mask(tmp_path / "m.parquet", found.frames)
        corruption = draw_corruption(find_donors(open_index(source)), np.arange(24), 3)
        assert np.array_equal(np.flatnonzero(region >= 0), corruption.frame)
        assert np.array_equal(kind[corruption.frame], corruption.kind)
        before, after = open_images(open_dataset(source)), open_images(found)
        n_off = 0
        for i, row in enumerate(corruption.frame.tolist()):
            rows = find_corrupted_rows(
                64, int(corruption.region[i]), float(corruption.height[i]), config
            )
            change = np.abs(before.decode(row).astype(int) - after.decode(row)).mean(axis=(1, 2))
            inside = np.zeros(64, dtype=bool)
            inside[slice(*rows)] = True
            assert change[inside].mean() > 3 * change[~inside].mean()
            n_off += rows not in [find_rows(64, config.division, r) for r in range(3)]
        assert n_off > 0.7 * len(corruption)

    def test_several_draws_of_each_tracklet(self, source, tmp_path):
        found = inject_corruption(
            source, tmp_path / "d", tmp_path / "m.parquet", CorruptionConfig(n_draws=2)
        )
        origin = open_dataset(source)
        names = origin.tracklets["tracklet_id"].to_pylist()
        assert found.tracklets["tracklet_id"].to_pylist() == [
            f"draw{i}/{name}" for i in range(2) for name in names
        ]
        assert found.splits.num_rows == 2 * origin.splits.num_rows
        assert len(open_index(found.root)) == 48
        region, _ = read_mask(tmp_path / "m.parquet", found.frames)
        assert not np.array_equal(*np.split(region, 2))
        images = open_images(found)
        assert images.decode(len(images) - 1).shape == (64, 32, 3)

    def test_faults(self, source, injected, tmp_path):
        with pytest.raises(LpwError, match="a place inside the dataset"):
            inject_corruption(
                source, tmp_path / "d", tmp_path / "d" / "m.parquet", CorruptionConfig()
            )
        with pytest.raises(LpwError, match="no such folder"):
            inject_corruption(
                tmp_path / "none", tmp_path / "d", tmp_path / "m.parquet", CorruptionConfig()
            )
        with pytest.raises(MismatchError, match="other rows than the frames"):
            read_mask(injected[1], injected[0].frames.slice(1))

    def test_who_is_in_which_subset(self, source):
        index = open_index(source)
        pool, scenes = find_donors(index), index.tracklets["scene_id"].to_pylist()
        named = pool.person >= 0
        assert np.array_equal(pool.subset[named] == 1, np.array(scenes)[named] == "scen2")


class TestRanking:
    def test_by_hand(self):
        labels = Labels(
            np.array([0, 1, 0, 1, 1]), np.array([0, 0, 1, 1, 2]), np.zeros(5, dtype=np.int64)
        )
        angles = np.radians([0, 40, 10, 90, 50])
        results = rank_by_each_camera(
            np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32), labels
        )
        # 0 finds 2. 1 finds 4, then 2, then 3. 2 finds 0. 3 finds 4, then 1. 4 finds 1, then 2 and
        # 3 (or 3, 2), 0.
        assert results.rows.tolist() == [0, 1, 2, 3, 4]
        assert results.person.tolist() == [0, 1, 0, 1, 1]
        assert results.hit.tolist() == [1, 1, 1, 1, 1]
        assert results.precision[:4] == pytest.approx([1, (1 + 2 / 3) / 2, 1, 1])

    def test_a_person_of_one_camera_is_a_miss_and_the_nameless_do_not_ask(self):
        labels = Labels(
            np.array([0, 1, 0, -1]), np.array([0, 0, 1, 1]), np.zeros(4, dtype=np.int64)
        )
        results = rank_by_each_camera(np.eye(4, dtype=np.float32) + 0.1, labels)
        assert results.rows.tolist() == [0, 1, 2]
        assert results.hit[1] == results.precision[1] == 0

    def test_one_camera(self):
        labels = Labels(np.arange(3), np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64))
        with pytest.raises(LpwError, match="cameras"):
            rank_by_each_camera(np.eye(3, dtype=np.float32), labels)

    @pytest.mark.realdata
    def test_the_three_views_of_scene_1(self, shared_data, tmp_path):
        config = ImportConfig(
            "lpw", shared_data / "mini_lpw", tmp_path / "d", in_place=True, allow_partial=True
        )
        tracklets = import_benchmark(config).dataset.tracklets
        pool = find_donors(open_index(tmp_path / "d"))
        rows = np.flatnonzero(pool.subset == 0)
        labels = read_labels(tracklets).take(rows)
        _, person = np.unique(labels.person, return_inverse=True)
        results = rank_by_each_camera(np.eye(person.max() + 1, dtype=np.float32)[person], labels)
        assert len(results.rows) == 314
        assert len(np.unique(results.person)) == 116
        assert results.hit.all()


class TestAuc:
    @given(
        st.lists(st.integers(0, 4), min_size=1, max_size=12),
        st.lists(st.integers(0, 4), min_size=1, max_size=12),
    )
    def test_as_counted(self, low, high):
        counted = np.mean([(a < b) + 0.5 * (a == b) for a in low for b in high])
        assert measure_auc(
            np.array(low, dtype=np.float32), np.array(high, dtype=np.float32)
        ) == pytest.approx(counted)

    def test_nothing_to_compare(self):
        assert np.isnan(measure_auc(np.zeros(0), np.ones(3)))

    def test_regions_are_compared_with_themselves(self):
        region, kind = np.array([-1, 0, 0, 1, 2, -1]), np.array([-1, 0, 1, 2, 0, -1])
        scores = np.full((6, 3), 0.5, dtype=np.float32)
        scores[:, 1] = 0.9
        scores[1, 0], scores[2, 0], scores[3, 1], scores[4, 2] = 0.1, 0.9, 0.5, 0.5
        found = compare_scores(scores, region, kind)
        assert list(found) == [*REGIONS, "all"]
        assert found["upper"] | {"darken": 0.0} == {
            "all": 0.5,
            "cover": 1.0,
            "blur": 0.0,
            "darken": 0.0,
        }
        assert np.isnan(found["upper"]["darken"])
        assert found["middle"]["all"] == found["middle"]["darken"] == 1
        assert found["lower"]["cover"] == 0.5
        assert found["all"]["all"] == pytest.approx(2 / 3)

    def test_one_score_for_the_whole_frame(self):
        region, kind = np.array([-1, 0, 1, 2]), np.array([-1, 0, 1, 2])
        found = compare_scores(
            np.array([[0.5], [0.4], [0.6], [0.5]], dtype=np.float32), region, kind
        )
        assert found["whole"] == {"all": 0.5, "cover": 1, "blur": 0, "darken": 0.5}
        assert found["all"] == found["whole"]
        assert set(KINDS) < set(found["all"])
