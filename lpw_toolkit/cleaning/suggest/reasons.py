"""The reasons why a tracklet may be in error, by name, and scores from 0 to 1 from their
measures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reason:
    """One reason.

    Attributes:
        title: what a person reads.
        half: the measure that scores one half; 0 and less scores 0. About every sixth tracklet has
            more.
    """

    title: str
    half: float


#: What each measures: `box_reasons.measure_tracklets`, `meetings`,
#: `appearance.AppearanceChanges`, `suggest`.
REASONS: dict[str, Reason] = {
    "identity_switch": Reason("appearance differs before and after a frame", 2.2),
    "look_change": Reason("appearance changes a lot", 2.8),
    "sharp_change": Reason("appearance changes from one moment to the next", 2.2),
    "odd_frame": Reason("a frame unlike its neighbours", 1.5),
    "box_jump": Reason("the box jumps", 2.2),
    "box_change": Reason("the box changes its shape", 3.0),
    "bend": Reason("the path has a bend", 0.1),
    "missing_frames": Reason("many frames are missing", 0.2),
    "long_gap": Reason("a long gap", 4.0),
    "gap_jump": Reason("moves far within a gap", 0.3),
    "unlinked_detection": Reason("an unlinked detection overlaps", 0.5),
    "two_people": Reason("two people in the box", 0.06),
    "wide_box": Reason("wider than a person", 0.15),
    "overlap": Reason("another tracklet overlaps", 0.06),
    "cut_off": Reason("cut off at the image border", 0.15),
    "weak_boxes": Reason("the detector is unsure", 0.6),
    "odd_size": Reason("larger or smaller than others at this spot", 0.1),
    "static": Reason("does not move", 2.3),
    "wander": Reason("reverses direction", 2.5),
    "recurring_box": Reason("detections recur at this spot", 0.25),
    "short": Reason("very short", 0.5),
    "duplicate": Reason("nearly the same as another tracklet", 0.4),
    "meeting": Reason("beside others for long", 6.0),
    "occluded": Reason("an undetected person is close", 2.0),
    "beside": Reason("unlinked detections overlap for long", 2.5),
    "wide_meeting": Reason("wide where another person is", 1.5),
    "jump_meeting": Reason("jumps where another person is", 2.3),
    "shape_meeting": Reason("changes its shape where another person is", 4.4),
    "gap_meeting": Reason("frames are missing where another person is", 1.9),
    "look_meeting": Reason("appearance changes where another person is", 1.2),
    "look_gap": Reason("appearance changes across missing frames", 0.6),
    "look_jump": Reason("appearance changes where the box jumps", 1.0),
    "jumps": Reason("many jumps", 6.0),
    "misses": Reason("frames are missing, in total", 11.0),
    "wide_frames": Reason("wider than a person for long", 18.0),
    "weak_frames": Reason("the detector is unsure for long", 12.0),
}
#: Names that suggestion files of earlier versions have.
OLD_NAMES = {
    "hidden": "occluded",
    "haunted": "recurring_box",
    "loose_box": "unlinked_detection",
}


def score_measures(measures: Mapping[str, Floats]) -> dict[str, Floats]:
    """Scores (T,) in [0, 1] of each reason: x / (x + half); NaN stays, where it cannot be told."""
    scores = {}
    for name, values in measures.items():
        positive = np.maximum(values, 0)  # NaN stays NaN
        scores[name] = positive / (positive + REASONS[name].half)
    return scores
