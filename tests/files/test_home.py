"""The user's folders: home, cache, configuration; missing, read-only, and named with ~."""

import os
from pathlib import Path

import pytest

from lpw_toolkit import progress
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import home


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_said", set())
    monkeypatch.delenv("LPW_CACHE", raising=False)


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)

    def unknown(_: int) -> None:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_the_cache_is_below_the_home_or_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home.cache_folder() == tmp_path / ".cache" / "lpw"
    monkeypatch.setenv("LPW_CACHE", "~/elsewhere")
    assert home.cache_folder() == tmp_path / "elsewhere"
    monkeypatch.setenv("LPW_CONFIG", "~/settings")
    assert home.config_folder() == tmp_path / "settings"


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_has_no_cache_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LPW_CONFIG", raising=False)
    assert home.cache_folder() is None
    assert home.cache_folder() is None
    assert home.config_folder() is None
    assert capsys.readouterr().err == (
        "no cache: no home folder; set LPW_CACHE to a folder that takes files, and repeated work "
        "is saved\n"
    )


def test_a_cache_that_takes_no_files_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.note_no_cache(tmp_path, OSError(30, "Read-only file system"))
    home.note_no_cache(tmp_path / "x", LpwError("x", "permission denied", "a folder", "do"))
    assert capsys.readouterr().err.startswith(f"no cache: {tmp_path}: read-only file system; set ")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("~/a", "{home}/a"), ("~", "{home}"), ("~/~", "{home}/~"), ("a/~", "a/~"), ("", "."),
     ("~1.mp4", "~1.mp4"), ("/~", "/~")],
)  # fmt: skip
def test_a_home_is_put_in_for_a_leading_tilde(
    given: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home.expand_home(Path(given)) == Path(meant.format(home=tmp_path))


@pytest.mark.usefixtures("homeless")
def test_a_tilde_of_a_user_without_a_home_is_refused() -> None:
    with pytest.raises(LpwError, match=r"~ of a user without a home folder.*set HOME"):
        home.expand_home(Path("~/film"))


@pytest.mark.usefixtures("homeless")
def test_a_library_gets_a_folder_that_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    home.settle_library("MPLCONFIGDIR", "matplotlib")
    folder = Path(os.environ["MPLCONFIGDIR"])
    assert folder.is_dir()
    assert os.access(folder, os.W_OK)
    monkeypatch.setenv("LPW_CACHE", str(tmp_path))
    home.settle_library("MPLCONFIGDIR", "matplotlib")
    assert Path(os.environ["MPLCONFIGDIR"]) == folder, "what is set stays"
    monkeypatch.delenv("MPLCONFIGDIR")
    home.settle_library("MPLCONFIGDIR", "matplotlib")
    assert Path(os.environ["MPLCONFIGDIR"]) == tmp_path / "matplotlib"


def test_a_library_keeps_its_own_folder_in_a_home_that_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    home.settle_library("MPLCONFIGDIR", "matplotlib")
    assert "MPLCONFIGDIR" not in os.environ
