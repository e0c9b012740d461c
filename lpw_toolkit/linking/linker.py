"""Detections of one video to tracklets: a pure function.

A person who cleans a dataset pays for a tracklet that mixes two people with minutes, and for a
fragment with seconds. So the linker follows boxes from frame to frame, cuts wherever another track
ends or begins beside one (an occlusion: the box left over may be either person), joins the pieces
again only where motion and size leave no rival, and then leaves out what would have to be cut off
by hand: boxes off the course, weak ends, short or weak tracklets. Every rule can be switched off;
`PRESETS["paper"]` is the plain frame-to-frame assignment.

Source: RQEN paper, LPW dataset section (boxes of consecutive frames are assigned by their overlap).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError, check_range, option_name
from lpw_toolkit.linking.ambiguity import AmbiguityConfig, find_ambiguous_splits
from lpw_toolkit.linking.association import UNASSIGNED, AssociationConfig, associate_frames
from lpw_toolkit.linking.gap_joining import EndStates, GapJoinConfig, join_over_gaps
from lpw_toolkit.linking.track_table import make_track_table, split_tracks
from lpw_toolkit.linking.trimming import (
    find_outliers,
    find_weak_ends,
    mean_scores,
    measure_box_jitter,
)

Assignment = Literal["optimal", "greedy"]
_FOLLOW_GAP = 2  # one missed frame is followed by overlap; longer gaps are bridged by motion
_GAP_ROUNDS = (2, 5, 10, 20)  # frames
_DOUBT_REACH = 3  # frames: a box that comes back later belongs to another meeting
_MIN_ROWS = 3


@dataclass(frozen=True)
class LinkConfig:
    """How boxes become tracklets; the defaults are the preset `default`.

    Scores mean different things for different detectors, so all but `min_score` are shares: 0.2 is
    the score that 20 % of the video's boxes lie below. Lengths are shares of the person's height,
    so that near and far people are alike.

    The values were chosen on seven MOT15 sequences as those that cost a person the least at a yield
    of 52 % or more while half as many tracklets mix people as SORT's;
    tests/bench/results/linking.json holds what each contributes.

    Attributes:
        iou: two boxes of consecutive frames may belong together at this overlap or more, above 0
            and at most 1.
        assignment: `optimal` (largest sum of overlaps, Hungarian) or `greedy` (largest overlap
            first).
        min_score: detections below it do not exist for linking, 0 to 1.
        min_length: tracklets with fewer boxes are dissolved, at least 1.
        max_gap: frames from one box of a tracklet to the next, at most; 1 = no frame may be
            missing.
        velocity_gain: weight of the newest displacement in the guess where a box will be; 0 = guess
            that it stays.
        margin: a box is left out when a rival overlaps within this of the best pair; 0 = never.
        doubt_iou: a track is cut where another one that ends or begins overlaps it by more than
            this; 1 = never.
        doubt_near_iou: above this overlap it is always cut; below, only where the scores are weak
            or the other one stands in front.
        sure_share: a box beside a cut counts as weak below this share of the video's scores.
        bridge_error: tolerated miss of the courses across a gap, in heights.
        bridge_size: tolerated logarithm of the height ratio across a gap.
        bridge_rival: a gap is bridged unless a rival bridge costs less than this many times as
            much.
        bridge_in_rounds: short gaps are bridged first, and what they join is no rival for longer
            ones.
        outlier_iou: boxes that overlap the course of their neighbours by less are left out; 0 =
            none.
        end_share: a tracklet begins and ends with a box above this share of the video's scores; 0 =
            any.
        track_share: a tracklet whose mean score is below this share of the video's scores is
            dissolved; 0 = none.
        steady: where the heights of boxes tremble less than this (median logarithm against the line
            through their neighbours), courses can be trusted: what of the other rules has its
            default value is then as in `thrifty`. 0 = never.
    """

    iou: float = 0.35
    assignment: Assignment = "optimal"
    min_score: float = 0.25
    min_length: int = 10
    max_gap: int = 30
    velocity_gain: float = 0.3
    margin: float = 0.2
    doubt_iou: float = 0.1
    doubt_near_iou: float = 0.4
    sure_share: float = 0.25
    bridge_error: float = 0.15
    bridge_size: float = 0.25
    bridge_rival: float = 2.0
    bridge_in_rounds: bool = False
    outlier_iou: float = 0.5
    end_share: float = 0.15
    track_share: float = 0.1
    steady: float = 0.02

    def __post_init__(self) -> None:
        if self.assignment not in ("optimal", "greedy"):
            raise LpwError(
                "option --assignment",
                repr(self.assignment),
                "optimal or greedy",
                "choose one of the two",
            )
        check_range(option_name("iou"), self.iou, 0, 1, above=True)
        for name in ("min_length", "max_gap"):
            check_range(option_name(name), getattr(self, name), 1, 10**6, whole=True)
        for name in ("bridge_error", "bridge_size"):
            check_range(option_name(name), getattr(self, name), 0, 10, above=True)
        check_range(option_name("bridge_rival"), self.bridge_rival, 1, 100)
        for name in (
            "min_score",
            "velocity_gain",
            "margin",
            "doubt_iou",
            "doubt_near_iou",
            "sure_share",
        ):
            check_range(option_name(name), getattr(self, name), 0, 1)
        for name in ("outlier_iou", "end_share", "track_share", "steady"):
            check_range(option_name(name), getattr(self, name), 0, 1)

    @property
    def cuts(self) -> bool:
        """Whether tracks are cut where their identity is in doubt."""
        return self.doubt_iou < 1


PRESETS: dict[str, LinkConfig] = {
    "default": LinkConfig(),
    # Least cleaning for each clean box: joins more fragments, and mixes more people.
    "thrifty": LinkConfig(
        doubt_iou=0.2,
        doubt_near_iou=0.7,
        sure_share=0.1,
        bridge_error=0.25,
        bridge_size=0.3,
        bridge_rival=1.5,
        bridge_in_rounds=True,
        track_share=0.16,
        steady=0.0,
    ),
    "paper": LinkConfig(
        iou=0.3,
        min_score=0.0,
        min_length=1,
        max_gap=1,
        velocity_gain=0.0,
        margin=0.0,
        doubt_iou=1.0,
        outlier_iou=0.0,
        end_share=0.0,
        track_share=0.0,
        steady=0.0,
    ),
}
_RELAXED = tuple(
    f.name for f in fields(LinkConfig) if getattr(PRESETS["thrifty"], f.name) != f.default
)


def link(
    detections: pa.Table,
    config: LinkConfig,
    timeline: pa.Table | None = None,
    advance: Callable[[int], None] = lambda n_boxes: None,
) -> NDArray[np.int32]:
    """The track number (N,) of every row of `detections`, -1 = in no tracklet.

    Numbers are dense from 0 in order of (first frame, row). A tracklet has at most one box per
    frame. The result does not depend on the order of the rows of one frame, as far as their boxes
    differ.

    Args:
        detections: one video as `schema.DETECTIONS`, sorted by frame_index.
        timeline: the video's frames as `schema.TIMELINE`. Duplicate frames (and frames it does not
            hold) do not exist for linking: their boxes get -1, and the frames around them are
            consecutive. No tracklet crosses a change of segment. Without a timeline frames are
            consecutive when their indexes are.
        advance: called with the number of boxes that came nearer to their tracks, for a display; in
            sum at most N.

    Errors: LpwError when the rows are not sorted by frame.
    """
    frame = detections["frame_index"].to_numpy().astype(np.int64)
    if (np.diff(frame) < 0).any():
        raise LpwError(
            "detections", "frames out of order", "rows sorted by frame_index", "sort the table"
        )
    boxes, scores = boxes_of(detections), detections["score"].to_numpy().astype(np.float64)
    step, segment = _number_frames(frame, timeline)
    exists = (step >= 0) & (scores >= float(np.float32(config.min_score)))
    tracks = np.full(len(frame), UNASSIGNED, dtype=np.int32)
    ways = [
        _Rules(way, _score_levels(scores[exists], way)) for way in (config, _with_preset(config))
    ]
    for number in np.unique(segment[exists]):
        rows = np.flatnonzero(exists & (segment == number))
        rows = rows[np.lexsort((scores[rows], *boxes[rows].T, step[rows]))]
        found = _link_segment(boxes[rows], step[rows], scores[rows], ways, advance)
        tracks[rows] = np.where(found == UNASSIGNED, UNASSIGNED, found + tracks.max(initial=-1) + 1)
    return _number_tracks(tracks)


@dataclass(frozen=True)
class _ScoreThresholds:
    """The scores that the shares of a LinkConfig stand for in one video."""

    sure: float
    end: float
    track: float


@dataclass(frozen=True)
class _Rules:
    """Rules, and the scores that their shares stand for."""

    config: LinkConfig
    levels: _ScoreThresholds


def _score_levels(scores: NDArray[np.float64], config: LinkConfig) -> _ScoreThresholds:
    shares = (config.sure_share, config.end_share, config.track_share)
    if not len(scores):
        return _ScoreThresholds(0.0, 0.0, 0.0)
    return _ScoreThresholds(
        *(float(np.quantile(scores, share, method="lower")) if share else 0.0 for share in shares)
    )


def _number_frames(
    frame: NDArray[np.int64], timeline: pa.Table | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each row's place among the frames that count, -1 where its frame does not, and its
    segment."""
    if timeline is None:
        return frame, np.zeros(len(frame), dtype=np.int64)
    real = ~timeline["duplicate"].to_numpy(zero_copy_only=False).astype(bool)
    index = timeline["frame_index"].to_numpy()[real]
    if not len(index):
        return np.full(len(frame), -1, dtype=np.int64), np.zeros(len(frame), dtype=np.int64)
    place = np.minimum(np.searchsorted(index, frame), len(index) - 1)
    return np.where(index[place] == frame, place, -1), timeline["segment"].to_numpy()[real][
        place
    ].astype(np.int64)


