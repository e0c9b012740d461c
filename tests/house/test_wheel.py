"""A wheel built from the tree works from another folder, without the tree."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out, tree = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("tree") / "project"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, tree)
    for name in ("lpw_toolkit", "rqen", "cli", "manifests", "docs", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    # both: the wheel is made from the source distribution, as a user's may be
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list(out.glob("*.tar.gz"))) == 1
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_packages_and_their_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = {"lpw_toolkit", "rqen", "lpw_cli", "lpw_manifests"}
    tops = {name.split("/")[0] for name in names}
    assert tops == packages | {wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}
    assert {f"{name}/py.typed" for name in packages - {"lpw_manifests"}} <= names
    folders = {name: ROOT / name for name in ("lpw_toolkit", "rqen")}
    folders |= {"lpw_cli": ROOT / "cli/lpw_cli", "lpw_manifests": ROOT / "manifests/lpw_manifests"}
    for package, folder in folders.items():
        files = (file for file in folder.rglob("*") if file.is_file())
        wanted = {f"{package}/{file.relative_to(folder)}" for file in files}
        assert {name for name in wanted - names if "__pycache__" not in name} == set()


def test_the_demo_and_check_run_from_an_installed_wheel(wheel, tmp_path):
    """In an environment that has the packages of this one but not this tree."""
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--no-deps", "--quiet", str(wheel)],
        check=True,
        capture_output=True,
    )
    site = next((tmp_path / "venv").rglob("site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(here) + "\n")
    work = tmp_path / "elsewhere"
    work.mkdir()
    where = subprocess.run(
        [python, "-c", ("import lpw_cli, lpw_toolkit; print(lpw_cli.__file__, "
                       "lpw_toolkit.__file__)")],
        cwd=work, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(ROOT) not in where and str(site) in where
    helped = subprocess.run(
        [python, "-m", "lpw_cli", "--help"], cwd=work, capture_output=True, text=True, check=True
    )
    assert "build-tracklets" in helped.stdout
    for arguments in (["demo", "--preset", "tiny"], ["check", "lpw-demo/dataset"]):
        done = subprocess.run(
            [tmp_path / "venv" / "bin" / "lpw", *arguments],
            cwd=work,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert (work / "lpw-demo" / "show" / "index.html").is_file()
