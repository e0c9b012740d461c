"""Geometry of boxes against plain arithmetic, one box at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpw_toolkit.boxes import area, clip, intersection, iou, iou_pairs, nms

sides = st.floats(-50, 50, allow_nan=False, width=32)
box = st.tuples(sides, sides, sides, sides).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
some_boxes = st.lists(box, max_size=6).map(
    lambda rows: np.array(rows, dtype=np.float64).reshape(-1, 4)
)


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    return overlap / union if union > 0 else 0.0


@given(some_boxes, some_boxes)
@settings(deadline=None)
def test_iou_is_that_of_every_pair(a: np.ndarray, b: np.ndarray) -> None:
    found = iou(a, b)
    assert found.shape == (len(a), len(b))
    wanted = [[plain_iou(x, y) for y in b] for x in a]
    assert found == pytest.approx(np.array(wanted, dtype=float).reshape(len(a), len(b)), abs=1e-9)
    assert ((found >= 0) & (found <= 1 + 1e-9)).all()
    n = min(len(a), len(b))
    assert iou_pairs(a[:n], b[:n]) == pytest.approx(np.diagonal(found)[:n], abs=1e-12)
    assert np.allclose(iou(b, a).T, found, rtol=0, atol=1e-12)


def test_known_values() -> None:
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 5]], dtype=float)
    b = np.array([[5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 0, 5]], dtype=float)
    assert iou(a, b).tolist() == [[pytest.approx(1 / 3), 0, 0], [0, 0, 0]]
    assert intersection(a, b).tolist() == [[50, 0, 0], [0, 0, 0]]
    assert area(np.array([[0, 0, 2, 3], [2, 2, 1, 5]], dtype=float)).tolist() == [6, 0]


def test_nothing_overlaps_nothing() -> None:
    empty = np.zeros((0, 4))
    assert iou(empty, np.ones((3, 4))).shape == (0, 3)
    assert nms(empty, np.zeros(0), 0.5).tolist() == []
    assert area(empty).tolist() == []


@given(some_boxes)
@settings(deadline=None)
def test_clipped_boxes_lie_in_the_frame_and_stay_what_they_were_inside(boxes: np.ndarray) -> None:
    found = clip(boxes, 30, 20)
    assert ((found >= 0) & (found <= [30, 20, 30, 20])).all()
    inside = ((boxes >= 0) & (boxes <= [30, 20, 30, 20])).all(axis=1)
    assert (found[inside] == boxes[inside]).all()
    frame = np.tile([0.0, 0.0, 30.0, 20.0], (len(boxes), 1))
    assert area(found) == pytest.approx(np.diagonal(intersection(boxes, frame)), abs=1e-6)


@given(some_boxes, st.floats(0.05, 0.95))
@settings(deadline=None)
def test_nms_keeps_what_no_better_kept_box_covers(boxes: np.ndarray, threshold: float) -> None:
    scores = np.linspace(0, 1, len(boxes))[::-1].copy() if len(boxes) % 2 else np.ones(len(boxes))
    kept = nms(boxes, scores, threshold).tolist()
    wanted: list[int] = []
    for row in range(
        len(boxes)
    ):  # both score orders are the order of the rows: ties go to the lower row
        if all(plain_iou(boxes[row], boxes[other]) <= threshold for other in wanted):
            wanted.append(row)
    assert kept == wanted
