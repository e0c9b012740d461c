"""A few frames of every tracklet, looked at one tracklet after the other: only small numbers are kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.ahead import map_ahead
from lpw_toolkit.cleaning.descriptors import N_NUMBERS, describe
from lpw_toolkit.cleaning.frame_vectors import FrameVectors
from lpw_toolkit.cleaning.looks import Changes, Floats, compare_looks, find_changes
from lpw_toolkit.index import ClipIndex
from lpw_toolkit.progress import show_progress

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Looks:
    """What was seen of N tracklets.

    Attributes:
        positions: of each tracklet, the frames (K,) that were looked at.
        changes: of each tracklet.
        sharpness: of each tracklet (K,), grey levels.
        means: (N, D) mean look.
        within: (D, D) covariance of looks around the mean of their tracklet.
        usual: mean distance of two looks of one tracklet.
    """

    positions: list[Ints]
    changes: list[Changes]
    sharpness: list[NDArray[np.float32]]
    means: Floats
    within: Floats
    usual: float


def look_at(index: ClipIndex, n_looks: int, vectors: FrameVectors | None) -> Looks:
    """Looks at `n_looks` frames of each tracklet at most, evenly spaced.

    Args:
        vectors: embeddings that take the place of colours and edges; frames without one are not looked at.

    Errors: CorruptCropError naming an image that is not the index's.
    """
    dimension = N_NUMBERS if vectors is None else vectors.dimension
    means, within = np.zeros((len(index), dimension)), np.zeros((dimension, dimension))
    positions: list[Ints] = []
    apart: list[NDArray[np.float32]] = []
    sharpness: list[NDArray[np.float32]] = []
    n_more = 0
    with show_progress("look", len(index), "tracklets") as progress:
        for i, (chosen, seen, sharp) in enumerate(_iter_looks(index, n_looks, vectors)):
            if len(chosen):
                means[i] = seen.mean(axis=0)
            off = seen - means[i]
            within += off.T @ off
            n_more += max(len(chosen) - 1, 0)
            positions.append(chosen)
            sharpness.append(sharp)
            apart.append(compare_looks(seen, by_stripe=vectors is None).astype(np.float32))
            progress.advance()
    levels = [float(a.sum()) / (len(a) * (len(a) - 1)) for a in apart if len(a) > 1]
    usual = max(float(np.median(levels)) if levels else 0.0, 1e-6)
    changes = [find_changes(a.astype(np.float64), usual) for a in apart]
    return Looks(positions, changes, sharpness, means, within / max(n_more, 1), usual)


def _iter_looks(
    index: ClipIndex, n_looks: int, vectors: FrameVectors | None
) -> Iterator[tuple[Ints, Floats, NDArray[np.float32]]]:
    def look(i: int) -> tuple[Ints, Floats, NDArray[np.float32]]:
        first, n = int(index.starts[i]), int(index.starts[i + 1] - index.starts[i])
        chosen = np.unique(np.linspace(0, n - 1, min(n_looks, n)).round().astype(np.int64))
        found = [describe(index.images.decode(first + int(p))) for p in chosen]
        sharp = np.array([one.sharpness for one in found], dtype=np.float32)
        if vectors is None:
            return chosen, np.array([one.vector for one in found], dtype=np.float64), sharp
        known = vectors.known[first + chosen]
        return chosen[known], vectors.take(first + chosen[known]), sharp[known]

    return map_ahead(look, range(len(index)))
