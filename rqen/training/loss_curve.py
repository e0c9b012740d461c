"""Plots the log of a run."""

import io
from pathlib import Path
from typing import Any

from lpw_toolkit.files.home import settle_library
from lpw_toolkit.files.writing import atomic_write

_OTHER = ("iteration", "lr", "images_per_s", "wait")
_VALIDATION = {"val_map": "mAP", "val_rank1": "rank-1"}


def draw_log(rows: list[dict[str, Any]], out: Path) -> None:
    """Losses over iterations, figures of a validation set where there are any, and the rate below,
    as PNG.

    Errors: OSError.
    """
    settle_library("MPLCONFIGDIR", "matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    ranked = [row for row in rows if "val_map" in row]
    losses, *middle, rate = figure.subplots(
        2 + bool(ranked), 1, sharex=True, height_ratios=[4, *([2] * bool(ranked)), 1]
    )
    steps = [row["iteration"] for row in rows]
    for name in [
        name for name in (rows[-1] if rows else {}) if name not in (*_OTHER, *_VALIDATION)
    ]:
        losses.plot(steps, [row.get(name) for row in rows], label=name, linewidth=1.2)
    losses.set_ylabel("loss")
    losses.grid(alpha=0.3)
    if rows:
        losses.legend(frameon=False)
    for panel in middle:
        for name, title in _VALIDATION.items():
            values = [100 * row[name] for row in ranked]
            panel.plot(
                [row["iteration"] for row in ranked], values, label=title, marker=".", linewidth=1.2
            )
        panel.set_ylabel("held out, %")
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
    rate.plot(steps, [row["lr"] for row in rows], color="0.3")
    rate.set_ylabel("learning rate")
    rate.set_xlabel("iteration")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120, metadata={"Software": None})
    atomic_write(out, picture.getvalue())
