"""The state after all decisions: pieces and their status, merged tracklets, persons, conflicts."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lpw_toolkit.cleaning.log.pieces import Piece, find_piece, name_piece
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.conflicts import Conflict
from lpw_toolkit.cleaning.state.resolve import (
    OPEN,
    STATUSES,
    UNREVIEWED,
    PieceState,
    ResolvedTracklet,
)


@dataclass(frozen=True)
class State:
    """The state of a dataset under a set of decisions.

    Attributes:
        base: the tables.
        resolved: tracklets that any decision in force names; all others are one unreviewed piece.
        members: names of the pieces of each merged tracklet in temporal order, by the name of the
            first.
        groups: persons: names of merged tracklets (or pieces, where nothing is merged), sorted;
            only those of several.
        numbers: number of a person in its scene by merged tracklet, where one was assigned.
        conflicts: what is left open, sorted.
        undone: uuids of decisions that are undone.
        n_decisions: in force and undone.
        digest: of the dataset and the decisions (`log.Known`): what a decision names as `seen`.
    """

    base: Base
    resolved: Mapping[str, ResolvedTracklet]
    members: Mapping[str, tuple[str, ...]]
    groups: tuple[tuple[str, ...], ...]
    numbers: Mapping[str, int]
    conflicts: tuple[Conflict, ...]
    undone: frozenset[str]
    n_decisions: int
    digest: str

    def pieces_of(self, tracklet: str) -> tuple[PieceState, ...]:
        """The pieces of a tracklet of the dataset, in order. Errors: KeyError for an unknown
        one."""
        if tracklet in self.resolved:
            return self.resolved[tracklet].pieces
        piece = Piece(tracklet, 0, self.base.n_frames[tracklet])
        return (PieceState(name_piece(piece, piece.stop), piece),)

    def find(self, name: str) -> PieceState | None:
        """The piece called `name`; None if it does not exist now."""
        piece = find_piece(name, self.base.n_frames)
        found = (
            [state for state in self.pieces_of(piece.tracklet) if state.piece == piece]
            if piece
            else []
        )
        return found[0] if found else None

    def iter_pieces(self) -> Iterator[PieceState]:
        """Every piece, in the order of the table of tracklets."""
        for tracklet in self.base.tracklets:
            yield from self.pieces_of(tracklet)

    @cached_property
    def merged_into(self) -> dict[str, str]:
        """For every piece that is merged with others, the name of the merged tracklet (its first
        piece)."""
        return {name: first for first, names in self.members.items() for name in names}

    def parts_of(self, merged: str) -> tuple[PieceState, ...]:
        """The pieces of a merged tracklet in temporal order; one piece alone is its own. Errors:
        KeyError."""
        states = [self.find(name) for name in self.members.get(merged, (merged,))]
        if None in states:
            raise KeyError(merged)
        return tuple(state for state in states if state is not None)

    @cached_property
    def person_of(self) -> dict[str, int]:
        """For every merged tracklet that is linked with others, the place of its person in
        `groups`."""
        return {name: i for i, names in enumerate(self.groups) for name in names}

    def count_statuses(self) -> dict[str, int]:
        """Number of pieces of each status."""
        counts = Counter(
            piece.status for resolved in self.resolved.values() for piece in resolved.pieces
        )
        counts[UNREVIEWED] += len(self.base.tracklets) - len(self.resolved)
        return {status: counts[status] for status in STATUSES}

    @property
    def n_open(self) -> int:
        """Number of pieces that nobody has accepted or rejected."""
        counts = self.count_statuses()
        return sum(counts[status] for status in OPEN)

    def as_fields(self) -> dict[str, Any]:
        """All of the state but untouched tracklets, for machines; equal states have equal
        fields."""
        return {
            "pieces": {
                p.name: describe_piece(p)
                for _, s in sorted(self.resolved.items())
                for p in s.pieces
            },
            "merged": {first: list(names) for first, names in sorted(self.members.items())},
            "persons": [list(group) for group in self.groups],
            "numbers": dict(sorted(self.numbers.items())),
            "conflicts": [conflict.as_fields() for conflict in self.conflicts],
        }

    @cached_property
    def content_digest(self) -> str:
        """SHA-256 (hex) of `as_fields`: what the decisions come to, however they were made."""
        fields = self.as_fields()
        fields["clashes"] = [conflict.as_old_fields() for conflict in self.conflicts]
        del fields["conflicts"]  # the digest goes by the names and texts of earlier versions
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def describe_piece(piece: PieceState) -> dict[str, Any]:
    """One piece for machines; `dropped` as half-open ranges of positions."""
    return {
        "tracklet": piece.piece.tracklet,
        "start": piece.piece.start,
        "stop": piece.piece.stop,
        "status": piece.status,
        "reasons": list(piece.reasons),
        "dropped": to_ranges(piece.dropped),
        "flags": list(piece.flags),
        "comments": [list(comment) for comment in piece.comments],
        "reviewers": list(piece.reviewers),
    }


def to_ranges(positions: tuple[int, ...]) -> list[list[int]]:
    """Ascending positions as half-open ranges."""
    ranges: list[list[int]] = []
    for position in positions:
        if ranges and ranges[-1][1] == position:
            ranges[-1][1] += 1
        else:
            ranges.append([position, position + 1])
    return ranges
