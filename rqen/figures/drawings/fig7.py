"""Figure 7: the scores of each region on frames, from blue (0) to red (1).

Drawn is the raw output of the sigmoid, before it is divided by the sum over the set: that lies in
[0, 1] frame by frame, as the paper's scale does (protocols, ambiguity 30).
"""

from typing import Any

import numpy as np

from rqen.figures.figure import Drawing, FigureRequest
from rqen.quality_page.picture_page import Section
from rqen.quality_page.plotting import SOFT, TEXT, render
from rqen.quality_page.quality_page import list_facts
from rqen.quality_page.score_pictures import ScoredSet, name_rows

TITLE = "Figure 7: scores of regions, from blue (0) to red (1)"
NEEDS_RUN = True
_N_TRACKLETS, _N_FRAMES = 4, 8
_FRAME_INCH, _BAR_INCH = (0.95, 1.9), 0.13
_GAP_INCH, _LEFT_INCH, _TOP_INCH, _BOTTOM_INCH = 0.12, 0.85, 0.32, 0.4
_COLOURS, _TINT = "coolwarm", 0.45


def draw_figure(request: FigureRequest) -> Drawing:
    """See the module."""
    scored = request.score(_N_TRACKLETS, _N_FRAMES)
    sections = {}
    for number, tracklet in enumerate(scored.tracklets(), start=1):
        shown = tracklet.shown
        low, high = float(shown.scores.min()), float(shown.scores.max())
        lines = (tracklet.caption, f"scores of the frames shown: {low:.3f} to {high:.3f}")
        alt = "frames in a row, each region tinted from blue to red by its score"
        picture, numbers = draw_absolute(shown), tracklet.list_numbers()
        name = tracklet.said["tracklet_id"]
        sections[f"tracklet-{number:03d}"] = Section(name, lines, picture, alt, numbers)
    low, middle, high = np.percentile(scored.scores, (5, 50, 95)).tolist()
    spread = f"5, 50, 95 % at {low:.3f}, {middle:.3f}, {high:.3f}"
    return Drawing((*list_facts(scored), ("all scores", spread)), sections)


def draw_absolute(shown: ScoredSet) -> bytes:
    """The picture of one tracklet as PNG: each region of each frame tinted by its score between 0
    and 1, the pure colour beside it, and the scale below."""
    width, height = _FRAME_INCH
    pitch = width + _BAR_INCH + _GAP_INCH
    size = (
        max(_LEFT_INCH + len(shown.images) * pitch, 5.0),
        _TOP_INCH + height + _BOTTOM_INCH,
    )

    def draw(figure: Any) -> None:
        panel = figure.add_axes((0, 0, 1, 1))
        for i, image in enumerate(shown.images):
            left = _LEFT_INCH + i * pitch
            extent = (left, left + width, _TOP_INCH + height, _TOP_INCH)
            panel.imshow(image, extent=extent, aspect="auto", interpolation="bilinear")
            for region in range(len(shown.regions)):
                _draw_region(panel, shown, (i, region), left)
            position = f"{shown.positions[i]}"
            panel.text(left, _TOP_INCH - 0.07, position, fontsize=8, color=SOFT, va="bottom")
        _draw_margin(panel, shown, size)
        panel.set(xlim=(0, size[0]), ylim=(size[1], 0))
        panel.set_axis_off()

    return render(size, draw, dpi=106)


def _draw_region(panel: Any, shown: ScoredSet, place: tuple[int, int], left: float) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    (i, region), (width, height) = place, _FRAME_INCH
    first, last = shown.borders[region : region + 2].tolist()
    top, tall = _TOP_INCH + first * height, (last - first) * height
    score = float(shown.scores[i, region])
    colour = colormaps[_COLOURS](score)
    panel.add_patch(Rectangle((left, top), width, tall, facecolor=colour, alpha=_TINT, linewidth=0))
    bar = Rectangle((left + width, top), _BAR_INCH, tall, facecolor=colour, edgecolor="white")
    panel.add_patch(bar)
    panel.plot([left, left + width], [top + tall] * 2, color="white", linewidth=0.8)
    ground = {"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 1.2}
    words = {"fontsize": 7.5, "color": "white", "va": "bottom", "bbox": ground}
    panel.text(left + 0.06, top + tall - 0.06, f"{score:.2f}", **words)


def _draw_margin(panel: Any, shown: ScoredSet, size: tuple[float, float]) -> None:
    """Names of the rows at the left, and the scale below."""
    name_rows(panel, shown, (_LEFT_INCH, _TOP_INCH, _FRAME_INCH[1]))
    bottom = size[1] - 0.22
    extent = (_LEFT_INCH, _LEFT_INCH + 2.0, bottom, bottom - 0.12)
    panel.imshow(np.linspace(0, 1, 256)[None], extent=extent, aspect="auto", cmap=_COLOURS)
    low = {"fontsize": 8, "color": TEXT, "va": "center"}
    panel.text(_LEFT_INCH - 0.08, bottom - 0.06, "0", ha="right", **low)
    panel.text(_LEFT_INCH + 2.08, bottom - 0.06, "1   score of a region", **low)
