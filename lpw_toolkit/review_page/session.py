"""One review without its transport: the requests and decisions of the page, the queue and the
tracklets."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.log.log import request_of
from lpw_toolkit.cleaning.log.pieces import Piece, find_piece
from lpw_toolkit.cleaning.operation import IDENTITY, NOTES, VERDICTS, Role, load_operations
from lpw_toolkit.cleaning.state.conflicts import Conflict
from lpw_toolkit.cleaning.state.resolve import PieceState
from lpw_toolkit.cleaning.state.review import Review
from lpw_toolkit.cleaning.state.state import State, describe_piece
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.errors import LpwError
from lpw_toolkit.pages.sprites import sample_positions
from lpw_toolkit.review_page.camera_timeline import describe_timeline
from lpw_toolkit.review_page.comparison import Comparison
from lpw_toolkit.review_page.details import MAX_THUMBS, Details, list_thumbs
from lpw_toolkit.review_page.find import Searched, find_tracklets, parse_query
from lpw_toolkit.review_page.frame_sizes import FrameSizes
from lpw_toolkit.review_page.history import (
    PAGE,
    HistoryFilter,
    describe_decision,
    find_undos,
    sort_newest_first,
)
from lpw_toolkit.review_page.persons import VIEWS, list_persons
from lpw_toolkit.review_page.pictures import Pictures
from lpw_toolkit.review_page.review_queue import ReviewQueue
from lpw_toolkit.review_page.status_codes import (
    OPEN_CODES,
    find_outcome,
    find_status_code,
    has_flag,
)
from lpw_toolkit.review_page.suggestions import Suggestions
from lpw_toolkit.review_page.team_summary import summarise_team
from lpw_toolkit.review_page.video_frames import VideoFrames

_N_LAST = 50
N_FEW = 8
_N_OF_CONFLICT = 60


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
        self._queue = ReviewQueue(self._names, suggestions, seed)
        self._dataset = dataset
        self._lock = threading.Lock()
        self._alone = all(d.reviewer == review.log.reviewer for d in review.decisions.values())
        self._state = review.state
        self._is_stale = False
        self._arrived: list[Decision] = []  # of other reviewers, since the page was opened
        self._status_codes: dict[str, str] = {}
        self._flagged: set[str] = set()
        for name in self._state.resolved:
            self._look_again(name)
        self.pictures = Pictures(dataset, self._base)
        self._details = Details(self._base, suggestions)
        sizes = FrameSizes(dataset)
        self._comparison = Comparison(dataset, self._base, sizes)
        self.video_frames = VideoFrames(dataset, self._base, sizes)

    def start(self) -> dict[str, Any]:
        """All that the page needs to begin: tracklets by column, the queue, the last decisions."""
        queue = self.order()
        with self._lock:
            codes = self._list_codes()
            cameras = sorted({tracklet.camera_id for tracklet in self._base.tracklets.values()})
            place = {camera: i for i, camera in enumerate(cameras)}
            reviewer = self._review.log.reviewer
            return (
                {
                    "name": self._name,
                    "reviewer": reviewer,
                    "dataset": self._base.digest,
                    "ids": self._names,
                    "cameras": cameras,
                    "camera": [place[t.camera_id] for t in self._base.tracklets.values()],
                    "frames": list(self._base.n_frames.values()),
                    "repairs": self._review.repairs,
                    "operations": {n: o.as_fields() for n, o in load_operations().items()},
                    "has_suggestions": self._queue.has_suggestions,
                    "last": self._list_last(),
                    "spent": [d.spent_ms for d in self._review.log.decisions if d.role in VERDICTS][
                        -50:
                    ],
                }
                | codes
                | queue
            )

    def _list_last(self) -> list[dict[str, Any]]:
        undos = self._find_undos()
        kinds = (Role.CHECK, Role.UNDO)
        last = [d for d in self._review.log.decisions[-_N_LAST:] if d.role not in kinds]
        return [self._describe(decision, undos) for decision in reversed(last)]

    def _describe(self, decision: Decision, undos: dict[str, list[str]]) -> dict[str, Any]:
        return describe_decision(decision, undos, self._numbers, self._base.n_frames)

    def _find_undos(self) -> dict[str, list[str]]:
        return find_undos(self._review.decisions, self._current_state().undone)

    def list_history(self, wanted: HistoryFilter) -> dict[str, Any]:
        """Decisions of all logs, the newest first: one page of those that are wanted, how many
        these are, and what can be filtered by."""
        with self._lock:
            undos = self._find_undos()
            known = sort_newest_first(self._review.decisions)
            found = [decision for decision in known if wanted.fits(decision, undos)]
            page = found[wanted.offset : wanted.offset + PAGE]
            return {
                "n": len(found),
                "lines": [self._describe(decision, undos) for decision in page],
                "reviewers": sorted({decision.reviewer for decision in known}),
                "operations": sorted({decision.operation for decision in known}),
                "days": sorted({decision.time[:10] for decision in known}, reverse=True),
            }

    def find(self, text: str) -> dict[str, list[int]]:
        """The tracklets that fit a query (`find.parse_query`). Errors: LpwError for what it cannot
        mean."""
        query = parse_query(text)
        with self._lock:
            state = self._current_state()
            decisions = self._review.decisions
            searched = Searched(
                self._base.tracklets.values(),
                self._suggestions.tables.get("suggestions"),
                "".join(self._status_codes.get(name, "u") for name in self._names),
                [d for uuid, d in decisions.items() if uuid not in state.undone],
                state,
                dict(self._queue.risk),
                self._first_s,
            )
        return {"found": find_tracklets(query, searched)}

    @cached_property
    def _first_s(self) -> NDArray[np.float64]:
        return to_numpy(self._dataset.tracklets, "first_pts_s").astype(np.float64)

    def list_codes(self) -> dict[str, Any]:
        """The status codes of all tracklets, as `start` has them, and who is linked or flagged."""
        with self._lock:
            return self._list_codes()

    def _list_codes(self) -> dict[str, Any]:
        state = self._current_state()
        return {
            "status_codes": "".join(self._status_codes.get(name, "u") for name in self._names),
            "linked": sorted(self._find_linked()),
            "flagged": sorted(self._numbers[name] for name in self._flagged),
            "n_conflicts": len(state.conflicts),
        }

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
            codes = [self._status_codes.get(name, "u") for name in self._names]
            outcomes = {
                name: find_outcome(code, self._pieces_of(name))
                for name, code in self._status_codes.items()
                if code not in OPEN_CODES and name in self._queue.known
            }
        return self._queue.order(codes, outcomes)  # takes its time: decisions go on meanwhile

    def _pieces_of(self, tracklet: str) -> tuple[PieceState, ...]:
        """The pieces of a tracklet as this reviewer is to see them."""
        return self._review.pieces_of(tracklet)

    def _look_again(self, tracklet: str) -> None:
        """After a decision about a tracklet."""
        pieces = self._pieces_of(tracklet)
        self._status_codes[tracklet] = find_status_code(pieces)
        self._flagged.discard(tracklet)
        if has_flag(pieces):
            self._flagged.add(tracklet)

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
                self._look_again(name)
            return {
                "uuid": decision.uuid,
                "seq": decision.seq,
                "digest": saved.digest,
                "n_decisions": len(self._review.log.decisions),
                "touched": [self._describe_pieces(name) for name in touched],
            }

    def list_changes(self, since: int) -> dict[str, Any]:
        """What other reviewers have decided while the page is open: the tracklets that their
        decisions touch, from the one numbered `since` on.

        Returns:
            `n`: how many such decisions there are so far, to be asked for from there the next
            time. `touched`: as `decide` has it. `by`: number of the decisions by reviewer.
        """
        with self._lock:
            new = self._review.take_in_others()
            self._arrived += new
            self._is_stale |= bool(new)
            self._alone &= not new
            for name in {name for decision in new for name in self._list_touched(decision)}:
                self._look_again(name)
            told = self._arrived[since:]
            names = dict.fromkeys(name for d in told for name in self._list_touched(d))
            return {
                "n": len(self._arrived),
                "touched": [self._describe_pieces(name) for name in names],
                "by": dict(Counter(decision.reviewer for decision in told)),
                "n_conflicts": len(self._current_state().conflicts) if told else None,
            }

    def list_persons(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of the persons (`persons.list_persons`). Errors: LpwError for another view."""
        view, offset = query.get("view", "all"), query.get("offset", "0")
        if view not in VIEWS or not (offset.isascii() and offset.isdigit()):
            raise LpwError("persons", f"{dict(query)!r:.80}", "a view of them", "reload the page")
        with self._lock:
            is_reviewed = {n for n, code in self._status_codes.items() if code in "ae"}
            return list_persons(self._base, self._current_state(), self._suggestions,
                                is_reviewed.__contains__, int(offset[:8]),
                                alone=view == "alone")  # fmt: skip

    def describe_team(self) -> dict[str, Any]:
        """Who has done what, and how far each camera is (`team_summary.summarise_team`)."""
        with self._lock:
            codes = {name: self._status_codes.get(name, "u") for name in self._names}
            return summarise_team(self._base, list(self._review.decisions.values()),
                                  self._current_state(), codes)  # fmt: skip

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
            "n_known": len(self._review.decisions),
            "flag_decisions": [
                [use.decision.value, use.decision.uuid, use.piece.start, use.piece.stop]
                for use in self._review.uses_of(name)
                if use.decision.role is Role.FLAG
            ],
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
            return [self._describe_conflict(conflict) for conflict in state.conflicts[:200]]

    def _describe_conflict(self, conflict: Conflict) -> dict[str, Any]:
        known = [
            self._review.decisions[uuid]
            for uuid in conflict.decisions
            if uuid in self._review.decisions
        ]
        pieces = [find_piece(name, self._base.n_frames) for name in conflict.pieces]
        numbers = [self._numbers[piece.tracklet] for piece in pieces if piece]
        described = [self._describe(decision, {}) for decision in known[:_N_OF_CONFLICT]]
        return conflict.as_fields() | {"n": numbers[0] if numbers else None, "decisions": described}

    def describe(self, number: int) -> dict[str, Any]:
        """One tracklet: its pieces, what is suspicious about it, who it may be. Errors:
        IndexError."""
        name = self._names[number]
        fields = self._details.describe_signs(name)
        with self._lock:
            pieces = {other: self._pieces_of(other) for other in self._details.list_others(name)}
            state = self._current_state()
            fields |= self._describe_pieces(name)
            fields |= self._details.describe_candidates(name, pieces, self._status_codes)
            fields["people"] = self._details.describe_people(state, name)
            fields["n_conflicts"] = len(state.conflicts)
        thumbs = list_thumbs(fields)
        return fields | {
            "id": name,
            "camera": self._base.tracklets[name].camera_id,
            "tile_px": self.pictures.width_of(number, fields["tiles"]),
            "thumbs": thumbs,
            "thumb_px": self.pictures.width_of_several(thumbs),
        }

    def compare(self, one: Piece, other: Piece) -> dict[str, Any]:
        """Two pieces beside each other (`Comparison.compare`)."""
        return self._comparison.compare(one, other)

    def describe_timeline(self, place: int) -> dict[str, Any]:
        """All tracklets of a camera over time (`camera_timeline.describe_timeline`). Errors:
        IndexError."""
        cameras = sorted({tracklet.camera_id for tracklet in self._base.tracklets.values()})
        return describe_timeline(self._dataset, self._base, cameras[place])

    def piece_of(self, number: int, start: int, stop: int) -> Piece:
        """The frames `start` to `stop` (half-open) of a tracklet. Errors: IndexError."""
        name = self._names[number]
        if not 0 <= start < stop <= self._base.n_frames[name]:
            raise IndexError(start)
        return Piece(name, start, stop)

    def draw_sheet(self, number: int) -> bytes:
        """JPEG of the tiles of `describe`. Errors: IndexError."""
        return self.pictures.draw(number, self._details.list_tiles(self._names[number]))

    def draw_few(self, number: int) -> bytes:
        """JPEG of a few frames of a tracklet. Errors: IndexError."""
        return self.pictures.draw(
            number, sample_positions(self._base.n_frames[self._names[number]], N_FEW)
        )

    def draw_frames(self, number: int, start: int, stop: int) -> bytes:
        """JPEG of the frames `start` to `stop` (half-open), side by side. Errors: IndexError."""
        self.piece_of(number, start, stop)
        return self.pictures.draw(number, range(start, stop))

    def draw_large(self, number: int, *positions: int) -> bytes:
        """JPEG of these frames, side by side, at about their own size. Errors: IndexError."""
        if max(positions) >= self._base.n_frames[self._names[number]]:
            raise IndexError(max(positions))
        return self.pictures.draw_large(number, positions)

    def draw_several(self, *numbers: int) -> bytes:
        """JPEG of two frames of each of these tracklets, side by side. Errors: IndexError."""
        if len(numbers) > MAX_THUMBS or max(numbers) >= len(self._base.n_frames):
            raise IndexError(max(numbers))
        return self.pictures.draw_several(numbers)
