"""Mean colour as an embedding: the baseline that a learned one must beat."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings
from lpw_toolkit.files.prefetch import prefetch
from lpw_toolkit.progress import show_progress

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
#: Parts of the height, from above, as RQEN's regions.
REGIONS = (3.0, 2.0, 2.0)


def describe_colours(
    index: TrackletIndex,
    rows: Ints,
    *,
    division: tuple[float, ...] = REGIONS,
    centred: bool = False,
) -> Embeddings:
    """Mean red, green and blue (0 to 1) of each part of the height, the mean over all frames: three
    numbers a part.

    Compare them by Euclidean distance: all colours lie in one corner of the space, where a cosine
    sees little.

    Args:
        index: an opened dataset.
        rows: (n,) tracklets that are described.
        division: parts of the height, from above; `(1,)` is the whole body.
        centred: takes from each tracklet the mean of those of its camera, which undoes a camera's
            colour cast without knowing it, but looks at all tracklets in `rows` at once.

    Errors: CorruptCropError that names an image.
    """
    cuts = np.cumsum(division) / sum(division)
    vectors = np.zeros((len(index), 3 * len(division)), dtype=np.float32)
    frames = np.concatenate([np.arange(index.starts[row], index.starts[row + 1]) for row in rows])
    owner = np.repeat(rows, np.diff(index.starts)[rows])

    def describe(frame: int) -> Floats:
        return measure_colours(index.images.decode(frame), cuts)

    with show_progress("mean colour", len(frames), "images") as progress:
        for row, colours in zip(owner, prefetch(describe, frames.tolist()), strict=True):
            vectors[row] += colours
            progress.advance()
    vectors[rows] /= np.diff(index.starts)[rows][:, None]
    present = np.isin(np.arange(len(index)), rows)
    if centred:
        camera = read_labels(index.tracklets).camera
        for code in np.unique(camera[present]):
            here = present & (camera == code)
            vectors[here] -= vectors[here].mean(axis=0)
    parts = ":".join(f"{part:g}" for part in division)
    name = "mean colour" if len(division) == 1 else f"mean colour of {parts}"
    name += ", camera's mean taken off" if centred else ""
    return Embeddings(
        vectors,
        present,
        EmbeddingFacts(name, None, str(index.dataset.manifest["digest"]), "all"),
        [],
    )


def measure_colours(image: NDArray[np.uint8], cuts: NDArray[np.float64]) -> Floats:
    """Mean colour (3 * R,), 0 to 1, of an image (H, W, 3) between the heights `cuts` (R,), the last
    of which is 1."""
    borders = np.round(np.concatenate([[0.0], cuts]) * len(image)).astype(int)
    tops = np.minimum(
        borders[:-1], len(image) - 1
    )  # an image with fewer rows than parts shows some rows twice
    parts = [
        image[top : max(end, top + 1)].mean(axis=(0, 1))
        for top, end in zip(tops, borders[1:], strict=True)
    ]
    return (np.concatenate(parts) / 255).astype(np.float32)
