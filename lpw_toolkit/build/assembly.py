"""The stages of a build, one method each: detect, link, crop, close."""

import errno
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa

from lpw_toolkit.build.crop_stage import (
    CropWriter,
    merge_parts,
    plan_crops,
    remove_orphans,
    tracklet_bounds,
    tracklet_id,
)
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.build.kept_videos import KeptVideos
from lpw_toolkit.build.source_hash import hash_source
from lpw_toolkit.build.source_lines import list_problems, list_remarks
from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS
from lpw_toolkit.dataset.tables import make_table, write_table
from lpw_toolkit.dataset.workspace import Workspace, recall_root, remember_root
from lpw_toolkit.detection.detect_stage import VideoDetections, save_detections
from lpw_toolkit.errors import (
    LpwError,
    MismatchError,
    OutputError,
    check_range,
    join_names,
    option_name,
)
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.linking.config import FORMER_NAMES, LinkConfig
from lpw_toolkit.linking.linker import SATURATED, Linked, link_boxes
from lpw_toolkit.names import count_of
from lpw_toolkit.networks.catalogue import find_by_sha256
from lpw_toolkit.progress import show_progress
from lpw_toolkit.video.source_names import decodable
from lpw_toolkit.video.sources import Source, SourceList


@dataclass(frozen=True)
class Notes:
    """The name of a dataset, and under which licence and consent its footage may be used."""

    name: str | None = None
    licence: str | None = None
    consent: str | None = None

    def __post_init__(self) -> None:
        for name, text in asdict(self).items():
            if text is not None and decodable(text) != text:
                got = f"{decodable(text)}, whose bytes are no UTF-8"
                raise LpwError(option_name(name), got, "a text in UTF-8", "write it in UTF-8")


@dataclass(frozen=True)
class BuildSettings:
    """How detections become a dataset.

    Attributes:
        link, crop: see `LinkConfig`, `CropConfig`.
        notes: name, licence and consent.
        segment_frames: frames between two points from which a stopped run can resume.
    """

    link: LinkConfig = field(default_factory=LinkConfig)
    crop: CropConfig = field(default_factory=CropConfig)
    notes: Notes = field(default_factory=Notes)
    segment_frames: int = 512

    def __post_init__(self) -> None:
        check_range("option --segment-frames", self.segment_frames, 1, 10**9, whole=True)


