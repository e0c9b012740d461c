"""Aggregates the box signals into one measure per tracklet and reason."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.cleaning.suggest.box_signals import (
    BoxSignals,
    Floats,
    Ints,
    VideoBoxes,
    iter_frames,
)
from lpw_toolkit.cleaning.suggest.meetings import BOX_NAMES, measure_meetings
from lpw_toolkit.dataset.tables import boxes_of, to_integers

_MIN_SIDE = 4  # boxes on either side of a bend in the course
_MAX_BENDS = 24  # places at which a bend is looked for
_CLOSE_IOU = 0.35  # two raw boxes of one frame that overlap more are often one box on two people
_STILL = 0.2  # heights: no net way
_JUMP, _WEAK = 0.1, 0.8  # heights, and a share: from here on a frame counts
_SAME_IOU = 0.5  # two boxes at one place
_RECUR_FRAMES, _AROUND = (
    1000,
    5,
)  # frames that are asked, spread over the video; frames that still belong to a tracklet


def measure_tracklets(video: VideoBoxes, signals: BoxSignals) -> tuple[Ints, dict[str, Floats]]:
    """The tracklets (T,) of a video, ascending, and the measures (T,) of each reason; NaN where it
    cannot be told.

    * `box_jump`: largest jump against the usual one of the tracklet.
    * `box_change`: largest change of shape against the usual one.
    * `bend`: how much better two straight courses fit than one, in heights.
    * `missing_frames`: frames without a box per frame with one.
    * `long_gap`: frames of the longest stretch without a box.
    * `gap_jump`: way across the longest stretch without a box, in heights.
    * `unlinked_detection`: largest IoU with a raw box that belongs to nobody.
    * `two_people`: share of the frames in which such a box overlaps by _CLOSE_IOU.
    * `wide_box`: logarithm of width over height against what is usual in the video.
    * `overlap`: mean IoU with the nearest other tracklet.
    * `cut_off`: share of the frames in which the box ends with the picture.
    * `weak_boxes`: mean share of the video's boxes with a better score.
    * `odd_size`: logarithm of the height against what is usual at that place, without sign.
    * `static`: frames per height of area that the tracklet covers.
    * `wander`: way walked over way made good.
    * `recurring_box`: share of the other frames (of those with raw boxes) in which one lies where
      the tracklet mostly is.
    * `jumps`, `misses`, `wide_frames`, `weak_frames`: frames with a jump, missing, wide, with a
      weak score.
    * those of `meetings.measure_meetings`.
    """
    first = np.flatnonzero(np.diff(video.tracklet, prepend=-1))
    if not len(first):
        return np.zeros(0, np.int64), {name: np.zeros(0) for name in NAMES}
    last = np.append(first[1:], len(video.tracklet)) - 1
    n = (last - first + 1).astype(np.float64)

    def total(values: NDArray[np.floating] | NDArray[np.bool_]) -> Floats:
        return np.asarray(np.add.reduceat(values.astype(np.float64), first))

    def mean(values: Floats) -> Floats:
        return total(values) / n

    def most(values: Floats) -> Floats:
        return np.asarray(np.maximum.reduceat(values, first))

    def middle(values: Floats) -> Floats:
        return np.array([np.median(values[a : b + 1]) for a, b in zip(first, last, strict=True)])

    centre, height = signals.centre, mean(signals.centre[:, 3])
    wide = middle(np.log(centre[:, 2] / centre[:, 3]))
    steps = np.hypot(*np.diff(centre[:, :2], axis=0, prepend=centre[:1, :2]).T)
    steps[first] = 0
    net = np.hypot(*(centre[last, :2] - centre[first, :2]).T)
    x, y = centre[:, 0], centre[:, 1]
    spread = np.sqrt(mean(x**2) - mean(x) ** 2 + mean(y**2) - mean(y) ** 2)
    longest = most(signals.missing)
    close = np.where(np.isnan(signals.unlinked), np.nan, signals.unlinked > _CLOSE_IOU)
    return video.tracklet[first], {
        "box_jump": most(signals.jump) / (middle(signals.jump) + 0.02),
        "box_change": most(signals.shape) / (middle(signals.shape) + 0.05),
        "bend": _find_bends(video, centre, first, last, height),
        "missing_frames": mean(signals.missing),
        "long_gap": longest,
        "gap_jump": most(np.where(signals.missing == np.repeat(longest, n.astype(int)), steps, 0))
        / height
        * (longest > 0),
        "unlinked_detection": most(signals.unlinked),
        "two_people": mean(close),
        "wide_box": wide - np.median(wide),
        "overlap": mean(signals.overlap),
        "cut_off": mean(signals.border),
        "weak_boxes": mean(signals.weak),
        "odd_size": np.abs(middle(signals.size)),
        "static": np.sqrt(n) * height / (spread + 0.05 * height) / 10,
        "wander": np.add.reduceat(steps, first) / np.maximum(net, _STILL * height),
        "recurring_box": _find_recurring(video, first, last),
        "jumps": total(signals.jump > _JUMP),
        "misses": total(signals.missing),
        "wide_frames": total(signals.wide),
        "weak_frames": total(signals.weak > _WEAK),
    } | measure_meetings(signals, first)


NAMES = (
    "box_jump", "box_change", "bend", "missing_frames", "long_gap", "gap_jump",
    "unlinked_detection", "two_people", "wide_box",
    "overlap", "cut_off", "weak_boxes", "odd_size", "static", "wander", "recurring_box", "jumps",
    "misses", "wide_frames",
    "weak_frames", *BOX_NAMES,
)  # fmt: skip


def _find_bends(
    video: VideoBoxes,
    centre: Floats,
    first: NDArray[np.intp],
    last: NDArray[np.intp],
    height: Floats,
) -> Floats:
    """Root of the mean squared gain (T,), in heights, of drawing two lines through the course in
    place of one."""
    gains = np.zeros(len(first))
    for i, (a, b) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        n = b - a + 1
        if n < 2 * _MIN_SIDE:
            continue
        at = (video.frame_index[a : b + 1] - video.frame_index[a]).astype(np.float64)
        place = centre[a : b + 1, :2] / height[i]
        cuts = np.unique(
            np.linspace(_MIN_SIDE, n - _MIN_SIDE, min(_MAX_BENDS, n - 2 * _MIN_SIDE + 1)).astype(
                int
            )
        )
        before, after = (
            _residuals(at, place)[cuts - 1],
            _residuals(at[::-1], place[::-1])[n - cuts - 1],
        )
        one = float(_residuals(at, place)[-1])
        gains[i] = np.sqrt(max(one - float((before + after).min()), 0.0) / n)
    return gains


def _residuals(at: Floats, place: Floats) -> Floats:
    """Squared error (n,) of the best line through the first 1, 2, ... n places (n, 2)."""
    n = np.arange(1, len(at) + 1)
    at, place = at - at[0], place - place[0]
    t, tt = at.cumsum(), (at * at).cumsum()
    p, pp, tp = (
        place.cumsum(axis=0),
        (place * place).cumsum(axis=0),
        (at[:, None] * place).cumsum(axis=0),
    )
    spread = np.maximum(tt - t * t / n, 1e-9)[:, None]
    cross = tp - t[:, None] * p / n[:, None]
    return np.asarray(np.maximum(pp - p * p / n[:, None] - cross**2 / spread, 0).sum(axis=1))


def _find_recurring(video: VideoBoxes, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats:
    """What the detector takes for a person again and again, long after the tracklet, is part of the
    scene: (T,)."""
    if video.detections is None or not video.detections.num_rows:
        return np.full(len(first), np.nan)
    at = to_integers(video.detections, "frame_index").astype(np.int64)
    frames = np.unique(at)
    frames = frames[:: -(-len(frames) // _RECUR_FRAMES)]
    taken = np.flatnonzero(np.isin(at, frames))
    taken = taken[np.argsort(at[taken], kind="stable")]
    found, at = boxes_of(video.detections)[taken], at[taken]
    starts = np.searchsorted(at, frames)
    shares = np.zeros(len(first))
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        usual = np.median(video.boxes[a : b + 1], axis=0)[None]
        there = np.logical_or.reduceat(geometry.iou(usual, found)[0] >= _SAME_IOU, starts)
        start, stop = video.frame_index[a] - _AROUND, video.frame_index[b] + _AROUND
        other = (frames < start) | (frames > stop)
        shares[i] = there[other].sum() / max(int(other.sum()), 1)
    return shares


def find_duplicates(video: VideoBoxes) -> tuple[Floats, Ints]:
    """For each tracklet (T,), ascending: the largest share of its frames that one other tracklet's
    boxes cover by _SAME_IOU, and that tracklet; 0 and -1 where there is none.
    """
    ids = np.unique(video.tracklet)
    counts: dict[tuple[int, int], int] = {}
    for _, rows in iter_frames(video.frame_index):
        same = geometry.iou(video.boxes[rows], video.boxes[rows]) >= _SAME_IOU
        for i, j in np.argwhere(same) if same.sum() > len(rows) else ():
            if i != j:
                pair = int(video.tracklet[rows[i]]), int(video.tracklet[rows[j]])
                counts[pair] = counts.get(pair, 0) + 1
    share, other = np.zeros(len(ids)), np.full(len(ids), -1, dtype=np.int64)
    lengths = dict(
        zip(*(part.tolist() for part in np.unique(video.tracklet, return_counts=True)), strict=True)
    )
    place = {int(name): i for i, name in enumerate(ids)}
    for (mine, theirs), count in sorted(counts.items()):
        found = count / lengths[mine]
        if found > share[place[mine]]:
            share[place[mine]], other[place[mine]] = found, theirs
    return share, other
