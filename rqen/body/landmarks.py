"""Computes body regions from key points: 14 joints in the paper's order, their three overlapping
sets, and the cuts.

    joints (N, 14) -> height of each joint as a share of its picture -> centre of each set -> cuts
    between the centres

The paper's sets {1..10}, {9..12}, {11..14} mean head to hips, hips with knees, knees with ankles
only in an order from the top down with right and left in pairs; CPM's and LSP's own orders would
mix wrists with knees.

Source: RQEN, "Region Proposals"; shihenw/convolutional-pose-machines-release:testing/config.m for
CPM's order.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError

Floats = NDArray[np.float64]

JOINTS = (
    *(
        "head",
        "neck",
        "right shoulder",
        "left shoulder",
        "right elbow",
        "left elbow",
        "right wrist",
        "left wrist",
    ),
    *("right hip", "left hip", "right knee", "left knee", "right ankle", "left ankle"),
)
#: Upper, middle and lower set, as places in JOINTS.
SETS = (range(10), range(8, 12), range(10, 14))
#: What they are called, and what they hold.
SET_NAMES = (("upper", "head to hips"), ("middle", "hips and knees"), ("lower", "knees and ankles"))
#: Where each joint stands in CPM's order (right arm, left arm, right leg, left leg behind head and
#: neck).
FROM_CPM = (0, 1, 2, 5, 3, 6, 4, 7, 8, 11, 9, 12, 10, 13)
#: The twelve limb joints in COCO's order of 17.
_COCO_LIMBS = (6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
_NOSE, _FACE, _SHOULDERS = 0, (1, 2, 3, 4), (5, 6)
#: From neck to nose and on: how far the top of the head lies above the nose. Our estimate from body
#: proportions.
_HEAD_ABOVE_NOSE = 0.6
N_ROWS = 7
_ROUNDS = 100  # of k-means: three clusters of heights stand still after a few
_DIGITS = 12  # of a centre: the order of a sum moves those behind
#: How the centres of the sets are found, and what that is called. The paper names a k-means and
#: its cluster centres, but neither k nor what is clustered: all three are readings of it.
CENTRES = {
    "mean": "the mean of each set's joints",
    "k-means": "a k-means of the sets' heights on every image, which starts at their means",
    "k-means-joints": "a k-means of all joints, which starts at the means of the sets",
}
Centres = Literal["mean", "k-means", "k-means-joints"]


@dataclass(frozen=True)
class Division:
    """Where the body is cut.

    Attributes:
        centres: (3,) height of the centre of each set of joints, as a share of the picture, from
            above.
        cuts: (2,) the middle between neighbouring centres.
        rows: (3,) the parts in rows of a map of 7.
        rounded: the same in whole rows.
        n_images, n_joints: what it was computed from; joints below the confidence asked for are
            left out.
        centres_by: how the centres were found, one of `CENTRES`.
    """

    centres: tuple[float, float, float]
    cuts: tuple[float, float]
    rows: tuple[float, float, float]
    rounded: tuple[int, int, int]
    n_images: int
    n_joints: int
    centres_by: Centres = "mean"


def map_cpm(points: Floats) -> Floats:
    """Key points (N, 14, K) from CPM's order into the paper's."""
    _check_points(points, 14)
    return points[:, FROM_CPM]


def map_coco(points: Floats) -> Floats:
    """COCO's 17 key points (N, 17, 3) `x y confidence` into the 14 of the paper, same units.

    The neck is the middle of the shoulders with the lower of their confidences; the head lies above
    the nose, or, where the nose was not seen, at the mean of the eyes and ears that were.
    """
    _check_points(points, 17)
    shoulders = points[:, _SHOULDERS]
    neck = np.concatenate([shoulders[..., :2].mean(1), shoulders[..., 2:].min(1)], axis=1)
    nose, face = points[:, _NOSE], points[:, _FACE]
    above = nose[:, :2] + _HEAD_ABOVE_NOSE * (nose[:, :2] - neck[:, :2])
    from_nose = np.concatenate([above, np.minimum(nose[:, 2:], neck[:, 2:])], axis=1)
    seen = face[..., 2] > 0
    total = np.maximum(seen.sum(1, keepdims=True), 1)
    mean = (face[..., :2] * seen[..., None]).sum(1) / total
    from_face = np.concatenate([mean, face[..., 2].max(1, keepdims=True)], axis=1)
    head = np.where(nose[:, 2:] > 0, from_nose, from_face)
    return np.concatenate([head[:, None], neck[:, None], points[:, _COCO_LIMBS]], axis=1)


def divide_body(
    heights: Floats, seen: NDArray[np.bool_] | None = None, centres_by: Centres = "mean"
) -> Division:
    """The division that joints call for.

    Args:
        heights: (N, 14) in the paper's order, y as a share of the height of its picture.
        seen: (N, 14), False for joints that do not count.
        centres_by: how the centre of each set is found. `mean` is the mean of all its joints over
            the data set, a k-means of one cluster. `k-means` clusters the heights of the sets,
            each the mean of its joints on one image, into three: what lies far from its set on an
            image counts for the nearest centre. `k-means-joints` clusters the joints themselves;
            the sets share joints, so that its clusters are others than the sets.

    Errors: LpwError without joints, or where a cluster stays empty.

    >>> upright = [6, 17, 20, 20, 35, 35, 47, 47, 51, 51, 72, 72, 93, 93]
    >>> divide_body(np.array([upright]) / 100, centres_by="k-means").rounded
    (3, 2, 2)
    """
    seen = np.ones(heights.shape, dtype=bool) if seen is None else seen
    if heights.ndim != 2 or heights.shape[1] != len(JOINTS) or heights.shape != seen.shape:
        raise LpwError(
            "landmarks",
            f"an array {heights.shape}",
            "(images, 14)",
            "map them into the paper's order",
        )
    if not all(seen[:, joints].any() for joints in SETS):
        raise LpwError(
            "landmarks",
            "a set of joints that was never seen",
            "joints of the whole body",
            "lower the confidence",
        )
    centres = [float(heights[:, joints][seen[:, joints]].mean()) for joints in SETS]
    if centres_by != "mean":
        points = heights[seen] if centres_by == "k-means-joints" else _average_sets(heights, seen)
        centres = cluster_heights(points, centres)
    if not 0 < centres[0] < centres[1] < centres[2] < 1:
        got = "centres at " + ", ".join(f"{centre:.3f}" for centre in centres)
        raise LpwError(
            "landmarks",
            got,
            "upper above middle above lower, inside the picture",
            "check order and units",
        )
    cuts = [(a + b) / 2 for a, b in pairwise(centres)]
    rows = np.diff([0.0, *cuts, 1.0]) * N_ROWS
    borders = [round(N_ROWS * cut) for cut in cuts]
    rounded = np.diff([0, *borders, N_ROWS])
    return Division(
        (centres[0], centres[1], centres[2]),
        (cuts[0], cuts[1]),
        (float(rows[0]), float(rows[1]), float(rows[2])),
        (int(rounded[0]), int(rounded[1]), int(rounded[2])),
        len(heights),
        int(seen.sum()),
        centres_by,
    )


def cluster_heights(points: Floats, start: list[float]) -> list[float]:
    """The centres of a k-means of the heights (M,), from above; the first centres are `start`.

    Errors: LpwError where a cluster has no point.

    >>> cluster_heights(np.array([0.1, 0.3, 0.6, 0.8]), [0.0, 1.0])
    [0.2, 0.7]
    """
    from scipy.cluster.vq import ClusterError, kmeans2

    try:
        first = np.array(start)[:, None]
        found, _ = kmeans2(points[:, None], first, minit="matrix", iter=_ROUNDS, missing="raise")
    except (ClusterError, ValueError) as error:
        got = "a cluster without points"
        raise LpwError("landmarks", got, "joints of the whole body", "take the mean") from error
    return sorted(found[:, 0].round(_DIGITS).tolist())


def _average_sets(heights: Floats, seen: NDArray[np.bool_]) -> Floats:
    """The mean height of every set on every image where one of its joints was seen."""
    points = []
    for joints in SETS:
        here = seen[:, joints]
        total = np.where(here, heights[:, joints], 0.0).sum(axis=1)
        points.append((total / np.maximum(here.sum(axis=1), 1))[here.any(axis=1)])
    return np.concatenate(points)


def _check_points(points: Floats, n_points: int) -> None:
    if points.ndim != 3 or points.shape[1] != n_points:
        raise LpwError(
            "key points",
            f"an array {points.shape}",
            f"(images, {n_points}, values)",
            "check the pose model",
        )
