"""Listing order depends on names alone."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpw_toolkit.files.listing import iter_files, list_folder, list_names, natural_key


def test_numbers_count_as_numbers() -> None:
    names = [
        "a10",
        "a9",
        "a1",
        "10.jpg",
        "9.jpg",
        "b",
        "a01",
        "1",
        "01",
        "a1b2",
        "a1b10",
        "view2.mp4",
        "view10.mp4",
    ]
    wanted = [
        "01",
        "1",
        "9.jpg",
        "10.jpg",
        "a01",
        "a1",
        "a1b2",
        "a1b10",
        "a9",
        "a10",
        "b",
        "view2.mp4",
        "view10.mp4",
    ]
    for seed in range(5):
        shuffled = random.Random(seed).sample(names, len(names))
        assert sorted(shuffled, key=natural_key) == wanted


@given(st.lists(st.text(alphabet="a1٣²½é0 .", max_size=6), max_size=8))
def test_order_is_total_and_needs_no_luck(names: list[str]) -> None:
    """Equal keys mean equal names, so that the order never depends on the order of arrival; no
    digit is a crash."""
    keys = {name: natural_key(name) for name in names}
    assert len(set(keys.values())) == len(keys)
    backwards = list(reversed(names))
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


def test_list_folder(tmp_path: Path) -> None:
    for name in ("10", "9", ".hidden", "ü"):
        (tmp_path / name).touch()
    assert [p.name for p in list_folder(tmp_path)] == ["9", "10", ".hidden", "ü"]
    with pytest.raises(FileNotFoundError):
        list_folder(tmp_path / "none")


def test_iter_files_goes_deep_in_order_without_folder_links(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/10.jpg", "a/x/1.jpg", ".lpw/state", "c.jpg", "b/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "c.jpg")
    names = [p.relative_to(tmp_path).as_posix() for p in iter_files(tmp_path)]
    assert names == ["a/x/1.jpg", "b/2.jpg", "b/10.jpg", "c.jpg", "link.jpg"]
    everything = {p.relative_to(tmp_path).as_posix() for p in iter_files(tmp_path, hidden=True)}
    assert everything == {*names, ".lpw/state", "b/.hidden"}
    assert list_names(tmp_path) == sorted(
        [*everything, "a/loop"]
    )  # a link is named, never followed


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    for name in (b"\xff10", b"\xff9", b"plain"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb"):
            pass
    assert [os.fsencode(p.name) for p in list_folder(tmp_path)] == [b"plain", b"\xff9", b"\xff10"]
