"""Renders the street frame by frame, nearest walker last, and counts the visible pixels of each
person."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.body import CANVAS_HEIGHT, CANVAS_WIDTH, FOOT_COLUMN, FOOT_ROW, PX_PER_M
from lpw_toolkit.synth.config import StreetConfig
from lpw_toolkit.synth.figure import draw_figure
from lpw_toolkit.synth.furniture import paint_item
from lpw_toolkit.synth.noise import Truth
from lpw_toolkit.synth.people import Person
from lpw_toolkit.synth.scenery import light_at, paint_background, wall_mask
from lpw_toolkit.synth.world import WALL_END_M, Track, View

Frame = NDArray[np.uint8]

#: A pixel belongs to a person where the drawing covers at least half of it.
MASK_LEVEL = 128


@dataclass(frozen=True)
class Cutout:
    """A premultiplied RGBA picture with its upper left pixel at (`left`, `top`) of the frame; parts
    may lie outside."""

    left: int
    top: int
    rgba: Frame

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels that belong to the thing."""
        return self.rgba[..., 3] >= MASK_LEVEL

    def clip(self, width: int, height: int) -> tuple[tuple[slice, slice], Frame]:
        """The rows and columns of the frame that it covers, and that part of the picture (empty
        where none is)."""
        rows, columns = self.rgba.shape[:2]
        top, bottom = min(max(self.top, 0), height), max(min(self.top + rows, height), 0)
        left, right = min(max(self.left, 0), width), max(min(self.left + columns, width), 0)
        window = slice(top, max(top, bottom)), slice(left, max(left, right))
        part = self.rgba[top - self.top : bottom - self.top, left - self.left : right - self.left]
        return window, part


