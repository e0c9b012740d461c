"""Resolves one tracklet under all its decisions: cuts, dropped frames, verdicts. A pure function of
the set of decisions.

Every reviewer's last decision counts for each frame and piece. Only an accept or a reject is a
verdict: an edit leaves a piece unaccepted until its reviewer accepts it, and a merge says nothing
of either piece. (In logs of version 1 both were verdicts.) Reviewers that differ make a conflict;
until it is resolved the more careful verdict holds (rejected before unaccepted before edited
before accepted, dropped before kept). A rule counts where no person has decided anything.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.log.pieces import Piece, name_piece
from lpw_toolkit.cleaning.operation import EDITS, VERDICTS, Role
from lpw_toolkit.cleaning.state.conflicts import Conflict, make_conflict

UNREVIEWED, ACCEPTED, EDITED = "unreviewed", "accepted", "edited"
UNACCEPTED, REJECTED = "unaccepted", "rejected"
#: From the least careful to the most: edited is accepted after an edit, unaccepted is not yet.
STATUSES = (UNREVIEWED, ACCEPTED, EDITED, UNACCEPTED, REJECTED)
#: Nobody has judged a piece of these.
OPEN = frozenset({UNREVIEWED, UNACCEPTED})
_DROP, _RESTORE = 1, 2
_FRAMES = (Role.DROP, Role.RESTORE)
Value = TypeVar("Value")


@dataclass(frozen=True)
class AppliedDecision:
    """A decision that names a piece of the tracklet."""

    decision: Decision
    piece: Piece


@dataclass(frozen=True)
class PieceState:
    """One piece of a tracklet.

    Attributes:
        name: see `pieces`.
        piece: its frames.
        status: one of `STATUSES`.
        reasons: why it is rejected, sorted; empty without a reason.
        dropped: positions (n,) that are dropped, ascending.
        flags: sorted.
        comments: (reviewer, text) in order.
        reviewers: who judged or edited it, sorted.
        rejected_by: the decisions by which it is rejected.
    """

    name: str
    piece: Piece
    status: str = UNREVIEWED
    reasons: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()
    flags: tuple[str, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()
    reviewers: tuple[str, ...] = ()
    rejected_by: tuple[Decision, ...] = ()

    @property
    def kept(self) -> NDArray[np.int64]:
        """Positions (n,) in the tracklet that are left, ascending."""
        return np.setdiff1d(
            np.arange(self.piece.start, self.piece.stop), np.array(self.dropped, dtype=np.int64)
        )


@dataclass(frozen=True)
class ResolvedTracklet:
    """A tracklet under all decisions.

    Attributes:
        pieces: in order; one where there is no cut.
        uses: what counts: every border of the piece it names exists.
        conflicts: what is left open within the tracklet.
    """

    pieces: tuple[PieceState, ...]
    uses: tuple[AppliedDecision, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    def covered_by(self, piece: Piece) -> list[PieceState]:
        """The pieces that `piece` is made of."""
        return [state for state in self.pieces if piece.covers(state.piece)]


def resolve_tracklet(
    tracklet: str, n_frames: int, uses: Sequence[AppliedDecision]
) -> ResolvedTracklet:
    """The pieces of a tracklet of `n_frames` frames under `uses`, none of them undone."""
    uses = sorted(uses, key=lambda use: use.decision.order)
    outside = [use for use in uses if not _is_inside(use)]
    borders, live, gone = _find_borders(n_frames, [use for use in uses if _is_inside(use)])
    conflicts = [
        make_conflict("outside", [_name(use, n_frames)], [use.decision]) for use in outside
    ]
    conflicts += [make_conflict("gone", [_name(use, n_frames)], [use.decision]) for use in gone]
    dropped, disputed = _drop(n_frames, live)
    if disputed:
        conflicts.append(make_conflict("frames", [tracklet], disputed))
    conflicts += _find_dropped_cuts(live, dropped, n_frames)
    pieces = [Piece(tracklet, a, b) for a, b in pairwise(borders)]
    states = []
    for piece in pieces:
        state, disputed = _judge(name_piece(piece, n_frames), piece, live, dropped)
        states.append(state)
        if disputed:
            conflicts.append(make_conflict("verdict", [state.name], disputed))
    conflicts += _find_blind_accepts(live, n_frames)
    return ResolvedTracklet(tuple(states), tuple(live), tuple(sorted(set(conflicts))))


def _name(use: AppliedDecision, n_frames: int) -> str:
    return name_piece(use.piece, n_frames)


def _is_inside(use: AppliedDecision) -> bool:
    piece, value = use.piece, use.decision.value
    if use.decision.role is Role.CUT:
        return bool(piece.start < value < piece.stop)
    if use.decision.role in _FRAMES:
        return bool(piece.start <= value[0][0] and value[-1][1] <= piece.stop)
    return True


def _find_borders(
    n_frames: int, uses: list[AppliedDecision]
) -> tuple[list[int], list[AppliedDecision], list[AppliedDecision]]:
    """Borders of the pieces, the uses of pieces that exist, and the others. A cut counts once its
    piece does."""
    borders, waiting = {0, n_frames}, [use for use in uses if use.decision.role is Role.CUT]

    def exists(use: AppliedDecision) -> bool:
        return use.piece.start in borders and use.piece.stop in borders

    while ready := [use for use in waiting if exists(use)]:
        waiting = [use for use in waiting if not exists(use)]
        borders |= {use.decision.value for use in ready}
    return (
        sorted(borders),
        [use for use in uses if exists(use)],
        [use for use in uses if not exists(use)],
    )


def _drop(n_frames: int, uses: list[AppliedDecision]) -> tuple[NDArray[np.bool_], list[Decision]]:
    """Which frames (n_frames,) are dropped, and the decisions about frames on which people
    differ."""
    acts = [use.decision for use in uses if use.decision.role in _FRAMES]
    if not acts:
        return np.zeros(n_frames, dtype=bool), []
    marks: dict[str, NDArray[np.int8]] = {}
    for decision in acts:
        mark = marks.setdefault(decision.reviewer, np.zeros(n_frames, dtype=np.int8))
        for start, stop in decision.value:
            mark[start:stop] = _DROP if decision.role is Role.DROP else _RESTORE
    people = {decision.reviewer for decision in acts if not decision.is_by_rule}
    none = np.zeros(n_frames, dtype=np.int8)
    by_people = np.bitwise_or.reduce([none, *(marks[name] for name in people)])
    by_rules = np.bitwise_or.reduce([none, *(marks[name] for name in marks.keys() - people)])
    counted = by_people + np.where(by_people > 0, 0, by_rules)
    disputed = by_people == _DROP | _RESTORE
    dropped = (counted & _DROP) > 0
    return dropped, [d for d in acts if not d.is_by_rule and _touches(d, disputed)]


def _touches(decision: Decision, mask: NDArray[np.bool_]) -> bool:
    return any(mask[start:stop].any() for start, stop in decision.value)


def _find_dropped_cuts(
    uses: list[AppliedDecision], dropped: NDArray[np.bool_], n_frames: int
) -> list[Conflict]:
    conflicts = []
    for use in uses:
        if use.decision.role is Role.CUT and dropped[use.decision.value]:
            here = np.zeros(n_frames, dtype=bool)
            here[use.decision.value] = True
            drops = [
                u.decision
                for u in uses
                if u.decision.role is Role.DROP and _touches(u.decision, here)
            ]
            conflicts.append(
                make_conflict("cut-dropped", [_name(use, n_frames)], [use.decision, *drops])
            )
    return conflicts


@dataclass
class _Verdict:
    """What one reviewer says of a piece: the last verdict, whether it is edited, and by which
    decisions."""

    last: Decision | None = None
    edited: bool = False

    @property
    def status(self) -> str:
        if self.last is not None and self.last.role is Role.REJECT:
            return REJECTED
        if self.last is not None and not self.last.is_settling:
            return UNACCEPTED
        return EDITED if self.edited else ACCEPTED


def _judge(
    name: str, piece: Piece, uses: list[AppliedDecision], dropped: NDArray[np.bool_]
) -> tuple[PieceState, list[Decision]]:
    """The state of one piece, and the decisions of people who differ on it."""
    verdicts: dict[str, _Verdict] = {}
    for use in uses:
        if use.decision.is_by_rule and use.decision.role in EDITS:
            continue  # frames that a rule drops are gone, but nobody has looked at the rest yet
        if use.decision.role is Role.JOIN and not use.decision.is_settling:
            continue  # says who it is, not that all of it is fine
        if use.decision.role in VERDICTS | EDITS and _is_about(use, piece):
            verdict = verdicts.setdefault(use.decision.reviewer, _Verdict())
            verdict.last, verdict.edited = (
                use.decision,
                verdict.edited or use.decision.role in EDITS,
            )
    counted = prefer_people(
        verdicts, lambda verdict: verdict.last is not None and not verdict.last.is_by_rule
    )
    statuses = {verdict.status for verdict in counted.values()}
    status = max(statuses, key=STATUSES.index, default=UNREVIEWED)
    rejects = [
        v.last for v in counted.values() if v.last is not None and v.status == REJECTED == status
    ]
    disputed = (
        [verdict.last for verdict in counted.values() if verdict.last is not None]
        if len(statuses) > 1
        else []
    )
    notes = [use.decision for use in uses if use.piece.covers(piece) or piece.covers(use.piece)]
    positions = np.flatnonzero(dropped[piece.start : piece.stop]) + piece.start
    state = PieceState(
        name,
        piece,
        status,
        reasons=tuple(sorted({d.value for d in rejects if d.value})),
        dropped=tuple(positions.tolist()),
        flags=tuple(sorted({d.value for d in notes if d.role is Role.FLAG})),
        comments=tuple((d.reviewer, d.value) for d in notes if d.role is Role.COMMENT),
        reviewers=tuple(sorted(verdicts)),
        rejected_by=tuple(rejects),
    )
    return state, disputed


def _is_about(use: AppliedDecision, piece: Piece) -> bool:
    """Whether a verdict or an edit is about this piece."""
    decision = use.decision
    if decision.role is Role.CUT:
        return decision.value in (piece.start, piece.stop)
    if decision.role in _FRAMES:
        return any(start < piece.stop and piece.start < stop for start, stop in decision.value)
    return use.piece.covers(piece)


def prefer_people(
    verdicts: dict[str, Value], is_person: Callable[[Value], bool]
) -> dict[str, Value]:
    """What people say (by reviewer); what rules say only where no person says anything."""
    people = {name: verdict for name, verdict in verdicts.items() if is_person(verdict)}
    return people or verdicts


def _find_blind_accepts(uses: Iterable[AppliedDecision], n_frames: int) -> list[Conflict]:
    """Accepting a piece that somebody else cuts: the one saw one person in it, the other two."""
    cuts = [use for use in uses if use.decision.role is Role.CUT]
    conflicts = []
    for use in uses:
        if use.decision.role is Role.ACCEPT and not use.decision.is_by_rule:
            inner = [
                c.decision for c in cuts if use.piece.start < c.decision.value < use.piece.stop
            ]
            if inner and all(cut.reviewer != use.decision.reviewer for cut in inner):
                conflicts.append(
                    make_conflict("verdict", [_name(use, n_frames)], [use.decision, *inner])
                )
    return conflicts
