"""Figure 6: CMC curves of the ablations above the table that they belong to, as a page."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.evaluation.cmc_plot import render_cmc
from rqen.figures.figure import MARKER
from rqen.quality_page.picture_page import Section, publish_page
from rqen.reproduce.forms import Report

_ALT = "one curve a method: the share of queries with a right answer at each rank"


def write_curves_page(
    report: Report, curves: Mapping[str, NDArray[np.float64]], out: Path
) -> list[Path]:
    """Publishes the folder `out`: index.html and curves.png. Returns the files, the page first.

    Args:
        report: of the figure's rows.
        curves: by label, see `draw_cmc`; of one or more rows.

    Errors: LpwError for an `out` that holds other things, or no matplotlib.
    """
    sections = {
        "curves": Section("CMC curves", (), render_cmc(dict(curves)), _ALT),
        "notes": Section("What the paper says of it, and ours", tuple(report.notes)),
    }
    for number, grid in enumerate(report.grids, start=1):
        rows = tuple(tuple(row) for row in grid.rows)
        sections[f"table-{number}"] = Section(grid.caption or "Results", table=rows)
    facts = [("made from", line) for line in report.head]
    return publish_page(out, MARKER, report.title, facts, sections)
