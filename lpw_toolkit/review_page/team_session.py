"""A review session of a team: each reviewer's share of the tracklets, the shared ones, and
attention checks.

Shared tracklets are shown to each reviewer as unreviewed: agreement means nothing where reviewers
see each other's decisions.
"""

import threading
from typing import Any

import numpy as np

from lpw_toolkit.cleaning.agreement import compare_reviewers
from lpw_toolkit.cleaning.log.log import request_of
from lpw_toolkit.cleaning.log.pieces import Piece, find_piece
from lpw_toolkit.cleaning.state.resolve import PieceState
from lpw_toolkit.cleaning.state.review import Review
from lpw_toolkit.cleaning.state.state import describe_piece
from lpw_toolkit.cleaning.team import Team
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.pages.sprites import sample_positions
from lpw_toolkit.review_page.attention import Attention, splice
from lpw_toolkit.review_page.session import N_FEW, ReviewSession
from lpw_toolkit.review_page.status_codes import OPEN_CODES, find_status_code
from lpw_toolkit.review_page.suggestions import (
    Suggestions,
    choose_reasons,
    choose_tiles,
    list_reasons,
    suggest_cuts,
    thin_signals,
)

#: The status_code of a tracklet of another reviewer.
OTHERS = "o"


class TeamReviewSession(ReviewSession):
    """As `ReviewSession`; its numbers go on behind the tracklets with the checks.

    Args:
        team: which tracklets each reviewer gets.
        checks_frac: attention checks for each tracklet.
    """

    def __init__(
        self,
        dataset: Dataset,
        review: Review,
        suggestions: Suggestions,
        seed: int,
        team: Team,
        checks_frac: float,
    ) -> None:
        self._reviewer = review.log.reviewer
        self._shared = {name for name in review.base.tracklets if team.is_shared(name)}
        self._mine = {name for name in review.base.tracklets if team.looks_at(self._reviewer, name)}
        pieces = (
            find_piece(name, review.base.n_frames)
            for d in review.log.decisions
            for name in d.tracklets
        )
        self._own = {piece.tracklet for piece in pieces if piece}
        spliced = splice(review.base, checks_frac, self._reviewer) if checks_frac else []
        self._attention = Attention(review.base, spliced, review.log.decisions)
        self._turns = threading.Lock()
        super().__init__(dataset, review, suggestions, seed)
        self._verdicts: dict[str, list[list[str]]] = {}
        for pair in compare_reviewers(review.base, list(review.decisions.values())):
            for tracklet, *verdicts in pair.different:
                said = self._verdicts.setdefault(tracklet, [])
                said += [
                    list(each)
                    for each in zip(pair.reviewers, verdicts, strict=True)
                    if list(each) not in said
                ]

    def _pieces_of(self, tracklet: str) -> tuple[PieceState, ...]:
        if tracklet in self._shared and tracklet not in self._own:
            return (PieceState(tracklet, Piece(tracklet, 0, self._base.n_frames[tracklet])),)
        return super()._pieces_of(tracklet)

    def start(self) -> dict[str, Any]:
        """As `ReviewSession.start`, with the checks, and what reviewers judge differently."""
        found = super().start()
        spliced, numbers = self._attention.spliced, range(len(self._attention))
        return found | {
            "ids": [*found["ids"], *(each.name for each in spliced)],
            "camera": found["camera"]
            + [found["cameras"].index(self._attention.camera_of(k)) for k in numbers],
            "frames": found["frames"] + [each.n_frames for each in spliced],
            "differ": [self._numbers[name] for name in self._verdicts],
        }

    def _describe_pieces(self, name: str) -> dict[str, Any]:
        found = super()._describe_pieces(name)
        is_other = found["status_code"] in OPEN_CODES and name not in self._mine
        return found | ({"status_code": OTHERS} if is_other else {})

    def _list_codes(self) -> dict[str, Any]:
        found = super()._list_codes()
        codes = [
            OTHERS if status_code in OPEN_CODES and name not in self._mine else status_code
            for status_code, name in zip(found["status_codes"], self._names, strict=True)
        ]
        checks = range(len(self._attention))
        codes += ["a" if self._attention.is_done(k) else "u" for k in checks]
        return found | {"status_codes": "".join(codes)}

    def order(self) -> dict[str, Any]:
        """As `ReviewSession.order`, of what this reviewer looks at, with a check every so often."""
        found = super().order()
        with self._lock:
            n_done = sum(
                name in self._mine and status_code not in OPEN_CODES
                for name, status_code in self._status_codes.items()
            )
        pairs = [
            (number, chance)
            for number, chance in zip(
                found["order"], found["chances"] or [0.0] * len(found["order"]), strict=True
            )
            if self._names[number] in self._mine
        ]
        with self._turns:
            waiting = [k for k in range(len(self._attention)) if not self._attention.is_done(k)]
            n_done += len(self._attention) - len(waiting)
        every = max(2, len(self._names) // max(len(self._attention), 1))
        woven: list[tuple[int, float]] = []
        for pair in pairs:
            if waiting and (n_done + len(woven)) % every == every // 2:
                woven.append((len(self._names) + waiting.pop(0), pair[1]))
            woven.append(pair)
        woven += [(len(self._names) + k, 0.0) for k in waiting]
        kept = {number for number, _ in woven}
        return found | {
            "order": [number for number, _ in woven],
            "chances": [chance for _, chance in woven] if found["chances"] else [],
            "random": [number for number in found["random"] if number in kept],
        }

    def decide(self, entry: object) -> dict[str, Any]:
        """As `ReviewSession.decide`; a check that is judged becomes a `check` line."""
        request = request_of(entry)
        if not self._attention.is_about(request):
            pieces = (find_piece(name, self._base.n_frames) for name in request.tracklets)
            self._own |= {piece.tracklet for piece in pieces if piece}
            return super().decide(entry)
        others = [name for name in request.tracklets if not self._attention.find(name)]
        with self._turns:
            checks, lines = self._attention.decide(request, self._reviewer)
            with self._lock:
                for line in lines:
                    self._review.decide(line)
                n_decisions = len(self._review.log.decisions)
            touched = [self._describe_check(name) for name in checks]
        answer: dict[str, Any] = {"uuid": request.uuid, "n_decisions": n_decisions}
        if others and isinstance(entry, dict):
            answer = self.decide(entry | {"tracklets": others})
            touched = answer["touched"] + touched
        return answer | {"touched": touched}

    def _describe_check(self, name: str) -> dict[str, Any]:
        pieces = self._attention.pieces_of(name)
        number = self._attention.numbers[name]
        status_code = "a" if self._attention.is_done(number) else find_status_code(pieces)
        described = [{"name": piece.name, **describe_piece(piece)} for piece in pieces]
        return {
            "n": len(self._names) + number,
            "status_code": status_code,
            "pieces": described,
            "n_known": self._attention.n_decisions,
            "flag_decisions": [],
        }

    def describe(self, number: int) -> dict[str, Any]:
        """As `ReviewSession.describe`, with the verdicts of reviewers who differ. Errors:
        IndexError."""
        if number < len(self._names):
            return super().describe(number) | {
                "verdicts": self._verdicts.get(self._names[number], [])
            }
        k = number - len(self._names)
        spliced = self._attention.spliced[k]
        parts = [(self._suggestions.signals_of(part.tracklet), part) for part in spliced.parts]
        signals = {
            name: np.concatenate([found[name][part.start : part.stop] for found, part in parts])
            for name in (parts[0][0] if parts[1][0] else {})
        }
        reasons = choose_reasons(list_reasons(self._suggestions, spliced.parts[0].tracklet))
        tiles = self._choose_tiles(k)
        with self._turns:
            fields = self._describe_check(spliced.name)
        return fields | {
            "id": spliced.name,
            "camera": self._attention.camera_of(k),
            "n_frames": spliced.n_frames,
            "tiles": tiles,
            "odd": [],
            "tile_px": self.pictures.width_of_rows(self._attention.rows(k, tiles)),
            "reasons": [reason | {"first": None, "end": None} for reason in reasons],
            "cuts": suggest_cuts([], None, spliced.n_frames),
            "drops": [],
            "signals": thin_signals(signals),
            "merges": [],
            "across": [],
            "people": [],
            "n_conflicts": 0,
            "thumbs": [],
            "thumb_px": 0,
            "verdicts": [],
        }

    def _choose_tiles(self, k: int) -> list[int]:
        n = self._attention.spliced[k].n_frames
        return choose_tiles(n, suggest_cuts([], None, n), [], {})[0]

    def _draw_check(self, number: int, positions: list[int] | None = None) -> bytes:
        k = number - len(self._names)
        found = self._choose_tiles(k) if positions is None else positions
        return self.pictures.draw_rows(self._attention.rows(k, found))

    def draw_sheet(self, number: int) -> bytes:
        """As `ReviewSession.draw_sheet`."""
        return super().draw_sheet(number) if number < len(self._names) else self._draw_check(number)

    def draw_few(self, number: int) -> bytes:
        """As `ReviewSession.draw_few`."""
        if number < len(self._names):
            return super().draw_few(number)
        n = self._attention.spliced[number - len(self._names)].n_frames
        return self._draw_check(number, sample_positions(n, N_FEW))

    def draw_frames(self, number: int, start: int, stop: int) -> bytes:
        """As `ReviewSession.draw_frames`."""
        if number < len(self._names):
            return super().draw_frames(number, start, stop)
        return self._draw_check(number, list(range(start, stop)))
