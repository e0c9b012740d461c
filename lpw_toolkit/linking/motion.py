"""Motion of persons from their boxes: line fits over a few frames, and a Kalman filter for gaps."""

import numpy as np
from filterpy.kalman import predict, update
from numpy.typing import NDArray

# In heights of the person, per frame: how well a box sits, how much a walk changes, how fast people
# are at first.
_BOX_NOISE = 0.05
_WALK_NOISE = 0.005
_FIRST_SPEED = 0.016


def to_centres(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """`x1 y1 x2 y2` (N, 4) as `centre x, centre y, width, height`."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + size / 2, size], axis=1)


def to_corners(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `to_centres`."""
    half = centres[:, 2:] / 2
    return np.concatenate([centres[:, :2] - half, centres[:, :2] + half], axis=1)


def fit_lines(
    values: NDArray[np.float64],
    at: NDArray[np.int64],
    owner: NDArray[np.int64],
    reach: int,
    *,
    leave_out: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares lines through the `reach` rows of the same owner before and after each row.

    Args:
        values: (N, C), sorted by (owner, at).
        at: (N,) frame numbers.
        leave_out: fit without the row itself, to judge it by its neighbours.

    Returns:
        Value and slope per frame (N, C) at each row; with fewer than three rows their mean and 0; a
        row that is alone with `leave_out` keeps its own value.
    """
    n, n_columns = values.shape
    s0, s1, s2 = np.zeros(n), np.zeros(n), np.zeros(n)
    b0, b1 = np.zeros((n, n_columns)), np.zeros((n, n_columns))
    for offset in range(-reach, reach + 1):
        if offset == 0 and leave_out:
            continue
        rows = np.clip(np.arange(n) + offset, 0, n - 1)
        dt = (at[rows] - at).astype(np.float64)
        near = (np.arange(n) + offset == rows) & (owner[rows] == owner) & (np.abs(dt) <= 2 * reach)
        weight = near.astype(np.float64)
        s0, s1, s2 = s0 + weight, s1 + weight * dt, s2 + weight * dt * dt
        b0 += weight[:, None] * values[rows]
        b1 += (weight * dt)[:, None] * values[rows]
    spread = s0 * s2 - s1 * s1
    straight = (s0 >= 3) & (spread > 1e-9)
    safe = np.where(straight, spread, 1.0)[:, None]
    mean = np.where((s0 > 0)[:, None], b0 / np.maximum(s0, 1)[:, None], values)
    value = np.where(straight[:, None], (s2[:, None] * b0 - s1[:, None] * b1) / safe, mean)
    slope = np.where(straight[:, None], (s0[:, None] * b1 - s1[:, None] * b0) / safe, 0.0)
    return value, slope


def filter_end(
    centres: NDArray[np.float64], at: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position and velocity per frame (2,) each at the last row of a short track, by a Kalman
    filter.

    Args:
        centres: (N, 2) in pixels divided by the person's height, N >= 1.
        at: (N,) frame numbers, all ascending or all descending (a track read backwards gives the
            backward velocity).
    """
    state = np.array([*centres[0], 0.0, 0.0])
    cover = np.diag([_BOX_NOISE**2] * 2 + [_FIRST_SPEED**2] * 2)
    measure, noise = np.eye(2, 4), np.eye(2) * _BOX_NOISE**2
    for row in range(1, len(at)):
        dt = float(abs(at[row] - at[row - 1]))
        move = np.eye(4) + dt * np.eye(4, k=2)
        drift = np.diag([0.0, 0.0, 1.0, 1.0]) * dt * _WALK_NOISE**2
        state, cover = predict(state, cover, move, drift)
        state, cover = update(state, cover, centres[row], noise, measure)
    return state[:2], state[2:]
