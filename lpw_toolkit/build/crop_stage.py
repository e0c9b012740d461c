"""Stage 2 of a build: cuts the crops of linked boxes, in segments that survive a kill.

A second decoding pass cuts the crops of the tracklets that linking kept; resizing, encoding,
hashing and writing run in threads beside it (OpenCV, hashlib and the system release the interpreter
lock).
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.boxes import Boxes
from lpw_toolkit.build import crops
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.dataset import image_codec
from lpw_toolkit.dataset.schema import FRAMES
from lpw_toolkit.dataset.tables import boxes_of, read_table, run_bounds, to_numpy, write_table
from lpw_toolkit.detection.detect_stage import VideoDetections
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.prefetch import BoundedPool
from lpw_toolkit.files.writing import make_folder, sync_all, write_file
from lpw_toolkit.progress import show_progress
from lpw_toolkit.video.sources import Source
from lpw_toolkit.video.video import Frame, VideoReader

_MAX_WAITING = 64


@dataclass(frozen=True)
class CropPlan:
    """The crops of one video, one row each, sorted by (track, frame).

    Attributes:
        track: number of the tracklet (N,), dense from 0 in order of first frame.
        position: place in its tracklet (N,), dense from 0.
        frame_index, pts_s, score: of the detection (N,).
        boxes: refined boxes (N, 4).
        left_out: how many linked boxes were left out, by reason.
    """

    track: NDArray[np.int64]
    position: NDArray[np.int64]
    frame_index: NDArray[np.int64]
    pts_s: NDArray[np.float64]
    score: NDArray[np.float32]
    boxes: Boxes
    left_out: dict[str, int]

    @property
    def n_tracklets(self) -> int:
        """Number of tracklets."""
        return int(self.track.max()) + 1 if len(self.track) else 0


def plan_crops(
    found: VideoDetections, tracks: NDArray[np.int32], config: CropConfig, min_length: int
) -> CropPlan:
    """Refines the boxes of every track of one video.

    Tracks that lose so many boxes to implausible shapes that fewer than `min_length` are left are
    dropped.

    Args:
        tracks: (N,) track number of every detection, -1 = none.
    """
    order = np.argsort(tracks, kind="stable")
    order = order[tracks[order] >= 0]
    frame_index = to_numpy(found.detections, "frame_index").astype(np.int64)
    raw = boxes_of(found.detections)
    frames_px = _frame_sizes(found.timeline)
    borders = np.flatnonzero(np.diff(tracks[order], prepend=-1, append=-1))
    kept: list[NDArray[np.intp]] = []
    refined: list[Boxes] = []
    left_out: Counter[str] = Counter()
    for start, stop in pairwise(borders):
        rows = order[start:stop]
        boxes, odd = crops.refine(
            raw[rows], frame_index[rows], frames_px(int(frame_index[rows[0]])), config
        )
        plausible = np.ones(len(rows), dtype=bool)
        for reason, mask in odd.items():
            left_out[reason] += int((mask & plausible).sum())
            plausible &= ~mask
        if plausible.sum() >= min_length:
            kept.append(rows[plausible])
            refined.append(boxes[plausible])
        else:
            left_out["too few left in its track (--min-length)"] += int(plausible.sum())
    return _assemble(found, kept, refined, frame_index, left_out)


def _frame_sizes(timeline: pa.Table) -> Any:
    index = timeline["frame_index"].to_numpy()
    width, height = timeline["width"].to_numpy(), timeline["height"].to_numpy()

    def size_at(frame: int) -> tuple[int, int]:
        place = int(np.searchsorted(index, frame))
        return int(width[place]), int(height[place])

    return size_at


def _assemble(
    found: VideoDetections,
    kept: list[NDArray[np.intp]],
    refined: list[Boxes],
    frame_index: NDArray[np.int64],
    left_out: Mapping[str, int],
) -> CropPlan:
    rows = np.concatenate(kept) if kept else np.zeros(0, np.intp)
    lengths = [len(part) for part in kept]
    return CropPlan(
        track=np.repeat(np.arange(len(kept)), lengths),
        position=np.concatenate([np.arange(n) for n in lengths]) if kept else np.zeros(0, np.int64),
        frame_index=frame_index[rows],
        pts_s=to_numpy(found.detections, "pts_s")[rows].astype(np.float64),
        score=to_numpy(found.detections, "score")[rows].astype(np.float32),
        boxes=np.concatenate(refined) if refined else np.zeros((0, 4)),
        left_out={reason: n for reason, n in left_out.items() if n},
    )


def tracklet_id(source: Source, number: int) -> str:
    """The id of the tracklet with a 1-based `number` within its camera."""
    return f"{source.camera_id}/{number:06d}"


@dataclass
class CropWriter:
    """Writes the crops of one video.

    Args:
        out: dataset folder.
        source: the video.
        plan: its crops.
        first_number: 1-based number of its first tracklet within the camera.
        config: size and quality.
        parts: folder for finished segments, bound to all of the above.
        stop: set from outside to end early.
        segment_frames: frames of a segment.
    """

    out: Path
    source: Source
    plan: CropPlan
    first_number: int
    config: CropConfig
    parts: Path
    stop: Event
    segment_frames: int

    def write(self) -> list[Path]:
        """Writes what earlier runs have left to do; returns the parts of the index. Errors:
        LpwError, OSError."""
        n_frames = int(self.plan.frame_index.max()) + 1 if len(self.plan.frame_index) else 0
        starts = list(range(0, n_frames, self.segment_frames))
        files = [self.parts / f"frames-{start:09d}.parquet" for start in starts]
        left = [start for start, file in zip(starts, files, strict=True) if not file.is_file()]
        if left:
            with show_progress(
                f"crop {self.source.video_id}", n_frames - left[0], "frames"
            ) as progress:
                for frame in self._write_segments(left[0], n_frames):
                    progress.advance(int(frame.index >= left[0]))
        return files

    def _write_segments(self, start: int, n_frames: int) -> Iterator[Frame]:
        order = np.argsort(self.plan.frame_index, kind="stable")
        at = self.plan.frame_index[order]
        jobs = _Jobs(self)
        with VideoReader(self.source.path, first_image=start) as reader, jobs:
            for frame in reader:
                if self.stop.is_set() or frame.index >= n_frames:
                    break
                while frame.index >= start + self.segment_frames:
                    self._publish(start, jobs.collect())
                    start += self.segment_frames
                if frame.image is not None:
                    low, high = np.searchsorted(at, [frame.index, frame.index + 1])
                    for row in order[low:high]:
                        jobs.submit(int(row), frame.image)
                yield frame
            while start < n_frames and not self.stop.is_set():
                self._publish(start, jobs.collect())
                start += self.segment_frames

    def write_crop(self, row: int, pixels: NDArray[np.uint8]) -> tuple[int, int, int, bytes, str]:
        """One crop: resize, encode, hash, write. Returns row, width, height, SHA-256 and path."""
        crop = image_codec.resize(pixels, self.config.size_px)
        data = image_codec.encode(crop, self.config.jpeg_quality)
        path = self._image_path(row)
        write_file(self.out / path, data)
        return row, crop.shape[1], crop.shape[0], hashlib.sha256(data).digest(), path

    def _image_path(self, row: int) -> str:
        return f"images/{self._tracklet_id(row)}/{int(self.plan.frame_index[row]):06d}.jpg"

    def _tracklet_id(self, row: int) -> str:
        return tracklet_id(self.source, self.first_number + int(self.plan.track[row]))

    def make_folder(self, row: int) -> None:
        """Makes the folder of the tracklet that holds `row`."""
        make_folder((self.out / self._image_path(row)).parent)

    def _publish(self, start: int, done: list[tuple[int, int, int, bytes, str]]) -> None:
        expected = np.sum(
            (self.plan.frame_index >= start) & (self.plan.frame_index < start + self.segment_frames)
        )
        if len(done) != expected:
            got = (
                f"{len(done)} of {expected} crops in frames {start} to "
                f"{start + self.segment_frames - 1}"
            )
            raise LpwError(
                self.source.relative,
                got,
                "the frames of the first pass",
                "check the video and run again",
            )
        sync_all()
        write_table(self.parts / f"frames-{start:09d}.parquet", self._rows(sorted(done)), FRAMES)

    def _rows(self, done: list[tuple[int, int, int, bytes, str]]) -> pa.Table:
        rows = np.array([d[0] for d in done], dtype=np.intp)
        pts = self.plan.pts_s[rows]
        columns = {
            "tracklet_id": [self._tracklet_id(int(row)) for row in rows],
            "position": self.plan.position[rows].astype(np.int32),
            "image": [{"bytes": None, "path": d[4]} for d in done],
            "width": np.array([d[1] for d in done], np.int16),
            "height": np.array([d[2] for d in done], np.int16),
            "sha256": [d[3] for d in done],
            "frame_index": self.plan.frame_index[rows].astype(np.int32),
            "pts_s": pa.array(pts, pa.float64(), mask=np.isnan(pts)),
            **{
                side: self.plan.boxes[rows, i].astype(np.float32)
                for i, side in enumerate(("x1", "y1", "x2", "y2"))
            },
            "score": self.plan.score[rows],
        }
        return pa.Table.from_arrays(
            [pa.array(values, FRAMES.field(name).type) for name, values in columns.items()],
            schema=FRAMES,
        )


class _Jobs:
    """The threads that turn pixels into files, with a bound on what waits."""

    def __init__(self, writer: CropWriter) -> None:
        self._writer = writer
        self._pool = BoundedPool[tuple[int, int, int, bytes, str]](
            os.cpu_count() or 1, _MAX_WAITING
        )
        self._done: list[tuple[int, int, int, bytes, str]] = []
        self._with_folder: set[int] = set()

    def __enter__(self) -> "_Jobs":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def submit(self, row: int, image: NDArray[np.uint8]) -> None:
        plan = self._writer.plan
        if plan.track[row] not in self._with_folder:
            self._writer.make_folder(row)
            self._with_folder.add(int(plan.track[row]))
        x1, y1, x2, y2 = crops.pixel_box(plan.boxes[row], image.shape[1], image.shape[0])
        # the frame's memory is reused when the next one is asked for
        pixels = image[y1:y2, x1:x2].copy()
        self._done += self._pool.submit(self._writer.write_crop, row, pixels)

    def collect(self) -> list[tuple[int, int, int, bytes, str]]:
        done, self._done = [*self._done, *self._pool.drain()], []
        return done


def merge_parts(files: list[Path]) -> pa.Table:
    """All parts of the index as one table, sorted by (tracklet_id, position)."""
    tables = [read_table(file, FRAMES).cast(FRAMES) for file in files] or [FRAMES.empty_table()]
    return (
        pa.concat_tables(tables)
        .sort_by([("tracklet_id", "ascending"), ("position", "ascending")])
        .combine_chunks()
    )


def tracklet_bounds(frames: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last row (inclusive) of every tracklet in a sorted table of frames."""
    starts, stops = run_bounds(frames["tracklet_id"])
    return starts, stops - 1
