"""The contract of a detector: a frame in, person boxes out. Detectors are files in `detectors/`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection.inference import FrameLike
from lpw_toolkit.errors import LpwError, check_range, option_name
from lpw_toolkit.files.opening import follow_links, is_file
from lpw_toolkit.networks.catalogue import find_by_sha256, find_entry
from lpw_toolkit.networks.weights import FoundWeights, choose_default, find_named, read_weights
from lpw_toolkit.plugins import PluginFolder

DETECTORS = PluginFolder("lpw_toolkit.detection.detectors", "detector")
Setting = str | int | float | bool
_DEFAULT = "ultralytics"
_TASK = "person detector"
SAVED_OPTIONS = (
    "boxes",
    "box_scores",
    "first_frame",
    "box_classes",
    "strict",
    "box_geometry",
)
NETWORK_OPTIONS = (
    "weights",
    "nms_iou",
    "image_size",
    "batch_size",
    "precision",
    "runtime",
    "threads",
)


@dataclass(frozen=True)
class DetectorOptions:
    """The options of all detectors; each reads its own.

    Attributes:
        weights: a weights file, or a name of `lpw weights list`, which is fetched where it is
            missing; None takes the only detector of the working folder, else a known one.
        boxes: saved boxes: a MOT text, a detections Parquet, or a folder with one of them per video
            id.
        box_scores: what a MOT text's seventh column holds: fraction | percent | log_odds.
        first_frame: number that a MOT text gives the first frame of the video; None is 1, or 0
            where the text holds a frame 0.
        box_classes: classes of a MOT text with a class column that count, for example 1,2 or all;
            None is 1, the pedestrians of MOT16 and later.
        strict: refuse saved boxes with a row at fault, or outside the video, in place of leaving
            them out.
        min_score: drop boxes with this score or less, in [0, 1); None is 0.25 for networks (ssd
            0.15, nanodet 0.4), all boxes with --boxes.
        nms_iou: of two boxes of one frame that overlap more, drop the one with the lower score;
            None is 0.7 (ssd 0.4, nanodet 0.6, detr none).
        image_size: long side of the network's input in pixels.
        batch_size: frames per run of the network; None is the fastest for the runtime.
        precision: auto | float32 | bfloat16.
        runtime: auto | torch | openvino | onnxruntime; each detector has its own.
        threads: inference threads; None is one per processor.
        box_geometry: what saved boxes count where pixels are not square: auto | stored | display;
            auto is stored for MOT text, as OpenCV and ffmpeg give pictures, and display for
            Parquet.
    """

    weights: str | None = None
    boxes: Path | None = None
    box_scores: str = "fraction"
    first_frame: int | None = None
    box_classes: str | None = None
    strict: bool = False
    min_score: float | None = None
    nms_iou: float | None = None
    image_size: int = 640
    batch_size: int | None = None
    precision: str = "auto"
    runtime: str = "auto"
    threads: int | None = None
    box_geometry: str = "auto"


class VideoLike(Protocol):
    """The fields of a source that a detector reads (`sources.Source`)."""

    @property
    def video_id(self) -> str:
        """The id of the video in every table."""

    @property
    def relative(self) -> str:
        """Its path below the source folder, POSIX."""


class Detector(Protocol):
    """A detector, open and ready.

    Attributes:
        name: name of its file.
        needs_images: False where `Frame.image` is never read.
        settings: everything that changes the result; part of the key under which detections are
            reused.
        notes: what was chosen for the user, one line each.
        startup_s: seconds spent on loading and conversion so far; no setting.

    A detector of saved boxes may also have `takes_stored(video)`: whether the boxes of a video
    count pixels of the stored pictures, before pixels were made square.

    A detector that does not read images may also have `remarks`: for each video id what was left
    out, one line each. They are recorded with the video.
    """

    name: str
    needs_images: bool
    settings: dict[str, Setting]
    notes: list[str]
    startup_s: float

    def detect(
        self, frames: Iterable[FrameLike], video: VideoLike
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Boxes of persons of every frame that is no duplicate, in order, once.

        Yields:
            frame index and boxes (N, 5) `x1 y1 x2 y2 score`: pixels of the displayed frame, clipped
            to it, by descending score.
        """


def detector_names() -> list[str]:
    """The names of all detectors."""
    return DETECTORS.names()


def choose_detector(options: DetectorOptions) -> str:
    """The detector for saved boxes or for the weights file, told by its suffix and, where several
    detectors read that, by what the file says of its inputs and outputs; `ultralytics` without
    either.

    Errors: LpwError for a file that no detector reads.

    >>> choose_detector(DetectorOptions(weights="yolox_s.onnx"))
    'onnx'
    """
    if options.boxes is not None:
        return "boxes"
    if options.weights is None:
        return _DEFAULT
    suffix = Path(options.weights).suffix.lower()
    readers = _find_readers(suffix)
    if len(readers) == 1:
        return next(iter(readers))
    if readers:
        return _choose_by_ports(options.weights, readers)
    modules = {name: DETECTORS.load(name) for name in DETECTORS.names()}
    if is_file(follow_links(Path(options.weights))):
        raise _refuse_weights(options.weights, f"a {suffix or 'nameless'} file", modules)
    return _choose_by_name(options.weights, modules)


