"""What cleaning reads from the tables: frames, camera, scene and person of every tracklet."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.tables import run_starts, to_integers, to_numpy
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.files.listing import natural_key


@dataclass(frozen=True)
class Tracklet:
    """One row of the table of tracklets.

    Attributes:
        row: its number in the table.
        start: row of its first image in the table of frames.
        others: as in schema.TRACKLETS.
    """

    tracklet_id: str
    row: int
    start: int
    n_frames: int
    scene_id: str | None
    camera_id: str
    video_id: str | None
    person_id: str | None
    kind: str


class Base:
    """The tables of a dataset before any decision.

    Args:
        tracklets, frames: schema.TRACKLETS, schema.FRAMES; of the frames only `tracklet_id` and
            `frame_index` are read.
        digest: of the dataset.

    Errors: MismatchError when the tables do not fit each other.
    """

    def __init__(self, tracklets: pa.Table, frames: pa.Table, digest: str) -> None:
        self.digest = digest
        self._frames = frames
        starts = run_starts(frames["tracklet_id"])
        owners = frames["tracklet_id"].take(pa.array(starts)).to_pylist()
        lengths = np.diff(np.append(starts, frames.num_rows)).tolist()
        if (
            owners != tracklets["tracklet_id"].to_pylist()
            or lengths != to_integers(tracklets, "n_frames").tolist()
        ):
            raise MismatchError(
                "frames.parquet", "other tracklets", "those of tracklets.parquet", "run `lpw check`"
            )
        names = ("scene_id", "camera_id", "video_id", "person_id", "kind")
        rows = zip(
            owners,
            starts.tolist(),
            lengths,
            *(tracklets[name].to_pylist() for name in names),
            strict=True,
        )
        self.tracklets = {row[0]: Tracklet(row[0], i, *row[1:]) for i, row in enumerate(rows)}
        self.n_frames: Mapping[str, int] = {name: t.n_frames for name, t in self.tracklets.items()}

    @cached_property
    def _numbers(self) -> NDArray[np.float64]:
        return to_numpy(self._frames, "frame_index").astype(np.float64)  # null: NaN

    def frame_numbers(self, tracklet: str) -> NDArray[np.float64] | None:
        """Frame numbers (n_frames,) in the video of the images of `tracklet`; None where any is
        unknown."""
        known = self.tracklets[tracklet]
        numbers = self._numbers[known.start : known.start + known.n_frames]
        return None if np.isnan(numbers).any() else numbers

    @cached_property
    def places(self) -> dict[str, int]:
        """Place from 1 of every tracklet among those of its scene, in natural order of their
        ids."""
        counts: dict[str | None, int] = {}
        places = {}
        for name in sorted(self.tracklets, key=natural_key):
            scene = self.tracklets[name].scene_id
            counts[scene] = places[name] = counts.get(scene, 0) + 1
        return places

    @cached_property
    def n_in_scene(self) -> dict[str | None, int]:
        """Number of tracklets of every scene."""
        return dict(Counter(tracklet.scene_id for tracklet in self.tracklets.values()))

    @cached_property
    def longest(self) -> int:
        """Frames of the longest tracklet; 0 where there is none."""
        return max(self.n_frames.values(), default=0)


def read_base(dataset: Dataset) -> Base:
    """The tables of `dataset`. Errors: MismatchError when they are damaged, do not fit, or have no
    digest."""
    digest = dataset.manifest.get("digest")
    if not isinstance(digest, str):
        raise MismatchError(
            dataset.root / "dataset.json", "no digest", "the digest of the rows", "run `lpw check`"
        )
    return Base(dataset.tracklets, dataset.frames, digest)
