"""The settings of the linker and its presets."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeVar, get_args

from lpw_toolkit.errors import check_range, option_name, unknown_name

Assignment = Literal["optimal", "greedy"]
Kind = TypeVar("Kind")

#: Today's names of settings that datasets and scripts of older versions call otherwise.
FORMER_NAMES = {
    "doubt_iou": "ambiguity_iou",
    "doubt_near_iou": "ambiguity_near_iou",
    "sure_share": "weak_score_quantile",
    "bridge_error": "gap_error",
    "bridge_size": "gap_size_error",
    "bridge_rival": "gap_rival_ratio",
    "bridge_in_rounds": "gap_in_rounds",
    "end_share": "end_score_quantile",
    "track_share": "track_score_quantile",
    "steady": "jitter_threshold",
}
FORMER_PRESETS = {"thrifty": "low-cost"}


@dataclass(frozen=True)
class LinkConfig:
    """How boxes become tracklets; the defaults are the preset `default`.

    Scores mean different things for different detectors, so all thresholds but `min_score` are
    quantiles of the video's scores: 0.2 is the score that 20 % of its boxes lie below. Where the
    scores are saturated (nearly all alike) none of these thresholds applies. Lengths are
    fractions of the person's height, so that near and far people are alike.

    The values were chosen on seven MOT15 sequences as those that cost a person the least at a yield
    of 52 % or more while half as many tracklets mix people as SORT's;
    tests/bench/results/linking.json holds what each contributes.

    Attributes:
        iou: smallest overlap of two boxes of consecutive frames that may belong together, above 0
            and at most 1.
        assignment: `optimal` (largest sum of overlaps, Hungarian) or `greedy` (largest overlap
            first).
        min_score: ignore detections with a lower score, 0 to 1.
        min_length: drop tracklets with fewer boxes, at least 1. With 1 or 2 the pieces between cuts
            that are too short to have a direction stay too.
        max_gap: largest step from one box of a tracklet to the next, in frames; 1 = no frame may be
            missing.
        velocity_gain: weight of the newest displacement in the predicted position of a box; 0 =
            predict no motion.
        margin: leave a box out when another match overlaps within this of the best one; 0 = never.
        ambiguity_iou: cut a track where another one that ends or begins overlaps it by more than
            this; 1 = never.
        ambiguity_near_iou: above this overlap always cut; below, only where the scores are weak or
            the other person stands in front.
        weak_score_quantile: a box beside a cut counts as weak below this quantile of the video's
            scores.
        gap_error: tolerated error of the predicted positions across a gap, in person heights.
        gap_size_error: tolerated logarithm of the height ratio across a gap.
        gap_rival_ratio: join over a gap only if every rival join costs at least this many times as
            much.
        gap_in_rounds: join over short gaps first; what they join is no rival for longer gaps.
        outlier_iou: leave out boxes that overlap the line through their neighbours by less; 0 =
            none.
        end_score_quantile: trim a tracklet to begin and end with a box above this quantile of the
            video's scores; 0 = no trimming.
        track_score_quantile: drop a tracklet whose mean score is below this quantile of the
            video's scores; 0 = none.
        jitter_threshold: where the jitter of box heights (median logarithm against the line through
            their neighbours) is below this, motion can be trusted: every other setting that has its
            default value is then as in `low-cost`. 0 = never.
        extra: settings of added rules (see `linking/rule.py`); a rule without settings here is off.
    """

    iou: float = 0.35
    assignment: Assignment = "optimal"
    min_score: float = 0.25
    min_length: int = 10
    max_gap: int = 30
    velocity_gain: float = 0.3
    margin: float = 0.2
    ambiguity_iou: float = 0.1
    ambiguity_near_iou: float = 0.4
    weak_score_quantile: float = 0.25
    gap_error: float = 0.15
    gap_size_error: float = 0.25
    gap_rival_ratio: float = 2.0
    gap_in_rounds: bool = False
    outlier_iou: float = 0.5
    end_score_quantile: float = 0.15
    track_score_quantile: float = 0.1
    jitter_threshold: float = 0.02
    extra: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if self.assignment not in get_args(Assignment):
            raise unknown_name("option --assignment", self.assignment, get_args(Assignment))
        check_range(option_name("iou"), self.iou, 0, 1, above=True)
        for name in ("min_length", "max_gap"):
            check_range(option_name(name), getattr(self, name), 1, 10**6, whole=True)
        for name in ("gap_error", "gap_size_error"):
            check_range(option_name(name), getattr(self, name), 0, 10, above=True)
        check_range(option_name("gap_rival_ratio"), self.gap_rival_ratio, 1, 100)
        for name in (
            "min_score",
            "velocity_gain",
            "margin",
            "ambiguity_iou",
            "ambiguity_near_iou",
            "weak_score_quantile",
            "outlier_iou",
            "end_score_quantile",
            "track_score_quantile",
            "jitter_threshold",
        ):
            check_range(option_name(name), getattr(self, name), 0, 1)

    @property
    def cuts(self) -> bool:
        """Whether tracks are cut where their identity is ambiguous."""
        return self.ambiguity_iou < 1

    @property
    def ranks_scores(self) -> bool:
        """Whether a rule depends on quantiles of the video's scores."""
        own = (self.end_score_quantile, self.track_score_quantile)
        return any(own) or (self.cuts and self.weak_score_quantile > 0)

    def settings_of(self, kind: type[Kind]) -> Kind | None:
        """The settings of this class that were given: this object, one of `extra`, or None."""
        return next((part for part in (self, *self.extra) if isinstance(part, kind)), None)

    def to_settings(self) -> dict[str, Any]:
        """What a dataset records: all settings by name, those of added rules among them.

        >>> LinkConfig().to_settings()["min_length"]
        10
        """
        own = asdict(replace(self, extra=()))
        del own["extra"]
        return own | {name: value for part in self.extra for name, value in asdict(part).items()}


PRESETS: dict[str, LinkConfig] = {
    "default": LinkConfig(),
    # Least cleaning for each clean box: joins more fragments, and mixes more people.
    "low-cost": LinkConfig(
        ambiguity_iou=0.2,
        ambiguity_near_iou=0.7,
        weak_score_quantile=0.1,
        gap_error=0.25,
        gap_size_error=0.3,
        gap_rival_ratio=1.5,
        gap_in_rounds=True,
        track_score_quantile=0.16,
        jitter_threshold=0.0,
    ),
    # Plain IoU between consecutive frames.
    "paper": LinkConfig(
        iou=0.3,
        min_score=0.0,
        min_length=1,
        max_gap=1,
        velocity_gain=0.0,
        margin=0.0,
        ambiguity_iou=1.0,
        outlier_iou=0.0,
        end_score_quantile=0.0,
        track_score_quantile=0.0,
        jitter_threshold=0.0,
    ),
}


def with_preset(config: LinkConfig, name: str) -> LinkConfig:
    """`config`, with the preset's value for every setting that has its default value."""
    preset = PRESETS[name]
    unset = [f.name for f in fields(config) if getattr(config, f.name) == f.default]
    return replace(config, **{field: getattr(preset, field) for field in unset})
