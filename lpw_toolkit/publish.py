"""The one way to write: temporary file beside the target, fsync, rename, fsync of the folder.

Every write, fsync, rename and unlink passes `fault_point`, so that a test can count them and break each one
(`LPW_FAULT=point:n` or `LPW_FAULT=point:n:ENOSPC`); without that variable the call costs one dictionary look-up.
"""

import errno
import fcntl
import io
import os
import signal
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lpw_toolkit.errors import LpwError

TEMPORARY_SUFFIX = ".tmp~"
_hits: Counter[str] = Counter()
_hits_lock = threading.Lock()


def fault_point(point: str) -> None:
    """Counts one passage of `point`; under `LPW_FAULT` the n-th passage kills the process or raises that errno.

    `any` as the point counts all points together. With `LPW_FAULT_LOG=file` each passage is appended there.
    """
    fault = os.environ.get("LPW_FAULT")
    log = os.environ.get("LPW_FAULT_LOG")
    if not fault and not log:
        return
    with _hits_lock:
        _hits[point] += 1
        _hits["any"] += 1
        hits = dict(_hits)
    if log:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(descriptor, f"{point}\n".encode())
        os.close(descriptor)
    if fault:
        name, count, *code = fault.split(":")
        if name in (point, "any") and hits[name] == int(count):
            if not code:
                os.kill(os.getpid(), signal.SIGKILL)
            number = getattr(errno, code[0])
            raise OSError(number, os.strerror(number))


def write_file(path: Path, data: bytes) -> None:
    """Writes `data` to `path` under its final name and without fsync: for files that a later marker will vouch for.

    A file that could not be written whole is removed. Errors: OSError.
    """
    fault_point("write")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def append_line(path: Path, line: bytes) -> None:
    """Adds `line` and a line break to `path` with one write, durably; two processes never tear each other's lines.

    A line that was cut by an earlier fault stays alone on its line: readers skip what they cannot parse.
    Errors: OSError.
    """
    fault_point("write")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
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


class Appender:
    """A file that grows by whole, durable lines, held by one process: for what must never be lost once acknowledged.

    Args:
        path: made when it is not there.

    Errors: OSError; EBUSY where another process holds the file, EINVAL for a link or anything that is no plain file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        fault_point("write")
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._descriptor = os.open(path, flags, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise OSError(errno.EINVAL, "no plain file", str(path))
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.n_bytes = os.fstat(self._descriptor).st_size
            sync_path(path.parent)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise OSError(errno.EBUSY, "another process is writing it", str(path)) from error
        except BaseException:
            os.close(self._descriptor)
            raise

    def read(self) -> bytes:
        """All that the file holds. Errors: OSError."""
        data = b""
        while part := os.pread(self._descriptor, 1 << 26, len(data)):
            data += part
        return data

    def append(self, data: bytes) -> None:
        """Adds `data` with one write and makes it durable.

        Where that fails nothing of it stays, and OSError is raised; ESTALE where others have changed the file.
        """
        self._refuse_changed()
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

    def _refuse_changed(self) -> None:
        found = self.path.stat()
        own = os.fstat(self._descriptor)
        if not os.path.samestat(found, own) or own.st_size != self.n_bytes:
            raise OSError(errno.ESTALE, "a file that something else has changed meanwhile", str(self.path))


def sync_all() -> None:
    """Makes every file written so far durable with one call: cheaper than an fsync for each of thousands of crops."""
    fault_point("fsync")
    os.sync()


def sync_path(path: Path) -> None:
    """Makes the content of a file, or the names in a folder, durable. A failed fsync is an error, never retried."""
    fault_point("fsync")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_into_place(temporary: Path, path: Path) -> None:
    """Second half of a publication: `temporary` is complete; make it durable and give it its name."""
    sync_path(temporary)
    fault_point("rename")
    temporary.replace(path)
    sync_path(path.parent)


def publish_bytes(path: Path, data: bytes) -> None:
    """Makes `path` hold `data`, whole and durable, or leaves what was there.

    Errors: OSError (disk full, read-only, …) after the temporary file is gone again.
    """
    temporary = _temporary_of(path)
    try:
        write_file(temporary, data)
        rename_into_place(temporary, path)
    except BaseException:  # Ctrl-C leaves no litter either
        remove_file(temporary)
        raise


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
        rest = memoryview(data).cast("B")
        n_bytes = len(rest)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._n_bytes += n_bytes
        return n_bytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._n_bytes


@contextmanager
def publish_stream(path: Path) -> Iterator[Stream]:
    """Yields a file to append to, for what is too large for memory; it becomes `path` when the block ends well.

    Errors: OSError as `publish_bytes`, and where another process is writing `path`.
    """
    temporary = _temporary_of(path)
    descriptor = _open_alone(temporary)
    try:
        yield Stream(descriptor)
        rename_into_place(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise
    finally:
        os.close(descriptor)  # ends the lock: last


def _temporary_of(path: Path) -> Path:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise FileExistsError(errno.EEXIST, "a link, folder or device that would be replaced", str(path))
    return path.with_name(path.name + TEMPORARY_SUFFIX)


def _open_alone(temporary: Path) -> int:
    """An empty `temporary` that no other process writes to; what a killed one left there is thrown away."""
    fault_point("write")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not temporary.exists() or not os.path.samestat(os.fstat(descriptor), temporary.stat()):
            raise BlockingIOError  # its writer has just given it its name
        os.ftruncate(descriptor, 0)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise OSError(errno.EBUSY, "another process is writing it", str(temporary)) from error
        raise
    return descriptor


def publish_text(path: Path, text: str) -> None:
    """`publish_bytes` of UTF-8 text."""
    publish_bytes(path, text.encode("utf-8"))


def remove_file(path: Path) -> None:
    """Removes `path` if it is there."""
    fault_point("unlink")
    path.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Makes `path` with its parents. Errors: LpwError where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LpwError(path, describe_os_error(error), "a folder that can be made", "choose another place") from error
    return path


def describe_os_error(error: OSError) -> str:
    """What the system said, in a few words and without the errno number."""
    return (error.strerror or str(error)).lower()
