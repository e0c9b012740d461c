"""Frame ranges: the rows of the table of frames that belong to each tracklet."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.tables import run_bounds
from lpw_toolkit.errors import MismatchError


@dataclass(frozen=True)
class FrameRanges:
    """The rows of `dataset.frames` that each row of `dataset.tracklets` owns."""

    dataset: Dataset

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """First row and row after the last (N, 2) of each tracklet. Errors: MismatchError when the
        tables disagree."""
        frames, ids = self.dataset.frames, self.dataset.tracklets["tracklet_id"].to_pylist()
        starts, stops = run_bounds(frames["tracklet_id"])
        owners = frames["tracklet_id"].take(pa.array(starts)).to_pylist()
        rows = {owner: (int(a), int(b)) for owner, a, b in zip(owners, starts, stops, strict=True)}
        if len(rows) != len(owners) or set(rows) != set(ids) or len(set(ids)) != len(ids):
            got = "tracklets and frames that differ"
            raise MismatchError(self.dataset.root, got, "tables that agree", "run `lpw check`")
        return np.array([rows[name] for name in ids], dtype=np.int64).reshape(-1, 2)

    def frames(self, tracklet: int) -> pa.Table:
        """The images of the tracklet in row `tracklet`, in temporal order (schema.FRAMES)."""
        start, stop = self.bounds[tracklet].tolist()
        return self.dataset.frames.slice(start, stop - start)

    def n_frames(self, rows: NDArray[np.int64]) -> int:
        """Number of images of the tracklets in `rows` together."""
        return int((self.bounds[rows, 1] - self.bounds[rows, 0]).sum())
