"""Street video to an LPW-style dataset: the stages in order (`lpw build-tracklets`, `lpw relink`).

    video --VideoReader--> frames --detector--> detections --link, refine--> plan --second pass--> crops + index

While one video is being cropped the next one is detected. `dataset.json` comes last.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lpw_toolkit.assembly import Assembly, BuildResult, Notes
from lpw_toolkit.crops import CropConfig
from lpw_toolkit.dataset import Dataset, is_inner_path, open_dataset
from lpw_toolkit.detecting import DetectionStore, Found, detect_video, detection_key, load_found
from lpw_toolkit.detectors import Detector, DetectorOptions, open_detector
from lpw_toolkit.errors import LpwError
from lpw_toolkit.link import LinkConfig
from lpw_toolkit.sources import Source, SourceList, find_sources
from lpw_toolkit.workspace import Workspace, recall_root


@dataclass(frozen=True)
class BuildConfig:
    """A build, complete.

    Attributes:
        root: folder of videos, one video, or an image sequence.
        out: dataset to be made.
        detector, options: see `detectors.open_detector`.
        link, crop: see `LinkConfig`, `CropConfig`.
        layout, cameras_csv: how scene and camera are named (`sources.find_sources`).
        cache: where raw detections are kept for other builds; None keeps none.
        restart: throw away an unfinished build with other settings.
    """

    root: Path
    out: Path
    detector: str = "ultralytics"
    options: DetectorOptions = field(default_factory=DetectorOptions)
    link: LinkConfig = field(default_factory=LinkConfig)
    crop: CropConfig = field(default_factory=CropConfig)
    layout: str | None = None
    cameras_csv: Path | None = None
    cache: Path | None = None
    restart: bool = False
    notes: Notes = field(default_factory=Notes)


def build_tracklets(config: BuildConfig, say: Callable[[str], None] = lambda line: None) -> BuildResult:
    """Builds a dataset from video; the same call again goes on where an interrupted one stopped.

    Args:
        say: gets one line for each thing chosen for the user.

    Errors: LpwError when nothing can be built; videos that fail among good ones are named in the result.
    """
    sources = find_sources(config.root, layout=config.layout, cameras_csv=config.cameras_csv)
    for line in sources.remarks:
        say(line)
    with Workspace(config.out, restart=config.restart) as work:
        detector = open_detector(config.detector, config.options)
        for line in detector.notes:
            say(line)
        settings = {"detect": detector.settings, "link": asdict(config.link), "crop": config.crop.settings()}
        assembly = Assembly(work, sources, settings, config.link, config.crop, config.notes)
        assembly.seconds["startup"] = detector.startup_s

        def find(source: Source, sha256: str) -> Found:
            return _find_or_detect(source, sha256, detector, work, DetectionStore(config.cache))

        return assembly.run(find, parent=None)


def _find_or_detect(source: Source, sha256: str, detector: Detector, work: Workspace, store: DetectionStore) -> Found:
    key = detection_key(source, sha256, detector.settings)
    found = store.find(key)
    if found is None:
        found = detect_video(source, detector, key, work.parts(source.video_id, key))
        store.keep(found)
    return found


@dataclass(frozen=True)
class RelinkConfig:
    """Another linking of a dataset's own detections, without a second detection.

    Attributes:
        dataset: a dataset made by `build_tracklets`.
        out: dataset to be made.
        video_root: where its videos lie now; None for where they lay when it was built.
    """

    dataset: Path
    out: Path
    link: LinkConfig
    crop: CropConfig
    video_root: Path | None = None
    restart: bool = False


def relink(config: RelinkConfig) -> BuildResult:
    """Makes a new dataset from the raw detections of another one. Errors: as `build_tracklets`."""
    parent = open_dataset(config.dataset)
    root = config.video_root or recall_root(config.dataset)
    if root is None or not root.exists():
        got = f"no videos at {root}" if root else "no record of where they lie"
        raise LpwError(f"videos of {config.dataset}", got, "the videos it was built from", "say where with --video")
    sources = _sources_of(parent, root)
    stages = parent.manifest["settings"]
    settings = {"detect": stages["detect"], "link": asdict(config.link), "crop": config.crop.settings()}
    notes = Notes(config.out.name, parent.manifest.get("licence"), parent.manifest.get("consent"))
    known = {entry["video_id"]: entry["sha256"] for entry in parent.manifest["sources"]}

    def find(source: Source, sha256: str) -> Found:
        if sha256 != known[source.video_id]:
            do = "name the right folder with --video"
            raise LpwError(source.relative, "another video than the one detected", "the same bytes", do)
        name = f"{source.video_id}.parquet"
        return load_found(config.dataset / "detections" / name, config.dataset / "timeline" / name)

    with Workspace(config.out, restart=config.restart) as work:
        assembly = Assembly(work, sources, settings, config.link, config.crop, notes)
        return assembly.run(find, parent={"name": parent.name, "digest": parent.manifest["digest"]})


def _sources_of(parent: Dataset, root: Path) -> SourceList:
    sources = []
    for entry in parent.manifest.get("sources", []):
        if "error" in entry:
            continue
        if not is_inner_path(entry["path"]):
            raise LpwError(parent.root, f"source path {entry['path']!r}", "a path inside a folder", "build it again")
        path = root if root.is_file() or entry["path"] == "." else root / entry["path"]
        sources.append(Source(path, entry["path"], entry["video_id"], entry["scene_id"], entry["camera_id"]))
    if not sources:
        raise LpwError(parent.root, "no video in its manifest", "a dataset made by lpw build-tracklets", "name another")
    return SourceList(root, tuple(sources))
