"""The contract of a pose model: crops in, COCO's 17 key points of the person on each out.

A `.tflite` of the catalogue is BlazePose (`blaze_pose`), a `.pt` a YOLO pose model (`yolo_pose`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.catalogue import find_entry
from lpw_toolkit.networks.weights import choose_default, find_named

N_POINTS = 17
_TASK, _SUFFIXES = "pose", (".tflite", ".pt")

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PoseOptions:
    """How key points are looked for.

    Attributes:
        weights: path or name of a pose model; None takes the only one of the working folder, else
            the catalogue's.
        image_size: longer side of the network's input, in pixels, where the model leaves it open.
    """

    weights: str | None = None
    image_size: int = 320


class PoseModel(Protocol):
    """A pose network, ready.

    Attributes:
        path: its weights.
        sha256: of that file, hex.
        note: how the weights were chosen.
        image_size: longer side of its input, in pixels.
    """

    @property
    def path(self) -> Path:
        """See the class."""

    @property
    def sha256(self) -> str:
        """See the class."""

    @property
    def note(self) -> str:
        """See the class."""

    @property
    def image_size(self) -> int:
        """See the class."""

    def find_points(self, images: Sequence[Pixels]) -> Floats:
        """Key points (N, 17, 3) `x y confidence` of N images (H, W, 3), RGB, in pixels of each;
        sizes may differ.

        An image without a person has zeros.
        """


def open_pose(options: PoseOptions) -> PoseModel:
    """A pose model, loaded without running untrusted code; known weights that are missing are
    fetched.

    Errors: LpwError for missing packages or weights, weights without key points or with others than
    COCO's 17.
    """
    if options.weights is None:
        found = choose_default(_TASK, lambda path: find_entry(path.name, _TASK) is not None)
    else:
        found = find_named(options.weights, _TASK, _SUFFIXES)
    suffix = found.path.suffix.lower()
    if suffix == ".tflite":
        from lpw_toolkit.detection.blaze_pose import open_blaze_pose

        return open_blaze_pose(found)
    if suffix == ".pt":
        from lpw_toolkit.detection.yolo_pose import open_yolo_pose

        return open_yolo_pose(found, options.image_size)
    do = "see `lpw weights list`"
    raise LpwError(found.path, f"a {suffix or 'nameless'} file", " or ".join(_SUFFIXES), do)
