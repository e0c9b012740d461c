"""Links the detections of one video to tracklets: a pure function.

A tracklet that mixes two people costs whoever cleans the dataset minutes, a fragment only seconds.
So the linker associates boxes from frame to frame, and then its rules (`rule.py` lists them) cut
wherever another track ends or begins beside one (an occlusion: the box left over may be either
person), join the pieces again only where motion and size leave no rival, and leave out what would
have to be removed by hand: outliers, weak ends, short or weak tracklets. Every rule can be switched
off; `PRESETS["paper"]` is the plain frame-to-frame assignment by IoU.

Source: RQEN paper, LPW dataset section (boxes of consecutive frames are assigned by their overlap).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.association import UNASSIGNED, AssociationConfig, associate_frames
from lpw_toolkit.linking.config import LinkConfig, with_preset
from lpw_toolkit.linking.jitter import measure_box_jitter
from lpw_toolkit.linking.rule import Segment, load_rules
from lpw_toolkit.linking.track_table import FOLLOW_GAP, split_fragments


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
    exists = (frame_number >= 0) & (scores >= float(np.float32(config.min_score)))
    tracks = np.full(len(frame), UNASSIGNED, dtype=np.int32)
    rules, score_quantile = load_rules(), _make_score_quantile(scores[exists])
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
        chosen = _choose_config(linked, piece, config)
        for rule in rules:
            settings = chosen.settings_of(rule.Settings)
            if settings is not None:
                linked = rule.apply(linked, piece, settings)
        offset = tracks.max(initial=-1) + 1
        tracks[rows] = np.where(linked == UNASSIGNED, UNASSIGNED, linked + offset)
    return _number_tracks(tracks)


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
