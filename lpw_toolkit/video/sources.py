"""Finds the sources in what the user gives (a folder, a video, an image sequence), with scene and
camera.

Three ways name scene and camera: the path (`scen1/view2.mp4`, `scen1/view2/part3.mp4`,
`scen1_view2.avi`), a layout (`{scene}/{camera}_{date}.mp4`), or a `cameras.csv`. Where nothing
names them, each video is its own camera.

Several files of one camera are parts of one recording, taken to follow each other in natural order
of their paths, as long as something in the path tells them apart (`part1`, a date, a folder). Two
files that nothing tells apart (`a/view1.mp4` and `a/view1.avi`, `scen1/view2.mp4` and
`scen1_view2.avi`), or of which one names the whole camera and the other a part, claim one camera at
one time: an error. Where `cameras.csv` gives start times, the times themselves decide: parts that
overlap by their declared lengths are an error, whatever they are called.
"""

import os
import stat
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from lpw_toolkit.dataset.frame_format import KINDS
from lpw_toolkit.dataset.manifest import MANIFEST
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import list_folder, natural_key
from lpw_toolkit.files.opening import follow_links, is_file
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.names import count_of
from lpw_toolkit.video.sequences import (
    IMAGE_FOLDER,
    FolderImages,
    describe_files,
    group_images,
)
from lpw_toolkit.video.source_names import (
    Claim,
    IdMaker,
    claim_by_layout,
    claim_by_path,
    printable,
    read_cameras,
)
from lpw_toolkit.video.video import VideoReader

SUFFIXES = (
    *(".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".ts", ".mts", ".m2ts"),
    *(".mpg", ".mpeg", ".flv", ".wmv", ".asf", ".3gp", ".3g2", ".gif"),
    *(".h264", ".264", ".hevc", ".h265", ".265"),
)
WAYS = (
    "name each file's scene and camera by its path (scen1/view2.mp4), by --layout "
    "'{scene}/{camera}_{date}.mp4', "
    "or by a cameras.csv with the columns path, scene, camera and, if you like, start_s"
)


_CLOCK_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Source:
    """One video file or image sequence.

    Args:
        path: where it lies.
        relative: POSIX path below the root, in printable characters.
        video_id: unique and safe as a file name; of the relative path without suffix.
        scene_id: scene, safe as a file name; None where a layout or table names none.
        camera_id: `<scene_id>/<camera>`, or the camera alone where there is no scene.
        part: what tells files of one camera apart; empty where the file is the whole recording.
        named_by: `path`, `layout`, `cameras.csv` or `own camera`.
        start_s: start of the file on the clock of its scene, seconds; None where unknown.
        sequence: which of several image sequences in the folder `path`; empty where there is one.
    """

    path: Path
    relative: str
    video_id: str
    scene_id: str | None
    camera_id: str
    part: str
    named_by: str
    start_s: float | None = None
    sequence: str = ""


@dataclass(frozen=True)
class Place:
    """Where a video lies.

    Args:
        path: a file, or the folder of an image sequence.
        sequence: as in `Source`.
    """

    path: Path
    sequence: str = ""


@dataclass(frozen=True)
class SourceList:
    """The sources below a root, in natural order of the paths.

    Args:
        sources: the videos.
        naming: one sentence for each way in which scene and camera were named, to be printed and
            recorded.
        skipped: (relative path, reason) of entries that look like videos and cannot be used.
    """

    sources: tuple[Source, ...]
    naming: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def find_sources(
    root: Path, *, layout: str | None = None, cameras_csv: Path | None = None
) -> SourceList:
    """The sources below `root`.

    Args:
        root: a folder of videos or of image sequences (searched to any depth; links to folders are
            not followed), one video, or one image sequence (a folder of numbered images, or with
            `img1/`). Beside videos and `img1/`, other folders of images are told and not read.
        layout: path below the root with `{scene}`, `{camera}` and further fields in braces, as
            `{scene}/{camera}.mp4`.
        cameras_csv: table with the columns `path` (below the root), `scene`, `camera` and
            optionally `start_s`.

    Errors: LpwError where there is no video, a layout or table does not fit, or two videos claim a
    camera at one time.
    """
    if layout is not None and cameras_csv is not None:
        raise LpwError("--layout and cameras.csv", "both", "one of them", "leave one out")
    root = Path(root)
    found = _Search(root)
    if not found.places:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.skipped[:3])
        got = "no video" + (f" ({reasons})" if reasons else "") + describe_files(found.unused)
        raise LpwError(
            root,
            got,
            f"a file named {' '.join(SUFFIXES)} or a folder of numbered images, as img1/000001.jpg "
            f"({KINDS})",
            "name another folder",
        )
    names = {path: _name_below(root, path) for path in found.places}
    claims = _claim(root, names, layout, cameras_csv)
    omitted = [printable(names[p]) for p in found.places if p not in claims]
    sources = _identify(names, claims, found.places)
    _check_claims(sources)
    naming = (*_describe_naming(sources, omitted), *found.remarks())
    return SourceList(tuple(sources), naming, tuple(found.skipped))


