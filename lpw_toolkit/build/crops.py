"""Refines the boxes of a tracklet, cuts them out of their frames, resizes and encodes them.

Source: RQEN paper, LPW dataset section: boxes are "fine-tuned so that the area of the pedestrian is
dominant".
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit.boxes import Boxes
from lpw_toolkit.errors import check_range, option_name
from lpw_toolkit.linking.smoothing import SMOOTH_FRAMES, smooth_boxes

LPW_SIZE_PX = (256, 128)


@dataclass(frozen=True)
class CropConfig:
    """How boxes become images.

    Attributes:
        size_px: height and width of every crop; None keeps the pixels of the source.
        jpeg_quality: 1 to 100.
        smooth_frames: standard deviation of the smoothing kernel along the tracklet; 0 leaves the
            boxes as they are.
        min_height_px, min_width_px: smaller boxes are dropped: there is no person to see in them.
        min_aspect, max_aspect: height over width outside of this is no standing or walking person.
        min_inside_frac: share of a box that must lie in the frame.
    """

    size_px: tuple[int, int] | None = LPW_SIZE_PX
    jpeg_quality: int = 95
    smooth_frames: float = SMOOTH_FRAMES
    min_height_px: float = 24.0
    min_width_px: float = 8.0
    min_aspect: float = 0.8
    max_aspect: float = 6.0
    min_inside_frac: float = 0.5

    def __post_init__(self) -> None:
        for side in self.size_px or ():
            check_range("option --size", side, 1, 4096, whole=True)
        check_range(option_name("jpeg_quality"), self.jpeg_quality, 1, 100, whole=True)
        check_range(option_name("smooth_frames"), self.smooth_frames, 0, 1000)
        for name in ("min_height_px", "min_width_px"):
            check_range(option_name(name), getattr(self, name), 0, 65535)
        check_range(option_name("max_aspect"), self.max_aspect, 0, 1000, above=True)
        check_range(
            option_name("min_aspect"), self.min_aspect, 0, self.max_aspect, above=True, below=True
        )
        check_range(option_name("min_inside_frac"), self.min_inside_frac, 0, 1)

    def settings(self) -> dict[str, Any]:
        """The configuration as plain values, for the record."""
        return asdict(self) | {"size_px": list(self.size_px) if self.size_px else "native"}


def refine(
    raw: Boxes, frame_index: NDArray[np.int64], frame_px: tuple[int, int], config: CropConfig
) -> tuple[Boxes, dict[str, NDArray[np.bool_]]]:
    """Refines the boxes of one tracklet.

    Args:
        raw: detector boxes (N, 4) in pixels of the source frame, one per frame.
        frame_index: their frames (N,), ascending.
        frame_px: width and height of the source frame.

    Returns:
        Boxes (N, 4) inside the frame, smoothed along the tracklet, and by reason a mask (N,) of
        those whose shape is not plausible.
    """
    smooth = smooth_boxes(raw, frame_index, config.smooth_frames) if config.smooth_frames else raw
    inside = geometry.clip(smooth, *frame_px)
    return inside, _find_odd_shapes(smooth, inside, config)


def _find_odd_shapes(
    smooth: Boxes, inside: Boxes, config: CropConfig
) -> dict[str, NDArray[np.bool_]]:
    """By reason the boxes (N,) that show no standing or walking person.

    Args:
        smooth: boxes (N, 4) as they are.
        inside: the same, clipped to the frame.
    """
    width, height = inside[:, 2] - inside[:, 0], inside[:, 3] - inside[:, 1]
    aspect = height / np.maximum(width, 1e-9)
    visible = geometry.area(inside) >= config.min_inside_frac * geometry.area(smooth)
    return {
        "too low (--min-height-px)": ~(height >= config.min_height_px),
        "too narrow (--min-width-px)": ~(width >= config.min_width_px),
        "too wide for its height (--min-aspect)": ~(aspect >= config.min_aspect),
        "too high for its width (--max-aspect)": ~(aspect <= config.max_aspect),
        "mostly outside the picture (--min-inside-frac)": ~visible,
    }


def pixel_box(box: NDArray[np.float64], width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels `x1 y1 x2 y2` nearest to a box, inside the frame and at least one pixel wide
    and high."""
    x1, y1, x2, y2 = (int(v) for v in np.rint(box))
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return x1, y1, min(max(x2, x1 + 1), width), min(max(y2, y1 + 1), height)
