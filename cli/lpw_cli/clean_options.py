"""The options of `lpw clean`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class CleanCommandOptions:
    """The options of `lpw clean`: one of the actions, and what belongs to it."""

    dataset: Path | None
    state: Path | None
    suggest: bool
    n_frames: int
    embeddings: Path | None
    auto: str | None
    undo: bool
    review: bool
    reviewer: str | None
    team: str | None
    both: float
    checks: float
    port: int | None
    no_open: bool
    status: bool
    merge: Path | None
    replay: bool
    agreement: bool
    apply: Path | None
    unreviewed: Literal["leave-out", "keep", "refuse"]
    conflicts: Literal["refuse", "leave-out"]
    min_cameras: int
    no_splits: bool
    test_frac: float
    n_splits: int
    seed: int
