"""Conflicts between decisions. A reviewer resolves each one by an undo; the program never does."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lpw_toolkit.cleaning.log.decisions import Decision

KINDS = {
    "uuid": "two decisions have one uuid",
    "unknown-tracklet": "the dataset has no such tracklet, or it has fewer frames",
    "undo-unknown": "the decision that is undone is in no log",
    "undo-circle": "undos that wait for each other",
    "outside": "frames or a cut outside the piece that is named",
    "gone": "the piece exists no more: a cut beside it was undone",
    "cut-dropped": "a cut at a frame that is dropped",
    "verdict": "two reviewers judge it differently",
    "frames": "one reviewer drops frames that another restores",
    "pair": "one reviewer says same person, another says not",
    "parts": "this tracklet was split later; choose which part is meant",
    "rejected": "it was rejected by another decision",
    "merge-overlap": "pieces that are merged share frames of the video",
    "merge-cameras": "pieces of two videos cannot be one tracklet",
    "not-same": "links make one person of two that are said not to be the same",
    "two-places": "one person at two places of one camera at one time",
    "two-numbers": "one person with two numbers",
}


_OLD_TEXTS = {"parts": "it was cut since: which part was meant?"}


@dataclass(frozen=True, order=True)
class Conflict:
    """Decisions that cannot all hold.

    Attributes:
        kind: a key of `KINDS`.
        pieces: names of the pieces or tracklets it is about, sorted.
        decisions: uuids, sorted.
    """

    kind: str
    pieces: tuple[str, ...]
    decisions: tuple[str, ...]

    @property
    def key(self) -> str:
        """An id that is the same as long as the conflict is: 16 hex letters."""
        return hashlib.sha256(repr((self.kind, self.pieces, self.decisions)).encode()).hexdigest()[
            :16
        ]

    def as_fields(self) -> dict[str, Any]:
        """The conflict for machines: key, kind, text, pieces, decisions."""
        lists = {"pieces": list(self.pieces), "decisions": list(self.decisions)}
        return {"key": self.key, "kind": self.kind, "text": KINDS[self.kind], **lists}

    def as_old_fields(self) -> dict[str, Any]:
        """As `as_fields`, with the text that digests of states are made of."""
        return self.as_fields() | {"text": _OLD_TEXTS.get(self.kind, KINDS[self.kind])}


def make_conflict(kind: str, pieces: Iterable[str], decisions: Iterable[Decision]) -> Conflict:
    """A conflict between `decisions` about `pieces`."""
    return Conflict(kind, tuple(sorted(set(pieces))), tuple(sorted({d.uuid for d in decisions})))
