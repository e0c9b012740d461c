"""Writes a cleaned, identified dataset from a dataset and its decisions (`lpw clean --apply`);
images are copied byte for byte.

state --choose--> merged tracklets that stay --two cameras--> persons --divide--> splits
--> tables, images, dataset.json
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.cleaning.log.decision_set import DecisionSet
from lpw_toolkit.cleaning.log.pieces import find_piece
from lpw_toolkit.cleaning.state.base_tables import Base, Tracklet
from lpw_toolkit.cleaning.state.conflicts import KINDS
from lpw_toolkit.cleaning.state.joins import find_frame_numbers
from lpw_toolkit.cleaning.state.numbering import number_persons
from lpw_toolkit.cleaning.state.resolve import OPEN, REJECTED, UNACCEPTED, PieceState
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.new_version import (
    CopiedImages,
    NewVersion,
    inherit_facts,
    inherit_tables,
    write_version,
)
from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS
from lpw_toolkit.dataset.tables import make_table
from lpw_toolkit.errors import LpwError, check_range, option_name
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.draw import DrawnSplits, draw_splits

REPORT = "clean-report.json"
DEFAULT_SPLITS = SplitConfig()
Unreviewed = Literal["leave-out", "keep", "refuse"]
OnConflict = Literal["refuse", "leave-out"]
#: Conflicts that put all of a person in doubt, not only the tracklets they name.
_DOUBTS = ("not-same", "two-places", "two-numbers")


@dataclass(frozen=True)
class CleanOptions:
    """What happens to undecided pieces.

    Attributes:
        unreviewed: unreviewed pieces are left out, kept, or a reason to refuse.
        conflicts: where there are any, nothing is made, or the tracklets they are about are left
            out.
        min_cameras: persons seen by fewer cameras are left out; LPW has persons of two or more
            only.

    Errors: LpwError for a number of cameras below 1.
    """

    unreviewed: Unreviewed = "leave-out"
    conflicts: OnConflict = "refuse"
    min_cameras: int = 2

    def __post_init__(self) -> None:
        check_range(option_name("min_cameras"), self.min_cameras, 1, 10**6, whole=True)


@dataclass
class Cleaned:
    """The result of `lpw clean --apply`.

    Attributes:
        dataset: the new dataset.
        losses: why merged tracklets are left out: their names by reason.
        n_images_dropped: images dropped from tracklets that stay.
        splits: the splits that were drawn; None where there are none.
        why_no_splits: why nothing can be tested; None where there are splits, or none were asked
            for.
    """

    dataset: Dataset
    losses: dict[str, list[str]]
    n_images_dropped: int
    splits: DrawnSplits | None = None
    why_no_splits: str | None = None


@dataclass
class _Choice:
    """Tracklets of the new dataset: for each the rows (n,) of the parent's frames, in order; and
    what is left out."""

    rows: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    losses: dict[str, list[str]] = field(default_factory=dict)
    n_dropped: int = 0

    def lose(self, reason: str, name: str) -> None:
        self.losses.setdefault(reason, []).append(name)


def write_cleaned(
    dataset: Dataset,
    state: State,
    union: DecisionSet,
    out: Path,
    options: CleanOptions,
    splits: SplitConfig | None = DEFAULT_SPLITS,
) -> Cleaned:
    """Writes the dataset `out`: what `state` leaves of `dataset`, with person ids as LPW has them
    (`numbering`), and splits of these persons where they can be tested.

    Args:
        splits: how the persons are divided; None writes no splits.

    Errors: LpwError where something is left open and `options` does not say what to do, where
    nothing would be left, or for an `out` that is in use; CorruptCropError for an image that is not
    the index's. Then nothing is left behind.
    """
    _refuse_open(state, options)
    persons = number_persons(state)
    choice = _choose(state, options)
    _leave_lonely(state, persons, choice, options.min_cameras)
    if not choice.rows:
        got = (
            "; ".join(f"{len(names):,} {reason}" for reason, names in choice.losses.items())
            or "no tracklet"
        )
        do = "review more" if state.n_open else "link persons across cameras on the review page"
        do += ", or keep persons of one camera with --min-cameras 1"
        raise LpwError(out, f"nothing to write: {got}", "a tracklet or more", do)
    tracklets, frames, images = _make_tables(dataset, state, persons, choice)
    facts = inherit_facts(dataset, out, {})
    drawn, why_none = _draw_splits(tracklets, facts, splits)
    report = _make_report(state, union, options, choice)
    told = {key: value for key, value in report.items() if key != "losses"}
    facts["settings"]["clean"] = told
    version = NewVersion(
        tracklets,
        frames,
        images,
        facts=facts | ({"splits": drawn.facts} if drawn else {}),
        splits=drawn.table if drawn else None,
        inner=inherit_tables(dataset, ["timeline"]),
        texts={REPORT: json.dumps(report, indent=1, ensure_ascii=False) + "\n"},
    )
    made = write_version(out, version, stage="apply")
    return Cleaned(made, choice.losses, choice.n_dropped, drawn, why_none)


def _draw_splits(
    tracklets: pa.Table, facts: Mapping[str, Any], config: SplitConfig | None
) -> tuple[DrawnSplits | None, str | None]:
    """The splits of the new dataset, or why nothing can be tested."""
    if config is None:
        return None, None
    try:
        return draw_splits(tracklets, facts["sources"], config, facts["name"]), None
    except LpwError as error:
        return None, f"{error.got}; expected {error.expected}"


def _refuse_open(state: State, options: CleanOptions) -> None:
    if state.conflicts and options.conflicts == "refuse":
        counts = Counter(conflict.kind for conflict in state.conflicts)
        got = ", ".join(f"{n} of {kind!r} ({KINDS[kind]})" for kind, n in sorted(counts.items()))
        do = "resolve them (`lpw clean --status` names them), or give --conflicts leave-out"
        raise LpwError(f"{len(state.conflicts)} conflicts", got, "none", do)
    if state.n_open and options.unreviewed == "refuse":
        do = "review them, or give --unreviewed leave-out or keep"
        raise LpwError("decisions", f"{state.n_open:,} unreviewed tracklets", "none", do)


def _choose(state: State, options: CleanOptions) -> _Choice:
    choice = _Choice()
    disputed = _list_disputed(state)
    for first in _iter_merged(state):
        parts = state.parts_of(first)
        staying = [part for part in parts if part.status != REJECTED]
        if any(part.piece.tracklet in disputed for part in parts):
            choice.lose("left open (conflicts)", first)
        elif not staying:
            choice.lose("rejected", first)
        elif options.unreviewed == "leave-out" and (
            found := {part.status for part in staying} & OPEN
        ):
            choice.lose("edited, not accepted" if UNACCEPTED in found else "unreviewed", first)
        elif len(rows := _take_rows(state.base, staying)):
            choice.rows[first] = rows
            choice.n_dropped += sum(len(part.dropped) for part in staying)
        else:
            choice.lose("all frames dropped", first)
    return choice


def _list_disputed(state: State) -> set[str]:
    """Tracklets that a conflict is about, and all those of a person whose identity is in doubt."""
    disputed = set()
    for conflict in state.conflicts:
        pieces = [
            piece for name in conflict.pieces if (piece := find_piece(name, state.base.n_frames))
        ]
        disputed |= {piece.tracklet for piece in pieces}
        if conflict.kind in _DOUBTS:
            persons = {state.person_of[name] for name in conflict.pieces if name in state.person_of}
            names = [name for person in persons for name in state.groups[person]]
            disputed |= {part.piece.tracklet for name in names for part in state.parts_of(name)}
    return disputed


def _take_rows(base: Base, parts: list[PieceState]) -> NDArray[np.int64]:
    """Rows (n,) of the table of frames that the pieces of one merged tracklet keep, in temporal
    order."""
    rows = np.concatenate([part.kept + base.tracklets[part.piece.tracklet].start for part in parts])
    numbers = [find_frame_numbers(base, part) for part in parts]
    if len(parts) > 1 and sum(map(len, numbers)) == len(
        rows
    ):  # fragments may lie within each other
        rows = rows[np.argsort(np.concatenate(numbers), kind="stable")]
    return rows


def _iter_merged(state: State) -> Iterator[str]:
    """The first pieces of all merged tracklets, and all pieces that are not merged."""
    for piece in state.iter_pieces():
        if state.merged_into.get(piece.name, piece.name) == piece.name:
            yield piece.name


def _leave_lonely(state: State, persons: dict[str, str], choice: _Choice, min_cameras: int) -> None:
    """Takes out persons that too few cameras see; distractors and junk are no persons, and stay."""
    cameras: dict[str, set[str]] = {}
    for name in choice.rows:
        if name in persons:
            cameras.setdefault(persons[name], set()).add(_first_tracklet(state, name).camera_id)
    for name in list(choice.rows):
        if name in persons and len(cameras[persons[name]]) < min_cameras:
            del choice.rows[name]
            choice.lose(f"persons seen by fewer than {min_cameras} cameras", name)


def _first_tracklet(state: State, name: str) -> Tracklet:
    return state.base.tracklets[state.parts_of(name)[0].piece.tracklet]


def _make_tables(
    dataset: Dataset, state: State, persons: dict[str, str], choice: _Choice
) -> tuple[pa.Table, pa.Table, list[CopiedImages]]:
    """Tracklets, frames and images of the new version."""
    names = sorted(choice.rows, key=lambda name: name.encode())
    rows = np.concatenate([choice.rows[name] for name in names])
    owners = np.repeat(np.arange(len(names)), [len(choice.rows[name]) for name in names])
    position = np.concatenate([np.arange(len(choice.rows[name])) for name in names])
    frames = dataset.frames.take(pa.array(rows))
    owner_names = pa.array(names, pa.string()).take(pa.array(owners))
    frames = frames.set_column(0, FRAMES.field("tracklet_id"), owner_names)
    frames = frames.set_column(1, FRAMES.field("position"), pa.array(position, pa.int32()))
    bounds = np.cumsum([0, *(len(choice.rows[name]) for name in names)])
    firsts = [_first_tracklet(state, name) for name in names]
    columns: list[Any] = [
        names,
        [tracklet.scene_id for tracklet in firsts],
        [tracklet.camera_id for tracklet in firsts],
        [
            persons.get(name, tracklet.person_id)
            for name, tracklet in zip(names, firsts, strict=True)
        ],
        [tracklet.kind for tracklet in firsts],
        [tracklet.video_id for tracklet in firsts],
        np.diff(bounds).astype(np.int32),
        frames["pts_s"].take(pa.array(bounds[:-1])).to_pylist(),
        frames["pts_s"].take(pa.array(bounds[1:] - 1)).to_pylist(),
    ]
    return make_table(columns, TRACKLETS), frames, [CopiedImages(dataset, rows)]


def _make_report(
    state: State, union: DecisionSet, options: CleanOptions, choice: _Choice
) -> dict[str, Any]:
    counts = Counter(decision.reviewer for decision in union.decisions)
    return {
        "decisions": dict(sorted(counts.items())),
        "decisions_sha256": hashlib.sha256(
            "\n".join(sorted(d.sha256 for d in union.decisions)).encode()
        ).hexdigest(),
        "state": state.content_digest,
        "options": vars(options),
        "statuses": state.count_statuses(),
        "n_conflicts": len(state.conflicts),
        "n_images_dropped": choice.n_dropped,
        "n_lost": {reason: len(names) for reason, names in choice.losses.items()},
        "losses": choice.losses,
    }
