"""Hostile files read by a process of its own, which may take so much memory and so much time, and no more."""

import subprocess
import sys

_LIMITS = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (GIB << 30, GIB << 30))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from lpw_toolkit.errors import LpwError
"""
_READ = """
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
before = peak()
for path in paths:
    got, code = "read", 0
    try:
        read(path)
    except LpwError as error:
        got, code = str(error), error.exit_code
    print(code, peak() - before, got, sep="\\t")
"""


def read_each(code: str, *words: object, mib: int = 300, gib: int = 2) -> list[tuple[int, str]]:
    """Exit code and message for each path that `code` puts into `paths`, by the function that it calls `read`.

    That none took more than `mib` beyond what the process had is asserted; time is bounded by a timeout.

    Args:
        words: arguments of the process.
        gib: address space of the process.
    """
    command = [sys.executable, "-c", f"{_LIMITS.replace('GIB', str(gib))}{code}{_READ}", *map(str, words)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    told = [line.split("\t") for line in child.stdout.splitlines()]
    assert all(int(took) <= mib for _, took, _ in told), told
    assert all(len(message) < 2_000 for *_, message in told)
    return [(int(status), message) for status, _, message in told]
