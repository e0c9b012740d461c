"""Leaves out tracklets by rules (`lpw filter`): whole ones, so that those that stay are as they
were."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.cleaning.adoption import adopt_decisions
from lpw_toolkit.cleaning.state.base_tables import Base, read_base
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.dataset.new_version import (
    CopiedImages,
    NewVersion,
    inherit_facts,
    inherit_tables,
    write_version,
)
from lpw_toolkit.dataset.tables import to_numpy
from lpw_toolkit.errors import LpwError, check_range, join_names, option_name, unknown_name
from lpw_toolkit.versions.carrying import ANEW, Made, keep_splits
from lpw_toolkit.versions.sharpness import measure_tracklets

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class FilterRules:
    """Which tracklets stay; a rule that is None or empty takes nothing away.

    Attributes:
        min_length: fewest images.
        max_length: most images.
        min_height_px: smallest height of a person: the median height of its boxes, in pixels of the
            video.
        max_height_px: largest height of a person.
        min_score: lowest mean score of the detector, 0 to 1.
        min_sharpness: lowest sharpness: variance of the Laplacian of the grey image at 128 x 64
            pixels, the median of up to 16 images.
        cameras: the cameras that stay.
        scenes: the scenes that stay.
    """

    min_length: int | None = None
    max_length: int | None = None
    min_height_px: float | None = None
    max_height_px: float | None = None
    min_score: float | None = None
    min_sharpness: float | None = None
    cameras: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in fields(self):
            value = getattr(self, kind.name)
            if value is None or isinstance(value, tuple):
                continue
            high = 1.0 if kind.name == "min_score" else 1e9
            check_range(option_name(kind.name), value, 0, high, whole="length" in kind.name)
        if all(value in (None, ()) for value in asdict(self).values()):
            raise LpwError("filter", "no rule", "one at least", "give --min-length 20, for example")


@dataclass(frozen=True)
class FilterConfig:
    """A version with fewer tracklets.

    Attributes:
        dataset: the dataset.
        out: the new version.
        rules: which tracklets stay.
    """

    dataset: Path
    out: Path
    rules: FilterRules


def filter_dataset(config: FilterConfig) -> Made:
    """Writes the version of a dataset that holds the tracklets which fulfil all rules, as they are.

    Errors: LpwError where no tracklet would stay, for an unknown camera or scene, a rule on boxes
    or scores that the dataset has not, or an `out` that is in use; CorruptCropError.
    """
    dataset = open_dataset(config.dataset)
    choice = _Choice(dataset, config.rules)
    counts = choice.apply()
    if not choice.stays.any():
        got = f"nothing to write: {_tell(counts, choice.n_tracklets)}"
        raise LpwError(config.out, got, "a tracklet or more", "filter less")
    tracklets = dataset.tracklets.filter(pa.array(choice.stays))
    rows = np.flatnonzero(np.repeat(choice.stays, choice.lengths))
    splits = keep_splits(dataset, tracklets)
    said = {key: value for key, value in asdict(config.rules).items() if value not in (None, ())}
    facts = inherit_facts(dataset, config.out, {"filter": {"rules": said, "taken": counts}})
    version = NewVersion(
        tracklets,
        dataset.frames.take(pa.array(rows)),
        [CopiedImages(dataset, rows)],
        facts | splits.facts,
        splits=splits.table,
        inner=inherit_tables(dataset, ["timeline"]),
    )
    made = write_version(config.out, version, stage="filter")
    lines = [
        f"{tracklets.num_rows:,} of {choice.n_tracklets:,} tracklets stay",
        *(f"taken away by {rule}: {n:,}" for rule, n in counts.items()),
        *filter(None, [splits.line]),
        *adopt_decisions(dataset, made).lines,
        ANEW,
    ]
    return Made(made, tuple(lines))


def _tell(counts: dict[str, int], n_tracklets: int) -> str:
    rules = ", ".join(f"{rule} takes {n:,}" for rule, n in counts.items() if n)
    return f"{rules} of {n_tracklets:,} tracklets" if rules else "a dataset without tracklets"


class _Choice:
    """Which tracklets stay (n,); every rule counts what it takes of those that are left."""

    def __init__(self, dataset: Dataset, rules: FilterRules) -> None:
        self.dataset, self.rules = dataset, rules
        self.base: Base = read_base(dataset)
        known = self.base.tracklets.values()
        self.lengths = np.array([one.n_frames for one in known], np.int64)
        self.starts = np.array([one.start for one in known], np.int64)
        self.n_tracklets = len(self.lengths)
        self.stays = np.ones(self.n_tracklets, bool)
        self._counts: dict[str, int] = {}

    def apply(self) -> dict[str, int]:
        """All rules in turn, the cheap ones first; how many tracklets each took away."""
        rules = self.rules
        for column, names in (("camera", rules.cameras), ("scene", rules.scenes)):
            if names:
                self._keep_named(column, names)
        self._keep("length", rules.min_length, rules.max_length, lambda: self.lengths * 1.0)
        self._keep("height-px", rules.min_height_px, rules.max_height_px, self._measure_heights)
        self._keep("score", rules.min_score, None, self._measure_scores)
        self._keep("sharpness", rules.min_sharpness, None, self._measure_sharpness)
        return self._counts

    def _keep_named(self, column: str, names: tuple[str, ...]) -> None:
        values = self.dataset.tracklets[f"{column}_id"]
        known = values.drop_null().unique().to_pylist()
        if unknown := sorted({*names} - {*known}):
            there = sorted(known)
            expected = f"one of {join_names(there)}"
            raise unknown_name(
                f"option --{column}", unknown, there, expected=expected, hint="correct it"
            )
        kept = pc.is_in(values, value_set=pa.array(names)).to_numpy(zero_copy_only=False)
        self._take(f"--{column}", np.asarray(kept, bool))

    def _keep(
        self, what: str, least: float | None, most: float | None, measure: Callable[[], Values]
    ) -> None:
        if least is None and most is None:
            return
        values = measure()
        if least is not None:
            self._take(f"--min-{what} {least:g}", values >= least)
        if most is not None:
            self._take(f"--max-{what} {most:g}", values <= most)

    def _take(self, rule: str, good: NDArray[np.bool_]) -> None:
        self._counts[rule] = int((self.stays & ~good).sum())
        self.stays &= good

    def _measure_heights(self) -> Values:
        frames = self.dataset.frames
        heights = to_numpy(frames, "y2").astype(float) - to_numpy(frames, "y1").astype(float)
        return self._summarise("--min-height-px", heights, np.median, "boxes in the video")

    def _measure_scores(self) -> Values:
        scores = to_numpy(self.dataset.frames, "score").astype(float)
        return self._summarise("--min-score", scores, np.mean, "scores of a detector")

    def _summarise(
        self, option: str, values: Values, by: Callable[[Values], np.floating[Any]], what: str
    ) -> Values:
        """One value (n,) for each tracklet. Errors: LpwError naming one without values."""
        summary = np.zeros(self.n_tracklets)
        for i, tracklet in enumerate(self.base.tracklets.values()):
            part = values[tracklet.start : tracklet.start + tracklet.n_frames]
            if self.stays[i] and np.isnan(part).any():
                got = f"{self.dataset.name}, whose tracklet {tracklet.tracklet_id} has no {what}"
                raise LpwError(f"option {option}", got, what, "leave the rule out")
            summary[i] = by(part)
        return summary

    def _measure_sharpness(self) -> Values:
        left = np.flatnonzero(self.stays)
        values = np.zeros(self.n_tracklets)
        images = open_images(self.dataset)
        values[left] = measure_tracklets(images, self.starts[left], self.lengths[left])
        return values
