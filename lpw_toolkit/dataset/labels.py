"""Labels of tracklets for evaluation: person, camera and kind as integers, and when they were seen;
in memory only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.schema import KINDS
from lpw_toolkit.dataset.tables import to_numpy

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Two tracklets of a person in one camera are a test only from this gap on, in seconds: a walker
#: makes a whole stride (about 1 s) and goes more than his own height, so that neither pose nor
#: place is the same. Below it they are mostly the two ends of one passage that occlusion cut.
MIN_GAP_S = 2.0
UNKNOWN_CLOCK = -1
PERSON, DISTRACTOR, JUNK = range(len(KINDS))


@dataclass(frozen=True)
class Times:
    """When tracklets were seen.

    Attributes:
        clock: (N,) code of the clock, UNKNOWN_CLOCK where it is unknown; times of equal clocks can
            be compared.
        first_s: (N,) time of the first image, in seconds; NaN where it is unknown.
        last_s: (N,) time of the last image.
    """

    clock: Ints
    first_s: Floats
    last_s: Floats

    def take(self, rows: Ints) -> "Times":
        """The times of `rows`, in their order."""
        return Times(self.clock[rows], self.first_s[rows], self.last_s[rows])

    def are_apart(self, rows: Ints, others: "Times", columns: Ints) -> NDArray[np.bool_]:
        """Whether tracklet `rows[i]` and tracklet `columns[i]` of `others`, both of one camera, are
        MIN_GAP_S apart (n,).

        Two videos without a common clock are: one camera does not film twice at a time. What is
        unknown is not.
        """
        one, two = self.take(rows), others.take(columns)
        # 3.04 - 1.04 is a little less than 2
        long = np.round(self.gap_s(rows, others, columns), 6) >= MIN_GAP_S
        known = (one.clock != UNKNOWN_CLOCK) & (two.clock != UNKNOWN_CLOCK)
        return np.asarray(known & ((one.clock != two.clock) | long), dtype=bool)

    def gap_s(self, rows: Ints, others: "Times", columns: Ints) -> Floats:
        """Seconds (n,) from the end of the earlier of tracklet `rows[i]` and tracklet `columns[i]`
        of `others` to the start of the later; negative where they overlap, NaN where their clocks
        differ."""
        one, two = self.take(rows), others.take(columns)
        gap_s = np.maximum(one.first_s - two.last_s, two.first_s - one.last_s)
        return np.asarray(np.where(one.clock == two.clock, gap_s, np.nan))


@dataclass(frozen=True)
class Labels:
    """Person and camera of tracklets.

    Attributes:
        person: (N,) code of the person, -1 where no person is named; equal codes are equal persons.
        camera: (N,) code of the camera.
        kind: (N,) 0 person, 1 distractor, 2 junk (places in schema.KINDS).
        times: when they were seen; None where the protocol does not need it.
    """

    person: Ints
    camera: Ints
    kind: Ints
    times: Times | None = None

    def __len__(self) -> int:
        return len(self.person)

    def take(self, rows: Ints) -> "Labels":
        """The labels of `rows`, in their order."""
        times = None if self.times is None else self.times.take(rows)
        return Labels(self.person[rows], self.camera[rows], self.kind[rows], times)


def read_labels(tracklets: pa.Table) -> Labels:
    """Labels of a table of tracklets (schema.TRACKLETS), row by row."""
    kinds = [KINDS.index(kind) for kind in tracklets["kind"].to_pylist()]
    return Labels(
        _number(tracklets["person_id"]),
        _number(tracklets["camera_id"]),
        np.array(kinds, dtype=np.int64),
    )


def read_timed_labels(tracklets: pa.Table, sources: Sequence[Mapping[str, Any]]) -> Labels:
    """The labels of `read_labels`, with the times of `read_times`."""
    labels = read_labels(tracklets)
    return Labels(labels.person, labels.camera, labels.kind, read_times(tracklets, sources))


def video_starts(sources: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Start of each video on the clock of its scene, seconds; None where it is unknown.

    Args:
        sources: `sources` of dataset.json.
    """
    return {str(s["video_id"]): s.get("start_s") for s in sources if "video_id" in s}


def timed_videos(sources: Sequence[Mapping[str, Any]]) -> set[str]:
    """The videos of which it is known when they began.

    Args:
        sources: `sources` of dataset.json.
    """
    return {str(s.get("video_id")) for s in sources if s.get("start_s") is not None}


def read_times(tracklets: pa.Table, sources: Sequence[Mapping[str, Any]]) -> Times:
    """When the rows of a table of tracklets (schema.TRACKLETS) were seen.

    Args:
        sources: `sources` of dataset.json. Videos with a `start_s` share the clock of their scene;
            every other video has a clock of its own.
    """
    starts = {str(s.get("video_id")): s.get("start_s") for s in sources}
    videos = [None if v is None else str(v) for v in tracklets["video_id"].to_pylist()]
    scenes = tracklets["scene_id"].to_pylist()
    codes: dict[tuple[str, str | None], int] = {}
    clock = [
        UNKNOWN_CLOCK
        if video is None
        else codes.setdefault(
            ("video", video) if starts.get(video) is None else ("scene", scene), len(codes)
        )
        for video, scene in zip(videos, scenes, strict=True)
    ]
    start_s = np.array([float(starts.get(v or "") or 0.0) for v in videos], dtype=np.float64)
    first_s, last_s = (
        start_s + to_numpy(tracklets, name).astype(np.float64)
        for name in ("first_pts_s", "last_pts_s")
    )
    return Times(np.array(clock, dtype=np.int64), first_s, last_s)


def _number(column: pa.ChunkedArray) -> Ints:
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
