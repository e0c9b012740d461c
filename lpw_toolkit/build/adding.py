"""Adds videos to a dataset (`lpw build-tracklets --add-to`): what is new, and the settings that
old and new share.

videos that the dataset has, same bytes -> their tracklets, images and ids stay
new videos                              -> detected, linked and cropped with its own settings
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lpw_toolkit.build.assembly import BuildSettings, Notes
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.build.kept_videos import KeptVideos
from lpw_toolkit.build.source_hash import hash_source
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.manifest import MANIFEST
from lpw_toolkit.dataset.plan_changes import compare_plans
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.errors import LpwError, MismatchError, join_names
from lpw_toolkit.linking.config import LinkConfig
from lpw_toolkit.linking.rule import make_link_config
from lpw_toolkit.video.sources import SourceList

#: What a detector records of its input and of the machine, and what is no setting of the user's.
_NO_SETTINGS = ("files_sha256", "runtime_version", "weights")
_DO = "leave these options out, or build a dataset of its own and join both with `lpw merge`"


@dataclass(frozen=True)
class GivenSettings:
    """What a user has said of a build; all else is as the dataset records it.

    Attributes:
        detector: name of the detector.
        detection, link, crop: fields of `DetectorOptions`, `LinkConfig` (and of added rules) and
            `CropConfig` that were given.
        preset: of the linker; None where none was given.
        notes: name, licence and consent; None where the dataset's own hold.
        segment_frames: see `BuildSettings`.
    """

    detector: str | None = None
    detection: Mapping[str, Any] = field(default_factory=dict)
    link: Mapping[str, Any] = field(default_factory=dict)
    crop: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    notes: Notes = field(default_factory=Notes)
    segment_frames: int = BuildSettings().segment_frames


def collect_given(settings: Mapping[str, Any], options: DetectorOptions) -> GivenSettings:
    """What was given by name, dealt to what it is a field of; of two with the same field the first
    takes it: linking, cropping, notes.

    Args:
        options: of the detector; those that have not their default value were given too.
    """
    left = dict(settings)
    link, crop, notes = (
        {kind.name: left.pop(kind.name) for kind in fields(config) if kind.name in left}
        for config in (LinkConfig, CropConfig, Notes)
    )
    plain = DetectorOptions()
    changed = {
        kind.name: getattr(options, kind.name)
        for kind in fields(options)
        if kind.name in left or getattr(options, kind.name) != getattr(plain, kind.name)
    }
    return GivenSettings(detection=changed, link=link, crop=crop, notes=Notes(**notes))


def keep_settings(base: Dataset, given: GivenSettings) -> BuildSettings:
    """Linking, cropping and notes of `base`.

    Errors: LpwError for a dataset that was not built from video, and for settings other than its
    own, each by its name.
    """
    recorded = _read_settings(base)
    link = make_link_config("default", recorded["link"])
    crop = _read_crop(base, recorded["crop"])
    asked_link = (
        make_link_config("default", {**link.to_settings(), **given.link})
        if given.preset is None
        else make_link_config(given.preset, given.link)
    )
    asked_crop = replace(crop, **given.crop)
    _refuse_other(base, _record(link, crop), _record(asked_link, asked_crop))
    manifest, notes = base.manifest, given.notes
    notes = Notes(
        notes.name,
        notes.licence or manifest.get("licence"),
        notes.consent or manifest.get("consent"),
    )
    return BuildSettings(link, crop, notes, given.segment_frames)


def _read_settings(base: Dataset) -> dict[str, Any]:
    settings = base.manifest.get("settings", {})
    stages = all(isinstance(settings.get(stage), dict) for stage in ("detect", "link", "crop"))
    if not stages or "clean" in settings or not base.manifest.get("sources"):
        what = "a cleaned dataset" if "clean" in settings else "a dataset that has other origins"
        hint = (
            "add the videos to the dataset that was reviewed, whose decisions carry over"
            if "clean" in settings
            else "build one of the new videos, and join both with `lpw merge`"
        )
        raise LpwError(f"--add-to {base.root}", what, "one that lpw built from video", hint)
    return dict(settings)


def _read_crop(base: Dataset, recorded: dict[str, Any]) -> CropConfig:
    known = {kind.name for kind in fields(CropConfig)}
    size = recorded.get("size_px")
    if recorded.keys() - known or not (
        size == "native" or (isinstance(size, list) and len(size) == 2)
    ):
        raise MismatchError(
            base.root / MANIFEST,
            "settings of cropping that this version does not know",
            ", ".join(sorted(known)),
            "use the lpw version that wrote it",
        )
    return CropConfig(**recorded | {"size_px": tuple(size) if isinstance(size, list) else None})


def _record(link: LinkConfig, crop: CropConfig) -> dict[str, Any]:
    return {"link": link.to_settings(), "crop": crop.settings()}


def _refuse_other(base: Dataset, own: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Errors: LpwError naming each setting that differs, with both values."""
    changes = compare_plans({"settings": own}, {"settings": asked})
    if changes.n_changes:
        got = f"other settings than {base.name} has ({changes})"
        raise LpwError(f"--add-to {base.root}", got, "the settings of the dataset", _DO)


