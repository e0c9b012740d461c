"""An output folder that appears whole or not at all: built beside its place, then renamed."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lpw_toolkit.dataset.dataset import refuse_inside_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.appending import open_lock
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import exists, follow_links, is_folder, read_text
from lpw_toolkit.files.writing import (
    TEMPORARY_SUFFIX,
    describe_os_error,
    make_folder,
    make_new_folder,
    remove_empty_folder,
    remove_file,
    remove_folder,
    rename_folder,
    sync_all,
    sync_path,
    write_file,
)

_OURS, _NEW, _OLD = (
    ".lpw-lock",
    "new",
    "old",
)  # in OUT.tmp~: the lock, by which it is known as ours, and two folders


@contextmanager
def publish_folder(out: Path, *, marker: str | None = None) -> Iterator[Path]:
    """Yields an empty folder to fill; it becomes `out` when the block ends, and is removed when the
    block fails.

    It lies in OUT.tmp~, beside `out`, and is locked: a second process is refused meanwhile. What a
    killed run left there is cleared by the next one; anything else of that name is never touched.

    Args:
        out: must not exist, be an empty folder, or hold `marker`: then it is replaced as a whole.
        marker: name of the file by which a folder of the same kind is known. The block writes it
            (`mark_folder`).

    Errors: LpwError for any other `out`, one that another process is writing, or where the system
    refuses.
    """
    # `.` and `..` have no name to put a suffix to
    out = follow_links(Path(os.path.abspath(out)))  # noqa: PTH100
    check_free(out, marker=marker)
    make_folder(out.parent)
    try:
        with _hold_place(out) as place:
            check_free(
                out, marker=marker
            )  # another process may have finished between the first look and the lock
            make_new_folder(place / _NEW)
            yield place / _NEW
            sync_all()
            if exists(out):
                rename_folder(out, place / _OLD)
            rename_folder(place / _NEW, out)
            sync_path(out.parent)
    except OSError as error:
        raise LpwError(
            out,
            describe_os_error(error),
            "a folder that can be written",
            "free space or go elsewhere",
        ) from error


@contextmanager
def _hold_place(out: Path) -> Iterator[Path]:
    """Makes OUT.tmp~, locks and empties it; it is gone when the block ends."""
    place = out.with_name(out.name + TEMPORARY_SUFFIX)
    descriptor = _lock_place(place, out)
    try:
        _clear_place(place, out)
        yield place
    finally:
        _clear_place(place, out)
        remove_file(place / _OURS)
        with suppress(OSError):  # another process may hold it from now on
            remove_empty_folder(place)
        os.close(descriptor)


def _lock_place(place: Path, out: Path) -> int:
    """A descriptor that holds the lock in `place`, which is made when it is not there. Errors:
    LpwError, OSError."""
    while True:
        with suppress(FileExistsError):
            make_new_folder(place)
        _refuse_foreign(place)
        try:
            descriptor = open_lock(place / _OURS)
        except FileNotFoundError:
            continue  # its holder has removed it since
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), (place / _OURS).lstat()):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise LpwError(
                out, "a folder that another process is writing", "no other", "wait for it"
            ) from error
        except FileNotFoundError:
            pass
        os.close(descriptor)  # its holder has removed it since: such a lock holds nothing


def _refuse_foreign(place: Path) -> None:
    """Errors: LpwError for a `place` that no run of ours has left."""
    expected, hint = "a free name beside the output", "move or rename it, or choose another place"
    try:
        found = set() if place.is_symlink() else {entry.name for entry in list_folder(place)}
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise LpwError(place, "no folder", expected, hint) from error
    if place.is_symlink() or (found and (_OURS not in found or found - {_OURS, _NEW, _OLD})):
        raise LpwError(place, "a thing that lpw has not left there", expected, hint)


def _clear_place(place: Path, out: Path) -> None:
    """Removes both folders, or puts the old one back where a run was stopped between the two
    renames."""
    replaced = place / _OLD
    if exists(replaced) and not exists(out):
        rename_folder(replaced, out)
    for folder in (place / _NEW, replaced):
        if exists(folder):
            remove_folder(folder)


def check_free(out: Path, *, marker: str | None = None) -> None:
    """Errors: LpwError when `out` lies in a dataset or holds something that is not ours to
    replace."""
    refuse_inside_dataset(out)
    if not exists(out):
        return
    if not is_folder(out):
        raise LpwError(out, "a file", "a new or empty folder", "choose another place")
    try:
        found = [entry.name for entry in list_folder(out)]
        ours = read_text(out / marker).splitlines() if marker in found else []
    except (OSError, ValueError) as error:
        got = describe_os_error(error) if isinstance(error, OSError) else "an unreadable marker"
        raise LpwError(out, got, "a new or empty folder", "choose another place") from error
    foreign = [name for name in found if name not in ours and not (ours and name == marker)]
    if foreign:
        got = f"a folder with {len(foreign)} entries of other things ({foreign[0]})"
        raise LpwError(out, got, "a new or empty folder", _propose(out.absolute()))


def _propose(out: Path) -> str:
    """What to do: another place, such as the next version where nothing is."""
    if not out.name:
        return "choose another place"
    place = name_next_version(out)
    while exists(place):
        place = name_next_version(place)
    return f"choose another place, such as {place.name}"


def name_next_version(root: Path) -> Path:
    """`street-2` for `street`, `street-3` for `street-2`.

    >>> name_next_version(Path("street-2")).name
    'street-3'
    """
    numbered = re.fullmatch(r"(.+)-([1-9][0-9]{0,8})", root.name)
    stem, number = (numbered[1], int(numbered[2])) if numbered else (root.name, 1)
    return root.with_name(f"{stem}-{number + 1}")


def mark_folder(folder: Path, marker: str) -> None:
    """Writes the file by which `check_free` knows a folder: the names of what lies in it, which may
    be replaced."""
    write_file(
        folder / marker, "".join(f"{entry.name}\n" for entry in list_folder(folder)).encode()
    )
