"""Applies decisions to tables. A pure function: the state does not depend on the order of the
decisions.

`Ledger` is the same function for a growing set: it looks again only at the tracklets that a new
decision touches.
"""

from collections import defaultdict
from collections.abc import Iterable

from lpw_toolkit.cleaning.log.decision_set import DecisionSet
from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.log.log import StateDigest
from lpw_toolkit.cleaning.log.pieces import Piece, find_piece, name_piece
from lpw_toolkit.cleaning.log.undo import Undone, find_undone
from lpw_toolkit.cleaning.operation import IDENTITY, Role
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.conflicts import Conflict, make_conflict
from lpw_toolkit.cleaning.state.identity import Naming, find_persons
from lpw_toolkit.cleaning.state.joins import Joined, Merge, join_pieces
from lpw_toolkit.cleaning.state.resolve import (
    REJECTED,
    AppliedDecision,
    PieceState,
    ResolvedTracklet,
    resolve_tracklet,
)
from lpw_toolkit.cleaning.state.state import State


def apply(base: Base, union: DecisionSet) -> State:
    """The state of the tables `base` under the decisions of `union`."""
    ledger = Ledger(base)
    for decision in union.decisions:
        ledger.add(decision)
    return ledger.state(union.ambiguous_uuids)


class Ledger:
    """A growing set of decisions, each uuid once.

    Args:
        base: the tables.
    """

    def __init__(self, base: Base) -> None:
        self.base = base
        self.decisions: dict[str, Decision] = {}
        self._known = StateDigest(base.digest)
        self._named = [
            name for name, tracklet in base.tracklets.items() if tracklet.person_id is not None
        ]
        self._uses: dict[str, list[AppliedDecision]] = defaultdict(list)
        self._merging: list[tuple[Decision, list[Piece]]] = []
        self._linking: list[tuple[Decision, list[Piece]]] = []
        self._unknown_pieces: list[tuple[str, Decision]] = []
        self._resolved: dict[str, ResolvedTracklet] = {}
        self._waiting: set[str] = set()
        self._undone = Undone(frozenset(), (), ())
        self._undos_changed = False
        self._targets: set[str] = set()

    @property
    def digest(self) -> str:
        """Digest of the state with all decisions added so far (`log.Known`); at no cost."""
        return self._known.digest

    def add(self, decision: Decision) -> None:
        """Adds a decision; one whose uuid is there already changes nothing."""
        if decision.uuid in self.decisions:
            return
        self.decisions[decision.uuid] = decision
        self._known.add(decision.sha256)
        if decision.role is Role.UNDO:
            self._targets.add(str(decision.value))
        if decision.role is Role.UNDO or decision.uuid in self._targets:
            self._undos_changed = True
        pieces = []
        for name in decision.tracklets:
            piece = find_piece(name, self.base.n_frames)
            if piece is None:
                self._unknown_pieces.append((name, decision))
                continue
            pieces.append(piece)
            self._uses[piece.tracklet].append(AppliedDecision(decision, piece))
            self._waiting.add(piece.tracklet)
        if decision.role is Role.JOIN:
            self._merging.append((decision, pieces))
        if decision.role in IDENTITY:
            self._linking.append((decision, pieces))

    def state(self, ambiguous_uuids: Iterable[str] = ()) -> State:
        """The state under all decisions added so far.

        Args:
            ambiguous_uuids: uuids that stand for two decisions (`merge.Union`).
        """
        self._resolve()
        conflicts = [
            conflict for resolved in self._resolved.values() for conflict in resolved.conflicts
        ]
        conflicts += self._list_unknown(ambiguous_uuids)
        joined = self._join(conflicts)
        persons = self._link(joined, conflicts)
        return State(
            self.base,
            dict(self._resolved),
            joined.members,
            persons[0],
            persons[1],
            tuple(sorted(set(conflicts))),
            self._undone.uuids,
            len(self.decisions),
            self.digest,
        )

    def resolve(self, tracklet: str) -> ResolvedTracklet | None:
        """One tracklet under all decisions added so far; None where none in force names it."""
        self._resolve()
        return self._resolved.get(tracklet)

    def _resolve(self) -> None:
        if self._undos_changed:
            before, self._undone = self._undone.uuids, find_undone(self.decisions)
            for uuid in before ^ self._undone.uuids:
                pieces = (
                    find_piece(name, self.base.n_frames) for name in self.decisions[uuid].tracklets
                )
                self._waiting |= {piece.tracklet for piece in pieces if piece}
            self._undos_changed = False
        for tracklet in self._waiting:
            uses = [use for use in self._uses[tracklet] if self._is_in_force(use.decision)]
            self._resolved.pop(tracklet, None)
            if uses:
                self._resolved[tracklet] = resolve_tracklet(
                    tracklet, self.base.n_frames[tracklet], uses
                )
        self._waiting.clear()

    def _is_in_force(self, decision: Decision) -> bool:
        return decision.uuid not in self._undone.uuids

    def _list_unknown(self, ambiguous_uuids: Iterable[str]) -> list[Conflict]:
        conflicts = [
            make_conflict("unknown-tracklet", [name], [d])
            for name, d in self._unknown_pieces
            if self._is_in_force(d)
        ]
        conflicts += [
            Conflict("uuid", (), (uuid,)) for uuid in ambiguous_uuids if self._in_force_id(uuid)
        ]
        conflicts += [
            Conflict("undo-unknown", (), (uuid,))
            for uuid in self._undone.unknown
            if self._in_force_id(uuid)
        ]
        conflicts += (
            [Conflict("undo-circle", (), self._undone.circles)] if self._undone.circles else []
        )
        return conflicts

    def _in_force_id(self, uuid: str) -> bool:
        return uuid not in self._undone.uuids

    def _parts(self, piece: Piece) -> list[PieceState]:
        """The pieces that `piece` consists of now; none where one of its borders is gone."""
        found = self._resolved[piece.tracklet].covered_by(piece)
        whole = found and found[0].piece.start == piece.start and found[-1].piece.stop == piece.stop
        return found if whole else []

    def _join(self, conflicts: list[Conflict]) -> Joined:
        merges = []
        for decision, pieces in self._merging:
            if not self._is_in_force(decision):
                continue
            parts = [part for piece in pieces if (part := self._parts(piece))]
            conflicts += [
                conflict for part in parts if (conflict := _find_rejected(decision, part))
            ]
            if len(parts) > 1:
                merges.append(Merge(decision, parts))
        joined = join_pieces(self.base, sorted(merges, key=lambda merge: merge.decision.order))
        conflicts += joined.conflicts
        return joined

    def _link(
        self, joined: Joined, conflicts: list[Conflict]
    ) -> tuple[tuple[tuple[str, ...], ...], dict[str, int]]:
        leaders = joined.leaders()
        namings, named = [], set()
        for decision, pieces in self._linking:
            if self._is_in_force(decision):
                naming = self._name(decision, pieces, leaders, conflicts)
                named |= set(naming.names)
                if len(naming.names) > (decision.role is not Role.NUMBER):
                    namings.append(naming)
        given = self._list_given(leaders, named, conflicts)
        names = named.union(*given) if given else named
        parts = {
            name: [self._find(member) for member in joined.members.get(name, (name,))]
            for name in names
        }
        persons = find_persons(self.base, namings, given, parts, joined.decisions)
        conflicts += persons.conflicts
        return persons.groups, persons.numbers

    def _name(
        self,
        decision: Decision,
        pieces: list[Piece],
        leaders: dict[str, str],
        conflicts: list[Conflict],
    ) -> Naming:
        """The merged tracklets that a decision about identity names now."""
        names: dict[str, None] = {}
        for i, piece in enumerate(pieces):
            part = self._parts(piece)
            found = {leaders.get(state.name, state.name) for state in part}
            if len(found) > 1:
                conflicts.append(
                    make_conflict(
                        "parts", [name_piece(piece, self.base.n_frames[piece.tracklet])], [decision]
                    )
                )
            if len(found) != 1:
                if i == 0 and decision.role is Role.DIFFERENT:
                    return Naming(decision, ())  # the others are not said to differ from each other
                continue
            if decision.role is not Role.DIFFERENT and (conflict := _find_rejected(decision, part)):
                conflicts.append(conflict)
            name = found.pop()
            if name in names and decision.role is Role.DIFFERENT:
                return Naming(decision, (name, name))
            names[name] = None
        return Naming(decision, tuple(names))

    def _list_given(
        self, leaders: dict[str, str], named: set[str], conflicts: list[Conflict]
    ) -> list[tuple[str, ...]]:
        """What the dataset itself makes one person; a tracklet that was cut is nobody until
        somebody says who."""
        persons: dict[str, dict[str, None]] = defaultdict(dict)
        for name in self._named:
            resolved = self._resolved.get(name)
            if resolved is None or len(resolved.pieces) == 1:
                persons[str(self.base.tracklets[name].person_id)][leaders.get(name, name)] = None
            elif not named & {leaders.get(state.name, state.name) for state in resolved.pieces}:
                cuts = [use.decision for use in resolved.uses if use.decision.role is Role.CUT]
                conflicts.append(make_conflict("parts", [name], cuts))
        return [tuple(names) for names in persons.values() if len(names) > 1]

    def _find(self, name: str) -> PieceState:
        piece = find_piece(name, self.base.n_frames)
        if piece is None:
            raise KeyError(name)
        resolved = self._resolved.get(piece.tracklet)
        return resolved.covered_by(piece)[0] if resolved else PieceState(name, piece)


def _find_rejected(decision: Decision, part: list[PieceState]) -> Conflict | None:
    """A conflict where `decision` is about a rejected piece, unless its reviewer rejected it later:
    that resolves it."""
    rejected = [state for state in part if state.status == REJECTED]
    if len(rejected) < len(part):
        return None
    by = [d for state in rejected for d in state.rejected_by]
    if any(d.reviewer == decision.reviewer and d.seq > decision.seq for d in by):
        return None
    return make_conflict("rejected", [state.name for state in rejected], [decision, *by])
