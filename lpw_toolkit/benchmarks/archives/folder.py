"""A raw tree that is a plain folder: reads nothing outside it, and waits for no pipe or device."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lpw_toolkit.benchmarks.archives.limits import Limits
from lpw_toolkit.benchmarks.archives.names import sort_paths
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import scan_tree
from lpw_toolkit.files.opening import Folder
from lpw_toolkit.files.writing import describe_os_error


class FolderTree:
    """See `archives.RawTree`. Links to files inside the folder are read; every other link is
    refused.

    Errors: LpwError for a folder that cannot be listed or holds a link that leaves it.
    """

    kind = "folder"
    is_sequential = False

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root = root
        self._limits = limits
        self._real = os.path.realpath(root)
        try:
            self._folder = Folder(Path(self._real))
            entries = scan_tree(self._folder.path)
        except OSError as error:
            thing = error.filename or root
            raise LpwError(
                thing, describe_os_error(error), "a readable folder", "mend its rights"
            ) from error
        self.links = {name: self._follow(name) for name in entries.links}
        self.names = [*entries.files, *self.links]
        sort_paths(self.names)

    @property
    def name(self) -> str:
        """The folder as it was named."""
        return str(self.root)

    def _follow(self, name: str) -> str:
        """What the link `name` leads to, as a path inside. Errors: LpwError when it leaves the
        folder or is one."""
        real = os.path.realpath(f"{self._real}/{name}")
        hint = "put the files themselves in its place"
        if not real.startswith(self._real.rstrip("/") + "/"):
            raise LpwError(
                self.root / name, "a link that leaves the folder", "files inside it", hint
            )
        if Path(real).is_dir():
            raise LpwError(self.root / name, "a link to a folder", "a folder", hint)
        return os.path.relpath(real, self._real)

    def facts(self) -> dict[str, Any]:
        """What a dataset notes of its source."""
        return {"kind": self.kind, "name": Path(self._real).name}

    def place_of(self, name: str) -> int:
        """Folders are read in the order of their rows."""
        return 0

    def read(self, name: str) -> bytes:
        """The bytes of one file. Errors: LpwError."""
        try:
            data = self._folder.read(self.links.get(name, name), "image_bytes")
        except OSError as error:
            raise self._fault(name, describe_os_error(error)) from error
        if len(data) > self._limits.max_member_bytes:
            raise self._fault(name, f"{len(data)} bytes")
        return data

    def _fault(self, name: str, got: str) -> LpwError:
        expected = f"a readable file of at most {self._limits.max_member_bytes} bytes"
        return LpwError(self.root / name, got, expected, "mend or restore it")

    def iter_members(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Each of `names` with its bytes."""
        for name in names:
            yield name, self.read(name)

    def close(self) -> None:
        """Nothing is held open."""
