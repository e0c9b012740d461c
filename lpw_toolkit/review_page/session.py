"""One review without its transport: the requests and decisions of the page, the queue and the
tracklets."""

import threading
from collections.abc import Iterable
from typing import Any

from lpw_toolkit.cleaning.log.decisions import RULE_PREFIX, Decision
from lpw_toolkit.cleaning.log.log import request_of
from lpw_toolkit.cleaning.log.pieces import find_piece
from lpw_toolkit.cleaning.operation import IDENTITY, NOTES, VERDICTS, Role, load_operations
from lpw_toolkit.cleaning.state.conflicts import Conflict
from lpw_toolkit.cleaning.state.resolve import ACCEPTED, EDITED, REJECTED, UNREVIEWED, PieceState
from lpw_toolkit.cleaning.state.review import Review
from lpw_toolkit.cleaning.state.state import State, describe_piece
from lpw_toolkit.cleaning.suggest.queue import QueueFeatures, order, prepare_features
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.pages.sprites import sample_positions
from lpw_toolkit.review_page.pictures import Pictures
from lpw_toolkit.review_page.suggestions import (
    Suggestions,
    choose_tiles,
    list_candidates,
    list_reasons,
    suggest_cuts,
    suggest_drops,
    thin_signals,
)

#: One character for each tracklet: all rejected, edited in part, accepted, unsure, not reviewed.
STATUS_CODES = {REJECTED: "r", EDITED: "e", ACCEPTED: "a", UNREVIEWED: "u"}
UNSURE = "unsure"  # the flag of reviewers who cannot decide
_N_LAST = 50
N_FEW = 8
_N_MEMBERS = 9


def find_status_code(pieces: tuple[PieceState, ...]) -> str:
    """The status_code of a tracklet of these pieces."""
    statuses = {piece.status for piece in pieces}
    if UNREVIEWED in statuses:
        return "?" if all(UNSURE in p.flags for p in pieces if p.status == UNREVIEWED) else "u"
    return STATUS_CODES[statuses.pop()] if len(statuses) == 1 else "e"


