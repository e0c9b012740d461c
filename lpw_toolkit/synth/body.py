"""The body of a drawn figure: its pose, and the canvas that it is painted on."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.people import HAIRS, Colour, Person

Floats = NDArray[np.float64]
Picture = NDArray[Any]


#: Colours (3, rows, columns) of a column's pixels from the angle around the body (radians, 0 front,
#: +left) and the height above the ground (metres).
Paint = Callable[[Picture, Picture], Picture]


PX_PER_M = 96
CANVAS_HEIGHT, CANVAS_WIDTH = 216, 176
FOOT_ROW, FOOT_COLUMN = 206.0, 88.0
N_PHASES = 12  #: moments of a full gait cycle (two steps)
STANDING = N_PHASES  #: the phase number of a person who has stopped
#: directions from which a figure is drawn, counter-clockwise; 0 faces the camera, 4 walks to the
#: right
N_VIEWS = 16


@dataclass(frozen=True)
class Pose:
    """Joints in metres as (3,) arrays (to the person's left, up, forward); pairs are (right,
    left)."""

    hips: tuple[Floats, Floats]
    knees: tuple[Floats, Floats]
    ankles: tuple[Floats, Floats]
    toes: tuple[Floats, Floats]
    shoulders: tuple[Floats, Floats]
    elbows: tuple[Floats, Floats]
    hands: tuple[Floats, Floats]
    lift_m: float


def pose_person(person: Person, phase: int) -> Pose:
    """Where the joints are at `phase` (0 to N_PHASES - 1, or STANDING); the lower foot is on the
    ground."""
    size, swing = person.stature_m, 0.0 if phase == STANDING else 1.0
    angle = 2 * np.pi * phase / N_PHASES
    sides = [
        _pose_side(size, person.build, side, angle + (np.pi if side > 0 else 0.0), swing)
        for side in (-1, 1)
    ]
    lift = 0.04 * size - min(float(side[2][1]) for side in sides)
    upward = np.array([0.0, lift, 0.0])
    pairs = [(right + upward, left + upward) for right, left in zip(*sides, strict=True)]
    return Pose(pairs[0], pairs[1], pairs[2], pairs[3], pairs[4], pairs[5], pairs[6], lift)


def _pose_side(
    size: float, build: float, side: int, angle: float, swing: float
) -> tuple[Floats, ...]:
    thigh = swing * 0.44 * np.sin(angle)
    shin = thigh - 0.06 - swing * 0.95 * max(0.0, np.cos(angle)) ** 1.6
    arm = -swing * 0.42 * np.sin(angle)
    forearm = arm + 0.18 + swing * 0.25
    hip = np.array([side * 0.05 * size, 0.525 * size, 0.0])
    knee = hip + 0.245 * size * np.array([0.0, -np.cos(thigh), np.sin(thigh)])
    ankle = knee + 0.24 * size * np.array([0.0, -np.cos(shin), np.sin(shin)])
    pitch = 0.9 * shin if shin < 0 else 0.5 * shin
    toe = ankle + 0.105 * size * np.array([side * 0.15, np.sin(pitch) * 0.9 - 0.12, np.cos(pitch)])
    shoulder = np.array([side * 0.108 * size * build, 0.8 * size, 0.0])
    elbow = shoulder + 0.17 * size * np.array([side * 0.16, -np.cos(arm), np.sin(arm)])
    hand = elbow + 0.165 * size * np.array([side * 0.05, -np.cos(forearm), np.sin(forearm)])
    return hip, knee, ankle, toe, shoulder, elbow, hand


class Canvas:
    """A premultiplied RGB picture (3, CANVAS_HEIGHT, CANVAS_WIDTH) with its cover 0-1, on which
    parts are laid."""

    def __init__(self, view: int, folds: Picture) -> None:
        self.rgb = np.zeros((3, CANVAS_HEIGHT, CANVAS_WIDTH), dtype=np.float32)
        self.cover = np.zeros((CANVAS_HEIGHT, CANVAS_WIDTH), dtype=np.float32)
        self.yaw = 2 * math.pi * view / N_VIEWS
        self._cos, self._sin = math.cos(self.yaw), math.sin(self.yaw)
        self._folds = folds

    def place(self, joint: Floats) -> tuple[float, float]:
        """Column and row of a point of the body."""
        across = joint[0] * self._cos + joint[2] * self._sin
        return FOOT_COLUMN + PX_PER_M * float(across), FOOT_ROW - PX_PER_M * float(joint[1])

    def nearness(self, joint: Floats) -> float:
        """How far in front of the body's axis a point lies, in metres towards the camera."""
        return float(joint[2] * self._cos - joint[0] * self._sin)

    def lay_limb(self, a: Floats, b: Floats, radii_m: tuple[float, float], colour: Colour) -> None:
        """A tapered capsule from `a` to `b`."""
        (ax, ay), (bx, by) = self.place(a), self.place(b)
        ra, rb = radii_m[0] * PX_PER_M, radii_m[1] * PX_PER_M
        reach = max(ra, rb) + 1
        window = _window(
            min(ax, bx) - reach, min(ay, by) - reach, max(ax, bx) + reach, max(ay, by) + reach
        )
        if window is None:
            return
        x, y = _COLUMNS[:, window[1]] - ax, _ROWS[window[0]] - ay
        dx, dy = bx - ax, by - ay
        square = max(dx * dx + dy * dy, 1e-6)
        along = _between(x * (dx / square) + y * (dy / square), 0.0, 1.0)
        off_x, off_y = x - along * dx, y - along * dy
        radius = ra + (rb - ra) * along
        cover = _between(radius + 0.5 - np.sqrt(off_x * off_x + off_y * off_y), 0.0, 1.0)
        turn = _between((off_x - 0.35 * off_y) / radius, -1.0, 1.0)
        self._blend(window, cover, _shade(turn), planes(colour))

    def lay_column(self, centre: Floats, profile: Floats, paint: Paint) -> None:
        """A stack of ellipses around the upright axis through `centre`.

        Args:
            profile: (K, 3) rows of height above the ground, half width and half depth in metres,
                from the top down.
        """
        column, _ = self.place(centre)
        rows = FOOT_ROW - PX_PER_M * profile[:, 0]
        half = PX_PER_M * np.hypot(profile[:, 1] * self._cos, profile[:, 2] * self._sin)
        reach = float(half.max()) + 1
        window = _window(column - reach, float(rows[0]) - 1, column + reach, float(rows[-1]) + 1)
        if window is None:
            return
        x, y = _COLUMNS[:, window[1]] - column, _ROWS[window[0]]
        width = np.interp(y[:, 0], rows, half).astype(np.float32)[:, None]
        ends = _between(np.minimum(y - float(rows[0]), float(rows[-1]) - y) + 0.5, 0.0, 1.0)
        cover = _between(width + 0.5 - np.abs(x), 0.0, 1.0) * ends
        turn = _between(x / np.maximum(width, 0.5), -1.0, 1.0)
        around = np.mod(np.arcsin(turn) + (np.pi - self.yaw), 2 * np.pi) - np.pi
        height = (FOOT_ROW - y) / PX_PER_M
        self._blend(window, cover, _shade(turn), paint(around, np.broadcast_to(height, turn.shape)))

    def _blend(
        self, window: tuple[slice, slice], cover: Picture, light: Picture, colours: Picture
    ) -> None:
        kept = 1.0 - cover
        rgb, below = self.rgb[:, window[0], window[1]], self.cover[window]
        rgb *= kept
        rgb += colours * (self._folds[window] * cover * light)
        below *= kept
        below += cover


