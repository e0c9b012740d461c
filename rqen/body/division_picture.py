"""The division of the body as a picture (Figure 3): joints on the mean image, the three sets, their
cuts, 7 rows."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.image_reader import open_images
from rqen.body.key_points import BodyPoints
from rqen.body.landmarks import CENTRES, JOINTS, N_ROWS, SET_NAMES, SETS, Division, Floats
from rqen.quality_page.picture_page import Section, format_page
from rqen.quality_page.plotting import EDGE, SOFT, TEXT, region_colour, render

_SIZE_INCH = (9.6, 5.4)
_SHAPE_PX = (256, 128)
_MAX_DOTS = 400
_N_BINS = 56
_GROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}

Pixels = NDArray[np.uint8]


def mean_body(dataset: Dataset, rows: NDArray[np.int64], n_most: int = 400) -> Pixels:
    """The mean (256, 128, 3), RGB, of at most `n_most` images, evenly spaced among these rows of
    the table of frames.

    Errors: CorruptCropError that names an image.
    """
    images = open_images(dataset)
    chosen = rows[
        np.unique(np.linspace(0, len(rows) - 1, min(n_most, len(rows))).round().astype(int))
    ]
    total = np.zeros((*_SHAPE_PX, 3))
    for row in chosen.tolist():
        total += cv2.resize(images.decode(row), _SHAPE_PX[::-1], interpolation=cv2.INTER_LINEAR)
    return np.rint(total / len(chosen)).astype(np.uint8)


def draw_division(
    body: Pixels, found: BodyPoints, seen: NDArray[np.bool_], division: Division
) -> bytes:
    """The picture as PNG.

    Args:
        body: (H, W, 3) RGB that lies behind the joints.
        found: joints, N images.
        seen: (N, 14), those that counted.
        division: what came of them.
    """

    def draw(figure: Any) -> None:
        place = {"left": 0.055, "right": 0.995, "top": 0.945, "bottom": 0.09, "wspace": 0.18}
        panels = figure.subplots(1, 3, width_ratios=(1.0, 1.55, 1.0), gridspec_kw=place)
        _draw_joints(panels[0], body, found.points, seen, division)
        _draw_sets(panels[1], found.points[..., 1], seen, division)
        _draw_rows(panels[2], body, division)
        for panel in panels:
            panel.tick_params(colors=SOFT, labelsize=8)

    return render(_SIZE_INCH, draw)


def _draw_joints(
    panel: Any, body: Pixels, points: Floats, seen: NDArray[np.bool_], division: Division
) -> None:
    """Each joint of some images as a dot in the colour of its first set, and its mean as a ring."""
    panel.imshow(body, extent=(0, 1, 1, 0), aspect="auto", alpha=0.9)
    step = max(1, len(points) // _MAX_DOTS)
    for joint in range(len(JOINTS)):
        here = points[seen[:, joint], joint]
        if not len(here):
            continue
        own = [k for k, joints in enumerate(SETS) if joint in joints]
        panel.plot(
            here[::step, 0],
            here[::step, 1],
            ".",
            color=region_colour(own[0]),
            markersize=2,
            alpha=0.35,
        )
        edge = region_colour(own[-1])
        style = {
            "markerfacecolor": "white",
            "markeredgecolor": edge,
            "markeredgewidth": 1.8,
            "markersize": 6,
        }
        panel.plot(*here[:, :2].mean(axis=0), "o", **style)
    for cut in division.cuts:
        panel.axhline(cut, color=TEXT, linewidth=1.2, linestyle="--")
    panel.set(xlim=(0, 1), ylim=(1, 0), xticks=[], ylabel="share of the height")
    panel.set_title(f"{len(JOINTS)} joints, {division.n_images:,} images", fontsize=10, loc="left")


def _draw_sets(panel: Any, heights: Floats, seen: NDArray[np.bool_], division: Division) -> None:
    """How the heights of each set are spread; its centre, and the cuts between."""
    bins = np.linspace(0, 1, _N_BINS + 1)
    for k, (joints, (name, words)) in enumerate(zip(SETS, SET_NAMES, strict=True)):
        values = heights[:, joints][seen[:, joints]]
        share = 100 * np.histogram(values, bins)[0] / len(values)
        panel.stairs(
            share, bins, orientation="horizontal", fill=True, color=region_colour(k), alpha=0.28
        )
        panel.stairs(
            share,
            bins,
            orientation="horizontal",
            color=region_colour(k),
            linewidth=1.2,
            label=f"{name}: {words}",
        )
        panel.axhline(division.centres[k], color=region_colour(k), linewidth=1.6)
        _label(panel, division.centres[k], f"centre {division.centres[k]:.3f}", region_colour(k))
    for cut in division.cuts:
        panel.axhline(cut, color=TEXT, linewidth=1.2, linestyle="--")
        _label(panel, cut, f"cut {cut:.3f}", TEXT)
    panel.set(ylim=(1, 0), xlabel="share of the set's joints, %", yticks=[])
    panel.set_title("sets of joints along the height", fontsize=10, loc="left")
    panel.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)
    panel.margins(x=0.12)


def _label(panel: Any, height: float, text: str, colour: str) -> None:
    place = {
        "transform": panel.get_yaxis_transform(),
        "ha": "right",
        "va": "bottom",
        "fontsize": 8,
        "bbox": _GROUND,
    }
    panel.text(0.985, height - 0.008, text, color=colour, **place)


def _draw_rows(panel: Any, body: Pixels, division: Division) -> None:
    """The grid of 7 rows: the exact parts as tint, the whole rows as brackets beside it."""
    panel.imshow(body, extent=(0, 1, N_ROWS, 0), aspect="auto", alpha=0.8)
    for row in range(1, N_ROWS):
        panel.axhline(row, xmax=0.74, color="white", linewidth=1.4)
        panel.axhline(row, xmax=0.74, color=EDGE, linewidth=0.7)
    borders = [0.0, *(N_ROWS * cut for cut in division.cuts), float(N_ROWS)]
    whole = [0, *np.cumsum(division.rounded).tolist()]
    for k, ((top, bottom), (first, stop)) in enumerate(
        zip(pairwise(borders), pairwise(whole), strict=True)
    ):
        colour = region_colour(k)
        panel.axhspan(top, bottom, xmax=0.74, color=colour, alpha=0.25, linewidth=0)
        words = {"ha": "center", "va": "center", "fontsize": 12, "color": TEXT, "bbox": _GROUND}
        panel.text(0.5, (top + bottom) / 2, f"{division.rows[k]:.2f}", **words)
        if stop > first:
            panel.plot(
                [1.06, 1.06],
                [first + 0.08, stop - 0.08],
                color=colour,
                linewidth=5,
                solid_capstyle="butt",
            )
            panel.text(
                1.17,
                (first + stop) / 2,
                f"{stop - first}",
                ha="center",
                va="center",
                fontsize=15,
                color=colour,
            )
    for cut in division.cuts:
        panel.axhline(N_ROWS * cut, xmax=0.74, color=TEXT, linewidth=1.2, linestyle="--")
    panel.set(
        xlim=(0, 1 / 0.74),
        ylim=(N_ROWS, 0),
        xticks=[],
        yticks=range(N_ROWS + 1),
        ylabel="rows of the last map",
    )
    for side in ("top", "right", "bottom"):
        panel.spines[side].set_visible(False)
    panel.set_title("exact parts, whole rows", fontsize=10, loc="left")


def set_option(parts: Sequence[float]) -> str:
    """What `lpw train --set` takes to divide the body so: whole numbers as they are, others with
    three digits."""
    words = [f"{part:.3f}" if isinstance(part, float) else str(part) for part in parts]
    return f"model.division=[{', '.join(words)}]"


def describe_rows(division: Division) -> str:
    """The parts in rows of the last map, exact and rounded, in one line."""
    exact = " : ".join(f"{part:.2f}" for part in division.rows)
    return f"rows {exact} of {N_ROWS}, rounded {':'.join(map(str, division.rounded))}"


def make_division_section(png: bytes, notes: tuple[str, ...], division: Division) -> Section:
    """The picture, with the numbers and what they leave out."""
    head = ("set", "joints", "centre")
    rows = tuple(
        (*names, f"{centre:.3f}") for names, centre in zip(SET_NAMES, division.centres, strict=True)
    )
    lines = (describe_rows(division), *(f"left out: {note}" for note in notes))
    alt = (
        f"joints over the mean image, their sets along the height, and the parts: "
        f"{describe_rows(division)}"
    )
    return Section("Joints, sets, cuts and rows", lines, png, alt, (head, *rows))


def list_division_facts(
    dataset: Dataset, found: BodyPoints, division: Division
) -> list[tuple[str, str]]:
    """What a division was computed from, and what came of it."""
    return [
        ("dataset", dataset.name),
        ("digest", dataset.digest),
        ("joints from", found.source),
        ("centres", CENTRES[division.centres_by]),
        ("joints", f"{division.n_joints:,} on {division.n_images:,} images"),
        ("cuts", f"{division.cuts[0]:.3f} and {division.cuts[1]:.3f} of the height"),
        ("for lpw train", f"--set '{set_option(division.rows)}'"),
    ]


def format_division_page(
    dataset: Dataset, found: BodyPoints, division: Division, png: bytes
) -> str:
    """The picture as a local page."""
    facts = list_division_facts(dataset, found, division)
    section = make_division_section(png, found.notes, division)
    return format_page("Division of the body", facts, [section])
