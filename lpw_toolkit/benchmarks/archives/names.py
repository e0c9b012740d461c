"""Checks the member names of an archive: plain relative paths, each once, that no file system would
merge or redirect.

The rules are those of the strictest system (Windows and macOS merge `A.jpg` with `a.jpg`), so that
what is read here means the same everywhere. A million names take about 100 MB; nothing is kept for
each but the text and one hash.
"""

import re
from collections import Counter
from heapq import merge
from pathlib import Path

import numpy as np

from lpw_toolkit.benchmarks.archives.limits import Limits, refuse
from lpw_toolkit.names import find_path_fault, fold_name

_DIGITS = re.compile(r"\d+")
_SORT_NAMES = 65_536
_ALL_ZERO = {**dict.fromkeys(map(ord, "123456789"), "0")}


def find_name_fault(name: str, limits: Limits) -> str | None:
    """What is wrong with the path `name` of a member; None for a plain relative POSIX path."""
    if name.startswith("/"):
        return "an absolute name"
    if "\\" in name:
        return "a backslash in a name"
    if not name.isprintable():  # NUL, line breaks, escapes, invisible and bidirectional marks
        return "a control character in a name"
    if ":" in name:
        return "a drive letter or colon in a name"
    parts = name.split("/")
    if ".." in parts:
        return "a name that climbs with `..`"
    if (
        len(parts) > limits.max_depth
        or len(name.encode("utf-8", "surrogatepass")) > limits.max_name_bytes
    ):
        return f"a name of {len(name)} characters in {len(parts)} parts"
    return find_path_fault(name)


def sort_key(name: str) -> str:
    """The order of `listing.natural_key` as one text: a tenth of its memory, which counts with a
    million names."""
    return _DIGITS.sub(_encode_number, name)


def _encode_number(match: re.Match[str]) -> str:
    digits = match[0]
    plain = digits.lstrip("0") if digits.isascii() else str(int(digits))
    n_zeros = min(len(digits) - len(plain), 255)  # `00` comes after `0`, but `001` before `01`
    tie = chr(255 - n_zeros if plain else n_zeros) if digits.isascii() else digits
    return f"\x01{chr(len(plain) + 1)}{plain}{tie}"


def sort_paths(names: list[str]) -> None:
    """Sorts POSIX paths in place: folders in natural order, a folder's own files together in
    natural order."""
    names.sort()
    folders = sorted({name.rpartition("/")[0] for name in names}, key=sort_key)
    rank = {folder: i for i, folder in enumerate(folders)}
    names.sort(key=lambda name: rank[name.rpartition("/")[0]])
    start = 0
    while start < len(names):
        folder = names[start].rpartition("/")[0]
        stop = start + 1
        while stop < len(names) and names[stop].rpartition("/")[0] == folder:
            stop += 1
        if _is_mixed(names, start, stop):
            _sort_slice(names, start, stop)
        start = stop


def _is_mixed(names: list[str], start: int, stop: int) -> bool:
    """Whether text order may differ from natural order: digits do not stand in the same places of
    all names."""
    shape = names[start].translate(_ALL_ZERO)
    return any(names[row].translate(_ALL_ZERO) != shape for row in range(start, stop))


def _sort_slice(names: list[str], start: int, stop: int) -> None:
    """Natural order within one folder, with the keys of a part of it in memory at a time."""
    parts = [
        sorted(names[at : min(at + _SORT_NAMES, stop)], key=sort_key)
        for at in range(start, stop, _SORT_NAMES)
    ]
    names[start:stop] = parts[0] if len(parts) == 1 else list(merge(*parts, key=sort_key))


class NameBook:
    """Collects the member names of one archive and refuses what must not stand beside each other.

    Args:
        archive: what messages call it.
    """

    def __init__(self, archive: Path, limits: Limits) -> None:
        self._archive, self._limits = archive, limits
        self.names: list[str] = []
        self._folders: set[str] = set()
        self._n_seen = self._n_bytes = 0

    def add(self, name: str) -> bool:
        """Takes the name of a member as the archive has it (a folder ends in `/`); True for a file.

        Errors: LpwError for a name that breaks a rule, and for too many of them.
        """
        self.count()
        is_folder = name.endswith("/") or name == "."
        plain = name.removesuffix("/").removeprefix("./")
        if is_folder and plain in ("", "."):
            if name.startswith("/"):
                raise refuse(self._archive, "an absolute name", "names relative to the archive")
            return False
        fault = find_name_fault(plain, self._limits)
        if fault:
            shown = repr(plain if len(plain) <= 80 else plain[:77] + "...")
            raise refuse(self._archive, f"{fault} ({shown})", "plain relative names")
        self._add_folder(plain if is_folder else plain.rpartition("/")[0])
        if not is_folder:
            self._keep(plain)
            self.names.append(plain)
        return not is_folder

    def count(self) -> None:
        """Counts one entry of the archive, whatever it is. Errors: LpwError when there are too
        many."""
        self._n_seen += 1
        if self._n_seen > self._limits.max_members:
            raise refuse(self._archive, f"more than {self._limits.max_members} members", "fewer")

    def _keep(self, name: str) -> None:
        self._n_bytes += name.__sizeof__()
        if self._n_bytes > self._limits.max_names_bytes:
            raise refuse(
                self._archive,
                f"names of more than {self._limits.max_names_bytes} bytes",
                "shorter names",
            )

    def _add_folder(self, folder: str) -> None:
        while folder and folder not in self._folders:
            self._keep(folder)
            self._folders.add(folder)
            folder = folder.rpartition("/")[0]
        if len(self._folders) > self._limits.max_folders:
            raise refuse(self._archive, f"more than {self._limits.max_folders} folders", "fewer")

    def close(self) -> list[str]:
        """The names of all files, sorted (`sort_paths`), once none collides with another. Errors:
        LpwError."""
        hashes = np.fromiter(
            (hash(fold_name(name)) for group in (self.names, self._folders) for name in group),
            dtype=np.int64,
            count=len(self.names) + len(self._folders),
        )
        hashes.sort()
        twice = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
        if twice:
            self._refuse_collisions(twice)
        ordered = self.names.copy()
        sort_paths(ordered)
        return ordered

    def _refuse_collisions(self, twice: set[int]) -> None:
        members = [*self.names, *self._folders]
        suspects = [name for name in members if hash(fold_name(name)) in twice]
        folds = Counter(map(fold_name, suspects))
        again = sorted(name for name in suspects if folds[fold_name(name)] > 1)
        if not again:  # two texts may share a hash
            return
        mates = [name for name in again if fold_name(name) == fold_name(again[0])]
        got = (
            f"the name {mates[0]!r} twice"
            if mates[0] == mates[1]
            else f"both {mates[0]!r} and {mates[1]!r}"
        )
        raise refuse(self._archive, got, "names that stay apart on every file system")
