"""Simulates a detector on ground truth: misses, false boxes, jitter, merged, partial and double
boxes, scores."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from lpw_toolkit import boxes as bx
from lpw_toolkit.synth.config import NoiseConfig

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Ground-truth rows with less of the person visible than this do not count (seventh column 0).
COUNTED_VISIBILITY = 0.1


@dataclass(frozen=True)
class Truth:
    """Ground truth of one video, N rows sorted by (frame, number).

    Attributes:
        frame_index: (N,) 0-based.
        number: (N,) the person's id within the scene, 1-based.
        boxes: (N, 4) `x1 y1 x2 y2` of the whole person, hidden parts too, cut at the frame; pixels,
            half-open.
        visible_boxes: (N, 4) of the visible pixels; empty at the corner of `boxes` where none is.
        visibility: (N,) visible pixels as a fraction of the person's silhouette, 0-1.
        inside: (N,) the fraction of the silhouette that lies within the frame, 0-1.
    """

    n_frames: int
    width: int
    height: int
    frame_index: Ints
    number: Ints
    boxes: Floats
    visible_boxes: Floats
    visibility: Floats
    inside: Floats

    @property
    def counted(self) -> NDArray[np.bool_]:
        """(N,) rows that count: at least a tenth of the person is visible."""
        return self.visibility >= COUNTED_VISIBILITY

    @property
    def covered(self) -> Floats:
        """(N,) the share of the silhouette within the frame that something nearer hides, 0-1."""
        return 1.0 - self.visibility / np.maximum(self.inside, 1e-9)


@dataclass(frozen=True)
class Boxes:
    """Detections of one video, sorted by frame and falling score: (N,) frames, (N, 4) pixels, (N,)
    scores 0-1."""

    frame_index: Ints
    boxes: Floats
    scores: Floats


def detect_truth(truth: Truth, config: NoiseConfig, rng: np.random.Generator) -> Boxes:
    """What a detector with these faults reports of `truth`. The truth is not changed."""
    height = truth.boxes[:, 3] - truth.boxes[:, 1]
    luck = _draw_uniform(truth, config.miss_correlation, rng)
    found = luck < hit_probability(truth.visibility, height, config)
    logits = _draw_true_logits(truth, config, rng)
    drawn = _jitter(truth, config, rng)
    drawn = _cut_parts(truth, drawn, config, rng)
    drawn, found = _merge(truth, drawn, found, config, rng)
    rows = np.flatnonzero(found)
    doubles = rows[rng.random(len(rows)) < config.duplicate_frac]
    false_frames, false_boxes = _draw_false(truth, config, rng)
    frames = np.concatenate([truth.frame_index[rows], truth.frame_index[doubles], false_frames])
    places = np.concatenate([drawn[rows], _double(drawn[doubles], rng), false_boxes])
    false_logits = config.score_false + config.score_std * rng.standard_normal(
        len(doubles) + len(false_frames)
    )
    # The public detections hold nothing below one half, so logits are folded at 0.
    scores = expit(np.abs(np.concatenate([logits[rows], false_logits])))
    return _finish(truth, frames, places, scores)


def hit_probability(visibility: Floats, height_px: Floats, config: NoiseConfig) -> Floats:
    """Probability (N,) that the detector finds persons so visible (0-1) and so tall (pixels)."""
    knots = [config.visibility_min, 0.5, 0.95]
    found = np.interp(visibility, knots, [config.hit_hidden, config.hit_half, config.hit_full])
    if config.small_px > 0:
        found = found / (1.0 + (config.small_px / np.maximum(height_px, 1.0)) ** 3)
    return np.where(visibility >= config.visibility_min, found, 0.0)


def _draw_uniform(truth: Truth, correlation: float, rng: np.random.Generator) -> Floats:
    """(N,) uniform numbers, correlated along each person: a Gaussian process read through its own
    distribution."""
    from scipy.special import ndtr

    uniform: Floats = ndtr(_draw_correlated(truth, correlation, 1, rng)[:, 0])
    return uniform


def _draw_correlated(
    truth: Truth, correlation: float, n_columns: int, rng: np.random.Generator
) -> Floats:
    """(N, n_columns) standard normal numbers, each person's an AR(1) process over his frames (gaps
    included)."""
    fresh = rng.standard_normal((len(truth.number), n_columns))
    for number in np.unique(truth.number):
        rows = np.flatnonzero(truth.number == number)
        steps = np.diff(truth.frame_index[rows], prepend=truth.frame_index[rows[0]] - 10_000)
        kept = correlation ** steps.astype(np.float64)
        for k in range(1, len(rows)):
            fresh[rows[k]] = (
                kept[k] * fresh[rows[k - 1]] + np.sqrt(1 - kept[k] ** 2) * fresh[rows[k]]
            )
    return fresh


def _draw_true_logits(truth: Truth, config: NoiseConfig, rng: np.random.Generator) -> Floats:
    hidden = 1.0 - truth.visibility
    mean = config.score_true - min(config.score_std, 1.0) * 2.5 * hidden
    luck = _draw_correlated(truth, config.miss_correlation, 1, rng)[:, 0]
    return mean + config.score_std * luck


def _jitter(truth: Truth, config: NoiseConfig, rng: np.random.Generator) -> Floats:
    """Boxes (N, 4) moved and stretched; hidden persons are boxed worse."""
    height = truth.boxes[:, 3] - truth.boxes[:, 1]
    error = _draw_correlated(truth, config.jitter_correlation, 4, rng) * config.jitter_frac
    error *= (height * (1.0 + 0.8 * (1.0 - truth.visibility)))[:, None]
    middle, half, top, bottom = (
        error[:, 0],
        0.7 * error[:, 1],
        1.4 * error[:, 2],
        1.55 * error[:, 3],
    )
    moved = truth.boxes + np.stack([middle - half, top, middle + half, bottom], axis=1)
    # `moved`, but the original wherever less than a third of its width or height would be left.
    least = (truth.boxes[:, 2:] - truth.boxes[:, :2]) / 3
    broken = np.any((moved[:, 2:] - moved[:, :2]) < least, axis=1)
    return np.where(broken[:, None], truth.boxes, moved)


def _cut_parts(
    truth: Truth, drawn: Floats, config: NoiseConfig, rng: np.random.Generator
) -> Floats:
    """Boxes that end where the visible part ends, for persons whose lower third or more is
    hidden."""
    height = truth.boxes[:, 3] - truth.boxes[:, 1]
    seen_bottom = truth.visible_boxes[:, 3]
    legless = (seen_bottom < truth.boxes[:, 3] - 0.3 * height) & (
        seen_bottom > truth.boxes[:, 1] + 0.2 * height
    )
    chosen = legless & (_draw_uniform(truth, 0.9, rng) < config.part_frac)
    cut = drawn.copy()
    cut[chosen, 3] = np.maximum(seen_bottom[chosen], drawn[chosen, 1] + 4.0)
    return cut


def _merge(
    truth: Truth,
    drawn: Floats,
    found: NDArray[np.bool_],
    config: NoiseConfig,
    rng: np.random.Generator,
) -> tuple[Floats, NDArray[np.bool_]]:
    """The nearer of two overlapping persons gets one wide box, the farther none."""
    drawn, found = drawn.copy(), found.copy()
    luck = _draw_uniform(truth, 0.8, rng)
    borders = np.searchsorted(truth.frame_index, np.arange(truth.n_frames + 1))
    for start, end in pairwise(borders.tolist()):
        rows = np.arange(start, end)[found[start:end]]
        if len(rows) < 2:
            continue
        overlap = np.triu(bx.iou(truth.boxes[rows], truth.boxes[rows]), 1)
        for i, j in np.argwhere(overlap > config.merge_iou):
            near, far = (
                (rows[i], rows[j])
                if truth.boxes[rows[i], 3] >= truth.boxes[rows[j], 3]
                else (rows[j], rows[i])
            )
            if found[near] and found[far] and luck[near] < config.merge_frac:
                found[far] = False
                drawn[near, :2] = np.minimum(drawn[near, :2], drawn[far, :2])
                drawn[near, 2:] = np.maximum(drawn[near, 2:], drawn[far, 2:])
    return drawn, found


def _double(boxes: Floats, rng: np.random.Generator) -> Floats:
    """A second, worse box for each: what non-maximum suppression lets through."""
    size = boxes[:, 2:] - boxes[:, :2]
    shift = rng.uniform(-0.18, 0.18, (len(boxes), 2)) * size
    grow = rng.uniform(0.75, 1.3, (len(boxes), 1)) * size / 2
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + shift
    return np.concatenate([centre - grow, centre + grow], axis=1)


def _draw_false(truth: Truth, config: NoiseConfig, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Boxes on nobody: a few places that fire in runs of frames, and single ones anywhere."""
    persistent = config.false_per_frame * config.false_persistent_frac
    n_single = rng.poisson(config.false_per_frame - persistent, truth.n_frames)
    frames = [np.repeat(np.arange(truth.n_frames), n_single)]
    places = [_draw_places(truth, int(n_single.sum()), rng)]
    n_places = int(np.ceil(persistent * 3))
    for place in _draw_places(truth, n_places, rng):
        on = _draw_runs(truth.n_frames, persistent / n_places, rng)
        noise = rng.standard_normal((len(on), 4)) * config.jitter_frac * 0.4 * (place[3] - place[1])
        frames.append(on)
        places.append(place + noise)
    return np.concatenate(frames), np.concatenate(places)