class Wardrobe:
    """Draws each person once for every moment of the gait and side, and keeps the drawings of one
    camera."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._folds: dict[int, NDArray[np.float32]] = {}
        self._figures: dict[tuple[int, int, int], tuple[int, int, Frame]] = {}

    def figure(self, person: Person, phase: int, view: int) -> tuple[int, int, Frame]:
        """Left and top of the drawn part on the canvas, and that part."""
        key = (person.number, phase, view)
        if key not in self._figures:
            if person.number not in self._folds:
                rng = np.random.default_rng([self._seed, person.number])
                self._folds[person.number] = _draw_folds(rng)
            self._figures[key] = _trim(draw_figure(person, phase, view, self._folds[person.number]))
        return self._figures[key]


def _trim(rgba: Frame) -> tuple[int, int, Frame]:
    rows, columns = (
        np.flatnonzero(rgba[..., 3].any(axis=1)),
        np.flatnonzero(rgba[..., 3].any(axis=0)),
    )
    top, left = int(rows[0]), int(columns[0])
    return left, top, np.ascontiguousarray(rgba[top : rows[-1] + 1, left : columns[-1] + 1])


def _draw_folds(rng: np.random.Generator) -> NDArray[np.float32]:
    """Creases: brightness about 1 that runs mostly downwards."""
    total = np.ones((CANVAS_HEIGHT, CANVAS_WIDTH), dtype=np.float32)
    for size, weight in (((12, 16), 0.05), ((34, 60), 0.05)):
        noise = rng.standard_normal(size).astype(np.float32)
        total += weight * cv2.resize(
            noise, (CANVAS_WIDTH, CANVAS_HEIGHT), interpolation=cv2.INTER_CUBIC
        )
    return total


@dataclass(frozen=True)
class _Standing:
    """A person in one frame: who, where on the ground, how near, and his cutout."""

    person: Person
    z_m: float
    column: float
    row: float
    scale: float
    light: float
    cutout: Cutout


def place_figure(
    left: int, top: int, figure: Frame, column: float, row: float, scale: float
) -> Cutout:
    """A figure in the frame, its feet at (`column`, `row`), `scale` pixels a metre, at subpixel
    accuracy."""
    zoom = scale / PX_PER_M
    while zoom <= 0.5 and min(figure.shape[:2]) > 8:
        half = (max(1, figure.shape[1] // 2), max(1, figure.shape[0] // 2))
        even = figure[: half[1] * 2, : half[0] * 2]
        figure, zoom = cv2.resize(even, half, interpolation=cv2.INTER_AREA), zoom * 2
    first = scale / PX_PER_M
    x1, y1 = column + (left - FOOT_COLUMN) * first, row + (top - FOOT_ROW) * first
    width, height = (
        int(np.ceil(figure.shape[1] * zoom)) + 2,
        int(np.ceil(figure.shape[0] * zoom)) + 2,
    )
    base_x, base_y = int(np.floor(x1)), int(np.floor(y1))
    shift = 0.5 * zoom - 0.5
    move = np.array([[zoom, 0, x1 - base_x + shift], [0, zoom, y1 - base_y + shift]])
    return Cutout(
        base_x, base_y, cv2.warpAffine(figure, move, (width, height), flags=cv2.INTER_LINEAR)
    )


class Film:
    """One camera's film: `truth` counts pixels, `iter_frames` paints them; both see the same
    cutouts."""

    def __init__(self, view: View, config: StreetConfig) -> None:
        self.view, self.config = view, config
        self._wardrobe = Wardrobe(view.seed)
        self._obstacles = _cut_items(view)
        schedule: list[list[tuple[Track, int]]] = [[] for _ in range(view.n_frames)]
        for track in view.tracks:
            for k, frame in enumerate(track.frames):
                schedule[int(frame)].append((track, k))
        self._schedule = schedule

    def read_truth(self) -> Truth:
        """The ground truth of every frame, without painting."""
        rows = [
            row
            for frame in range(self.view.n_frames)
            for row in self._measure(frame, self._stand(frame))
        ]
        return stack_truth(rows, self.view)

    def iter_frames(self) -> Iterator[tuple[Frame, list["TruthRow"]]]:
        """Each frame as BGR (height, width, 3) with its rows of ground truth."""
        rng = np.random.default_rng([self.view.seed, 1])
        street = self._paint_street(rng)
        develop = _Developer(self.config, rng)
        for frame in range(self.view.n_frames):
            standing = self._stand(frame)
            picture = street.copy()
            for one in standing:
                _lay_shadow(picture, one)
            for cutout, light, _ in self._order(standing):
                _paste(picture, cutout, light)
            yield develop(picture, frame), self._measure(frame, standing)

    def _paint_street(self, rng: np.random.Generator) -> Frame:
        camera = self.view.camera
        street = paint_background(camera, rng)
        for z_m, cutout in self._obstacles:
            if z_m < WALL_END_M or camera.layout != "along":
                _darken(street, cutout, z_m)
                _paste(street, cutout, 1.0)
        self._add_wall(street)
        return street

    def _add_wall(self, street: Frame) -> None:
        """Side walls hide the street that crosses behind them: the wall's own pixels become an
        obstacle."""
        mask = wall_mask(self.view.camera)
        if mask.any():
            rgba = np.dstack([street * mask[..., None], 255 * mask.astype(np.uint8)]).astype(
                np.uint8
            )
            self._obstacles = [o for o in self._obstacles if o[0] != WALL_END_M]
            self._obstacles.insert(0, (WALL_END_M, Cutout(0, 0, rgba)))

    def _stand(self, frame: int) -> list[_Standing]:
        """The persons of a frame, farthest first."""
        camera, standing = self.view.camera, []
        for track, k in self._schedule[frame]:
            x, z = track.x_m[k], track.z_m[k]
            column, row, scale = (float(v) for v in camera.project(x, z))
            figure = self._wardrobe.figure(track.person, int(track.phases[k]), int(track.views[k]))
            cutout = place_figure(*figure, column, row, scale)
            light = light_at(camera, float(x), float(z))
            standing.append(_Standing(track.person, float(z), column, row, scale, light, cutout))
        return sorted(standing, key=lambda one: (-one.z_m, one.person.number))

    def _order(self, standing: list[_Standing]) -> list[tuple[Cutout, float, int]]:
        """Persons and those obstacles that stand before one of them, farthest first: cutout, light,
        person or -1."""
        farthest = standing[0].z_m if standing else 0.0
        things = [(one.z_m, one.cutout, one.light, one.person.number) for one in standing]
        things += [(z_m, cutout, 1.0, -1) for z_m, cutout in self._obstacles if z_m < farthest]
        return [thing[1:] for thing in sorted(things, key=lambda thing: -thing[0])]

    def _measure(self, frame: int, standing: list[_Standing]) -> list["TruthRow"]:
        camera = self.view.camera
        owner = np.zeros((camera.height, camera.width), dtype=np.int32)
        for cutout, _, number in self._order(standing):
            window, part = cutout.clip(camera.width, camera.height)
            owner[window][part[..., 3] >= MASK_LEVEL] = number
        rows = (_measure_person(frame, one, owner) for one in standing)
        return sorted((row for row in rows if row is not None), key=lambda row: row.number)


@dataclass(frozen=True)
class TruthRow:
    """One person in one frame; boxes are `x1 y1 x2 y2`, pixels, half-open."""

    frame_index: int
    number: int
    box: tuple[int, int, int, int]
    visible_box: tuple[int, int, int, int]
    visibility: float
    inside: float


def _measure_person(frame: int, one: _Standing, owner: NDArray[np.int32]) -> TruthRow | None:
    """None where no pixel of the person lies within the frame."""
    window, part = one.cutout.clip(owner.shape[1], owner.shape[0])
    mask = part[..., 3] >= MASK_LEVEL
    n_inside = int(np.count_nonzero(mask))
    if n_inside == 0:
        return None
    seen = mask & (owner[window] == one.person.number)
    corner = (window[1].start, window[0].start)
    box = _bounds(mask, corner)
    n_seen, n_all = int(np.count_nonzero(seen)), int(np.count_nonzero(one.cutout.mask))
    seen_box = _bounds(seen, corner) if n_seen else (*box[:2], *box[:2])
    return TruthRow(frame, one.person.number, box, seen_box, n_seen / n_all, n_inside / n_all)


def _bounds(mask: NDArray[np.bool_], corner: tuple[int, int]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = corner
    return (
        left + int(columns[0]),
        top + int(rows[0]),
        left + int(columns[-1]) + 1,
        top + int(rows[-1]) + 1,
    )


def stack_truth(rows: list[TruthRow], view: View) -> Truth:
    """The rows of a film, in order, as one table."""
    return Truth(
        n_frames=view.n_frames,
        width=view.camera.width,
        height=view.camera.height,
        frame_index=np.array([r.frame_index for r in rows], dtype=np.int64),
        number=np.array([r.number for r in rows], dtype=np.int64),
        boxes=np.array([r.box for r in rows], dtype=np.float64).reshape(-1, 4),
        visible_boxes=np.array([r.visible_box for r in rows], dtype=np.float64).reshape(-1, 4),
        visibility=np.array([r.visibility for r in rows], dtype=np.float64),
        inside=np.array([r.inside for r in rows], dtype=np.float64),
    )


def _cut_items(view: View) -> list[tuple[float, Cutout]]:
    """The furniture and (in `along`) the walls as obstacles: depth and cutout, farthest first."""
    camera, cut = view.camera, []
    for item in view.items:
        column, row, scale = (
            float(v) for v in camera.project(np.array(item.x_m), np.array(item.z_m))
        )
        sheet = paint_item(item, scale)
        cut.append(
            (
                item.z_m,
                Cutout(round(column - sheet.shape[1] / 2), round(row) - sheet.shape[0], sheet),
            )
        )
    mask = wall_mask(camera)
    if mask.any():
        rgba = np.dstack([np.zeros((*mask.shape, 3), dtype=np.uint8), 255 * mask.astype(np.uint8)])
        cut.insert(0, (WALL_END_M, Cutout(0, 0, rgba)))
    return cut


# --- paint
# --------------------------------------------------------------------------------------------------


def _paste(picture: Frame, cutout: Cutout, light: float) -> None:
    window, part = cutout.clip(picture.shape[1], picture.shape[0])
    if part.size == 0:
        return
    kept = 255 - part[..., 3:].astype(np.uint16)
    below = picture[window].astype(np.uint16) * kept // 255
    above = part[..., :3] if light == 1.0 else (part[..., :3] * np.float32(light)).astype(np.uint16)
    picture[window] = np.minimum(below + above, 255).astype(np.uint8)


def _soft_ellipse(width: int, height: int) -> NDArray[np.float32]:
    x, y = np.linspace(-1, 1, max(width, 3)), np.linspace(-1, 1, max(height, 3))
    reach = x[None, :] ** 2 + y[:, None] ** 2
    return np.clip(1.0 - reach, 0.0, 1.0).astype(np.float32)


def _shade_ground(
    picture: Frame, column: float, row: float, size: tuple[int, int], depth: float
) -> None:
    veil = (255 * depth * _soft_ellipse(*size)).astype(np.uint8)
    rgba = np.dstack([np.zeros((*veil.shape, 3), dtype=np.uint8), veil])
    _paste(
        picture,
        Cutout(round(column - veil.shape[1] / 2), round(row - veil.shape[0] / 2), rgba),
        1.0,
    )


def _lay_shadow(picture: Frame, one: _Standing) -> None:
    """A soft shadow to the right of the feet, deeper in the sun."""
    size = round(1.15 * one.scale), round(0.26 * one.scale)
    _shade_ground(
        picture, one.column + 0.18 * one.scale, one.row, size, 0.55 if one.light > 0.9 else 0.4
    )


def _darken(street: Frame, cutout: Cutout, z_m: float) -> None:
    rows, columns = cutout.rgba.shape[:2]
    _shade_ground(
        street,
        cutout.left + columns * 0.53,
        cutout.top + rows,
        (round(columns * 1.15), rows // 9 + 4),
        0.5,
    )


class _Developer:
    """Camera and daylight: white balance, brightness, contrast, the light's rise and fall, sensor
    noise; RGB to BGR."""

    def __init__(self, config: StreetConfig, rng: np.random.Generator) -> None:
        shift = config.colour_shift_frac
        self._gain = np.clip(1.0 + shift * rng.uniform(-1, 1, 3), 0.4, 1.6) * (
            1.06 + shift * rng.uniform(-1, 1)
        )
        self._gamma = float(np.exp(1.5 * shift * rng.uniform(-1, 1)))
        self._light, self._n_frames = config.light_change_frac, config.n_frames
        self._start, self._turns = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.6)
        shape = (config.height + 16, config.width + 16, 3)
        noise = rng.standard_normal(shape, dtype=np.float32) * config.sensor_noise
        self._more, self._less = (
            np.clip(np.rint(s * noise), 0, 255).astype(np.uint8) for s in (1, -1)
        )
        self._offsets = rng.integers(0, 16, (config.n_frames, 2))

    def __call__(self, picture: Frame, frame: int) -> Frame:
        """The picture as this camera records it in frame number `frame`."""
        light = 1.0 + self._light * np.sin(
            self._start + 2 * np.pi * self._turns * frame / self._n_frames
        )
        levels = np.arange(256)[:, None] / 255.0
        curve = 255.0 * (levels * self._gain * light) ** self._gamma
        table = np.clip(np.rint(curve), 0, 255).astype(np.uint8)[None, :, ::-1]
        seen = cv2.LUT(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.ascontiguousarray(table))
        top, left = self._offsets[frame]
        window = slice(top, top + picture.shape[0]), slice(left, left + picture.shape[1])
        noisy: Frame = cv2.subtract(cv2.add(seen, self._more[window]), self._less[window])
        return noisy
