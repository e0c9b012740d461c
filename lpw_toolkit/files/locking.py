"""A lock on a folder. It ends with the process that holds it: nothing is left to become stale."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lpw_toolkit.files.opening import open_folder, open_inner


@contextmanager
def lock_folder(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the folder `path` for the block: another process that wants it waits.

    A file system without locks gives none; whoever writes there must be atomic in itself.

    Args:
        waiting: called once where another process holds it.

    Errors: OSError for a folder that cannot be opened.
    """
    folder = open_folder(path)
    try:
        descriptor = open_inner(folder, "")
    finally:
        os.close(folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # no locks here
            pass
        yield
    finally:
        os.close(descriptor)
