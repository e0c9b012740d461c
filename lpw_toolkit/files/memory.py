"""How much memory this process may still take, and refusing work that needs more."""

import os
import resource
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import open_stream

#: Bound and use of the memory of a control group, by its two versions.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)
_MAX_BYTES = 64 << 10
_GB = 10**9


def free_bytes() -> int | None:
    """The least of what the machine, its control group and the bound of this process leave; None
    where the system does not say."""
    left = [_read_available(), _read_group(), _read_bound()]
    return min((value for value in left if value is not None), default=None)


def refuse_shortage(thing: str, n_bytes: int, do: str) -> None:
    """Refuses work before it starts.

    Args:
        thing: what takes the memory.
        n_bytes: that it takes.
        do: what the user can do.

    Errors: LpwError where less is free; nothing where that is unknown.
    """
    free = free_bytes()
    if free is not None and n_bytes > free:
        got, expected = f"{free / _GB:.1f} GB of free memory", f"{n_bytes / _GB:.1f} GB"
        raise LpwError(thing, got, expected, do)


def _read_available() -> int | None:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return None


def _read_group() -> int | None:
    for names in _GROUPS:
        most, taken = (_read(name).strip() for name in names)
        if most.isdecimal() and taken.isdecimal():
            return max(0, int(most) - int(taken))
    return None


def _read_bound() -> int | None:
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _read(f"/proc/{os.getpid()}/statm").split()
    if most == resource.RLIM_INFINITY or not pages:
        return None
    return max(0, most - int(pages[0]) * resource.getpagesize())


def _read(path: str) -> str:
    try:
        with open_stream(Path(path)) as stream:
            return stream.read(_MAX_BYTES).decode()
    except OSError:
        return ""
