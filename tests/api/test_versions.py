"""New versions of a dataset from Python: paths are taken as everywhere else."""

from pathlib import Path

import pytest
from make_reid import make_reid

import lpw_toolkit


def test_a_leading_tilde_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    make_reid(home / "one", split=False)
    make_reid(home / "two", split=False, seed=1)
    (home / "persons.csv").write_text("dataset,person,new\nlittle,scen1/1,anna\n")
    (home / "sides.txt").write_text("scen2/1 train\nscen2/2 train\nscen1/1 test\nscen1/2 test\n")
    lpw_toolkit.filter_dataset("~/one", "~/kept", min_length=1)
    lpw_toolkit.rename_dataset("~/one", "~/named", scenes={"scen1": "market"})
    lpw_toolkit.merge_datasets(["~/one", "~/two"], "~/both", persons="~/persons.csv")
    lpw_toolkit.split("~/one", "~/divided", by="list", persons="~/sides.txt")
    for name in ("kept", "named", "both", "divided"):
        assert (home / name / "dataset.json").is_file()
    assert not (tmp_path / "~").exists()
