"""Exports as other tools read them: WebDataset, Hugging Face datasets, torchreid; and `lpw export`
itself."""

import hashlib
import json
import re
import tarfile
import warnings
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from export_tools import dataset, read_all, read_csv  # noqa: F401
from lpw_cli.export import command
from make_reid import make_reid, rewrite

from lpw_toolkit.exports.form import ExportOptions, export_dataset
from lpw_toolkit.exports.forms import fastreid
from lpw_toolkit.exports.roles import FormLimits
from lpw_toolkit.names import show_name


class TestShards:
    def test_shards_are_cut_between_tracklets_at_the_size(self, dataset, tmp_path):
        sizes = {}
        for row in dataset.frames.to_pylist():
            n_bytes = (dataset.root / row["image"]["path"]).stat().st_size
            sizes[row["tracklet_id"]] = sizes.get(row["tracklet_id"], 0) + n_bytes
        limit = 20_000
        made = export_dataset(
            dataset, "webdataset", tmp_path / "w", ExportOptions(shard_bytes=limit)
        )
        for shard in json.loads((made.out / "shards.json").read_text("utf-8"))["shards"]:
            with tarfile.open(made.out / shard["shard"]) as tar:
                ids = [
                    json.load(tar.extractfile(m))["tracklet_id"]
                    for m in tar
                    if m.name.endswith(".json")
                ]
            assert len(ids) == shard["n_samples"]
            assert sum(sizes[name] for name in ids[:-1]) < limit
        hf = export_dataset(dataset, "hf", tmp_path / "h", ExportOptions(shard_bytes=limit))
        assert len(list((hf.out / "data").iterdir())) > 4

    def test_tar_members_are_the_same_everywhere(self, dataset, tmp_path):
        out = export_dataset(dataset, "webdataset", tmp_path / "w").out
        with tarfile.open(out / "query-000000.tar") as tar:
            members = tar.getmembers()
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
            (0, 0, 0, "", "", 0o644)
        }
        assert [m.name for m in members[:3]] == [
            "00000000.json",
            "00000000.0000.jpg",
            "00000000.0001.jpg",
        ]

    def test_webdataset_reads_whole_tracklets(self, dataset, tmp_path):
        wds = pytest.importorskip("webdataset")
        out = export_dataset(
            dataset, "webdataset", tmp_path / "w", ExportOptions(shard_bytes=20_000)
        ).out
        shards = sorted(str(f) for f in out.glob("train-*.tar"))
        assert len(shards) > 1
        rows = {row["tracklet_id"]: row for row in dataset.tracklets.to_pylist()}
        seen = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for sample in wds.WebDataset(shards, shardshuffle=False).decode("rgb"):
                facts, images = (
                    sample["json"],
                    sorted(key for key in sample if key.endswith(".jpg")),
                )
                row = rows[facts["tracklet_id"]]
                assert {key: facts[key] for key in row} == row
                assert len(images) == row["n_frames"] == len(facts["pts_s"])
                assert sample[images[0]].shape == (64, 32, 3)
                seen.append(facts["tracklet_id"])
        assert sorted(seen) == [f"scen2/view{v}/{n:06d}" for v in (1, 2) for n in (1, 2, 3, 4)]


