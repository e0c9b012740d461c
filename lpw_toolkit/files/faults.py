"""Fault injection for tests: every write, fsync, rename and unlink passes a point that a test can
break.

`LPW_FAULT=point:n` kills the process at the n-th passage, `LPW_FAULT=point:n:STOP` stops it until
SIGCONT, `LPW_FAULT=point:n:ENOSPC` raises that error; without that variable a passage costs one
dictionary look-up.
"""

import errno
import os
import signal
import threading
from collections import Counter

_hits: Counter[str] = Counter()
_hits_lock = threading.Lock()


def fault_point(point: str) -> None:
    """Counts one passage of `point`; under `LPW_FAULT` the n-th passage kills or stops the process,
    or raises that errno.

    `any` as the point counts all points together. With `LPW_FAULT_LOG=file` each passage is
    appended there.
    """
    fault = os.environ.get("LPW_FAULT")
    log = os.environ.get("LPW_FAULT_LOG")
    if not fault and not log:
        return
    with _hits_lock:
        _hits[point] += 1
        _hits["any"] += 1
        hits = dict(_hits)
    if log:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(descriptor, f"{point}\n".encode())
        os.close(descriptor)
    if fault:
        name, count, *code = fault.split(":")
        if name in (point, "any") and hits[name] == int(count):
            if not code:
                os.kill(os.getpid(), signal.SIGKILL)
            if code == ["STOP"]:
                os.kill(os.getpid(), signal.SIGSTOP)
                return
            number = getattr(errno, code[0])
            raise OSError(number, os.strerror(number))