class ReviewSession:
    """One reviewer's work on a dataset; every method may be called from any thread.

    Args:
        dataset: the dataset under review.
        review: open for decisions.
        suggestions: suggestions.
        seed: of the places of the queue that are drawn at random.
    """

    def __init__(
        self, dataset: Dataset, review: Review, suggestions: Suggestions, seed: int = 0
    ) -> None:
        self._review, self._suggestions, self._name = review, suggestions, dataset.name
        self._base = review.base
        self._names = list(self._base.tracklets)
        self._numbers = {name: i for i, name in enumerate(self._names)}
        self._features: QueueFeatures | None = None
        if "suggestions" in suggestions.tables and suggestions.tables["suggestions"].num_rows:
            self._features = prepare_features(suggestions.tables["suggestions"], seed)
        self._lock = threading.Lock()
        self._has_rules = any(d.is_by_rule for d in review.decisions.values())
        self._alone = all(d.reviewer == review.log.reviewer for d in review.decisions.values())
        self._state = review.state
        self._is_stale = False
        self._status_codes = {name: self._find_status_code(name) for name in self._state.resolved}
        self.pictures = Pictures(dataset, self._base)

    def start(self) -> dict[str, Any]:
        """All that the page needs to begin: tracklets by column, the queue, the last decisions."""
        queue = self.order()
        with self._lock:
            cameras = sorted({tracklet.camera_id for tracklet in self._base.tracklets.values()})
            place = {camera: i for i, camera in enumerate(cameras)}
            reviewer = self._review.log.reviewer
            return {
                "name": self._name,
                "reviewer": reviewer,
                "dataset": self._base.digest,
                "ids": self._names,
                "cameras": cameras,
                "camera": [place[t.camera_id] for t in self._base.tracklets.values()],
                "frames": list(self._base.n_frames.values()),
                "status_codes": "".join(self._status_codes.get(name, "u") for name in self._names),
                "repairs": self._review.repairs,
                "operations": {n: o.as_fields() for n, o in load_operations().items()},
                "has_suggestions": self._features is not None,
                "last": self._list_last(),
                "spent": [d.spent_ms for d in self._review.log.decisions if d.role in VERDICTS][
                    -50:
                ],
                "linked": sorted(self._find_linked()),
                "n_conflicts": len(self._current_state().conflicts),
            } | queue

    def _list_last(self) -> list[dict[str, Any]]:
        undone = self._current_state().undone
        last = [d for d in self._review.log.decisions[-_N_LAST:] if d.role is not Role.CHECK]
        return [self._describe(decision, undone) for decision in reversed(last)]

    def _describe(self, decision: Decision, undone: frozenset[str]) -> dict[str, Any]:
        pieces = [find_piece(name, self._base.n_frames) for name in decision.tracklets]
        numbers = [self._numbers[piece.tracklet] for piece in pieces if piece]
        return {
            "uuid": decision.uuid,
            "operation": decision.operation,
            "tracklets": list(decision.tracklets),
            "arguments": decision.arguments,
            "reviewer": decision.reviewer,
            "n": numbers[0] if numbers else None,
            "undone": decision.uuid in undone,
        }

    def list_linked(self) -> list[int]:
        """The tracklets that a decision in force gives to a person."""
        with self._lock:
            return sorted(self._find_linked())

    def _find_linked(self) -> set[int]:
        state = self._current_state()
        named = [
            d
            for d in self._review.decisions.values()
            if d.role in IDENTITY and d.uuid not in state.undone
        ]
        pieces = (
            find_piece(name, self._base.n_frames)
            for d in named
            # an unlink links its first tracklet alone: it does not say who the others are
            for name in d.tracklets[: 1 if d.role is Role.DIFFERENT else None]
        )
        return {self._numbers[piece.tracklet] for piece in pieces if piece}

    def order(self) -> dict[str, Any]:
        """The queue as it is now: the numbers of what is left, the next first, and how much has
        been found."""
        with self._lock:
            status_codes = [self._status_codes.get(name, "u") for name in self._names]
            outcomes = self._list_outcomes()
        left = [i for i, status_code in enumerate(status_codes) if status_code == "u"]
        if self._features is None:
            return {
                "order": left,
                "chances": [],
                "random": [],
                "estimate": "no suggestions yet, so no estimate of how many mistakes are left",
            }
        found = order(self._features, outcomes)  # takes its time: decisions go on meanwhile
        numbers = [self._numbers[name] for name in found.tracklet_ids]
        ordered = set(numbers)
        rest = [number for number in left if number not in ordered]
        return {
            "order": numbers + rest,
            "chances": [round(chance, 3) for chance in found.chances.tolist()] + [0.0] * len(rest),
            "random": [
                number
                for number, is_random in zip(numbers, found.at_random.tolist(), strict=True)
                if is_random
            ],
            "estimate": found.estimate.describe(),
        }

    def _list_outcomes(self) -> dict[str, str]:
        """What the decided tracklets were, for the queue."""
        known = set(self._features.names) if self._features else set()
        outcomes = {"a": "clean", "e": "error", "r": "error", "?": "unsure"}
        decided = {
            name: outcomes[status_code]
            for name, status_code in self._status_codes.items()
            if status_code != "u" and name in known
        }
        decided |= {
            name: "clean"
            for name, outcome in decided.items()
            if outcome == "error" and self._is_whole(name)
        }
        return decided | {
            name: "unsure" for name in decided if self._has_rules and self._is_by_rules(name)
        }

    def _is_by_rules(self, tracklet: str) -> bool:
        """Whether rules alone have judged a tracklet: that teaches nothing about people's
        judgement."""
        by = [who for piece in self._pieces_of(tracklet) for who in piece.reviewers]
        return bool(by) and all(who.startswith(RULE_PREFIX) for who in by)

    def _is_whole(self, tracklet: str) -> bool:
        """Whether a tracklet is uncut, keeps all frames and is not rejected: a merge is no error of
        its own."""
        pieces = self._pieces_of(tracklet)
        return len(pieces) == 1 and not pieces[0].dropped and pieces[0].status != REJECTED

    def _pieces_of(self, tracklet: str) -> tuple[PieceState, ...]:
        """The pieces of a tracklet as this reviewer is to see them."""
        return self._review.pieces_of(tracklet)

    def _find_status_code(self, tracklet: str) -> str:
        return find_status_code(self._pieces_of(tracklet))

    def decide(self, entry: object) -> dict[str, Any]:
        """Makes the decision that a page sent durable; its line is on the disk when this returns.

        Errors: LpwError: with an OSError as its cause where the system refuses, otherwise for a
        wrong decision.
        """
        request = request_of(entry)
        with self._lock:
            saved = self._review.decide(request)
            decision = saved.decision
            self._is_stale |= decision.role not in NOTES or not self._alone
            touched = list(dict.fromkeys(self._list_touched(decision)))
            for name in touched:
                self._status_codes[name] = self._find_status_code(name)
            return {
                "uuid": decision.uuid,
                "seq": decision.seq,
                "digest": saved.digest,
                "n_decisions": len(self._review.log.decisions),
                "touched": [self._describe_pieces(name) for name in touched],
            }

    def _list_touched(self, decision: Decision) -> Iterable[str]:
        """Tracklets that a decision is about; an undo is about what it undoes, through undos of
        undos."""
        seen: set[str] = set()
        while decision.role is Role.UNDO and decision.uuid not in seen:
            seen.add(decision.uuid)
            decision = self._review.decisions[str(decision.value)]
        pieces = (find_piece(name, self._base.n_frames) for name in decision.tracklets)
        return (piece.tracklet for piece in pieces if piece)

    def _describe_pieces(self, name: str) -> dict[str, Any]:
        pieces = [{"name": p.name, **describe_piece(p)} for p in self._pieces_of(name)]
        return {
            "n": self._numbers[name],
            "status_code": self._status_codes.get(name, "u"),
            "pieces": pieces,
        }

    def _current_state(self) -> State:
        if self._is_stale:
            self._state, self._is_stale = self._review.state, False
        return self._state

    def list_conflicts(self) -> list[dict[str, Any]]:
        """What is left open, each with the decisions that make it: one of them wants to be
        undone."""
        with self._lock:
            if not self._alone:
                self._is_stale = True
            state = self._current_state()
            return [self._describe_conflict(conflict, state) for conflict in state.conflicts[:200]]

    def _describe_conflict(self, conflict: Conflict, state: State) -> dict[str, Any]:
        known = [
            self._review.decisions[uuid]
            for uuid in conflict.decisions
            if uuid in self._review.decisions
        ]
        pieces = [find_piece(name, self._base.n_frames) for name in conflict.pieces]
        numbers = [self._numbers[piece.tracklet] for piece in pieces if piece]
        described = [self._describe(decision, state.undone) for decision in known[:9]]
        return conflict.as_fields() | {"n": numbers[0] if numbers else None, "decisions": described}

    def describe(self, number: int) -> dict[str, Any]:
        """One tracklet: its pieces, what is suspicious about it, who it may be. Errors:
        IndexError."""
        name = self._names[number]
        known = self._base.tracklets[name]
        signals = self._suggestions.signals_of(name)
        reasons = list_reasons(self._suggestions, name)
        cuts = suggest_cuts(reasons, signals.get("change"), known.n_frames)
        drops = suggest_drops(reasons, known.n_frames)
        tiles, odd = choose_tiles(known.n_frames, cuts, drops, signals)
        merges, across = list_candidates(self._suggestions, name)
        with self._lock:
            merges = [self._describe_candidate(known.row, entry, merge=True) for entry in merges]
            across = [self._describe_candidate(known.row, entry, merge=False) for entry in across]
            fields = (
                self._describe_pieces(name)
                | self._describe_person(name)
                | {"n_conflicts": len(self._current_state().conflicts)}
            )
        thumbs = [entry["n"] for entry in (*merges, *across, *fields["members"])]
        return fields | {
            "id": name,
            "camera": known.camera_id,
            "n_frames": known.n_frames,
            "tiles": tiles,
            "odd": odd,
            "tile_px": self.pictures.width_of(number, tiles),
            "reasons": reasons,
            "cuts": cuts,
            "drops": drops,
            "signals": thin_signals(signals),
            "merges": merges,
            "across": across,
            "thumb_px": self.pictures.width_of_several(thumbs),
        }

    def _describe_person(self, name: str) -> dict[str, Any]:
        """Who a tracklet is: the other tracklets of its person, and those it is merged with."""
        state = self._current_state()
        own = [piece.name for piece in state.pieces_of(name)]
        merged = {
            member
            for piece in own
            for member in state.members.get(state.merged_into.get(piece, ""), ())
        }
        leaders = {state.merged_into.get(piece, piece) for piece in own}
        groups = [
            state.groups[state.person_of[leader]] for leader in leaders if leader in state.person_of
        ]
        names = {
            member
            for group in groups
            for leader in group
            for member in state.members.get(leader, (leader,))
        }
        numbers = {
            state.numbers[leader] for group in groups for leader in group if leader in state.numbers
        }
        numbers |= {state.numbers[leader] for leader in leaders if leader in state.numbers}
        others = sorted((names | merged) - set(own))
        members = [
            {"name": other, "merged": other in merged} | self._place(other)
            for other in others[:_N_MEMBERS]
        ]
        return {"members": members, "n_members": len(others), "persons": sorted(numbers)}

    def _place(self, piece: str) -> dict[str, Any]:
        found = find_piece(piece, self._base.n_frames)
        tracklet = self._base.tracklets[found.tracklet if found else piece]
        return {"n": tracklet.row, "camera": tracklet.camera_id}

    def _describe_candidate(
        self, number: int, entry: dict[str, Any], *, merge: bool
    ) -> dict[str, Any]:
        """A candidate, and which of its pieces is meant: the nearest in time for a merge, otherwise
        the first kept."""
        other = str(entry["id"])
        pieces = self._pieces_of(other)
        kept = [piece for piece in pieces if piece.status != REJECTED] or list(pieces)
        piece = kept[-1] if merge and self._is_before(other, self._names[number]) else kept[0]
        status_code = self._status_codes.get(other, "u")
        return entry | {"piece": piece.name, "status_code": status_code} | self._place(other)

    def _is_before(self, other: str, name: str) -> bool:
        mine, theirs = self._base.frame_numbers(name), self._base.frame_numbers(other)
        return mine is not None and theirs is not None and bool(theirs[0] < mine[0])

    def draw_sheet(self, number: int) -> bytes:
        """JPEG of the tiles of `describe`. Errors: IndexError."""
        name = self._names[number]
        n_frames = self._base.n_frames[name]
        signals = self._suggestions.signals_of(name)
        reasons = list_reasons(self._suggestions, name)
        cuts = suggest_cuts(reasons, signals.get("change"), n_frames)
        return self.pictures.draw(
            number, choose_tiles(n_frames, cuts, suggest_drops(reasons, n_frames), signals)[0]
        )

    def draw_few(self, number: int) -> bytes:
        """JPEG of a few frames of a tracklet. Errors: IndexError."""
        return self.pictures.draw(
            number, sample_positions(self._base.n_frames[self._names[number]], N_FEW)
        )

    def draw_frames(self, number: int, start: int, stop: int) -> bytes:
        """JPEG of the frames `start` to `stop` (half-open), side by side. Errors: IndexError."""
        if not 0 <= start < stop <= self._base.n_frames[self._names[number]]:
            raise IndexError(start)
        return self.pictures.draw(number, range(start, stop))

    def draw_candidates(self, number: int) -> bytes:
        """JPEG of the candidates of `describe` and of the members of the person. Errors:
        IndexError."""
        name = self._names[number]
        merges, across = list_candidates(self._suggestions, name)
        with self._lock:
            members = [member["n"] for member in self._describe_person(name)["members"]]
        numbers = [self._numbers[str(entry["id"])] for entry in (*merges, *across)] + members
        if not numbers:
            raise IndexError(number)
        return self.pictures.draw_several(numbers)
