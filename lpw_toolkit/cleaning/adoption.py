"""Decisions on one dataset hold on another version of it, by the identity of tracklets and nothing
else.

log of the parent --same tracklets: same id, same images, same frames--> log of the child

A log is chained to the digest of its dataset, so its lines are chained anew: uuid, time, reviewer,
what was decided and the state that was seen stay as they were. `cleanup/adopted.json` says where
they come from, and which decisions were left out.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit.cleaning.log.decision_set import merge_folder, read_folder, take_in_logs
from lpw_toolkit.cleaning.log.decisions import Decision, format_line, parse_line
from lpw_toolkit.cleaning.log.log import SUFFIX, ParsedLog
from lpw_toolkit.cleaning.log.pieces import Piece, find_piece, name_piece
from lpw_toolkit.cleaning.operation import Role
from lpw_toolkit.cleaning.state.base_tables import Base, read_base
from lpw_toolkit.cleaning.state.review import log_folder, read_digest
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.manifest import MANIFEST, name_parent, read_manifest
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.errors import LpwError, MismatchError, join_names
from lpw_toolkit.files.opening import exists, is_file, read_json
from lpw_toolkit.files.writing import atomic_write_text, describe_os_error

PROVENANCE = "adopted.json"
_SHOWN = 5
_NOTES, _DO = "notes on adopted decisions", "move it out of the folder, and adopt them again"


@dataclass(frozen=True)
class LeftOut:
    """A decision that does not hold on the child.

    Attributes:
        decision: as the parent's log has it.
        reason: why, naming the tracklet.
    """

    decision: Decision
    reason: str

    def __str__(self) -> str:
        about = join_names(self.decision.tracklets, 3)
        named = f"{self.decision.operation} {about}".strip()
        return f"{named} (by {self.decision.reviewer}): {self.reason}"


@dataclass
class Adopted:
    """What came of the decisions on a parent.

    Attributes:
        parent: its name.
        n_decisions, n_carried: how many its logs hold, and how many hold on the child.
        left_out: the others.
        logs: what became of each log, in words.
    """

    parent: str
    n_decisions: int = 0
    n_carried: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """All of it for people; nothing where there was no decision."""
        if not self.n_decisions:
            return []
        rest = len(self.left_out) - _SHOWN
        more = [f"not carried: {rest:,} more, see cleanup/{PROVENANCE}"] if rest > 0 else []
        first = f"{self.n_carried:,} of {self.n_decisions:,} decisions on {self.parent} carry over"
        return [first, *(f"not carried: {one}" for one in self.left_out[:_SHOWN]), *more]


def adopt_decisions(
    parent: Dataset,
    child: Dataset,
    elsewhere: Path | None = None,
    names: Mapping[str, str] | None = None,
) -> Adopted:
    """Takes the decisions on `parent` into the logs of `child`, as far as they are about tracklets
    that are the same in both. Again, it adds only what has come since.

    Args:
        elsewhere: folder of the logs of `child`, where it cannot be written to.
        names: tracklets of `parent` that have another id in `child`.

    Errors: MismatchError for logs that are not what they were when they were written; LpwError
    where a reviewer is at work on a log of `child`.
    """
    logs = read_folder(log_folder(parent), read_digest(parent))
    adopted = Adopted(parent.name, sum(len(log.decisions) for log in logs))
    if not adopted.n_decisions:
        return adopted
    translation = _Translation(read_base(parent), read_base(child), names or {})
    translation.compare(parent, child)
    reasons = translation.find_reasons(d for log in logs for d in log.decisions)
    adopted.left_out = [
        LeftOut(d, reasons[d.uuid]) for log in logs for d in log.decisions if d.uuid in reasons
    ]
    adopted.n_carried = adopted.n_decisions - len(adopted.left_out)
    coming = []
    for log in logs:
        kept = [translation.translate(d) for d in log.decisions if d.uuid not in reasons]
        if kept:
            coming.append(_chain(log.reviewer, kept, read_digest(child)))
    folder = log_folder(child, elsewhere)
    adopted.logs = take_in_logs(folder, coming, read_digest(child))
    _record(folder, parent, logs, adopted)
    return adopted


@dataclass
class _Translation:
    """From tracklets of the parent to those of the child.

    Attributes:
        parent, child: their tables.
        names: tracklets that have another id in the child.
        changed: why a tracklet of the parent is not one of the child.
    """

    parent: Base
    child: Base
    names: Mapping[str, str]
    changed: dict[str, str] = field(default_factory=dict)

    def compare(self, parent: Dataset, child: Dataset) -> None:
        """Compares all tracklets: their images by SHA-256, and the frames these come from."""
        before, after = TrackletPrints(parent, self.parent), TrackletPrints(child, self.child)
        for name in self.parent.tracklets:
            here = self.names.get(name, name)
            if here not in self.child.tracklets:
                self.changed[name] = f"{name} is not there"
            elif before.of(name) != after.of(here):
                self.changed[name] = f"{name} has changed"

    def find_reasons(self, decisions: Iterable[Decision]) -> dict[str, str]:
        """By uuid, why a decision does not hold; an undo holds where what it undoes holds."""
        reasons, undos = {}, {}
        for decision in decisions:
            if decision.role is Role.UNDO:
                undos[decision.uuid] = str(decision.value)
            if reason := self._find_reason(decision):
                reasons[decision.uuid] = reason
        n_before = -1
        while n_before != len(reasons):  # an undo may undo another one
            n_before = len(reasons)
            for uuid, target in undos.items():
                if target in reasons:
                    reasons.setdefault(uuid, f"what it undoes is left out: {reasons[target]}")
        return reasons

    def _find_reason(self, decision: Decision) -> str | None:
        for name in decision.tracklets:
            piece = find_piece(name, self.parent.n_frames)
            reason = self.changed.get(piece.tracklet) if piece else f"{name} is unknown"
            if reason:
                return reason
        if decision.role is Role.CHECK:
            return next((self.changed[n] for n, *_ in _parts(decision) if n in self.changed), None)
        return None

    def translate(self, decision: Decision) -> Decision:
        """The decision with the ids of the child."""
        if not self.names:
            return decision
        pieces = [find_piece(name, self.parent.n_frames) for name in decision.tracklets]
        named = tuple(self._rename_piece(piece) for piece in pieces if piece)
        arguments = decision.arguments
        if decision.role is Role.CHECK:
            parts = [[self.names.get(n, n), *rest] for n, *rest in _parts(decision)]
            arguments = {"seam": {**arguments["seam"], "parts": parts}}
        return replace(decision, tracklets=named, arguments=arguments)

    def _rename_piece(self, piece: Piece) -> str:
        here = piece._replace(tracklet=self.names.get(piece.tracklet, piece.tracklet))
        return name_piece(here, self.parent.n_frames[piece.tracklet])


def _parts(decision: Decision) -> list[Any]:
    """The two parts `[tracklet, start, stop]` of an attention check."""
    parts: list[Any] = decision.arguments["seam"]["parts"]
    return parts


class TrackletPrints:
    """What makes a tracklet itself: its images and the frames that they come from, in order.

    Args:
        dataset: whose tracklets they are.
        base: its tables.
    """

    def __init__(self, dataset: Dataset, base: Base) -> None:
        hashes = dataset.frames["sha256"].to_pylist()
        self._hashes = np.array(hashes, "S32") if hashes else np.zeros(0, "S32")
        self._numbers = to_numpy(dataset.frames, "frame_index").astype(np.float64)  # null: NaN
        self._base = base

    def of(self, name: str) -> bytes:
        """A digest of the tracklet `name`."""
        tracklet = self._base.tracklets[name]
        rows = slice(tracklet.start, tracklet.start + tracklet.n_frames)
        return hashlib.sha256(self._hashes[rows].tobytes() + self._numbers[rows].tobytes()).digest()


def _chain(reviewer: str, decisions: list[Decision], digest: str) -> ParsedLog:
    """The log of `reviewer` with these decisions, on the dataset with this digest."""
    chained, lines, previous = [], [], digest
    for seq, decision in enumerate(decisions):
        line = format_line(replace(decision, seq=seq, previous=previous))
        chained.append(parse_line(line))
        lines.append(line)
        previous = chained[-1].sha256
    return ParsedLog(f"{reviewer}{SUFFIX}", reviewer, tuple(chained), tuple(lines))


def _record(folder: Path, parent: Dataset, logs: list[ParsedLog], adopted: Adopted) -> None:
    """Notes beside the logs where their lines come from; the newest note of each parent counts."""
    file, mine = folder / PROVENANCE, name_parent(parent.manifest)
    others = [one for one in _read_record(file) if one.get("parent") != mine]
    entry = {
        "parent": mine,
        "n_decisions": adopted.n_decisions,
        "n_carried": adopted.n_carried,
        "logs": {log.name: log.decisions[-1].sha256 for log in logs if log.decisions},
        "left_out": [{"uuid": o.decision.uuid, "reason": o.reason} for o in adopted.left_out],
    }
    text = json.dumps([*others, entry], indent=1, ensure_ascii=False)
    atomic_write_text(file, text + "\n")


def _read_record(file: Path) -> list[dict[str, Any]]:
    """The notes on parents; none where there is no file. Errors: MismatchError for a damaged
    one."""
    try:
        known = read_json(file) if exists(file) else []
    except (OSError, ValueError) as error:
        got = describe_os_error(error) if isinstance(error, OSError) else "a damaged file"
        raise MismatchError(file, got, _NOTES, _DO) from error
    if not isinstance(known, list) or not all(isinstance(one, dict) for one in known):
        raise MismatchError(file, "a damaged file", _NOTES, _DO)
    return known


def merge_logs(dataset: Dataset, theirs: Path, elsewhere: Path | None = None) -> list[str]:
    """Takes in logs of other reviewers of `dataset`, or of another version of it; says in words
    what was done.

    Args:
        theirs: a folder of logs; `cleanup` of another version is told by the dataset around it.
        elsewhere: see `adopt_decisions`.

    Errors: as `merge_folder` and `adopt_decisions`; LpwError where no decision holds.
    """
    around, ours = theirs.parent / MANIFEST, read_digest(dataset)
    if not is_file(around) or read_manifest(around).get("digest") == ours:
        return merge_folder(log_folder(dataset, elsewhere), theirs, ours)
    other = open_dataset(theirs.parent)
    adopted = adopt_decisions(other, dataset, elsewhere)
    if not adopted.n_carried:
        got = "; ".join(adopted.lines) or f"no decision on {other.name}"
        raise LpwError(
            theirs, got, "decisions on tracklets that both datasets have", "name another"
        )
    return [*adopted.lines, *adopted.logs]
