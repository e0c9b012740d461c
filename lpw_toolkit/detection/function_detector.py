"""A detector of the user's own: a Python function from a picture to boxes of persons."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection.detector import (
    NETWORK_OPTIONS,
    SAVED_OPTIONS,
    DetectorOptions,
    Setting,
    check_options,
    refuse_given,
)
from lpw_toolkit.detection.inference import FrameLike
from lpw_toolkit.errors import LpwError

#: From a picture (height, width, 3), BGR, uint8, to (N, 5) `x1 y1 x2 y2 score` in pixels, or to
#: `supervision.Detections`.
BoxFunction = Callable[[NDArray[np.uint8]], Any]


class FunctionDetector:
    """Persons found by a function; see `detector.Detector`.

    Args:
        function: gets each frame once, in order; its answer holds persons only.
        options: its `min_score`, where given, drops boxes; every other option belongs to networks.
        name: under which it is recorded; by default its qualified name.
        version: says that the same name and version give the same boxes: they are then kept for
            other builds.

    Errors: LpwError for options of networks.

    >>> detector = FunctionDetector(lambda picture: [[1, 2, 9, 30, 0.5]], name="mine", version="1")
    >>> detector.settings
    {'name': 'mine', 'version': '1', 'min_score': 'none'}
    """

    needs_images = True

    def __init__(
        self,
        function: BoxFunction,
        options: DetectorOptions | None = None,
        *,
        name: str | None = None,
        version: str | None = None,
    ) -> None:
        options = options or DetectorOptions()
        check_options(options)
        refuse_given(options, (*NETWORK_OPTIONS, *SAVED_OPTIONS), "beside a detector of your own")
        self.function, self.version, self.min_score = function, version, options.min_score
        self.name = name or _qualified_name(function)
        self.startup_s = 0.0
        self.settings: dict[str, Setting] = {
            "name": self.name,
            "version": version or "",
            "min_score": "none" if options.min_score is None else options.min_score,
        }
        kept = "kept for other builds" if version else "not kept for other builds: no version"
        self.notes = [f"detector {self.name}, a function of your own ({kept})"]

    def detect(
        self, frames: Iterable[FrameLike], video: object
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Boxes of every frame that is no duplicate. Errors: LpwError for answers that are no
        boxes."""
        for frame in frames:
            if frame.duplicate:
                continue
            if frame.image is None:
                raise ValueError(f"frame {frame.index} comes without its image")
            # A copy: the function may keep it, or draw into it.
            found = self._read(self.function(frame.image.copy()), frame.index)
            limit = np.array([frame.width, frame.height] * 2)
            found[:, :4] = found[:, :4].clip(0, limit)
            good = (found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1])
            if self.min_score is not None:
                good &= found[:, 4] > self.min_score
            found = found[good]
            yield frame.index, found[np.argsort(-found[:, 4], kind="stable")].astype(np.float32)

    def _read(self, answer: Any, index: int) -> NDArray[np.float64]:
        found = _as_array(answer)
        fault = _find_fault(found)
        if fault is not None:
            raise LpwError(
                f"detector {self.name}",
                f"{fault} for frame {index}",
                "(N, 5) x1 y1 x2 y2 score, with scores from 0 to 1, or supervision.Detections",
                "correct the function",
            )
        return found


def _qualified_name(function: BoxFunction) -> str:
    of = function if hasattr(function, "__qualname__") else type(function)
    return f"{of.__module__}.{of.__qualname__}"


def _as_array(answer: Any) -> NDArray[np.float64]:
    if hasattr(answer, "xyxy"):
        boxes = np.asarray(answer.xyxy, dtype=np.float64).reshape(-1, 4)
        scores = answer.confidence
        scores = np.ones(len(boxes)) if scores is None else np.asarray(scores, dtype=np.float64)
        return np.concatenate([boxes, scores[:, None]], axis=1)
    found = np.array(answer, dtype=np.float64)
    return found.reshape(0, 5) if found.size == 0 else found


def _find_fault(found: NDArray[np.float64]) -> str | None:
    if found.ndim != 2 or found.shape[1] != 5:
        return f"an array {'x'.join(map(str, found.shape)) or 'of one number'}"
    if not np.isfinite(found).all():
        return "NaN or infinite numbers"
    scores = found[:, 4]
    if ((scores < 0) | (scores > 1)).any():
        return f"scores from {scores.min():.4g} to {scores.max():.4g}"
    if (found[:, 2:4] < found[:, :2]).any():
        return "a box that ends before it begins"
    return None
