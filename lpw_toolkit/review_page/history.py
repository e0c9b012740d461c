"""Every decision of every log, the newest first, as the page lists them: found by who made it,
about what, which kind and on which day, and whether it is undone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.log.pieces import find_piece
from lpw_toolkit.cleaning.operation import Role
from lpw_toolkit.errors import LpwError

PAGE = 100
_MAX_OFFSET = 10**7


@dataclass(frozen=True)
class HistoryFilter:
    """Which decisions are wanted; an empty field wants all.

    Attributes:
        reviewer: who made it.
        tracklet: a part of the name of a tracklet that it names.
        operation: its kind.
        day: YYYY-MM-DD, UTC.
        in_force: only what is neither undone nor an undo.
        offset: how many of the newest are passed over.
    """

    reviewer: str = ""
    tracklet: str = ""
    operation: str = ""
    day: str = ""
    in_force: bool = False
    offset: int = 0

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "HistoryFilter":
        """From the query of an address. Errors: LpwError for what none of the fields is."""
        texts = {name: query.get(name, "") for name in ("reviewer", "tracklet", "operation", "day")}
        offset = query.get("offset", "0")
        known = {*texts, "in_force", "offset"}
        if set(query) - known or not (offset.isascii() and offset.isdigit()):
            raise LpwError("history", f"{dict(query)!r:.80}", "filters of it", "reload the page")
        return cls(**texts, in_force="in_force" in query, offset=min(int(offset), _MAX_OFFSET))

    def fits(self, decision: Decision, undone: Mapping[str, list[str]]) -> bool:
        """Whether a decision is wanted.

        Args:
            undone: see `find_undos`.
        """
        return (
            self.reviewer in ("", decision.reviewer)
            and self.operation in ("", decision.operation)
            and decision.time.startswith(self.day)
            and (not self.tracklet or any(self.tracklet in name for name in decision.tracklets))
            and not (self.in_force and (decision.role is Role.UNDO or decision.uuid in undone))
        )


def find_undos(decisions: Mapping[str, Decision], undone: frozenset[str]) -> dict[str, list[str]]:
    """For every decision that is undone, the undos of it that count: undoing these brings it
    back."""
    found: dict[str, list[str]] = {}
    for uuid, decision in decisions.items():
        if decision.role is Role.UNDO and uuid not in undone:
            found.setdefault(str(decision.value), []).append(uuid)
    return {target: uuids for target, uuids in found.items() if target in undone}


def describe_decision(
    decision: Decision,
    undos: Mapping[str, list[str]],
    numbers: Mapping[str, int],
    n_frames: Mapping[str, int],
) -> dict[str, Any]:
    """A decision for the page.

    Args:
        undos: see `find_undos`.
        numbers: of the tracklets, by name.
    """
    pieces = [find_piece(name, n_frames) for name in decision.tracklets]
    first = next((numbers[piece.tracklet] for piece in pieces if piece), None)
    return {
        "uuid": decision.uuid,
        "operation": decision.operation,
        "tracklets": list(decision.tracklets),
        "arguments": decision.arguments,
        "reviewer": decision.reviewer,
        "time": decision.time,
        "n": first,
        "undone": decision.uuid in undos,
        "undone_by": undos.get(decision.uuid, []),
    }


def sort_newest_first(decisions: Mapping[str, Decision]) -> list[Decision]:
    """By the clock of whoever wrote the line: for people to read, nothing depends on it."""
    return sorted(decisions.values(), key=lambda d: (d.time, d.seq, d.reviewer), reverse=True)
