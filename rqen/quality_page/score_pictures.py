"""Region weights as pictures: frames in a row with their scores, last maps beneath."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rqen.quality_page.plotting import SOFT, TEXT, region_colour, render

_FRAME_INCH = (0.95, 1.9)  # width, height
_GAP_INCH, _LEFT_INCH, _TOP_INCH, _BOTTOM_INCH = 0.11, 0.78, 0.34, 0.36
_MORE, _LESS, _CORRUPTED = "#009E73", "#D55E00", "#CC79A7"
_MAX_TINT = 0.5
_LEAST_RATIO = 1.05  # a set of even frames is not painted as if it had good and bad ones
_N_BINS = 60

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ScoredSet:
    """T frames of one tracklet, and what a network says of them.

    Attributes:
        images: T pictures (H, W, 3), RGB; sizes may differ.
        scores: (T, R) in (0, 1).
        activation: (T, h, w), mean of the last map over its channels.
        positions: (T,) place of each frame in the tracklet.
        division: parts of the height, from above, one per region.
        regions: their names.
        corrupted: (T, R), True where a region was corrupted; None where that is unknown.
    """

    images: list[Pixels]
    scores: Floats
    activation: Floats
    positions: list[int]
    division: tuple[float, ...]
    regions: tuple[str, ...]
    corrupted: NDArray[np.bool_] | None = None

    @property
    def shares(self) -> Floats:
        """(T, R), the weight of each frame in its region: sums to 1 over the frames."""
        total = np.maximum(self.scores.sum(axis=0, keepdims=True), np.float32(1e-12))
        shares: Floats = np.divide(self.scores, total)
        return shares

    @property
    def ratios(self) -> Floats:
        """(T, R), each weight over that of an even mean: above 1 the frame counts more than
        others."""
        return self.shares * np.float32(len(self.scores))

    @property
    def best(self) -> int:
        """The frame that counts most, over all regions."""
        return int(self.ratios.mean(axis=1).argmax())

    @property
    def worst(self) -> int:
        """The frame that counts least, over all regions."""
        return int(self.ratios.mean(axis=1).argmin())

    @property
    def borders(self) -> NDArray[np.float64]:
        """(R + 1,) borders of the regions as shares of the height."""
        return np.concatenate([[0.0], np.cumsum(self.division)]) / np.sum(self.division)


def draw_set(scored: ScoredSet) -> bytes:
    """The picture of one tracklet as PNG.

    Each region of each frame is tinted by its weight against an even share, and carries its score
    and its weight mu over these frames; the largest and the smallest score of a region have a
    triangle.
    """
    width, height = _FRAME_INCH
    pitch = width + _GAP_INCH
    size = (
        max(_LEFT_INCH + len(scored.images) * pitch, 6.4),
        _TOP_INCH + 2 * height + _GAP_INCH + _BOTTOM_INCH,
    )
    limit = float(
        max(np.abs(np.log2(np.maximum(scored.ratios, 1e-6))).max(), np.log2(_LEAST_RATIO))
    )

    def draw(figure: Any) -> None:
        panel = figure.add_axes((0, 0, 1, 1))
        for i in range(len(scored.images)):
            _draw_frame(panel, scored, i, _LEFT_INCH + i * pitch, limit)
        _draw_margin(panel, scored, size[1])
        panel.set(xlim=(0, size[0]), ylim=(size[1], 0))
        panel.set_axis_off()

    return render(size, draw, dpi=106)


def _draw_frame(panel: Any, scored: ScoredSet, i: int, left: float, limit: float) -> None:
    width, height = _FRAME_INCH
    right, top, below = left + width, _TOP_INCH, _TOP_INCH + height + _GAP_INCH
    panel.imshow(
        scored.images[i],
        extent=(left, right, top + height, top),
        aspect="auto",
        interpolation="bilinear",
    )
    low, high = float(scored.activation.min()), float(scored.activation.max())
    heat = {
        "cmap": "inferno",
        "vmin": low,
        "vmax": max(high, low + 1e-9),
        "interpolation": "nearest",
    }
    panel.imshow(
        scored.activation[i], extent=(left, right, below + height, below), aspect="auto", **heat
    )
    for region, (first, last) in enumerate(pairwise(scored.borders)):
        _draw_region(
            panel, scored, (i, region), (left, top + first * height, (last - first) * height), limit
        )
    for border in scored.borders[1:-1]:
        for origin in (top, below):
            panel.plot([left, right], [origin + border * height] * 2, color="white", linewidth=0.9)
    _mark_frame(panel, scored, i, left)


def _draw_region(
    panel: Any,
    scored: ScoredSet,
    place: tuple[int, int],
    box: tuple[float, float, float],
    limit: float,
) -> None:
    (i, region), (left, top, height) = place, box
    tint = float(np.log2(max(scored.ratios[i, region], 1e-6))) / limit
    colour = _MORE if tint > 0 else _LESS
    size = _FRAME_INCH[0], height
    _add_box(
        panel,
        (left, top),
        size,
        facecolor=colour,
        alpha=_MAX_TINT * min(abs(tint), 1.0),
        linewidth=0,
    )
    column = scored.scores[:, region]
    sign = " ▲" if i == column.argmax() else " ▼" if i == column.argmin() else ""
    text = f"{scored.scores[i, region]:.2f}{sign}\nµ {scored.shares[i, region]:.3f}"
    ground = {"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 1.4}
    words = {
        "ha": "left",
        "va": "bottom",
        "fontsize": 7.5,
        "color": "white",
        "linespacing": 1.1,
        "bbox": ground,
    }
    panel.text(left + 0.06, top + height - 0.05, text, **words)
    if scored.corrupted is not None and scored.corrupted[i, region]:
        inner = size[0] - 0.06, height - 0.06
        look = {"edgecolor": _CORRUPTED, "linewidth": 2.2, "linestyle": (0, (2, 1))}
        _add_box(panel, (left + 0.03, top + 0.03), inner, fill=False, **look)


def _mark_frame(panel: Any, scored: ScoredSet, i: int, left: float) -> None:
    marked = {scored.worst: ("worst", _LESS, "--"), scored.best: ("best", _MORE, "-")}
    name, colour, dash = marked.get(i, ("", TEXT, "-"))
    panel.text(
        left, _TOP_INCH - 0.07, f"{scored.positions[i]}", fontsize=8, color=SOFT, va="bottom"
    )
    if name:
        words = {
            "fontsize": 8.5,
            "color": colour,
            "fontweight": "bold",
            "ha": "right",
            "va": "bottom",
        }
        panel.text(left + _FRAME_INCH[0], _TOP_INCH - 0.07, name, **words)
        _add_box(
            panel,
            (left, _TOP_INCH),
            _FRAME_INCH,
            fill=False,
            edgecolor=colour,
            linewidth=2.6,
            linestyle=dash,
        )


def _add_box(
    panel: Any, corner: tuple[float, float], size: tuple[float, float], **look: Any
) -> None:
    from matplotlib.patches import Rectangle

    panel.add_patch(Rectangle(corner, *size, **look))


def _draw_margin(panel: Any, scored: ScoredSet, bottom: float) -> None:
    """Names of the rows at the left, and what the tint means below."""
    height = _FRAME_INCH[1]
    words = {"ha": "right", "va": "center", "fontsize": 8.5}
    panel.text(_LEFT_INCH - 0.1, _TOP_INCH - 0.13, "frame", color=SOFT, **words)
    name_rows(panel, scored, (_LEFT_INCH, _TOP_INCH, height))
    panel.text(
        _LEFT_INCH - 0.1, _TOP_INCH + 1.5 * height + _GAP_INCH, "last map", color=SOFT, **words
    )
    parts = [*zip(describe_tint(scored), (_MORE, _LESS), strict=True)]
    parts += [("□ corrupted", _CORRUPTED)] if scored.corrupted is not None else []
    for k, (text, colour) in enumerate(parts):
        panel.text(
            _LEFT_INCH + (0.0, 1.75, 4.0)[k],
            bottom - 0.16,
            text,
            color=colour,
            fontsize=8,
            va="center",
        )


def name_rows(panel: Any, scored: ScoredSet, frame: tuple[float, float, float]) -> None:
    """Writes the names of the regions beside a frame with this left side, top and height."""
    left, top, height = frame
    for region, (first, last) in enumerate(pairwise(scored.borders)):
        words = {"ha": "right", "va": "center", "fontsize": 8.5, "color": region_colour(region)}
        panel.text(left - 0.1, top + (first + last) / 2 * height, scored.regions[region], **words)


def describe_tint(scored: ScoredSet) -> tuple[str, str]:
    """What the two colours mean, with the largest and the smallest weight that there is."""
    most, least = float(scored.ratios.max()), float(scored.ratios.min())
    return f"■ counts up to {most:.2f} times", f"■ down to {least:.2f} times an even share"


def draw_scores(scores: Floats, regions: tuple[str, ...]) -> bytes:
    """How the scores (F, R) of many frames are spread, region by region, as PNG; lines at 5, 50 and
    95 %."""
    low, high = float(scores.min()), float(scores.max())
    margin, height = max((high - low) * 0.02, 1e-4), 0.7 + 1.35 * len(regions)
    bins = np.linspace(max(0.0, low - margin), min(1.0, high + margin), _N_BINS + 1)

    def draw(figure: Any) -> None:
        place = {
            "left": 0.08,
            "right": 0.985,
            "top": 1 - 0.28 / height,
            "bottom": 0.5 / height,
            "hspace": 0.36,
        }
        panels = figure.subplots(len(regions), 1, sharex=True, squeeze=False, gridspec_kw=place)[
            :, 0
        ]
        for region, (panel, name) in enumerate(zip(panels, regions, strict=True)):
            column, colour = scores[:, region].astype(np.float64), region_colour(region)
            share = 100 * np.histogram(column, bins)[0] / len(column)
            panel.stairs(share, bins, fill=True, color=colour, alpha=0.35)
            panel.stairs(share, bins, color=colour, linewidth=1.2)
            marks = np.percentile(column, (5, 50, 95))
            for mark, dash in zip(marks, (":", "-", ":"), strict=True):
                panel.axvline(mark, color=TEXT, linewidth=1.1, linestyle=dash)
            said = ", ".join(f"{mark:.3f}" for mark in marks)
            panel.set_title(f"{name}: 5, 50, 95 % at {said}", fontsize=9, loc="left", color=TEXT)
            panel.set_ylabel("frames, %", fontsize=8, color=SOFT)
            panel.tick_params(colors=SOFT, labelsize=8)
            for side in ("top", "right"):
                panel.spines[side].set_visible(False)
        panels[-1].set_xlabel(f"score, {len(scores):,} frames", fontsize=9, color=TEXT)

    return render((7.2, height), draw)
