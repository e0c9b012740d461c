"""A dataset under review by one person: the open log, the state, and one method that records a
decision.

with open_review(dataset, "anna") as review:
    saved = review.decide(request)      # durable when it returns
    review.state                        # pieces, persons, conflicts
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from lpw_toolkit.cleaning.apply import Ledger
from lpw_toolkit.cleaning.log.decision_set import DecisionSet, read_folder, unite
from lpw_toolkit.cleaning.log.decisions import Decision, Request
from lpw_toolkit.cleaning.log.log import FOLDER, SUFFIX, Log, open_log
from lpw_toolkit.cleaning.log.other_logs import OtherLogs
from lpw_toolkit.cleaning.log.pieces import Piece, find_piece
from lpw_toolkit.cleaning.operation import Role
from lpw_toolkit.cleaning.state.base_tables import Base, read_base
from lpw_toolkit.cleaning.state.resolve import AppliedDecision, PieceState
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError


def log_folder(dataset: Dataset, elsewhere: Path | None = None) -> Path:
    """Where the logs of a dataset lie: in it, or in the folder `elsewhere` where it cannot be
    written to."""
    return (elsewhere or dataset.root) / FOLDER


def _list_folders(dataset: Dataset, elsewhere: Path | None) -> list[Path]:
    """All folders of logs of a dataset."""
    return [log_folder(dataset), *([log_folder(dataset, elsewhere)] if elsewhere else [])]


def read_union(dataset: Dataset, elsewhere: Path | None = None) -> DecisionSet:
    """The decisions of all reviewers, those in the dataset and those elsewhere. Errors:
    MismatchError for a bad log."""
    digest = read_digest(dataset)
    folders = _list_folders(dataset, elsewhere)
    readings = [reading for folder in folders for reading in read_folder(folder, digest)]
    repairs = tuple(line for reading in readings for line in reading.repairs)
    return replace(unite(reading.decisions for reading in readings), repairs=repairs)


def read_digest(dataset: Dataset) -> str:
    """The digest that logs of this dataset begin with."""
    return str(dataset.manifest.get("digest"))


@dataclass(frozen=True)
class Saved:
    """A decision that is durable.

    Attributes:
        decision: its line.
        digest: of the state with it.
    """

    decision: Decision
    digest: str


class Review:
    """One reviewer at work on a dataset. Not for several threads at once.

    Args:
        base: the tables.
        log: open for writing.
        others: decisions of other logs.
        other_logs: where more of them come from while this one is open.
    """

    def __init__(
        self, base: Base, log: Log, others: DecisionSet, other_logs: OtherLogs | None = None
    ) -> None:
        self.base, self.log, self._other_logs = base, log, other_logs
        self._ledger = Ledger(base)
        united = unite([log.decisions, others.decisions])
        self._ambiguous_uuids = {*united.ambiguous_uuids, *others.ambiguous_uuids}
        for decision in united.decisions:
            self._ledger.add(decision)

    @property
    def repairs(self) -> list[str]:
        """What was repaired when the log was opened, in words."""
        return self.log.repairs

    @property
    def digest(self) -> str:
        """Digest of the state; costs nothing."""
        return self._ledger.digest

    @cached_property
    def state(self) -> State:
        """The state under all decisions; only what the last ones touched is worked out anew."""
        return self._ledger.state(sorted(self._ambiguous_uuids))

    def pieces_of(self, tracklet: str) -> tuple[PieceState, ...]:
        """The pieces of one tracklet, at the price of that tracklet alone. Errors: KeyError for an
        unknown one."""
        resolved = self._ledger.resolve(tracklet)
        piece = Piece(tracklet, 0, self.base.n_frames[tracklet])
        return resolved.pieces if resolved else (PieceState(tracklet, piece),)

    def uses_of(self, tracklet: str) -> tuple[AppliedDecision, ...]:
        """The decisions in force that name a tracklet, or pieces of it that exist."""
        resolved = self._ledger.resolve(tracklet)
        return resolved.uses if resolved else ()

    @property
    def decisions(self) -> dict[str, Decision]:
        """Every decision known, by uuid."""
        return self._ledger.decisions

    def take_in_others(self) -> list[Decision]:
        """What other reviewers have decided since the last call; it counts from now on."""
        found = self._other_logs.read_new() if self._other_logs else []
        new = [decision for decision in unite([found]).decisions if self._is_new(decision)]
        for decision in new:
            self._ledger.add(decision)
        if new:
            self.__dict__.pop("state", None)
        return new

    def _is_new(self, decision: Decision) -> bool:
        known = self.decisions.get(decision.uuid)
        if known is not None and known.content != decision.content:
            self._ambiguous_uuids.add(decision.uuid)
        return known is None

    def decide(self, request: Request) -> Saved:
        """Makes a decision durable; when it returns the page may say "saved". A retry returns what
        was saved.

        Errors: LpwError for pieces that no tracklet has, an undo of nothing, a uuid taken by
        another decision, or where the system refuses; nothing is kept then.
        """
        self._check(request)
        decision = self.log.append(request, self.digest)
        self._ledger.add(decision)
        self.__dict__.pop("state", None)
        return Saved(decision, self.digest)

    def _check(self, request: Request) -> None:
        known = self.decisions.get(request.uuid)
        if known is not None and known.reviewer != self.log.reviewer:
            raise LpwError(
                f"decision {request.uuid}",
                f"one of {known.reviewer}",
                "a uuid of its own",
                "make a new one",
            )
        if request.role is Role.UNDO and request.value not in self.decisions:
            raise LpwError(
                "undo",
                f"the unknown decision {request.value}",
                "a known one",
                "reload the page",
            )
        for name in request.tracklets:
            piece = find_piece(name, self.base.n_frames)
            if piece is None:
                raise LpwError(
                    "decision",
                    f"the piece {name!r:.200}",
                    "a piece of a tracklet",
                    "reload the page",
                )
            frames = _list_frames(request)
            if frames and not (piece.start <= frames[0][0] and frames[-1][1] <= piece.stop):
                got = f"frames {frames[0][0]} to {frames[-1][1]}"
                raise LpwError(
                    "decision",
                    got,
                    f"{piece.start} to {piece.stop}, of {name!r:.200}",
                    "reload the page",
                )
            if request.role is Role.CUT and not piece.start < request.value < piece.stop:
                raise LpwError(
                    "decision", "a cut at the border of a piece", "one inside", "reload the page"
                )

    def close(self) -> None:
        """Lets another process of this reviewer begin."""
        self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _list_frames(request: Request) -> list[list[int]]:
    """The ranges of frames that a request is about; none where it is about whole pieces."""
    if request.role is Role.CUT:
        return [[request.value, request.value]]
    ranges: list[list[int]] = request.value if request.role in (Role.DROP, Role.RESTORE) else []
    return ranges


def open_review(dataset: Dataset, reviewer: str, elsewhere: Path | None = None) -> Review:
    """Opens `dataset` for decisions of `reviewer`.

    Args:
        elsewhere: folder for the log of a dataset that cannot be written to; the dataset's own logs
            are read too.

    Errors: LpwError for an invalid reviewer name, a second process of the same reviewer, or a
    read-only place; MismatchError for a log that differs from what was written.
    """
    base = read_base(dataset)
    log = open_log(log_folder(dataset, elsewhere), reviewer, base.digest)
    try:
        folders = _list_folders(dataset, elsewhere)
        own = log_folder(dataset, elsewhere) / f"{reviewer}{SUFFIX}"
        # Looked at before they are read: what is written meanwhile is read again.
        other_logs = OtherLogs(folders, base.digest, own)
        return Review(base, log, read_union(dataset, elsewhere), other_logs)
    except BaseException:
        log.close()
        raise
