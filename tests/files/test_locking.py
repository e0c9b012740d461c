"""A folder is held by one process at a time; that it ends with the process is tested where weights
are fetched."""

from pathlib import Path
from threading import Event, Thread

import pytest

from lpw_toolkit.files.locking import lock_folder


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []
    waits = Event()

    def take() -> None:
        with lock_folder(tmp_path, waits.set):
            order.append("second")

    with lock_folder(tmp_path, lambda: order.append("the first waited")):
        second = Thread(target=take)
        second.start()
        assert waits.wait(60)
        order.append("first")
    second.join(60)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_gives_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("lpw_toolkit.files.locking.fcntl.flock", fail)
    entered = False
    with lock_folder(tmp_path, lambda: None):
        entered = True
    assert entered


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), lock_folder(tmp_path / "none", lambda: None):
        pass
