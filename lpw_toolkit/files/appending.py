"""Append-only files of whole, durable lines: an acknowledged line is never lost or overwritten."""

import errno
import fcntl
import os
import stat
from pathlib import Path

from lpw_toolkit.files.faults import fault_point
from lpw_toolkit.files.limits import LargeFileError, limit
from lpw_toolkit.files.opening import name_error, open_folder, open_parent, refuse_link
from lpw_toolkit.files.writing import sync_folder

_GROW = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def append_line(path: Path, line: bytes) -> None:
    """Adds `line` and a line break to `path` with one write, durably; two processes never tear each
    other's lines.

    A line that was cut by an earlier fault stays alone on its line: readers skip what they cannot
    parse.
    Errors: OSError as `Appender`.
    """
    fault_point("write")
    with open_parent(path) as (folder, name):
        descriptor = _open_growing(folder, name)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            data = (b"\n" if torn else b"") + line + b"\n"
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fault_point("fsync")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_lock(path: Path) -> int:
    """A descriptor of the file `path`, made when it is not there, to hold a lock by. Errors:
    OSError as `Appender`."""
    with open_parent(path) as (folder, name):
        return _open_growing(folder, name)


def _open_growing(folder: int, name: str) -> int:
    """A descriptor that appends to `name`, made when it is not there. Errors: OSError for anything
    but a plain file."""
    try:
        descriptor = os.open(name, _GROW, 0o644, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise refuse_link() from error
        raise
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    what = (
        "a file that has a second name (hard link)"
        if stat.S_ISREG(status.st_mode)
        else "no regular file"
    )
    raise OSError(errno.EINVAL, what)


class Appender:
    """A file that grows by whole, durable lines, held by one process: for what must never be lost
    once acknowledged.

    Args:
        path: made when it is not there.

    Errors: OSError; EBUSY where another process holds the file, ELOOP for a link, EINVAL for what
    is no plain file or has a second name elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        fault_point("write")
        self._folder = open_folder(path.parent)
        try:
            self._descriptor = _open_growing(self._folder, path.name)
        except OSError as error:
            os.close(self._folder)
            raise name_error(error, path) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.n_bytes = os.fstat(self._descriptor).st_size
            sync_folder(self._folder)
        except BlockingIOError as error:
            self.close()
            raise OSError(errno.EBUSY, "another process is writing it", str(path)) from error
        except BaseException:
            self.close()
            raise

    def read(self) -> bytes:
        """All that the file holds. Errors: OSError; EFBIG where it is larger than a log may be."""
        size = os.fstat(self._descriptor).st_size
        if size > limit("log_bytes"):
            raise LargeFileError("log_bytes", size, str(self.path))
        data = b""
        while part := os.pread(self._descriptor, 1 << 26, len(data)):
            data += part
        return data

    def append(self, data: bytes) -> None:
        """Adds `data` with one write and makes it durable.

        Where that fails nothing of it stays, and OSError is raised; ESTALE where others have
        changed the file.
        """
        found = os.lstat(self.path.name, dir_fd=self._folder)
        own = os.fstat(self._descriptor)
        if not os.path.samestat(found, own) or own.st_size != self.n_bytes:
            raise OSError(
                errno.ESTALE, "a file that something else has changed meanwhile", str(self.path)
            )
        size = self.n_bytes
        self.n_bytes = -1  # until the fsync has ended well nobody knows what the disk holds
        try:
            fault_point("write")
            if os.write(self._descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            fault_point("fsync")
            os.fsync(self._descriptor)
        except OSError:
            self.cut(size)
            raise
        self.n_bytes = size + len(data)

    def cut(self, n_bytes: int) -> None:
        """Keeps the first `n_bytes` only, durably. Errors: OSError."""
        fault_point("truncate")
        os.ftruncate(self._descriptor, n_bytes)
        fault_point("fsync")
        os.fsync(self._descriptor)
        self.n_bytes = n_bytes

    def close(self) -> None:
        """Lets another process write."""
        os.close(self._descriptor)
        os.close(self._folder)
