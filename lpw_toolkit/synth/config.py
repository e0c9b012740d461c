"""Settings of a synthetic street: size, crowding and difficulty, checked on creation."""

from dataclasses import dataclass, fields

from lpw_toolkit.errors import LpwError


@dataclass(frozen=True)
class StreetConfig:
    """A synthetic street.

    Attributes:
        n_persons: identities in all; they are dealt to the scenes evenly and never change the scene
            (as in LPW).
        n_scenes: scenes, each with its own persons.
        n_cameras: cameras per scene, at least 2: every person is seen by two or more of them.
        n_frames: frames per video; all videos of a street start at the same time.
        width: frame width in pixels, even.
        height: frame height in pixels, even.
        rate_hz: frames per second.
        n_colours: garment colours in use, 2-12 (`people.COLOURS` in order).
        n_wearers: persons of a scene that share each combination of upper and lower colour, as a
            minimum.
        n_furniture: static occluders per camera (lamp posts, trees, cars, kiosks, benches …), as a
            maximum.
        occluded_frac: the share of person frames to be occluded (a fifth or more of the person
            within the frame hidden by something nearer); furniture is taken away until about so
            much is left. 1: all of it stays.
        pair_frac: share of persons who walk beside another one, 0-1.
        stop_frac: share of passages with a halt of one to three seconds, 0-1.
        colour_shift_frac: size of each camera's own white balance, brightness and contrast error,
            0-0.5.
        light_change_frac: how far the daylight rises and falls within a video, 0-0.5.
        sensor_noise: standard deviation of the sensor noise in grey levels, 0-20.
        quality_crf: constant rate factor of the H.264 encoder, 0 (lossless) - 51.

    Errors: LpwError that names the field.
    """

    n_persons: int = 40
    n_scenes: int = 2
    n_cameras: int = 3
    n_frames: int = 250
    width: int = 640
    height: int = 360
    rate_hz: int = 10
    n_colours: int = 12
    n_wearers: int = 4
    n_furniture: int = 6
    occluded_frac: float = 0.25
    pair_frac: float = 0.3
    stop_frac: float = 0.1
    colour_shift_frac: float = 0.16
    light_change_frac: float = 0.15
    sensor_noise: float = 2.5
    quality_crf: int = 21

    def __post_init__(self) -> None:
        _check_ranges(self, _STREET_RANGES)
        for name in ("width", "height"):
            if getattr(self, name) % 2:
                raise LpwError(
                    f"street {name}", f"{getattr(self, name)} px", "an even number", "add one"
                )
        if self.n_persons < self.n_scenes:
            raise LpwError(
                "street n_persons",
                f"{self.n_persons}",
                f">= {self.n_scenes}, one a scene",
                "ask for more",
            )
        if self.duration_s < 4.0:
            raise LpwError(
                "street n_frames",
                f"{self.duration_s:g} s",
                "4 s or more: a walk past two cameras",
                "add some",
            )

    @property
    def duration_s(self) -> float:
        """Length of each video in seconds."""
        return self.n_frames / self.rate_hz


