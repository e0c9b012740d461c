"""Figures by matplotlib: the same bytes for the same numbers on one version of it."""

import io
from collections.abc import Callable
from typing import Any

from lpw_toolkit.pages.plotting import require_matplotlib

#: Upper, middle, lower and further regions: Okabe and Ito's colours, told apart with any kind of
#: colour vision.
REGION_COLOURS = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9")
TEXT, SOFT, EDGE = "#202426", "#5a6266", "#dfe2e2"
_LOOKS = {
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "axes.edgecolor": SOFT,
    "text.color": TEXT,
}


def render(size_inch: tuple[float, float], draw: Callable[[Any], None], *, dpi: int = 120) -> bytes:
    """What `draw` makes of an empty matplotlib.figure.Figure, as PNG. Errors: LpwError without
    matplotlib."""
    require_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_LOOKS}):
        # No layout engine: its solver orders by addresses in memory, which moves the last bit from
        # run to run.
        figure = Figure(figsize=size_inch, dpi=dpi)
        draw(figure)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def region_colour(region: int) -> str:
    """The colour of region number `region`."""
    return REGION_COLOURS[region % len(REGION_COLOURS)]
