"""Head, garments and bags of a figure: what is wrapped around the body, and the patterns on it."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.body import Canvas, Floats, Paint, Part, Picture, Pose, hair_of, planes
from lpw_toolkit.synth.people import COLOURS, Colour, Person

#: Where the hem of each upper garment ends, as a fraction of the stature.
_HEMS = {"tee": 0.49, "jacket": 0.475, "hoodie": 0.47, "coat": 0.335}


def list_column_parts(person: Person, pose: Pose, canvas: Canvas) -> list[Part]:
    """Depth and drawing of head, torso, skirt or trunks, hood and bag."""
    parts: list[Part] = [
        (0.0, lambda: _lay_lower(person, pose, canvas)),
        (0.001, lambda: _lay_torso(person, pose, canvas)),
        (0.002, lambda: _lay_head(person, pose, canvas)),
    ]
    if person.head == "long" and np.cos(canvas.yaw) >= 0.5:
        parts.append((-0.001, lambda: _lay_long_hair(person, pose.lift_m, canvas, 1.25)))
    if person.bag != "none":
        parts.append(_list_bag(person, pose, canvas))
    return parts


def _plain(colour: Colour) -> Paint:
    return lambda around, height: planes(colour)


def _mix(base: Colour, accent: Colour, where: NDArray[np.bool_] | Picture) -> Picture:
    share = np.asarray(where, dtype=np.float32)
    mixed: Picture = planes(base) * (1 - share) + planes(accent) * share
    return mixed


def _lay_lower(person: Person, pose: Pose, canvas: Canvas) -> None:
    size, build, lift = person.stature_m, person.build, pose.lift_m
    waist, hem = 0.6, 0.29 if person.lower == "skirt" else 0.475
    flare = 1.5 if person.lower == "skirt" else 0.92
    profile = np.array(
        [
            (waist * size + lift, 0.078 * size * build, 0.062 * size * build),
            (0.53 * size + lift, 0.09 * size * build, 0.07 * size * build),
            (hem * size + lift, 0.083 * size * build * flare, 0.066 * size * build * flare),
        ]
    )
    canvas.lay_column(np.zeros(3), profile, _plain(COLOURS[person.lower_colour]))


def _lay_torso(person: Person, pose: Pose, canvas: Canvas) -> None:
    size, lift = person.stature_m, pose.lift_m
    hem = _HEMS[person.upper]
    padded = person.build * (1.08 if person.upper in ("coat", "jacket") else 1.0)
    rows = [(0.868, 0.03, 0.03), (0.842, 0.062, 0.045), (0.825, 0.102, 0.056), (0.79, 0.113, 0.064)]
    rows += [(0.7, 0.1, 0.07), (0.6, 0.086, 0.064), (0.53, 0.096, 0.073)]
    if hem < 0.53:
        rows.append(
            (
                hem,
                0.118 if person.upper == "coat" else 0.093,
                0.098 if person.upper == "coat" else 0.074,
            )
        )
    profile = np.array(
        [(h * size + lift, w * size * padded, d * size * padded) for h, w, d in rows]
    )
    canvas.lay_column(np.zeros(3), profile, _paint_upper(person, lift))
    if person.upper == "hoodie":
        _lay_hood(person, pose, canvas)


def _lay_hood(person: Person, pose: Pose, canvas: Canvas) -> None:
    size, lift = person.stature_m, pose.lift_m
    back = np.array([0.0, 0.0, -0.035 * size])
    profile = (
        np.array(
            [(0.885, 0.03, 0.02), (0.868, 0.058, 0.034), (0.835, 0.055, 0.03), (0.81, 0.02, 0.01)]
        )
        * size
    )
    profile[:, 0] += lift
    dark = tuple(int(0.82 * c) for c in COLOURS[person.upper_colour])
    canvas.lay_column(back, profile, _plain((dark[0], dark[1], dark[2])))


def _paint_upper(person: Person, lift: float) -> Paint:
    base, accent = COLOURS[person.upper_colour], COLOURS[person.accent_colour]
    size = person.stature_m

    def paint(around: Picture, height: Picture) -> Picture:
        level = (height - lift) / size
        colours = _mix(base, accent, _pattern_share(person.pattern, around, level))
        if person.upper != "tee" and person.pattern != "open":
            zip_line = (np.abs(around) < 0.07) & (level < 0.83)
            colours = colours * (1.0 - 0.35 * zip_line)
        neck = planes(person.skin) if person.upper == "tee" else 0.8 * planes(base)
        return np.where(level > 0.835, neck, colours)

    return paint


def _pattern_share(pattern: str, around: Picture, level: Picture) -> Picture:
    """How much of the accent colour shows, 0-1, at `around` (radians) and `level` (fractions of the
    stature)."""
    if pattern == "stripes":
        share: Picture = _bands(level)
    elif pattern == "pinstripes":
        share = np.mod(around / 0.4, 1.0) < 0.32
    elif pattern == "plaid":
        share = 0.5 * _bands(level) + 0.5 * (np.mod(around / 0.52, 1.0) < 0.4)
    elif pattern == "dots":
        share = np.hypot(np.mod(around / 0.5, 1.0) - 0.5, np.mod(level / 0.044, 1.0) - 0.5) < 0.33
    elif pattern == "logo":
        share = _logo_share(around, level)
    elif pattern == "block":
        share = level > 0.72
    elif pattern == "open":
        share = (np.abs(around) < 0.36) & (level < 0.83)
    else:
        share = np.zeros(around.shape, dtype=np.float32)
    return np.asarray(share, dtype=np.float32)


def _bands(level: Picture) -> Picture:
    return np.mod(level / 0.046, 1.0) < 0.45


def _logo_share(around: Picture, level: Picture) -> NDArray[np.bool_]:
    """A print on the chest, a larger ring on the back."""
    chest = (np.abs(around) < 0.62) & (np.abs(level - 0.735) < 0.026)
    behind = np.pi - np.abs(around)
    reach = np.hypot(behind / 0.75, (level - 0.72) / 0.06)
    logo: NDArray[np.bool_] = chest | ((reach < 1.0) & (reach > 0.45))
    return logo


def _lay_head(person: Person, pose: Pose, canvas: Canvas) -> None:
    size, lift = person.stature_m, pose.lift_m
    forward = np.array([0.0, 0.0, 0.012 * size])
    canvas.lay_limb(
        np.array([0.0, 0.83 * size + lift, 0.0]), np.array([0.0, 0.88 * size + lift, 0.006]),
        (0.029 * size, 0.028 * size), person.skin,
    )  # fmt: skip
    canvas.lay_column(forward, _head_profile(person, lift), _paint_head(person, lift))
    if person.head == "bun":
        knot = np.array([0.0, 0.965 * size + lift, -0.045 * size])
        canvas.lay_limb(knot, knot, (0.026 * size, 0.026 * size), hair_of(person))
    if person.head == "long" and np.cos(canvas.yaw) < 0.5:
        _lay_long_hair(person, lift, canvas, 1.0)
    if person.head == "cap":
        _lay_peak(person, lift, canvas)


def _lay_long_hair(person: Person, lift: float, canvas: Canvas, wide: float) -> None:
    size = person.stature_m
    nape, fall = (
        np.array([0.0, 0.945 * size + lift, -0.03 * size]),
        np.array([0.0, 0.8 * size + lift, -0.05 * size]),
    )
    canvas.lay_limb(nape, fall, (0.045 * wide * size, 0.036 * wide * size), hair_of(person))


def _lay_peak(person: Person, lift: float, canvas: Canvas) -> None:
    size = person.stature_m
    brow, tip = (
        np.array([0.0, 0.957 * size + lift, 0.035 * size]),
        np.array([0.0, 0.95 * size + lift, 0.085 * size]),
    )
    if np.cos(canvas.yaw) > -0.4:
        canvas.lay_limb(brow, tip, (0.018 * size, 0.01 * size), COLOURS[person.cap_colour])


def _head_profile(person: Person, lift: float) -> Floats:
    size = person.stature_m
    top = 1.012 if person.head in ("cap", "beanie") else 1.0
    steps = np.linspace(0.0, np.pi, 9)
    middle, half = (top + 0.868) / 2, (top - 0.868) / 2
    heights = middle + half * np.cos(steps)
    widths = np.sqrt(np.maximum(np.sin(steps), 0.02)) * np.where(heights < 0.91, 0.88, 1.0)
    return np.stack([heights * size + lift, widths * 0.045 * size, widths * 0.056 * size], axis=1)


def _paint_head(person: Person, lift: float) -> Paint:
    hair, cap, size = hair_of(person), COLOURS[person.cap_colour], person.stature_m

    def paint(around: Picture, height: Picture) -> Picture:
        level = (height - lift) / size
        frontal = np.abs(around)
        hairline = np.where(frontal < 1.05, 0.96, np.where(frontal < 1.75, 0.93, 0.9))
        hairy = level > hairline
        if person.head in ("long", "bun"):
            hairy |= frontal > 1.15
        colours = _mix(person.skin, hair, hairy & (person.head != "bald"))
        eyes = (np.abs(frontal - 0.38) < 0.16) & (np.abs(level - 0.938) < 0.007)
        mouth = (frontal < 0.28) & (np.abs(level - 0.893) < 0.004)
        colours = colours * (1.0 - 0.55 * eyes - 0.3 * mouth)
        if person.head in ("cap", "beanie"):
            brim = 0.955 if person.head == "cap" else 0.948
            colours = np.where(level > brim, planes(cap), colours)
        return np.asarray(colours, dtype=np.float32)

    return paint


def _list_bag(person: Person, pose: Pose, canvas: Canvas) -> Part:
    size, colour = person.stature_m, COLOURS[person.bag_colour]
    if person.bag == "backpack":
        centre = np.array([0.0, 0.0, -0.115 * size])
        return canvas.nearness(centre), lambda: _lay_backpack(person, pose, canvas, centre)
    if person.bag == "shoulder":
        hang = np.array([-0.14 * size * person.build, 0.52 * size + pose.lift_m, -0.01 * size])
    else:
        hang = pose.hands[1] - np.array([0.0, 0.115 * size, 0.0])
    return canvas.nearness(hang) * 1.6 + 0.01, lambda: _lay_satchel(
        person, pose, canvas, hang, colour
    )


def _lay_backpack(person: Person, pose: Pose, canvas: Canvas, centre: Floats) -> None:
    size, lift = person.stature_m, pose.lift_m
    rows = [(0.835, 0.05, 0.025), (0.815, 0.076, 0.042), (0.66, 0.088, 0.056), (0.585, 0.082, 0.05)]
    profile = np.array([(h * size + lift, w * size, d * size) for h, w, d in rows])

    def paint(around: Picture, height: Picture) -> Picture:
        level = (height - lift) / size
        seam = (np.abs(level - 0.69) < 0.006) | (np.abs(level - 0.775) < 0.005)
        base = _mix(COLOURS[person.bag_colour], (20, 20, 22), 0.5 * seam)
        return np.asarray(base, dtype=np.float32)

    canvas.lay_column(centre, profile, paint)


def _lay_satchel(person: Person, pose: Pose, canvas: Canvas, hang: Floats, colour: Colour) -> None:
    size = person.stature_m
    strap = (max(0, colour[0] - 25), max(0, colour[1] - 25), max(0, colour[2] - 25))
    if person.bag == "shoulder":
        other = pose.shoulders[1] + np.array([-0.05 * size, 0.03 * size, 0.05 * size])
        canvas.lay_limb(
            hang + np.array([0.0, 0.06 * size, 0.0]), other, (0.009 * size, 0.009 * size), strap
        )
    else:
        canvas.lay_limb(pose.hands[1], hang, (0.007 * size, 0.007 * size), strap)
    rows = [
        (0.055, 0.034, 0.062),
        (0.045, 0.038, 0.07),
        (-0.06, 0.038, 0.074),
        (-0.068, 0.034, 0.066),
    ]
    profile = np.array([(float(hang[1]) + h * size, w * size, d * size) for h, w, d in rows])
    canvas.lay_column(hang, profile, _plain(colour))
