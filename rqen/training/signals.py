"""Signals that would end a training wait until its step is done."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hold_signals() -> Iterator[list[int]]:
    """Signals that would end the process are noted in the list, and obeyed when the block ends."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    held = [
        number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN
    ]  # nohup stays nohup
    before = {number: signal.signal(number, lambda n, _: noted.append(n)) for number in held}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if noted:
            os.kill(os.getpid(), noted[0])
