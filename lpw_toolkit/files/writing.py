"""Writes every file atomically: a fresh temporary file beside the target, fsync, rename, fsync of
the folder; no link is followed.

The folder is opened component by component and held open; everything happens within it. A temporary
file has a name that nobody can foresee, and must not exist.
"""

import errno
import fcntl
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lpw_toolkit.errors import OutputError
from lpw_toolkit.files.faults import fault_point
from lpw_toolkit.files.listing import list_names_in
from lpw_toolkit.files.opening import Folder, name_error, open_folder, open_parent

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_TRIES = 8
TEMPORARY_SUFFIX = ".tmp~"
_NO_WRITING = "choose another place, or copy the dataset to a disk that can be written"


def write_file(path: Path, data: bytes) -> None:
    """Makes `path` anew under its final name and without fsync: for files that a later marker will
    vouch for.

    What was there before is removed, not written over: it may be a link, or a second name of
    another file. A file that could not be written whole is removed. Errors: OSError.
    """
    with open_parent(path) as (folder, name):
        _write_new(folder, name, data)


def write_inside(folder: Folder, name: str, data: bytes) -> None:
    """`write_file` of the file `name` (POSIX, relative) in a folder that is held open: for many of
    them."""
    inner, _, last = name.rpartition("/")
    held = folder.hold(inner)  # a name of its own: another thread may let go of it meanwhile
    try:
        _write_new(held.descriptor, last, data)
    except OSError as error:
        raise name_error(error, folder.path / name) from error


def _write_new(folder: int, name: str, data: bytes) -> None:
    fault_point("write")
    descriptor = _create(folder, name)
    try:
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError:
        _unlink(folder, name)
        raise


def _create(folder: int, name: str) -> int:
    """A new file `name` in the folder that is held open. Errors: OSError."""
    for _ in range(_MAX_TRIES):
        try:
            return os.open(name, _NEW, 0o644, dir_fd=folder)
        except FileExistsError:
            _unlink(folder, name)
    raise OSError(errno.EEXIST, "a file that another process keeps making")


