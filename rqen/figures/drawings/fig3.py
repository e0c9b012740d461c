"""Figure 3: landmarks on images, where they succeed and where they fail, and the division of the
body that comes of all of them.

Success is an image with all 14 joints in the order of a standing body: the head above the hips,
these above the knees, these above the ankles. Everything else is a failure. The paper shows samples
of both and gives no rule; this one is ours. The centres are those of a k-means, as the paper says.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.detection.pose import PoseOptions
from lpw_toolkit.pages.sprites import sample_positions
from rqen.body.division_picture import (
    draw_division,
    list_division_facts,
    make_division_section,
    mean_body,
)
from rqen.body.key_points import MIN_CONFIDENCE, BodyPoints, find_by_pose, read_landmarks
from rqen.body.landmarks import JOINTS, SETS, divide_body
from rqen.figures.figure import Drawing, FigureRequest
from rqen.quality_page.picture_page import Section
from rqen.quality_page.plotting import SOFT, region_colour, render

TITLE = "Figure 3: landmarks, and the division of the body"
NEEDS_RUN = False
_N_SHOWN = 8
_FRAME_INCH, _GAP_INCH, _TOP_INCH = (0.95, 1.9), 0.1, 0.25
_SHOWN_PX = (256, 128)
#: Pairs of joints that a line joins: neck and head, arms, trunk, legs.
LIMBS = (
    *((0, 1), (1, 2), (2, 4), (4, 6), (1, 3), (3, 5), (5, 7)),
    *((1, 8), (8, 10), (10, 12), (1, 9), (9, 11), (11, 13)),
)
#: Joints that stand below each other on a standing body: head, hips, knees, ankles.
_STACK = ((0,), (8, 9), (10, 11), (12, 13))

Ints = NDArray[np.int64]


class Samples(NamedTuple):
    """Which images succeed, and which fail, by row of the table of frames; failures with the fewest
    joints first."""

    success: Ints
    failure: Ints


def draw_figure(request: FigureRequest) -> Drawing:
    """See the module."""
    dataset = open_dataset(request.data)
    found, looked_at = _find_joints(dataset, request)
    seen = found.seen(MIN_CONFIDENCE)
    division = divide_body(found.points[..., 1], seen, "k-means")
    samples = sort_samples(found, seen, looked_at)
    n = request.n_rows or _N_SHOWN
    of = f"of {len(looked_at):,} images"
    sections = {
        "success": _show(dataset, found, seen, samples.success, n, f"Success: {{}} {of}"),
        "failure": _show(dataset, found, seen, samples.failure, n, f"Failure: {{}} {of}"),
    }
    png = draw_division(mean_body(dataset, found.rows), found, seen, division)
    sections["division"] = make_division_section(png, found.notes, division)
    rule = "success: 14 joints, head above hips above knees above ankles; our rule"
    facts = (*list_division_facts(dataset, found, division), ("rule", rule))
    return Drawing(facts, sections)


def _find_joints(dataset: Dataset, request: FigureRequest) -> tuple[BodyPoints, Ints]:
    """The joints, and the rows of all images that were looked at."""
    if request.landmarks is not None:
        found, _ = read_landmarks(request.landmarks, dataset)
        return found, found.rows
    found, rows, _ = find_by_pose(dataset, PoseOptions(request.pose), request.n_images)
    return found, rows


def sort_samples(found: BodyPoints, seen: NDArray[np.bool_], looked_at: Ints) -> Samples:
    """The images by whether landmarks succeed on them, see the module.

    Args:
        seen: (N, 14), joints that count.
        looked_at: rows of all images; those without a person are not among the N.
    """
    heights = np.where(seen, found.points[..., 1], np.nan)
    levels = np.stack([heights[:, joints].mean(axis=1) for joints in map(list, _STACK)], axis=1)
    stands = (np.diff(levels, axis=1) > 0).all(axis=1)  # NaN where a joint is missing: False
    good = seen.all(axis=1) & stands
    nobody = np.setdiff1d(looked_at, found.rows)
    order = np.argsort(seen[~good].sum(axis=1), kind="stable")
    return Samples(found.rows[good], np.concatenate([nobody, found.rows[~good][order]]))


def _show(
    dataset: Dataset, found: BodyPoints, seen: NDArray[np.bool_], rows: Ints, n: int, title: str
) -> Section:
    """Some of these images, evenly spread, with their joints."""
    chosen = rows[sample_positions(len(rows), n)].tolist() if len(rows) else []
    place = {row: i for i, row in enumerate(found.rows.tolist())}
    images = open_images(dataset)
    panels = []
    for row in chosen:
        i = place.get(row)
        joints = None if i is None else np.where(seen[i, :, None], found.points[i, :, :2], np.nan)
        panels.append((images.decode(row, _SHOWN_PX), joints))
    names = dataset.frames["image"]
    table = [("", "image", "joints")]
    for k, (row, (_, joints)) in enumerate(zip(chosen, panels, strict=True), start=1):
        n_seen = 0 if joints is None else int(np.isfinite(joints).all(axis=1).sum())
        table.append((str(k), names[row].as_py()["path"], f"{n_seen} of {len(JOINTS)}"))
    picture = draw_landmarks(panels) if panels else None
    alt = "images in a row with the joints and limbs that were found on them"
    return Section(title.format(f"{len(rows):,}"), (), picture, alt, tuple(table))


def draw_landmarks(panels: list[tuple[Any, NDArray[np.float64] | None]]) -> bytes:
    """Images in a row as PNG, each with its joints (14, 2) as shares of the picture, NaN for those
    that were not seen; None where there is no person."""
    (width, height), pitch = _FRAME_INCH, _FRAME_INCH[0] + _GAP_INCH
    size = _GAP_INCH + max(len(panels), 4) * pitch, _TOP_INCH + height + _GAP_INCH

    def draw(figure: Any) -> None:
        panel = figure.add_axes((0, 0, 1, 1))
        for k, (image, joints) in enumerate(panels):
            left = _GAP_INCH + k * pitch
            extent = (left, left + width, _TOP_INCH + height, _TOP_INCH)
            panel.imshow(image, extent=extent, aspect="auto", interpolation="bilinear")
            words = f"{k + 1}" if joints is not None else f"{k + 1}: nobody found"
            panel.text(left, _TOP_INCH - 0.06, words, fontsize=8, color=SOFT, va="bottom")
            if joints is not None:
                _draw_body(panel, joints * (width, height) + (left, _TOP_INCH))
        panel.set(xlim=(0, size[0]), ylim=(size[1], 0))
        panel.set_axis_off()

    return render(size, draw, dpi=106)


def _draw_body(panel: Any, joints: NDArray[np.float64]) -> None:
    """Limbs and joints (14, 2) in inches, in the colours of their sets."""
    for pair in LIMBS:
        panel.plot(*joints[list(pair)].T, color="white", linewidth=1.6, alpha=0.85)
    for joint, place in enumerate(joints):
        own = next(k for k, of in enumerate(SETS) if joint in of)
        look = {"markeredgecolor": "white", "markeredgewidth": 0.6, "markersize": 4}
        panel.plot(*place, "o", color=region_colour(own), **look)
