"""The contract of a detector: a frame in, person boxes out. Detectors are files in `detectors/`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection.inference import FrameLike
from lpw_toolkit.errors import LpwError, check_range, option_name
from lpw_toolkit.networks.catalogue import find_by_sha256, find_entry
from lpw_toolkit.networks.weights import FoundWeights, choose_default, find_named
from lpw_toolkit.plugins import PluginFolder

DETECTORS = PluginFolder("lpw_toolkit.detection.detectors", "detector")
Setting = str | int | float | bool
_DEFAULT = "ultralytics"
_TASK = "person detector"
_SAVED = ("boxes", "box_scores")
_NETWORK = (
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
        min_score: drop boxes with this score or less, in [0, 1); None is 0.25 for networks (ssd
            0.15), all boxes with --boxes.
        nms_iou: of two boxes of one frame that overlap more, drop the one with the lower score;
            None is 0.7 (ssd 0.4).
        image_size: long side of the network's input in pixels.
        batch_size: frames per run of the network; None is the fastest for the runtime.
        precision: auto | float32 | bfloat16.
        runtime: auto | torch | openvino | onnxruntime.
        threads: inference threads; None is one per processor.
    """

    weights: str | None = None
    boxes: Path | None = None
    box_scores: str = "fraction"
    min_score: float | None = None
    nms_iou: float | None = None
    image_size: int = 640
    batch_size: int | None = None
    precision: str = "auto"
    runtime: str = "auto"
    threads: int | None = None


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
    """The detector for saved boxes or for the type of the weights file; `ultralytics` without
    either.

    >>> choose_detector(DetectorOptions(weights="yolox_s.onnx"))
    'onnx'
    """
    if options.boxes is not None:
        return "boxes"
    suffix = Path(options.weights or "").suffix.lower()
    readers = [name for name in DETECTORS.names() if suffix in _suffixes_of(name)]
    return readers[0] if readers else _DEFAULT


def _suffixes_of(name: str) -> tuple[str, ...]:
    return getattr(DETECTORS.load(name), "SUFFIXES", ())


def open_detector(name: str | None, options: DetectorOptions) -> Detector:
    """Loads detector `name`; without a name the weights that are given, or found, choose it.

    Errors: LpwError for an unknown name, missing packages, weights that do not fit, or none that
    can be had.
    """
    check_options(options)
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
        _refuse_given(options, _SAVED, f"beside detector {name}, which reads the images")
    return detector


def _find_weights(given: str | None) -> FoundWeights:
    suffixes = tuple(suffix for name in DETECTORS.names() for suffix in _suffixes_of(name))
    return choose_default(_TASK, _fits) if given is None else find_named(given, _TASK, suffixes)


def _fits(path: Path) -> bool:
    """Whether a file of the working folder is a detector's, by its name."""
    modules = (
        DETECTORS.load(name) for name in DETECTORS.names() if path.suffix in _suffixes_of(name)
    )
    kinds = (module.WEIGHTS for module in modules)
    other = find_entry(path.name)
    return any(kind.matches(path.name) for kind in kinds) and (other is None or other.task == _TASK)


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
        _refuse_given(options, _NETWORK, "beside --boxes, where no network runs")


def _refuse_given(options: DetectorOptions, names: tuple[str, ...], where: str) -> None:
    plain = DetectorOptions()
    for name in names:
        value = getattr(options, name)
        if value != getattr(plain, name):
            raise LpwError(
                option_name(name), f"{value} {where}", "one or the other", "leave one out"
            )