def _link_segment(
    boxes: NDArray[np.float64],
    step: NDArray[np.int64],
    scores: NDArray[np.float64],
    ways: list[_Rules],
    advance: Callable[[int], None],
) -> NDArray[np.int32]:
    """Fragments by overlap, cut, joined and cleaned in the first of `ways`, or in the second where
    boxes sit well."""
    config, levels = ways[0].config, ways[0].levels
    how = AssociationConfig(
        iou=config.iou,
        greedy=config.assignment == "greedy",
        max_gap=min(config.max_gap, _FOLLOW_GAP),
        velocity_gain=config.velocity_gain,
        margin=config.margin,
    )
    tracks = associate_frames(boxes, step, how, advance)
    if config.cuts:
        tracks = split_tracks(tracks, step, max_gap=_FOLLOW_GAP, min_length=_MIN_ROWS)
        course = make_track_table(tracks, boxes, step)
        if config.steady > 0 and measure_box_jitter(course) < config.steady:
            config, levels = ways[1].config, ways[1].levels
        doubt = AmbiguityConfig(
            config.doubt_iou, config.doubt_near_iou, _DOUBT_REACH, levels.sure, 0.0
        )
        marks = np.zeros(len(tracks), dtype=bool)
        marks[course.row[find_ambiguous_splits(course, scores, doubt)]] = True
        tracks = split_tracks(
            tracks, step, max_gap=_FOLLOW_GAP, min_length=_MIN_ROWS, cut_before=marks
        )
    if config.cuts or config.max_gap > 1:
        tracks = _bridge(tracks, boxes, step, config)
    return _clean(tracks, boxes, step, scores, config, levels)


