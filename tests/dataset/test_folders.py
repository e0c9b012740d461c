"""A published folder is the old one or the new one, never a mixture, and leaves nothing beside
it."""

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from lpw_toolkit.dataset.output_folder import mark_folder, publish_folder
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import faults, writing


def fill(out, text):
    with publish_folder(out, marker="mark") as folder:
        writing.write_file(folder / "content", text.encode())
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


@pytest.mark.parametrize("fault", ["write:1", "write:2", "fsync:1", "rename:1", "rename:2"])
def test_a_fault_leaves_the_old_folder(tmp_path, monkeypatch, fault):
    fill(tmp_path / "out", "one")
    monkeypatch.setattr(faults, "_hits", Counter())
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


FILL = """
import sys, time
from pathlib import Path
from lpw_toolkit.files import faults, writing
from lpw_toolkit.dataset.output_folder import mark_folder, publish_folder
with publish_folder(Path(sys.argv[1]), marker="mark") as folder:
    writing.write_file(folder / "content", b"two")
    mark_folder(folder, "mark")
    if len(sys.argv) > 2:
        print("ready", flush=True)
        sys.stdin.read()
"""


def kill_at(out, point):
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(out)], env={**os.environ, "LPW_FAULT": point}
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("point", "between"), [
    ("write:1", "one"), ("write:2", "one"), ("fsync:1", "one"), ("rename:1", "one"),
    ("rename:2", None),
    ("fsync:2", "two"), ("unlink:1", "two"),
])  # fmt: skip
def test_what_a_killed_run_left_is_cleared_and_the_old_folder_comes_back(tmp_path, point, between):
    out = tmp_path / "out"
    fill(out, "one")
    kill_at(out, point)
    assert (tmp_path / f"out{writing.TEMPORARY_SUFFIX}").is_dir()
    assert out.exists() == (between is not None)
    with pytest.raises(KeyboardInterrupt), publish_folder(out, marker="mark"):
        assert (out / "content").read_text() == (between or "one")
        raise KeyboardInterrupt
    assert (out / "content").read_text() == (between or "one")
    fill(out, "three")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (out / "content").read_text() == "three"


@pytest.mark.parametrize("kind", ["file", "folder", "lock and more", "link"])
def test_a_temporary_name_that_belongs_to_the_user_is_never_touched(tmp_path, kind):
    mine = tmp_path / f"out{writing.TEMPORARY_SUFFIX}"
    if kind == "file":
        mine.write_text("mine")
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir()
        mine.symlink_to(tmp_path / "elsewhere")
    else:
        mine.mkdir()
        (mine / "thesis").write_text("mine")
        if kind == "lock and more":
            (mine / ".lpw-lock").write_text("")
    before = digest_names(tmp_path)
    with pytest.raises(
        LpwError, match=f"out{writing.TEMPORARY_SUFFIX}: got .*; expected a free name"
    ):
        fill(tmp_path / "out", "one")
    assert digest_names(tmp_path) == before


def digest_names(folder):
    return {str(p): p.read_bytes() if p.is_file() else p.is_symlink() for p in folder.rglob("*")}


def test_a_second_process_is_refused_and_the_first_one_ends_well(tmp_path):
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", FILL, str(out), "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout.readline() == b"ready\n"
        for _ in range(2):
            with pytest.raises(LpwError, match="another process is writing"):
                fill(out, "mine")
        first.communicate(b"")
    assert first.returncode == 0
    assert (out / "content").read_text() == "two"
    fill(out, "mine")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_of_many_at_once_each_wins_or_is_refused(tmp_path):
    """However they meet, nothing but one whole folder is left."""
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", FILL, str(tmp_path / "out")], stderr=subprocess.PIPE
        )
        for _ in "abcd"
    ]
    errors = [job.communicate()[1].decode() for job in jobs]
    refused = [error for job, error in zip(jobs, errors, strict=True) if job.returncode]
    assert len(refused) < 4 and all("another process is writing" in error for error in refused)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["content", "mark"]


def test_a_dot_is_a_folder_like_any_other(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(LpwError, match="a folder with 1 entries"):
        (tmp_path / "here" / "mine").write_text("x")
        with publish_folder(tmp_path / "here" / "."):
            pass
    assert (tmp_path / "here" / "mine").read_text() == "x"
