"""Street video to an LPW-style dataset: the stages in order (`lpw build-tracklets`, `lpw relink`).

    video --VideoReader--> frames --detector--> detections --linker--> tracks --second pass-->
    crops + index

`make_dataset` shows the order. `dataset.json` comes last.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lpw_toolkit.build.assembly import BuildResult, BuildSettings, DatasetBuilder, Notes
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.manifest import INNER_TABLES, MANIFEST
from lpw_toolkit.dataset.workspace import Workspace, recall_root
from lpw_toolkit.detection.detect_stage import (
    DetectionStore,
    VideoDetections,
    detect_video,
    detection_key,
    unpack_detections,
)
from lpw_toolkit.detection.detector import Detector, DetectorOptions, open_detector
from lpw_toolkit.detection.function_detector import FunctionDetector
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.video.sources import Source, SourceList, find_sources, locate_videos


@dataclass(frozen=True)
class BuildConfig:
    """A build, complete.

    Attributes:
        root: folder of videos, one video, or an image sequence.
        out: dataset to be made.
        detector, options: see `detector.open_detector`; without a name the options choose it.
        own: a detector that is open already, instead of these.
        recipe: linking, cropping, notes.
        layout, cameras_csv: how scene and camera are named (`sources.find_sources`).
        cache: where raw detections are kept for other builds; None keeps none.
        restart: throw away an unfinished build with other settings.
    """

    root: Path
    out: Path
    detector: str | None = None
    own: FunctionDetector | None = None
    options: DetectorOptions = field(default_factory=DetectorOptions)
    recipe: BuildSettings = field(default_factory=BuildSettings)
    layout: str | None = None
    cameras_csv: Path | None = None
    cache: Path | None = None
    restart: bool = False


def build_tracklets(
    config: BuildConfig, log: Callable[[str], None] = lambda line: None
) -> BuildResult:
    """Builds a dataset from video; the same call again resumes an interrupted one.

    Args:
        log: gets one line for each thing chosen for the user.

    Errors: LpwError when nothing can be built; videos that fail among good ones are named in the
    result.
    """
    sources = find_sources(config.root, layout=config.layout, cameras_csv=config.cameras_csv)
    for line in sources.naming:
        log(line)
    boxes = config.options.boxes
    if boxes is not None and boxes.is_file() and len(sources.sources) > 1:
        raise LpwError(
            boxes,
            f"one file for {len(sources.sources)} videos",
            "a file for each",
            "name their folder",
        )
    with Workspace(config.out, restart=config.restart) as work:
        detector: Detector = config.own or open_detector(config.detector, config.options)
        for line in detector.notes:
            log(line)
        opened_s = detector.startup_s
        # What a function without a version finds may differ the next time.
        keeps = config.own is None or config.own.version is not None
        store = DetectionStore(config.cache if keeps else None)

        def find(source: Source, sha256: str) -> VideoDetections:
            key = detection_key(source, sha256, detector.settings)
            detections = store.find(key)
            if detections is None:
                parts = work.parts(source.video_id, key)
                detections = detect_video(
                    source, detector, key, parts, config.recipe.segment_frames
                )
                store.keep(detections)
            return detections

        result = make_dataset(
            DatasetBuilder(
                work, config.root, sources, config.recipe, detect=detector.settings, find=find
            )
        )
        result.seconds["startup"] = detector.startup_s
        # a network is compiled when the first frame shows its shape
        for stage in ("detect", "total"):
            result.seconds[stage] -= detector.startup_s - opened_s
        return result


def make_dataset(build: DatasetBuilder) -> BuildResult:
    """Runs the stages in order; while the crops of one video are written the next one is detected.

    Errors: LpwError when no dataset can be made.
    """
    with build.running():
        complete = build.reopen()
        if complete is not None:
            return complete
        crops = []
        for source in build.sources.sources:
            detections = build.detect(source)
            if detections is not None:
                tracks = build.link(source, detections)
                crops.append(build.crop(source, detections, tracks))
        return build.close(crops)


@dataclass(frozen=True)
class RelinkConfig:
    """Another linking of a dataset's own detections, without a second detection.

    Attributes:
        dataset: a dataset made by `build_tracklets`.
        out: dataset to be made.
        recipe: linking and cropping; licence and consent notes come from the parent.
        video_root: where its videos lie now; None for where they lay when it was built.
    """

    dataset: Path
    out: Path
    recipe: BuildSettings
    video_root: Path | None = None
    restart: bool = False


def relink(config: RelinkConfig) -> BuildResult:
    """Makes a new dataset from the raw detections of another one. Errors: as `build_tracklets`."""
    parent = open_dataset(config.dataset)
    root = config.video_root or recall_root(parent)
    if root is None or not root.exists():
        got = f"no videos at {root}" if root else "no record of where they lie"
        raise LpwError(
            f"videos of {config.dataset}",
            got,
            "the videos it was built from",
            "give their folder with --video",
        )
    sources = _sources_of(parent, root)
    notes = Notes(
        config.recipe.notes.name, parent.manifest.get("licence"), parent.manifest.get("consent")
    )
    known = {entry["video_id"]: entry.get("sha256") for entry in parent.manifest.get("sources", [])}

    def find(source: Source, sha256: str) -> VideoDetections:
        if sha256 != known[source.video_id]:
            do = "name the right folder with --video"
            raise LpwError(
                source.relative, "another video than the one detected", "the same bytes", do
            )
        name = f"{source.video_id}.parquet"
        boxes, times = (
            parent.read_table(f"{folder}/{name}", kind) for folder, kind in INNER_TABLES.items()
        )
        return unpack_detections(boxes, times, parent.root / "timeline" / name)

    with Workspace(config.out, restart=config.restart) as work:
        return make_dataset(
            DatasetBuilder(
                work,
                root,
                sources,
                replace(config.recipe, notes=notes),
                detect=parent.manifest.get("settings", {}).get("detect", {}),
                find=find,
                parent={"name": parent.name, "digest": str(parent.manifest.get("digest"))},
            )
        )


def _sources_of(parent: Dataset, root: Path) -> SourceList:
    entries = [entry for entry in parent.manifest.get("sources", []) if "error" not in entry]
    if not entries:
        raise LpwError(
            parent.root,
            "no video in its manifest",
            "a dataset made by lpw build-tracklets",
            "name another",
        )
    odd = [
        e["path"]
        for e in entries
        if not e.get("camera_id") or not {"scene_id", "named_by", "start_s"} <= e.keys()
    ]
    if odd:
        got = f"{odd[0]} without a scene or camera"
        raise MismatchError(
            parent.root / MANIFEST, got, "what lpw build-tracklets writes", "name another dataset"
        )
    paths = locate_videos(root)
    missing = [entry["path"] for entry in entries if entry["path"] not in paths]
    if missing:
        got = f"no {missing[0]} ({len(missing)} of {len(entries)} videos are not there)"
        raise LpwError(
            root, got, "the videos the dataset was built from", "give their folder with --video"
        )
    sources = [
        Source(
            path=paths[entry["path"]],
            relative=entry["path"],
            video_id=entry["video_id"],
            scene_id=entry["scene_id"],
            camera_id=entry["camera_id"],
            part="",
            named_by=entry["named_by"],
            start_s=entry["start_s"],
        )
        for entry in entries
    ]
    return SourceList(tuple(sources), (), ())
