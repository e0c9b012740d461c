"""The boxes of a dataset by video, as tracking tools expect them: one sequence of rows per
video."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.schema import TIMELINE
from lpw_toolkit.dataset.tables import boxes_of, to_numpy
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.names import safe_file_name


@dataclass(frozen=True)
class Sequence:
    """The boxes of one video, sorted by (frame, tracklet).

    Attributes:
        video_id: as the tables have it.
        name: a file name for it, unique in the export.
        frame_index: (N,) 0-based.
        tracklet: (N,) row of the box's tracklet in the table of tracklets.
        boxes: (N, 4) `x1 y1 x2 y2`, source pixels, half-open.
        score: (N,) in [0, 1]; 1 where the dataset has none.
        timeline: the frames of the video (schema.TIMELINE), None where the dataset does not know
            them.
    """

    video_id: str
    name: str
    frame_index: NDArray[np.int32]
    tracklet: NDArray[np.int64]
    boxes: NDArray[np.float64]
    score: NDArray[np.float64]
    timeline: pa.Table | None

    @cached_property
    def n_frames(self) -> int:
        """Number of frames of the video, as far as it is known: at least up to the last box."""
        last = -1 if self.timeline is None else int(pc.max(self.timeline["frame_index"]).as_py())
        return max(last, int(self.frame_index.max())) + 1


def iter_sequences(dataset: Dataset) -> Iterator[Sequence]:
    """The boxes of each video that has tracklets, videos in order of their ids.

    Errors: LpwError naming the first tracklet without boxes (imported benchmarks have none).
    """
    frames, tracklets = dataset.frames, dataset.tracklets
    row_of = pc.index_in(frames["tracklet_id"], value_set=tracklets["tracklet_id"].combine_chunks())
    if row_of.null_count:
        raise MismatchError(
            dataset.root, "frames of an unknown tracklet", "tables that agree", "run `lpw check`"
        )
    owner = row_of.to_numpy().astype(np.int64)
    _refuse_missing(frames, dataset)
    videos = np.array(
        [
            v or c
            for v, c in zip(
                *(tracklets["video_id"].to_pylist(), tracklets["camera_id"].to_pylist()),
                strict=True,
            )
        ],
        dtype=object,
    )
    found = (dataset.read_table(name, TIMELINE) for name in dataset.list_tables(TIMELINE))
    timelines = {str(table["video_id"][0]): table for table in found if table.num_rows}
    names = name_files([str(v) for v in sorted(set(videos))])
    index, boxes = to_numpy(frames, "frame_index").astype(np.int32), boxes_of(frames)
    score = np.nan_to_num(to_numpy(frames, "score").astype(np.float64), nan=1.0)
    for video, name in names.items():
        rows = np.flatnonzero(videos[owner] == video)
        rows = rows[np.lexsort((owner[rows], index[rows]))]
        if len(rows):
            yield Sequence(
                video,
                name,
                index[rows],
                owner[rows],
                boxes[rows],
                score[rows],
                timelines.get(video),
            )


def safe_name(text: str) -> str:
    """`text` as one file name: letters, digits, `-` and `_` stay, everything else becomes `-`."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text)[:100]
    return name.strip("-") or "unnamed"


def name_files(texts: list[str]) -> dict[str, str]:
    """A file name for each text, unique in any letter case; a clash gets a number."""
    copied: set[str] = set()
    return {text: safe_file_name(safe_name(text), copied) for text in texts}


def _refuse_missing(frames: pa.Table, dataset: Dataset) -> None:
    for column in ("frame_index", "x1", "y1", "x2", "y2"):
        if frames[column].null_count:
            row = int(pc.index(pc.is_null(frames[column]), True).as_py())
            thing = f"{dataset.root / 'frames.parquet'}, tracklet {frames['tracklet_id'][row]}"
            raise LpwError(
                thing,
                f"no {column}",
                "boxes in source frames",
                "export the image tree instead (--to tree)",
            )