def locate_videos(root: Path) -> dict[str, Place]:
    """Where each video below `root` lies, by its `Source.relative`. Errors: LpwError where `root`
    cannot be read."""
    return {printable(_name_below(root, key)): place for key, place in _Search(root).places.items()}


class _Search:
    """Walks a root.

    Attributes:
        places: the videos, in natural order of the paths that name them.
        skipped: (relative path, reason) of what looks like a video and cannot be used.
        unused: names of files that are no videos and no images of a sequence.
    """

    def __init__(self, root: Path) -> None:
        self.places: dict[Path, Place] = {}
        self.skipped: list[tuple[str, str]] = []
        self.unused: list[str] = []
        self._images: dict[Path, Place] = {}
        self._beside: list[str] = []
        try:
            kind = root.stat().st_mode
        except OSError as error:
            raise LpwError(
                root, describe_os_error(error), "a video or a folder of videos", "check the path"
            ) from error
        # a file that is a link keeps its own name
        self._root = follow_links(root) if stat.S_ISDIR(kind) else root
        if not stat.S_ISDIR(kind):
            self._take_file(root)
        elif _is_sequence(self._root):
            self.places[root] = Place(self._root)
        else:
            self._walk(self._root)
            if self.places:
                self._beside = [_name_below(self._root, path) for path in self._images]
            else:
                self.places = self._images
            below = {path.relative_to(self._root): place for path, place in self.places.items()}
            self.places = {
                root / path: below[path]
                for path in sorted(below, key=lambda p: [*map(natural_key, p.parts)])
            }

    def remarks(self) -> list[str]:
        """What is to be said of images that are not read."""
        if not self._beside:
            return []
        first = ", ".join(printable(name) for name in self._beside[:3])
        told = f"{len(self._beside)} folders of images beside the videos are not read ({first})"
        return [f"{told}: name such a folder alone to read it"]

    def _walk(self, folder: Path, *, in_dataset: bool = False) -> None:
        in_dataset = in_dataset or is_file(folder / MANIFEST)  # whose crops are no frames
        try:
            entries = list_folder(folder)
        except OSError as error:
            self._skip(folder, describe_os_error(error))
            return
        names = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if entry.is_symlink():
                    self._skip(entry, "a link to a folder, which is not followed")
                elif _is_sequence(entry):
                    self.places[entry] = Place(entry)
                else:
                    self._walk(entry, in_dataset=in_dataset)
            else:
                names.append(entry.name)
        found = group_images(names)
        for name in names:
            suffix = PurePosixPath(name).suffix.lower()
            # a GIF among numbered images is a preview of them
            if suffix in SUFFIXES and not (suffix == ".gif" and found.sequences):
                self._take_file(folder / name)
        if not in_dataset:
            self._take_images(folder, names, found)

    def _take_images(self, folder: Path, names: list[str], found: FolderImages) -> None:
        taken = {name for sequence in found.sequences for name in sequence.images.values()}
        self.unused += [n for n in names if n not in taken and folder / n not in self.places]
        for sequence in found.sequences:
            key = folder / sequence.name
            while key in self._images:
                key = key.with_name(f"{key.name}#")
            self._images[key] = Place(folder, sequence.name)

    def _take_file(self, path: Path) -> None:
        try:
            kind = path.stat().st_mode
        except OSError as error:
            self._skip(path, describe_os_error(error))
            return
        if not stat.S_ISREG(kind):
            self._skip(path, "no regular file")
        elif path == self._root and path.suffix.lower() not in SUFFIXES:
            self._skip(
                path, f"the suffix {path.suffix or '(none)'} is not one of {' '.join(SUFFIXES)}"
            )
        else:
            self.places[path] = Place(path)

    def _skip(self, path: Path, reason: str) -> None:
        self.skipped.append((printable(_name_below(self._root, path)), reason))


def _is_sequence(folder: Path) -> bool:
    try:
        return (folder / IMAGE_FOLDER).is_dir()
    except OSError:
        return False


def _name_below(root: Path, path: Path) -> str:
    """POSIX path below the root; the root itself has its own name."""
    return path.relative_to(root).as_posix() if path != root else _root_name(root, path)


def _root_name(root: Path, path: Path) -> str:
    absolute = os.path.abspath(root)  # noqa: PTH100  (a link keeps its own name)
    return path.name or Path(absolute).name or "video"


