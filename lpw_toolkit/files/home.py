"""The folders of the user: home, cache, configuration. Each may be missing, and then lpw works
without it.

A container often runs under a user id without a name and without a home (`docker run --user`), or
with a home that takes no files. What would only save time is then left out, and said once.
"""

import os
import tempfile
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import follow_links
from lpw_toolkit.files.writing import describe_os_error, make_folder
from lpw_toolkit.progress import say_once

_NO_CACHE = "set LPW_CACHE to a folder that takes files, and repeated work is saved"
_temporary: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def expand_home(path: Path) -> Path:
    """`path` with `~` or `~user` at its beginning replaced, as a shell does it.

    A shell leaves it in `--out=~/film` and in quotes, and nobody replaces it in the environment or
    in a file. `~name` without a user of that name is a file's own name.

    >>> expand_home(Path("film/~1.mp4")).as_posix()
    'film/~1.mp4'

    Errors: LpwError for `~` of a user without a home.
    """
    if not path.parts or not path.parts[0].startswith("~"):
        return path
    try:
        return path.expanduser()
    except RuntimeError as error:
        if path.parts[0] != "~":
            return path
        do = "set HOME, or give the whole path"
        raise LpwError(path, "~ of a user without a home folder", "a home folder", do) from error


def expand_home_text(text: str) -> str:
    """`expand_home` of a text that may name a file or anything else: only a leading `~` changes."""
    return str(expand_home(Path(text))) if text.startswith("~") else text


def cache_folder() -> Path | None:
    """`$LPW_CACHE`, by default `~/.cache/lpw`; None for a user without a home, which is said once.

    It may take no files: whoever writes goes on without it, and calls `note_no_cache`.
    """
    folder = _user_folder("LPW_CACHE", ".cache")
    if folder is None:
        say_once(f"no cache: no home folder; {_NO_CACHE}")
    return folder


def note_no_cache(place: Path, error: OSError | LpwError) -> None:
    """Says, once in a process, that the cache takes no files: the work goes on without it."""
    got = describe_os_error(error) if isinstance(error, OSError) else error.got
    say_once(f"no cache: {place}: {got}; {_NO_CACHE}", about="cache")


def config_folder() -> Path | None:
    """`$LPW_CONFIG`, by default `~/.config/lpw`; None for a user without a home."""
    return _user_folder("LPW_CONFIG", ".config")


def _user_folder(variable: str, below_home: str) -> Path | None:
    given = os.environ.get(variable)
    if given:
        return follow_links(expand_home(Path(given)))
    try:
        return follow_links(Path.home() / below_home / "lpw")
    except RuntimeError:
        return None


def library_folder(name: str) -> Path:
    """A folder for the files that library `name` keeps: in the cache, else a temporary one that
    goes with this process."""
    cache = cache_folder()
    if cache is not None:
        try:
            folder = make_folder(cache / name)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
        except LpwError as error:
            note_no_cache(cache, error)
    _temporary.append(tempfile.TemporaryDirectory(prefix=f"lpw-{name}-"))
    return Path(_temporary[-1].name)


def settle_library(variable: str, name: str, *, always: bool = False) -> None:
    """Gives library `name` a folder of ours by its environment variable, where the user chose none
    and has no home that takes files: it would fail there, or warn.

    Args:
        always: also where the home takes files.
    """
    if variable not in os.environ and (always or not _home_takes_files()):
        os.environ[variable] = str(library_folder(name))


def _home_takes_files() -> bool:
    try:
        return os.access(Path.home(), os.W_OK | os.X_OK)
    except RuntimeError:
        return False