def keep_detector(base: Dataset, given: GivenSettings) -> tuple[str, DetectorOptions]:
    """The detector of `base` by name, with the options that it was opened with.

    Errors: LpwError for another detector, or where saved boxes are needed and not given.
    """
    recorded = _read_settings(base)["detect"]
    name = str(recorded.get("name"))
    asked = given.detector or ("boxes" if given.detection.get("boxes") else name)
    _refuse_other(base, {"detector": name}, {"detector": asked})
    known = {kind.name for kind in fields(DetectorOptions)} & recorded.keys()
    options = {key: recorded[key] for key in known}
    weights = options.get("weights")
    if not (isinstance(weights, str) and weights == Path(weights).name):
        options["weights"] = None  # a stranger's dataset names no place on this machine
    options |= given.detection
    if isinstance(options.get("min_score"), float) and options["min_score"] < 0:
        options["min_score"] = None  # as saved boxes record that all were taken
    if name == "boxes" and not options.get("boxes"):
        got = "a dataset of saved boxes, and no boxes of the new videos"
        raise LpwError(f"--add-to {base.root}", got, "their boxes", "give them with --boxes")
    return name, DetectorOptions(**options)


def refuse_other_detector(base: Dataset, settings: Mapping[str, Any]) -> list[str]:
    """Compares what an open detector records with what `base` records; a line for each thing that
    differs and is no setting.

    Errors: LpwError for other settings, each by its name.
    """
    recorded = base.manifest["settings"]["detect"]
    own, opened = (
        {key: value for key, value in one.items() if key not in _NO_SETTINGS}
        for one in (recorded, settings)
    )
    _refuse_other(base, {"detect": own}, {"detect": opened})
    was, now = (one.get("runtime_version") for one in (recorded, settings))
    line = f"runtime_version is {now}; the videos of {base.name} were detected with {was}"
    return [line] if was != now else []


def find_new_videos(
    base: Dataset, found: SourceList, log: Callable[[str], None] = lambda line: None
) -> SourceList:
    """The videos among `found` that `base` has not; videos that failed there are tried again.

    Args:
        log: gets a line that counts what is new, known and not there.

    Errors: LpwError where nothing is new, or a film comes under two names; MismatchError naming
    videos that have changed since.
    """
    entries = [entry for entry in base.manifest["sources"] if "error" not in entry]
    known = {entry["video_id"]: entry.get("sha256") for entry in entries}
    path_of = {entry.get("sha256"): entry["path"] for entry in entries}
    new, changed, again, there = [], [], [], set()
    for source in found.sources:
        sha256 = hash_source(source.path, source.sequence)["sha256"]
        if source.video_id in known:
            there.add(source.video_id)
            changed += [source.relative] * (known[source.video_id] != sha256)
        elif sha256 in path_of:
            again.append(f"{source.relative} is {path_of[sha256]}")
        else:
            new.append(source)
    if changed:
        hint = "give a new film a name of its own; a film that was replaced needs a new dataset"
        raise MismatchError(
            join_names(changed), "a video that has changed since", f"that of {base.name}", hint
        )
    if again:
        got = f"videos that {base.name} has under another name ({join_names(again)})"
        raise LpwError("--add-to", got, "each film once", "take them out, or name them as before")
    if not new:
        got = f"no video that {base.name} lacks ({len(there)} are in both)"
        raise LpwError("--add-to", got, "a new video", "there is nothing to add")
    absent = [entry["path"] for entry in entries if entry["video_id"] not in there]
    cameras = {entry.get("camera_id") for entry in entries}
    for source in new:
        goes_on = f", goes on with camera {source.camera_id}" if source.camera_id in cameras else ""
        log(f"new: {source.relative}{goes_on}")
    if there:
        log(f"in {base.name} already, and kept: {len(there)} videos")
    if absent:
        log(f"not here, and kept as they are in {base.name}: {join_names(absent)}")
    return replace(found, sources=tuple(new))


def keep_videos(base: Dataset, new: SourceList, detect: Mapping[str, Any]) -> KeptVideos:
    """What stays of `base`.

    Args:
        new: the videos that are added.
        detect: settings of the detector as it is open now; what differs from those of `base` is
            recorded.
    """
    own = base.manifest["settings"]["detect"]
    other = {key: value for key, value in detect.items() if own.get(key) != value}
    return KeptVideos(base, {"videos": [one.video_id for one in new.sources], "detect": other})
