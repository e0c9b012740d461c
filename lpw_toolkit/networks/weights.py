"""Finds weights files: at a path, in the working folder, in the cache, or fetched by the catalogue.

a path or name --find_named--> that file; a known name that is not here is fetched
nothing --choose_default--> the only fitting file of the working folder, else the first known
                            file of the task that may be taken without being named
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from lpw_toolkit.errors import LpwError, install_hint, nearest
from lpw_toolkit.files import writing
from lpw_toolkit.files.home import expand_home, expand_home_text
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import (
    exists,
    follow_links,
    is_file,
    is_folder,
    open_stream,
    read_bytes,
)
from lpw_toolkit.networks.catalogue import CatalogueEntry, find_entry, load_catalogue
from lpw_toolkit.networks.fetching import (
    FetchError,
    fetch,
    find_cached,
    is_offline,
    name_places,
    weights_folder,
)
from lpw_toolkit.networks.runtimes import EXTRAS


@dataclass(frozen=True)
class WeightsKind:
    """One family of weights files, as one kind of network reads them.

    Attributes:
        suffix: of the files, with its dot.
        pattern: names (without folder) that belong to the family.
        task: what they are for, one of `catalogue.TASKS`.
    """

    suffix: str
    pattern: str
    task: str = "person detector"

    def matches(self, name: str) -> bool:
        """True for a name of this family."""
        return re.fullmatch(self.pattern, name, re.IGNORECASE) is not None


@dataclass(frozen=True)
class FoundWeights:
    """Weights that were found.

    Attributes:
        path: of the file.
        note: which file it is and why it was taken, in one line.
        entry: what the catalogue knows of it; None for a file of the user's own.
    """

    path: Path
    note: str
    entry: CatalogueEntry | None = None


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights, read once: what is hashed is what is checked, and what a runtime gets.

    Attributes:
        path: as the user named it, for messages.
        data: all its bytes.
    """

    path: Path
    data: bytes

    @cached_property
    def sha256(self) -> str:
        """Of `data`, hex."""
        return hashlib.sha256(self.data).hexdigest()


def read_weights(path: Path) -> WeightsFile:
    """The file of weights that the user names `path`, a link to one too.

    Errors: LpwError for one that cannot be read, or is larger than the bound `weights_bytes`.
    """
    try:
        return WeightsFile(path, read_bytes(follow_links(expand_home(path)), "weights_bytes"))
    except OSError as error:
        do = "give the path of a weights file"
        raise LpwError(
            path, writing.describe_os_error(error), "a readable file of weights", do
        ) from error


def find_named(given: str, task: str, suffixes: tuple[str, ...] = ()) -> FoundWeights:
    """The weights that the user names: at that path, in the working folder, in the cache, or
    fetched.

    Args:
        given: a path, the name of a file, or a name of the catalogue.
        task: what they are for, one of `catalogue.TASKS`.
        suffixes: that may be left out of a file's name.

    Errors: LpwError where there is no such file, and none can be fetched.
    """
    given = expand_home_text(given)
    entry = find_entry(given, task)
    here = [Path(given)]
    if here[0].parent == Path():
        here += [Path(given + suffix) for suffix in suffixes]
        here += [Path(entry.file)] if entry else []
    folder = weights_folder()
    cached = [] if folder is None or here[0].parent != Path() else [folder / p for p in here]
    known = folder / entry.file if folder and entry else None
    path = next((p for p in [*here, *cached] if exists(follow_links(p)) and p != known), None)
    if path is None and here[0].parent == Path():
        path = _find_with_digest(given, suffixes)
    if path is not None:
        return FoundWeights(path, f"weights {path} (asked for)")
    if entry is not None:
        return FoundWeights(fetched := fetch(entry), _describe(fetched, entry), entry)
    names = [entry.name for entry in load_catalogue() if entry.task == task]
    near = nearest(given, names)
    do = "give the path of a weights file, or one of these names"
    do += f"; did you mean {near}?" if near else ""
    raise LpwError(given, "no such file", f"weights (known by name: {', '.join(names)})", do)


def _find_with_digest(given: str, suffixes: tuple[str, ...]) -> Path | None:
    """The only file named as PyTorch names its official ones: `given`, a dash, the beginning of its
    SHA-256."""
    endings = "|".join(map(re.escape, suffixes))
    kind = WeightsKind("", rf"{re.escape(given)}-[0-9a-f]{{8}}({endings})")
    found = list_weights(kind) if suffixes else []
    return found[0] if len(found) == 1 else None


