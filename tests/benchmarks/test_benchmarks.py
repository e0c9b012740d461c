"""Readers of published datasets: what holds for all of them, whatever the order in which a system
lists files."""

import importlib
import io
import itertools
import json
import random
import re
import shutil
from contextlib import closing
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake
from PIL import Image
from raw_trees import DictTree, complaint, load, read

from lpw_toolkit.benchmarks.archives.archive import open_tree
from lpw_toolkit.benchmarks.raw_tree import is_litter
from lpw_toolkit.benchmarks.reader import (
    Benchmark,
    ReadOptions,
    list_benchmarks,
    open_benchmark,
    read_facts,
)
from lpw_toolkit.dataset.schema import KINDS, SUBSETS
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import natural_key

#: Files of the fake trees that are left out by rule, which notes or documentation tell.
LEFT_OUT = {
    "prid2011": r"single_shot/|readme\.txt|person_(0006|0014|0015|0019|0201|0300|0385|0749)/",
    "ilids_vid": r"i-LIDS-VID/images/|train-test people splits/",
    "mars": r"/info/",
    "lpw": r"(?!)",
}
#: The innermost folder that an archive may lack.
TOP = {
    "prid2011": "prid_2011/",
    "ilids_vid": "i-LIDS-VID/",
    "mars": "MARS/",
    "lpw": "archive v2/pep_256x128/",
}


