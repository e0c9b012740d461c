"""`lpw build-tracklets`: street video becomes a dataset."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from lpw_cli.options import (
    FOLDER,
    VIDEO,
    Command,
    cache_folder,
    config_options,
    default_out,
    json_option,
    parse_size,
    take_config,
)
from lpw_cli.say import say, say_json
from lpw_toolkit.build.assembly import BuildResult, BuildSettings, Notes
from lpw_toolkit.build.build import BuildConfig, build_tracklets
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.detection.detector import DetectorOptions, detector_names
from lpw_toolkit.errors import PartialError
from lpw_toolkit.linking.config import PRESETS, LinkConfig
from lpw_toolkit.progress import set_style

CONF = {"min_score": "conf"}  # --min-score is the linker's
_RECIPE_OPTIONS = (
    click.option(
        "--preset", type=click.Choice(list(PRESETS)), default="default", show_default=True
    ),
    config_options(LinkConfig, skip=("extra",)),
    click.option(
        "--size", default="256x128", show_default=True, help="HEIGHTxWIDTH of the crops, or native."
    ),
    config_options(CropConfig, skip=("size_px",)),
    click.option(
        "--segment-frames",
        type=click.IntRange(1),
        default=BuildSettings().segment_frames,
        show_default=True,
        help="Frames between two points from which a stopped run can go on.",
    ),
    click.option("--name", help="Name of the dataset.  [default: that of its folder]"),
    click.option(
        "--restart", is_flag=True, help="Throw away an unfinished run with other settings."
    ),
    click.option(
        "--allow-damaged", is_flag=True, help="Exit with 0 although videos failed or are not whole."
    ),
)


def recipe_options(command: Command) -> Command:
    """What building and relinking let a user choose alike."""
    for option in reversed(_RECIPE_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("video", type=VIDEO)
@click.option("--out", type=FOLDER, help="Dataset to be made.  [default: ./<video>-lpw]")
@click.option(
    "--detector",
    type=click.Choice(detector_names()),
    default=None,
    help="[default: ultralytics, or boxes with --boxes]",
)
@config_options(DetectorOptions, names=CONF)
@recipe_options
@click.option(
    "--layout", help="Where paths name scene and camera, for example '{scene}/{camera}_{date}.mp4'."
)
@click.option(
    "--cameras",
    type=FOLDER,
    help="CSV file with the columns path, scene, camera and, if known, start_s.",
)
@click.option(
    "--cache",
    type=FOLDER,
    help="Where raw detections are kept for other builds.  [default: the user's cache]",
)
@click.option("--no-cache", is_flag=True, help="Keep raw detections in the dataset only.")
@click.option("--licence", help="Note: under which licence the footage may be used.")
@click.option("--consent", help="Note: the consent of the people it shows.")
@json_option
def command(
    video: Path, out: Path | None, *, as_json: bool, allow_damaged: bool, **values: Any
) -> None:
    """Makes a dataset from VIDEO: a folder of videos, one video, or an image sequence
    (img1/000001.jpg).

    The same command again goes on where an interrupted one stopped. Exit code 4: some videos failed
    or are not whole.
    """
    set_style("json" if as_json else "auto")
    out = out or default_out(video, "-lpw")
    result = build_tracklets(_take_build(video, out, values), log=partial(say, err=True))
    report(result, as_json=as_json, allow_damaged=allow_damaged)


def _take_build(video: Path, out: Path, values: dict[str, Any]) -> BuildConfig:
    detector = values.pop("detector") or ("boxes" if values["boxes"] else "ultralytics")
    return BuildConfig(
        root=video,
        out=out,
        detector=detector,
        options=take_config(DetectorOptions, values, names=CONF),
        recipe=take_recipe(values),
        layout=values.pop("layout"),
        cameras_csv=values.pop("cameras"),
        cache=cache_folder(values.pop("cache"), off=values.pop("no_cache")),
        restart=values.pop("restart"),
    )


def take_recipe(values: dict[str, Any]) -> BuildSettings:
    """The linking, cropping and notes that were asked for."""
    return BuildSettings(
        link=take_config(LinkConfig, values, base=PRESETS[values.pop("preset")]),
        crop=take_config(CropConfig, values, size_px=parse_size(values.pop("size"))),
        notes=take_config(Notes, values),
        segment_frames=values.pop("segment_frames"),
    )


def report(result: BuildResult, *, as_json: bool, allow_damaged: bool) -> None:
    """Prints what a build made. Errors: PartialError when videos failed and that was not
    allowed."""
    counts, root = result.dataset.manifest["counts"], result.dataset.root
    if as_json:
        seconds = {stage: round(value, 3) for stage, value in result.seconds.items()}
        facts = {"dataset": str(root), **counts, "digest": result.dataset.manifest["digest"]}
        say_json(
            {**facts, "problems": result.problems, "remarks": result.remarks, "seconds": seconds}
        )
    else:
        say(*result.remarks)
        say(*(f"problem: {line}" for line in result.problems), err=True)
        say(
            f"{root}: {counts['n_tracklets']} tracklets, {counts['n_images']} images, "
            f"{counts['n_cameras']} cameras"
        )
        say(f"next: lpw show {root}")
    if result.problems and not allow_damaged:
        manifest = result.dataset.manifest
        n_sources = len(manifest["sources"]) + len(manifest.get("skipped", []))
        got = f"{len(result.problems)} of {n_sources} videos failed or are not whole"
        raise PartialError(
            root, got, "whole videos", "replace them, or accept this with --allow-damaged"
        )