def choose_default(task: str, accepts: Callable[[Path], bool] = lambda path: False) -> FoundWeights:
    """The weights that a command takes which gets none.

    The only file of the working folder that `accepts` takes, whatever its licence; else the first
    file of the catalogue that needs no naming and for which a runtime is installed: from the cache,
    else fetched.

    Args:
        task: what they are for, one of `catalogue.TASKS`.
        accepts: whether a file of the working folder is one for this task.

    Errors: LpwError for several fitting files, without a runtime, or where nothing can be fetched.
    """
    here = [path for path in list_folder(Path()) if is_file(path) and accepts(path)]
    if here:
        return _take_only(here, f"{task} in the working folder")
    ranked = [e for e in load_catalogue() if e.task == task and e.rank is not None]
    usable = [entry for entry in ranked if any(map(find_spec, entry.runtimes))]
    if not usable:
        runtimes = " or ".join(ranked[0].runtimes)
        do = install_hint(EXTRAS[ranked[0].runtimes[0]])
        raise LpwError(task, "no package that runs one", runtimes, do)
    return _take_first(task, usable, [entry for entry in ranked if entry not in usable])


def find_weights(given: str | None, kind: WeightsKind) -> tuple[Path, str]:
    """The weights file of one kind to use, and a line that says how it was chosen.

    Args:
        given: a path or a name; None takes the only file of this kind in the working folder, what
            `choose_default` would take, or the only one in the cache.

    Errors: LpwError where nothing or more than one file is found, or `given` is no file of this
    kind.
    """
    found = _find_only(kind) if given is None else find_named(given, kind.task, (kind.suffix,))
    _check_file(found.path, kind)
    return found.path, found.note


def list_weights(kind: WeightsKind, *folders: Path) -> list[Path]:
    """Files of this kind in these folders that are there; by default in the working folder, then in
    the cache."""
    places = folders or tuple(filter(None, (Path(), weights_folder())))
    paths = [path for place in places if is_folder(place) for path in list_folder(place)]
    return [path for path in paths if kind.matches(path.name) and is_file(path)]


def _find_only(kind: WeightsKind) -> FoundWeights:
    if here := list_weights(kind, Path()):
        return _take_only(here, f"{kind.suffix} in the working folder")
    fitting = [e for e in load_catalogue() if e.task == kind.task and kind.matches(e.file)]
    if ranked := [entry for entry in fitting if entry.rank is not None]:
        return _take_first(kind.task, ranked, [])
    folder = weights_folder()
    if folder is not None and (cached := list_weights(kind, folder)):
        return _take_only(cached, f"{kind.suffix} in the cache")
    names = " or ".join(entry.name for entry in fitting if entry.pin and entry.sources)
    expected = f"one {kind.suffix} in the working folder" + (f" or in {folder}" if folder else "")
    do = "give --weights FILE" + (f", or name one that is fetched: --weights {names}" * bool(names))
    raise LpwError("--weights", "nothing, and no file found", expected, do)


def _take_only(paths: list[Path], what: str) -> FoundWeights:
    if len(paths) > 1:
        names = ", ".join(f"{path}" for path in paths)
        do = "choose with --weights FILE"
        raise LpwError("--weights", f"nothing, and several files: {names}", "one", do)
    return FoundWeights(paths[0], f"weights {paths[0]} (the only {what})")


def _take_first(
    task: str, usable: list[CatalogueEntry], lacking: list[CatalogueEntry]
) -> FoundWeights:
    """The first of `usable` that is in the cache, else the first that can be fetched.

    Args:
        lacking: those for which no runtime is installed; named where nothing can be fetched.
    """
    for entry in usable:
        if (path := find_cached(entry)) is not None:
            return FoundWeights(path, _describe(path, entry), entry)
    place = name_places()
    names = " or ".join(entry.file for entry in usable)
    if is_offline():
        got = "none here, and nothing may be fetched (--offline or LPW_OFFLINE)"
        raise FetchError(task, got, f"{names} in {place}", "copy one there, or go online")
    failures = []
    for entry in usable:
        try:
            path = fetch(entry)
        except FetchError as error:
            failures.append(f"{entry.name}: {error.got}")
        else:
            return FoundWeights(path, _describe(path, entry), entry)
    do = "check the network, or give --weights FILE"
    for entry in lacking:
        do += f"; for {entry.name}: {install_hint(EXTRAS[entry.runtimes[0]])}"
    raise FetchError(task, f"none here, and {'; '.join(failures)}", f"{names} in {place}", do)


def _describe(path: Path, entry: CatalogueEntry) -> str:
    return f"weights {path} ({entry.describe()})"


def _check_file(path: Path, kind: WeightsKind) -> None:
    if not is_file(follow_links(path)):
        raise LpwError(
            path, "no regular file", f"a {kind.suffix} file", "give the path of a weights file"
        )
    if path.suffix.lower() != kind.suffix:
        raise LpwError(
            path,
            f"a {path.suffix or 'nameless'} file",
            f"{kind.suffix}",
            "choose the detector that reads it",
        )
    try:
        with open_stream(follow_links(path)) as file:
            if not file.read(1):
                raise LpwError(path, "an empty file", "weights", "fetch or copy it again")
    except OSError as error:
        raise LpwError(
            path, writing.describe_os_error(error), "a readable file", "check its permissions"
        ) from error
