"""Attention checks: tracklets spliced from two people, with a known answer, mixed into the queue.

They exist in the memory of the server alone. What a reviewer did with one becomes a `check` line of
the log, which says whether the two were parted; no other line names it, so that nothing of it can
come into a cleaned dataset.

    A ──────────────────────      one frame shows both A and B: certainly two people;
          B ────────────────      the check shows frames of A, then frames of B
"""

import hashlib
import re
import uuid
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lpw_toolkit.cleaning.apply import Ledger
from lpw_toolkit.cleaning.log.decisions import VERSION, Decision, Request
from lpw_toolkit.cleaning.log.pieces import Piece, find_piece
from lpw_toolkit.cleaning.operation import Role
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.cleaning.state.resolve import OPEN, REJECTED, PieceState
from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS
from lpw_toolkit.dataset.tables import make_table

_MIN_FRAMES, _MAX_FRAMES = 6, 16  # of either person
_MIN_MIXED = 4  # frames of a second person that make a piece an error
_SPACE = uuid.UUID("5b0f2f6e-6c58-4a35-9f7e-0f6a0b3c9d11")  # of the uuids of `check` lines


@dataclass(frozen=True)
class Part:
    """Frames `start` to `stop` (half-open) of a tracklet."""

    tracklet: str
    start: int
    stop: int


@dataclass(frozen=True)
class Spliced:
    """A check: its name, which looks like any other, and its two people."""

    name: str
    parts: tuple[Part, Part]

    @property
    def seam(self) -> int:
        """The first frame of the second person."""
        return self.parts[0].stop - self.parts[0].start

    @property
    def n_frames(self) -> int:
        """Frames in all."""
        return sum(part.stop - part.start for part in self.parts)

    def find(self, position: int) -> tuple[str, int]:
        """Tracklet and position there of one frame."""
        part = self.parts[position >= self.seam]
        return part.tracklet, part.start + position - (self.seam if position >= self.seam else 0)


def splice(base: Base, share_frac: float, reviewer: str) -> list[Spliced]:
    """Checks for `share_frac` of the tracklets of `base`; fewer where fewer people are seen
    together.

    The same dataset and reviewer give the same ones.
    """
    seed = hashlib.sha256(f"{base.digest}\n{reviewer}".encode()).digest()
    rng = np.random.default_rng(list(seed))
    wanted = int(np.ceil(share_frac * len(base.tracklets)))
    names = [name for name, n in base.n_frames.items() if n >= _MIN_FRAMES]
    by_video: dict[str | None, list[str]] = {}
    for name in names:
        by_video.setdefault(base.tracklets[name].video_id, []).append(name)
    found: list[Spliced] = []
    for i in rng.permutation(len(names)).tolist():
        if len(found) == wanted:
            break
        first = names[i]
        mine, others = _span(base, first), by_video[base.tracklets[first].video_id]
        met = [
            name for name in others if name != first and mine and _meets(base, mine, first, name)
        ]
        if met:
            parts = (
                _draw_part(base, first, rng),
                _draw_part(base, met[int(rng.integers(len(met)))], rng),
            )
            found.append(Spliced(_make_name(base, first, len(found)), parts))
    return found


def _span(base: Base, name: str) -> tuple[float, float] | None:
    numbers = base.frame_numbers(name)
    return None if numbers is None else (float(numbers[0]), float(numbers[-1]))


def _meets(base: Base, span: tuple[float, float], one: str, other: str) -> bool:
    theirs = _span(base, other)
    if theirs is None or theirs[1] < span[0] or span[1] < theirs[0]:
        return False
    mine, numbers = base.frame_numbers(one), base.frame_numbers(other)
    return mine is not None and numbers is not None and bool(np.isin(mine, numbers).any())


def _draw_part(base: Base, name: str, rng: np.random.Generator) -> Part:
    n = base.n_frames[name]
    length = int(rng.integers(_MIN_FRAMES, min(n, _MAX_FRAMES) + 1))
    start = int(rng.integers(n - length + 1))
    return Part(name, start, start + length)


def _make_name(base: Base, like: str, number: int) -> str:
    """A name that no tracklet has and that looks like theirs: the next number of its kind."""
    match = re.fullmatch(r"(.*?)(\d+)", like, re.DOTALL)
    stem, digits = (match[1], match[2]) if match else (f"{like}-", "1")
    nth = len(base.tracklets) + number
    while (name := f"{stem}{nth:0{len(digits)}d}") in base.tracklets:
        nth += 1
    return name


