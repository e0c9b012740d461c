"""Scores tracklets against ground truth: purity, and the seconds of human work to clean them.

Per frame, boxes and counted ground-truth boxes are matched by optimal assignment (the largest sum
of overlaps) among the pairs whose IoU reaches the threshold. The person of a box is the
ground-truth identity that it is matched to, or nobody. Ground-truth rows whose seventh column is 0
do not count: they take part in no matching, so a box on such a row is nobody's, unless a counted
row takes it.

Cleaning one tracklet, drawn frame by frame (A is the majority person, `.` is nobody), at the
default prices:

    AAAAAAAA              accepted                                                   2.0
    AAAAAAABBBB...        under half is one person: rejected                         2.5
    AAAAAAAAA...          accepted, the tail (one run) is dropped                    2.0 + 4.0
    AAAABBAAAAAAAA        accepted, the run of B is too short to keep: dropped       2.0 + 4.0
    AAAAAAAABBBBBBBB      accepted, split at one border, the second piece accepted   2.0 + 3.0 + 2.0
    AAAABBBBBBBBAAAA      accepted, split at both borders, the inner piece accepted  2.0 + 6.0 + 2.0

A tracklet below 8 frames is thrown away unseen; each piece of one person beyond the first is merged
for 4.0.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lpw_toolkit import boxes as geometry
from lpw_toolkit.boxes import iter_shared_frames
from lpw_toolkit.dataset.mot_text import BoxRows
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError, check_range, option_name

UNMATCHED = -1


@dataclass(frozen=True)
class CleanupCosts:
    """Seconds of human work per decision, and the lengths (frames) at which the rules change.

    Attributes:
        accept_s: seconds to accept a tracklet or a piece of one.
        reject_s: seconds to reject a tracklet.
        split_s: seconds to split a tracklet at one border.
        drop_s: seconds to drop one run of frames.
        merge_s: seconds to merge two pieces of one person.
        min_frames: shorter tracklets are thrown away unseen.
        min_piece_frames: a shorter piece of another person is dropped in place of split off.
        min_mixed_frames: a tracklet is mixed from this many frames of a second person.
        min_majority_frac: a tracklet is rejected where its main person has a smaller share.
    """

    accept_s: float = 2.0
    reject_s: float = 2.5
    split_s: float = 3.0
    drop_s: float = 4.0
    merge_s: float = 4.0
    min_frames: int = 8
    min_piece_frames: int = 8
    min_mixed_frames: int = 4
    min_majority_frac: float = 0.5

    def __post_init__(self) -> None:
        for name in ("accept_s", "reject_s", "split_s", "drop_s", "merge_s"):
            check_range(option_name(name), getattr(self, name), 0, 1e9)
        check_range(option_name("min_frames"), self.min_frames, 0, 1e9, whole=True)
        for name in ("min_piece_frames", "min_mixed_frames"):
            check_range(option_name(name), getattr(self, name), 1, 1e9, whole=True)
        check_range(option_name("min_majority_frac"), self.min_majority_frac, 0, 1)


@dataclass(frozen=True)
class TrackletScore:
    """One tracklet of at least `min_frames` frames.

    Attributes:
        track: its number in the tracks.
        person: majority identity, or UNMATCHED where no frame shows a counted person.
        n_frames: boxes in it.
        purity: share of its frames on the majority person, 0 to 1.
        completeness: share of that person's counted boxes that it covers, 0 to 1.
        n_people: people with at least `min_mixed_frames` frames in it.
        accepted: whether it is worth keeping at all.
        cost_s: seconds for itself, without merging.
        n_kept: clean boxes that it yields (with the pieces split off).
        pieces: the person of each piece that is kept, the majority person first.
    """

    track: int
    person: int
    n_frames: int
    purity: float
    completeness: float
    n_people: int
    accepted: bool
    cost_s: float
    n_kept: int
    pieces: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """Sums over one or more sequences; the shares are properties, so that sums can be pooled."""

    cost_s: float
    n_kept: int
    n_truth: int
    n_tracklets: int
    n_accepted: int
    n_mixed: int
    n_pieces: int
    n_people_kept: int
    n_pure_frames: int
    n_frames: int

    @property
    def yield_frac(self) -> float:
        """Share of the counted ground-truth boxes that end in clean tracklets."""
        return self.n_kept / self.n_truth if self.n_truth else 0.0

    @property
    def cost_per_1000_s(self) -> float:
        """The headline: cleanup seconds per 1,000 clean boxes kept; infinite when none is."""
        return 1000 * self.cost_s / self.n_kept if self.n_kept else float("inf")

    @property
    def mixed_frac(self) -> float:
        """Share of the tracklets that hold two people with at least `min_mixed_frames` frames
        each."""
        return self.n_mixed / self.n_tracklets if self.n_tracklets else 0.0

    @property
    def purity(self) -> float:
        """Share of all tracklet frames on the majority person of their tracklet."""
        return self.n_pure_frames / self.n_frames if self.n_frames else 0.0

    @property
    def fragments_per_identity(self) -> float:
        """Kept pieces per identity that has at least one."""
        return self.n_pieces / self.n_people_kept if self.n_people_kept else 0.0


def match_people(
    tracks: BoxRows, truth: BoxRows, *, iou: float = 0.3, keep_previous_match: bool = False
) -> NDArray[np.int64]:
    """The row of `truth` that each row of `tracks` is matched to, or -1: (N,).

    Args:
        keep_previous_match: a track keeps the person it was last matched to while their boxes
            overlap by `iou`.
            Without it the boxes of two people who walk side by side change hands with every pixel
            of noise, which nobody can see.
            Source: CLEAR MOT (Bernardin and Stiefelhagen 2008), whose matching does so.
    """
    matched = np.full(len(tracks), -1, dtype=np.int64)
    counted = np.flatnonzero(truth.flag != 0)
    last: dict[int, int] = {}
    for rows, others in iter_shared_frames(tracks.frame_index, truth.frame_index[counted]):
        others = counted[others]
        overlap = geometry.iou(tracks.boxes[rows], truth.boxes[others])
        overlap[overlap < iou] = 0
        value = overlap
        if keep_previous_match:
            before = np.array([last.get(track, UNMATCHED) for track in tracks.track[rows].tolist()])
            kept = (before[:, None] == truth.track[others]) & (overlap > 0)
            value = overlap + kept * len(rows)  # one pair that is kept outweighs all overlaps
        i, j = linear_sum_assignment(value, maximize=True)
        real = overlap[i, j] > 0
        matched[rows[i[real]]] = others[j[real]]
        if keep_previous_match:
            last |= zip(
                tracks.track[rows[i[real]]].tolist(),
                truth.track[others[j[real]]].tolist(),
                strict=True,
            )
    return matched


def find_backed(tracks: BoxRows, detections: pa.Table, *, iou: float = 0.5) -> NDArray[np.bool_]:
    """Which rows of `tracks` (N,) have a detection of the same frame behind them, at this IoU or
    more.

    Trackers that fill gaps invent boxes; such a box has no picture worth keeping and is not counted
    as kept.
    """
    backed = np.zeros(len(tracks), dtype=bool)
    found = boxes_of(detections)
    for rows, others in iter_shared_frames(
        tracks.frame_index, detections["frame_index"].to_numpy()
    ):
        backed[rows] = (geometry.iou(tracks.boxes[rows], found[others]) >= iou).any(axis=1)
    return backed


def score_each(
    tracks: BoxRows,
    truth: BoxRows,
    *,
    iou: float = 0.3,
    keep_previous_match: bool = False,
    prices: CleanupCosts | None = None,
    detections: pa.Table | None = None,
) -> list[TrackletScore]:
    """Every tracklet of at least `prices.min_frames` frames, in order of its number.

    Args:
        iou: a box holds a person at this overlap or more, above 0 and at most 1.
        keep_previous_match: see `match_people`.
        detections: when given, only boxes with a detection behind them count as kept (see
            `find_backed`).

    Errors: LpwError for an IoU out of range, and for a track with two boxes in one frame.
    """
    check_range("option --iou", iou, 0, 1, above=True)
    prices = prices or CleanupCosts()
    tracks = _drop_short(tracks, prices.min_frames)
    matched = match_people(tracks, truth, iou=iou, keep_previous_match=keep_previous_match)
    person = np.where(matched >= 0, truth.track[matched] if len(truth) else UNMATCHED, UNMATCHED)
    backed = np.ones(len(tracks), bool) if detections is None else find_backed(tracks, detections)
    ids, counts = np.unique(truth.track[truth.flag != 0], return_counts=True)
    n_truth = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    return [
        _score_tracklet(track, person[rows], backed[rows], n_truth, prices)
        for track, rows in _iter_tracks(tracks)
    ]


def score_tracklets(
    tracks: BoxRows,
    truth: BoxRows,
    *,
    iou: float = 0.3,
    prices: CleanupCosts | None = None,
    detections: pa.Table | None = None,
) -> Score:
    """The sums of `score_each` over one sequence, merging included. Errors: as there."""
    each = score_each(tracks, truth, iou=iou, prices=prices, detections=detections)
    return sum_up(each, n_truth=int((truth.flag != 0).sum()), prices=prices or CleanupCosts())


def sum_up(each: list[TrackletScore], *, n_truth: int, prices: CleanupCosts) -> Score:
    """One sequence's Score from its tracklets; `n_truth` is the number of counted ground-truth
    boxes."""
    pieces = [person for tracklet in each for person in tracklet.pieces]
    n_people = len(set(pieces))
    return Score(
        cost_s=sum(t.cost_s for t in each) + prices.merge_s * (len(pieces) - n_people),
        n_kept=sum(t.n_kept for t in each),
        n_truth=n_truth,
        n_tracklets=len(each),
        n_accepted=sum(t.accepted for t in each),
        n_mixed=sum(t.n_people >= 2 for t in each),
        n_pieces=len(pieces),
        n_people_kept=n_people,
        n_pure_frames=sum(round(t.purity * t.n_frames) for t in each),
        n_frames=sum(t.n_frames for t in each),
    )


def pool(scores: Iterable[Score]) -> Score:
    """The sums over several sequences (whose identities are different people)."""
    total = Score(0.0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    for score in scores:
        total = replace(
            total,
            **{f.name: getattr(total, f.name) + getattr(score, f.name) for f in fields(Score)},
        )
    return total


def _drop_short(tracks: BoxRows, min_frames: int) -> BoxRows:
    """Drops short tracks before the matching, so that they take no person from a tracklet that
    stays."""
    _, inverse, counts = np.unique(tracks.track, return_inverse=True, return_counts=True)
    return tracks.select(counts[inverse] >= min_frames)


def _score_tracklet(
    track: int,
    person: NDArray[np.int64],
    backed: NDArray[np.bool_],
    n_truth: dict[int, int],
    prices: CleanupCosts,
) -> TrackletScore:
    """`person` (T,) is the label of each frame in temporal order."""
    ids, counts = np.unique(person[person != UNMATCHED], return_counts=True)
    major = int(ids[np.argmax(counts)]) if len(ids) else UNMATCHED
    n_major = int(counts.max()) if len(ids) else 0
    accepted = n_major > 0 and n_major >= prices.min_majority_frac * len(person)
    cost_s, n_kept, pieces = prices.reject_s, 0, []
    if accepted:
        cost_s, pieces = prices.accept_s, [major]
        n_kept = int((backed & (person == major)).sum())
        borders = [0, *(np.flatnonzero(np.diff(person)) + 1).tolist(), len(person)]
        for start, stop in pairwise(borders):
            other = int(person[start])
            if other == major:
                continue
            if other != UNMATCHED and stop - start >= prices.min_piece_frames:
                n_borders = (start > 0) + (stop < len(person))
                cost_s += n_borders * prices.split_s + prices.accept_s
                n_kept += int(backed[start:stop].sum())
                pieces.append(other)
            else:
                cost_s += prices.drop_s
    return TrackletScore(
        track=track,
        person=major,
        n_frames=len(person),
        purity=n_major / len(person),
        completeness=n_major / n_truth[major] if n_major else 0.0,
        n_people=int((counts >= prices.min_mixed_frames).sum()),
        accepted=accepted,
        cost_s=cost_s,
        n_kept=n_kept,
        pieces=tuple(pieces),
    )


def _iter_tracks(tracks: BoxRows) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each track number with its rows in temporal order."""
    order = np.lexsort((tracks.frame_index, tracks.track))
    ids = tracks.track[order]
    frames = tracks.frame_index[order]
    twice = np.flatnonzero((ids[1:] == ids[:-1]) & (frames[1:] == frames[:-1]))
    if len(twice):
        row = int(twice[0])
        got = f"two boxes in frame {int(frames[row]) + 1}"
        raise LpwError(f"track {int(ids[row])}", got, "one box per frame", "correct the tracks")
    borders = np.flatnonzero(np.diff(ids)) + 1
    for rows in np.split(order, borders) if len(order) else []:
        yield int(tracks.track[rows[0]]), rows
