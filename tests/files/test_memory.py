"""Free memory: what the system says, and the refusal before work starts."""

import subprocess
import sys

import pytest
from moments import PATIENCE_S

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import memory

BOUND = 3 << 30
BOUNDED = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({BOUND}, {BOUND}))
from lpw_toolkit.files.memory import free_bytes
print(free_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not say")
def test_the_bound_of_a_process_counts():
    child = subprocess.run(
        [sys.executable, "-c", BOUNDED],
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    assert 0 < int(child.stdout) < BOUND


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   4 kB\n"}, 4096),
        ({"/sys/fs/cgroup/memory.max": "900\n", "/sys/fs/cgroup/memory.current": "200\n"}, 700),
        ({"/sys/fs/cgroup/memory.max": "max\n", "/sys/fs/cgroup/memory.current": "200\n"}, None),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": "5",
          "/sys/fs/cgroup/memory/memory.usage_in_bytes": "9"}, 0),
        ({}, None),
    ],
)  # fmt: skip
def test_the_least_that_is_left(monkeypatch, files, free):
    monkeypatch.setattr(memory, "_read", lambda path: files.get(path, ""))
    assert memory.free_bytes() == free


def test_a_shortage_is_one_line(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 2 * 10**9)
    memory.refuse_shortage("the table", 2 * 10**9, "take fewer")
    expected = "the table: got 2.0 GB of free memory; expected 4.5 GB; take fewer"
    with pytest.raises(LpwError, match=expected):
        memory.refuse_shortage("the table", 4_500_000_000, "take fewer")


def test_where_nothing_is_known_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: None)
    assert memory.refuse_shortage("the table", 10**18, "take fewer") is None
