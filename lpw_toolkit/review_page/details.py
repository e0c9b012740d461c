"""What the page shows of one tracklet beside its pieces: why it may be wrong, where to cut it, who
else it may be, and who it is already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lpw_toolkit.cleaning.log.pieces import find_piece
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.resolve import REJECTED, PieceState
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.review_page.suggestions import (
    Suggestions,
    choose_reasons,
    choose_tiles,
    list_candidates,
    list_reasons,
    suggest_cuts,
    suggest_drops,
    thin_signals,
)

MAX_THUMBS = 40  # tracklets of one picture of candidates
_N_MEMBERS = 20


@dataclass(frozen=True)
class Details:
    """Describes the tracklets of a dataset for the page.

    Args:
        base: the tables.
        suggestions: what `lpw clean --suggest` found.
    """

    base: Base
    suggestions: Suggestions

    def describe_signs(self, name: str) -> dict[str, Any]:
        """The signs of mistakes in one tracklet, and the frames that its sheet shows."""
        signs = self._find_signs(name)
        reasons, signals = choose_reasons(signs["reasons"]), thin_signals(signs["signals"])
        return signs | {"reasons": reasons, "signals": signals}

    def list_tiles(self, name: str) -> list[int]:
        """The frames that the sheet of a tracklet shows."""
        tiles: list[int] = self._find_signs(name)["tiles"]
        return tiles

    def _find_signs(self, name: str) -> dict[str, Any]:
        n_frames = self.base.n_frames[name]
        signals = self.suggestions.signals_of(name)
        reasons = list_reasons(self.suggestions, name)
        cuts = suggest_cuts(reasons, signals.get("change"), n_frames)
        drops = suggest_drops(reasons, n_frames)
        tiles, odd = choose_tiles(n_frames, cuts, drops, signals)
        return {"n_frames": n_frames, "tiles": tiles, "odd": odd, "reasons": reasons,
                "cuts": cuts, "drops": drops, "signals": signals}  # fmt: skip

    def describe_candidates(
        self, name: str, pieces: Mapping[str, Sequence[PieceState]], codes: Mapping[str, str]
    ) -> dict[str, Any]:
        """Candidates to merge with, and to link with.

        Args:
            pieces: of every candidate (`list_others`), as the reviewer is to see them.
            codes: status codes of the tracklets.
        """
        merges, across = list_candidates(self.suggestions, name)
        return {
            kind: [
                self._describe_candidate(name, entry, pieces[str(entry["id"])], is_merge=is_merge)
                | {"status_code": codes.get(str(entry["id"]), "u")}
                for entry in entries
            ]
            for kind, entries, is_merge in (("merges", merges, True), ("across", across, False))
        }

    def list_others(self, name: str) -> list[str]:
        """The tracklets that are candidates of one."""
        merges, across = list_candidates(self.suggestions, name)
        return [str(entry["id"]) for entry in (*merges, *across)]

    def _describe_candidate(
        self, name: str, entry: dict[str, Any], pieces: Sequence[PieceState], *, is_merge: bool
    ) -> dict[str, Any]:
        """A candidate, and which of its pieces is meant: the nearest in time for a merge, otherwise
        the first kept."""
        other = str(entry["id"])
        kept = [piece for piece in pieces if piece.status != REJECTED] or list(pieces)
        piece = kept[-1] if is_merge and self._is_before(other, name) else kept[0]
        return entry | {"piece": piece.name} | self._place(other)

    def _is_before(self, other: str, name: str) -> bool:
        mine, theirs = self.base.frame_numbers(name), self.base.frame_numbers(other)
        return mine is not None and theirs is not None and bool(theirs[0] < mine[0])

    def describe_people(self, state: State, name: str) -> list[dict[str, Any]]:
        """Who each piece of a tracklet is: its name, the pieces of the same person (merged with it,
        or linked), how many there are, and the numbers of the person."""
        return [self._describe_person(state, piece.name) for piece in state.pieces_of(name)]

    def _describe_person(self, state: State, piece: str) -> dict[str, Any]:
        leader = state.merged_into.get(piece, piece)
        merged = set(state.members.get(leader, ())) - {piece}
        group = state.groups[state.person_of[leader]] if leader in state.person_of else ()
        names = {member for each in group for member in state.members.get(each, (each,))}
        numbers = {state.numbers[each] for each in (leader, *group) if each in state.numbers}
        others = sorted((names | merged) - {piece})
        return {
            "piece": piece,
            "members": [
                {"name": other, "merged": other in merged} | self._place(other)
                for other in others[:_N_MEMBERS]
            ],
            "n_members": len(others),
            "numbers": sorted(numbers),
        }

    def _place(self, name: str) -> dict[str, Any]:
        """Number and camera of the tracklet of a piece."""
        found = find_piece(name, self.base.n_frames)
        tracklet = self.base.tracklets[found.tracklet if found else name]
        return {"n": tracklet.row, "camera": tracklet.camera_id}


def list_thumbs(fields: Mapping[str, Any]) -> list[int]:
    """The tracklets whose pictures stand beside one: its candidates and the rest of its person,
    each once."""
    members = [member for person in fields["people"] for member in person["members"]]
    numbers = [entry["n"] for entry in (*fields["merges"], *fields["across"], *members)]
    return list(dict.fromkeys(numbers))[:MAX_THUMBS]
