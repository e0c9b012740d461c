"""Tiles: a wide frame in parts that a network of a small square input sees one by one.

frame 16:9 --three tiles side by side, each as high as the frame and overlapping-->
boxes of each --parts of persons that the neighbour has whole go, then NMS--> boxes of the frame
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.boxes import nms
from lpw_toolkit.detection.letterbox import Letterbox, fit_stretched

_EDGE_FRAC = 0.02  # of a tile's width: a box that ends so near to its edge is cut off there
_COVERED_FRAC = 0.5  # of a cut box: so much of it lies within the whole box of the same person


@dataclass(frozen=True)
class Tiling:
    """How frames are cut.

    There is one row of tiles, as few as let none be wider than `max_aspect` times its height: two
    of a frame 4:3, three of 16:9, one of a portrait. Rows cost more than they find: a person who
    stands across two of them is seen twice, in halves.

    Attributes:
        max_aspect: width over height of a tile.
        overlap: share of a tile's width that its neighbour has too.
        nms_iou: of two boxes that overlap more, the one with the lower score is dropped.
    """

    max_aspect: float
    overlap: float
    nms_iou: float

    def cut(self, width: int, height: int, side: int) -> tuple[Letterbox, ...]:
        """The tiles of a frame, from left to right, each stretched over an input of `side` x
        `side`."""
        n_tiles = 1
        while self._tile_width(width, n_tiles) > self.max_aspect * height:
            n_tiles += 1
        tile = min(round(self._tile_width(width, n_tiles)), width)
        lefts = np.linspace(0, width - tile, n_tiles).round().astype(int).tolist()
        return tuple(
            replace(fit_stretched(tile, height, side, side), tile_left=left) for left in lefts
        )

    def _tile_width(self, width: int, n_tiles: int) -> float:
        return width / (n_tiles - (n_tiles - 1) * self.overlap)

    def merge(
        self, found: list[NDArray[np.float32]], tiles: tuple[Letterbox, ...]
    ) -> NDArray[np.float32]:
        """The boxes of all tiles (N, 5) as those of one frame, by descending score."""
        boxes = np.concatenate(found)
        tile = np.repeat(np.arange(len(found)), [len(part) for part in found])
        cut = np.concatenate(
            [_is_cut(part, box, tiles) for part, box in zip(found, tiles, strict=True)]
        )
        whole = (tile[:, None] != tile) & ~cut
        keep = ~(cut & (whole & (_covered(boxes) > _COVERED_FRAC)).any(axis=1))
        boxes = boxes[keep]
        boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
        kept = nms(boxes[:, :4].astype(np.float64), boxes[:, 4].astype(np.float64), self.nms_iou)
        merged: NDArray[np.float32] = boxes[kept]
        return merged


def _is_cut(
    boxes: NDArray[np.float32], tile: Letterbox, tiles: tuple[Letterbox, ...]
) -> NDArray[np.bool_]:
    """Which boxes (N,) of a tile end at an edge with a neighbour behind it."""
    margin = _EDGE_FRAC * tile.frame_width
    left, right = tile.tile_left, tile.tile_left + tile.frame_width
    at_left = (boxes[:, 0] < left + margin) & (tile != tiles[0])
    at_right = (boxes[:, 2] > right - margin) & (tile != tiles[-1])
    return at_left | at_right


def _covered(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share (N, N) of each box, by rows, that lies within each other."""
    corner = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    end = np.minimum(boxes[:, None, 2:4], boxes[None, :, 2:4])
    area: NDArray[np.float32] = (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1)
    shared: NDArray[np.float32] = np.divide((end - corner).clip(0).prod(axis=2), area[:, None])
    return shared