@dataclass
class BuildResult:
    """The result of a build.

    Attributes:
        dataset: the finished dataset.
        problems: one line for each video that could not be used, or only in part.
        remarks: what was chosen for the user.
        seconds: wall time by stage: startup (loading and converting the network), detect, link,
            crop (overlaps with detecting the next video), close; total is all of it but
            startup.
    """

    dataset: Dataset
    problems: list[str]
    remarks: list[str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class VideoCrops:
    """The crops of one video, which are being written in the background.

    Attributes:
        entry: what the manifest says of the video.
        tracklet_ids: its tracklets.
        parts: files of the index, once all crops are written.
    """

    source: Source
    entry: dict[str, Any]
    tracklet_ids: list[str]
    parts: "Future[list[Path]]"


class DatasetBuilder:
    """The stages of a build, which `build.make_dataset` runs in order.

    Args:
        work: the folder in which the dataset is made.
        root: where the videos lie.
        settings: linking, cropping, notes.
        detect: settings of the detector, as they are recorded.
        find: gives the detections of a source, whose SHA-256 it gets; calls `raise_failure`, which
            it gets too, now and then.
        parent: name and digest of the dataset this one is made from.
        kept: what stays of the dataset that these videos are added to.
    """

    def __init__(
        self,
        work: Workspace,
        root: Path,
        sources: SourceList,
        settings: BuildSettings,
        *,
        detect: dict[str, Any],
        find: Callable[[Source, str, Callable[[], None]], VideoDetections],
        parent: dict[str, str] | None = None,
        kept: KeptVideos | None = None,
    ) -> None:
        self.work, self.root, self.sources, self.chosen = work, root, sources, settings
        self.find, self.parent, self.kept = find, parent, kept
        self.settings = {
            "detect": detect,
            "link": settings.link.to_settings(),
            "crop": settings.crop.settings(),
        }
        self.entries: dict[str, dict[str, Any]] = {}
        self.remarks: list[str] = []
        self.numbers = Counter(kept.last_numbers if kept else {})
        stages = ("startup", "detect", "link", "crop", "close", "total")
        self.seconds = dict.fromkeys(stages, 0.0)
        self.stop = Event()
        self.failure: Exception | None = None
        self.pool = ThreadPoolExecutor(1)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ends the work in the background with the block, whatever happens in it.

        Errors: LpwError in place of an OSError.
        """
        try:
            with _timed(self.seconds, "total"):
                yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            do = f"{'free some space' if full else 'fix that'}, then run the same command again"
            place, got = error.filename or self.work.out, describe_os_error(error)
            raise LpwError(place, got, "a folder that takes files", f"{do}: it resumes") from error
        finally:
            self.stop.set()
            self.pool.shutdown(wait=True, cancel_futures=True)

    def reopen(self) -> BuildResult | None:
        """The dataset that the same plan has made before, if it is complete.

        Errors: LpwError when the folder holds another plan, MismatchError for a changed video.
        """
        self.work.hold_plan(self._plan(self.settings), self._plan(self._former_settings()))
        if not self.work.is_complete:
            return None
        dataset = open_dataset(self.work.out)
        self._refuse_changed(dataset)
        if recall_root(dataset) is None:
            remember_root(dataset, self.root)
        remarks = ["complete already: nothing to do", *list_remarks(dataset)]
        return BuildResult(dataset, list_problems(dataset), remarks, self.seconds)

    def detect(self, source: Source) -> VideoDetections | None:
        """The detections of one video, kept in the dataset; None where it cannot be used."""
        entry: dict[str, Any] = {
            "video_id": source.video_id,
            "path": source.relative,
            "scene_id": source.scene_id,
            "camera_id": source.camera_id,
            "named_by": source.named_by,
            "start_s": source.start_s,
        }
        self.entries[source.video_id] = entry
        try:
            with _timed(self.seconds, "detect"):
                entry |= hash_source(source.path, source.sequence)
                detections = self.find(source, entry["sha256"], self.raise_failure)
        except OutputError:
            raise
        except LpwError as error:
            _mark_failed(entry, error)
            return None
        name, out = f"{source.video_id}.parquet", self.work.out
        save_detections(detections, out / "detections" / name, out / "timeline" / name)
        return detections

    def link(self, source: Source, found: VideoDetections) -> Linked:
        """The tracks of one video."""
        n_boxes = found.detections.num_rows
        with (
            _timed(self.seconds, "link"),
            show_progress(f"link {source.video_id}", n_boxes, "boxes") as progress,
        ):
            linked = link_boxes(
                found.detections, self.chosen.link, found.timeline, progress.advance
            )
        if linked.is_saturated:
            self.remarks.append(f"{source.relative}: {SATURATED}")
        return linked

    def crop(self, source: Source, found: VideoDetections, linked: Linked) -> VideoCrops:
        """Starts to write the crops of one video, in the background."""
        with _timed(self.seconds, "link"):
            plan = plan_crops(found, linked.tracks, self.chosen.crop, self.chosen.link.min_length)
        entry = self.entries[source.video_id]
        entry |= {"n_tracklets": plan.n_tracklets, "report": found.report}
        if not plan.n_tracklets:
            entry["left_out"] = linked.left_out | plan.left_out
        first = self.numbers[source.camera_id] + 1
        self.numbers[source.camera_id] += plan.n_tracklets
        facts = [found.key, first, self._former_settings()["link"], self.settings["crop"]]
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        writer = CropWriter(
            self.work.out,
            source,
            plan,
            first,
            self.chosen.crop,
            self.work.parts(source.video_id, key),
            self.stop,
            self.chosen.segment_frames,
        )
        ids = [tracklet_id(source, first + i) for i in range(plan.n_tracklets)]
        return VideoCrops(source, entry, ids, self.pool.submit(self._write, writer))

    def _write(self, writer: CropWriter) -> list[Path]:
        try:
            with _timed(self.seconds, "crop"):
                return writer.write()
        except Exception as error:
            if isinstance(error, OutputError) or not isinstance(error, LpwError):
                self.failure = error  # ends the whole build, before the next frame is detected
            raise

    def raise_failure(self) -> None:
        """Raises what ended the writing of crops in the background, unless one video alone is to
        blame."""
        if self.failure is not None:
            raise self.failure

    def close(self, crops: list[VideoCrops]) -> BuildResult:
        """Waits for all crops, and writes the tables and the manifest.

        Errors: LpwError when no video could be used.
        """
        parts = self._wait(crops)
        with _timed(self.seconds, "close"):
            frames = merge_parts(parts)
            tracklets = _tracklet_table(frames, crops)
            if self.kept:
                tracklets, frames = self.kept.take_over(tracklets, frames, self.work.out)
            if self.work.resumed:
                remove_orphans(self.work.out, frames)
            write_table(self.work.out / "frames.parquet", frames, FRAMES, group_by="tracklet_id")
            write_table(self.work.out / "tracklets.parquet", tracklets, TRACKLETS)
            facts: dict[str, Any] = {
                "name": self.chosen.notes.name or decodable(self.work.out.name),
                "parent": self.parent,
                "licence": self.chosen.notes.licence,
                "consent": self.chosen.notes.consent,
                "settings": self.settings,
                "sources": list(self.entries.values()),
                "skipped": [
                    {"path": path, "reason": reason} for path, reason in self.sources.skipped
                ],
            }
            known = find_by_sha256(str(self.settings["detect"].get("weights_sha256")))
            if known is not None:
                facts["detector"] = known.record()
            dataset = close_dataset(
                self.work.out, self.kept.add_facts(facts) if self.kept else facts
            )
            remember_root(dataset, self.root)
            self.work.finish()
        return BuildResult(
            dataset, list_problems(dataset), self.remarks + list_remarks(dataset), self.seconds
        )

    def _wait(self, crops: list[VideoCrops]) -> list[Path]:
        parts: list[Path] = []
        for job in crops:
            try:
                parts += job.parts.result()
            except OutputError:
                raise
            except LpwError as error:
                _mark_failed(job.entry, error)
        entries = self.entries.values()
        if all("error" in entry for entry in entries):
            failures = "; ".join(f"{entry['path']}: {entry['error']}" for entry in entries)
            got = f"{count_of(len(entries), 'video')}, none of them usable ({failures})"
            raise LpwError(self.root, got, "at least one good video", "name other videos")
        return parts

    def _former_settings(self) -> dict[str, Any]:
        """The settings under the names of older versions, whose unfinished builds are resumed."""
        former = {new: old for old, new in FORMER_NAMES.items()}
        link = {former.get(name, name): value for name, value in self.settings["link"].items()}
        return {**self.settings, "link": link}

    def _refuse_changed(self, dataset: Dataset) -> None:
        """Errors: MismatchError when a video is not the one that the finished dataset was made
        from."""
        known = {
            entry["video_id"]: entry.get("sha256")
            for entry in dataset.manifest["sources"]
            if "error" not in entry
        }
        changed = [
            source.relative
            for source in self.sources.sources
            if source.video_id in known
            and hash_source(source.path, source.sequence)["sha256"] != known[source.video_id]
        ]
        if changed:
            more = f" ({len(changed)} of {len(known)} have)" if len(changed) > 1 else ""
            raise MismatchError(
                join_names(changed),
                f"a video that has changed since{more}",
                "the one in the dataset",
                "choose another --out to build from the new one",
            )

    def _plan(self, settings: dict[str, Any]) -> dict[str, Any]:
        sources = [[s.video_id, s.relative, s.camera_id] for s in self.sources.sources]
        return {
            "settings": settings,
            "sources": sources,
            "parent": self.parent,
            "notes": asdict(self.chosen.notes),
            "segment_frames": self.chosen.segment_frames,
        }


def _tracklet_table(frames: pa.Table, crops: list[VideoCrops]) -> pa.Table:
    source_of = {name: video.source for video in crops for name in video.tracklet_ids}
    first_row, last_row = tracklet_bounds(frames)
    ids = frames["tracklet_id"].take(pa.array(first_row)).to_pylist()
    owners = [source_of[name] for name in ids]
    columns: list[Any] = [
        ids,
        [owner.scene_id for owner in owners],
        [owner.camera_id for owner in owners],
        [None] * len(ids),
        ["person"] * len(ids),
        [owner.video_id for owner in owners],
        (last_row - first_row + 1).astype(np.int32),
        frames["pts_s"].take(pa.array(first_row)).to_pylist(),
        frames["pts_s"].take(pa.array(last_row)).to_pylist(),
    ]
    return make_table(columns, TRACKLETS)


def _mark_failed(entry: dict[str, Any], error: LpwError) -> None:
    entry["error"] = f"got {error.got}; expected {error.expected}"


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - start
