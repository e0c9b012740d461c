"""Runs work in threads a few steps ahead of the consumer, in order, with bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


class BoundedPool(Generic[Made]):
    """Threads whose results come back in the order of their tasks; only so many wait.

    Args:
        n_threads: threads that work.
        max_waiting: tasks that may be under way or done and not taken; `submit` waits beyond it.
    """

    def __init__(self, n_threads: int, max_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="lpw-ahead")
        self._waiting: deque[Future[Made]] = deque()
        self._max_waiting = max_waiting

    def __enter__(self) -> "BoundedPool[Made]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits for tasks under way; those not begun are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def submit(self, work: Callable[..., Made], *given: object) -> Iterator[Made]:
        """Begins a task; the results that had to make room for it. Errors: what `work` raised."""
        self._waiting.append(self._pool.submit(work, *given))
        return self._take(self._max_waiting)

    def drain(self) -> Iterator[Made]:
        """The results of all tasks that are left. Errors: what `work` raised."""
        return self._take(0)

    def _take(self, n_left: int) -> Iterator[Made]:
        while len(self._waiting) > n_left:
            yield self._waiting.popleft().result()


def prefetch(
    work: Callable[[Given], Made], items: Iterable[Given], n_threads: int = 2
) -> Generator[Made, None, None]:
    """`map` in order, by `n_threads` threads; at most twice as many results wait for the one that
    is asked for.

    Errors: what `work` raised, at its place in the order; nothing later is begun.
    """
    with BoundedPool[Made](n_threads, 2 * n_threads) as pool:
        for item in items:
            yield from pool.submit(work, item)
        yield from pool.drain()
