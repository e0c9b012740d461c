"""Replays every log from its first line: verifies the chain and recomputes the state."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.log.decision_set import read_folder, unite
from lpw_toolkit.cleaning.log.log import ParsedLog, StateDigest
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.state import State


@dataclass(frozen=True)
class LogReport:
    """One log.

    Attributes:
        name: of the file.
        n_decisions: lines, all verified.
        n_alone: lines made with nothing known but the lines before them; the others saw decisions
            of other logs too.
        n_clock_back: lines whose clock is behind that of the line before: harmless, nothing is
            ordered by it.
        last_sha256: of the last line; with it written down elsewhere, not even the end of a log can
            be taken away.
        repairs: what opening the log for writing will mend.
    """

    name: str
    n_decisions: int
    n_alone: int
    n_clock_back: int
    last_sha256: str | None
    repairs: list[str]


@dataclass(frozen=True)
class Replay:
    """All logs, and the state that they come to."""

    logs: list[LogReport]
    state: State

    def as_fields(self) -> dict[str, Any]:
        """The report for machines."""
        state = {
            "digest": self.state.digest,
            "state": self.state.content_digest,
            "n_conflicts": len(self.state.conflicts),
        }
        return {"logs": [vars(log) for log in self.logs], **state}


def replay(base: Base, folder: Path) -> Replay:
    """Verifies every log in `folder` and works out the state from nothing.

    Errors: MismatchError naming file and line of the first that is not what it was when it was
    written.
    """
    readings = read_folder(folder, base.digest)
    return Replay(
        [_describe(reading, base.digest) for reading in readings],
        apply(base, unite(reading.decisions for reading in readings)),
    )


def _describe(reading: ParsedLog, dataset_digest: str) -> LogReport:
    known, n_alone = StateDigest(dataset_digest), 0
    for decision in reading.decisions:
        n_alone += decision.seen == known.digest
        known.add(decision.sha256)
    times = [decision.time for decision in reading.decisions]
    n_back = sum(later < earlier for earlier, later in pairwise(times))
    last = reading.decisions[-1].sha256 if reading.decisions else None
    return LogReport(reading.name, len(reading.decisions), n_alone, n_back, last, reading.repairs)