@dataclass(frozen=True)
class NoiseConfig:
    """What a detector makes of the truth. Lengths are fractions of the height of the box.

    The defaults follow the public detections of seven MOT15 training sequences against their ground
    truth, matched at IoU >= 0.5 (medians over the sequences): recall .83 / .75 / .53 / .33 / .13
    where 0-5 / 5-25 / 25-50 / 50-75 / over 75 % of the box is covered by nearer boxes; precision
    .49-.94; mean IoU of matched boxes .67-.74; errors of .04-.09 box heights at the edges,
    correlated .4-.7 from frame to frame; scores of true boxes .76 / .96 / .98 (5, 25, 50 %), of
    false ones .55 / .68 / .84.

    Attributes:
        hit_full: probability that a wholly visible person is found, 0-1.
        hit_half: the same for a person of whom half is visible.
        hit_hidden: the same for a person of whom only `visibility_min` is visible.
        visibility_min: a person less visible than this is never found, 0-0.5.
        small_px: a person of this height is found half as often; a far taller one is not affected.
            0: no effect.
        miss_correlation: of luck from one frame to the next, 0-1 (below 1).
        jitter_frac: standard deviation of the centre and of the edges, in box heights.
        jitter_correlation: of that error from one frame to the next, 0-1 (below 1).
        false_per_frame: mean number of boxes on no person.
        false_persistent_frac: share of them that come and go at the same few places of the
            background, 0-1.
        merge_frac: probability that two persons whose boxes overlap by `merge_iou` become one wide
            box, 0-1.
        merge_iou: that overlap.
        part_frac: probability that a person whose legs are hidden is boxed only down to where he is
            visible, 0-1.
        duplicate_frac: probability of a second box on a found person, 0-1.
        score_true: mean logit of the score of a wholly visible person.
        score_false: mean logit of the score of a false box.
        score_std: standard deviation of both. 0 together with a jitter of 0 gives every box the
            score of its mean.

    Errors: LpwError that names the field.
    """

    hit_full: float = 0.95
    hit_half: float = 0.46
    hit_hidden: float = 0.05
    visibility_min: float = 0.1
    small_px: float = 18.0
    miss_correlation: float = 0.7
    jitter_frac: float = 0.043
    jitter_correlation: float = 0.6
    false_per_frame: float = 0.8
    false_persistent_frac: float = 0.6
    merge_frac: float = 0.5
    merge_iou: float = 0.45
    part_frac: float = 0.5
    duplicate_frac: float = 0.015
    score_true: float = 4.3
    score_false: float = 1.7
    score_std: float = 1.2

    def __post_init__(self) -> None:
        _check_ranges(self, _NOISE_RANGES)

    @staticmethod
    def none() -> "NoiseConfig":
        """A perfect detector: every person of whom at least `visibility_min` is visible, exactly,
        and nothing else."""
        return NoiseConfig(
            hit_full=1.0, hit_half=1.0, hit_hidden=1.0, small_px=0.0, jitter_frac=0.0,
            false_per_frame=0.0,
            merge_frac=0.0, part_frac=0.0, duplicate_frac=0.0, score_std=0.0,
        )  # fmt: skip


_STREET_RANGES: dict[str, tuple[float, float]] = {
    "n_persons": (2, 5000), "n_scenes": (1, 99), "n_cameras": (2, 99), "n_frames": (20, 100_000),
    "width": (160, 3840), "height": (120, 2160), "rate_hz": (2, 60), "n_colours": (2, 12),
    "n_wearers": (1, 100),
    "n_furniture": (0, 30), "occluded_frac": (0, 1), "pair_frac": (0, 1), "stop_frac": (0, 1),
    "colour_shift_frac": (0, 0.5), "light_change_frac": (0, 0.5), "sensor_noise": (0, 20),
    "quality_crf": (0, 51),
}  # fmt: skip
_NOISE_RANGES: dict[str, tuple[float, float]] = {
    "hit_full": (0, 1), "hit_half": (0, 1), "hit_hidden": (0, 1), "visibility_min": (0, 0.5),
    "small_px": (0, 1000),
    "miss_correlation": (0, 0.999), "jitter_frac": (0, 0.5), "jitter_correlation": (0, 0.999),
    "false_per_frame": (0, 100), "false_persistent_frac": (0, 1), "merge_frac": (0, 1),
    "merge_iou": (0.05, 1),
    "part_frac": (0, 1), "duplicate_frac": (0, 1), "score_true": (-20, 20),
    "score_false": (-20, 20),
    "score_std": (0, 10),
}  # fmt: skip


def _check_ranges(
    config: StreetConfig | NoiseConfig, ranges: dict[str, tuple[float, float]]
) -> None:
    for field in fields(config):
        value, (low, high) = getattr(config, field.name), ranges[field.name]
        whole = field.type in (int, "int")
        if (
            isinstance(value, bool)
            or not isinstance(value, int if whole else (int, float))
            or not low <= value <= high
        ):
            kind = "a whole number" if whole else "a number"
            thing = f"{type(config).__name__}.{field.name}"
            raise LpwError(thing, f"{value!r}", f"{kind} from {low:g} to {high:g}", "change it")


#: Presets: for the test-suite, for `lpw demo`, and for the scores that are published.
STREETS: dict[str, StreetConfig] = {
    "tiny": StreetConfig(
        n_persons=8,
        n_scenes=2,
        n_cameras=2,
        n_frames=48,
        width=320,
        height=180,
        rate_hz=6,
        n_wearers=2,
        n_furniture=3,
    ),
    "demo": StreetConfig(),
    "score": StreetConfig(
        n_persons=120, n_frames=600, n_wearers=5, occluded_frac=0.2, colour_shift_frac=0.2
    ),
}
