"""Round trips: what `lpw export` writes, `lpw import` reads again as the same dataset."""

import numpy as np
import pytest
from fakes import write_fake
from make_reid import make_reid

from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.exports.form import export_dataset


def import_tree(name, raw, out, **options):
    return import_benchmark(ImportConfig(name, raw, out, allow_partial=True, **options)).dataset


def make_fake(name, root):
    write_fake(name, root, np.random.default_rng(0))
    return root


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("name", ["lpw", "mars"])
def test_a_benchmark_returns_from_its_own_layout(tmp_path, name, in_place):
    first = import_tree(name, make_fake(name, tmp_path / "raw"), tmp_path / "a", in_place=in_place)
    made = export_dataset(first, name, tmp_path / "out")
    again = import_tree(name, made.out, tmp_path / "b")
    assert again.tracklets.equals(first.tracklets)
    assert again.splits.equals(first.splits)
    for column in ("tracklet_id", "position", "sha256", "width", "height", "frame_index"):
        assert again.frames[column].equals(first.frames[column])
    facts = [dataset.manifest["settings"]["import"] for dataset in (first, again)]
    assert facts[1]["mismatches"] == [
        line.replace("MARS/info", "info") for line in facts[0]["mismatches"]
    ]
    assert facts[1]["extras"] == {"n_files": 1, "first": ["tracklets.csv"]}


def test_ones_own_dataset_becomes_a_tree_that_the_mars_reader_takes(tmp_path):
    dataset = make_reid(tmp_path / "d", boxes=True)
    made = export_dataset(dataset, "mars", tmp_path / "out")
    again = import_tree("mars", made.out, tmp_path / "b")
    kinds = [sorted(each.tracklets["kind"].to_pylist()) for each in (dataset, again)]
    assert kinds[0] == kinds[1]
    assert sorted(again.frames["sha256"].to_pylist()) == sorted(
        dataset.frames["sha256"].to_pylist()
    )
    subsets = again.splits["subset"].to_pylist()
    assert {name: subsets.count(name) for name in ("train", "query", "gallery")} == {
        "train": 8,
        "query": 4,
        "gallery": 8,
    }


@pytest.mark.realdata
def test_real_crops_return_as_the_very_tree(shared_data, tmp_path):
    raw = shared_data / "mini_lpw"
    dataset = import_tree("lpw", raw, tmp_path / "d", in_place=True)
    made = export_dataset(dataset, "lpw", tmp_path / "out")
    files = {f.relative_to(raw): f for f in sorted((raw / "pep_256x128").rglob("*.jpg"))}
    found = {f.relative_to(made.out): f for f in sorted((made.out / "pep_256x128").rglob("*.jpg"))}
    assert len(files) == 5200
    assert list(found) == list(files)
    assert all(found[name].read_bytes() == files[name].read_bytes() for name in files)
