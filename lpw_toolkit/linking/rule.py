"""The contract of a linker rule: track numbers go in, track numbers come out. Rules are files in
`rules/`.

A rule is a module with:

    ORDER       its place; rules run in ascending order (of equal ones, by name)
    Settings    the frozen dataclass of settings that it reads; its `Attributes:` are the help texts
    apply(tracks, segment, settings)
                the new track numbers of the segment's boxes; the given ones are not changed
    DROPS       (may be absent) why it leaves boxes out, as a user reads it

The built-in rules read `LinkConfig`:

    10 ambiguity     cut where another track ends or begins beside one
    20 gap_joining   join over gaps where only one continuation fits
    30 outliers      leave out boxes off the line through their neighbours
    40 weak_ends     trim ends with low scores
    50 min_length    drop short tracks
    60 weak_tracks   drop tracks with low mean scores

A rule of your own brings its own Settings; each field becomes an option of `lpw link`, `lpw
build-tracklets` and `lpw relink`, and is recorded. It is off until one of them is given. A
complete one, `rules/big_boxes.py` (or a module of your package, named by an entry point in the
group `lpw_toolkit.linking.rules`):

    from dataclasses import dataclass

    import numpy as np

    from lpw_toolkit.linking.association import UNASSIGNED

    ORDER = 35

    @dataclass(frozen=True)
    class Settings:
        \"\"\"When a box is too big.

        Attributes:
            max_box_height: leave out boxes that are higher, in pixels.
        \"\"\"

        max_box_height: float = 1e9

    def apply(tracks, segment, settings):
        height = segment.boxes[:, 3] - segment.boxes[:, 1]
        return np.where(height > settings.max_box_height, UNASSIGNED, tracks)
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError, unknown_name
from lpw_toolkit.linking.config import FORMER_NAMES, FORMER_PRESETS, PRESETS, LinkConfig
from lpw_toolkit.linking.track_table import TrackTable, make_track_table
from lpw_toolkit.plugins import PluginFolder

RULES = PluginFolder("lpw_toolkit.linking.rules", "linker rule")


@dataclass(frozen=True)
class Segment:
    """The boxes of one unbroken piece of video, sorted by frame.

    Attributes:
        boxes: (N, 4) `x1 y1 x2 y2` in pixels.
        frame_number: (N,) ascending; neighbouring numbers are consecutive frames.
        scores: (N,) of the detector.
        score_quantile: the score that a fraction of the whole video's boxes lie below; 0 for 0, and
            where the scores are saturated.
    """

    boxes: NDArray[np.float64]
    frame_number: NDArray[np.int64]
    scores: NDArray[np.float64]
    score_quantile: Callable[[float], float]

    def table(self, tracks: NDArray[np.int32]) -> TrackTable:
        """The boxes of `tracks`, sorted by track and frame."""
        return make_track_table(tracks, self.boxes, self.frame_number)


class LinkRule(Protocol):
    """A module of `rules/`."""

    ORDER: int
    Settings: type[Any]

    def apply(
        self, tracks: NDArray[np.int32], segment: Segment, settings: Any
    ) -> NDArray[np.int32]:
        """New track numbers (N,) of the segment's boxes, UNASSIGNED for those of no track."""


def name_drops(rule: LinkRule) -> str:
    """Why a rule leaves boxes out."""
    name = getattr(rule, "__name__", type(rule).__name__).rpartition(".")[2]
    return str(getattr(rule, "DROPS", f"rule {name.replace('_', ' ')}"))


def load_rules() -> list[LinkRule]:
    """All rules, in the order in which they run.

    Errors: LpwError for a rule whose setting has the name of another one.
    """
    rules = [cast(LinkRule, RULES.load(name)) for name in RULES.names()]
    taken = {field.name for field in dataclasses.fields(LinkConfig)}
    for rule in rules:
        if rule.Settings is not LinkConfig:
            own = {field.name for field in dataclasses.fields(rule.Settings)}
            if own & taken:
                raise LpwError(
                    f"linker rule {rule.Settings.__module__}",
                    f"a setting {min(own & taken)}, which exists already",
                    "settings with names of their own",
                    "rename it",
                )
            taken |= own
    return sorted(rules, key=lambda rule: rule.ORDER)


def added_settings() -> list[type[Any]]:
    """The Settings of all rules that bring their own."""
    return [rule.Settings for rule in load_rules() if rule.Settings is not LinkConfig]


def make_link_config(preset: str = "default", given: Mapping[str, Any] | None = None) -> LinkConfig:
    """A preset with the settings that were given by name, those of added rules among them.

    Names of older versions are understood, so `given` may be what any dataset records.

    Errors: LpwError for a preset or a setting that does not exist.

    >>> make_link_config("thrifty", {"end_share": 0.3}).end_score_quantile
    0.3
    """
    preset = FORMER_PRESETS.get(preset, preset)
    if preset not in PRESETS:
        raise unknown_name("option --preset", preset, list(PRESETS))
    values = {FORMER_NAMES.get(name, name): value for name, value in (given or {}).items()}
    extra = []
    for kind in added_settings():
        names = [field.name for field in dataclasses.fields(kind) if field.name in values]
        if names:
            extra.append(kind(**{name: values.pop(name) for name in names}))
    own = {field.name for field in dataclasses.fields(LinkConfig)} - {"extra"}
    if unknown := values.keys() - own:
        raise LpwError(
            "linker settings", min(unknown), "settings of the linker or its rules", "correct it"
        )
    return dataclasses.replace(PRESETS[preset], **values, extra=tuple(extra))
