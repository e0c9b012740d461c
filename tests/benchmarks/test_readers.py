"""PRID 2011, iLIDS-VID and LPW: their rules, their oracles, and what is said of trees that
differ."""

import json
import re
from importlib import resources

import numpy as np
import pytest
from fakes import encode_matrix
from raw_trees import complaint, load, read

from lpw_toolkit.benchmarks.reader import read_facts


def name_prid(lengths: dict[int, tuple[int, int]]) -> dict[str, bytes]:
    return {
        f"multi_shot/{camera}/person_{person:04d}/{frame:04d}.png": b""
        for person, n_images in lengths.items()
        for camera, n in zip(("cam_a", "cam_b"), n_images, strict=True)
        for frame in range(1, n + 1)
    }


EXCLUDED = (
    6,
    19,
    31,
    52,
    57,
    62,
    71,
    94,
    106,
    120,
    136,
    138,
    139,
    142,
    145,
    158,
    159,
    166,
    183,
    190,
    199,
    200,
)


@pytest.fixture(scope="module")
def prid() -> dict[str, bytes]:
    """The names of the whole dataset, with made-up lengths that fit the published rule."""
    lengths = dict.fromkeys(range(1, 201), (27, 27)) | {
        n: ((26, 27), (27, 26))[n % 2] for n in EXCLUDED
    }
    lengths |= dict.fromkeys(range(201, 386), (1, 1)) | dict.fromkeys(range(386, 750), (0, 1))
    return name_prid(lengths)


class TestPRID2011:
    def test_the_whole_dataset(self, prid):
        reading = read("prid2011", prid)
        assert reading.mismatches == [] and reading.extras == []
        assert len({t.person_id for t in reading.tracklets}) == 178
        assert len(reading.tracklets) == 356
        assert {t.camera_id for t in reading.tracklets} == {"cam_a", "cam_b"}
        assert all(t.frame_index is None and t.scene_id is None for t in reading.tracklets)
        splits = reading.splits
        assert splits is not None and splits.note is None and not splits.drawn
        assert splits.source == "manifests/prid2011/splits.json"
        assert [[len(ids) for ids in subsets.values()] for subsets in splits.subsets] == [
            [178, 89, 89]
        ] * 10
        assert all(i.startswith("cam_a/") for i in splits.subsets[0]["query"])
        assert all(i.startswith("cam_b/") for i in splits.subsets[0]["gallery"])
        assert any("549 persons beyond 200" in note for note in reading.notes)
        assert any(
            note.startswith("22 persons with fewer than 27 images") for note in reading.notes
        )

    def test_the_22_excluded_persons(self):
        facts = json.loads(
            resources.files("lpw_manifests.prid2011").joinpath("splits.json").read_text("utf-8")
        )["facts"]
        assert facts["excluded"] == list(EXCLUDED)
        everyone = set(range(1, 201)) - set(EXCLUDED)
        assert len(everyone) == 178
        assert all(len(train) == 89 and set(train) < everyone for train in facts["train"])

    @pytest.mark.realdata
    def test_the_ten_splits_are_the_ones_in_common_use(self, shared_data, prid):
        common = json.loads(
            (shared_data / "splits" / "prid2011" / "splits_prid2011.json").read_text("utf-8")
        )
        splits = read("prid2011", prid).splits
        assert splits is not None
        for ours, theirs in zip(splits.subsets, common, strict=True):
            assert ours["query"] == [f"cam_a/{person}" for person in sorted(theirs["test"])]
            assert ours["gallery"] == [f"cam_b/{person}" for person in sorted(theirs["test"])]
            assert set(ours["train"]) == {
                f"{c}/{person}" for c in ("cam_a", "cam_b") for person in theirs["train"]
            }

    def test_200_persons_have_drawn_splits(self, prid):
        reading = read("prid2011", prid, variant="200")
        assert len(reading.tracklets) == 400
        assert reading.splits is not None and reading.splits.drawn and reading.splits.note is None
        assert reading.splits.source == "drawn with seed 0"
        assert [[len(ids) for ids in subsets.values()] for subsets in reading.splits.subsets] == [
            [200, 100, 100]
        ] * 10
        assert f"splits drawn with seed 0: digest {reading.splits.digest}" in reading.notes

    def test_what_is_missing_and_what_is_too_much_is_named(self, prid):
        files = {
            f: b""
            for f in prid
            if "cam_b/person_0005/0027" not in f and "cam_a/person_0007" not in f
        }
        files |= name_prid({6: (30, 27), 400: (1, 0), 800: (0, 1)})
        lines = read("prid2011", files).mismatches
        odd = "missing person_0007; not published person_0400"
        assert f"multi_shot/cam_a, persons: 385 where 385 are published; {odd}" in lines
        assert (
            "multi_shot/cam_b, persons: 750 where 749 are published; not published person_0800"
            in lines
        )
        assert "persons with enough images in both cameras: 177 where 178 are published" in lines
        missing = "person_0005 (27 and 26 images), person_0007 (0 and 27 images)"
        assert f"persons of the published splits that are missing: {missing}" in lines
        assert "persons that no published split has: person_0006 (30 and 27 images)" in lines

    @pytest.mark.parametrize("camera", ["cam_a", "cam_b"])
    def test_a_missing_camera(self, prid, camera):
        files = {file: b"" for file in prid if camera not in file}
        assert (
            f"raw: got no image in multi_shot/{camera}; expected prid_2011/multi_shot"
            in complaint("prid2011", files)
        )

    def test_nobody_long_enough(self):
        assert "no person with enough images" in complaint("prid2011", name_prid({1: (26, 26)}))

    def test_only_the_single_shots(self):
        files = {f"single_shot/{camera}/person_0001.png": b"" for camera in ("cam_a", "cam_b")}
        assert "got 2 files and no such folder" in complaint("prid2011", files)


