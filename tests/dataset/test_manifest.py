"""`dataset.json` names the datasets that a dataset was made from."""

from typing import Any

import pytest
from make_dataset import make_dataset

from lpw_toolkit.dataset.dataset import close_dataset, open_dataset
from lpw_toolkit.dataset.info import describe, format_info
from lpw_toolkit.dataset.manifest import Parent, name_parent, parents_of
from lpw_toolkit.errors import MismatchError


def test_a_dataset_without_a_parent_has_none() -> None:
    assert parents_of({"parent": None}) == parents_of({}) == ()


def test_one_parent_and_several_are_read_alike() -> None:
    entries = [{"name": "a", "digest": "1"}, {"name": "b", "digest": "2", "manifest_sha256": "3"}]
    assert parents_of({"parent": entries[1]}) == (Parent("b", "2", "3"),)
    merged = parents_of({"parent": None, "parents": entries})
    assert merged == (Parent("a", "1"), Parent("b", "2", "3"))


def test_a_parent_is_known_by_all_that_its_manifest_says(tmp_path: Any) -> None:
    made = make_dataset(tmp_path / "a").manifest
    (named,) = parents_of({"parent": name_parent(made)})
    other = made | {"manifest_sha256": "0" * 64}  # the same rows, for example with splits
    assert named.is_dataset(made) and not named.is_dataset(other)
    old = Parent(named.name, named.digest)
    assert old.is_dataset(made) and old.is_dataset(other)
    assert not old.is_dataset(made | {"digest": "0" * 64})


@pytest.mark.parametrize(
    "odd",
    [
        {"parent": ["x"]},
        {"parent": {"name": "x"}},
        {"parent": {"name": "x", "digest": 3}},
        {"parent": None, "parents": {"name": "x", "digest": "1"}},
        {"parent": None, "parents": ["x"]},
        {"parent": None, "parents": [{"name": "x", "digest": "1", "manifest_sha256": 1}]},
    ],
)
def test_odd_parents_are_a_damaged_manifest(tmp_path: Any, odd: dict[str, Any]) -> None:
    made = make_dataset(tmp_path / "a")
    facts = ("name", "sources", "settings", "licence", "consent")
    close_dataset(made.root, {key: made.manifest[key] for key in facts} | odd)
    with pytest.raises(MismatchError, match="a damaged manifest"):
        open_dataset(made.root)


def test_info_names_all_parents(tmp_path: Any) -> None:
    made = make_dataset(tmp_path / "a")
    facts = {key: made.manifest[key] for key in ("name", "sources", "settings")}
    parents = [{"name": name, "digest": 64 * name} for name in "ab"]
    close_dataset(made.root, facts | {"parent": None, "parents": parents})
    found = describe(open_dataset(made.root))
    assert found["parents"] == parents
    assert f"parents     a, digest {16 * 'a'}; b, digest {16 * 'b'}" in format_info(found)
