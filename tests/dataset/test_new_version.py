"""A new version of a dataset: tables that were made from its own, and its images, byte for byte."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from make_dataset import make_dataset

from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.manifest import parents_of
from lpw_toolkit.dataset.new_version import (
    CopiedImages,
    NewVersion,
    inherit_facts,
    inherit_tables,
    write_version,
)
from lpw_toolkit.dataset.pack import write_pack
from lpw_toolkit.dataset.schema import FRAMES
from lpw_toolkit.dataset.tables import write_table
from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "set", n_tracklets=4, n_frames=3)


def same(dataset: Dataset, out: Path, **changes: Any) -> NewVersion:
    """All of `dataset` again."""
    rows = np.arange(dataset.frames.num_rows)
    whole = {
        "tracklets": dataset.tracklets,
        "frames": dataset.frames,
        "images": [CopiedImages(dataset, rows)],
        "facts": inherit_facts(dataset, out, {"step": {"size": 3}}),
        "inner": inherit_tables(dataset),
    }
    return NewVersion(**whole | changes)


def test_a_version_holds_the_same_bytes_and_names_its_parent(
    dataset: Dataset, tmp_path: Path
) -> None:
    made = write_version(tmp_path / "new", same(dataset, tmp_path / "new"), stage="copy")
    assert check_dataset(made.root).problems == []
    assert made.manifest["tables"] == dataset.manifest["tables"]
    for path in dataset.frames["image"].to_pylist():
        assert made.load_image(path["path"]) == dataset.load_image(path["path"])
    (parent,) = parents_of(made.manifest)
    assert parent.is_dataset(dataset.manifest) and not parent.is_dataset(made.manifest)
    assert made.manifest["digest"] == dataset.manifest["digest"]  # of the rows, which are the same
    assert made.name == "new"
    assert made.manifest["settings"] == {"link": {"iou": 0.5}, "step": {"size": 3}}


def test_images_come_from_several_datasets_and_from_a_pack(tmp_path: Path) -> None:
    one = make_dataset(tmp_path / "one", n_tracklets=2, n_frames=3, seed=1)
    other = make_dataset(tmp_path / "other", n_tracklets=2, n_frames=3, seed=2)
    write_pack(other)
    named = pa.array(
        [{"bytes": None, "path": f"images/b/{i}.jpg"} for i in range(other.frames.num_rows)],
        FRAMES.field("image").type,
    )
    ids = pa.array([f"t/{name}" for name in other.frames["tracklet_id"].to_pylist()])
    moved = other.frames.set_column(0, FRAMES.field(0), ids).set_column(2, "image", named)
    tracklets = pa.concat_tables(
        [
            one.tracklets,
            other.tracklets.set_column(0, FRAMES.field(0), ids.unique()),
        ]
    )
    images = [CopiedImages(part, np.arange(part.frames.num_rows)) for part in (one, other)]
    version = same(one, tmp_path / "new", tracklets=tracklets, images=images, inner=())
    frames = pa.concat_tables([one.frames, moved.cast(FRAMES)])
    made = write_version(
        tmp_path / "new",
        NewVersion(tracklets, frames, images, version.facts),
        stage="copy",
    )
    assert check_dataset(made.root).problems == []
    assert made.load_image("images/b/0.jpg") == other.load_image(
        other.frames["image"][0]["path"].as_py()
    )


def test_a_changed_image_leaves_nothing_behind(dataset: Dataset, tmp_path: Path) -> None:
    path = dataset.root / dataset.frames["image"][5]["path"].as_py()
    path.write_bytes(b"other")
    with pytest.raises(CorruptCropError, match=path.name):
        write_version(tmp_path / "new", same(dataset, tmp_path / "new"), stage="copy")
    assert {entry.name for entry in tmp_path.iterdir()} == {"set"}


def test_a_place_in_use_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/notes.txt").write_text("mine")
    with pytest.raises(LpwError, match="entries of other things"):
        write_version(tmp_path / "new", same(dataset, tmp_path / "new"), stage="copy")
    assert (tmp_path / "new/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("path", ["../out.jpg", "/tmp/out.jpg", "images/a\\b.jpg"])
def test_an_image_path_that_leads_outside_is_refused(
    dataset: Dataset, tmp_path: Path, path: str
) -> None:
    images = [{"bytes": None, "path": path}, *dataset.frames["image"].to_pylist()[1:]]
    frames = dataset.frames.set_column(2, FRAMES.field(2), pa.array(images, FRAMES.field(2).type))
    write_table(dataset.root / "frames.parquet", frames, FRAMES, group_by="tracklet_id")
    facts = {key: dataset.manifest[key] for key in ("name", "parent", "sources", "settings")}
    close_dataset(dataset.root, facts)
    hostile = open_dataset(dataset.root)
    with pytest.raises(MismatchError, match="image path"):
        write_version(tmp_path / "new", same(hostile, tmp_path / "new"), stage="copy")
    assert not (tmp_path / "new").exists()
