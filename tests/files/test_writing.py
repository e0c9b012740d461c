"""The one way to write: whole old or whole new content whatever fails, and no litter after an
error."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from moments import PATIENCE_S

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import faults, writing
from lpw_toolkit.files.appending import append_line
from lpw_toolkit.files.writing import (
    TEMPORARY_SUFFIX,
    atomic_write,
    atomic_write_text,
    remove_file,
    write_file,
)

OLD, NEW = b"old" * 1000, b"new!" * 5000
ROOT = Path(__file__).resolve().parents[2]
CALLS = {
    "atomic_write": "writing.atomic_write(path, new)",
    "write_file": "writing.write_file(path, new)",
    "remove_file": "writing.remove_file(path)",
    "append_line": "appending.append_line(path, new)",
}


def run_child(path: Path, call: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs one call of `publish` on `path` in a process of its own; prints the errno of what it
    raised."""
    code = (
        "import sys; from pathlib import Path; from lpw_toolkit.files import appending, writing\n"
        f"path, new = Path(sys.argv[1]), {NEW[:4]!r} * 5000\n"
        f"try:\n    {CALLS[call]}\nexcept OSError as error:\n    print(error.errno)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def list_points(tmp_path: Path, call: str) -> list[str]:
    """The fault points that an undisturbed call passes, in order."""
    log, path = tmp_path / "log", tmp_path / "listed"
    path.write_bytes(OLD)
    log.unlink(missing_ok=True)
    assert run_child(path, call, LPW_FAULT_LOG=str(log)).returncode == 0
    return log.read_text().split()


def test_publish_passes_write_two_fsyncs_and_a_rename(tmp_path: Path) -> None:
    assert list_points(tmp_path, "atomic_write") == ["write", "fsync", "rename", "fsync"]
    assert list_points(tmp_path, "append_line") == ["write", "fsync"]
    assert list_points(tmp_path, "remove_file") == ["unlink"]
    assert list_points(tmp_path, "write_file") == ["write"]


@pytest.mark.parametrize("old", [OLD, None], ids=["over an old file", "a new file"])
def test_kill_at_every_point_leaves_old_or_new(tmp_path: Path, old: bytes | None) -> None:
    seen = set()
    for number in range(1, len(list_points(tmp_path, "atomic_write")) + 1):
        path = tmp_path / f"f{number}"
        if old is not None:
            path.write_bytes(old)
        assert (
            run_child(path, "atomic_write", LPW_FAULT=f"any:{number}").returncode == -signal.SIGKILL
        )
        content = path.read_bytes() if path.exists() else None
        assert content in (old, NEW)
        seen.add(content)
        assert (
            run_child(path, "atomic_write").returncode == 0
        )  # what is left behind does not stand in the way
        assert path.read_bytes() == NEW
        assert not path.with_name(path.name + TEMPORARY_SUFFIX).exists()
    assert seen == {old, NEW}


@pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EDQUOT"])
def test_an_error_at_every_point_is_raised_and_leaves_no_litter(
    tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = ["write", "fsync", "rename", "fsync"]
    for number in range(1, len(points) + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "f").write_bytes(OLD)
        faults._hits.clear()
        monkeypatch.setenv("LPW_FAULT", f"any:{number}:{code}")
        with pytest.raises(OSError, match=os.strerror(getattr(errno, code))):
            atomic_write(folder / "f", NEW)
        monkeypatch.delenv("LPW_FAULT")
        # Only the last point, the fsync of the folder, lies after the rename: then the new content
        # is there, whole.
        assert (folder / "f").read_bytes() == (NEW if number == len(points) else OLD)
        assert [entry.name for entry in folder.iterdir()] == ["f"]


def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(OLD)

    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(tmp_path / "f", NEW)
    assert (tmp_path / "f").read_bytes() == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_full_disk_in_the_middle_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`os.write` writes a part, then nothing more: a part must never be taken for the whole."""
    true_write, calls = os.write, []

    def write_some(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return true_write(descriptor, data[:1000])

    monkeypatch.setattr(os, "write", write_some)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(tmp_path / "f", NEW)
    assert calls == [20_000, 19_000, 18_000, 17_000]
    assert list(tmp_path.iterdir()) == []


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: true_write(descriptor, data[:777]))
    atomic_write(tmp_path / "f", NEW)
    assert (tmp_path / "f").read_bytes() == NEW


def test_write_file_removes_what_it_could_not_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_file(tmp_path / "f", NEW)
    assert list(tmp_path.iterdir()) == []


def test_content_permissions_and_text(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "ü 1", "äöü\n")
    assert (tmp_path / "ü 1").read_bytes() == "äöü\n".encode()
    write_file(tmp_path / "empty", b"")
    assert (tmp_path / "empty").read_bytes() == b""
    assert (tmp_path / "ü 1").stat().st_mode & 0o133 == 0


@pytest.mark.parametrize(
    "make", [lambda p: p.symlink_to("other"), os.mkfifo, Path.mkdir], ids=["link", "pipe", "folder"]
)
def test_what_is_no_regular_file_is_neither_replaced_nor_followed(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "other").write_bytes(OLD)
    make(tmp_path / "target")
    kind = (tmp_path / "target").lstat().st_mode
    with pytest.raises(FileExistsError):
        atomic_write(tmp_path / "target", NEW)
    assert (tmp_path / "other").read_bytes() == OLD
    assert (tmp_path / "target").lstat().st_mode == kind


def test_appending_joins_no_torn_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    append_line(file, b"one")
    append_line(file, b"two")
    assert file.read_bytes() == b"one\ntwo\n"
    file.write_bytes(b"one\ntw")
    append_line(file, b"three")
    assert file.read_bytes() == b"one\ntw\nthree\n"


def test_a_line_that_was_written_in_part_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: true_write(descriptor, data[:2]))
        with pytest.raises(OSError, match="No space left"):
            append_line(tmp_path / "log", b"three")
    append_line(tmp_path / "log", b"four")
    assert (tmp_path / "log").read_bytes() == b"th\nfour\n"


@pytest.mark.parametrize("number", [1, 2])
def test_kill_while_appending_keeps_every_earlier_line(tmp_path: Path, number: int) -> None:
    file = tmp_path / "log"
    append_line(file, b"earlier")
    assert run_child(file, "append_line", LPW_FAULT=f"any:{number}").returncode == -signal.SIGKILL
    assert file.read_bytes() in (b"earlier\n", b"earlier\n" + NEW + b"\n")


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    remove_file(tmp_path / "nothing")
    (tmp_path / "f").write_bytes(OLD)
    remove_file(tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    assert writing.make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LpwError, match="a folder that can be made") as caught:
        writing.make_folder(tmp_path / "file" / "b")
    assert "errno" not in str(caught.value).lower()


def test_without_the_variable_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LPW_FAULT", raising=False)
    monkeypatch.delenv("LPW_FAULT_LOG", raising=False)
    faults._hits.clear()
    faults.fault_point("write")
    assert faults._hits == {}