def _unlink(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _write_all(descriptor: int, data: Any) -> int:
    """Writes all of `data`; its length in bytes. Errors: OSError."""
    rest = memoryview(data).cast("B")
    n_bytes = len(rest)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    return n_bytes


def sync_all() -> None:
    """Makes every file written so far durable with one call: cheaper than an fsync for each of
    thousands of crops."""
    fault_point("fsync")
    os.sync()


def sync_path(path: Path) -> None:
    """Makes the content of a file, or the names in a folder, durable. A failed fsync is an error,
    never retried."""
    fault_point("fsync")
    with open_parent(path) as (folder, name):
        descriptor = os.open(
            name or ".", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_folder(folder: int) -> None:
    """Makes the names in a folder that is held open durable. Errors: OSError."""
    fault_point("fsync")
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def atomic_write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Makes `path` hold `data`, whole and durable, or leaves what was there.

    Args:
        mode: rights of the file, before the umask.

    Errors: OSError (disk full, read-only, …) after the temporary file is gone again.
    """
    with _publish(path, alone=False, mode=mode) as descriptor:
        fault_point("write")
        _write_all(descriptor, data)


@contextmanager
def _publish(path: Path, *, alone: bool, mode: int = 0o644) -> Iterator[int]:
    """Yields the descriptor of a fresh temporary file; it becomes `path` when the block ends well.

    Args:
        alone: whether another process that is writing `path` is an error; otherwise the last one
            wins.
    """
    with open_parent(path) as (folder, name):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
                raise FileExistsError(
                    errno.EEXIST, "a link, folder or device that would be replaced"
                )
        _remove_left_over(folder, name, alone=alone)
        temporary = f"{name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        descriptor = os.open(temporary, _NEW, mode, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield descriptor
            fault_point("fsync")
            os.fsync(descriptor)
            fault_point("rename")
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            sync_folder(folder)
        except BaseException:  # Ctrl-C leaves no litter either
            fault_point("unlink")
            _unlink(folder, temporary)
            raise
        finally:
            os.close(descriptor)  # ends the lock: last


def _remove_left_over(folder: int, name: str, *, alone: bool) -> None:
    """Removes temporary files of `name` that killed processes left. Errors: EBUSY where `alone` and
    one is in use."""
    pattern = re.compile(re.escape(name) + r"(\.[0-9a-f]{16})?" + re.escape(TEMPORARY_SUFFIX))
    for entry in list_names_in(folder):
        if pattern.fullmatch(entry):
            if _is_held(folder, entry):
                if alone:
                    raise OSError(errno.EBUSY, "another process is writing it")
            else:
                _unlink(folder, entry)


def _is_held(folder: int, name: str) -> bool:
    """Whether another process holds the lock of a temporary file."""
    try:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
    except OSError:
        return False  # a link, or gone
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class Stream(io.RawIOBase):
    """A file in the making: what is written is appended, whole, or an OSError is raised."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._n_bytes = 0

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any) -> int:
        """Appends `data`; its length in bytes."""
        fault_point("write")
        n_bytes = _write_all(self._descriptor, data)
        self._n_bytes += n_bytes
        return n_bytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._n_bytes


@contextmanager
def atomic_write_stream(path: Path) -> Iterator[Stream]:
    """Yields a file to append to, for what is too large for memory; it becomes `path` when the
    block ends well.

    Errors: OSError as `atomic_write`, and where another process is writing `path`.
    """
    with _publish(path, alone=True) as descriptor:
        fault_point("write")
        yield Stream(descriptor)


def atomic_write_text(path: Path, text: str) -> None:
    """`atomic_write` of UTF-8 text."""
    atomic_write(path, text.encode("utf-8"))


def remove_file(path: Path) -> None:
    """Removes `path` if it is there; of a link, the link."""
    fault_point("unlink")
    with suppress(FileNotFoundError), open_parent(path) as (folder, name):
        os.unlink(name, dir_fd=folder)


def remove_folder(path: Path) -> None:
    """Removes the folder `path` with all that lies in it, if it is there; of a link, the link.
    Errors: OSError."""
    fault_point("unlink")
    with suppress(FileNotFoundError), open_parent(path) as (folder, name):
        if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def make_folder(path: Path) -> Path:
    """Makes `path` with its parents. Errors: OutputError where it cannot be made, among others for
    a link on the way."""
    try:
        fault_point("mkdir")
        os.close(open_folder(path, make=True))
    except OSError as error:
        do = "choose another place"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            do = "free some space, then run the same command again"
        elif error.errno == errno.EROFS:
            do = _NO_WRITING
        raise OutputError(
            path, describe_os_error(error), "a folder that can be made", do
        ) from error
    return path


def refuse_unwritable(path: Path) -> None:
    """Refuses, before work that takes long, a place where nothing can be written after it.

    Errors: OutputError for a file or folder that is there or to be made on a read-only disk, or
    without the right to write.
    """
    place = path.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if place != path.absolute() and not place.is_dir():
        raise OutputError(path, f"{place.name}, which is no folder", "a folder", "name another")
    folder = place if place.is_dir() else place.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        is_locked = os.statvfs(folder).f_flag & os.ST_RDONLY
        got = "read-only file system" if is_locked else "permission denied"
        raise OutputError(path, got, "a place that can be written", _NO_WRITING)


def make_new_folder(path: Path) -> None:
    """Makes `path`, whose parent is there. Errors: FileExistsError, OSError."""
    with open_parent(path) as (folder, name):
        os.mkdir(name, dir_fd=folder)


def remove_empty_folder(path: Path) -> None:
    """Removes the empty folder `path`. Errors: OSError."""
    with open_parent(path) as (folder, name):
        os.rmdir(name, dir_fd=folder)


def rename_folder(old: Path, new: Path) -> None:
    """Gives the folder `old` the name `new`, which is free or an empty folder. Errors: OSError."""
    fault_point("rename")
    with open_parent(old) as (source, before), open_parent(new) as (target, after):
        os.rename(before, after, src_dir_fd=source, dst_dir_fd=target)


def describe_os_error(error: OSError) -> str:
    """What the system said, in a few words and without the errno number."""
    said = error.strerror or str(error)
    return said[:1].lower() + said[1:]
