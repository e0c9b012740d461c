"""`lpw clean --apply`: the cleaned dataset, with splits of its persons."""

import shlex
from pathlib import Path
from typing import Any

from lpw_cli.clean_options import CleanCommandOptions
from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.cleaned import REPORT, CleanOptions, write_cleaned
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import read_union
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import join_names
from lpw_toolkit.names import count_of
from lpw_toolkit.splits.config import SplitConfig


def write_clean(dataset: Dataset, options: CleanCommandOptions) -> tuple[list[str], dict[str, Any]]:
    """Writes the cleaned dataset; the result as lines and as fields."""
    union = read_union(dataset, options.state)
    out = options.apply or Path()  # given: this is --apply
    cleaning = CleanOptions(options.unreviewed, options.conflicts, options.min_cameras)
    splits = None if options.no_splits else SplitConfig(
        test_frac=options.test_frac, n_splits=options.n_splits, seed=options.seed
    )  # fmt: skip
    made = write_cleaned(dataset, apply(read_base(dataset), union), union, out, cleaning, splits)
    counts = made.dataset.manifest["counts"]
    lines = [f"note: {line}" for line in union.repairs]
    lines += [
        f"left out: {len(names):,} {reason} ({join_names(names, 3)})"
        for reason, names in made.losses.items()
    ]
    lines += (
        [f"dropped: {count_of(made.n_images_dropped, 'image')} of tracklets that stay"]
        if made.n_images_dropped
        else []
    )
    lines += (
        ["splits of the dataset are not carried over: its tracklets have changed"]
        if dataset.splits
        else []
    )
    lines += made.splits.describe() if made.splits else []
    lines += [f"no splits: {made.why_no_splits}"] if made.why_no_splits else []
    figures = ", ".join(
        count_of(counts[key], key[2:-1])
        for key in ("n_tracklets", "n_images", "n_persons", "n_cameras")
    )
    lines.append(f"written: {out} ({figures}; the losses by name in {REPORT})")
    if made.splits:
        lines.append(f"next: {shlex.join(['lpw', 'train', 'rqen', str(out)])}")
    lost = {reason: len(names) for reason, names in made.losses.items()}
    return lines, {
        "out": str(out),
        "counts": counts,
        "lost": lost,
        "n_dropped": made.n_images_dropped,
        "splits": made.splits.facts if made.splits else None,
        "why_no_splits": made.why_no_splits,
    }