_COLUMNS = np.arange(CANVAS_WIDTH, dtype=np.float32)[None, :]
_ROWS = np.arange(CANVAS_HEIGHT, dtype=np.float32)[:, None]


def planes(colour: Colour) -> Picture:
    """A colour as (3, 1, 1): planes are laid several times faster than pixels of three."""
    return np.asarray(colour, dtype=np.float32)[:, None, None]


def _between(values: Picture, low: float, high: float) -> Picture:
    """np.clip, which costs several times as much on pictures as small as these."""
    return np.minimum(np.maximum(values, low), high)


def _window(x1: float, y1: float, x2: float, y2: float) -> tuple[slice, slice] | None:
    left, top = max(int(np.floor(x1)), 0), max(int(np.floor(y1)), 0)
    right, bottom = (
        min(int(np.ceil(x2)) + 1, CANVAS_WIDTH),
        min(int(np.ceil(y2)) + 1, CANVAS_HEIGHT),
    )
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _shade(turn: Picture) -> Picture:
    """Brightness of a round surface that turns from the camera's left (-1) to its right (+1); light
    from the left."""
    light: Picture = 0.66 + 0.42 * np.sqrt(1.0 - turn * turn) - 0.13 * turn
    return light


Part = tuple[float, Callable[[], None]]


def hair_of(person: Person) -> Colour:
    """The colour of the person's hair."""
    return HAIRS[person.hair_colour]