class Attention:
    """The checks of one reviewer and what was done with them. Not for several threads at once.

    Args:
        base: tables of the dataset.
        spliced: the checks.
        decisions: the reviewer's log: checks whose verdict it holds are done.
    """

    def __init__(
        self, base: Base, spliced: list[Spliced], decisions: tuple[Decision, ...] | list[Decision]
    ) -> None:
        self._base = base
        judged = {tuple(map(tuple, d.value["parts"])) for d in decisions if d.role is Role.CHECK}
        self.spliced = spliced
        self.numbers = {each.name: i for i, each in enumerate(spliced)}
        self._done = {each.name for each in spliced if _list_parts(each) in judged}
        self._ledger = Ledger(_make_base(base, spliced))

    def __len__(self) -> int:
        return len(self.spliced)

    @property
    def n_decisions(self) -> int:
        """How many decisions about checks there are."""
        return len(self._ledger.decisions)

    def camera_of(self, number: int) -> str:
        """The camera that a check claims to be of."""
        return self._base.tracklets[self.spliced[number].parts[0].tracklet].camera_id

    def rows(self, number: int, positions: list[int]) -> list[int]:
        """Rows of the table of frames. Errors: IndexError for a position that is none."""
        spliced = self.spliced[number]
        if not all(0 <= position < spliced.n_frames for position in positions):
            raise IndexError(positions)
        found = [spliced.find(position) for position in positions]
        return [self._base.tracklets[name].start + position for name, position in found]

    def is_done(self, number: int) -> bool:
        """Whether the reviewer has judged all of a check."""
        name = self.spliced[number].name
        return name in self._done or all(piece.status not in OPEN for piece in self.pieces_of(name))

    def pieces_of(self, name: str) -> tuple[PieceState, ...]:
        """Its pieces now."""
        resolved = self._ledger.resolve(name)
        whole = Piece(name, 0, self.spliced[self.numbers[name]].n_frames)
        return resolved.pieces if resolved else (PieceState(name, whole),)

    def is_about(self, request: Request) -> bool:
        """Whether a request is about checks alone: it names one, or undoes what did."""
        if request.role is Role.UNDO:
            return request.value in self._ledger.decisions
        return any(self.find(name) for name in request.tracklets)

    def find(self, piece: str) -> str | None:
        """The check that a piece is of; None for one of a tracklet."""
        found = find_piece(piece, self._ledger.base.n_frames)
        return found.tracklet if found else None

    def decide(self, request: Request, reviewer: str) -> tuple[list[str], list[Request]]:
        """Takes a request about checks.

        Returns:
            Checks that it touched, and the lines that the log is to get: one for each that is
                judged now.
        """
        sha256 = hashlib.sha256(request.uuid.encode()).hexdigest()
        own = [name for name in request.tracklets if self.find(name)]
        request = replace(request, tracklets=tuple(own))
        described = (
            request.uuid,
            request.operation,
            request.tracklets,
            request.arguments,
            request.spent_ms,
        )
        self._ledger.add(
            Decision(*described, VERSION, len(self._ledger.decisions), "", reviewer, "", "", sha256)
        )
        if request.role is Role.UNDO:
            own = list(self._ledger.decisions[request.value].tracklets)
        touched = list(dict.fromkeys(found for name in own if (found := self.find(name))))
        self._done -= set(touched)
        lines = [
            self._make_line(name, request) for name in touched if self.is_done(self.numbers[name])
        ]
        return touched, lines

    def _make_line(self, name: str, request: Request) -> Request:
        spliced = self.spliced[self.numbers[name]]
        kept = [piece.kept for piece in self.pieces_of(name) if piece.status != REJECTED]
        n_first = [sum(position < spliced.seam for position in positions) for positions in kept]
        found = all(
            min(n, len(positions) - n) < _MIN_MIXED
            for n, positions in zip(n_first, kept, strict=True)
        )
        arguments = {
            "seam": {"parts": [list(part) for part in _list_parts(spliced)], "found": found}
        }
        own = str(uuid.uuid5(_SPACE, f"{request.uuid}\n{name}"))
        return Request(own, "check", (), arguments, request.spent_ms)


def _list_parts(spliced: Spliced) -> tuple[tuple[str, int, int], ...]:
    return tuple((part.tracklet, part.start, part.stop) for part in spliced.parts)


def _make_base(base: Base, spliced: list[Spliced]) -> Base:
    """Tables of the checks, as if they were tracklets."""
    rows = [
        {"tracklet_id": each.name, "scene_id": like.scene_id, "camera_id": like.camera_id,
        "kind": "person",
         "n_frames": each.n_frames}
        for each in spliced
        for like in (base.tracklets[each.parts[0].tracklet],)
    ]  # fmt: skip
    columns = [[row.get(name) for row in rows] for name in TRACKLETS.names]
    ids = [each.name for each in spliced for _ in range(each.n_frames)]
    kinds = {name: FRAMES.field(name).type for name in ("tracklet_id", "frame_index")}
    frames = pa.table({"tracklet_id": pa.array(ids, kinds["tracklet_id"]),
                       "frame_index": pa.nulls(len(ids), kinds["frame_index"])})  # fmt: skip
    return Base(make_table(columns, TRACKLETS), frames, base.digest)