def _with_preset(config: LinkConfig) -> LinkConfig:
    """What `thrifty` does, but for what was set to another value than the default."""
    default, thrifty = LinkConfig(), PRESETS["thrifty"]
    unset = [name for name in _RELAXED if getattr(config, name) == getattr(default, name)]
    return replace(config, **{name: getattr(thrifty, name) for name in unset})


def _bridge(
    tracks: NDArray[np.int32],
    boxes: NDArray[np.float64],
    step: NDArray[np.int64],
    config: LinkConfig,
) -> NDArray[np.int32]:
    ends: EndStates = {}
    shorter = (
        [gap for gap in _GAP_ROUNDS if gap < config.max_gap] if config.bridge_in_rounds else []
    )
    for gap in [*shorter, config.max_gap]:
        bridge = GapJoinConfig(gap, config.bridge_error, config.bridge_size, config.bridge_rival)
        tracks = join_over_gaps(tracks, make_track_table(tracks, boxes, step), bridge, ends)
    return tracks


def _clean(
    tracks: NDArray[np.int32],
    boxes: NDArray[np.float64],
    step: NDArray[np.int64],
    scores: NDArray[np.float64],
    config: LinkConfig,
    levels: _ScoreThresholds,
) -> NDArray[np.int32]:
    """Leaves out what a person would have to cut off: odd boxes, weak ends, short and weak
    tracklets."""
    tracks = tracks.copy()
    if config.outlier_iou > 0:
        course = make_track_table(tracks, boxes, step)
        tracks[course.row[find_outliers(course, config.outlier_iou)]] = UNASSIGNED
    if levels.end > 0:
        tracks = split_tracks(tracks, step, max_gap=config.max_gap, min_length=1)
        course = make_track_table(tracks, boxes, step)
        tracks[course.row[find_weak_ends(course, scores, levels.end)]] = UNASSIGNED
    tracks = split_tracks(tracks, step, max_gap=config.max_gap, min_length=config.min_length)
    if levels.track > 0:
        course = make_track_table(tracks, boxes, step)
        tracks[course.row[mean_scores(course, scores) < levels.track]] = UNASSIGNED
    return tracks


def _number_tracks(tracks: NDArray[np.int32]) -> NDArray[np.int32]:
    """Dense numbers in order of each track's first row."""
    linked = np.flatnonzero(tracks != UNASSIGNED)
    _, first, inverse = np.unique(tracks[linked], return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int32)
    number[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    out = np.full(len(tracks), UNASSIGNED, dtype=np.int32)
    out[linked] = number[inverse]
    return out
