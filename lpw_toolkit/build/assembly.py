"""What building and relinking share: link, crop, merge the parts, close the dataset."""

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
import pyarrow.compute as pc

from lpw_toolkit.build.crop_stage import (
    CropPlan,
    CropWriter,
    merge_parts,
    plan_crops,
    tracklet_bounds,
    tracklet_id,
)
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset, sha256_file
from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS
from lpw_toolkit.dataset.tables import make_table, write_table
from lpw_toolkit.dataset.workspace import Workspace, recall_root, remember_root
from lpw_toolkit.detection.detect_stage import VideoDetections, save_found
from lpw_toolkit.errors import LpwError, MismatchError, check_range
from lpw_toolkit.files.listing import iter_files
from lpw_toolkit.files.opening import follow_links, is_folder, measure
from lpw_toolkit.files.writing import describe_os_error, remove_file
from lpw_toolkit.linking.linker import LinkConfig
from lpw_toolkit.progress import show_progress
from lpw_toolkit.video.sources import Source, SourceList


@dataclass(frozen=True)
class Notes:
    """What a dataset says of itself: its name, and under which licence and consent the footage may
    be used."""

    name: str | None = None
    licence: str | None = None
    consent: str | None = None


@dataclass(frozen=True)
class BuildSettings:
    """How detections become a dataset.

    Attributes:
        link, crop: see `LinkConfig`, `CropConfig`.
        notes: what the dataset says of itself.
        segment_frames: frames between two points from which a stopped run can go on.
    """

    link: LinkConfig = field(default_factory=LinkConfig)
    crop: CropConfig = field(default_factory=CropConfig)
    notes: Notes = field(default_factory=Notes)
    segment_frames: int = 512

    def __post_init__(self) -> None:
        check_range("option --segment-frames", self.segment_frames, 1, 10**9, whole=True)