def name_ilids(persons: list[int], *, cameras: tuple[int, ...] = (1, 2)) -> dict[str, bytes]:
    return {
        f"i-LIDS-VID/sequences/cam{c}/person{p:03d}/cam{c}_person{p:03d}_{frame:05d}.png": b""
        for c in cameras
        for p in persons
        for frame in (317, 318)
    }


SPLIT_FILE = "train-test people splits/train_test_splits_ilidsvid.mat"


@pytest.fixture(scope="module")
def ilids() -> dict[str, bytes]:
    persons = [n for n in range(1, 320) if n % 17][
        -300:
    ]  # gaps as in the source; which ones is made up
    rng = np.random.default_rng(0)
    places = np.stack([rng.permutation(300) + 1 for _ in range(10)])
    return name_ilids(persons) | {SPLIT_FILE: encode_matrix("ls_set", places.astype(np.uint16))}


class TestILIDSVID:
    def test_the_whole_dataset(self, ilids):
        reading = read("ilids_vid", ilids)
        assert reading.mismatches == [] and reading.extras == []
        assert len(reading.tracklets) == 600
        assert reading.tracklets[0].frame_index == (317, 318)
        splits = reading.splits
        assert splits is not None and not splits.drawn and splits.note is None
        assert splits.source == "train_test_splits_ilidsvid.mat"
        assert [[len(ids) for ids in subsets.values()] for subsets in splits.subsets] == [
            [300, 150, 150]
        ] * 10

    def test_places_are_counted_from_1_in_the_sorted_list(self):
        """By hand: persons 4, 10, 30, 100; the first split tests the places 4 and 1, that is 100
        and 4."""
        rows = [[4, 1, 2, 3], [1, 2, 3, 4]] * 5
        files = name_ilids([100, 30, 10, 4]) | {SPLIT_FILE: encode_matrix("ls_set", np.array(rows))}
        splits = read("ilids_vid", files).splits
        assert splits is not None
        assert splits.subsets[0] == {
            "train": ["cam1/person010", "cam1/person030", "cam2/person010", "cam2/person030"],
            "query": ["cam1/person004", "cam1/person100"],
            "gallery": ["cam2/person004", "cam2/person100"],
        }
        assert splits.subsets[1]["query"] == ["cam1/person004", "cam1/person010"]

    def test_without_the_official_file_splits_are_drawn_and_say_so(self, ilids):
        files = {file: data for file, data in ilids.items() if file != SPLIT_FILE}
        reading = read("ilids_vid", files)
        splits = reading.splits
        assert splits is not None and splits.drawn and splits.source == "drawn with seed 0"
        assert [[len(ids) for ids in subsets.values()] for subsets in splits.subsets] == [
            [300, 150, 150]
        ] * 10
        why = "for there is no train_test_splits_ilidsvid.mat"
        assert f"splits drawn with seed 0, {why}: digest {splits.digest}" in reading.notes
        assert read("ilids_vid", ilids, split_seed=0).splits == splits

    def test_a_person_in_one_camera_only(self, ilids):
        files = {
            f: data
            for f, data in ilids.items()
            if "cam2/person005" not in f and "cam1/person007" not in f
        }
        reading = read("ilids_vid", files)
        assert reading.splits is None
        assert "sequences/cam1, persons: 299 where 300 are published" in reading.mismatches
        assert (
            "persons of sequences/cam1 that sequences/cam2 lacks: person005" in reading.mismatches
        )
        assert any("places of 300 persons; 298 were found" in line for line in reading.mismatches)
        drawn = read("ilids_vid", files, split_seed=4).splits
        assert drawn is not None and drawn.drawn
        assert drawn.note == "not the published iLIDS-VID: 298 of 300 persons"

    @pytest.mark.parametrize("value", [0, 301, 5])
    def test_places_that_are_no_permutation(self, ilids, value):
        places = np.stack([np.arange(1, 301)] * 10)
        places[3, 7] = value
        text = complaint("ilids_vid", ilids | {SPLIT_FILE: encode_matrix("ls_set", places)})
        assert (
            f"{SPLIT_FILE}, split 3: got places from" in text
            and "expected each of 1 to 300 once" in text
        )

    def test_damaged_official_files(self, ilids):
        good = ilids[SPLIT_FILE]
        assert "cut short" in complaint("ilids_vid", ilids | {SPLIT_FILE: good[:300]})
        assert "variable ls_set" in complaint(
            "ilids_vid", ilids | {SPLIT_FILE: encode_matrix("x", np.eye(2))}
        )
        assert "9 x 300" in complaint(
            "ilids_vid", ilids | {SPLIT_FILE: encode_matrix("ls_set", np.ones((9, 300)))}
        )
        assert "an empty file" in complaint("ilids_vid", ilids | {SPLIT_FILE: b""})
        assert "2 different train_test" in complaint(
            "ilids_vid", ilids | {f"copy/{SPLIT_FILE}": b"other"}
        )

    def test_a_missing_camera(self):
        assert "no image in sequences/cam2" in complaint(
            "ilids_vid", name_ilids([1, 2], cameras=(1,))
        )

    def test_numbers_that_are_not_published(self):
        lines = read("ilids_vid", name_ilids([1, 319, 320, 900])).mismatches
        assert "persons beyond the published numbers 1 to 319: person320, person900" in lines

    def test_single_shots_are_no_sequences(self):
        files = name_ilids([1, 2]) | {"i-LIDS-VID/images/cam1/person001/cam1_person001.png": b""}
        reading = read("ilids_vid", files)
        assert len(reading.tracklets) == 4 and reading.extras == []
        assert "1 files of images/ and of the splits are no sequences" in reading.notes


