"""MARS: tracks from names, the official lists against them, and the real metadata as oracle."""

import gzip
import json
import random
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from fakes import encode_matrix, write_fake
from numpy.typing import NDArray
from raw_trees import complaint, load, read

from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.benchmarks.matlab import read_matrix
from lpw_toolkit.benchmarks.reader import read_facts
from lpw_toolkit.splits.splits import digest_facts

REBUILT = "order rebuilt, not compared with the official list"
Table = NDArray[np.int64]


@pytest.fixture(scope="module")
def fake(tmp_path_factory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("mars")
    write_fake("mars", root, np.random.default_rng(0))
    return load(root)


@pytest.fixture(scope="module")
def facts() -> dict[str, dict]:
    return json.loads(
        resources.files("lpw_manifests.mars").joinpath("splits.json").read_text("utf-8")
    )["facts"]


def drop(files: dict[str, bytes], *parts: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not any(part in name for part in parts)}


def change(fake: dict[str, bytes], variable: str, change_values) -> dict[str, bytes]:
    """The fake tree with other values in one of its .mat files."""
    stem = "tracks" + variable.removeprefix("track") if variable.startswith("track") else variable
    name = f"MARS/info/{stem}.mat"
    values = read_matrix(fake[name], variable, (None, None), name)
    return fake | {name: encode_matrix(variable, change_values(values))}


class TestNames:
    def test_by_hand(self):
        names = [
            "bbox_train/0001/0001C1T0001F002.jpg", "bbox_train/0001/0001C1T0001F001.jpg",
            "bbox_train/0001/0001C6T0002F001.jpg", "bbox_test/00-1/00-1C2T0001F001.jpg",
            "bbox_test/0000/0000C3T0001F001.jpg", "bbox_test/0002/0002C1T0010F001.jpg",
            "bbox_test/0002/0002C1T0009F001.jpg",
        ]  # fmt: skip
        reading = read("mars", dict.fromkeys(names, b""))
        found = [
            (t.tracklet_id, t.person_id, t.camera_id, t.kind, len(t.images))
            for t in reading.tracklets
        ]
        assert found == [
            ("train/0001/C1T0001", "0001", "C1", "person", 2),
            ("train/0001/C6T0002", "0001", "C6", "person", 1),
            ("test/00-1/C2T0001", None, "C2", "junk", 1),
            ("test/0000/C3T0001", None, "C3", "distractor", 1),
            ("test/0002/C1T0009", "0002", "C1", "person", 1),
            ("test/0002/C1T0010", "0002", "C1", "person", 1),
        ]
        assert reading.tracklets[0].images == (names[1], names[0])
        assert all(t.frame_index is None and t.scene_id is None for t in reading.tracklets)
        assert (
            reading.splits is None
        )  # the real person 0002 has more tracks by camera 1: nobody knows which one asks

    def test_one_number_in_two_cameras(self):
        names = ["bbox_test/0002/0002C1T0001F001.jpg", "bbox_test/0002/0002C2T0001F001.jpg"]
        reading = read("mars", dict.fromkeys(names, b""))
        assert (
            "bbox_test has one T number in two cameras: 0002C1T0001 and 0002C2T0001"
            in reading.mismatches
        )
        assert len(reading.tracklets) == 2

    def test_a_missing_half_is_named(self, fake):
        reading = read("mars", drop(fake, "bbox_train", "info/"))
        assert "bbox_train, tracklets: 0 where 8,298 are published" in reading.mismatches
        assert any(
            line.startswith("bbox_train lacks 625 of 625 folders: 0001, 0003")
            for line in reading.mismatches
        )
        assert reading.splits is not None and reading.splits.subsets[0]["train"] == []
        assert read("mars", drop(fake, "bbox_test", "info/")).splits is None

    def test_folders_that_are_not_published(self, fake):
        odd = {"MARS/bbox_test/0003/0003C1T0001F001.jpg": b""}
        lines = read("mars", drop(fake, "info/") | odd).mismatches
        assert "bbox_test has 1 folders that are not published: 0003" in lines


class TestStrips:
    """A few images of each query tracklet, under the names that MARS has for them."""

    def test_by_hand(self):
        names = [
            "x/query/0718/C2T0008/0718C2T0008S10.jpg", "x/query/0718/C2T0008/0718C2T0008S2.jpg",
            "x/query/0718/C3T0010/0718C3T0010S1.jpg", "x/query/0718/C3T0010/0718C2T0008S1.jpg",
            "x/query/0003/C1T0001/0003C1T0001S1.jpg", "x/query/readme.txt", "x/Thumbs.db",
        ]  # fmt: skip
        reading = read("mars", dict.fromkeys(names, b""))
        found = [
            (t.tracklet_id, t.person_id, t.camera_id, t.kind, t.images) for t in reading.tracklets
        ]
        assert found == [
            ("test/0003/C1T0001", "0003", "C1", "person", (names[4],)),
            ("test/0718/C2T0008", "0718", "C2", "person", (names[1], names[0])),
            ("test/0718/C3T0010", "0718", "C3", "person", (names[2],)),
        ]
        assert all(t.frame_index is None for t in reading.tracklets)
        assert reading.splits is None
        assert sorted(reading.extras) == [names[3], names[5]]
        assert reading.mismatches == [
            "queries: 3 where 1,980 are published",
            "1 tracklets are no official queries: 0003C1T0001",
        ]

    def test_names_that_are_not_theirs_are_no_strips(self):
        text = complaint("mars", {"query/0718/C2T0008/0718C3T0008S1.jpg": b""})
        assert "expected {bbox_train,bbox_test}" in text

    def test_a_released_tree_beside_them_is_what_counts(self):
        names = ["query/0718/C2T0008/0718C2T0008S1.jpg", "bbox_test/0002/0002C1T0009F001.jpg"]
        reading = read("mars", dict.fromkeys(names, b""))
        assert [t.tracklet_id for t in reading.tracklets] == ["test/0002/C1T0009"]
        assert names[0] in reading.extras

    @pytest.mark.realdata
    def test_the_real_ones_are_official_queries(self, shared_data, tmp_path):
        raw = shared_data / "mars_strips"
        config = ImportConfig("mars", raw, tmp_path / "d", in_place=True, allow_partial=True)
        dataset = import_benchmark(config).dataset
        tracklets = dataset.tracklets
        assert dataset.manifest["counts"]["n_images"] == 6296
        assert set(tracklets["n_frames"].to_pylist()) == {8}
        assert len(tracklets["person_id"].unique()) == 298
        assert sorted(tracklets["camera_id"].unique().to_pylist()) == [f"C{i}" for i in range(1, 7)]
        names = gzip.decompress((shared_data / "splits/mars_names/test_name.txt.gz").read_bytes())
        tracks = {name[:11] for name in names.decode().split()}
        keys = [name.replace("test/", "").replace("/", "") for name in
                tracklets["tracklet_id"].to_pylist()]  # fmt: skip
        assert len(set(keys)) == 787
        assert set(keys) <= tracks
        said = dataset.manifest["settings"]["import"]["mismatches"]
        assert said == ["queries: 787 where 1,980 are published"]


class TestOfficialFiles:
    def test_all_of_them(self, fake):
        splits = read("mars", fake).splits
        assert splits is not None and splits.source == "info/query_IDX.mat"
        assert REBUILT not in (splits.note or "")

    def test_without_any_the_published_queries_are_found_by_place(self, fake):
        with_info, without = read("mars", fake), read("mars", drop(fake, "info/"))
        assert with_info.splits is not None and without.splits is not None
        assert without.splits.subsets == with_info.splits.subsets
        assert without.splits.source == "manifests/mars/splits.json"
        assert without.splits.note is not None and without.splits.note.startswith(
            f"{REBUILT}; not the published MARS: "
        )
        assert without.tracklets == with_info.tracklets
        assert any("1,974 of 1,980 queries have no tracklet" in line for line in without.mismatches)

    @pytest.mark.parametrize("missing", ["_name.txt", "test_name.txt", "tracks_", "query_IDX"])
    def test_without_some(self, fake, missing):
        whole, part = read("mars", fake), read("mars", drop(fake, missing))
        assert whole.splits is not None and part.splits is not None and part.splits.note is not None
        assert part.splits.subsets == whole.splits.subsets
        assert part.splits.note.startswith(REBUILT)
        assert any("query_IDX.mat is not used" in note for note in part.notes) == (
            missing == "tracks_"
        )

    def test_images_that_only_the_list_or_only_the_folder_has(self, fake):
        gone = next(name for name in fake if "bbox_test/00-1/00-1C4" in name)
        odd = gone.replace("C4T0003", "C5T0099")
        reading = read("mars", {**drop(fake, gone), odd: b""})
        lacking = f"MARS/info/test_name.txt: 1 images are missing: {Path(gone).name}"
        assert lacking in reading.mismatches
        assert odd in reading.extras
        assert not any("C5T0099" in t.tracklet_id for t in reading.tracklets)

    def test_a_query_without_its_tracklet(self, fake):
        whole = read("mars", fake).splits
        assert whole is not None
        _, person, track = whole.subsets[0]["query"][0].split("/")
        reading = read("mars", drop(fake, f"{person}{track}F"))
        assert reading.splits is not None
        assert reading.splits.subsets[0]["query"] == whole.subsets[0]["query"][1:]
        assert (
            f"1 of 6 queries have no tracklet or not a certain one: {person}{track[:2]}"
            in reading.mismatches
        )

    def test_other_queries_than_the_published_ones(self, fake):
        lines = read("mars", fake).mismatches
        assert "MARS/info/query_IDX.mat: 6 queries that are not the 1,980 published ones" in lines

    def test_tables_that_file_names_do_not_bear_out(self, fake):
        def move(table: Table) -> Table:
            table[2, 3] = 5
            return table

        files = change(drop(fake, "_name.txt"), "track_test_info", move)
        line = (
            "tracks_test_info.mat: 12 tracks, but file names of bbox_test give 12; they differ "
            "from row 3 on"
        )
        assert line in read("mars", files).mismatches

    def test_contradictions_are_refused(self, fake):
        def swap_camera(table: Table) -> Table:
            table[3, 3] = table[3, 3] % 6 + 1
            return table

        def overlap(table: Table) -> Table:
            table[2, 0] -= 1
            return table

        def merge(table: Table) -> Table:
            table[1, 1] = table[2, 1]
            return np.delete(table, 2, axis=0)

        cases = [
            (swap_camera, "tracks_test_info.mat, row 4: got person 0000 by camera"),
            (overlap, "tracks_test_info.mat, row 3: got ["),
            (
                merge,
                (
                    "tracks_test_info.mat, row 2: got person 00-1 by camera 1 for images of "
                    "00-1C1T0002, 00-1C4T0003"
                ),
            ),
            (lambda table: np.delete(table, -1, axis=0), "as the list of names has; fetch"),
            (lambda table: table[:, :3], "got 12 x 3 values; expected any x 4"),
        ]
        for spoil, said in cases:
            assert said in complaint("mars", change(fake, "track_test_info", spoil))

    @pytest.mark.parametrize("rows", [[0], [13], [1], [4], [6, 6]])
    def test_queries_that_cannot_be(self, fake, rows):
        text = complaint("mars", change(fake, "query_IDX", lambda values: np.array([rows])))
        said = "a row twice" if rows == [6, 6] else f"row {rows[0]}, which belongs to no person"
        assert text.startswith(
            f"MARS/info/query_IDX.mat: got {said}; expected rows of persons among the 12 of"
        )

    def test_damaged_files(self, fake):
        query, names = "MARS/info/query_IDX.mat", "MARS/info/test_name.txt"
        assert "cut short" in complaint("mars", fake | {query: fake[query][:150]})
        assert "variable query_IDX" in complaint(
            "mars", fake | {query: encode_matrix("other", np.eye(2))}
        )
        assert "expected 1 x any" in complaint(
            "mars", fake | {query: encode_matrix("query_IDX", np.eye(2))}
        )
        assert "test_name.txt, name 1: got 'readme'" in complaint(
            "mars", fake | {names: b"readme\r\n"}
        )
        assert "1 names twice" in complaint(
            "mars", fake | {names: fake[names] + fake[names].split(b"\r\n")[0]}
        )

    def test_line_ends_do_not_matter(self, fake):
        unix = {
            name: data.replace(b"\r\n", b"\n")
            for name, data in fake.items()
            if name.endswith("_name.txt")
        }
        assert all(b"\r\n" in fake[name] for name in unix) and len(unix) == 2
        assert read("mars", fake | unix) == read("mars", fake)


class TestPublishedFacts:
    def test_counts_add_up(self, facts):
        counts = read_facts("mars").counts
        train, test = counts["train"], counts["test"]
        assert counts["n_tracklets"] == train["n_tracklets"] + test["n_tracklets"] == 20_478
        assert counts["n_images"] == train["n_images"] + test["n_images"] == 1_191_003
        assert counts["n_persons"] == train["n_persons"] + test["n_persons"] == 625 + 634
        parts = [test[kind]["n_tracklets"] for kind in ("persons", "junk", "distractors")]
        assert parts == [8062, 870, 3248] and sum(parts) == test["n_tracklets"] == 12_180
        assert [test[kind]["n_images"] for kind in ("persons", "junk", "distractors")] == [
            509_966,
            23_380,
            147_743,
        ]
        assert list(train["n_tracklets_by_camera"].values()) == [1816, 1957, 1321, 750, 1880, 574]
        assert list(test["n_tracklets_by_camera"].values()) == [2271, 3725, 1495, 1024, 2240, 1425]
        assert list(counts["query"]["n_tracklets_by_camera"].values()) == [
            524,
            456,
            319,
            191,
            384,
            106,
        ]
        for side in ("train", "test"):
            folders = facts["folders"][f"bbox_{side}"]
            assert sum(n for n, _ in folders.values()) == counts[side]["n_tracklets"]
            assert sum(n for _, n in folders.values()) == counts[side]["n_images"]

    def test_queries(self, facts):
        query = facts["query"]
        assert {len(column) for column in query.values()} == {1980}
        assert len(set(zip(query["person"], query["camera"], strict=True))) == 1980
        assert len(set(query["person"])) == 626
        assert all(place < of for place, of in zip(query["place"], query["of"], strict=True))


@pytest.fixture(scope="module")
def official(shared_data) -> dict[str, Table]:
    folder = shared_data / "splits" / "mars_info"
    tables = {
        "train": ("tracks_train_info", "track_train_info"),
        "test": ("tracks_test_info", "track_test_info"),
        "query": ("query_IDX", "query_IDX"),
    }
    return {
        key: read_matrix((folder / f"{stem}.mat").read_bytes(), variable, (None, None), stem)
        for key, (stem, variable) in tables.items()
    }


def name_tracks(table: Table, folder: str, max_images: int) -> list[list[str]]:
    """File names for each row: T counts the tracks of a person in the order of the table, F the
    images."""
    numbers: Counter[str] = Counter()
    rows = []
    for start, end, person, camera in table.tolist():
        code = "00-1" if person < 0 else f"{person:04d}"
        numbers[code] += 1
        stem = f"{folder}/{code}/{code}C{camera}T{numbers[code]:04d}"
        rows.append([f"{stem}F{f:03d}.jpg" for f in range(1, min(end - start + 1, max_images) + 1)])
    return rows


@pytest.mark.realdata
class TestOfficialMetadata:
    def test_the_manifest_is_computed_from_it(self, official, facts):
        assert facts["query"]["row"] == official["query"][0].tolist()
        rows = official["test"][official["query"][0] - 1]
        assert [int(p) for p in facts["query"]["person"]] == rows[:, 2].tolist()
        assert facts["query"]["camera"] == rows[:, 3].tolist()

    def test_cameras_ascend_within_a_person_and_persons_from_junk_on(self, official):
        for side in ("train", "test"):
            table = official[side]
            assert (np.diff(table[:, 2]) >= 0).all()
            same = np.diff(table[:, 2]) == 0
            assert (np.diff(table[:, 3])[same] >= 0).all()
        assert (official["test"][:870, 2] == -1).all() and (
            official["test"][870:4118, 2] == 0
        ).all()

    def test_all_tracks_are_rebuilt_from_shuffled_names(self, official):
        """With at most three images of each track: grouping, order, and queries equal to
        query_IDX."""
        rows = {side: name_tracks(official[side], f"bbox_{side}", 3) for side in ("train", "test")}
        names = [name for side in rows.values() for row in side for name in row]
        random.Random(0).shuffle(names)
        reading = read("mars", dict.fromkeys(names, b""))
        assert [list(t.images) for t in reading.tracklets] == rows["train"] + rows["test"]
        assert [t.camera_id for t in reading.tracklets[8298:]] == [
            f"C{c}" for c in official["test"][:, 3]
        ]
        assert Counter(t.kind for t in reading.tracklets[8298:]) == {
            "junk": 870,
            "distractor": 3248,
            "person": 8062,
        }
        assert reading.splits is not None
        (subsets,) = reading.splits.subsets
        test_ids = [t.tracklet_id for t in reading.tracklets[8298:]]
        assert subsets["query"] == [test_ids[i - 1] for i in official["query"][0]]
        assert subsets["gallery"] == test_ids and len(subsets["train"]) == 8298
        assert reading.splits.note is not None and reading.splits.note.startswith(REBUILT)
        self.check_galleries(reading.tracklets, subsets)

    def check_galleries(self, tracklets, subsets) -> None:
        """Sizes of the galleries in use, and queries that one of them leaves without an answer."""
        by_id = {t.tracklet_id: t for t in tracklets}
        gallery = [by_id[i] for i in subsets["gallery"]]
        queries = [by_id[i] for i in subsets["query"]]
        no_junk = [t for t in gallery if t.kind != "junk"]
        asked = set(subsets["query"])
        no_queries = [t for t in no_junk if t.tracklet_id not in asked]
        assert [len(g) for g in (gallery, no_junk, no_queries)] == [12_180, 11_310, 9_330]
        for answers, n_unmatched in ((gallery, 0), (no_queries, 140)):
            seen = {(t.person_id, t.camera_id) for t in answers if t.kind == "person"}
            cameras = {p: {c for q, c in seen if q == p} for p in {t.person_id for t in queries}}
            assert sum(not (cameras[t.person_id] - {t.camera_id}) for t in queries) == n_unmatched

    @pytest.mark.slow
    def test_the_whole_of_it(self, official, shared_data):
        """All 1,191,003 names, with and without the official files."""
        rows = {
            side: name_tracks(official[side], f"bbox_{side}", 10_000) for side in ("train", "test")
        }
        names = [name for side in rows.values() for row in side for name in row]
        random.Random(0).shuffle(names)
        files = dict.fromkeys(names, b"")
        rebuilt = read("mars", files)
        assert rebuilt.mismatches == [] and rebuilt.extras == []
        assert rebuilt.notes == [
            "tracks grouped by file names equal the official tables, row by row"
        ]
        assert rebuilt.splits is not None and rebuilt.splits.note == REBUILT
        for file in (shared_data / "splits" / "mars_info").iterdir():
            files[f"info/{file.name}"] = file.read_bytes()
        for side, named in rows.items():
            text = "".join(f"{Path(name).name}\r\n" for row in named for name in row)
            files[f"info/{side}_name.txt"] = text.encode()
        whole = read("mars", files)
        assert whole.mismatches == [] and whole.splits is not None and whole.splits.note is None
        assert whole.splits.subsets == rebuilt.splits.subsets
        assert whole.splits.digest == rebuilt.splits.digest
        assert whole.tracklets == rebuilt.tracklets


def test_the_digest_is_that_of_the_queries(fake, facts):
    splits = read("mars", drop(fake, "info/")).splits
    assert splits is not None
    assert splits.digest == digest_facts(
        [facts["query"][column] for column in ("person", "camera", "place", "of")]
    )