def _find_readers(suffix: str) -> dict[str, Any]:
    modules = {name: DETECTORS.load(name) for name in DETECTORS.names()}
    return {n: m for n, m in modules.items() if suffix in getattr(m, "SUFFIXES", ())}


def _choose_by_ports(weights: str, readers: dict[str, Any]) -> str:
    """Of several detectors for one suffix the one that accepts the model; for a file that is not
    there the one whose names it bears, which says where it looked."""
    from lpw_toolkit.networks.onnx_ports import read_ports

    path = Path(weights)
    if not is_file(follow_links(path)):
        return _choose_by_name(weights, readers)
    ports = read_ports(read_weights(path))
    for name, module in readers.items():
        if module.accepts(ports):
            return name
    raise _refuse_weights(path, str(ports), readers)


def _choose_by_name(weights: str, readers: dict[str, Any]) -> str:
    kinds = {n: m.WEIGHTS for n, m in readers.items() if hasattr(m, "WEIGHTS")}
    given = Path(weights).name
    named = [n for n, k in kinds.items() if k.matches(given) or k.matches(given + k.suffix)]
    if _DEFAULT in named or (not named and _DEFAULT in readers):
        return _DEFAULT
    return (named or list(readers))[0]


def _refuse_weights(thing: object, got: str, readers: dict[str, Any]) -> LpwError:
    kinds = [f"{module.READS} ({n})" for n, module in readers.items() if hasattr(module, "READS")]
    do = "choose another model, or give the boxes that it found with --boxes"
    return LpwError(thing, got, "; ".join(kinds), do)


def open_detector(name: str | None, options: DetectorOptions) -> Detector:
    """Loads detector `name`; without a name the weights that are given, or found, choose it.

    Errors: LpwError for an unknown name, missing packages, weights that do not fit, or none that
    can be had.
    """
    check_options(options)
    if name not in (None, "boxes") and options.boxes is not None:
        refuse_given(options, SAVED_OPTIONS, f"beside detector {name}, which reads the images")
    found = None if name or options.boxes is not None else _find_weights(options.weights)
    if found is not None:
        options = replace(options, weights=str(found.path))
    name = name or choose_detector(options)
    detector = cast(Detector, DETECTORS.load(name).open_detector(options))
    if found is not None:
        rest = (note for note in detector.notes if not note.startswith(f"weights {found.path} ("))
        known = find_by_sha256(str(detector.settings.get("weights_sha256")))
        told = [f"known as {known.name}: {known.describe()}"] if known and not found.entry else []
        detector.notes = [found.note, *told, *rest]
    if detector.needs_images:
        refuse_given(options, SAVED_OPTIONS, f"beside detector {name}, which reads the images")
    return detector


def _find_weights(given: str | None) -> FoundWeights:
    if given is None:
        return choose_default(_TASK, _fits)
    modules = map(DETECTORS.load, DETECTORS.names())
    suffixes = {suffix for module in modules for suffix in getattr(module, "SUFFIXES", ())}
    return find_named(given, _TASK, tuple(sorted(suffixes)))


def _fits(path: Path) -> bool:
    """Whether a file of the working folder is a detector's: by its name, and where several
    detectors read such files by what it says of its inputs and outputs."""
    other = find_entry(path.name)
    if other is not None and other.task != _TASK:
        return False
    readers = _find_readers(path.suffix.lower())
    if len(readers) <= 1:
        return any(module.WEIGHTS.matches(path.name) for module in readers.values())
    try:
        _choose_by_ports(str(path), readers)
    except LpwError:
        return False
    return True


def check_options(options: DetectorOptions) -> None:
    """Errors: LpwError for numbers outside their range, and for network options beside saved
    boxes."""
    if options.min_score is not None:
        check_range("option --conf", options.min_score, 0, 1, below=True)
    if options.nms_iou is not None:
        check_range("option --nms-iou", options.nms_iou, 0, 1, above=True)
    check_range("option --image-size", options.image_size, 32, 8192, whole=True)
    for name in ("batch_size", "threads"):
        if getattr(options, name) is not None:
            check_range(option_name(name), getattr(options, name), 1, 1024, whole=True)
    if options.boxes is not None:
        refuse_given(options, NETWORK_OPTIONS, "beside --boxes, where no network runs")


def refuse_image_size(options: DetectorOptions, side: int) -> None:
    """Errors: LpwError for another size than `side`, the only one that the network takes."""
    if options.image_size not in (side, DetectorOptions().image_size):
        got, expected = f"{options.image_size}", f"{side}, the only size of this network"
        raise LpwError("option --image-size", got, expected, "leave it out")


def refuse_given(options: DetectorOptions, names: tuple[str, ...], where: str) -> None:
    """Errors: LpwError where one of these options is given."""
    plain = DetectorOptions()
    for name in names:
        value = getattr(options, name)
        if value != getattr(plain, name):
            raise LpwError(
                option_name(name), f"{value} {where}", "one or the other", "leave one out"
            )
