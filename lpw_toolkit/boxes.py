"""Geometry of (N, 4) boxes `x1 y1 x2 y2`: pixels, half-open, x to the right and y down."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]


def area(boxes: Boxes) -> NDArray[np.float64]:
    """Areas (N,) in square pixels; 0 for a box without extent."""
    sides: Boxes = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    areas: NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return areas


def intersection(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Overlap areas (N, M) of every box of `a` (N, 4) with every box of `b` (M, 4)."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    overlap: NDArray[np.float64] = np.clip(width, 0, None) * np.clip(height, 0, None)
    return overlap


def iou(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union (N, M) in [0, 1]; 0 where both boxes are empty."""
    overlap = intersection(a, b)
    return _divide(overlap, area(a)[:, None] + area(b)[None, :] - overlap)


def iou_pairs(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union (N,) of row i of `a` with row i of `b`."""
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    overlap = np.clip(width, 0, None) * np.clip(height, 0, None)
    return _divide(overlap, area(a) + area(b) - overlap)


def _divide(overlap: NDArray[np.float64], union: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def clip(boxes: Boxes, width: int, height: int) -> Boxes:
    """The parts of `boxes` inside a frame of `width` x `height` pixels; a box outside becomes
    empty."""
    limit = np.array([width, height, width, height], dtype=np.float64)
    return np.clip(boxes, 0.0, limit)


def nms(boxes: Boxes, scores: NDArray[np.float64], iou_threshold: float) -> NDArray[np.intp]:
    """Row numbers kept by greedy non-maximum suppression, best score first (ties: lower row
    first)."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(
        order
    ):  # one row of overlaps at a time: a matrix of thousands of boxes would fill the memory
        kept.append(order[0])
        order = order[1:][iou(boxes[order[:1]], boxes[order[1:]])[0] <= iou_threshold]
    return np.array(kept, dtype=np.intp)


def iter_shared_frames(
    a: NDArray[np.integer], b: NDArray[np.integer]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The rows of `a` and of `b` for every frame that both have."""
    order_a, order_b = np.argsort(a, kind="stable"), np.argsort(b, kind="stable")
    sorted_a, sorted_b = a[order_a], b[order_b]
    for frame in np.intersect1d(a, b):
        rows_a = order_a[
            np.searchsorted(sorted_a, frame) : np.searchsorted(sorted_a, frame, "right")
        ]
        rows_b = order_b[
            np.searchsorted(sorted_b, frame) : np.searchsorted(sorted_b, frame, "right")
        ]
        yield rows_a, rows_b
