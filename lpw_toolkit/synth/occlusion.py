"""Computes how much of the walkers is occluded, from rectangles alone, and removes furniture until
the level is right."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.world import FurnitureItem, View

Floats = NDArray[np.float64]

#: A person counts as occluded where this share of the silhouette within the frame is hidden by
#: something nearer.
OCCLUDED_COVER = 0.2

_BODY_WIDTH_FRAC = 0.26  # of the stature: what a silhouette fills of its box
#: Where the solid part of each kind of furniture lies within its sheet: left, top, right, bottom as
#: fractions.
_SOLID: dict[str, tuple[float, float, float, float]] = {
    "tree": (0.44, 0.0, 0.56, 1.0), "sign": (0.0, 0.0, 1.0, 0.62), "car": (0.02, 0.3, 0.98, 0.9),
    "bench": (0.0, 0.0, 1.0, 0.62),
}  # fmt: skip
_ACROSS, _UP = 4, 9  # sample points on a body
# rectangles tell more occlusion than silhouettes have: measured on the demo street, three seeds
_TRUE_PER_TOLD = 0.83


def thin_items(views: list[View], occluded_frac: float) -> list[View]:
    """The views with so much furniture left that about `occluded_frac` of all person frames are
    occluded.

    What hides least in the camera with the largest share goes first, the last two things of each
    camera after all others. A street with too little stays as it is.
    """
    covers = [_Cover(view) for view in views]
    aim = occluded_frac * sum(len(cover.by_people) for cover in covers) / _TRUE_PER_TOLD
    while sum(cover.count() for cover in covers) > aim:
        furnished = [c for c in covers if len(c.kept) > 2] or [c for c in covers if c.kept]
        if not furnished:
            break
        fullest = max(furnished, key=lambda c: c.count() / max(len(c.by_people), 1))
        fullest.kept.pop(fullest.least())
    return [
        replace(view, items=tuple(view.items[k] for k in c.kept))
        for view, c in zip(views, covers, strict=True)
    ]


class _Cover:
    """Which sample points of each person frame are hidden in one view: by people, and by each
    thing."""

    def __init__(self, view: View) -> None:
        rows = _list_rows(view)
        points = _sample_points(rows)
        inside = (
            (points[..., 0] > 0)
            & (points[..., 0] < view.camera.width)
            & (points[..., 1] < view.camera.height)
        )
        seen = inside.any(axis=1)
        rows, points, self.inside = rows[seen], points[seen], inside[seen]
        self.by_people = _hide_by_people(rows, points)
        self.by_items = [_hide_by_item(view, item, rows, points) for item in view.items]
        self.kept = list(range(len(view.items)))

    def count(self, without: int | None = None) -> int:
        """Occluded person frames with the furniture that is kept."""
        hidden = self.by_people.copy()
        for k in self.kept:
            if k != without:
                hidden |= self.by_items[k]
        share = (hidden & self.inside).sum(axis=1) / self.inside.sum(axis=1)
        return int((share >= OCCLUDED_COVER).sum())

    def least(self) -> int:
        """The place in `kept` of what hides least but something: a street is thinned gently."""
        gains = [self.count() - self.count(without=k) for k in self.kept]
        useful = [place for place, gain in enumerate(gains) if gain > 0]
        return min(useful, key=lambda place: gains[place]) if useful else len(self.kept) - 1


def _list_rows(view: View) -> Floats:
    """(N, 5) frame, column, row, height in pixels and depth in metres of every person in every
    frame."""
    blocks = [np.zeros((0, 5))]
    for track in view.tracks:
        column, row, scale = view.camera.project(track.x_m, track.z_m)
        blocks.append(
            np.stack([track.frames, column, row, scale * track.person.stature_m, track.z_m], axis=1)
        )
    return np.concatenate(blocks)


def _sample_points(rows: Floats) -> Floats:
    """(N, P, 2) columns and rows of points spread over each body."""
    across = ((np.arange(_ACROSS) + 0.5) / _ACROSS - 0.5) * _BODY_WIDTH_FRAC
    up = (np.arange(_UP) + 0.5) / _UP
    grid = np.stack(np.meshgrid(across, -up), axis=-1).reshape(1, -1, 2)
    points: Floats = rows[:, None, 1:3] + grid * rows[:, None, 3:4]
    return points


def _hide_by_people(rows: Floats, points: Floats) -> NDArray[np.bool_]:
    hidden = np.zeros(points.shape[:2], dtype=bool)
    half = _BODY_WIDTH_FRAC / 2 * rows[:, 3]
    for frame in np.unique(rows[:, 0]):
        here = np.flatnonzero(rows[:, 0] == frame)
        spot, near = points[here][:, :, None, :], rows[here]
        beside = np.abs(spot[..., 0] - near[:, 1]) < half[here]
        between = (spot[..., 1] < near[:, 2]) & (spot[..., 1] > near[:, 2] - near[:, 3])
        nearer = near[None, :, 4] < near[:, None, 4]
        hidden[here] = (beside & between & nearer[:, None, :]).any(axis=2)
    return hidden


def _hide_by_item(
    view: View, item: FurnitureItem, rows: Floats, points: Floats
) -> NDArray[np.bool_]:
    column, row, scale = (
        float(v) for v in view.camera.project(np.array(item.x_m), np.array(item.z_m))
    )
    left, top, right, bottom = _SOLID.get(item.kind, (0.0, 0.0, 1.0, 1.0))
    x1, y1 = column + (left - 0.5) * item.width_m * scale, row - (1 - top) * item.height_m * scale
    x2, y2 = (
        column + (right - 0.5) * item.width_m * scale,
        row - (1 - bottom) * item.height_m * scale,
    )
    x, y = points[..., 0], points[..., 1]
    hidden: NDArray[np.bool_] = (
        (x > x1) & (x < x2) & (y > y1) & (y < y2) & (rows[:, 4] > item.z_m)[:, None]
    )
    return hidden
