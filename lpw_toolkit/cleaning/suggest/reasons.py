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
        look_for: the question that looking at the tracklet answers.
    """

    title: str
    half: float
    look_for: str


#: What each measures: `box_reasons.measure_tracklets`, `meetings`,
#: `appearance.AppearanceChanges`, `suggest`.
REASONS: dict[str, Reason] = {
    "identity_switch": Reason(
        "appearance differs before and after a frame",
        2.2,
        "Is it the same person before and after this frame?",
    ),
    "look_change": Reason(
        "appearance changes a lot",
        2.8,
        "Is it the same person at the beginning and at the end?",
    ),
    "sharp_change": Reason(
        "appearance changes from one moment to the next",
        2.2,
        "Is it the same person just before and just after this frame?",
    ),
    "odd_frame": Reason(
        "a frame unlike its neighbours",
        1.5,
        "Does this frame show somebody else, or nobody?",
    ),
    "box_jump": Reason("the box jumps", 2.2, "Does the box jump to somebody else here?"),
    "box_change": Reason(
        "the box changes its shape",
        3.0,
        "Does the box still hold the same person where it changes?",
    ),
    "bend": Reason(
        "the path has a bend",
        0.1,
        "Does the person turn here, or does the box go on with somebody else?",
    ),
    "missing_frames": Reason(
        "many frames are missing",
        0.2,
        "Is it the same person again after the missing frames?",
    ),
    "long_gap": Reason("a long gap", 4.0, "Is it the same person after the gap?"),
    "gap_jump": Reason(
        "moves far within a gap",
        0.3,
        "Can the person have come so far within the gap?",
    ),
    "unlinked_detection": Reason(
        "an unlinked detection overlaps",
        0.5,
        "Is a second person in the box?",
    ),
    "two_people": Reason("two people in the box", 0.06, "Are two people in the box?"),
    "wide_box": Reason(
        "wider than a person",
        0.15,
        "Are two people, or a thing beside the person, in the box?",
    ),
    "overlap": Reason(
        "another tracklet overlaps",
        0.06,
        "Whom does the box follow where the two overlap?",
    ),
    "cut_off": Reason(
        "cut off at the image border",
        0.15,
        "Is enough of the person in the picture?",
    ),
    "weak_boxes": Reason("the detector is unsure", 0.6, "Is it a person at all?"),
    "odd_size": Reason(
        "larger or smaller than others at this spot",
        0.1,
        "Is it a person, and a whole one?",
    ),
    "static": Reason("does not move", 2.3, "Is it a person, or a thing that never moves?"),
    "wander": Reason(
        "reverses direction",
        2.5,
        "Is it one person, or a box that goes from one to another?",
    ),
    "recurring_box": Reason(
        "detections recur at this spot",
        0.25,
        "Is it a thing that the detector takes for a person?",
    ),
    "short": Reason("very short", 0.5, "Are these few frames of any use?"),
    "duplicate": Reason(
        "nearly the same as another tracklet",
        0.4,
        "Is it the same person at the same time as the other tracklet?",
    ),
    "meeting": Reason(
        "beside others for long",
        6.0,
        "Does the box stay with the same person beside the others?",
    ),
    "occluded": Reason(
        "an undetected person is close",
        2.0,
        "Whom does the box follow where another person stands close?",
    ),
    "beside": Reason(
        "unlinked detections overlap for long",
        2.5,
        "Is a second person in the box for long?",
    ),
    "wide_meeting": Reason(
        "wide where another person is",
        1.5,
        "Does the box hold both where they meet?",
    ),
    "jump_meeting": Reason(
        "jumps where another person is",
        2.3,
        "Does the box go over to the other person here?",
    ),
    "shape_meeting": Reason(
        "changes its shape where another person is",
        4.4,
        "Does the box go over to the other person here?",
    ),
    "gap_meeting": Reason(
        "frames are missing where another person is",
        1.9,
        "Is it still the same person after the missing frames?",
    ),
    "look_meeting": Reason(
        "appearance changes where another person is",
        1.2,
        "Is it the same person before and after the two meet?",
    ),
    "look_gap": Reason(
        "appearance changes across missing frames",
        0.6,
        "Is it the same person after the missing frames?",
    ),
    "look_jump": Reason(
        "appearance changes where the box jumps",
        1.0,
        "Is it the same person after the jump?",
    ),
    "jumps": Reason("many jumps", 6.0, "Does the box go from one person to another?"),
    "misses": Reason("frames are missing, in total", 11.0, "Is it the same person after each gap?"),
    "wide_frames": Reason(
        "wider than a person for long",
        18.0,
        "Are two people in the box for long?",
    ),
    "weak_frames": Reason("the detector is unsure for long", 12.0, "Is it a person all the time?"),
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
