"""Links the detections of one video to tracklets: a pure function.

A tracklet that mixes two people costs whoever cleans the dataset minutes, a fragment only seconds.
So the linker associates boxes from frame to frame, and then its rules (`rule.py` lists them) cut
wherever another track ends or begins beside one (an occlusion: the box left over may be either
person), join the pieces again only where motion and size leave no rival, and leave out what would
have to be removed by hand: outliers, weak ends, short or weak tracklets. Every rule can be switched
off; `PRESETS["paper"]` is the plain frame-to-frame assignment by IoU.

Source: RQEN paper, LPW dataset section (boxes of consecutive frames are assigned by their overlap).
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.association import UNASSIGNED, AssociationConfig, associate_frames
from lpw_toolkit.linking.config import LinkConfig, with_preset
from lpw_toolkit.linking.jitter import measure_box_jitter
from lpw_toolkit.linking.rule import Segment, load_rules, name_drops
from lpw_toolkit.linking.track_table import FOLLOW_GAP, split_fragments

# Scores are saturated where this share of them lies within this width. Of the seven MOT15
# sequences, whose results must not change, the most has 65 % (TUD-Stadtmitte). With their scores
# sharpened (logits times 1.5, 2 and 3) the rules for weak scores cost people from 88 % on
# (PETS09-S2L1 and TUD-Stadtmitte: 6 to 17 points of yield). MOT17-02-FRCNN, which took no part in
# the choice, has 82 %.
_SATURATED_FRAC = 0.75
_SATURATED_WIDTH = 0.01
SATURATED = "nearly all scores are alike, so the rules for weak scores (--…-score-quantile) are off"


@dataclass(frozen=True)
class Linked:
    """The boxes of one video, linked.

    Attributes:
        tracks: (N,) see `link`.
        left_out: how many boxes each rule left out, in the order in which they ran.
        is_saturated: nearly all scores were alike, so that no rule for weak ones applied that
            else would have.
    """

    tracks: NDArray[np.int32]
    left_out: dict[str, int]
    is_saturated: bool


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
        detections, config, timeline, advance: see `link_boxes`.

    Errors: LpwError when the rows are not sorted by frame.
    """
    return link_boxes(detections, config, timeline, advance).tracks


def link_boxes(
    detections: pa.Table,
    config: LinkConfig,
    timeline: pa.Table | None = None,
    advance: Callable[[int], None] = lambda n_boxes: None,
) -> Linked:
    """The tracks, as `link` gives them, and what was left out on the way.

    Args:
        detections: one video as `schema.DETECTIONS`, sorted by frame_index.
        timeline: the video's frames as `schema.TIMELINE`. Duplicate frames (and frames it does not
            hold) are ignored: their boxes get -1, and the frames around them are consecutive. No
            tracklet crosses a change of segment. Without a timeline frames are consecutive when
            their indexes are.
        advance: called with the number of boxes that were associated, for a progress display; in
            sum at most N.

    Errors: LpwError when the rows are not sorted by frame.
    """
    frame = detections["frame_index"].to_numpy().astype(np.int64)
    if (np.diff(frame) < 0).any():
        raise LpwError(
            "detections", "frames out of order", "rows sorted by frame_index", "sort the table"
        )
    boxes, scores = boxes_of(detections), detections["score"].to_numpy().astype(np.float64)
    frame_number, segment = _number_frames(frame, timeline)
    strong = scores >= float(np.float32(config.min_score))
    exists = (frame_number >= 0) & strong
    tracks = np.full(len(frame), UNASSIGNED, dtype=np.int32)
    left_out = Counter({"in a repeated frame": int((frame_number < 0).sum())})
    left_out["score too low (--min-score)"] = int(((frame_number >= 0) & ~strong).sum())
    rules, is_saturated = load_rules(), config.ranks_scores and are_saturated(scores[exists])
    score_quantile = _make_score_quantile(scores[exists] if not is_saturated else scores[:0])
    association = AssociationConfig(
        iou=config.iou,
        greedy=config.assignment == "greedy",
        max_gap=min(config.max_gap, FOLLOW_GAP),
        velocity_gain=config.velocity_gain,
        margin=config.margin,
    )
    for number in np.unique(segment[exists]):
        rows = np.flatnonzero(exists & (segment == number))
        rows = rows[np.lexsort((scores[rows], *boxes[rows].T, frame_number[rows]))]
        piece = Segment(boxes[rows], frame_number[rows], scores[rows], score_quantile)
        linked = associate_frames(piece.boxes, piece.frame_number, association, advance)
        n_free = _count_free(linked)
        left_out["two tracks fit (--margin)"] += n_free
        chosen = _choose_config(linked, piece, config)
        for rule in rules:
            settings = chosen.settings_of(rule.Settings)
            if settings is not None:
                linked = rule.apply(linked, piece, settings)
                left_out[name_drops(rule)] += _count_free(linked) - n_free
                n_free = _count_free(linked)
        offset = tracks.max(initial=-1) + 1
        tracks[rows] = np.where(linked == UNASSIGNED, UNASSIGNED, linked + offset)
    drops = {reason: n for reason, n in left_out.items() if n}
    return Linked(_number_tracks(tracks), drops, is_saturated)


def explain_none(left_out: Mapping[str, int]) -> str:
    """Why a video has no tracklets.

    >>> explain_none({"score too low (--min-score)": 80})
    'no tracklets: all 80 boxes were left out: 80 score too low (--min-score)'
    """
    if not left_out:
        return "no tracklets: there are no boxes"
    each = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
    return f"no tracklets: all {sum(left_out.values())} boxes were left out: {each}"


def are_saturated(scores: NDArray[np.float64]) -> bool:
    """Whether nearly all scores (N,) are alike: a share of them tells nothing then.

    >>> are_saturated(np.array([0.3, 0.999, 0.999, 0.998, 1.0, 1.0, 1.0, 1.0]))
    True
    """
    n = math.ceil(_SATURATED_FRAC * len(scores))
    if not n:
        return False
    ascending = np.sort(scores)
    return bool((ascending[n - 1 :] - ascending[: len(scores) - n + 1]).min() <= _SATURATED_WIDTH)


def _count_free(tracks: NDArray[np.int32]) -> int:
    return int((tracks == UNASSIGNED).sum())


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


def _make_score_quantile(scores: NDArray[np.float64]) -> Callable[[float], float]:
    @cache
    def score_quantile(fraction: float) -> float:
        if not fraction or not len(scores):
            return 0.0
        return float(np.quantile(scores, fraction, method="lower"))

    return score_quantile


def _choose_config(
    fragments: NDArray[np.int32], segment: Segment, config: LinkConfig
) -> LinkConfig:
    """`config`, as in `low-cost` where boxes jitter little."""
    if config.cuts and config.jitter_threshold > 0:
        table = segment.table(split_fragments(fragments, segment.frame_number))
        if measure_box_jitter(table) < config.jitter_threshold:
            return with_preset(config, "low-cost")
    return config


def _number_tracks(tracks: NDArray[np.int32]) -> NDArray[np.int32]:
    """Dense numbers in order of each track's first row."""
    linked = np.flatnonzero(tracks != UNASSIGNED)
    _, first, inverse = np.unique(tracks[linked], return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int32)
    number[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    out = np.full(len(tracks), UNASSIGNED, dtype=np.int32)
    out[linked] = number[inverse]
    return out
