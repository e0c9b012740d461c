"""What the linker leaves out is counted by reason; short tracks and saturated scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lpw_toolkit.dataset.mot_text import (
    BoxRows,
    corners_of,
    make_detections,
    read_boxes,
    track_rows,
)
from lpw_toolkit.linking.config import PRESETS
from lpw_toolkit.linking.linker import are_saturated, explain_none, link, link_boxes
from lpw_toolkit.linking.smoothing import smooth_tracks
from lpw_toolkit.truth.cleanup_cost import score_tracklets

DEFAULT, PAPER = PRESETS["default"], PRESETS["paper"]
SPREAD = np.linspace(0.3, 0.9, 40)


def walk(n_frames: int, n_people: int = 1, score: float | np.ndarray = 0.9, speed: float = 1.0):
    """People side by side, far from each other."""
    frame = np.repeat(np.arange(n_frames, dtype=np.int32), n_people)
    left = np.tile(200.0 * np.arange(n_people), n_frames) + speed * frame
    boxes = np.stack([left, 0 * left, left + 40, 0 * left + 100], axis=1)
    return make_detections(frame, boxes, np.broadcast_to(score, len(frame)))


@pytest.mark.parametrize("n_frames", [1, 2])
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_one_box_is_enough_where_the_user_says_so(n_frames: int, preset: str) -> None:
    detections = walk(n_frames, n_people=2)
    tracks = link(detections, replace(PRESETS[preset], min_length=1))
    assert tracks.tolist() == [0, 1] * n_frames
    two = link(detections, replace(PRESETS[preset], min_length=2))
    assert two.tolist() == ([-1, -1] if n_frames == 1 else [0, 1] * 2)


def test_two_boxes_of_a_fast_person_are_no_outliers() -> None:
    assert link(walk(2, speed=18.0), replace(DEFAULT, min_length=1)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("detections", "config", "reason", "n"),
    [
        (walk(40, score=0.1), DEFAULT, "score too low (--min-score)", 40),
        (walk(9), DEFAULT, "track too short (--min-length)", 9),
        (walk(2), DEFAULT, "in a piece of one or two frames (--min-length)", 2),
        (walk(40, score=SPREAD), replace(DEFAULT, track_score_quantile=1.0),
         "track of weak boxes (--track-score-quantile)", 40),
        (walk(40, speed=60.0), DEFAULT, "in a piece of one or two frames (--min-length)", 40),
    ],
)  # fmt: skip
def test_the_rule_that_took_the_boxes_is_named(detections, config, reason: str, n: int) -> None:
    config = replace(config, end_score_quantile=0.0)
    linked = link_boxes(detections, config)
    assert linked.tracks.max() == -1
    assert linked.left_out == {reason: n}
    total = detections.num_rows
    assert explain_none(linked.left_out) == (
        f"no tracklets: all {total} boxes were left out: {n} {reason}"
    )


def test_every_box_is_in_a_track_or_counted() -> None:
    rng = np.random.default_rng(0)
    n = 600
    corner = rng.uniform(0, 150, (n, 2))
    detections = make_detections(
        np.sort(rng.integers(0, 60, n)).astype(np.int32),
        np.concatenate([corner, corner + np.array([30, 80])], axis=1),
        rng.uniform(0, 1, n),
    )
    for config in (*PRESETS.values(), replace(DEFAULT, min_length=1)):
        linked = link_boxes(detections, config)
        assert (linked.tracks < 0).sum() == sum(linked.left_out.values())
        assert all(linked.left_out.values())


def test_no_boxes_at_all() -> None:
    linked = link_boxes(walk(0), DEFAULT)
    assert (linked.left_out, linked.is_saturated) == ({}, False)
    assert explain_none({}) == "no tracklets: there are no boxes"


class TestSaturation:
    @pytest.mark.parametrize(
        ("scores", "expected"),
        [
            (np.ones(50), True),
            (np.full(50, 0.9), True),
            (np.r_[np.full(46, 0.9), 0.3, 0.4, 0.5, 1.0], True),  # nearly constant, not at the top
            (np.r_[np.full(38, 0.999), np.linspace(0.3, 0.9, 12)], True),
            (np.r_[np.full(36, 0.999), np.linspace(0.3, 0.9, 14)], False),
            (np.random.default_rng(0).uniform(0.5, 1, 1000), False),
            (np.zeros(0), False),
        ],
    )
    def test_where_nearly_all_scores_are_alike(self, scores, expected: bool) -> None:
        assert are_saturated(scores) is expected

    def test_rounding_costs_nobody(self) -> None:
        """A mean of equal scores may be a bit below them."""
        score = np.full(80, 0.9)
        score[[3, 11]] = 0.95
        assert (link(walk(40, n_people=2, score=score), DEFAULT) >= 0).all()

    def test_it_is_said_only_where_a_rule_would_have_ranked(self) -> None:
        assert link_boxes(walk(40), DEFAULT).is_saturated
        assert not link_boxes(walk(40), PAPER).is_saturated
        assert not link_boxes(walk(40, score=SPREAD), DEFAULT).is_saturated

    @pytest.mark.realdata
    def test_a_sure_detector_keeps_its_people(self, shared_data: Path) -> None:
        """MOT17-02-FRCNN, on which nothing was chosen: its scores, constant, high and random
        ones."""
        folder = shared_data / "mot17" / "MOT17-02-FRCNN"
        rows = np.loadtxt(folder / "det" / "det.txt", delimiter=",")
        rows = rows[rows[:, 6] > 0.5]
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        rng, n = np.random.default_rng(0), len(rows)
        kinds = [
            rows[:, 6],
            np.ones(n),
            1 - 0.001 * rng.random(n) * (rng.random(n) < 0.2),
            rng.uniform(0.5, 1, n),
        ]
        truth = read_boxes(folder / "gt" / "gt.txt")
        yields = [_yield(rows, scores, truth) for scores in kinds]
        assert max(yields) - min(yields) < 0.02
        assert min(yields) > 0.32


def _yield(rows: np.ndarray, scores: np.ndarray, truth: BoxRows) -> float:
    detections = make_detections((rows[:, 0] - 1).astype(np.int32), corners_of(rows), scores)
    tracks = link(detections, DEFAULT)
    return score_tracklets(track_rows(smooth_tracks(detections, tracks), tracks), truth).yield_frac