class TestHuggingFace:
    def test_load_dataset_decodes_every_row(self, dataset, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        datasets = pytest.importorskip("datasets")
        made = export_dataset(dataset, "hf", tmp_path / "h", ExportOptions(shard_bytes=20_000))
        datasets.disable_progress_bars()
        loaded = datasets.load_dataset(str(made.out), cache_dir=str(tmp_path / "cache"))
        assert {part: rows.num_rows for part, rows in loaded.items()} == {
            "train": 37,
            "query": 20,
            "gallery": 21,
        }
        assert isinstance(loaded["query"].features["image"], datasets.Image)
        frames = {(r["tracklet_id"], r["position"]): r for r in dataset.frames.to_pylist()}
        row = loaded["query"][4]
        assert (row["image"].size, row["image"].format) == ((32, 64), "JPEG")
        assert (row["person_id"], row["camera_id"], row["scene_id"], row["kind"]) == (
            "scen1/2",
            "scen1/view2",
            "scen1",
            "person",
        )
        mine = frames[row["tracklet_id"], row["position"]]
        assert all(
            row[name] == mine[name]
            for name in ("frame_index", "pts_s", "x1", "y1", "x2", "y2", "score")
        )
        assert set(loaded["gallery"].unique("kind")) == {"person", "distractor", "junk"}

    def test_the_card_names_what_people_must_know(self, tmp_path):
        facts = {"title": "LPW", "citation": "Song et al. <b>2018</b>\nAAAI"}
        splits = {"source": "drawn with seed 0", "drawn": True, "note": "a part"}
        dataset = rewrite(
            make_reid(tmp_path / "d"),
            settings={"import": facts},
            splits_facts=splits,
            licence="for tests",
        )
        dataset.manifest["splits"] = splits
        text = (export_dataset(dataset, "hf", tmp_path / "h").out / "README.md").read_text("utf-8")
        yaml = pytest.importorskip("yaml")
        header = yaml.safe_load(text.split("---\n")[1])
        assert (header["pretty_name"], header["license"]) == ("little", "other")
        assert header["configs"][0]["data_files"][1] == {
            "split": "query",
            "path": "data/query-*.parquet",
        }
        for part in (
            "for tests",
            r"Song et al. \<b\>2018\</b\> AAAI",
            "drawn with seed 0; drawn, not published",
            "| query | 4 | 20 |",
            dataset.manifest["digest"],
            "## Not contained",
        ):
            assert part in text

    @pytest.mark.parametrize(
        "name", ['quote " and \\', "colon: # dash -", "line\nbreak", "emoji 🙂 é"]
    )
    def test_any_name_makes_a_card_that_parses(self, tmp_path, name):
        yaml = pytest.importorskip("yaml")
        dataset = make_reid(tmp_path / "d")
        dataset.manifest["name"] = name
        text = (export_dataset(dataset, "hf", tmp_path / "h").out / "README.md").read_text("utf-8")
        assert yaml.safe_load(text.split("---\n")[1])["pretty_name"] == show_name(name)

    def test_without_splits_everything_trains(self, tmp_path):
        dataset = make_reid(tmp_path / "d", split=False)
        made = export_dataset(dataset, "hf", tmp_path / "h")
        assert made.losses[0] == "splits: the dataset has none; everything is in `train`"
        assert [f.name for f in (made.out / "data").iterdir()] == ["train-00000.parquet"]
        table = pq.read_table(made.out / "data" / "train-00000.parquet")
        assert table["tracklet_id"].to_pylist() == dataset.frames["tracklet_id"].to_pylist()


class TestTorchreid:
    def test_its_mars_loads_the_tree(self, dataset, tmp_path, capsys):
        module = pytest.importorskip("torchreid.reid.data.datasets.video.mars")
        made = export_dataset(dataset, "torchreid", tmp_path / "t")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = module.Mars(root=str(made.out), transform=lambda image: image, verbose=False)
        assert [len(part) for part in (loaded.train, loaded.query, loaded.gallery)] == [8, 4, 3]
        assert {pid for _, pid, _, _ in loaded.train} == {0, 1, 2, 3}
        assert {camera for _, _, camera, _ in loaded.query} == {1}
        assert sorted(pid for _, pid, _, _ in loaded.gallery) == [0, 1, 2]
        rows = {row["name"]: row["tracklet_id"] for row in read_csv(made.out / "tracklets.csv")}
        frames = dataset.frames.to_pylist()
        for paths, *_ in (*loaded.train, *loaded.query, *loaded.gallery):
            name = rows[re.search(r"(\d{4}C\dT\d{4})F", paths[0])[1]]
            wanted = [row["sha256"] for row in frames if row["tracklet_id"] == name]
            assert [hashlib.sha256(Path(path).read_bytes()).digest() for path in paths] == wanted
        assert "junk: torchreid passes over 1 tracklets" in made.losses
        assert (
            "queries: 2 have no right answer there, and torchreid passes over them" in made.losses
        )

    def test_queries_in_the_gallery_are_named(self, tmp_path):
        dataset = make_reid(tmp_path / "d")
        rows = list(zip(*dataset.splits.to_pydict().values(), strict=True))
        rows += [(0, "gallery", name) for _, subset, name in rows if subset == "query"]
        made = export_dataset(rewrite(dataset, splits=rows), "torchreid", tmp_path / "t")
        assert "gallery: torchreid takes 4 queries out of it" in made.losses

    def test_its_market1501_loads_the_tree_for_fastreid(self, dataset, tmp_path):
        module = pytest.importorskip("torchreid.reid.data.datasets.image.market1501")
        out = export_dataset(dataset, "fastreid", tmp_path / "f").out
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / "market1501").symlink_to(out)
        loaded = module.Market1501(root=str(tmp_path / "root"), verbose=False)
        assert [len(part) for part in (loaded.train, loaded.query, loaded.gallery)] == [37, 20, 15]
        assert {camera for _, _, camera, _ in loaded.train} == {2, 3}


