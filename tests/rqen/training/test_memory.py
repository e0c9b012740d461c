"""Memory that is freed stays with the process."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from rqen.run import malloc

#: Fresh pages that the system hands out for a large buffer that is made and freed five times.
COUNT = """
import resource, sys, torch
from rqen.run.malloc import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
torch.set_num_threads(1)
def fill():
    torch.ones(48 << 20, dtype=torch.uint8)
for _ in range(30): fill()  # until the heap is as large as it will be
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): fill()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count(word: str) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, word], capture_output=True, text=True, check=True
    )
    kept, n_pages = done.stdout.split()
    return int(kept), int(n_pages)


def test_freed_memory_is_used_again() -> None:
    kept, n_pages = count("keep")
    if not kept:
        pytest.skip("no glibc")
    assert n_pages < count("leave")[1] / 4


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malloc.ctypes, "CDLL", lambda _: SimpleNamespace())
    assert not malloc.keep_freed_memory()
