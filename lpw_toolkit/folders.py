"""An output folder that is made whole or not at all: built beside its place, then renamed into it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lpw_toolkit.dataset import refuse_inside_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.listing import list_folder
from lpw_toolkit.publish import (
    TEMPORARY_SUFFIX,
    describe_os_error,
    fault_point,
    make_folder,
    sync_all,
    sync_path,
    write_file,
)


@contextmanager
def publish_folder(out: Path, *, marker: str | None = None) -> Iterator[Path]:
    """Yields an empty folder to fill; it becomes `out` when the block ends, and is removed when the block fails.

    Args:
        out: must not exist, be an empty folder, or hold `marker`: then it is replaced as a whole.
        marker: name of the file by which a folder of the same kind is known. The block writes it (`mark_folder`).

    Errors: LpwError for any other `out`, or where the system refuses.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 (`.` and `..` have no name to put a suffix to; links stay as they are)
    check_free(out, marker=marker)
    temporary = out.with_name(out.name + TEMPORARY_SUFFIX)
    old = out.with_name(out.name + ".old" + TEMPORARY_SUFFIX)
    for leftover in (temporary, old):
        _remove_folder(leftover)
    make_folder(temporary)
    try:
        yield temporary
        sync_all()
        _swap(temporary, out, old)
    except OSError as error:
        raise LpwError(
            out, describe_os_error(error), "a folder that can be written", "free space or go elsewhere"
        ) from error
    finally:
        _remove_folder(temporary)
    _remove_folder(old)


def check_free(out: Path, *, marker: str | None = None) -> None:
    """Errors: LpwError when `out` lies in a dataset or holds something that is not ours to replace."""
    refuse_inside_dataset(out)
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise LpwError(out, "a file", "a new or empty folder", "choose another place")
    try:
        found = [entry.name for entry in list_folder(out)]
        ours = (out / marker).read_text("utf-8").splitlines() if marker in found else []
    except (OSError, ValueError) as error:
        got = describe_os_error(error) if isinstance(error, OSError) else "an unreadable marker"
        raise LpwError(out, got, "a new or empty folder", "choose another place") from error
    foreign = [name for name in found if name not in ours and not (ours and name == marker)]
    if foreign:
        got = f"a folder with {len(foreign)} entries of other things ({foreign[0]})"
        raise LpwError(out, got, "a new or empty folder", "choose another place")


def mark_folder(folder: Path, marker: str) -> None:
    """Writes the file by which `check_free` knows a folder: the names of what lies in it, which may be replaced."""
    write_file(folder / marker, "".join(f"{entry.name}\n" for entry in list_folder(folder)).encode())


def _swap(temporary: Path, out: Path, old: Path) -> None:
    fault_point("rename")
    if out.exists():
        out.rename(old)
    temporary.rename(out)
    sync_path(out.parent)


def _remove_folder(folder: Path) -> None:
    if folder.exists():
        fault_point("unlink")
        shutil.rmtree(folder)
