"""Fixtures that every test may use."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos, detections and weights beside the project; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data not found: {SHARED}")
    return SHARED
