"""`lpw regions`: from key points to the division of the body that RQEN cuts its maps by."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpw_cli.options import FOLDER, OUT_FILE, json_option, open_named
from lpw_cli.say import say, say_json
from lpw_toolkit.dataset.dataset import Dataset, refuse_inside_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.progress import set_style

if TYPE_CHECKING:
    from rqen.body.key_points import BodyPoints
    from rqen.body.landmarks import Division

_SUFFIXES = (".png", ".html")


@click.command()
@click.argument("dataset", type=FOLDER, required=False)
@click.option(
    "--landmarks",
    type=FOLDER,
    help="Table of 14 joints per image, in CPM's order: path,x1..x14,y1..y14.",
)
@click.option(
    "--pose", metavar="WEIGHTS", help="Find them by this YOLO pose model, such as yolo11n-pose.pt."
)
@click.option(
    "--download", is_flag=True, help="Fetch official pose weights that are not on this machine."
)
@click.option(
    "--images", "n_images", type=click.IntRange(1), help="Images for --pose.  [default: 2000]"
)
@click.option("--seed", type=click.IntRange(0), help="Of the draw of these images.  [default: 0]")
@click.option(
    "--image-size", type=click.IntRange(32, 4096), help="Longer side of its input.  [default: 320]"
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    help="Joints less sure do not count.  [default: 0.5]",
)
@click.option(
    "--show", type=OUT_FILE, help="Joints, sets, cuts and rows (Figure 3) as this .png or .html."
)
@json_option
def command(dataset: Path | None, *, show: Path | None, as_json: bool, **values: Any) -> None:
    """Divides the body by the key points of DATASET: three sets of joints, their centres, the cuts
    between.

    Give --landmarks or --pose. The division comes as a `--set model.division=[…]` for `lpw train`.
    """
    set_style("json" if as_json else "auto")
    _check_choice(values)
    _check_place(show)
    opened = open_named(dataset)
    found, min_confidence = _find_joints(opened, values)
    for note in found.notes:
        say(f"left out: {note}", err=True)
    from rqen.body.landmarks import divide_body

    seen = found.seen(min_confidence)
    division = divide_body(found.points[..., 1], seen)
    if show is not None:
        _write_picture(show, opened, found, min_confidence, division)
        say(f"written: {show}", err=True)
    if as_json:
        say_json(_report(found, division))
    else:
        say(*_describe(found, division))


def _check_choice(values: dict[str, Any]) -> None:
    if (values["landmarks"] is None) == (values["pose"] is None):
        raise click.UsageError("give either --landmarks or --pose")
    for name in ("download", "n_images", "seed", "image_size"):
        if values["pose"] is None and values[name]:
            raise click.UsageError(
                f"--{name.removeprefix('n_').replace('_', '-')} belongs to --pose"
            )


def _check_place(show: Path | None) -> None:
    """Refuses early what could not be written after the work."""
    if show is None:
        return
    if show.suffix.lower() not in _SUFFIXES:
        raise LpwError(
            "option --show",
            str(show),
            f"a name that ends in {' or '.join(_SUFFIXES)}",
            "name it so",
        )
    if show.is_dir():
        raise LpwError(
            "option --show", f"the folder {show}", "a file to be written", "name the picture"
        )
    refuse_inside_dataset(show)


def _find_joints(dataset: Dataset, values: dict[str, Any]) -> "tuple[BodyPoints, float]":
    """The joints, and how sure one must be to count."""
    from rqen.body.key_points import MIN_CONFIDENCE, read_landmarks

    given = values["min_confidence"]
    if values["landmarks"] is not None:
        found, has_confidence = read_landmarks(values["landmarks"], dataset)
        if given is not None and not has_confidence:
            do = "leave the option out"
            raise LpwError(
                "option --min-confidence", str(given), "landmarks with columns c1 to c14", do
            )
    else:
        found = _find_by_pose(dataset, values)
    return found, MIN_CONFIDENCE if given is None else given


def _find_by_pose(dataset: Dataset, values: dict[str, Any]) -> "BodyPoints":
    import numpy as np

    from lpw_toolkit.detection.pose import PoseOptions, open_pose
    from rqen.body.key_points import draw_rows, find_points

    sizes = {} if values["image_size"] is None else {"image_size": values["image_size"]}
    model = open_pose(PoseOptions(values["pose"], download=values["download"], **sizes))
    say(model.note, err=True)
    rows = draw_rows(
        dataset, values["n_images"] or 2000, np.random.default_rng(values["seed"] or 0)
    )
    return find_points(dataset, rows, model)


def _write_picture(
    show: Path, dataset: Dataset, found: "BodyPoints", min_confidence: float, division: "Division"
) -> None:
    from lpw_toolkit.files.writing import atomic_write, make_folder
    from rqen.body.division_picture import draw_division, format_division_page, mean_body

    png = draw_division(mean_body(dataset, found.rows), found, found.seen(min_confidence), division)
    facts = [
        ("dataset", dataset.name),
        ("digest", str(dataset.manifest["digest"])),
        ("joints from", found.source),
    ]
    is_page = show.suffix.lower() == ".html"
    make_folder(show.parent)
    atomic_write(
        show, format_division_page(png, facts, found.notes, division).encode() if is_page else png
    )


def _report(found: "BodyPoints", division: "Division") -> dict[str, Any]:
    from rqen.body.division_picture import set_option

    return {
        "joints_from": found.source,
        "n_images": division.n_images,
        "n_joints": division.n_joints,
        "left_out": list(found.notes),
        "centres": list(division.centres),
        "cuts": list(division.cuts),
        "rows": list(division.rows),
        "rounded": list(division.rounded),
        "set_rounded": set_option(division.rounded) if 0 not in division.rounded else None,
        "set_exact": set_option(division.rows),
    }


def _describe(found: "BodyPoints", division: "Division") -> list[str]:
    from rqen.body.division_picture import describe_rows, set_option
    from rqen.body.landmarks import SET_NAMES

    width = max(len(words) for _, words in SET_NAMES)
    lines = [f"{found.source}: {division.n_joints:,} joints on {division.n_images:,} images"]
    for (name, words), centre in zip(SET_NAMES, division.centres, strict=True):
        lines.append(f"  {name:<7} {words:<{width}}  centre at {centre:.3f} of the height")
    lines.append(f"  cuts at {division.cuts[0]:.3f} and {division.cuts[1]:.3f} of the height")
    lines.append(f"  {describe_rows(division)}")
    if 0 not in division.rounded:
        lines.append(f"whole rows:  lpw train rqen --set '{set_option(division.rounded)}'")
    lines.append(f"exact:       lpw train rqen --set '{set_option(division.rows)}'")
    return lines
