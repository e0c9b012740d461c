"""Boxes of persons in frames.

`detector` is the contract of a detector (plug-ins in `detectors/`); `detect_stage` runs one over a
video, `pose` finds joints.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.detection.detector import (
        Detector,
        DetectorOptions,
        detector_names,
        open_detector,
    )

__all__ = ["Detector", "DetectorOptions", "detector_names", "open_detector"]

__getattr__, __dir__ = lazy_names(
    __name__, {"detector": "Detector DetectorOptions detector_names open_detector"}
)
