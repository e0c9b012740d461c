"""The frames of a tracklet as hand-crafted features see them: 128 x 64 pixels, RGB."""

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex

#: Height and width, in pixels, that every crop is stretched to.
SIZE_PX = (128, 64)


def read_frames(
    index: TrackletIndex, tracklet: int, start: int = 0, stop: int | None = None
) -> NDArray[np.uint8]:
    """Frames [start, stop) of the tracklet in row `tracklet` (T, 128, 64, 3), all where `stop` is
    None.

    Errors: CorruptCropError that names an image.
    """
    first, end = index.starts[tracklet : tracklet + 2]
    last = end if stop is None else min(end, first + stop)
    out = np.empty((last - first - start, *SIZE_PX, 3), dtype=np.uint8)
    for place, row in enumerate(range(first + start, last)):
        index.images.decode(row, out=out[place])
    return out


def cut_evenly(length: int, n_parts: int) -> list[slice]:
    """`n_parts` slices of 0 to `length` as even as can be; where there are fewer places than parts,
    some are shown twice, so that no part is empty.

    >>> cut_evenly(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    >>> cut_evenly(1, 2)
    [slice(0, 1, None), slice(0, 1, None)]
    """
    borders = np.arange(n_parts + 1) * length // n_parts
    starts = np.minimum(borders[:-1], length - 1)
    return [slice(int(a), int(max(b, a + 1))) for a, b in zip(starts, borders[1:], strict=True)]