@pytest.fixture(scope="module", params=list_benchmarks())
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def fake(name, tmp_path_factory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp(name)
    write_fake(name, root, np.random.default_rng(0))
    return load(root)


@pytest.fixture(scope="module")
def benchmark_module(name) -> Benchmark:
    return open_benchmark(name)


class TestFacts:
    def test_all_four_are_found(self):
        assert list_benchmarks() == ["ilids_vid", "lpw", "mars", "prid2011"]
        assert open_benchmark("ilids-vid") is open_benchmark("ilids_vid")

    def test_unknown_names(self):
        with pytest.raises(LpwError, match="got market; expected ilids-vid, lpw, mars, prid2011"):
            open_benchmark("market")

    def test_they_are_complete(self, name, benchmark_module):
        facts = benchmark_module.FACTS
        assert facts == read_facts(name)
        assert facts.name == name
        assert all([facts.title, facts.citation, facts.licence_note, facts.notes])
        assert facts.url.startswith("http")
        assert {"n_persons", "n_tracklets", "n_cameras"} <= set(facts.counts)
        assert facts.image_size is None or len(facts.image_size) == 2

    def test_the_folder_of_facts_is_a_package_with_its_data(self, name):
        assert importlib.import_module(f"lpw_manifests.{name}").__doc__
        names = {entry.name for entry in resources.files(f"lpw_manifests.{name}").iterdir()}
        assert "facts.json" in names

    def test_published_splits_say_where_they_are_from(self, name):
        file = resources.files("lpw_manifests").joinpath(name, "splits.json")
        if name == "ilids_vid":
            assert not file.is_file()
            return
        published = json.loads(file.read_text("utf-8"))
        assert set(published) == {"source", "notes", "digest", "facts"}
        assert re.fullmatch("[0-9a-f]{64}", published["digest"])


class TestEveryReader:
    def test_tracklets(self, name, fake):
        reading = read(name, fake)
        ids = [t.tracklet_id for t in reading.tracklets]
        images = [image for t in reading.tracklets for image in t.images]
        assert len(ids) == len(set(ids)) > 0
        assert len(images) == len(set(images))
        assert set(images) <= set(fake)
        for tracklet in reading.tracklets:
            assert tracklet.images
            assert tracklet.kind in KINDS
            assert (tracklet.person_id is None) == (tracklet.kind != "person")
            assert tracklet.camera_id and re.fullmatch(r"[0-9A-Za-z_/-]+", tracklet.tracklet_id)
            index = tracklet.frame_index
            if index is not None:
                assert len(index) == len(tracklet.images)
                assert all(a < b for a, b in itertools.pairwise(index))
                assert [int(re.findall("[0-9]+", image)[-1]) for image in tracklet.images] == list(
                    index
                )
            assert list(tracklet.images) == sorted(tracklet.images, key=natural_key)

    def test_splits(self, name, fake):
        reading = read(name, fake)
        by_id = {t.tracklet_id: t for t in reading.tracklets}
        assert reading.splits is not None and not reading.splits.drawn
        assert re.fullmatch("[0-9a-f]{64}", reading.splits.digest)
        assert reading.splits.note and reading.splits.note.startswith(
            f"not the published {read_facts(name).title}: "
        )
        for subsets in reading.splits.subsets:
            assert tuple(subsets) == SUBSETS
            tracklets = {subset: [by_id[i] for i in ids] for subset, ids in subsets.items()}
            assert all(tracklets.values())
            assert all(len(ids) == len(set(ids)) for ids in subsets.values())
            persons = {subset: {t.person_id for t in found} for subset, found in tracklets.items()}
            assert persons["train"].isdisjoint(persons["query"] | persons["gallery"])
            for query in tracklets["query"]:
                right = [t for t in tracklets["gallery"] if t.person_id == query.person_id]
                assert any(t.camera_id != query.camera_id for t in right)

    def test_every_file_is_used_named_or_left_out_by_rule(self, name, fake):
        reading = read(name, fake)
        images = {image for t in reading.tracklets for image in t.images}
        by_rule = {file for file in fake if is_litter(file) or re.search(LEFT_OUT[name], file)}
        assert reading.extras
        assert not images & set(reading.extras)
        assert not by_rule & set(reading.extras)
        assert set(fake) == images | set(reading.extras) | by_rule

    def test_a_part_is_told_from_the_whole(self, name, fake):
        lines = read(name, fake).mismatches
        assert lines
        assert all(line and "\n" not in line for line in lines)
        assert any("published" in line for line in lines)

    @pytest.mark.parametrize("order", ["reversed", "shuffled"])
    def test_the_order_of_the_listing_changes_nothing(self, name, fake, order, benchmark_module):
        class OtherOrder(DictTree):
            @property
            def names(self) -> list[str]:
                names = sorted(self.files)[::-1]
                return names if order == "reversed" else random.Random(7).sample(names, len(names))

        assert benchmark_module.read(OtherOrder(fake), ReadOptions()) == read(name, fake)

    @pytest.mark.parametrize(
        "prefix",
        ["", "x/", "12/Übung 3/", "scen2/view3/7/", "bbox_test/0002/", "multi_shot/cam_a/"],
    )
    def test_folders_around_the_layout_do_not_matter(self, name, fake, prefix):
        plain = read(name, fake)
        moved = {prefix + file.removeprefix(TOP[name]): data for file, data in fake.items()}
        reading = read(name, moved)
        assert [t.tracklet_id for t in reading.tracklets] == [
            t.tracklet_id for t in plain.tracklets
        ]
        assert [t.frame_index for t in reading.tracklets] == [
            t.frame_index for t in plain.tracklets
        ]
        assert reading.tracklets[0].images[0].startswith(prefix)
        assert len(reading.extras) == len(plain.extras)
        assert reading.splits is not None and plain.splits is not None
        assert reading.splits.subsets == plain.splits.subsets
        assert reading.splits.digest == plain.splits.digest

    @pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
    def test_archives_read_as_the_folder_does(self, name, fake, kind, benchmark_module, tmp_path):
        write_fake(name, tmp_path / "raw", np.random.default_rng(0))
        raw = tmp_path / "raw"
        path = raw if kind == "folder" else Path(shutil.make_archive(str(raw), kind, raw))
        with closing(open_tree(path)) as tree:
            reading = benchmark_module.read(tree, ReadOptions())
        plain = read(name, fake)
        assert (reading.tracklets, reading.splits) == (plain.tracklets, plain.splits)
        assert (reading.mismatches, reading.extras) == (plain.mismatches, plain.extras)

    def test_two_trees_are_one_too_many(self, name, fake):
        text = complaint(
            name, {f"{copy}/{file}": data for copy in "ab" for file, data in fake.items()}
        )
        assert "2 such trees" in text and "point at one of them" in text

    @pytest.mark.parametrize(
        "files", [{}, {"a.jpg": b"", "b/c.png": b""}, {".DS_Store": b""}], ids=len
    )
    def test_another_tree_is_refused_with_the_layout_it_should_have(
        self, name, files, benchmark_module
    ):
        text = complaint(name, files)
        assert text.startswith("raw: got ")
        assert f"expected {benchmark_module.LAYOUT}" in text

    def test_folders_without_an_image_of_theirs(self, name, fake):
        suffix = Path(open_benchmark(name).LAYOUT).suffix
        hollow = {str(Path(file).with_suffix(".txt")): b"" for file in fake}
        assert "no such folder" in complaint(name, hollow)
        strange = {str(Path(file).with_name(f"a{i}{suffix}")): b"" for i, file in enumerate(fake)}
        assert "no image in" in (text := complaint(name, strange)) or "without an image" in text

    def test_unknown_variants_are_refused(self, name, fake):
        assert complaint(name, fake, variant="9").startswith("option --variant: got 9; expected ")

    def test_seeds_are_refused_where_there_is_one_split(self, name, fake):
        if name in ("mars", "lpw"):
            assert "option --split-seed: got 0; expected none" in complaint(
                name, fake, split_seed=0
            )
        else:
            splits = [read(name, fake, split_seed=seed).splits for seed in (1, 1, 2)]
            assert splits[0] == splits[1]
            assert splits[0].digest != splits[2].digest
            assert splits[0].drawn and splits[0].source == "drawn with seed 1"

    def test_reading_touches_no_more_than_it_must(self, name, fake, benchmark_module):
        """Names tell nearly everything: an archive of 600,000 images must not be read twice."""
        asked: list[str] = []

        class Counting(DictTree):
            def read(self, name: str) -> bytes:
                asked.append(name)
                return super().read(name)

        benchmark_module.read(Counting(fake), ReadOptions())
        assert len(asked) <= 5
        assert sum(file.endswith((".png", ".jpg")) for file in asked) <= 1


class TestFakes:
    def test_the_same_seed_writes_the_same_bytes(self, name, fake, tmp_path, benchmark_module):
        write_fake(name, tmp_path / "again", np.random.default_rng(0))
        assert load(tmp_path / "again") == fake
        write_fake(name, tmp_path / "other", np.random.default_rng(1))
        assert load(tmp_path / "other") != fake

    def test_images_have_the_published_size(self, name, fake, benchmark_module):
        for tracklet in read(name, fake).tracklets:
            with Image.open(io.BytesIO(fake[tracklet.images[0]])) as image:
                assert (image.height, image.width) == (
                    benchmark_module.FACTS.image_size or (256, 128)
                )

    def test_another_size_is_noted_and_a_broken_image_is_left_to_the_importer(
        self, name, fake, benchmark_module
    ):
        if benchmark_module.FACTS.image_size is None:
            return
        sink = io.BytesIO()
        Image.new("RGB", (30, 50)).save(sink, "png")
        first = read(name, fake).tracklets[0].images[0]
        notes = read(name, fake | {first: sink.getvalue()}).notes
        assert any(note.startswith("images are 50 x 30 pixels") for note in notes)
        for broken in (b"", b"\x89PNG\r\n", fake[first][:40]):
            assert len(read(name, fake | {first: broken}).tracklets) == len(
                read(name, fake).tracklets
            )
