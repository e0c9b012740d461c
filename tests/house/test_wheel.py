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
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "tests")
    )  # no stale build/
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(out),
        str(tree),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_packages_and_their_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "lpw_toolkit/build/build.py",
        "lpw_cli/main.py",
        "rqen/__init__.py",
        "lpw_manifests/table1.json",
    ):
        assert wanted in names
    assert any(
        name.startswith("lpw_toolkit/pages/static/") and name.endswith(".js") for name in names
    )
    assert not any(name.startswith(("tests/", "shared/")) for name in names)


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
    for arguments in (["demo", "--preset", "tiny"], ["check", "lpw-demo/dataset"]):
        done = subprocess.run(
            [tmp_path / "venv" / "bin" / "lpw", *arguments],
            cwd=work,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert (work / "lpw-demo" / "show" / "index.html").is_file()
