"""Figure 1: frames of a tracklet, the maps of the first convolution, and what a mean and RQEN make
of them.

    frames (T, H, W, 3) -> first convolution -> mean of |.| over its channels (T, h, w)
    mean:  sum of the maps / T
    RQEN:  each row of a map weighed by mu of its region

The paper does not say how it makes one picture of the channels; here it is the mean of their
absolute values, before any normalisation.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lpw_toolkit.dataset.image_codec import resize
from rqen.figures.figure import Drawing, FigureRequest
from rqen.quality_page.picture_page import Section
from rqen.quality_page.plotting import SOFT, TEXT, render
from rqen.quality_page.quality_page import list_facts
from rqen.quality_page.score_pictures import ScoredSet, name_rows

TITLE = "Figure 1: first maps of a tracklet, as a mean and as RQEN weighs them"
NEEDS_RUN = True
_N_TRACKLETS, _N_FRAMES = 2, 6
_FRAME_INCH = (0.95, 1.9)  # width, height
_GAP_INCH, _LEFT_INCH, _TOP_INCH, _BOTTOM_INCH, _MIDDLE_INCH = 0.1, 0.85, 0.32, 0.1, 0.35
_LOW, _HIGH = 1, 99  # percentiles of the maps between which the colours run

Floats = NDArray[np.float32]


class Aggregates(NamedTuple):
    """Maps (h, w) of one set: the plain mean, and weighed by the scores of its regions."""

    mean: Floats
    weighed: Floats

    @property
    def difference(self) -> float:
        """How far the two differ on average, as a share of the mean."""
        return float(
            np.abs(self.weighed - self.mean).mean() / max(float(np.abs(self.mean).mean()), 1e-12)
        )


def draw_figure(request: FigureRequest) -> Drawing:
    """See the module."""
    scored = request.score(_N_TRACKLETS, _N_FRAMES)
    sections = {}
    for number, tracklet in enumerate(scored.tracklets(), start=1):
        shown = tracklet.shown
        maps = find_first_maps(scored.view.network.backbone, scored.view.prepare(shown.images))
        joined = aggregate_maps(maps, shown)
        line = f"the two differ by {100 * joined.difference:.2f} % of the mean on average"
        alt = "frames, their first maps, and the aggregates: mean, RQEN, and RQEN less the mean"
        picture = draw_maps(shown, maps, joined)
        numbers, name = tracklet.list_numbers(), tracklet.said["tracklet_id"]
        lines = (tracklet.caption, line)
        sections[f"tracklet-{number:03d}"] = Section(name, lines, picture, alt, numbers)
    facts = [*list_facts(scored), ("maps", "first convolution: mean of |.| over its channels")]
    return Drawing(tuple(facts), sections)


@torch.no_grad()
def find_first_maps(backbone: nn.Module, pixels: Tensor) -> Floats:
    """The mean (T, h, w), over the channels, of the absolute output of the first convolution.

    Args:
        pixels: (T, 3, H, W), normalised.
    """
    layer = next(module for module in backbone.modules() if isinstance(module, nn.Conv2d))
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, given, maps: seen.append(maps.float()))
    try:
        backbone(pixels)
    finally:
        hook.remove()
    found: Floats = seen[0].abs().mean(dim=1).numpy()
    return found


def aggregate_maps(maps: Floats, shown: ScoredSet) -> Aggregates:
    """The maps (T, h, w) of a set as one: their mean, and weighed by mu of the region of each row.

    >>> images = [np.zeros((4, 2, 3), np.uint8)] * 2
    >>> scores = np.array([[0.9, 0.5], [0.3, 0.5]], np.float32)
    >>> maps = np.stack([np.zeros((2, 1)), np.ones((2, 1))]).astype(np.float32)
    >>> shown = ScoredSet(images, scores, maps, [0, 1], (1.0, 1.0), ("upper", "lower"))
    >>> aggregate_maps(maps, shown).weighed.ravel().tolist()
    [0.25, 0.5]
    """
    shares = shown.shares[:, _find_regions(shown, maps.shape[1])]
    weighed = np.einsum("ty,tyx->yx", shares, maps)
    return Aggregates(maps.mean(axis=0), weighed.astype(np.float32))


def draw_maps(shown: ScoredSet, maps: Floats, joined: Aggregates) -> bytes:
    """The picture as PNG: frames above their maps, and the two aggregates with their difference at
    the right."""
    width, height = _FRAME_INCH
    pitch = width + _GAP_INCH
    right = _LEFT_INCH + len(shown.images) * pitch + _MIDDLE_INCH
    size = right + 3 * pitch + 0.1, _TOP_INCH + 2 * height + _GAP_INCH + _BOTTOM_INCH
    low, high = np.percentile(maps, (_LOW, _HIGH)).tolist()
    heat = {"cmap": "inferno", "vmin": low, "vmax": max(high, low + 1e-9)}

    def draw(figure: Any) -> None:
        panel = figure.add_axes((0, 0, 1, 1))
        for i, image in enumerate(shown.images):
            left = _LEFT_INCH + i * pitch
            _paste(panel, image, left, 0, interpolation="bilinear")
            _paste(panel, maps[i], left, 1, **heat)
            _say_weights(panel, shown, i, left)
            _caption(panel, left, _name_frame(shown, i))
        even = np.full_like(shown.shares, 1 / len(shown.shares))
        blends = ("mean", even, joined.mean), ("RQEN", shown.shares, joined.weighed)
        for k, (words, shares, joint) in enumerate(blends):
            left = right + k * pitch
            _paste(panel, blend_images(shown, shares), left, 0, interpolation="bilinear")
            _paste(panel, joint, left, 1, **heat)
            _caption(panel, left, words)
        _draw_difference(panel, joined, right + 2 * pitch)
        name_rows(panel, shown, (_LEFT_INCH, _TOP_INCH, height))
        place = _LEFT_INCH - 0.1, _TOP_INCH + 1.5 * height + _GAP_INCH
        panel.text(*place, "first maps", ha="right", va="center", fontsize=8.5, color=SOFT)
        panel.set(xlim=(0, size[0]), ylim=(size[1], 0))
        panel.set_axis_off()

    return render(size, draw, dpi=106)


def blend_images(shown: ScoredSet, shares: Floats) -> NDArray[np.uint8]:
    """The frames as one picture, at the size of the first: each region weighed by its `shares`
    (T, R)."""
    height, width = shown.images[0].shape[:2]
    frames = np.stack([resize(image, (height, width)) for image in shown.images])
    weights = shares[:, _find_regions(shown, height)]
    return np.rint(np.einsum("ty,tyxc->yxc", weights, frames)).clip(0, 255).astype(np.uint8)


def _find_regions(shown: ScoredSet, n_rows: int) -> NDArray[np.int64]:
    """(n_rows,), the region of each row of a picture or a map."""
    rows = (np.arange(n_rows) + 0.5) / n_rows
    return np.searchsorted(shown.borders[1:-1], rows, side="right")


def _draw_difference(panel: Any, joined: Aggregates, left: float) -> None:
    difference = joined.weighed - joined.mean
    most = max(float(np.abs(difference).max()), 1e-9)
    _paste(panel, difference, left, 1, cmap="RdBu_r", vmin=-most, vmax=most)
    words = f"RQEN less\nthe mean:\nred more,\nblue less,\nup to {most:.2g}"
    panel.text(left, _TOP_INCH + _FRAME_INCH[1], words, fontsize=8, color=TEXT, va="bottom")


def _caption(panel: Any, left: float, text: str) -> None:
    panel.text(left, _TOP_INCH - 0.07, text, fontsize=8, color=SOFT, va="bottom")


def _paste(panel: Any, picture: Any, left: float, row: int, **look: Any) -> None:
    """A picture or a map in the upper (0) or the lower row (1)."""
    width, height = _FRAME_INCH
    top = _TOP_INCH + row * (height + _GAP_INCH)
    extent = (left, left + width, top + height, top)
    panel.imshow(picture, extent=extent, aspect="auto", **{"interpolation": "nearest", **look})


def _name_frame(shown: ScoredSet, i: int) -> str:
    named = {shown.worst: ", least", shown.best: ", most"}
    return f"{shown.positions[i]}{named.get(i, '')}"


def _say_weights(panel: Any, shown: ScoredSet, i: int, left: float) -> None:
    """mu of each region, on the frame."""
    ground = {"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 1.2}
    for region, below in enumerate(shown.borders[1:]):
        place = left + 0.06, _TOP_INCH + below * _FRAME_INCH[1] - 0.06
        text = f"µ {shown.shares[i, region]:.3f}"
        panel.text(*place, text, fontsize=7.5, color="white", va="bottom", bbox=ground)
