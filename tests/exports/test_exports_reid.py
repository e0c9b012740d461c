"""Exports for re-identification tools: what they hold, what those tools load, and that nothing else
changes."""

import hashlib
import io
import json
import tarfile
from dataclasses import fields

import numpy as np
import pyarrow.parquet as pq
import pytest
from export_tools import (  # noqa: F401
    dataset,
    read_all,
    read_csv,
)
from make_dataset import make_dataset
from make_reid import make_reid, rewrite
from scipy.io import loadmat

from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.pack import write_pack
from lpw_toolkit.dataset.workspace import locate_images
from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError
from lpw_toolkit.exports.form import ExportOptions, export_dataset, list_forms, open_form
from lpw_toolkit.exports.roles import FormLimits, number_names
from lpw_toolkit.files import writing

IMAGE_FORMS = ("fastreid", "hf", "lpw", "mars", "torchreid", "tree", "webdataset")
SPLIT_FORMS = ("fastreid", "hf", "mars", "torchreid", "webdataset")
NUMBERED_FORMS = ("fastreid", "mars", "torchreid")


def hash_images(form, out):
    """SHA-256 of every image in an export, sorted."""
    found = []
    for name, data in read_all(out).items():
        if form == "hf" and name.endswith(".parquet"):
            found += [row["bytes"] for row in pq.read_table(io.BytesIO(data))["image"].to_pylist()]
        elif form == "webdataset" and name.endswith(".tar"):
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                found += [
                    tar.extractfile(m).read() for m in tar.getmembers() if m.name.endswith(".jpg")
                ]
        elif name.endswith((".jpg", ".png")):
            found.append(data)
    return sorted(hashlib.sha256(data).digest() for data in found)


def hashes_of(dataset, rows=None):
    table = dataset.frames.to_pylist()
    return sorted(row["sha256"] for row in table if rows is None or row["tracklet_id"] in rows)


class TestEveryForm:
    def test_the_folder_is_the_registry(self):
        assert list_forms() == sorted([*IMAGE_FORMS, "mot", "coco"])
        known = {field.name for field in fields(ExportOptions)}
        for form in list_forms():
            assert set(open_form(form).OPTIONS) <= known
            assert open_form(form).TITLE

    @pytest.mark.parametrize("form", list_forms())
    def test_same_bytes_twice_and_nothing_of_this_machine(self, dataset, tmp_path, form):
        (tmp_path / "b").mkdir()
        made = [export_dataset(dataset, form, tmp_path / name) for name in "ab"]
        first, second = read_all(tmp_path / "a"), read_all(tmp_path / "b")
        assert first == second
        assert made[0].losses == made[1].losses
        assert made[0].losses and all(line and "\n" not in line for line in made[0].losses)
        assert not any(
            str(tmp_path).encode() in data or str(dataset.root).encode() in data
            for data in first.values()
        )

    @pytest.mark.parametrize("form", list_forms())
    def test_a_full_folder_is_refused_and_stays(self, dataset, tmp_path, form):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine")
        with pytest.raises(LpwError, match="a folder with 1 entries"):
            export_dataset(dataset, form, tmp_path / "out")
        assert read_all(tmp_path) == {"out/mine.txt": b"mine"}

    @pytest.mark.parametrize("form", list_forms())
    def test_options_that_a_form_does_not_have_are_refused(self, dataset, tmp_path, form):
        for name, value in (("role", "truth"), ("split", 0), ("shard_bytes", 1)):
            if name not in open_form(form).OPTIONS:
                with pytest.raises(LpwError, match=f"export to {form}: got the option {name}"):
                    export_dataset(dataset, form, tmp_path / "out", ExportOptions(**{name: value}))

    @pytest.mark.parametrize("form", list_forms())
    def test_a_place_inside_the_dataset_is_refused(self, dataset, form):
        with pytest.raises(LpwError, match="a place inside the dataset"):
            export_dataset(dataset, form, dataset.root / "out")

    def test_an_unknown_form_is_named(self, dataset, tmp_path):
        with pytest.raises(LpwError, match=r"option --to: got zip; expected coco, fastreid"):
            export_dataset(dataset, "zip", tmp_path / "out")