@dataclass
class BuildResult:
    """What a build made.

    Attributes:
        dataset: the finished dataset.
        problems: one line for each video that could not be used, or not whole.
        remarks: what was chosen for the user.
        seconds: wall time by stage: startup (loading and converting the network), detect, link,
            crop (overlaps with the detecting of the next video), close; total is all of it but
            startup.
    """

    dataset: Dataset
    problems: list[str]
    remarks: list[str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Job:
    source: Source
    entry: dict[str, Any]
    tracklet_ids: list[str]
    parts: "Future[list[Path]]"


class DatasetBuilder:
    """The part that building and relinking share: link, crop, merge, close."""

    def __init__(
        self,
        work: Workspace,
        root: Path,
        sources: SourceList,
        recipe: BuildSettings,
        detect: dict[str, Any],
    ) -> None:
        self.work, self.root, self.sources, self.recipe = work, root, sources, recipe
        self.settings = {
            "detect": detect,
            "link": asdict(recipe.link),
            "crop": recipe.crop.settings(),
        }
        self.entries: list[dict[str, Any]] = []
        self.numbers: Counter[str] = Counter()
        self.jobs: list[_Job] = []
        self.seconds: dict[str, float] = {
            "startup": 0.0,
            "detect": 0.0,
            "link": 0.0,
            "crop": 0.0,
            "close": 0.0,
            "total": 0.0,
        }
        self.stop = Event()

    def run(
        self, find: Callable[[Source, str], VideoDetections], parent: dict[str, str] | None
    ) -> BuildResult:
        """Makes the dataset, or returns the one that the same plan has made before.

        Args:
            find: gives the detections of a source, whose SHA-256 it gets.
            parent: name and digest of the dataset this one is made from.
        """
        try:
            with _timed(self.seconds, "total"):
                return self._run(find, parent)
        except OSError as error:
            raise _system_error(self.work.out, error) from error

    def _run(
        self, find: Callable[[Source, str], VideoDetections], parent: dict[str, str] | None
    ) -> BuildResult:
        self.work.hold_plan(self._plan(parent))
        if self.work.is_complete:
            dataset = open_dataset(self.work.out)
            self._refuse_changed(dataset)
            if recall_root(dataset) is None:
                remember_root(dataset, self.root)
            return BuildResult(
                dataset, _problems_of(dataset), ["complete already: nothing to do"], self.seconds
            )
        pool = ThreadPoolExecutor(1)
        try:
            for source in self.sources.sources:
                self._start(source, find, pool)
            parts = self._wait()
        finally:
            self.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return self._close(parts, parent)

    def _refuse_changed(self, dataset: Dataset) -> None:
        """Errors: MismatchError when a video is not the one that the finished dataset was made
        from."""
        known = {
            entry["video_id"]: entry.get("sha256")
            for entry in dataset.manifest["sources"]
            if "error" not in entry
        }
        for source in self.sources.sources:
            if (
                source.video_id in known
                and hash_source(source.path)["sha256"] != known[source.video_id]
            ):
                do = "choose another --out to build from the new one"
                raise MismatchError(
                    source.relative, "a video that has changed since", "the one in the dataset", do
                )

    def _plan(self, parent: dict[str, str] | None) -> dict[str, Any]:
        sources = [[s.video_id, s.relative, s.camera_id] for s in self.sources.sources]
        return {
            "settings": self.settings,
            "sources": sources,
            "parent": parent,
            "notes": asdict(self.recipe.notes),
            "segment_frames": self.recipe.segment_frames,
        }

    def _start(
        self,
        source: Source,
        find: Callable[[Source, str], VideoDetections],
        pool: ThreadPoolExecutor,
    ) -> None:
        entry: dict[str, Any] = {
            "video_id": source.video_id,
            "path": source.relative,
            "scene_id": source.scene_id,
            "camera_id": source.camera_id,
            "named_by": source.named_by,
            "start_s": source.start_s,
        }
        self.entries.append(entry)
        try:
            with _timed(self.seconds, "detect"):
                entry |= hash_source(source.path)
                found = find(source, entry["sha256"])
        except LpwError as error:
            _mark_failed(entry, error)
            return
        name = f"{source.video_id}.parquet"
        save_found(found, self.work.out / "detections" / name, self.work.out / "timeline" / name)
        n_boxes = found.detections.num_rows
        with (
            _timed(self.seconds, "link"),
            show_progress(f"link {source.video_id}", n_boxes, "boxes") as progress,
        ):
            plan = plan_crops(found, self.recipe.link, self.recipe.crop, progress.advance)
        entry |= {"n_tracklets": plan.n_tracklets, "report": found.report}
        first = self.numbers[source.camera_id] + 1
        self.numbers[source.camera_id] += plan.n_tracklets
        writer = self._writer(source, plan, first, found.key)
        ids = [tracklet_id(source, first + i) for i in range(plan.n_tracklets)]
        self.jobs.append(_Job(source, entry, ids, pool.submit(self._write, writer)))

    def _writer(self, source: Source, plan: CropPlan, first: int, key: str) -> CropWriter:
        facts = json.dumps(
            [key, first, self.settings["link"], self.settings["crop"]], sort_keys=True
        )
        parts = self.work.parts(source.video_id, hashlib.sha256(facts.encode()).hexdigest())
        return CropWriter(
            self.work.out,
            source,
            plan,
            first,
            self.recipe.crop,
            parts,
            self.stop,
            self.recipe.segment_frames,
        )

    def _write(self, writer: CropWriter) -> list[Path]:
        with _timed(self.seconds, "crop"):
            return writer.write()

    def _wait(self) -> list[Path]:
        parts: list[Path] = []
        for job in self.jobs:
            try:
                parts += job.parts.result()
            except LpwError as error:
                _mark_failed(job.entry, error)
        if all("error" in entry for entry in self.entries):
            failures = "; ".join(f"{entry['path']}: {entry['error']}" for entry in self.entries)
            got = f"{len(self.entries)} videos and none of them usable ({failures})"
            raise LpwError(self.root, got, "at least one good video", "name other videos")
        return parts

    def _close(self, parts: list[Path], parent: dict[str, str] | None) -> BuildResult:
        with _timed(self.seconds, "close"):
            frames = merge_parts(parts)
            if self.work.resumed:
                _remove_orphans(self.work.out, frames)
            write_table(self.work.out / "frames.parquet", frames, FRAMES, group_by="tracklet_id")
            write_table(self.work.out / "tracklets.parquet", self._tracklets(frames), TRACKLETS)
            facts = {
                "name": self.recipe.notes.name or self.work.out.name,
                "parent": parent,
                "licence": self.recipe.notes.licence,
                "consent": self.recipe.notes.consent,
                "settings": self.settings,
                "sources": self.entries,
                "skipped": [
                    {"path": path, "reason": reason} for path, reason in self.sources.skipped
                ],
            }
            dataset = close_dataset(self.work.out, facts)
            remember_root(dataset, self.root)
            self.work.finish()
        return BuildResult(dataset, _problems_of(dataset), [], self.seconds)

    def _tracklets(self, frames: pa.Table) -> pa.Table:
        source_of = {name: job.source for job in self.jobs for name in job.tracklet_ids}
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


def hash_source(path: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a video, or of an image sequence (over names and contents in
    order).

    Errors: LpwError for what cannot be read.
    """
    try:
        if path.is_file():
            real = follow_links(path)  # a film may be a link to another disk
            return {"bytes": measure(real), "sha256": sha256_file(real)}
        files = [file for file in iter_files(path) if file.is_file()]
        lines = "".join(
            f"{sha256_file(file, 'image_bytes')} {file.relative_to(path).as_posix()}\n"
            for file in files
        )
        return {
            "bytes": sum(map(measure, files)),
            "sha256": hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(),
        }
    except OSError as error:
        raise LpwError(
            path, describe_os_error(error), "a readable video", "check the file and its rights"
        ) from error


def _problems_of(dataset: Dataset) -> list[str]:
    """One line for each source that failed or is not whole."""
    lines = [f"{entry['path']}: {entry['reason']}" for entry in dataset.manifest.get("skipped", [])]
    for entry in dataset.manifest["sources"]:
        if "error" in entry:
            lines.append(f"{entry['path']}: {entry['error']}")
        elif not entry["report"]["complete"]:
            lines.append(f"{entry['path']}: incomplete: {'; '.join(entry['report']['problems'])}")
    return lines


def _system_error(out: Path, error: OSError) -> LpwError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    do = (
        f"{'free some space' if full else 'mend that'}, then run the same command again: it goes "
        f"on where it stopped"
    )
    return LpwError(
        error.filename or out, describe_os_error(error), "a folder that takes files", do
    )


def _remove_orphans(out: Path, frames: pa.Table) -> None:
    """Removes images that an interrupted run wrote and that the index does not name."""
    named = set(pc.struct_field(frames["image"], "path").to_pylist())
    if is_folder(out / "images"):
        for file in iter_files(out / "images", hidden=True):
            if file.relative_to(out).as_posix() not in named:
                remove_file(file)
