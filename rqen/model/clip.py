"""What a method of another kind than RQEN's family sees and keeps of a tracklet.

a tracklet -> FrameReader -> Clip -> the method -> Description     (one tracklet)
                                                -> Descriptions    (all of a dataset)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Clip:
    """The frames of one tracklet.

    Attributes:
        tracklet_id: its name.
        images: (T, H, W, C) uint8 in the order of time; C is 3 (RGB) unless the method has a
            reader of its own.
        camera: number of its camera: cameras in the order of their names, from 0.
        rows: (T,) of the table of frames.
        times_s: (T,) seconds in its video; None where the dataset has no times.
    """

    tracklet_id: str
    images: Pixels
    camera: int
    rows: Ints
    times_s: NDArray[np.float64] | None = None


class FrameReader(Protocol):
    """Reads the frames that a network sees."""

    def read(self, rows: Ints) -> Pixels:
        """Frames (T, H, W, C) uint8: these rows of the table of frames, all of one tracklet,
        ascending. Errors: CorruptCropError that names an image."""

    def mirror(self, images: Pixels) -> Pixels:
        """The mirror image of frames (T, H, W, C); flow changes its sign there."""


class TrainingClips(Protocol):
    """The tracklets that train, read when they are asked for.

    Attributes:
        person: (N,) label of each, from 0, dense.
        camera: (N,) number of its camera.
    """

    person: Ints
    camera: Ints

    def __len__(self) -> int: ...
    def __getitem__(self, place: int) -> Clip: ...

    def map(self, function: Callable[[Clip], Any]) -> Iterator[Any]:
        """`function` of every clip, in order; other processes make it ahead (`--workers`)."""


@dataclass(frozen=True)
class Description:
    """What is kept of one tracklet.

    Attributes:
        vector: (D,) which metrics, re-ranking and other tools take; of a set usually its mean.
        parts: what the method's own distance needs besides: arrays (n, …) of equal n, such as the
            vectors of a set or one map.
    """

    vector: NDArray[np.floating[Any]]
    parts: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Descriptions:
    """What is kept of all tracklets of a dataset.

    Attributes:
        vectors: (N, D) float32, row by row as the table of tracklets; zeros where there is none.
        present: (N,) whether the tracklet is described.
        parts: arrays (M, …), the parts of all tracklets end to end.
        starts: (N + 1,) tracklet i owns the rows `starts[i]` to `starts[i + 1]` of every part.
    """

    vectors: NDArray[np.float32]
    present: NDArray[np.bool_]
    parts: dict[str, NDArray[Any]]
    starts: Ints

    def take(self, tracklets: Ints) -> "Descriptions":
        """Of these tracklets alone, in this order.

        >>> whole = join_descriptions([Description(np.ones(2), {"x": np.arange(3)}), None], 2)
        >>> whole.take(np.array([1, 0])).starts.tolist()
        [0, 0, 3]
        """
        counts = np.diff(self.starts)[tracklets]
        places = np.concatenate(
            [np.arange(self.starts[t], self.starts[t + 1]) for t in tracklets]
            or [np.zeros(0, np.int64)]
        )
        return Descriptions(
            self.vectors[tracklets],
            self.present[tracklets],
            {name: values[places] for name, values in self.parts.items()},
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )


def join_descriptions(
    found: Iterable[Description | None], n_tracklets: int, rows: Sequence[int] | Ints | None = None
) -> Descriptions:
    """Descriptions of a dataset of `n_tracklets`.

    Args:
        found: of the tracklets `rows`, in this order; None for one that cannot be described.
        rows: ascending; None is all.

    Errors: ValueError where none is described.
    """
    places = range(n_tracklets) if rows is None else [int(row) for row in rows]
    kept = {row: one for row, one in zip(places, found, strict=True) if one is not None}
    if not kept:
        raise ValueError("no tracklet is described")
    first = next(iter(kept.values()))
    vectors = np.zeros((n_tracklets, len(first.vector)), dtype=np.float32)
    counts = np.zeros(n_tracklets, dtype=np.int64)
    for row, one in kept.items():
        vectors[row] = one.vector
        counts[row] = len(next(iter(one.parts.values()))) if one.parts else 0
    parts = {
        name: np.concatenate([one.parts[name] for one in kept.values()]) for name in first.parts
    }
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Descriptions(vectors, np.isin(np.arange(n_tracklets), list(kept)), parts, starts)
