"""The state of a tracklet in one character, and what it teaches the queue."""

from lpw_toolkit.cleaning.log.decisions import RULE_PREFIX
from lpw_toolkit.cleaning.state.resolve import (
    ACCEPTED,
    EDITED,
    OPEN,
    REJECTED,
    UNREVIEWED,
    PieceState,
)

#: All rejected, edited in part, accepted. While a piece is open the tracklet is "u" where nothing
#: was done, "p" (in part) where something was, "?" where people are unsure.
STATUS_CODES = {REJECTED: "r", EDITED: "e", ACCEPTED: "a"}
OPEN_CODES = frozenset("up")
UNSURE = "unsure"  # the flag of reviewers who cannot decide
_OUTCOMES = {"a": "clean", "e": "error", "r": "error", "?": "unsure"}


def find_status_code(pieces: tuple[PieceState, ...]) -> str:
    """The status_code of a tracklet of these pieces."""
    statuses = {piece.status for piece in pieces}
    if statuses & OPEN:
        if all(UNSURE in piece.flags for piece in pieces if piece.status in OPEN):
            return "?"
        return "u" if statuses == {UNREVIEWED} else "p"
    return STATUS_CODES[statuses.pop()] if len(statuses) == 1 else "e"


def find_outcome(code: str, pieces: tuple[PieceState, ...]) -> str:
    """What a decided tracklet was, for the queue.

    A merge is no error of its own, and what rules alone have judged teaches nothing about people's
    judgement.
    """
    by = [who for piece in pieces for who in piece.reviewers]
    if by and all(who.startswith(RULE_PREFIX) for who in by):
        return "unsure"
    is_whole = len(pieces) == 1 and not pieces[0].dropped and pieces[0].status != REJECTED
    return "clean" if is_whole and _OUTCOMES[code] == "error" else _OUTCOMES[code]


def has_flag(pieces: tuple[PieceState, ...]) -> bool:
    """Whether a piece is marked to be looked at again."""
    return any(set(piece.flags) - {UNSURE} for piece in pieces)
