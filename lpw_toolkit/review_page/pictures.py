"""Pictures of tracklets by number: contact sheets, runs of frames, candidates. A client never sends
a path."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import pyarrow as pa

from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.pages.sprites import draw_strip, sample_positions, tile_width

#: Frames of one picture at most: a JPEG is at most 65,535 pixels wide.
MAX_FRAMES = 128
_MAX_CACHE_BYTES = 48 << 20
_N_AT_ONCE = 2  # drawn at once: the decoder is fast, processors are few
THUMBS = 2  # frames of each candidate
LARGE_PX = 224  # height of a large tile: most crops of street video are lower


class Pictures:
    """Draws strips of frames as JPEG and keeps the last ones. For several threads.

    Args:
        dataset: where the images are.
        base: its tables.
    """

    def __init__(self, dataset: Dataset, base: Base) -> None:
        self._dataset, self._base = dataset, base
        self._names = list(base.tracklets)
        self._cache: OrderedDict[tuple[int, ...], bytes] = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(_N_AT_ONCE)

    def width_of(self, number: int, positions: Sequence[int]) -> int:
        """Width (pixels) of the tiles of `draw` with the same arguments."""
        return tile_width(self._rows(number, positions).select(["width", "height"]).to_pylist())

    def draw(self, number: int, positions: Sequence[int]) -> bytes:
        """JPEG of frames of tracklet `number`, side by side."""
        return self._keep(
            (number, *positions),
            lambda: draw_strip(self._dataset, self._rows(number, positions)).jpeg,
        )

    def draw_large(self, number: int, positions: Sequence[int]) -> bytes:
        """JPEG of frames of tracklet `number`, side by side, at about their own size."""
        return self._keep(
            (-3, number, *positions),
            lambda: draw_strip(self._dataset, self._rows(number, positions), LARGE_PX).jpeg,
        )

    def width_of_rows(self, rows: Sequence[int]) -> int:
        """Width (pixels) of the tiles of `draw_rows`."""
        return tile_width(self._take(rows).select(["width", "height"]).to_pylist())

    def draw_rows(self, rows: Sequence[int]) -> bytes:
        """JPEG of these rows of the table of frames, side by side."""
        return self._keep((-2, *rows), lambda: draw_strip(self._dataset, self._take(rows)).jpeg)

    def draw_several(self, numbers: Sequence[int]) -> bytes:
        """JPEG of THUMBS frames of each of the tracklets, side by side; `width_of_several` has
        their width."""
        return self._keep(
            (-1, *numbers), lambda: draw_strip(self._dataset, self._thumbs(numbers)).jpeg
        )

    def width_of_several(self, numbers: Sequence[int]) -> int:
        """Width (pixels) of the tiles of `draw_several`."""
        return (
            tile_width(self._thumbs(numbers).select(["width", "height"]).to_pylist())
            if numbers
            else 0
        )

    def _rows(self, number: int, positions: Sequence[int]) -> pa.Table:
        known = self._base.tracklets[self._names[number]]
        return self._dataset.frames.slice(known.start, known.n_frames).take(
            pa.array(positions, pa.int64())
        )

    def _take(self, rows: Sequence[int]) -> pa.Table:
        return self._dataset.frames.take(pa.array(rows, pa.int64()))

    def _thumbs(self, numbers: Sequence[int]) -> pa.Table:
        lengths = [self._base.n_frames[self._names[number]] for number in numbers]
        inner = [
            sample_positions(n, THUMBS + 2)[1:-1] if n > THUMBS + 2 else [0, n - 1] for n in lengths
        ]
        return pa.concat_tables(
            [self._rows(n, positions) for n, positions in zip(numbers, inner, strict=True)]
        )

    def _keep(self, key: tuple[int, ...], draw: Callable[[], bytes]) -> bytes:
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        with self._turns:
            jpeg = draw()
        with self._lock:
            if key not in self._cache:
                self._cache[key] = jpeg
                self._n_bytes += len(jpeg)
            while self._n_bytes > _MAX_CACHE_BYTES:
                self._n_bytes -= len(self._cache.popitem(last=False)[1])
        return jpeg
