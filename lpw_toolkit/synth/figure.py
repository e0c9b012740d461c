"""Draws one person: a jointed figure of shaded limbs and cloth, at one moment of the walk and seen
from one side.

A figure is made of limbs (tapered capsules) and columns (stacks of ellipses: head, torso, skirt,
bags). Both know which way each of their pixels faces, so patterns, faces and open jackets turn with
the body.
"""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.synth.body import Canvas, Part, Picture, Pose, pose_person
from lpw_toolkit.synth.people import COLOURS, Person


def draw_figure(person: Person, phase: int, view: int, folds: Picture) -> NDArray[np.uint8]:
    """The person as premultiplied RGBA (CANVAS_HEIGHT, CANVAS_WIDTH, 4), `PX_PER_M` pixels a metre,
    feet at FOOT_ROW.

    Args:
        phase: moment of the gait, 0 to N_PHASES - 1, or STANDING.
        view: direction of sight, 0 to N_VIEWS - 1.
        folds: (CANVAS_HEIGHT, CANVAS_WIDTH) brightness about 1: the creases of this person's
            clothes.
    """
    canvas = Canvas(view, folds)
    pose = pose_person(person, phase)
    parts = _list_parts(person, pose, canvas)
    for _, lay in sorted(parts, key=lambda part: part[0]):
        lay()
    rgba = np.dstack([*canvas.rgb, 255.0 * canvas.cover])
    return np.asarray(np.clip(np.rint(rgba), 0, 255), dtype=np.uint8)


def _list_parts(person: Person, pose: Pose, canvas: Canvas) -> list[Part]:
    from lpw_toolkit.synth.clothes import list_column_parts

    parts = list_column_parts(person, pose, canvas)
    for side in (0, 1):
        parts += _list_leg(person, pose, canvas, side)
        parts += _list_arm(person, pose, canvas, side)
    return parts


def _list_leg(person: Person, pose: Pose, canvas: Canvas, side: int) -> list[Part]:
    hip, knee, ankle, toe = pose.hips[side], pose.knees[side], pose.ankles[side], pose.toes[side]
    cloth, thick = COLOURS[person.lower_colour], 0.043 * person.stature_m * person.build
    thigh_colour = person.skin if person.lower == "skirt" else cloth
    shin_colour = cloth if person.lower == "trousers" else person.skin
    shin_width = 0.8 if person.lower == "trousers" else 0.68
    depth = canvas.nearness(hip) - 0.3  # behind the garments: hems hang over the legs

    def lay() -> None:
        canvas.lay_limb(
            ankle,
            toe,
            (0.026 * person.stature_m, 0.019 * person.stature_m),
            COLOURS[person.shoe_colour],
        )
        canvas.lay_limb(knee, ankle, (thick * shin_width, thick * shin_width * 0.72), shin_colour)
        canvas.lay_limb(hip, knee, (thick * 1.12, thick * 0.92), thigh_colour)

    return [(depth, lay)]


def _list_arm(person: Person, pose: Pose, canvas: Canvas, side: int) -> list[Part]:
    shoulder, elbow, hand = pose.shoulders[side], pose.elbows[side], pose.hands[side]
    sleeve = COLOURS[person.accent_colour if person.pattern == "block" else person.upper_colour]
    thick = 0.028 * person.stature_m * person.build
    long_sleeve = person.upper != "tee"
    padded = 1.2 if person.upper in ("coat", "jacket") else 1.0

    def lay() -> None:
        canvas.lay_limb(
            hand, hand, (0.023 * person.stature_m, 0.023 * person.stature_m), person.skin
        )
        lower = (thick * 0.9 * padded, thick * 0.78) if long_sleeve else (thick * 0.72, thick * 0.6)
        canvas.lay_limb(elbow, hand, lower, sleeve if long_sleeve else person.skin)
        canvas.lay_limb(shoulder, elbow, (thick * 1.15 * padded, thick * padded), sleeve)

    return [(canvas.nearness(shoulder) * 1.5, lay)]