def _without_suffix(name: str, path: Path) -> str:
    return name[: -len(path.suffix)] if path.suffix.lower() in SUFFIXES else name


def _claim(
    root: Path, names: dict[Path, str], layout: str | None, cameras_csv: Path | None
) -> dict[Path, Claim]:
    """What each video says of its scene and camera."""
    if layout is not None:
        return claim_by_layout(layout, names)
    if cameras_csv is not None:
        return read_cameras(cameras_csv, names)
    absolute = Path(os.path.abspath(root))  # noqa: PTH100
    folder = absolute.parent.name if root in names else absolute.name
    return {
        path: claim_by_path(folder or "video", _without_suffix(name, path))
        for path, name in names.items()
    }


def _identify(
    names: dict[Path, str], claims: dict[Path, Claim], places: dict[Path, Place]
) -> list[Source]:
    """Sources with unique, safe ids, in the order of `names`."""
    videos, scenes, cameras = IdMaker("video"), IdMaker("scene"), IdMaker("camera")
    sources = []
    for path, claim in claims.items():
        stem = _without_suffix(names[path], path)
        scene_id = None if claim.scene is None else scenes.make(claim.scene)
        camera = cameras.make(claim.camera, within=claim.scene or "")
        sources.append(
            Source(
                path=places[path].path,
                relative=printable(names[path]),
                video_id=videos.make(stem, key=names[path]),
                scene_id=scene_id,
                camera_id=camera if scene_id is None else f"{scene_id}/{camera}",
                part=claim.part,
                named_by=claim.named_by,
                start_s=claim.start_s,
                sequence=places[path].sequence,
            )
        )
    return sources


def _check_claims(sources: list[Source]) -> None:
    """Errors: LpwError where two sources claim one camera at one time."""
    by_camera: dict[str, list[Source]] = {}
    for source in sources:
        by_camera.setdefault(source.camera_id, []).append(source)
    for camera_id, parts in by_camera.items():
        if len(parts) < 2:
            continue
        n_timed = sum(p.start_s is not None for p in parts)
        if n_timed == len(parts):
            ordered = sorted(parts, key=lambda p: (p.start_s or 0.0, p.relative))
            for first, second in pairwise(ordered):
                gap_s = (second.start_s or 0.0) - (first.start_s or 0.0)
                if gap_s <= 0 or gap_s + _CLOCK_TOLERANCE_S < (_declared_length_s(first) or 0.0):
                    raise _double_claim(camera_id, first, second)
        elif n_timed:
            untimed = next(p for p in parts if p.start_s is None)
            raise LpwError(
                untimed.relative, "no start_s", f"one, as other parts of {camera_id} have", "add it"
            )
        else:
            _check_parts(camera_id, parts)


def _check_parts(camera_id: str, parts: list[Source]) -> None:
    seen: dict[str, Source] = {}
    whole = next((p for p in parts if not p.part), None)
    for source in parts:
        twin = seen.setdefault(source.part.casefold(), source)
        if twin is not source:
            raise _double_claim(camera_id, twin, source)
        if whole is not None and whole is not source:
            raise _double_claim(camera_id, whole, source)


def _declared_length_s(source: Source) -> float | None:
    """Length as the header says; None where it says nothing or the file is unreadable (which the
    build will tell)."""
    try:
        with VideoReader(source.path, sequence=source.sequence, images=False) as reader:
            header = reader.header
    except LpwError:
        return None
    if header.duration_s is not None:
        return header.duration_s
    return header.n_declared / header.rate_hz if header.n_declared and header.rate_hz else None


def _double_claim(camera_id: str, first: Source, second: Source) -> LpwError:
    got = f"{first.relative} and {second.relative} for the camera {camera_id} at one time"
    return LpwError("two videos", got, "one video of a camera at a time", WAYS)


def _describe_naming(sources: list[Source], omitted: list[str]) -> tuple[str, ...]:
    said = {
        "path": "scene and camera named by the path",
        "layout": "scene and camera named by --layout",
        "cameras.csv": "scene and camera named by cameras.csv",
        "own camera": "no scene and view in the path: each video is its own camera, its folder the "
        "scene",
    }
    counts = Counter(s.named_by for s in sources)
    n_parts = sum(n - 1 for n in Counter(s.camera_id for s in sources).values())
    lines = [f"{said[way]} ({count_of(counts[way], 'video')})" for way in said if counts[way]]
    if n_parts:
        lines.append(
            f"{n_parts} videos continue a camera of another one, in natural order of their paths"
        )
    if omitted:
        lines.append(f"left out, since cameras.csv does not list them: {', '.join(omitted)}")
    return tuple(lines)
