"""The videos of a dataset that others are added to: their tracklets, images and ids stay."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.manifest import INNER_TABLES
from lpw_toolkit.dataset.new_version import CopiedImages, copy_images, inherit_tables
from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS
from lpw_toolkit.dataset.tables import write_table
from lpw_toolkit.files.writing import make_folder

_NUMBERED = re.compile(r"(.+)/([0-9]{6,9})", re.DOTALL)
_ORDER = [("tracklet_id", "ascending")]


@dataclass(frozen=True)
class KeptVideos:
    """What a new version takes over from `base`.

    Attributes:
        base: the dataset that videos are added to.
        addition: what `dataset.json` says of the addition.
    """

    base: Dataset
    addition: dict[str, Any]

    @cached_property
    def last_numbers(self) -> Counter[str]:
        """By camera, the highest number that a tracklet has or had: those that were filtered out
        since are counted too, so that no id comes back with another meaning."""
        numbers: Counter[str] = Counter()
        for entry in self.base.manifest["sources"]:
            n_tracklets = entry.get("n_tracklets")
            numbers[str(entry.get("camera_id"))] += n_tracklets if type(n_tracklets) is int else 0
        for name in self.base.tracklets["tracklet_id"].to_pylist():
            if found := _NUMBERED.fullmatch(name):
                numbers[found[1]] = max(numbers[found[1]], int(found[2]))
        return numbers

    def take_over(
        self, tracklets: pa.Table, frames: pa.Table, out: Path
    ) -> tuple[pa.Table, pa.Table]:
        """Copies images, detections and timelines of `base` to `out`; its rows beside those of the
        new videos, in the order of a dataset.

        Errors: CorruptCropError, MismatchError for what is damaged there.
        """
        old = self.base.frames
        copy_images([CopiedImages(self.base, np.arange(old.num_rows))], out, "keep")
        for name, table in inherit_tables(self.base):
            make_folder((out / name).parent)
            write_table(out / name, table, INNER_TABLES[name.partition("/")[0]])
        tracklets = pa.concat_tables([self.base.tracklets.cast(TRACKLETS), tracklets])
        frames = pa.concat_tables([old.cast(FRAMES), frames])
        return (
            tracklets.sort_by(_ORDER).combine_chunks(),
            frames.sort_by([*_ORDER, ("position", "ascending")]).combine_chunks(),
        )

    def add_facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The facts of a build of the new videos alone, with those of the kept ones."""
        manifest, new = self.base.manifest, {entry["video_id"] for entry in facts["sources"]}
        kept = [entry for entry in manifest["sources"] if entry["video_id"] not in new]
        own = {stage: manifest["settings"][stage] for stage in ("detect", "link", "crop")}
        return {
            **facts,
            "settings": {**manifest["settings"], **own, "add": self.addition},
            "sources": [*kept, *facts["sources"]],
        }