class TestEveryFormWithImages:
    @pytest.mark.parametrize("form", IMAGE_FORMS)
    def test_the_images_are_the_very_bytes(self, dataset, tmp_path, form):
        made = export_dataset(dataset, form, tmp_path / "out")
        left_out = {"scen1/view1/000003", "scen1/view1/000004"} if form == "lpw" else set()
        kept = set(dataset.tracklets["tracklet_id"].to_pylist()) - left_out
        assert hash_images(form, made.out) == hashes_of(dataset, kept)
        assert made.n_images == len(hash_images(form, made.out))

    @pytest.mark.parametrize("form", IMAGE_FORMS)
    def test_a_corrupt_image_leaves_nothing(self, tmp_path, form):
        dataset = make_reid(tmp_path / "d")
        file = dataset.root / "images" / "scen1" / "view2" / "000001" / "3.jpg"
        file.write_bytes(file.read_bytes()[:-2])
        with pytest.raises(CorruptCropError, match=r"view2/000001/3\.jpg"):
            export_dataset(dataset, form, tmp_path / "out")
        assert [p.name for p in tmp_path.iterdir()] == ["d"]

    @pytest.mark.parametrize("form", IMAGE_FORMS)
    def test_images_may_lie_elsewhere(self, dataset, tmp_path, form):
        other = make_reid(tmp_path / "d", boxes=True)
        (tmp_path / "raw").mkdir()
        (other.root / "images").rename(tmp_path / "raw" / "images")
        other = rewrite(other, images_root="../raw", settings={"import": {"in_place": True}})
        locate_images(other, tmp_path / "raw")
        made = export_dataset(open_dataset(other.root), form, tmp_path / "out")
        assert read_all(made.out) == read_all(export_dataset(dataset, form, tmp_path / "same").out)

    @pytest.mark.parametrize("form", IMAGE_FORMS)
    def test_images_come_from_the_pack_where_there_is_one(self, dataset, tmp_path, form):
        packed = make_reid(tmp_path / "d", boxes=True)
        write_pack(packed)
        for file in (packed.root / "images").rglob("*.jpg"):
            file.write_bytes(b"")
        made = export_dataset(packed, form, tmp_path / "out")
        assert read_all(made.out) == read_all(export_dataset(dataset, form, tmp_path / "same").out)

    @pytest.mark.parametrize("form", list_forms())
    def test_a_full_disk_leaves_nothing(self, dataset, tmp_path, form, monkeypatch):
        def fail(folder, name, data):
            raise OSError(28, "No space left on device", name)

        monkeypatch.setattr(writing, "_write_new", fail)
        with pytest.raises(LpwError, match="no space left on device"):
            export_dataset(dataset, form, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("form", NUMBERED_FORMS)
    def test_numbers_are_explained(self, dataset, tmp_path, form):
        made = export_dataset(dataset, form, tmp_path / "out")
        rows = {row["tracklet_id"]: row for row in read_csv(made.out / "tracklets.csv")}
        for row in dataset.tracklets.to_pylist():
            found = rows[row["tracklet_id"]]
            assert (found["person_id"] or None, found["camera_id"]) == (
                row["person_id"],
                row["camera_id"],
            )
            assert found["kind"] == row["kind"]
        persons = {
            row["person_id"]: int(row["person"]) for row in rows.values() if row["person_id"]
        }
        assert sorted(persons.values()) == list(range(1, 9))
        assert {row["person"] for row in rows.values() if row["kind"] != "person"} == {"0", "-1"}
        assert {row["subset"] for row in rows.values() if row["camera_id"] == "scen1/view2"} == {
            "query"
        }


class TestSplits:
    @pytest.mark.parametrize("form", SPLIT_FORMS)
    def test_the_split_can_be_chosen(self, tmp_path, form):
        dataset = make_reid(tmp_path / "d")
        rows = [
            (split, *row[1:])
            for split in (3, 7)
            for row in zip(*dataset.splits.to_pydict().values(), strict=True)
        ]
        swap = {"train": "train", "query": "gallery", "gallery": "query"}
        dropped = ("scen1/view1/000003", "scen1/view1/000004")
        rows = [(3, s, t) for n, s, t in rows if n == 3] + [
            (7, swap[s], t) for n, s, t in rows if n == 7 and t not in dropped
        ]
        dataset = rewrite(dataset, splits=rows)
        default = export_dataset(dataset, form, tmp_path / "a")
        second = export_dataset(dataset, form, tmp_path / "b", ExportOptions(split=7))
        assert default.losses[0] == "splits: this is split 3, one of 2; --split chooses another"
        assert second.losses[0] == "splits: this is split 7, one of 2; --split chooses another"
        assert read_all(default.out) != read_all(second.out)
        with pytest.raises(LpwError, match=r"option --split: got 5; expected one of 3, 7"):
            export_dataset(dataset, form, tmp_path / "c", ExportOptions(split=5))

    @pytest.mark.parametrize("form", SPLIT_FORMS)
    def test_splits_of_unknown_tracklets_are_a_mismatch(self, tmp_path, form):
        dataset = rewrite(
            make_reid(tmp_path / "d"), splits=[(0, "query", "x"), (0, "gallery", "y")]
        )
        with pytest.raises(MismatchError, match="tracklets that the dataset does not have"):
            export_dataset(dataset, form, tmp_path / "out")

    @pytest.mark.parametrize("form", NUMBERED_FORMS)
    def test_without_splits_they_are_drawn_and_that_is_said(self, tmp_path, form):
        dataset = make_reid(tmp_path / "d", split=False)
        made = export_dataset(dataset, form, tmp_path / "out")
        assert "the dataset has none, so they are drawn: 3 of 6 persons" in made.losses[0]
        rows = read_csv(made.out / "tracklets.csv")
        roles = {}
        for row in rows:
            roles.setdefault(row["subset"], set()).add(row["person_id"])
        assert len(roles["train"]) == len(roles["query"]) == 3
        assert not roles["train"] & (roles["query"] | roles["gallery"])
        asking = [row for row in rows if row["subset"] == "query"]
        assert len(asking) == 3
        assert all(row["camera_id"].endswith("view1") for row in asking)
        with pytest.raises(LpwError, match="a dataset with splits"):
            export_dataset(dataset, form, tmp_path / "b", ExportOptions(split=0))

    @pytest.mark.parametrize("form", ["fastreid", "lpw", "mars", "torchreid"])
    def test_a_dataset_of_nobody_says_so(self, tmp_path, form):
        dataset = make_dataset(tmp_path / "d", identified=False)
        with pytest.raises(LpwError, match=r"got (no splits, and 0 persons|nobody who is named)"):
            export_dataset(dataset, form, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("form", NUMBERED_FORMS)
    def test_a_role_without_anybody_says_so(self, tmp_path, form):
        dataset = make_reid(tmp_path / "d")
        rows = [
            row
            for row in zip(*dataset.splits.to_pydict().values(), strict=True)
            if row[1] != "train"
        ]
        with pytest.raises(LpwError, match="no train tracklet of a named person"):
            export_dataset(rewrite(dataset, splits=rows), form, tmp_path / "out")

    @pytest.mark.parametrize("form", NUMBERED_FORMS)
    def test_what_has_no_name_or_place_is_counted(self, tmp_path, form):
        dataset = make_reid(tmp_path / "d")
        rows = [
            r
            for r in zip(*dataset.splits.to_pydict().values(), strict=True)
            if r[2] != "scen2/view1/000001"
        ]
        gone = {
            "scen2/view1/000002": {"person_id": None},
            "scen2/view1/000003": {"kind": "junk", "person_id": None},
        }
        dataset = rewrite(dataset, lambda row: gone.get(row["tracklet_id"], {}), rows)
        made = export_dataset(dataset, form, tmp_path / "out")
        assert made.losses[:3] == [
            "left out: 1 tracklets of nobody named",
            "left out: 1 distractors and junk outside the gallery",
            "left out: 1 tracklets in no subset of this split",
        ]
        assert len(read_csv(made.out / "tracklets.csv")) == 13

    def test_parts_of_shards_hold_all_tracklets(self, tmp_path):
        dataset = make_reid(tmp_path / "d")
        rows = [
            r
            for r in zip(*dataset.splits.to_pydict().values(), strict=True)
            if r[2] != "scen2/view1/000001"
        ]
        rows.append((0, "gallery", "scen1/view2/000001"))
        dataset = rewrite(dataset, splits=rows)
        made = export_dataset(dataset, "webdataset", tmp_path / "w")
        assert "doubles: 1 tracklets are both, and stand in `query` and `gallery`" in made.losses
        shards = json.loads((made.out / "shards.json").read_text("utf-8"))["shards"]
        assert {s["part"]: s["n_samples"] for s in shards} == {
            "train": 7,
            "query": 4,
            "gallery": 5,
            "rest": 1,
        }
        hf = export_dataset(dataset, "hf", tmp_path / "h")
        assert {f.name for f in (hf.out / "data").iterdir()} == {
            f"{part}-00000.parquet" for part in ("train", "query", "gallery", "rest")
        }


class TestNumbers:
    def test_own_numbers_are_kept(self):
        assert number_names(["0003", "0001", "1500"]) == {"0001": 1, "0003": 3, "1500": 1500}
        assert number_names(["scen1/view2", "scen1/view10"]) == {
            "scen1/view2": 2,
            "scen1/view10": 10,
        }

    @pytest.mark.parametrize(
        "names", [["a", "b"], ["a1", "b2"], ["1", "01"], ["0", "1"], ["x", "1"], ["²", "1"]]
    )
    def test_other_names_are_counted_in_natural_order(self, names):
        assert list(number_names(reversed(names)).values()) == [1, 2]

    def test_zero_may_be_kept(self):
        assert number_names(["s/0", "s/7"], least=0) == {"s/0": 0, "s/7": 7}

    def many_cameras(self, root, *, shared):
        """16 tracklets by 16 cameras: pairs of them share a person; with `shared` all do."""
        dataset = make_reid(root, n_rounds=4)

        def spread(row):
            scene, view, number = row["tracklet_id"].split("/")
            person = "p1" if shared and scene == "scen1" else f"{scene}/{int(number)}"
            return {"camera_id": f"{scene}/{view}/{number}", "person_id": person, "kind": "person"}

        return rewrite(dataset, spread)

    @pytest.mark.parametrize("form", NUMBERED_FORMS)
    def test_many_cameras_are_numbered_in_groups_that_share_no_person(self, tmp_path, form):
        made = export_dataset(
            self.many_cameras(tmp_path / "d", shared=False), form, tmp_path / "out"
        )
        assert any(line.startswith("cameras: 16 in 8 groups") for line in made.losses)
        seen = {}
        for row in read_csv(made.out / "tracklets.csv"):
            seen.setdefault(row["person_id"], set()).add(row["camera"])
        assert set(map(frozenset, seen.values())) == {frozenset("12")}

    @pytest.mark.parametrize("form", NUMBERED_FORMS)
    def test_too_many_cameras_of_one_person_are_refused(self, tmp_path, form):
        dataset = self.many_cameras(tmp_path / "d", shared=True)
        if form == "fastreid":
            made = export_dataset(dataset, form, tmp_path / "out")
            assert (
                "layout: DukeMTMC, for Market1501 does not hold 8 cameras that share persons"
                in made.losses
            )
            assert [p.name for p in made.out.iterdir() if p.is_dir()] == ["DukeMTMC-reID"]
            return
        with pytest.raises(
            LpwError,
            match=r"got 8 cameras that share persons; expected at most 6; export with --to hf",
        ):
            export_dataset(dataset, form, tmp_path / "out")

    @pytest.mark.parametrize("form", NUMBERED_FORMS)
    def test_numbers_that_are_too_large_are_counted_anew(self, tmp_path, form):
        dataset = make_reid(tmp_path / "d")
        scenes = {"scen1": "7700", "scen2": "99999999999999999999"}
        dataset = rewrite(
            dataset,
            lambda row: {
                "person_id": row["person_id"] and scenes[row["scene_id"]] + row["tracklet_id"][-3:]
            },
        )
        out = export_dataset(dataset, form, tmp_path / "out").out
        persons = {
            row["person_id"]: int(row["person"])
            for row in read_csv(out / "tracklets.csv")
            if row["person_id"]
        }
        assert persons == {
            **{f"7700{n:03d}": n for n in range(1, 5)},
            **{f"{'9' * 20}{n:03d}": n + 4 for n in range(1, 5)},
        }

    @pytest.mark.parametrize("form", ["mars", "torchreid"])
    def test_too_many_persons_are_refused(self, tmp_path, form, monkeypatch):
        monkeypatch.setattr(open_form(form), "LIMITS", FormLimits(persons=7, cameras=6))
        with pytest.raises(
            LpwError, match="got 8 persons; expected at most 7; export with --to hf"
        ):
            export_dataset(make_reid(tmp_path / "d"), form, tmp_path / "out")


class TestMarsLayout:
    def test_lists_and_tables_agree(self, dataset, tmp_path):
        out = export_dataset(dataset, "mars", tmp_path / "m").out
        for side in ("train", "test"):
            names = (out / "info" / f"{side}_name.txt").read_text("ascii").split()
            table = loadmat(out / "info" / f"tracks_{side}_info.mat")[f"track_{side}_info"]
            assert names == sorted(names)
            assert (table.dtype, table[0, 0], table[-1, 1]) == (np.int32, 1, len(names))
            for start, stop, person, camera in table.tolist():
                keys = {name[:11] for name in names[start - 1 : stop]}
                code = {-1: "00-1", 0: "0000"}.get(person, f"{person:04d}")
                assert len(keys) == 1
                assert keys.pop().startswith(f"{code}C{camera}T")
                assert all(
                    (out / f"bbox_{side}" / code / name).is_file()
                    for name in names[start - 1 : stop]
                )
        table = loadmat(out / "info" / "tracks_test_info.mat")["track_test_info"]
        query = loadmat(out / "info" / "query_IDX.mat")["query_IDX"]
        assert (query.dtype, query.shape) == (np.uint16, (1, 4))
        assert table[query[0] - 1, 3].tolist() == [2, 2, 2, 2]
        assert table[query[0] - 1, 2].tolist() == [1, 2, 3, 4]

    def test_a_long_tracklet_is_cut_and_that_is_said(self, tmp_path, monkeypatch):
        from lpw_toolkit.exports.forms import mars

        monkeypatch.setattr(mars, "_MAX_IMAGES", 4)
        dataset = make_reid(tmp_path / "d")
        made = export_dataset(dataset, "mars", tmp_path / "m")
        n_over = sum(max(0, n - 4) for n in dataset.tracklets["n_frames"].to_pylist())
        assert (
            f"long tracklets: {n_over} images after the 4th of a tracklet are left out"
            in made.losses
        )
        names = (made.out / "info" / "train_name.txt").read_text("ascii").split()
        assert max(name[-7:-4] for name in names) == "004"

    def test_too_many_tracklets_of_one_person_are_refused(self, tmp_path, monkeypatch):
        from lpw_toolkit.exports import mars_layout

        monkeypatch.setattr(mars_layout, "MAX_TRACKLETS_OF_ONE", 1)
        with pytest.raises(LpwError, match="got 2 tracklets with id"):
            export_dataset(make_reid(tmp_path / "d"), "mars", tmp_path / "m")
        assert not (tmp_path / "m").exists()

    def test_png_keeps_its_bytes_under_the_only_name_readers_know(self, tmp_path):
        dataset = make_png(tmp_path / "d")
        for form in ("mars", "torchreid", "fastreid", "lpw"):
            made = export_dataset(dataset, form, tmp_path / form)
            assert (
                "suffixes: 1 PNG images are named .jpg, the only name its readers look for"
                in made.losses
            )
            assert (
                sum(
                    data.startswith(b"\x89PNG")
                    for name, data in read_all(made.out).items()
                    if ".jpg" in name
                )
                == 1
            )
        tree = export_dataset(dataset, "tree", tmp_path / "tree").out
        assert (tree / "scen1" / "view2" / "000001" / "1.png").is_file()


def make_png(root):
    """The little dataset with one PNG."""
    import cv2
    import pyarrow as pa

    from lpw_toolkit.dataset import schema, tables

    dataset = make_reid(root)
    old = root / "images" / "scen1" / "view2" / "000001" / "1.jpg"
    data = cv2.imencode(".png", cv2.imread(str(old)))[1].tobytes()
    old.unlink()
    old.with_suffix(".png").write_bytes(data)
    rows = dataset.frames.to_pylist()
    for row in rows:
        if row["image"]["path"] == "images/scen1/view2/000001/1.jpg":
            row |= {"image": {"bytes": None, "path": "images/scen1/view2/000001/1.png"}}
            row |= {"sha256": hashlib.sha256(data).digest()}
    tables.write_table(
        root / "frames.parquet", pa.Table.from_pylist(rows, schema=schema.FRAMES), schema.FRAMES
    )
    return rewrite(dataset)


class TestLpwLayout:
    def test_own_numbers_return(self, dataset, tmp_path):
        out = export_dataset(dataset, "lpw", tmp_path / "l").out
        names = {name.rsplit("/", 1)[0] for name in read_all(out) if name.endswith(".jpg")}
        assert "pep_256x128/scen1/view2/3" in names
        assert len(names) == 14
        frames = [
            r["frame_index"]
            for r in dataset.frames.to_pylist()
            if r["tracklet_id"] == "scen2/view1/000004"
        ]
        folder = out / "pep_256x128" / "scen2" / "view1" / "4"
        assert frames[0] > 0
        assert sorted(int(p.stem) for p in folder.iterdir()) == frames

    def test_tracklets_of_one_person_in_one_view_follow_each_other(self, tmp_path):
        dataset = make_reid(tmp_path / "d", n_rounds=3, split=False)
        dataset = rewrite(
            dataset,
            lambda row: {"person_id": "a" if row["scene_id"] == "scen2" else row["person_id"]},
        )
        made = export_dataset(dataset, "lpw", tmp_path / "l")
        assert (
            "tracklets: 4 follow another one of their person in the same view, in its folder"
            in made.losses
        )
        ids = [f"scen2/view1/{n:06d}" for n in (1, 2, 3)]
        wanted = [row["sha256"] for row in dataset.frames.to_pylist() if row["tracklet_id"] in ids]
        folder = made.out / "pep_256x128" / "scen2" / "view1" / "1"
        found = [(folder / f"{n}.jpg").read_bytes() for n in range(1, len(wanted) + 1)]
        assert [hashlib.sha256(data).digest() for data in found] == wanted
        assert len(list(folder.iterdir())) == len(wanted)

    def test_a_person_in_two_scenes_and_no_scenes_are_said_or_made_one(self, tmp_path):
        dataset = rewrite(
            make_reid(tmp_path / "d", split=False),
            lambda row: {"person_id": row["tracklet_id"][-1]},
        )
        made = export_dataset(dataset, "lpw", tmp_path / "l")
        assert "persons: 4 in several scenes become one person in each" in made.losses
        dataset = rewrite(
            dataset, lambda row: {"scene_id": None, "camera_id": row["camera_id"].replace("/", "-")}
        )
        out = export_dataset(dataset, "lpw", tmp_path / "n").out
        assert sorted(p.name for p in (out / "pep_256x128" / "scen1").iterdir()) == [
            "view1",
            "view2",
            "view3",
            "view4",
        ]
