"""Decisions of reviewers: their form, and the append-only log that holds them.

A line is durable before it counts; nothing is ever overwritten, an undo is another line.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.cleaning.log.decision_set import DecisionSet, unite
    from lpw_toolkit.cleaning.log.decisions import Decision, Request
    from lpw_toolkit.cleaning.log.log import Log, open_log, read_log

__all__ = ["Decision", "DecisionSet", "Log", "Request", "open_log", "read_log", "unite"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "decision_set": "DecisionSet unite",
        "decisions": "Decision Request",
        "log": "Log open_log read_log",
    },
)
