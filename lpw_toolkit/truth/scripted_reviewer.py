"""A scripted reviewer who knows the ground truth: for the demo, and to measure what a review finds
and costs.

Everything that it decides goes through the same log as a person's decisions, under the name of a
rule.
"""

import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.cleaning.log.decisions import Request
from lpw_toolkit.cleaning.log.pieces import Piece, name_piece
from lpw_toolkit.cleaning.operation import MAX_TRACKLETS
from lpw_toolkit.cleaning.state.review import Review, open_review
from lpw_toolkit.cleaning.suggest.queue import order, prepare_features
from lpw_toolkit.cleaning.suggest.suggest import read_suggestions
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.mot_text import read_boxes
from lpw_toolkit.truth.cleanup_cost import match_people
from lpw_toolkit.truth.score import read_tracks

REVIEWER = "auto-truth"
MIN_FRAMES = 4  # of a second person that make an error
_EVERY = 5  # decisions after which the queue is asked again
_SPACE = uuid.UUID("0c6a3f0e-8a55-4f7b-9d55-6a2f1f1f7d02")

Ints = NDArray[np.int64]
Span = tuple[int, int]


def label_frames(dataset: Dataset, truth: Path) -> dict[str, Ints]:
    """The person (n_frames,) in every frame of each tracklet, -1 for nobody.

    Args:
        truth: folder with one MOT text for each video, named as it.
    """
    names, tracks = dataset.tracklets["tracklet_id"].to_pylist(), read_tracks(dataset)
    labels: dict[str, Ints] = {}
    for source in dataset.manifest["sources"]:
        rows, known = (
            tracks[source["video_id"]],
            read_boxes(truth / Path(source["path"]).with_suffix(".txt")),
        )
        matched = match_people(rows, known, keep_previous_match=True)
        people = np.where(matched >= 0, known.track[matched], -1)
        for number in np.unique(rows.track).tolist():
            mine = np.flatnonzero(rows.track == number)
            labels[names[number]] = people[
                mine[np.argsort(rows.frame_index[mine], kind="stable")]
            ].astype(np.int64)
    return labels


def count_people(labels: Ints) -> list[tuple[int, int]]:
    """Persons with their number of frames, the most frequent first."""
    return Counter(int(p) for p in labels if p >= 0).most_common()


def is_mixed(labels: Ints) -> bool:
    """Whether two people have MIN_FRAMES each."""
    return sum(n >= MIN_FRAMES for _, n in count_people(labels)) > 1


def is_error(labels: Ints) -> bool:
    """Whether frames are mixed, or less than half of them are one person's."""
    people = count_people(labels)
    return not people or people[0][1] < len(labels) / 2 or is_mixed(labels)


def find_cut(labels: Ints) -> int:
    """The cut after which both parts are purest; 1 to one less than the frames."""

    def right(at: int) -> int:
        return sum((count_people(part) or [(0, 0)])[0][1] for part in (labels[:at], labels[at:]))

    return max(range(1, len(labels)), key=right)


def can_cut(labels: Ints) -> bool:
    """Whether one cut leaves a clean part of MIN_FRAMES or more."""
    at = find_cut(labels)
    return any(
        len(part) >= MIN_FRAMES and not is_error(part) for part in (labels[:at], labels[at:])
    )


def plan_cuts(labels: Ints) -> list[Span]:
    """The pieces to cut a tracklet into: who changes once or twice is cut apart, a jumble stays
    whole."""
    pieces = [(0, len(labels))]
    while mixed := [
        i for i, (a, b) in enumerate(pieces) if is_mixed(labels[a:b]) and can_cut(labels[a:b])
    ]:
        start, stop = pieces[mixed[0]]
        at = start + find_cut(labels[start:stop])
        pieces[mixed[0] : mixed[0] + 1] = [(start, at), (at, stop)]
    return pieces


@dataclass(frozen=True)
class Reviewed:
    """What was done.

    Attributes:
        n_tracklets, n_seen: in the dataset, and looked at.
        n_errors, n_found: in the dataset, and among those looked at.
        n_decisions: lines of the log.
        n_persons: persons of whom two pieces or more were linked.
    """

    n_tracklets: int
    n_seen: int
    n_errors: int
    n_found: int
    n_decisions: int
    n_persons: int


def review_by_truth(dataset: Dataset, truth: Path, effort_frac: float = 1.0) -> Reviewed:
    """Reviews the first part of the queue as the truth has it, and links the pieces of each person.

    Done again it changes nothing: its decisions have the same uuids.

    Args:
        dataset: with suggestions.
        truth: see `label_frames`.
        effort_frac: share of the tracklets that are looked at, 0 to 1.

    Errors: as `read_suggestions` and `open_review`.
    """
    labels, stock = label_frames(dataset, truth), prepare_features(read_suggestions(dataset))
    decided: dict[str, str] = {}
    pieces: dict[tuple[str | None, int], list[str]] = {}
    wanted = round(effort_frac * len(stock.names))
    with open_review(dataset, REVIEWER) as review:
        while len(decided) < wanted:
            for name in order(stock, decided).tracklet_ids[: min(_EVERY, wanted - len(decided))]:
                decided[name] = "error" if is_error(labels[name]) else "clean"
                scene = review.base.tracklets[name].scene_id
                for piece, person in _judge(review, name, labels[name]):
                    pieces.setdefault((scene, person), []).append(piece)
        linked = [
            names for _, names in sorted(pieces.items(), key=lambda item: item[1]) if len(names) > 1
        ]
        for names in linked:
            for i in range(1, len(names), MAX_TRACKLETS - 1):
                _decide(review, "link", [names[0], *names[i : i + MAX_TRACKLETS - 1]], {})
        n_decisions = len(review.log.decisions)
    errors = {name for name in stock.names if is_error(labels[name])}
    return Reviewed(
        len(stock.names),
        len(decided),
        len(errors),
        len(errors & set(decided)),
        n_decisions,
        len(linked),
    )


def _judge(review: Review, name: str, labels: Ints) -> list[tuple[str, int]]:
    """Cuts, rejects and accepts; the accepted pieces with their persons."""
    spans, left = plan_cuts(labels), Piece(name, 0, len(labels))
    for _, at in spans[:-1]:
        _decide(review, "split", [name_piece(left, len(labels))], {"at": at})
        left = Piece(name, at, len(labels))
    kept = []
    for start, stop in spans:
        piece, mine = name_piece(Piece(name, start, stop), len(labels)), labels[start:stop]
        if is_error(mine):
            people = count_people(mine)
            _decide(
                review, "reject", [piece], {"reason": "several_people" if people else "no_person"}
            )
        else:
            kept.append((piece, count_people(mine)[0][0]))
    if kept:
        _decide(review, "accept", [piece for piece, _ in kept], {})
    return kept


def _decide(review: Review, operation: str, names: list[str], arguments: dict[str, object]) -> None:
    own = uuid.uuid5(_SPACE, f"{review.base.digest}\n{operation}\n{names}\n{arguments}")
    review.decide(Request(str(own), operation, tuple(names), arguments, 0))
