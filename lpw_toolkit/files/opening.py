"""Opens every file for reading: component by component, without following links, bounded in size.

Whoever names a folder or a file may name a link: `follow_links`, called once where the name comes
from the user, says what it means. From there on no component of any path may be a link, so a
stranger's folder leads nowhere outside:

    user's words --follow_links--> path without links
    path without links --open_file, open_folder--> descriptor --> bytes (the path is used once)
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path, PurePosixPath
from typing import Any

from lpw_toolkit.files.limits import LargeFileError, limit

#: Opens a folder only to look names up in it: that needs no right to list it.
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO is not waited for
_BLOCK_BYTES = 1 << 30  # Linux reads at most 2 GiB at once


def follow_links(path: Path) -> Path:
    """`path` as the user named it, with the links on its way followed: for names that come from the
    user only.

    A path without links is returned as it is, so that messages show what was typed.
    """
    real = os.path.realpath(path)
    absolute = os.path.abspath(path)  # noqa: PTH100 (Path.absolute keeps `..`)
    return path if real == absolute else Path(real)


def open_folder(path: Path, *, make: bool = False) -> int:
    """A descriptor of the folder `path`, for names to be looked up in it (`dir_fd`).

    Args:
        make: makes what is missing of it.

    Errors: OSError that names `path`; ELOOP where one of its components is a link.
    """
    absolute = path.is_absolute()
    descriptor = os.open("/" if absolute else ".", _SEARCH)
    try:
        for part in path.parts[absolute:]:
            deeper = _enter(descriptor, part, make=make)
            os.close(descriptor)
            descriptor = deeper
    except OSError as error:
        os.close(descriptor)
        raise name_error(error, path) from error
    return descriptor


def _enter(folder: int, name: str, *, make: bool) -> int:
    while True:
        try:
            return os.open(name, _SEARCH, dir_fd=folder)
        except NotADirectoryError as error:
            if stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
                raise refuse_link() from error
            raise
        except FileNotFoundError:
            if not make:
                raise
        try:
            os.mkdir(name, dir_fd=folder)
        except FileExistsError:
            # another process was quicker; or a link that leads nowhere, which the next turn refuses
            continue


def open_inner(folder: int, inner: str) -> int:
    """A descriptor, for listing too, of the folder `inner` (POSIX, `` is itself) of one held open.
    Errors: OSError."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    for part in PurePosixPath(inner).parts:
        try:
            deeper = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor
            )
        finally:
            os.close(descriptor)
        descriptor = deeper
    return descriptor


def refuse_link() -> OSError:
    """The error for a link inside a folder."""
    return OSError(errno.ELOOP, "a link, which is not followed")


def name_error(error: OSError, path: Path) -> OSError:
    """`error` with the whole of `path` as its file name, where it knows the last component only."""
    if isinstance(error, LargeFileError):
        return LargeFileError(error.name, error.n_bytes, str(path))
    return OSError(error.errno, error.strerror, str(path)) if error.errno else error


@contextmanager
def open_parent(path: Path) -> Iterator[tuple[int, str]]:
    """The folder that `path` lies in, held open, and the last component of `path`; errors of the
    block name `path`."""
    folder = open_folder(path.parent)
    try:
        yield folder, path.name or "."  # the folder itself
    except OSError as error:
        if error.filename is not None and os.sep in os.fspath(error.filename):
            raise
        raise name_error(error, path) from error
    finally:
        os.close(folder)


class Folder:
    """A folder held open: files in it are opened from there, whatever its path comes to mean
    meanwhile.

    Can be handed to other processes and used by several threads. The inner folders that were used
    last stay open too, since images lie in the order of the index.

    Args:
        path: the folder, without links.

    Errors: OSError as `open_folder`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inner: tuple[str, list[str], list[Held]] = ("", [], [Held(open_folder(path))])

    def open_file(self, name: str, bound: str | None = None) -> int:
        """A descriptor of the regular file `name` (POSIX, relative). Errors: OSError as
        `open_file`."""
        folder, _, last = name.rpartition("/")
        try:
            held = self.hold(folder)  # a name of its own: another thread may let go of it meanwhile
            return _open_regular(last, held.descriptor, bound)
        except OSError as error:
            raise name_error(error, self.path / name) from error

    def read(self, name: str, bound: str) -> bytes:
        """The bytes of the file `name`. Errors: OSError as `read_bytes`."""
        descriptor = self.open_file(name, bound)
        try:
            return read_descriptor(descriptor, limit(bound))
        except OSError as error:
            raise name_error(error, self.path / name) from error
        finally:
            os.close(descriptor)

    def stat(self, name: str) -> os.stat_result:
        """What `name` is; of a link, the link itself. Errors: OSError."""
        folder, _, last = name.rpartition("/")
        held = self.hold(folder)
        return os.lstat(last, dir_fd=held.descriptor)

    def hold(self, folder: str) -> "Held":
        """The inner folder `folder` (POSIX, relative), open for as long as somebody has what is
        returned.

        Errors: OSError; EINVAL for a path that leaves the folder.
        """
        known, parts, chain = self._inner
        if folder == known:
            return chain[-1]
        wanted = [part for part in folder.split("/") if part not in ("", ".")]
        if ".." in wanted or folder.startswith("/"):
            raise OSError(errno.EINVAL, "a path that leaves the folder")
        n_shared = 0
        while n_shared < min(len(parts), len(wanted)) and parts[n_shared] == wanted[n_shared]:
            n_shared += 1
        chain = chain[: n_shared + 1]
        for part in wanted[n_shared:]:
            chain.append(Held(_enter(chain[-1].descriptor, part, make=False)))
        self._inner = folder, wanted, chain
        return chain[-1]

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        Folder.__init__(self, path)


class Held:
    """A descriptor of a folder, closed when nobody uses it any more, in no thread."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


