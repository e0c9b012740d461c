"""`lpw build-tracklets`: street video becomes a dataset."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from lpw_cli.command import Changes, Function, is_given, lpw_command, option
from lpw_cli.estimates import announcer, dry_run_option
from lpw_cli.linking_options import linking_options, preset_option, take_link_config
from lpw_cli.options import (
    FETCHED,
    FOLDER,
    VIDEO,
    cache_folder,
    config_options,
    default_out,
    offline_option,
    parse_size,
    retired_option,
)
from lpw_cli.say import say, say_note, say_result
from lpw_toolkit.build.assembly import BuildResult, BuildSettings, Notes
from lpw_toolkit.build.build import BuildConfig, build_tracklets
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.detection.detector import DetectorOptions, detector_names
from lpw_toolkit.errors import PartialError
from lpw_toolkit.files.estimate import Announce
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.names import count_of

CONF = {"min_score": "conf", "box_classes": "classes"}  # --min-score is the linker's
_OF_BOXES = ("box_scores", "first_frame", "box_classes", "strict")
_NETWORK = ("weights", "nms_iou", "image_size", "batch_size", "precision", "runtime", "threads")
_DETECTOR_NEEDS = dict.fromkeys(_NETWORK, "no --boxes") | dict.fromkeys(_OF_BOXES, "--boxes")
_SETTINGS = (
    preset_option,
    option("--size", default="256x128", show_default=True,
           help="HEIGHTxWIDTH of the crops in pixels, or native."),
    option("--name", help="Name of the dataset.  [default: the name of its folder]"),
    option("--restart", is_flag=True, help="Discard an unfinished run with other settings."),
    option("--allow-damaged", is_flag=True,
           help="Exit with code 0 although videos failed or are incomplete."),
    config_options(CropConfig, "crop", heading="Cropping", skip=("size_px",)),
    linking_options,
    option("--segment-frames", type=click.IntRange(1), default=BuildSettings().segment_frames,
           show_default=True, heading="Resuming",
           help="Frames between two points from which a stopped run can resume."),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SettingsOptions:
    """What building and relinking let a user choose alike."""

    preset: str
    link: Changes[LinkConfig]
    size: str
    crop: Changes[CropConfig]
    segment_frames: int
    name: str | None
    restart: bool
    allow_damaged: bool

    def build_settings(self, notes: Notes) -> BuildSettings:
        """The settings of the build. Errors: LpwError."""
        return BuildSettings(
            link=take_link_config(self.preset, self.link),
            crop=self.crop.apply(CropConfig(), size_px=parse_size(self.size)),
            notes=notes,
            segment_frames=self.segment_frames,
        )


@dataclass(frozen=True, kw_only=True)
class BuildOptions(SettingsOptions):
    """The options of `lpw build-tracklets`."""

    video: Path
    out: Path | None
    detector: str | None
    detection: Changes[DetectorOptions]
    layout: str | None
    cameras: Path | None
    cache: Path | None
    no_cache: bool
    licence: str | None
    consent: str | None
    dry_run: bool
    add_to: Path | None

    def added(self, config: BuildConfig, announce: Announce | None) -> BuildResult:
        """The result of `--add-to`: a new version of that dataset. Errors: LpwError."""
        from lpw_toolkit.build.adding import GivenSettings
        from lpw_toolkit.versions.adding import AddConfig, add_videos

        size = {"size_px": parse_size(self.size)} if is_given("size") else {}
        given = GivenSettings(
            detector=self.detector,
            detection=dict(self.detection.values),
            link=dict(self.link.values),
            crop=dict(self.crop.values) | size,
            preset=self.preset if is_given("preset") else None,
            notes=config.recipe.notes,
            segment_frames=self.segment_frames,
        )
        return add_videos(AddConfig(self.add_to or Path(), config, given), say_note, announce)

    @property
    def default_out(self) -> Path:
        """Where the dataset goes when nothing is said."""
        if self.add_to is None:
            return default_out(self.video, "-lpw")
        from lpw_toolkit.dataset.output_folder import name_next_version

        return name_next_version(self.add_to)


def settings_options(function: Function) -> Function:
    """The options of `SettingsOptions`."""
    for decorate in reversed(_SETTINGS):
        function = decorate(function)
    return function


@lpw_command(BuildOptions)
@click.argument("video", type=VIDEO)
@option("--out", type=FOLDER, help="Dataset to be made.  [default: ./<video>-lpw]")
@option(
    "--detector",
    type=click.Choice(detector_names()),
    help="[default: boxes with --boxes, else the one that reads the weights]",
)
@config_options(
    DetectorOptions,
    "detection",
    heading="Detection",
    first=("weights", "boxes"),
    names=CONF,
    needs=_DETECTOR_NEEDS | {"box_geometry": "--boxes"},
)
@settings_options
@option(
    "--layout",
    heading="Cameras",
    help="Where paths name scene and camera, for example '{scene}/{camera}_{date}.mp4'.",
)
@option(
    "--cameras",
    type=FOLDER,
    heading="Cameras",
    help="CSV file with the columns path, scene, camera and, if known, start_s.",
)
@option(
    "--cache",
    type=FOLDER,
    heading="Resuming",
    needs="no --no-cache",
    help="Where raw detections are kept for other builds.  [default: the user's cache]",
)
@option(
    "--no-cache", is_flag=True, heading="Resuming", help="Keep raw detections in the dataset only."
)
@dry_run_option()
@option("--add-to", type=FOLDER, metavar="DATASET",
        help="Build what DATASET has not into a new version of it, with its settings; decisions on "
        "it carry over.  [default --out: DATASET-2]")  # fmt: skip
@option("--licence", heading="Notes", help="Under which licence the footage may be used.")
@option("--consent", heading="Notes", help="The consent of the people it shows.")
@retired_option("--download", FETCHED)
@offline_option
def command(options: BuildOptions) -> None:
    """Makes a dataset from VIDEO: a folder of videos or of image sequences, one video, or one image
    sequence (img1/000001.jpg, frame_000000.png).

    The same command again resumes an interrupted run. Exit code 4: some videos failed or are
    incomplete.
    """
    config = BuildConfig(
        root=options.video,
        out=options.out or options.default_out,
        detector=options.detector,
        options=options.detection.apply(DetectorOptions()),
        recipe=options.build_settings(Notes(options.name, options.licence, options.consent)),
        layout=options.layout,
        cameras_csv=options.cameras,
        cache=cache_folder(options.cache, off=options.no_cache),
        restart=options.restart,
    )
    announce = announcer(dry_run=options.dry_run)
    result = (
        options.added(config, announce)
        if options.add_to
        else build_tracklets(config, say_note, announce)
    )
    report(result, allow_damaged=options.allow_damaged)


def report(result: BuildResult, *, allow_damaged: bool) -> None:
    """Prints what a build made. Errors: PartialError when videos failed and that was not
    allowed."""
    manifest, root = result.dataset.manifest, result.dataset.root
    counts = manifest["counts"]
    say(*(f"problem: {line}" for line in result.problems), err=True)
    say_result(
        {
            "dataset": str(root),
            **counts,
            "digest": manifest["digest"],
            "problems": result.problems,
            "remarks": result.remarks,
            "seconds": {stage: round(value, 3) for stage, value in result.seconds.items()},
        },
        *result.remarks,
        f"{root}: {counts['n_tracklets']} tracklets, {counts['n_images']} images, "
        + count_of(counts["n_cameras"], "camera"),
        f"next: lpw clean {shlex.quote(str(root))} --review, or to look first: lpw show "
        f"{shlex.quote(str(root))}",
    )
    if result.problems and not allow_damaged:
        n_sources = len(manifest["sources"]) + len(manifest.get("skipped", []))
        got = f"{len(result.problems)} of {n_sources} videos failed or are incomplete"
        raise PartialError(
            root, got, "whole videos", "replace them, or accept this with --allow-damaged"
        )
