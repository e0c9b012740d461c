"""Refining, cutting and encoding boxes."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpw_toolkit import boxes as geometry
from lpw_toolkit.build.crops import CropConfig, pixel_box, refine
from lpw_toolkit.dataset.image_codec import encode, resize
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.smoothing import MAX_CUT_FRAC, smooth_boxes

FRAME_PX = (640, 480)


def walk(n: int, *, jitter_px: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy and true boxes (n, 4) of somebody who walks to the right."""
    rng = np.random.default_rng(seed)
    x = 100 + 3.0 * np.arange(n)
    truth = np.stack([x, np.full(n, 100.0), x + 40, np.full(n, 220.0)], axis=1)
    return truth + rng.normal(0, jitter_px, truth.shape), truth


def test_smoothing_brings_noisy_boxes_nearer_to_the_truth():
    raw, truth = walk(60, jitter_px=4.0)
    smooth = smooth_boxes(raw, np.arange(60), 3.0)
    assert geometry.iou_pairs(smooth, truth).mean() > geometry.iou_pairs(raw, truth).mean() + 0.05


def test_a_straight_walk_is_left_as_it_is():
    raw, _ = walk(30)
    assert np.allclose(smooth_boxes(raw, np.arange(30), 3.0), raw, atol=1e-6)


def test_frames_that_are_missing_count_as_distance():
    raw, _ = walk(30)
    kept = np.array([i for i in range(30) if i not in (10, 11, 12)])
    assert np.allclose(smooth_boxes(raw[kept], kept, 3.0), raw[kept], atol=1e-6)


def test_one_box_alone_stays():
    raw, _ = walk(1)
    assert np.allclose(smooth_boxes(raw, np.array([5]), 3.0), raw)


def test_a_moment_with_hidden_legs_is_filled_from_its_neighbours():
    raw, truth = walk(31)
    raw[15, 3] = 160.0
    smooth = smooth_boxes(raw, np.arange(31), 3.0)
    assert geometry.iou_pairs(smooth, truth)[15] > geometry.iou_pairs(raw, truth)[15] + 0.2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_no_box_loses_more_than_half_to_smoothing(seed: int, n: int):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 400, (n, 2))
    raw = np.concatenate([corner, corner + rng.uniform(1, 200, (n, 2))], axis=1)
    smooth = smooth_boxes(raw, np.sort(rng.choice(200, n, replace=False)), 3.0)
    kept = np.array(
        [geometry.intersection(s[None], r[None])[0, 0] for s, r in zip(smooth, raw, strict=True)]
    )
    assert (kept >= (1 - 2 * MAX_CUT_FRAC) ** 2 * geometry.area(raw) - 1e-6).all()
    assert (1 - 2 * MAX_CUT_FRAC) ** 2 > 0.5


def test_refined_boxes_lie_in_the_frame_and_odd_shapes_are_dropped():
    raw = np.array(
        [
            [10, 10, 50, 110],
            [10, 10, 110, 40],
            [10, 10, 20, 200],
            [-30, 10, 10, 110],
            [600, 400, 608, 420],
        ]
    )
    config = CropConfig(smooth_frames=0)
    inside, odd = refine(raw.astype(float), np.arange(5) * 100, FRAME_PX, config)
    assert {reason: np.flatnonzero(mask).tolist() for reason, mask in odd.items()} == {
        "too low (--min-height-px)": [4],
        "too narrow (--min-width-px)": [],
        "too wide for its height (--min-aspect)": [1],
        "too high for its width (--max-aspect)": [2, 3],
        "mostly outside the picture (--min-inside-frac)": [3],
    }
    assert (
        (inside[:, :2] >= 0).all() and (inside[:, 2] <= 640).all() and (inside[:, 3] <= 480).all()
    )


def test_whole_pixels_stay_in_the_frame_and_never_vanish():
    assert pixel_box(np.array([639.9, 479.9, 640.0, 480.0]), 640, 480) == (639, 479, 640, 480)
    assert pixel_box(np.array([10.4, 10.6, 10.45, 30.5]), 640, 480) == (10, 11, 11, 30)


@pytest.mark.parametrize(("shape", "size_px", "expected"), [
    ((300, 150, 3), (256, 128), (256, 128, 3)),
    ((40, 20, 3), (256, 128), (256, 128, 3)),
    ((40, 20, 3), None, (40, 20, 3)),
])  # fmt: skip
def test_crops_have_the_asked_size(shape, size_px, expected):
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    assert resize(pixels, size_px).shape == expected


def test_encoding_is_repeatable_and_decodes_to_nearly_the_same():
    pixels = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (256, 128, 3), dtype=np.uint8), (9, 9), 3
    )
    data = encode(pixels, 95)
    assert data == encode(pixels, 95)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("wrong", [
    {"jpeg_quality": 0}, {"jpeg_quality": 101}, {"size_px": (0, 128)}, {"size_px": (256, 99999)},
    {"smooth_frames": -1.0}, {"min_aspect": 7.0},
])  # fmt: skip
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(LpwError, match="expected"):
        CropConfig(**wrong)


@pytest.mark.realdata
@pytest.mark.parametrize("sequence", ["PETS09-S2L1", "TUD-Stadtmitte"])
def test_refining_jittered_truth_helps_on_real_courses(shared_data, sequence):
    rows = np.loadtxt(shared_data / "mot15" / sequence / "gt" / "gt.txt", delimiter=",")
    rng = np.random.default_rng(0)
    raw_iou, refined_iou = [], []
    for person in np.unique(rows[:, 1]):
        mine = rows[rows[:, 1] == person]
        truth = np.concatenate([mine[:, 2:4], mine[:, 2:4] + mine[:, 4:6]], axis=1)
        size = np.tile(mine[:, 4:6], 2)
        raw = truth + rng.normal(0, 0.06, truth.shape) * size
        smooth = smooth_boxes(raw, mine[:, 0].astype(np.int64), CropConfig().smooth_frames)
        raw_iou.append(geometry.iou_pairs(raw, truth))
        refined_iou.append(geometry.iou_pairs(smooth, truth))
    assert np.concatenate(refined_iou).mean() > np.concatenate(raw_iou).mean() + 0.03
