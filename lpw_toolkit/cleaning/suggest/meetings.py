"""Meetings of two persons and the signals there: mixed tracklets nearly always mix at a meeting.

A jump, a change of looks or a missing frame is common and mostly harmless; beside somebody else it
is a suspicion.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.cleaning.suggest.appearance import AppearanceChanges
from lpw_toolkit.cleaning.suggest.box_signals import BoxSignals, ramp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_JUMP, _SHAPE = 0.15, 0.2  # heights, and a logarithm: certainly a jump, a change of shape
_MANY_MISSING = 10
_NEAR = 3  # frames on either side of a change of looks that belong to it
_GAP, _SMALL_JUMP = 3.0, 0.1  # frames and heights that count one half

#: Measures of boxes alone, and those that need looks too.
BOX_NAMES = (
    "meeting",
    "occluded",
    "beside",
    "wide_meeting",
    "jump_meeting",
    "shape_meeting",
    "gap_meeting",
)
APPEARANCE_NAMES = ("look_meeting", "look_gap", "look_jump")


def measure_meetings(signals: BoxSignals, first: NDArray[np.intp]) -> dict[str, Floats]:
    """The measures of BOX_NAMES (T,) for the tracklets that begin at the rows `first`; all in
    frames.

    * `meeting`: frames with somebody near.
    * `occluded`: frames in which an undetected person stands there.
    * `beside`: frames in which a raw box of nobody overlaps.
    * `wide_meeting`, `jump_meeting`, `shape_meeting`, `gap_meeting`: frames with somebody near in
      which the box is wide, jumps, changes its shape, or follows after missing ones.
    """
    frames = {
        "meeting": signals.near,
        "occluded": signals.occluded,
        "beside": ramp(signals.unlinked, 0.2, 0.5),
        "wide_meeting": signals.wide * signals.unseen,
        "jump_meeting": ramp(signals.jump, 0, _JUMP) * signals.near,
        "shape_meeting": ramp(signals.shape, 0, _SHAPE) * signals.near,
        "gap_meeting": np.minimum(signals.missing, _MANY_MISSING) * signals.near,
    }
    return {name: np.asarray(np.add.reduceat(values, first)) for name, values in frames.items()}


def measure_appearance(
    positions: Ints, changes: AppearanceChanges, near: Floats, missing: Floats, jump: Floats
) -> tuple[list[float], list[int]]:
    """How much the looks of one tracklet change where it meets others, across gaps, and where its
    box jumps.

    Args:
        positions: (K,) frames that were looked at.
        near, missing, jump: (n_frames,) as BoxSignals has them.

    Returns:
        In the order of APPEARANCE_NAMES, in the unit of `changes.step`; and the frames before which
        each is largest, -1 where it is 0.
    """
    found, cuts = [0.0, 0.0, 0.0], [-1, -1, -1]
    for (before, after), step in zip(pairwise(positions), changes.step[1:], strict=True):
        if step <= 0:
            continue
        around = slice(max(0, before - _NEAR), after + _NEAR + 1)
        gap, far = float(missing[before + 1 : after + 1].max()), float(jump[around].max())
        shares = (float(near[around].max()), gap / (gap + _GAP), far / (far + _SMALL_JUMP))
        for i, share in enumerate(shares):
            if step * share > found[i]:
                found[i], cuts[i] = float(step) * share, int(after)
    return found, cuts
