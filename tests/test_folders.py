"""A published folder is the old one or the new one, never a mixture, and leaves nothing beside it."""

from collections import Counter

import pytest

from lpw_toolkit import publish
from lpw_toolkit.errors import LpwError
from lpw_toolkit.folders import mark_folder, publish_folder


def fill(out, text):
    with publish_folder(out, marker="mark") as folder:
        publish.write_file(folder / "content", text.encode())
        mark_folder(folder, "mark")


def test_a_folder_appears_whole_and_is_replaced_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    fill(out, "one")
    fill(out, "two")
    assert {p.name: p.read_text() for p in out.iterdir()} == {"mark": "content\n", "content": "two"}
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_what_somebody_added_is_not_replaced(tmp_path):
    fill(tmp_path / "out", "one")
    (tmp_path / "out" / "extra").write_text("mine")
    with pytest.raises(LpwError, match="extra"):
        fill(tmp_path / "out", "two")
    assert (tmp_path / "out" / "extra").read_text() == "mine"


@pytest.mark.parametrize("fault", ["write:1", "write:2", "fsync:1", "rename:1"])
def test_a_fault_leaves_the_old_folder(tmp_path, monkeypatch, fault):
    fill(tmp_path / "out", "one")
    monkeypatch.setattr(publish, "_hits", Counter())
    monkeypatch.setenv("LPW_FAULT", f"{fault}:ENOSPC")
    with pytest.raises(LpwError, match="no space left on device"):
        fill(tmp_path / "out", "two")
    monkeypatch.delenv("LPW_FAULT")
    assert (tmp_path / "out" / "content").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_interruption_leaves_the_old_folder(tmp_path):
    fill(tmp_path / "out", "one")
    with pytest.raises(KeyboardInterrupt), publish_folder(tmp_path / "out", marker="mark"):
        raise KeyboardInterrupt
    assert (tmp_path / "out" / "content").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / f"out{publish.TEMPORARY_SUFFIX}").mkdir()
    (tmp_path / f"out{publish.TEMPORARY_SUFFIX}" / "half").write_text("x")
    fill(tmp_path / "out", "one")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "half").exists()


def test_a_dot_is_a_folder_like_any_other(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(LpwError, match="a folder with 1 entries"):
        (tmp_path / "here" / "mine").write_text("x")
        with publish_folder(tmp_path / "here" / "."):
            pass
    assert (tmp_path / "here" / "mine").read_text() == "x"
