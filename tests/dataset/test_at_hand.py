"""The dataset at hand: versions of one another, the latest that a command can use."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from make_dataset import make_dataset

from lpw_toolkit.dataset.at_hand import (
    ANYTHING,
    PERSONS,
    SPLITS,
    Need,
    find_at_hand,
    find_by_digest,
    list_relatives,
)
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError, MismatchError


def make(
    folder: Path,
    name: str,
    digest: str,
    *parents: tuple[str, str],
    n_persons: int = 0,
    splits: bool = False,
    **more: Any,
) -> Path:
    """A `dataset.json` alone: nothing else is looked at before a dataset is opened."""
    said = [{"name": parent, "digest": of} for parent, of in parents]
    manifest = {
        "format_version": 1,
        "name": name,
        "parent": said[0] if said else None,
        "parents": said[1:],
        "digest": digest,
        "counts": {"n_persons": n_persons},
        "tables": {"splits.parquet": {}} if splits else {},
        **more,
    }
    (folder / name).mkdir(parents=True)
    (folder / name / "dataset.json").write_text(json.dumps(manifest))
    return folder / name


def make_odd(folder: Path, odd: dict[str, Any]) -> None:
    file = make(folder, "d", "1") / "dataset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **odd}))


def find(folder: Path, *needs: Need) -> str:
    return find_at_hand(folder, *needs).root.name


class TestChoice:
    def test_the_working_folder_itself(self, tmp_path: Path) -> None:
        root = make(tmp_path, "a", "1")
        make(root, "inner", "2")
        assert find_at_hand(root, SPLITS).root == root

    def test_the_only_one(self, tmp_path: Path) -> None:
        make(tmp_path, "a", "1")
        found = find_at_hand(tmp_path)
        assert (found.root, found.why) == (tmp_path / "a", "")

    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=r"dataset: got none; .* `lpw build-tracklets VIDEO`"):
            find_at_hand(tmp_path)

    def test_one_that_is_begun_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "film-lpw" / ".lpw").mkdir(parents=True)
        with pytest.raises(LpwError, match=r"none that is finished .film-lpw is begun."):
            find_at_hand(tmp_path)

    def test_the_latest_of_a_chain_that_meets_the_need(self, tmp_path: Path) -> None:
        make(tmp_path, "z-film", "1")
        make(tmp_path, "m-cleaned", "2", ("z-film", "1"), n_persons=3)
        make(tmp_path, "a-split", "2", ("m-cleaned", "2"), n_persons=3, splits=True)
        make(tmp_path, "b-bare", "4", ("a-split", "2"))
        assert find(tmp_path) == find(tmp_path, ANYTHING) == "b-bare"
        assert find(tmp_path, PERSONS) == find(tmp_path, SPLITS) == "a-split"
        assert find_at_hand(tmp_path, SPLITS).why == (
            "the latest with persons and splits of a-split, b-bare, m-cleaned, z-film"
        )
        assert find(tmp_path, Need("a hat", lambda _: ("none", "buy one")), PERSONS) == "a-split"

    def test_times_of_files_change_nothing(self, tmp_path: Path) -> None:
        for name, digest, *parent in (("old", "1"), ("new", "2", ("old", "1"))):
            make(tmp_path, name, digest, *parent)
        for when in ((9e8, 1e9), (1e9, 9e8)):
            for name, at in zip(("old", "new"), when, strict=True):
                os.utime(tmp_path / name, (at, at))
                os.utime(tmp_path / name / "dataset.json", (at, at))
            assert find(tmp_path) == "new"

    def test_a_branch_without_the_need_is_no_matter(self, tmp_path: Path) -> None:
        make(tmp_path, "film", "1")
        make(tmp_path, "cleaned", "2", ("film", "1"), n_persons=2, splits=True)
        make(tmp_path, "relinked", "3", ("film", "1"))
        assert find(tmp_path, SPLITS) == "cleaned"
        with pytest.raises(LpwError, match=r"several latest versions \(cleaned, relinked\)"):
            find_at_hand(tmp_path)

    def test_brothers_of_a_parent_that_is_gone(self, tmp_path: Path) -> None:
        make(tmp_path, "cleaned", "2", ("film", "1"), n_persons=2)
        make(tmp_path, "again", "3", ("film", "1"))
        assert find(tmp_path, PERSONS) == "cleaned"

    def test_a_version_of_two(self, tmp_path: Path) -> None:
        make(tmp_path, "monday", "1")
        make(tmp_path, "tuesday", "2")
        make(tmp_path, "both", "3", ("monday", "1"), ("tuesday", "2"))
        assert find(tmp_path) == "both"

    def test_two_splits_of_one_dataset(self, tmp_path: Path) -> None:
        make(tmp_path, "d", "1", n_persons=2)
        for name in ("d-one", "d-two"):
            make(tmp_path, name, "1", ("d", "1"), n_persons=2, splits=True)
        with pytest.raises(LpwError, match=r"several latest versions \(d-one, d-two\)"):
            find_at_hand(tmp_path, SPLITS)

    def test_a_copy_is_not_a_later_version(self, tmp_path: Path) -> None:
        shutil.copytree(make(tmp_path, "d", "1"), tmp_path / "copy")
        with pytest.raises(LpwError, match="copy, d"):
            find_at_hand(tmp_path)

    def test_unrelated_ones_are_refused_by_name(self, tmp_path: Path) -> None:
        make(tmp_path, "film", "1")
        make(tmp_path, "cleaned", "2", ("film", "1"), n_persons=2, splits=True)
        make(tmp_path, "mars", "9", n_persons=2, splits=True)
        with pytest.raises(LpwError, match=r"unrelated datasets: cleaned, film \| mars"):
            find_at_hand(tmp_path, SPLITS)

    @pytest.mark.parametrize(
        ("n_persons", "lack"),
        [(0, "film with no persons; .*`lpw clean --review`"), (2, "film with no splits; .*split")],
    )
    def test_a_need_that_nothing_meets(self, tmp_path: Path, n_persons: int, lack: str) -> None:
        make(tmp_path, "film", "1", n_persons=n_persons)
        with pytest.raises(LpwError, match=lack):
            find_at_hand(tmp_path, SPLITS)


class TestHostile:
    @pytest.mark.parametrize("text", ["{", "[]", '{"format_version": 1}', '{"parent": 3}'])
    def test_a_damaged_dataset_is_named(self, tmp_path: Path, text: str) -> None:
        make(tmp_path, "film", "1")
        (make(tmp_path, "odd", "2") / "dataset.json").write_text(text)
        with pytest.raises(MismatchError, match=r"^odd: got a dataset with .* name the dataset"):
            find_at_hand(tmp_path)

    def test_versions_that_call_each_other_parent(self, tmp_path: Path) -> None:
        make(tmp_path, "a", "1", ("b", "2"))
        make(tmp_path, "b", "2", ("a", "1"))
        make(tmp_path, "self", "3", ("self", "3"), ("b", "2"))
        assert find(tmp_path) == "self"
        shutil.rmtree(tmp_path / "self")
        with pytest.raises(LpwError, match=r"several latest versions \(a, b\)"):
            find_at_hand(tmp_path)

    @pytest.mark.parametrize(
        "odd",
        [
            {"counts": 3},
            {"counts": {"n_persons": "many"}},
            {"counts": {}},
        ],
    )
    def test_odd_counts_are_no_traceback(self, tmp_path: Path, odd: dict[str, Any]) -> None:
        make_odd(tmp_path, {"splits": True, **odd})
        assert find(tmp_path) == "d"
        with pytest.raises(LpwError, match="no persons"):
            find_at_hand(tmp_path, SPLITS)

    @pytest.mark.parametrize(
        "odd", [{"parents": 7}, {"parents": [1, {"digest": []}]}, {"parent": {"name": 1}}]
    )
    def test_odd_parents_are_no_traceback(self, tmp_path: Path, odd: dict[str, Any]) -> None:
        make_odd(tmp_path, odd)
        with pytest.raises(MismatchError, match=r"^d: got a dataset with a damaged manifest"):
            find_at_hand(tmp_path)

    def test_a_link_is_the_dataset_that_it_leads_to(self, tmp_path: Path) -> None:
        make(tmp_path / "elsewhere", "d", "1")
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere" / "d")
        (tmp_path / "here" / "second").symlink_to(tmp_path / "elsewhere" / "d")
        (tmp_path / "here" / "lost").symlink_to(tmp_path / "nowhere")
        assert find(tmp_path / "here") == "link"

    def test_a_manifest_that_is_a_link_is_no_dataset(self, tmp_path: Path) -> None:
        make(tmp_path / "elsewhere", "d", "1")
        (tmp_path / "here" / "d").mkdir(parents=True)
        (tmp_path / "here" / "d" / "dataset.json").symlink_to(
            tmp_path / "elsewhere" / "d" / "dataset.json"
        )
        with pytest.raises(LpwError, match="got none"):
            find_at_hand(tmp_path / "here")


class TestByDigest:
    def test_of_rows_or_of_all(self, tmp_path: Path) -> None:
        dataset: Dataset = make_dataset(tmp_path / "d")
        assert find_by_digest(tmp_path, [dataset.digest]) == tmp_path / "d"
        assert find_by_digest(tmp_path, [str(dataset.manifest["digest"])]) == tmp_path / "d"
        assert find_by_digest(tmp_path / "d", [dataset.digest]) == tmp_path / "d"
        assert find_by_digest(tmp_path, ["other"]) is None
        assert find_by_digest(tmp_path / "d", ["other"]) is None

    def test_the_latest_with_these_rows(self, tmp_path: Path) -> None:
        make(tmp_path, "d", "1")
        make(tmp_path, "split", "1", ("d", "1"))
        make(tmp_path, "unrelated", "2")
        assert find_by_digest(tmp_path, ["1"]) == tmp_path / "split"

    def test_two_with_these_rows(self, tmp_path: Path) -> None:
        make(tmp_path, "one", "1", ("d", "0"))
        make(tmp_path, "two", "1", ("d", "0"))
        with pytest.raises(LpwError, match="one, two, with the same tracklets"):
            find_by_digest(tmp_path, ["0", "1"])


class TestRelatives:
    def test_ancestors_and_descendants_but_no_brothers(self, tmp_path: Path) -> None:
        make(tmp_path, "cleaned", "2", ("film", "1"))
        make(tmp_path, "filtered", "3", ("cleaned", "2"))
        make(tmp_path, "renamed", "4", ("filtered", "3"))
        make(tmp_path, "brother", "5", ("cleaned", "2"))
        make(tmp_path, "mars", "9")
        for name, relatives in {
            "filtered": {"1", "2", "3", "4"},
            "cleaned": {"1", "2", "3", "4", "5"},
            "brother": {"1", "2", "5"},
            "mars": {"9"},
        }.items():
            manifest = json.loads((tmp_path / name / "dataset.json").read_text())
            assert list_relatives(tmp_path / name, manifest) == relatives

    def test_a_damaged_dataset_beside_it_is_passed_over(self, tmp_path: Path) -> None:
        root = make(tmp_path, "cleaned", "2", ("film", "1"))
        make(tmp_path, "odd", "3").joinpath("dataset.json").write_text("{")
        manifest = json.loads((root / "dataset.json").read_text())
        assert list_relatives(root, manifest) == {"1", "2"}
