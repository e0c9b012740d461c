"""A build that is killed, stopped, or runs out of disk: nothing is lost, and the end is the same to
the byte."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from subprocess import PIPE

import pytest
from build_tools import street, undisturbed  # noqa: F401 (fixtures)
from moments import PATIENCE_S, kill_after, resume_with, start_and_stop
from street import build_arguments, build_config, digest_tree, run_lpw

from lpw_toolkit.build import assembly, build, crop_stage
from lpw_toolkit.build.build import build_tracklets
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.errors import LpwError


@pytest.fixture(scope="module")
def hooks(street, tmp_path_factory) -> list[str]:
    """The name of every write, fsync, rename and unlink of a whole build, in order."""
    folder = tmp_path_factory.mktemp("hooks")
    log = folder / "log"
    done = run_lpw(*build_arguments(street, folder / "out"), env={"LPW_FAULT_LOG": str(log)})
    assert done.returncode == 0, done.stderr
    return log.read_text().split()


def check_resumes(street: Path, out: Path, undisturbed: dict[str, str]) -> None:
    """Runs the same command again: it must end as if nothing had happened."""
    done = run_lpw(*build_arguments(street, out))
    assert done.returncode == 0, done.stderr
    assert digest_tree(out) == undisturbed
    assert check_dataset(out).problems == []


def test_the_hooks_cover_the_build(hooks):
    assert {"write", "fsync", "rename", "unlink"} <= set(hooks)
    assert len(hooks) > 100


@pytest.mark.parametrize("k", range(20))
def test_kill_9_at_a_random_hook(k, street, undisturbed, hooks, tmp_path):
    n = random.Random(k).randrange(1, len(hooks) + 1)
    out = tmp_path / "out"
    done = run_lpw(*build_arguments(street, out), env={"LPW_FAULT": f"any:{n}"})
    assert done.returncode == -signal.SIGKILL
    if (out / "dataset.json").exists():
        open_dataset(out)
    else:
        with pytest.raises(LpwError, match="run the same build command again"):
            open_dataset(out)
    check_resumes(street, out, undisturbed)


@pytest.mark.parametrize("k", range(4))
def test_kill_9_between_hooks(k, street, undisturbed, hooks, tmp_path):
    out = tmp_path / "out"
    n = random.Random(k).randrange(1, len(hooks))
    kill_after(build_command(street, out), n, tmp_path / "fifo", stdout=PIPE, stderr=PIPE)
    check_resumes(street, out, undisturbed)


def build_command(street: Path, out: Path) -> list[object]:
    return [sys.executable, "-m", "lpw_cli", *build_arguments(street, out)]


@pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EDQUOT"])
@pytest.mark.parametrize("point", ["write:7", "write:60", "fsync:9", "rename:2", "rename:8"])
def test_a_system_that_refuses_is_one_line_and_the_run_goes_on_later(
    point, code, street, undisturbed, tmp_path
):
    out = tmp_path / "out"
    done = run_lpw(*build_arguments(street, out), env={"LPW_FAULT": f"{point}:{code}"})
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "run the same command again" in done.stderr
    assert (code == "EIO") or "free some space" in done.stderr
    assert not (out / "dataset.json").exists()
    check_resumes(street, out, undisturbed)


def test_a_disk_that_is_really_full(street, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("cannot mount a small disk here (needs root)")
    try:
        done = run_lpw(*build_arguments(street, small / "out"))
        assert done.returncode == 2
        assert "no space left" in done.stderr and "Traceback" not in done.stderr
        assert not (small / "out" / "dataset.json").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert run_lpw(*build_arguments(street, small / "out")).returncode == 0
        assert check_dataset(small / "out").problems == []
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.parametrize("point", ["mkdir:1", "mkdir:3", "mkdir:6", "mkdir:12"])
def test_a_disk_without_room_for_a_folder_is_no_fault_of_a_video(
    point, street, undisturbed, tmp_path
):
    out = tmp_path / "out"
    done = run_lpw(*build_arguments(street, out), env={"LPW_FAULT": f"{point}:ENOSPC"})
    assert done.returncode == 2, done.stderr
    assert "no space left" in done.stderr and "free some space" in done.stderr
    assert not (out / "dataset.json").exists()
    check_resumes(street, out, undisturbed)


def test_crops_that_fail_end_the_build_before_the_next_video_is_detected(
    street, tmp_path, monkeypatch
):
    failed, detected = threading.Event(), []
    write, detect = assembly.DatasetBuilder._write, build.detect_video

    def spoil(*_):
        raise ZeroDivisionError("a bug of ours")

    def write_and_say(self, writer):
        try:
            return write(self, writer)
        finally:
            failed.set()

    def detect_after(source, *rest):
        if detected:
            assert failed.wait(PATIENCE_S)
        detected.append(source.video_id)
        return detect(source, *rest)

    monkeypatch.setattr(crop_stage.CropWriter, "write_crop", spoil)
    monkeypatch.setattr(assembly.DatasetBuilder, "_write", write_and_say)
    monkeypatch.setattr(build, "detect_video", detect_after)
    with pytest.raises(ZeroDivisionError):
        build_tracklets(build_config(street, tmp_path / "out"))
    assert len(detected) == 2, "the second video shows the failure, the others are not begun"
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(street, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = run_lpw(*build_arguments(street, tmp_path / "locked" / "out"))
    assert done.returncode == 2 and "permission denied" in done.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_cleanly_and_says_how_to_go_on(
    number, code, street, undisturbed, hooks, tmp_path
):
    out = tmp_path / "out"
    command, middle = build_command(street, out), f"any:{len(hooks) // 2}"
    process = start_and_stop(command, middle, stdout=PIPE, stderr=PIPE)
    _, stderr = resume_with(process, number)
    assert process.returncode == code, stderr
    assert not (out / "dataset.json").exists()
    assert "run the same command again" in stderr and "Traceback" not in stderr
    check_resumes(street, out, undisturbed)


def test_finished_segments_are_not_done_again(street, undisturbed, hooks, tmp_path):
    """A run killed when it publishes dataset.json leaves the next one only the closing to do."""
    out, log = tmp_path / "out", tmp_path / "log"
    # the last is of local.json
    *_, closing, _ = (number for number, hook in enumerate(hooks, 1) if hook == "rename")
    run_lpw(*build_arguments(street, out), env={"LPW_FAULT": f"any:{closing}"})
    again = run_lpw(*build_arguments(street, out), env={"LPW_FAULT_LOG": str(log)})
    assert again.returncode == 0
    assert len(log.read_text().split()) < 0.4 * len(hooks)
    assert digest_tree(out) == undisturbed


def test_an_unfinished_build_with_other_settings_is_not_mixed_in(street, undisturbed, tmp_path):
    out = tmp_path / "out"
    run_lpw(*build_arguments(street, out), "--iou", "0.5", env={"LPW_FAULT": "any:90"})
    refused = run_lpw(*build_arguments(street, out))
    assert refused.returncode == 2 and "--restart" in refused.stderr
    assert run_lpw(*build_arguments(street, out), "--restart").returncode == 0
    assert digest_tree(out) == undisturbed


def test_a_closed_pipe_is_no_traceback(street, tmp_path):
    build_tracklets(build_config(street, tmp_path / "out"))
    command = f"{sys.executable} -m lpw_cli info {tmp_path / 'out'} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
