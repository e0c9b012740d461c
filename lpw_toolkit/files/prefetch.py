"""Work done by threads a few steps ahead of whoever uses it, in order, with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def prefetch(
    work: Callable[[Given], Made], items: Iterable[Given], n_threads: int = 2
) -> Iterator[Made]:
    """`map` in order, by `n_threads` threads; at most twice as many results wait for the one that
    is asked for.

    Errors: what `work` raised, at its place in the order; nothing later is begun.
    """
    waiting: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="lpw-ahead")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
