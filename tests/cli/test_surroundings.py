"""Where lpw runs: users without a home, disks that are full or take no files, paths with ~, other
working folders."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from build_tools import street, undisturbed  # noqa: F401 (fixtures)
from moments import PATIENCE_S
from street import build_arguments, build_config, digest_tree, run_lpw
from tiny_training import SMALL, make_data

from lpw_toolkit.build.build import build_tracklets
from lpw_toolkit.check.check import check_dataset

# The id has no name, no home, and reads all files (the interpreter lies in root's home).
NOBODY = [
    "setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
]  # fmt: skip
NO_CACHE = "no cache: "


@pytest.fixture
def nobody_s() -> Iterator[Path]:
    """A folder of that user; the test is skipped where nobody may become one."""
    if shutil.which("setpriv") is None or subprocess.run([*NOBODY, "true"]).returncode != 0:
        pytest.skip("cannot run as another user here (needs root and setpriv)")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def run_as_nobody(folder: Path, *words: object, home: str | None) -> "CompletedProcess[str]":
    dropped = ("HOME", "LPW_CACHE", "LPW_CONFIG", "MPLCONFIGDIR", "XDG_CACHE_HOME")
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    env |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    env |= {} if home is None else {"HOME": home}
    command = [*NOBODY, sys.executable, *map(str, words)]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE_S
    )


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_a_user_without_a_home_builds_and_is_told_once(street, undisturbed, nobody_s, home):
    shutil.copytree(street, nobody_s / "street")
    words = build_arguments(Path("street"), Path("out"))
    options = [word for word in words if word != "--no-cache"]
    done = run_as_nobody(nobody_s, "-m", "lpw_cli", *options, home=home)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(NO_CACHE) == 1
    assert "set LPW_CACHE" in done.stderr
    assert digest_tree(nobody_s / "out") == undisturbed
    for words in (["info", "out"], ["check", "out"], ["clean", "out", "--status"]):
        done = run_as_nobody(nobody_s, "-m", "lpw_cli", *words, home=home)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


def test_pictures_and_a_reviewer_s_name_need_no_home(nobody_s):
    code = (
        "from lpw_toolkit.review_page.server import name_reviewer\n"
        "from rqen.quality_page.plotting import render\n"
        "print(name_reviewer(), len(render((1, 1), lambda figure: None)) > 100)"
    )
    done = run_as_nobody(nobody_s, "-c", code, home=None)
    assert done.stdout.split() == ["reviewer", "True"], done.stderr
    assert [line for line in done.stderr.splitlines() if NO_CACHE not in line] == []


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A small disk of its own, of 64 MB; the test is skipped where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("cannot mount a small disk here (needs root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


def one_line(done: "CompletedProcess[str]", said: str) -> None:
    """The command ended by one line of its own that says `said`."""
    assert done.returncode == 2, done.stderr
    assert said in done.stderr.splitlines()[-1], done.stderr
    assert "Traceback" not in done.stderr


def test_a_read_only_disk_is_read_and_writing_is_refused_before_the_work(street, disk, tmp_path):
    built = disk / "built"
    build_tracklets(build_config(street, built))
    before = digest_tree(disk)
    remount(disk, "ro")
    for words in (
        ["info", built], ["check", built], ["check", built, "--state", tmp_path / "state"],
        ["clean", built, "--status"], ["show", built, "--out", tmp_path / "show"],
    ):  # fmt: skip
        done = run_lpw(*words)
        assert done.returncode == 0, done.stderr
    for words in (
        ["clean", built, "--suggest"], ["clean", built, "--review", "--no-open"], ["pack", built],
        build_arguments(street, disk / "other"),
    ):  # fmt: skip
        done = run_lpw(*words)
        one_line(done, "read-only file system")
        assert "look:" not in done.stderr, "refused before the work"
    remount(disk, "rw")
    assert digest_tree(disk) == before


def fill(disk: Path, left: int) -> Path:
    """Fills the disk but for `left` bytes; the file that does."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - left)))
    return ballast


def test_a_full_disk_leaves_nothing_that_counts_as_complete(street, disk, tmp_path):
    built = tmp_path / "built"
    build_tracklets(build_config(street, built))
    copied = disk / "copied"
    shutil.copytree(built, copied)
    ballast = fill(disk, 20_000)
    pack = ["pack", copied]
    export = ["export", "coco", built, disk / "coco"]
    suggest = ["clean", copied, "--suggest"]
    for words in (pack, export, suggest, build_arguments(street, disk / "second")):
        done = run_lpw(*words)
        one_line(done, "no space left")
    assert not (copied / "images.pack").exists()
    assert not (disk / "second" / "dataset.json").exists()
    ballast.unlink()
    for words in (pack, export, suggest, build_arguments(street, disk / "second")):
        done = run_lpw(*words)
        assert done.returncode == 0, done.stderr
    assert check_dataset(copied).problems == []
    assert digest_tree(disk / "second") == digest_tree(built)


def test_a_training_on_a_full_disk_resumes(disk, tmp_path):
    data = make_data(tmp_path / "d")
    sets = [word for change in SMALL for word in ("--set", change)]
    words = ["train", "rqen", data, "--split", "none", "--workers", "0", *sets]
    ballast = fill(disk, 2_000_000)  # room for run.json, not for a checkpoint
    one_line(run_lpw(*words, "--out", disk / "run"), "no space left")
    assert not (disk / "run" / "model.safetensors").exists()
    ballast.unlink()
    done = run_lpw(*words, "--out", disk / "run", "--resume")
    assert done.returncode == 0, done.stderr
    done = run_lpw("train", *words[1:], "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    model = [run / "model.safetensors" for run in (disk / "run", tmp_path / "whole")]
    assert model[0].read_bytes() == model[1].read_bytes()


class TestPaths:
    def test_a_tilde_is_the_home_where_no_shell_replaced_it(self, street, tmp_path):
        home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
        home.mkdir()
        elsewhere.mkdir()
        (home / "street").symlink_to(street)
        words = build_arguments(Path("~/street"), Path("~/out"))
        env = {"HOME": str(home), "LPW_CONFIG": "~/configuration"}
        done = run_lpw(*words, env=env, cwd=elsewhere)
        assert done.returncode == 0, done.stderr
        assert (home / "out" / "dataset.json").is_file()
        assert (home / "configuration").is_dir()
        assert list(elsewhere.iterdir()) == []
        done = run_lpw("info", "--json", env={**env, "LPW_INFO_DATA": "~/out"}, cwd=elsewhere)
        assert json.loads(done.stdout)["name"] == "street", done.stderr

    def test_what_is_recorded_holds_in_another_working_folder(self, street, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "street").symlink_to(street)
        done = run_lpw(*build_arguments(Path("street"), Path("out")), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        words = ["relink", "../out", "--out", "linked", "--min-length", "6"]
        done = run_lpw(*words, cwd=tmp_path / "elsewhere")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "elsewhere" / "linked" / "dataset.json").is_file()

    def test_a_run_holds_in_another_working_folder(self, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        make_data(tmp_path / "d")
        sets = [word for change in SMALL for word in ("--set", change)]
        words = ["train", "rqen", "d", "--split", "none", "--workers", "0", "--out", "run", *sets]
        done = run_lpw(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        done = run_lpw("embed", "../run", "../d", "--out", "e.parquet", cwd=tmp_path / "elsewhere")
        assert done.returncode == 0, done.stderr
