"""Adds a second film to a dataset (`lpw build-tracklets --add-to`): what is new is built into a new
version, and decisions made on the old one hold."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lpw_toolkit.build.adding import GivenSettings, keep_detector, keep_settings
from lpw_toolkit.build.assembly import BuildResult
from lpw_toolkit.build.build import BuildConfig, build_tracklets
from lpw_toolkit.cleaning.adoption import adopt_decisions
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.files.estimate import Announce
from lpw_toolkit.versions.carrying import ANEW


@dataclass(frozen=True)
class AddConfig:
    """An addition of videos to a dataset.

    Attributes:
        dataset: a dataset made by `build_tracklets`.
        build: where the videos are and where the new version goes; its detector, options and recipe
            give way to those of the dataset.
        given: what the user has said; settings other than those of the dataset are refused.
    """

    dataset: Path
    build: BuildConfig
    given: GivenSettings = field(default_factory=GivenSettings)


def add_videos(
    config: AddConfig,
    log: Callable[[str], None] = lambda line: None,
    announce: Announce | None = None,
) -> BuildResult:
    """Builds what is new into a new version; the same call again resumes an interrupted one.

    Tracklets, images and ids of the videos that the dataset has stay byte for byte; numbers of
    tracklets go on within each camera. Decisions hold on the tracklets that stay.

    Args:
        log: gets one line for each thing chosen for the user.
        announce: gets an estimate before anything is written.

    Errors: LpwError where nothing is new, for settings other than those of the dataset, or when
    nothing can be built; MismatchError naming videos that have changed since.
    """
    base = open_dataset(config.dataset)
    detector, options = keep_detector(base, config.given)
    recipe = keep_settings(base, config.given)
    build = replace(config.build, detector=detector, options=options, recipe=recipe, base=base)
    result = build_tracklets(build, log, announce)
    before, after = base.manifest["counts"], result.dataset.manifest["counts"]
    n_tracklets, n_images = (after[key] - before[key] for key in ("n_tracklets", "n_images"))
    result.remarks.append(f"added to {base.name}: {n_tracklets:,} tracklets, {n_images:,} images")
    result.remarks += adopt_decisions(base, result.dataset).lines
    if base.splits is not None:
        result.remarks.append("splits are not carried over: draw new ones with `lpw split`")
    result.remarks.append(ANEW)
    return result