class TestFastreid:
    def test_names_follow_the_pattern_of_its_loaders(self, dataset, tmp_path):
        made = export_dataset(dataset, "fastreid", tmp_path / "f")
        rows = {row["name"]: row for row in read_csv(made.out / "tracklets.csv")}
        top = made.out / "Market-1501-v15.09.15"
        for folder, subset in (
            ("bounding_box_train", "train"),
            ("query", "query"),
            ("bounding_box_test", "gallery"),
        ):
            files = sorted((top / folder).iterdir())
            assert files
            for file in files:
                person, camera = map(int, re.search(r"([-\d]+)_c(\d)", str(file)).groups())
                row = rows[file.name.rsplit("_", 2)[0]]
                assert (int(row["person"]), int(row["camera"]), row["subset"]) == (
                    person,
                    camera,
                    subset,
                )
                assert re.fullmatch(r"(\d{4}|-1)_c[1-6]s\d+_\d{6}_00\.jpg", file.name)
        assert "tracklets: every image stands alone, 37 train, 20 query, 21 gallery" in "".join(
            made.losses
        )

    def test_many_persons_go_into_the_layout_that_holds_them(self, dataset, tmp_path, monkeypatch):
        layouts = fastreid.LAYOUTS | {
            "Market1501": ("Market-1501-v15.09.15", FormLimits(persons=7, cameras=6))
        }
        monkeypatch.setattr(fastreid, "LAYOUTS", layouts)
        made = export_dataset(dataset, "fastreid", tmp_path / "f")
        assert "layout: DukeMTMC, for Market1501 does not hold 8 persons" in made.losses
        assert "junk: 1 tracklets are left out, for DukeMTMC knows none" in made.losses
        files = read_all(made.out / "DukeMTMC-reID")
        assert not any("/-1_" in name for name in files)
        assert any(name.startswith("bounding_box_train/0005_c3s1") for name in files)
        assert len(files) == made.n_images


class TestTheCommand:
    def run(self, *words):
        return CliRunner().invoke(command, [str(word) for word in words])

    def test_it_prints_what_is_not_kept_and_the_size(self, dataset, tmp_path):
        done = self.run(dataset.root, tmp_path / "t", "--to", "torchreid")
        assert done.exit_code == 0, done.output
        assert "note: junk: torchreid passes over 1 tracklets" in done.output
        assert done.output.endswith(f"written: {tmp_path / 't'} (78 images, 0.2 MB)\n")

    def test_options_reach_the_form(self, dataset, tmp_path):
        assert (
            self.run(
                dataset.root, tmp_path / "w", "--to", "webdataset", "--shard-mb", 1, "--split", 0
            ).exit_code
            == 0
        )
        assert self.run(dataset.root, tmp_path / "m", "--to", "mot", "--as", "truth").exit_code == 0
        assert (tmp_path / "m" / "gt").is_dir()
        for words in (("--split", 4), ("--shard-mb", 0), ("--as", "truth")):
            done = self.run(dataset.root, tmp_path / "x", "--to", "hf", *words)
            assert done.exit_code != 0
        assert not (tmp_path / "x").exists()
