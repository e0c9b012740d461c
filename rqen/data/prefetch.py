"""Makes dataset items in order and ahead of time in other processes; a faulty item is a one-line
error."""

import signal
from collections.abc import Generator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from lpw_toolkit.errors import LpwError

_AHEAD = 4


class _Guarded(Dataset):
    """The items, or the fault that one has: raised in another process it would come back as pages
    of text."""

    def __init__(self, items: Any) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int) -> Any:
        try:
            return self._items[place]
        except LpwError as error:
            return error


def iter_ahead(items: Any, n_workers: int) -> Generator[Any, None, None]:
    """The items of a torch Dataset from the first to the last. Whoever may stop early closes it
    (`contextlib.closing`): its processes end then, and not with the last reference.

    Args:
        n_workers: processes that make them ahead of their use; 0 makes each when it is asked for.

    Errors: what an item raised; LpwError where a process was ended, usually because memory did.
    """
    loader = DataLoader(
        _Guarded(items),
        batch_size=None,
        num_workers=n_workers,
        prefetch_factor=_AHEAD if n_workers else None,
        worker_init_fn=_calm_worker,
        generator=torch.Generator(),  # its own: opening a loader draws no number from the run's
    )
    made: Any = iter(loader)
    try:
        for item in made:
            if isinstance(item, LpwError):
                raise item
            yield item
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        do = "use fewer processes (--workers), or 0"
        raise LpwError(
            "reading images ahead", "a process that was ended", "memory for it", do
        ) from error
    finally:
        # The frames of an error hold the loader, and processes that nobody has told to end are
        # waited for at the end of the program.
        if n_workers:
            made._shutdown_workers()


def _calm_worker(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    for number in (
        signal.SIGINT,
        signal.SIGHUP,
    ):  # Ctrl-C goes to all processes; the first one ends the others
        signal.signal(number, signal.SIG_IGN)
    signal.signal(
        signal.SIGTERM, lambda n, _: signal.signal(n, signal.SIG_DFL)
    )  # and this may, so the second counts
