"""Opens a raw tree: a folder, a .zip or a .tar (.gz, .bz2, .xz), read without being unpacked.

Nothing in an archive says where bytes go: members are streamed, and whoever asked for a name
decides. What could mean two things, or cost far more than its size, is refused with one line when
the archive is opened, before any of it is used. The kind is told by the first bytes, not by the
suffix.
"""

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from lpw_toolkit.benchmarks.archives.folder import FolderTree
from lpw_toolkit.benchmarks.archives.limits import Limits
from lpw_toolkit.benchmarks.archives.streams import kind_of_stream
from lpw_toolkit.benchmarks.archives.tar import TarTree
from lpw_toolkit.benchmarks.archives.zip import ZipTree
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import open_stream
from lpw_toolkit.files.writing import describe_os_error

__all__ = ["FolderTree", "Limits", "RawTree", "TarTree", "ZipTree", "find_prefix", "open_tree"]

_HEAD_BYTES = 512
_FOREIGN = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x1f\x9d": "a compress (.Z) file",
}


class RawTree(Protocol):
    """The files of a raw dataset (`benchmarks.Tree`), and what an import needs beyond them.

    Attributes:
        kind: `folder`, `zip` or `tar` (with its compression).
        is_sequential: whether members can only be had one after the other (a compressed tar);
            `read` then goes through the archive from its start for every image, and `iter_members`
            once for all.
        names: POSIX paths of all files: folders in natural order, the files of each together in
            natural order.
    """

    kind: str
    is_sequential: bool
    names: list[str]

    @property
    def name(self) -> str:
        """What messages call it."""

    def facts(self) -> dict[str, Any]:
        """What a dataset notes of its source: kind, name without its folder, and bytes of an
        archive."""

    def read(self, name: str) -> bytes:
        """The bytes of one file. Errors: LpwError when it cannot be read or breaks a limit."""

    def place_of(self, name: str) -> int:
        """A number by which reading `names` in ascending order is cheap."""

    def iter_members(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Each of `names` with its bytes, in the order of `place_of`. Errors: as `read`."""

    def close(self) -> None:
        """Ends the use of the archive's file."""


def open_tree(path: Path, limits: Limits | None = None) -> RawTree:
    """Opens the raw tree at `path`; close it after use (`contextlib.closing`).

    Errors: LpwError for what is no folder, zip or tar, is damaged, or breaks a rule or limit.
    """
    limits = limits or Limits()
    expected, hint = (
        "a folder, .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz",
        "name the downloaded dataset",
    )
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return FolderTree(path, limits)
        if not stat.S_ISREG(mode):
            raise LpwError(path, "no regular file", expected, hint)
        with open_stream(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        got = describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise LpwError(path, got, expected, hint) from error
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return ZipTree(path, limits)
    compression = kind_of_stream(head)
    if compression is not None:
        return TarTree(path, compression, limits)
    foreign = (name for magic, name in _FOREIGN.items() if head.startswith(magic))
    got = next(foreign, "a file of another kind" if head else "an empty file")
    raise LpwError(
        path,
        got,
        expected,
        "unpack it yourself and name the folder" if head else "download it again",
    )


def find_prefix(names: list[str]) -> str:
    """The folders that all of `names` share, with a final `/`; empty where there is none.

    For `pep_256x128/scen1/…` beside `pep_256x128/scen2/…` it is `pep_256x128/`.
    """
    if not names:
        return ""
    first, last = (
        min(names).split("/")[:-1],
        max(names).split("/")[:-1],
    )  # whatever lies between shares it too
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    return "".join(f"{part}/" for part in first[:shared])
