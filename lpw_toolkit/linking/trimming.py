"""Boxes that do not belong to their track: outliers, weak ends; and how much a detector's boxes
jitter."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.linking.motion import fit_lines, to_corners
from lpw_toolkit.linking.track_table import MIN_ROWS, TrackTable

_MIN_TOLD = 200  # boxes that tell how well a detector's boxes sit


def find_outliers(course: TrackTable, min_iou: float) -> NDArray[np.bool_]:
    """(N,) boxes that overlap the line through their neighbours by less than `min_iou`."""
    value, _ = fit_lines(course.centre, course.step, course.track, MIN_ROWS, leave_out=True)
    return geometry.iou_pairs(to_corners(value), to_corners(course.centre)) < min_iou


def measure_box_jitter(course: TrackTable) -> float:
    """How far heights are off the line through their neighbours: the median absolute logarithm of
    the ratio.

    With fewer than _MIN_TOLD boxes nothing is told: infinite.
    """
    if len(course.row) < _MIN_TOLD:
        return float("inf")
    value, _ = fit_lines(course.centre, course.step, course.track, MIN_ROWS + 2, leave_out=True)
    return float(
        np.median(np.abs(np.log(np.maximum(course.centre[:, 3], 1) / np.maximum(value[:, 3], 1))))
    )


def find_weak_ends(
    course: TrackTable, scores: NDArray[np.float64], min_score: float
) -> NDArray[np.bool_]:
    """(N,) boxes before the first and after the last one of their track that reaches
    `min_score`."""
    strong = scores[course.row] >= min_score
    length = course.last - course.first + 1
    count = np.cumsum(strong)
    before: NDArray[np.intp] = np.repeat(count[course.first] - strong[course.first], length)
    total = np.repeat(count[course.last], length)
    weak: NDArray[np.bool_] = (count == before) | ((count == total) & ~strong)
    return weak


def mean_scores(course: TrackTable, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) the mean score of each box's track."""
    length = course.last - course.first + 1
    if not len(length):
        return np.zeros(0)
    return np.repeat(np.add.reduceat(scores[course.row], course.first) / length, length)