COUNTS = read_facts("lpw").counts


@pytest.fixture(scope="module")
def lpw() -> dict[str, bytes]:
    """Names of all tracklets, with one image each; who of a scene lacks in which view is made
    up."""
    files = {}
    views: dict[str, int] = {}
    for camera, n in COUNTS["n_persons_by_camera"].items():
        scene = camera[:5]
        n_all = COUNTS["n_persons_by_scene"][scene]
        start = 0 if n == n_all else views.get(scene, 0)
        views[scene] = (
            start if n == n_all else (start + n) % n_all
        )  # the next view goes on where this one ends
        for i in range(start, start + n):
            files[f"pep_256x128/{camera}/{2 * (i % n_all)}/7.jpg"] = b""
    return files


class TestLPW:
    def test_published_figures_add_up(self):
        counts = COUNTS
        by_camera, subsets = counts["n_persons_by_camera"], counts["subsets"]
        assert sum(counts["n_persons_by_scene"].values()) == counts["n_persons"] == 2731
        assert (
            sum(by_camera.values())
            == counts["n_tracklets"]
            == 7694
            == sum(counts["n_tracklets_by_scene"].values())
        )
        assert sum(s["n_images"] for s in subsets.values()) == counts["n_images"] == 590_547
        assert [s["n_tracklets"] for s in subsets.values()] == [5866, 756, 1072]
        for subset in subsets.values():
            assert sum(by_camera[camera] for camera in subset["cameras"]) == subset["n_tracklets"]
        assert sum(counts["n_persons_by_n_cameras"].values()) == 2731
        assert (
            sum(int(n) * persons for n, persons in counts["n_persons_by_n_cameras"].items()) == 7694
        )
        assert len(by_camera) == counts["n_cameras"] == 11

    def test_the_whole_dataset(self, lpw):
        reading = read("lpw", lpw)
        assert (
            len(reading.tracklets) == 7694 and len({t.person_id for t in reading.tracklets}) == 2731
        )
        assert len({t.camera_id for t in reading.tracklets}) == 11
        assert reading.splits is not None
        (subsets,) = reading.splits.subsets
        assert {subset: len(ids) for subset, ids in subsets.items()} == {
            "train": 5866,
            "query": 756,
            "gallery": 1072,
        }
        by_id = {t.tracklet_id: t for t in reading.tracklets}
        assert {by_id[i].camera_id for i in subsets["query"]} == {"scen1/view2"}
        assert {by_id[i].camera_id for i in subsets["gallery"]} == {"scen1/view1", "scen1/view3"}
        assert len({by_id[i].person_id for i in subsets["train"]}) == 1975
        assert all("images: " in line for line in reading.mismatches if "camera only" not in line)

    def test_ids_are_per_scene_and_view(self):
        files = {
            f"scen{s}/view{v}/0/{f}.jpg": b"" for s in (1, 2) for v in (1, 2) for f in (10, 9, 0)
        }
        reading = read("lpw", files)
        found = {
            t.tracklet_id: (t.person_id, t.camera_id, t.scene_id, t.frame_index)
            for t in reading.tracklets
        }
        assert found["scen1/view2/0"] == ("scen1/0", "scen1/view2", "scen1", (0, 9, 10))
        assert found["scen2/view2/0"] == ("scen2/0", "scen2/view2", "scen2", (0, 9, 10))

    def test_what_differs_is_named_with_its_folder(self, lpw):
        files = {
            file: b""
            for file in lpw
            if not re.search("scen1/view1/|scen1/view2/10/|scen3/view3/4/", file)
        }
        reading = read("lpw", files)
        assert "scen1/view1, persons: 0 where 662 are published" in reading.mismatches
        assert "scen1/view2, persons: 755 where 756 are published" in reading.mismatches
        assert "scen3/view3, which sees all persons of scen3, lacks scen3/4" in reading.mismatches
        assert reading.splits is not None and reading.splits.note is not None
        assert "of 7,694 tracklets" in reading.splits.note

    def test_no_split_without_a_query(self):
        reading = read("lpw", {"scen2/view1/1/1.jpg": b"", "scen2/view2/1/1.jpg": b""})
        assert reading.splits is None and len(reading.tracklets) == 2
        assert any(note.startswith("no split can be followed") for note in reading.notes)

    def test_one_number_twice(self):
        files = {
            "scen1/view1/1/7.jpg": b"",
            "scen1/view1/1/07.jpg": b"",
            "scen1/view1/01/7.jpg": b"",
        }
        reading = read("lpw", files)
        assert reading.tracklets[0].frame_index == (7,)
        assert sorted(reading.extras) == ["scen1/view1/01/7.jpg", "scen1/view1/1/7.jpg"]

    @pytest.mark.realdata
    def test_mini_lpw(self, shared_data):
        files = load(shared_data / "mini_lpw")
        reading = read("lpw", files)
        assert sum(len(t.images) for t in reading.tracklets) == 5200
        persons = {t.person_id for t in reading.tracklets}
        assert [sum(p.startswith(f"scen{n}/") for p in persons) for n in (1, 2, 3)] == [
            116,
            129,
            125,
        ]
        assert reading.extras == ["landmarks.csv"]
        assert any(note.startswith("images are 128 x 64 pixels") for note in reading.notes)
        assert "scen1/view2, persons: 116 where 756 are published" in reading.mismatches
        assert reading.splits is not None
        (subsets,) = reading.splits.subsets
        assert len(subsets["query"]) == 116
