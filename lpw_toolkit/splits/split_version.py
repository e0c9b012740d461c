"""Writes a new version of a dataset with splits of its persons (`lpw split`)."""

from pathlib import Path

import numpy as np

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.new_version import (
    CopiedImages,
    NewVersion,
    inherit_facts,
    inherit_tables,
    write_version,
)
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.draw import DrawnSplits, draw_splits


def write_split(dataset: Dataset, out: Path, config: SplitConfig) -> tuple[Dataset, DrawnSplits]:
    """Writes the dataset `out`: all of `dataset`, with splits that are drawn; splits that it has
    are replaced.

    Errors: LpwError where nothing can be tested, or for an `out` that is in use; CorruptCropError
    for an image that is not the index's. Then nothing is left behind.
    """
    drawn = draw_splits(
        dataset.tracklets, dataset.manifest.get("sources", []), config, dataset.name
    )
    version = NewVersion(
        dataset.tracklets,
        dataset.frames,
        [CopiedImages(dataset, np.arange(dataset.frames.num_rows))],
        facts=inherit_facts(dataset, out, {}) | {"splits": drawn.facts},
        splits=drawn.table,
        inner=inherit_tables(dataset),
    )
    return write_version(out, version, stage="split"), drawn
