"""Appearance of a few frames of every tracklet, one tracklet at a time to bound memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from lpw_toolkit.cleaning.suggest.appearance import (
    AppearanceChanges,
    Floats,
    compare_appearance,
    find_changes,
)
from lpw_toolkit.cleaning.suggest.descriptors import (
    N_CHANNELS,
    N_PORTRAIT,
    describe,
    even_out,
    measure_spread,
)
from lpw_toolkit.cleaning.suggest.frame_vectors import FrameVectors
from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.progress import show_progress

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Appearance:
    """The appearance of N tracklets.

    Attributes:
        positions: of each tracklet, the frames (K,) that were looked at.
        changes: of each tracklet.
        sharpness: of each tracklet (K,), grey levels.
        means: (N, D) mean portrait or embedding, portraits without the contrast of their camera.
        within: (D, D) covariance of these around the mean of their tracklet.
        usual: mean distance of two frames of one tracklet.
    """

    positions: list[Ints]
    changes: list[AppearanceChanges]
    sharpness: list[NDArray[np.float32]]
    means: Floats
    within: Floats
    usual: float


def sample_appearance(
    index: TrackletIndex, n_looks: int, vectors: FrameVectors | None
) -> Appearance:
    """Appearance at `n_looks` frames of each tracklet at most, evenly spaced.

    Args:
        vectors: embeddings that take the place of colours and edges; frames without one are not
            looked at.

    Errors: CorruptCropError naming an image that is not the index's.
    """
    portraits = _Portraits(index, None if vectors is None else vectors.dimension)
    positions: list[Ints] = []
    apart: list[NDArray[np.float32]] = []
    sharpness: list[NDArray[np.float32]] = []
    with show_progress("appearance", len(index), "tracklets") as progress:
        for i, (chosen, seen, portrait, sharp) in enumerate(_iter_looks(index, n_looks, vectors)):
            portraits.add(i, portrait)
            positions.append(chosen)
            sharpness.append(sharp)
            apart.append(compare_appearance(seen, by_stripe=vectors is None).astype(np.float32))
            progress.advance()
    levels = [float(a.sum()) / (len(a) * (len(a) - 1)) for a in apart if len(a) > 1]
    usual = max(float(np.median(levels)) if levels else 0.0, 1e-6)
    changes = [find_changes(a.astype(np.float64), usual) for a in apart]
    return Appearance(positions, changes, sharpness, *portraits.even(), usual)


class _Portraits:
    """Mean and spread of the portraits of tracklets, camera by camera; of embeddings (`dimension`
    numbers) at once."""

    def __init__(self, index: TrackletIndex, dimension: int | None) -> None:
        self._are_ours, n, d = dimension is None, 1, dimension or N_PORTRAIT
        self._camera = np.zeros(len(index), dtype=np.int64)
        if self._are_ours:
            encoded = pc.dictionary_encode(index.dataset.tracklets["camera_id"].combine_chunks())
            self._camera, n = encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)
        self._means = np.zeros((len(index), d))
        self._within = np.zeros((n, d, d))
        self._n = np.zeros(n)
        self._pixels = np.zeros((n, 2, N_CHANNELS))
        self._n_more = 0

    def add(self, row: int, seen: Floats) -> None:
        """`seen`: (K, D), the vectors of tracklet `row`."""
        if not len(seen):
            return
        camera = self._camera[row]
        self._means[row] = seen.mean(axis=0)
        off = seen - self._means[row]
        self._within[camera] += off.T @ off
        self._n_more += len(seen) - 1
        if self._are_ours:
            self._n[camera] += 1
            self._pixels[camera] += measure_spread(seen)

    def even(self) -> tuple[Floats, Floats]:
        """Means (N, D) and the covariance within tracklets (D, D), each camera's contrast taken
        off."""
        factors = np.ones((len(self._n), self._means.shape[1]))
        for camera in np.flatnonzero(self._n):
            mean, square = self._pixels[camera] / self._n[camera]
            factors[camera] = even_out(np.sqrt(np.maximum(square - mean**2, 0)))
        within = (self._within * factors[:, :, None] * factors[:, None, :]).sum(axis=0)
        return self._means * factors[self._camera], within / max(self._n_more, 1)


def _iter_looks(
    index: TrackletIndex, n_looks: int, vectors: FrameVectors | None
) -> Iterator[tuple[Ints, Floats, Floats, NDArray[np.float32]]]:
    def look(i: int) -> tuple[Ints, Floats, Floats, NDArray[np.float32]]:
        first, n = int(index.starts[i]), int(index.starts[i + 1] - index.starts[i])
        chosen = np.unique(np.linspace(0, n - 1, min(n_looks, n)).round().astype(np.int64))
        found = [describe(index.images.decode(first + int(p))) for p in chosen]
        sharp = np.array([one.sharpness for one in found], dtype=np.float32)
        if vectors is None:
            looks, portraits = (
                [getattr(one, name) for one in found] for name in ("vector", "portrait")
            )
            return (
                chosen,
                np.array(looks, dtype=np.float64),
                np.array(portraits, dtype=np.float64),
                sharp,
            )
        known = vectors.known[first + chosen]
        taken = vectors.take(first + chosen[known])
        return chosen[known], taken, taken, sharp[known]

    return prefetch(look, range(len(index)))
