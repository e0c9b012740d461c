"""`runs/latest`: which run is the newest."""

import os
from pathlib import Path

import pytest

from lpw_toolkit.errors import LpwError, MismatchError
from rqen.run.latest import find_latest, name_latest, runs_folder


def make_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    return folder


def test_the_run_that_was_named_last_whatever_the_times(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    one, two = make_run(runs / "one"), make_run(runs / "two")
    for run, other in ((one, two), (two, one)):
        name_latest(run, runs)
        os.utime(other, (4e9, 4e9))
        os.utime(other / "run.json", (4e9, 4e9))
        assert find_latest(runs) == run
        assert (runs / "latest").read_text() == f"{run.name}\n"


@pytest.mark.parametrize("name", ["a b", "line\nbreak", "größe", os.fsdecode(b"\xff"), "deep/er"])
def test_any_name_of_a_run(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "runs" / name)
    name_latest(run, tmp_path / "runs")
    assert find_latest(tmp_path / "runs") == run


def test_a_run_beside_the_folder_of_runs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "mine")
    name_latest(run, tmp_path / "runs")
    assert (tmp_path / "runs" / "latest").read_text() == "../mine\n"
    assert find_latest(tmp_path / "runs") == run


def test_a_run_elsewhere_is_named_but_not_opened(tmp_path: Path) -> None:
    there = make_run(tmp_path / "there" / "run")
    name_latest(there, tmp_path / "here" / "runs")
    assert not (tmp_path / "here").exists()
    name_latest(make_run(tmp_path / "here" / "runs" / "old"), tmp_path / "here" / "runs")
    name_latest(there, tmp_path / "here" / "runs")
    with pytest.raises(LpwError, match=r"'../../there/run'; expected a run in this folder"):
        find_latest(tmp_path / "here" / "runs")


@pytest.mark.parametrize("text", ["/etc", "..", "../", "", "\0", "../../x", "a\0b"])
def test_odd_names_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "here" / "runs").mkdir(parents=True)
    (tmp_path / "here" / "runs" / "latest").write_text(text)
    with pytest.raises(LpwError, match="name the folder of"):
        find_latest(tmp_path / "here" / "runs")


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LpwError, match=r"no runs/latest; .* `lpw train rqen`"):
        find_latest(tmp_path / "runs")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").write_text("gone\n")
    with pytest.raises(LpwError, match="'gone', which is not there"):
        find_latest(tmp_path / "runs")
    (tmp_path / "runs" / "latest").unlink()
    (tmp_path / "runs" / "latest").symlink_to("other")
    with pytest.raises(MismatchError, match="a link"):
        find_latest(tmp_path / "runs")


def test_a_dataset_gets_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path / "d")
    assert runs_folder() == Path("runs")
    (tmp_path / "d" / "dataset.json").write_text("{}")
    assert runs_folder() == tmp_path / "runs"
