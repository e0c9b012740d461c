"""The long form of tests/test_build_faults.py: every third hook, and many random moments. More than
20 minutes on two cores."""

import random
import signal
import sys
import time
from subprocess import DEVNULL

import pytest
from build_tools import street, undisturbed  # noqa: F401 (fixtures)
from moments import kill_after
from street import build_arguments, digest_tree, run_lpw

from lpw_toolkit.check.check import check_dataset

pytestmark = pytest.mark.slow


def test_kill_9_at_every_third_hook(street, undisturbed, tmp_path):
    log = tmp_path / "log"
    assert (
        run_lpw(
            *build_arguments(street, tmp_path / "all"), env={"LPW_FAULT_LOG": str(log)}
        ).returncode
        == 0
    )
    n_hooks = len(log.read_text().split())
    deadline = time.monotonic() + 840
    for n in range(1, n_hooks + 1, 3):
        out = tmp_path / f"out{n}"
        done = run_lpw(*build_arguments(street, out), env={"LPW_FAULT": f"any:{n}"})
        assert done.returncode == -signal.SIGKILL
        assert run_lpw(*build_arguments(street, out)).returncode == 0
        assert digest_tree(out) == undisturbed, f"hook {n}"
        if time.monotonic() > deadline:
            break
    assert n > n_hooks / 4


def test_kill_9_at_random_moments_until_it_is_done(street, undisturbed, tmp_path):
    """One output, killed again and again at random moments, ends as the undisturbed one."""
    rng = random.Random(0)
    for round_ in range(20):
        out = tmp_path / f"out{round_}"
        for time_ in range(6):
            command = [sys.executable, "-m", "lpw_cli", *build_arguments(street, out)]
            n_points, fifo = rng.randrange(1, 100), tmp_path / f"fifo{round_}-{time_}"
            kill_after(command, n_points, fifo, stdout=DEVNULL, stderr=DEVNULL)
        assert run_lpw(*build_arguments(street, out)).returncode == 0
        assert digest_tree(out) == undisturbed
        assert check_dataset(out).problems == []