def _draw_runs(n_frames: int, share: float, rng: np.random.Generator, length: float = 6.0) -> Ints:
    """Frame numbers of a place that fires for runs of about `length` frames, `share` of the
    time."""
    share = min(share, 0.95)
    go_on, start = 1 - 1 / length, share / (1 - share) / length
    state, on = bool(rng.random() < share), []
    for frame, chance in enumerate(rng.random(n_frames)):
        state = bool(chance < (go_on if state else start))
        if state:
            on.append(frame)
    return np.array(on, dtype=np.int64)


def _draw_places(truth: Truth, n_places: int, rng: np.random.Generator) -> Floats:
    """Person-shaped boxes (n_places, 4) of the sizes that persons have in this video."""
    sizes = (
        truth.boxes[:, 3] - truth.boxes[:, 1] if len(truth.boxes) else np.array([truth.height / 3])
    )
    height = rng.choice(sizes, n_places) * rng.uniform(0.6, 1.2, n_places)
    width = height * rng.uniform(0.3, 0.55, n_places)
    left = rng.uniform(0, truth.width, n_places) - width / 2
    bottom = rng.uniform(0.35 * truth.height, truth.height, n_places)
    return np.stack([left, bottom - height, left + width, bottom], axis=1)


def _finish(truth: Truth, frames: Ints, places: Floats, scores: Floats) -> Boxes:
    places = bx.clip(places, truth.width, truth.height)
    solid = np.all((places[:, 2:] - places[:, :2]) >= 2.0, axis=1)
    order = np.lexsort((-scores, frames))
    order = order[solid[order]]
    return Boxes(frames[order], places[order], scores[order])
