"""Fixtures that every test may use, and the rule that CI skips nothing whose needs are at hand."""

import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from lpw_toolkit import progress
from lpw_toolkit.files import machine

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture(scope="session", autouse=True)
def own_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's key lies in a folder of this run: no test writes into a home folder."""
    before = os.environ.get("LPW_CONFIG")
    folder = tmp_path_factory.mktemp("configuration")
    os.environ["LPW_CONFIG"] = str(folder)
    machine.remember(
        folder / "any", "video_root", "/", ""
    )  # makes the key, so that no test is the first to write it
    yield
    os.environ.pop("LPW_CONFIG") if before is None else os.environ.update(LPW_CONFIG=before)


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive() -> None:
    """A suite that a shell starts in the background ignores Ctrl-C, and its processes with it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_fetching() -> Iterator[None]:
    """No test fetches weights but from itself, which says so (`weights_server.online`)."""
    before = os.environ.get("LPW_OFFLINE")
    os.environ["LPW_OFFLINE"] = "1"
    yield
    os.environ.pop("LPW_OFFLINE") if before is None else os.environ.update(LPW_OFFLINE=before)


@pytest.fixture(autouse=True)
def plain_progress() -> None:
    """Progress and notes as at the start of a process: a command that another test called may have
    chosen JSON, and said once what is said once."""
    progress.set_style("auto")
    progress._said.clear()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos, detections and weights beside the project; the test is skipped
    where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data not found: {SHARED}")
    return SHARED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped real-data or browser test whose needs are at hand is a failure."""
    report = yield
    at_hand = (item.get_closest_marker("realdata") and SHARED.is_dir()) or (
        item.get_closest_marker("browser") and CHROMIUM
    )
    if (
        report.skipped
        and at_hand
        and os.environ.get("CI") == "true"
        and not hasattr(report, "wasxfail")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped although its needs are at hand: {report.longrepr}"
    return report
