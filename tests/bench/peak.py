"""Peak memory of a piece of work within this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def read_mb(field: str) -> float:
    """A size from /proc/self/status, such as VmRSS or VmHWM, in MB (10^6 bytes)."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024 / 1e6


def measure_extra_mb(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns, and by how much the resident size rose at its peak above what it was
    before."""
    REFERENCES.write_text("5")  # sets the peak back to the present size
    before = read_mb("VmRSS")
    result = work()
    return result, read_mb("VmHWM") - before
