"""CMC curves as a picture: PNG or SVG, the same bytes for the same numbers on one version of
matplotlib."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files import writing
from lpw_toolkit.names import show_name
from lpw_toolkit.pages.plotting import require_matplotlib

# Okabe and Ito's colours, told apart with any kind of colour vision; the dashes tell them apart
# without colour.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", "-.", ":")
MAX_CURVES = len(_COLOURS) * len(_DASHES)
_SUFFIXES = (".png", ".svg")
_MARKED_RANKS = (1, 5, 10, 20, 50)
_SIZE_INCH, _DPI = (6.4, 4.4), 150
_TEXT = "#202426"
_MAX_TITLE, _MAX_LABEL = 64, 44


def draw_cmc(
    curves: dict[str, NDArray[np.float64]], out: Path, *, title: str | None = None
) -> None:
    """Draws curves over rank and publishes the picture at `out`; its suffix says whether as PNG or
    SVG.

    Args:
        curves: label -> (K,) share of queries, fractions in [0, 1], with a right answer at ranks 1
            to K. The legend says the first value of each.

    Errors: LpwError for another suffix, for no curve or more than MAX_CURVES, for values that are
    no CMC, and without matplotlib (extra `plot`).
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise LpwError(
            out, f"the suffix {out.suffix!r}", " or ".join(_SUFFIXES), "name the picture so"
        )
    writing.atomic_write(out, render_cmc(curves, out.suffix.lower()[1:], title=title))


def render_cmc(
    curves: dict[str, NDArray[np.float64]], kind: str = "png", *, title: str | None = None
) -> bytes:
    """The same picture as bytes: `png` or `svg`. Errors: as `draw_cmc`."""
    if not 1 <= len(curves) <= MAX_CURVES:
        raise LpwError(
            "curves", f"{len(curves)}", f"1 to {MAX_CURVES}", "draw fewer in one picture"
        )
    for label, values in curves.items():
        _check_curve(label, values)
    require_matplotlib()
    import matplotlib

    # Text as outlines: the picture looks the same where the fonts are not. The salt names parts of
    # an SVG.
    looks = {
        "svg.fonttype": "path",
        "svg.hashsalt": "lpw",
        "font.family": "DejaVu Sans",
        "text.parse_math": False,
    }
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **looks}):
        return _draw(curves, kind, title)


def _check_curve(label: str, values: NDArray[np.float64]) -> None:
    array = np.asarray(values, dtype=np.float64)
    do = "pass the shares of queries that have a right answer up to each rank"
    if array.ndim != 1 or not len(array):
        raise LpwError(f"curve {label}", f"shape {array.shape}", "one value for each rank", do)
    if (
        not np.isfinite(array).all()
        or array.min() < 0
        or array.max() > 1
        or (np.diff(array) < 0).any()
    ):
        raise LpwError(
            f"curve {label}", "values that are no CMC", "fractions in [0, 1] that never fall", do
        )


def _draw(curves: dict[str, NDArray[np.float64]], kind: str, title: str | None) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCH, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for i, (label, values) in enumerate(curves.items()):
        _draw_curve(axes, i, label, np.asarray(values, dtype=np.float64))
    _draw_axes(axes, curves, title)
    file = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    figure.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()


def _draw_curve(axes: Any, i: int, label: str, values: NDArray[np.float64]) -> None:
    colour, dash = _COLOURS[i % len(_COLOURS)], _DASHES[i % len(_DASHES)]
    ranks = np.arange(1, len(values) + 1)
    named = f"{_cut(label, _MAX_LABEL)} ({100 * values[0]:.1f})"
    # A leading underscore would keep a label out of the legend.
    axes.plot(ranks, 100 * values, dash, color=colour, linewidth=1.8, label="\u200b" + named)
    marked = np.isin(ranks, _MARKED_RANKS)
    axes.plot(ranks[marked], 100 * values[marked], "o", color=colour, markersize=4.5)


def _draw_axes(axes: Any, curves: dict[str, NDArray[np.float64]], title: str | None) -> None:
    n_ranks = max(len(values) for values in curves.values())
    lowest = 100 * min(float(np.min(values)) for values in curves.values())
    axes.set_ylim(max(0.0, 10 * np.floor((lowest - 2) / 10)), 101)
    axes.set_xlim(0.5, max(n_ranks, 2) + 0.5)
    near = [rank for rank in _MARKED_RANKS if rank <= n_ranks]
    axes.set_xticks(
        near
        if n_ranks <= 60
        else sorted({1, *range(n_ranks // 5, n_ranks + 1, max(1, n_ranks // 5))})
    )
    axes.set_xlabel("rank", color=_TEXT)
    axes.set_ylabel("queries with a right answer, %", color=_TEXT)
    if title:
        axes.set_title(_cut(title, _MAX_TITLE), color=_TEXT, fontsize=11, loc="left")
    axes.grid(color="#dfe2e2", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_TEXT)
    axes.legend(
        loc="best", frameon=True, framealpha=0.92, edgecolor="none", fontsize=9, title="rank 1, %"
    )


def _cut(text: str, n_most: int) -> str:
    """`text` on one line, at most `n_most` characters."""
    line = show_name(" ".join(text.split()))
    return line if len(line) <= n_most else line[: n_most - 1] + "…"