def _open_regular(name: str, folder: int, bound: str | None) -> int:
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # EMLINK: FreeBSD's word for it
            raise refuse_link() from error
        if error.errno == errno.ENXIO:
            raise OSError(errno.EINVAL, "no regular file") from error
        raise
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        if bound is not None and status.st_size > limit(bound):
            raise LargeFileError(bound, status.st_size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_file(path: Path, bound: str | None = None) -> int:
    """A descriptor of the regular file `path`, to be closed by the caller.

    Args:
        bound: the name of a bound in `limits.BOUNDS`: how large it may be; None only for what is
            read in parts that are bounded themselves.

    Errors: OSError that names `path`: ELOOP for a link on the way, EINVAL for a pipe, device or
    socket, LargeFileError for a file beyond the bound, and whatever the system says.
    """
    with open_parent(path) as (folder, name):
        return _open_regular(name, folder, bound)


def measure(path: Path) -> int:
    """Size in bytes of the regular file `path`. Errors: OSError as `open_file`."""
    descriptor = open_file(path)
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def open_stream(
    path: Path, bound: str | None = None, *, buffering: int = 1 << 16
) -> BufferedReader:
    """`open_file` as a stream that closes itself, with a buffer of so many bytes."""
    return BufferedReader(FileIO(open_file(path, bound), "rb"), buffering)


def read_descriptor(descriptor: int, max_bytes: int) -> bytes:
    """All bytes of an open file. Errors: OSError where there are more than `max_bytes`, or it
    changes meanwhile."""
    n_bytes = os.fstat(descriptor).st_size
    if n_bytes > max_bytes:
        raise OSError(errno.EFBIG, f"{n_bytes} bytes, more than the {max_bytes} allowed")
    data = os.read(descriptor, min(n_bytes + 1, _BLOCK_BYTES))
    if len(data) < n_bytes:
        blocks = [data]
        while block := os.read(descriptor, _BLOCK_BYTES):
            blocks.append(block)
            if sum(map(len, blocks)) > n_bytes:
                break
        data = b"".join(blocks)
    if len(data) != n_bytes:
        raise OSError(errno.ESTALE, "a file that changes while it is read")
    return data


def read_bytes(path: Path, bound: str) -> bytes:
    """The bytes of the regular file `path`.

    Args:
        bound: the name of a bound in `limits.BOUNDS`: how large it may be.

    Errors: OSError as `open_file`.
    """
    with open_parent(path) as (folder, name):
        descriptor = _open_regular(name, folder, bound)
        try:
            return read_descriptor(descriptor, limit(bound))
        finally:
            os.close(descriptor)


def read_text(
    path: Path, bound: str = "text_bytes", *, encoding: str = "utf-8", errors: str = "strict"
) -> str:
    """The text of the regular file `path`. Errors: OSError as `read_bytes`, UnicodeDecodeError (a
    ValueError)."""
    return read_bytes(path, bound).decode(encoding, errors)


def read_json(path: Path, bound: str = "json_bytes") -> Any:
    """The JSON of the regular file `path`. Errors: OSError as `read_bytes`, ValueError for what is
    no JSON."""
    return parse_json(read_text(path, bound))


def parse_json(text: str | bytes) -> Any:
    """JSON of bounded length.

    Errors: ValueError, also where it is nested too deeply, has too long a number, or half a
    character (a lone surrogate, written as an escape), which no file name, table or text can hold.
    """
    import json
    import re

    try:
        value = json.loads(text)
        if re.search(
            *(
                (r"\\u[dD][89a-fA-F]", text)
                if isinstance(text, str)
                else (rb"\\u[dD][89a-fA-F]", text)
            )
        ):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("brackets nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError("a text with half a character (a lone surrogate)") from error
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """TOML of bounded length. Errors: ValueError, also where it is nested too deeply or a key has
    too many parts."""
    import re
    import tomllib

    # tomllib keeps every beginning of a dotted key: 100,000 parts would take 40 GB
    if re.search(r"""(?<![\w"'-])(?:[\w"'-]++\s*+\.\s*+){64}""", text):
        raise ValueError("a key of more than 64 parts")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("brackets nested too deeply") from error


def is_file(path: Path) -> bool:
    """Whether a regular file lies there that `open_file` would open; False for a link."""
    status = _look(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def is_folder(path: Path) -> bool:
    """Whether a folder lies there that `open_folder` would open; False for a link."""
    try:
        os.close(open_folder(path))
    except OSError:
        return False
    return True


def exists(path: Path) -> bool:
    """Whether anything lies there, a link that leads nowhere included."""
    return _look(path) is not None


def _look(path: Path) -> os.stat_result | None:
    try:
        with open_parent(path) as (folder, name):
            return os.lstat(name, dir_fd=folder)
    except OSError:
        return None
