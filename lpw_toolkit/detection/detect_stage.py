"""Stage 1 of a build: detections and timeline of one video, in segments that survive a kill.

Raw detections are kept: in the dataset, so that linking can be redone, and in the user's cache, so
that another build of the same video with the same detector finds them (keyed by a hash over video,
detector settings and this module).
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset.mot_text import make_detections
from lpw_toolkit.dataset.schema import DETECTIONS, TIMELINE
from lpw_toolkit.dataset.tables import make_table, read_table, write_table
from lpw_toolkit.detection.detector import Detector
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.files.home import note_no_cache
from lpw_toolkit.files.opening import parse_json
from lpw_toolkit.files.writing import make_folder
from lpw_toolkit.progress import Progress, show_progress
from lpw_toolkit.video.sources import Source
from lpw_toolkit.video.video import Frame, VideoReader

#: Counts up when the same video and settings would give other rows.
DETECTING_VERSION = 2
_REPORT = b"lpw_report"


@dataclass(frozen=True)
class VideoDetections:
    """The detections and the timeline of one video.

    Attributes:
        detections: schema.DETECTIONS, sorted by frame, then as the detector gave them.
        timeline: schema.TIMELINE, one row per decoded frame.
        report: what reading the video showed (`video.VideoReport` as plain values).
        key: hash over video, detector settings and code: equal keys mean equal rows.
    """

    detections: pa.Table
    timeline: pa.Table
    report: dict[str, Any]
    key: str


def detection_key(source: Source, sha256: str, settings: dict[str, Any]) -> str:
    """The name under which the detections of a video are kept and found again."""
    facts = [DETECTING_VERSION, source.video_id, sha256, settings]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def detect_video(
    source: Source,
    detector: Detector,
    key: str,
    parts: Path,
    segment_frames: int,
    check: Callable[[], None] = lambda: None,
) -> VideoDetections:
    """Reads and detects one video, or what earlier runs have left of it.

    Args:
        key: from `detection_key`.
        parts: folder for finished segments of this key.
        segment_frames: frames of a segment; rounded up to whole batches.
        check: called for every frame; may raise.

    Errors: LpwError for a video that cannot be read, OSError where a segment cannot be written.
    """
    batch = int(detector.settings.get("batch_size", 1))
    run = _Run(source, parts, step=-(-segment_frames // batch) * batch)
    if detector.needs_images:  # without a network there is nothing to save
        run.load_parts()
    with (
        VideoReader(source.path, first_image=run.start, images=detector.needs_images) as reader,
        show_progress(f"detect {source.video_id}", reader.report.n_declared, "frames") as progress,
    ):
        wanted = run.iter_wanted(reader, progress, check)
        for first in islice(
            wanted, 1
        ):  # none where only the last step of an earlier run is missing
            for index, boxes in detector.detect(chain([first], wanted), source):
                run.add(index, boxes)
            run.flush()
        report = json.loads(json.dumps(asdict(reader.report), sort_keys=True))
        report["notes"] += getattr(detector, "remarks", {}).get(source.video_id, [])
    timeline = run.timeline()
    return VideoDetections(_with_times(run.detections(), timeline), timeline, report, key)


@dataclass
class _Run:
    source: Source
    parts: Path
    step: int
    start: int = 0
    tables: list[pa.Table] = field(default_factory=list)
    frames: list[tuple[int, float | None, int, bool, int, int]] = field(default_factory=list)
    pending: list[tuple[int, NDArray[np.float32]]] = field(default_factory=list)

    def load_parts(self) -> None:
        while (file := self._part(self.start)).is_file():
            self.tables.append(read_table(file, DETECTIONS))
            self.start += self.step

    def _part(self, start: int) -> Path:
        return self.parts / f"detections-{start:09d}.parquet"

    def iter_wanted(
        self, reader: VideoReader, progress: Progress, check: Callable[[], None]
    ) -> Iterator[Frame]:
        for frame in reader:
            check()
            self.frames.append(
                (
                    frame.index,
                    frame.pts_s,
                    frame.segment,
                    frame.duplicate,
                    frame.width,
                    frame.height,
                )
            )
            progress.advance()
            if frame.index >= self.start:
                yield frame

    def add(self, index: int, boxes: NDArray[np.float32]) -> None:
        while index >= self.start + self.step:
            self.flush()
        self.pending.append((index, boxes))

    def flush(self) -> None:
        table = _detection_rows(self.source.video_id, self.pending)
        write_table(self._part(self.start), table, DETECTIONS)
        self.tables.append(table)
        self.pending = []
        self.start += self.step

    def detections(self) -> pa.Table:
        tables = [table.cast(DETECTIONS) for table in self.tables] or [DETECTIONS.empty_table()]
        return pa.concat_tables(tables).combine_chunks()

    def timeline(self) -> pa.Table:
        index, pts, segment, duplicate, width, height = (
            zip(*self.frames, strict=True) if self.frames else ((),) * 6
        )
        video_id = [self.source.video_id] * len(index)
        return make_table([video_id, index, pts, segment, duplicate, width, height], TIMELINE)


def _detection_rows(video_id: str, found: list[tuple[int, NDArray[np.float32]]]) -> pa.Table:
    counts = [len(boxes) for _, boxes in found]
    rows = np.concatenate([boxes for _, boxes in found]) if found else np.zeros((0, 5), np.float32)
    frame_index = np.repeat(np.array([index for index, _ in found], np.int32), counts)
    return make_detections(frame_index, rows[:, :4], rows[:, 4], video_id=video_id)


def _with_times(detections: pa.Table, timeline: pa.Table) -> pa.Table:
    """The detections with the presentation time of their frames."""
    place = np.searchsorted(
        timeline["frame_index"].to_numpy(), detections["frame_index"].to_numpy()
    )
    times = (
        timeline["pts_s"].take(pa.array(place))
        if detections.num_rows
        else pa.nulls(0, pa.float64())
    )
    column = DETECTIONS.get_field_index("pts_s")
    return detections.set_column(column, DETECTIONS.field("pts_s"), times)


def save_detections(found: VideoDetections, detections: Path, timeline: Path) -> None:
    """Keeps `found` in two tables; the report and the key travel in their metadata. Errors:
    OSError."""
    facts = {
        _REPORT: json.dumps(found.report, sort_keys=True).encode(),
        b"lpw_key": found.key.encode(),
    }
    make_folder(detections.parent)
    make_folder(timeline.parent)
    write_table(
        timeline,
        found.timeline.replace_schema_metadata(facts | (TIMELINE.metadata or {})),
        TIMELINE,
    )
    write_table(
        detections,
        found.detections.replace_schema_metadata(facts | (DETECTIONS.metadata or {})),
        DETECTIONS,
    )


def load_detections(detections: Path, timeline: Path) -> VideoDetections:
    """What `save_detections` kept. Errors: MismatchError for missing or damaged tables."""
    return unpack_detections(
        read_table(detections, DETECTIONS), read_table(timeline, TIMELINE), timeline
    )


def unpack_detections(boxes: pa.Table, times: pa.Table, thing: Path) -> VideoDetections:
    """What the two tables of `save_detections` hold. Errors: MismatchError that names `thing`."""
    try:
        report = parse_json(times.schema.metadata[_REPORT])
        key = times.schema.metadata[b"lpw_key"].decode()
    except (KeyError, ValueError) as error:
        raise MismatchError(
            thing, "no report of its video", "a table that lpw wrote", "build again"
        ) from error
    if boxes.schema.metadata.get(b"lpw_key", b"").decode() != key:
        raise MismatchError(
            thing, "a key unlike its timeline's", "two tables of one run", "build again"
        )
    return VideoDetections(
        boxes.replace_schema_metadata(DETECTIONS.metadata),
        times.replace_schema_metadata(TIMELINE.metadata),
        report,
        key,
    )


@dataclass(frozen=True)
class DetectionStore:
    """The user's cache of raw detections: `<folder>/<key>.parquet` with its timeline; None keeps
    nothing."""

    folder: Path | None

    def find(self, key: str) -> VideoDetections | None:
        """The detections kept under `key`; None where there are none (damaged ones count as none:
        they are redone)."""
        if self.folder is None or not self._files(key)[0].is_file():
            return None
        try:
            found = load_detections(*self._files(key))
        except MismatchError:
            return None
        return found if found.key == key else None

    def keep(self, found: VideoDetections) -> None:
        """Adds `found` to the cache; one that takes no files is named once, and the work goes on
        without it."""
        if self.folder is not None:
            try:
                save_detections(found, *self._files(found.key))
            except (OSError, LpwError) as error:
                note_no_cache(self.folder, error)

    def _files(self, key: str) -> tuple[Path, Path]:
        folder = self.folder or Path()
        return folder / f"{key}.parquet", folder / f"{key}.timeline.parquet"
