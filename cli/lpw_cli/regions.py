"""`lpw regions`: computes the body division by which RQEN cuts its feature maps, from key
points."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpw_cli.command import is_given, lpw_command, option
from lpw_cli.options import (
    FETCHED,
    FOLDER,
    OUT_FILE,
    check_suffix,
    dataset_argument,
    offline_option,
    open_named,
    retired_option,
)
from lpw_cli.say import say_note, say_result
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.manifest import MANIFEST
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import follow_links

if TYPE_CHECKING:
    from rqen.body.key_points import BodyPoints
    from rqen.body.landmarks import Centres, Division

_SUFFIXES = (".png", ".html")
_CENTRES = ("mean", "k-means", "k-means-joints")
_ANY = "default"  # stands for the value of --pose where none is given


@dataclass(frozen=True, kw_only=True)
class RegionsOptions:
    """The options of `lpw regions`."""

    dataset: Path | None
    landmarks: Path | None
    pose: str | None
    n_images: int
    seed: int
    image_size: int
    min_confidence: float | None
    centres: "Centres"
    out: Path | None


def _arrange(values: dict[str, Any]) -> None:
    """`--pose DATASET`: what stands behind a bare --pose is no model."""
    pose = values["pose"]
    if values["dataset"] is None and pose is not None and (Path(pose) / MANIFEST).is_file():
        values["dataset"], values["pose"] = follow_links(Path(pose)), _ANY


@lpw_command(RegionsOptions, one_of=("--landmarks", "--pose"), arrange=_arrange)
@dataset_argument
@option(
    "--landmarks",
    type=FOLDER,
    help="Table of 14 joints per image, in CPM's order: path,x1..x14,y1..y14.",
)
@option(
    "--pose",
    metavar="WEIGHTS",
    is_flag=False,
    flag_value=_ANY,
    help="Find joints with this pose model, a file or a name of `lpw weights list`; without "
    "WEIGHTS with BlazePose (Apache-2.0).",
)
@option(
    "--out",
    "--show",
    "out",
    type=OUT_FILE,
    help="Joints, sets, cuts and rows (Figure 3) as this .png or .html.",
)
@option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    help="Ignore joints below this confidence.  [default: 0.5]",
)
@option(
    "--centres",
    type=click.Choice(_CENTRES),
    default="mean",
    show_default=True,
    help="The centre of each set: the mean of its joints, or a k-means of the sets on every image, "
    "or of all joints.",
)
@retired_option("--download", FETCHED)
@option(
    "--images",
    "n_images",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    needs="--pose",
    help="How many images are used.",
)
@option("--seed", type=click.IntRange(0), default=0, show_default=True, needs="--pose",
        help="Random seed for choosing these images.")  # fmt: skip
@option(
    "--image-size",
    type=click.IntRange(32, 4096),
    default=320,
    show_default=True,
    needs="--pose",
    help="Longer side of the model's input in pixels, where the model leaves it open.",
)
@offline_option
def command(options: RegionsOptions) -> None:
    """Divides the body by the key points of DATASET: three sets of joints, their centres, the cuts
    between.

    Give --landmarks or --pose. The division comes as a `--set model.division=[…]` for `lpw train`.
    """
    check_suffix("--out", options.out, _SUFFIXES)
    opened = open_named(options.dataset)
    found, min_confidence = _find_joints(opened, options)
    for note in found.notes:
        say_note(f"left out: {note}")
    from rqen.body.landmarks import divide_body

    seen = found.seen(min_confidence)
    division = divide_body(found.points[..., 1], seen, options.centres)
    if options.out is not None:
        _write_picture(options.out, opened, found, min_confidence, division)
        say_note(f"written: {options.out}")
    say_result(_report(found, division), *_describe(found, division))


def _find_joints(dataset: Dataset, options: RegionsOptions) -> "tuple[BodyPoints, float]":
    """The joints, and how sure one must be to count."""
    from rqen.body.key_points import MIN_CONFIDENCE, read_landmarks

    given = options.min_confidence
    if options.landmarks is not None:
        found, has_confidence = read_landmarks(options.landmarks, dataset)
        if given is not None and not has_confidence:
            do = "leave the option out"
            raise LpwError(
                "option --min-confidence", str(given), "landmarks with columns c1 to c14", do
            )
    else:
        found = _find_by_pose(dataset, options)
    return found, MIN_CONFIDENCE if given is None else given


def _find_by_pose(dataset: Dataset, options: RegionsOptions) -> "BodyPoints":
    from lpw_toolkit.detection.pose import PoseOptions
    from rqen.body.key_points import find_by_pose

    weights = None if options.pose == _ANY else options.pose
    pose = PoseOptions(weights, image_size=options.image_size)
    found, _, model = find_by_pose(dataset, pose, options.n_images, options.seed)
    if is_given("image_size") and model.image_size < options.image_size:
        say_note(f"image size {model.image_size}, as the model has it")
    return found


def _write_picture(
    show: Path, dataset: Dataset, found: "BodyPoints", min_confidence: float, division: "Division"
) -> None:
    from lpw_toolkit.files.writing import atomic_write, make_folder
    from rqen.body.division_picture import draw_division, format_division_page, mean_body

    png = draw_division(mean_body(dataset, found.rows), found, found.seen(min_confidence), division)
    is_page = show.suffix.lower() == ".html"
    make_folder(show.parent)
    page = format_division_page(dataset, found, division, png) if is_page else ""
    atomic_write(show, page.encode() if is_page else png)


def _report(found: "BodyPoints", division: "Division") -> dict[str, Any]:
    from rqen.body.division_picture import set_option

    return {
        "joints_from": found.source,
        "n_images": division.n_images,
        "n_joints": division.n_joints,
        "left_out": list(found.notes),
        "centres_by": division.centres_by,
        "centres": list(division.centres),
        "cuts": list(division.cuts),
        "rows": list(division.rows),
        "rounded": list(division.rounded),
        "set_rounded": set_option(division.rounded) if 0 not in division.rounded else None,
        "set_exact": set_option(division.rows),
    }


def _describe(found: "BodyPoints", division: "Division") -> list[str]:
    from rqen.body.division_picture import describe_rows, set_option
    from rqen.body.landmarks import CENTRES, SET_NAMES

    width = max(len(words) for _, words in SET_NAMES)
    lines = [f"{found.source}: {division.n_joints:,} joints on {division.n_images:,} images"]
    lines.append(f"  centres: {CENTRES[division.centres_by]}")
    for (name, words), centre in zip(SET_NAMES, division.centres, strict=True):
        lines.append(f"  {name:<7} {words:<{width}}  centre at {centre:.3f} of the height")
    lines.append(f"  cuts at {division.cuts[0]:.3f} and {division.cuts[1]:.3f} of the height")
    lines.append(f"  {describe_rows(division)}")
    if 0 not in division.rounded:
        lines.append(f"whole rows:  lpw train rqen --set '{set_option(division.rounded)}'")
    lines.append(f"exact:       lpw train rqen --set '{set_option(division.rows)}'")
    return lines
