"""The contract of a pose model: crops in, COCO's 17 key points of the person on each out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

N_POINTS = 17
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


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
