"""Flow images of a dataset, kept in the user's cache: made once, read by every training and test.

    ~/.cache/lpw/flow/<key>/000000.flow    the flow images of 2,048 rows of the table of frames
                           /000001.flow    and so on; only those that somebody needed

The key is a digest of the dataset (which vouches for its images) and of the settings, so that other
images never get this flow. A file begins with the SHA-256 of the rest; one that is broken is made
again. Files are published whole, and processes that want the same ones wait for each other. Without
a cache, or without room in it, flow is made whenever it is asked for.
"""

import hashlib
import json
import mmap
import os
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.schema import FRAMES
from lpw_toolkit.errors import OutputError
from lpw_toolkit.files.estimate import describe_bytes
from lpw_toolkit.files.home import cache_folder, note_no_cache
from lpw_toolkit.files.limits import limit
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.locking import lock_folder
from lpw_toolkit.files.opening import exists, is_folder, measure, open_file
from lpw_toolkit.files.writing import atomic_write, make_folder, remove_folder
from lpw_toolkit.progress import say_note, say_once, show_progress
from rqen.data.prefetch import iter_ahead
from rqen.flow.optical_flow import FlowSettings, compute_flow_images

Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]

#: Raised whenever the same settings would give other numbers.
_FORMAT = 1
_ROWS = 2048  # of the table of frames, in one file: 12.6 MB at 64 x 48
_DIGEST_BYTES = hashlib.sha256().digest_size


class FlowCache:
    """The flow images of a dataset.

    Args:
        index: the opened dataset.
        settings: how flow is made.
        root: folder of all caches of flow; None: none is kept.
    """

    def __init__(self, index: TrackletIndex, settings: FlowSettings, root: Path | None) -> None:
        self.index, self.settings = index, settings
        facts = [_FORMAT, index.dataset.digest, cv2.__version__, asdict(settings)]
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
        self.folder = None if root is None else root / key
        self._maps: dict[int, Pixels] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    def read(self, first: int, end: int) -> Pixels:
        """Flow images (n, h, w, 2) of the rows [first, end) of the table of frames; that of the
        first frame of a tracklet is 127 everywhere.

        Errors: CorruptCropError that names an image.
        """
        parts = []
        while first < end:
            piece = first // _ROWS
            stop = min(end, (piece + 1) * _ROWS)
            held = self._open(piece)
            if held is None:
                parts.append(self._compute(first, stop))
            else:
                parts.append(held[first - piece * _ROWS : stop - piece * _ROWS])
            first = stop
        return np.concatenate(parts) if len(parts) != 1 else np.array(parts[0])

    def prepare(self, tracklets: Ints, n_workers: int = 0) -> None:
        """Makes the files that these rows of the table of tracklets need, and says how large they
        are; no file where the cache takes none.

        Args:
            n_workers: processes that make them.

        Errors: CorruptCropError that names an image.
        """
        if self.folder is None or not len(tracklets):
            return
        starts = self.index.starts
        spans = [(int(starts[t]) // _ROWS, int(starts[t + 1] - 1) // _ROWS) for t in tracklets]
        wanted = sorted({piece for first, last in spans for piece in range(first, last + 1)})
        try:
            make_folder(self.folder)
            with lock_folder(self.folder, lambda: say_note("flow: waits for another process")):
                self._make([p for p in wanted if self._open(p) is None], n_workers)
        except (OSError, OutputError) as error:
            note_no_cache(self.folder, error)

    def _make(self, missing: list[int], n_workers: int) -> None:
        """Makes and publishes these files, as many as there is room for. Errors: OSError."""
        folder = self.folder
        assert folder is not None
        with suppress(OSError):
            os.utime(folder)  # the caches of flow that were used longest ago go first
        if not missing:
            return
        missing = missing[: self._make_room(folder, len(missing))]
        n_frames = sum(self._end(p) - p * _ROWS for p in missing)
        size = describe_bytes(n_frames * self.settings.n_bytes_per_frame)
        say_note(f"flow of {n_frames:,} frames: {size} in {folder}")
        pieces = _Pieces(self, missing)
        with (
            show_progress("flow", n_frames, "images") as progress,
            closing(iter_ahead(pieces, n_workers)) as made,
        ):
            for piece, images in zip(missing, made, strict=True):
                data = images.numpy().tobytes()
                atomic_write(self._file(piece), hashlib.sha256(data).digest() + data)
                progress.advance(len(images))

    def _make_room(self, folder: Path, n_pieces: int) -> int:
        """How many of the files may be made within `--limit flow_bytes`, after caches of other
        flow, which were used longest ago, are gone."""
        piece_bytes = _ROWS * self.settings.n_bytes_per_frame
        others = [(o.stat().st_mtime, o) for o in list_folder(folder.parent)
                  if o != folder and is_folder(o)]  # fmt: skip
        sizes = {o: sum(map(measure, list_folder(o))) for _, o in others}
        room = limit("flow_bytes") - sum(map(measure, list_folder(folder))) - sum(sizes.values())
        for _, other in sorted(others):
            if room >= n_pieces * piece_bytes:
                break
            say_note(f"flow: {other} is removed to make room (--limit flow_bytes=N keeps more)")
            remove_folder(other)
            room += sizes[other]
        n = max(0, room // piece_bytes)
        if n < n_pieces:
            say_note("flow: not all of it fits in the cache (--limit flow_bytes=N keeps more); the "
                     "rest is made whenever it is asked for")  # fmt: skip
        return min(n, n_pieces)

    def _file(self, piece: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{piece:06d}.flow"

    def _end(self, piece: int) -> int:
        """The row after the last one of a file."""
        return min((piece + 1) * _ROWS, int(self.index.starts[-1]))

    def _open(self, piece: int) -> Pixels | None:
        """The flow images of a file; None where it is not there, or broken (which is said once)."""
        if piece in self._maps:
            return self._maps[piece]
        if self.folder is None or not exists(self._file(piece)):
            return None
        shape = (self._end(piece) - piece * _ROWS, self.settings.stored_height,
                 self.settings.stored_width, 2)  # fmt: skip
        try:
            descriptor = open_file(self._file(piece))
            try:
                memory = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
            finally:
                os.close(descriptor)
        except (OSError, ValueError):  # an empty file cannot be mapped
            memory = b""
        body = memoryview(memory)[_DIGEST_BYTES:]
        whole = len(body) == int(np.prod(shape))
        if not whole or hashlib.sha256(body).digest() != memory[:_DIGEST_BYTES]:
            say_once(f"flow: {self._file(piece)} is broken and is not used", about=f"flow{piece}")
            return None
        self._maps[piece] = np.frombuffer(body, dtype=np.uint8).reshape(shape)
        return self._maps[piece]

    def _compute(self, first: int, end: int) -> Pixels:
        """Flow images of these rows from the images."""
        index, size = self.index, (self.settings.height, self.settings.width)
        edges = np.unique(np.clip(index.starts, first, end))
        parts = []
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            tracklet = int(np.searchsorted(index.starts, start, side="right")) - 1
            begin = max(start - 1, int(index.starts[tracklet]))  # the frame before, where there is
            images = np.stack([index.images.decode(row, size) for row in range(begin, stop)])
            parts.append(compute_flow_images(images, self.settings)[start - begin :])
        return np.concatenate(parts)

    def compute_piece(self, piece: int) -> Pixels:
        """The flow images of one file, made anew."""
        return self._compute(piece * _ROWS, self._end(piece))


class _Pieces(Dataset):
    """The contents of these files, in their order."""

    def __init__(self, cache: FlowCache, pieces: list[int]) -> None:
        self._cache, self._pieces = cache, pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, place: int) -> Tensor:
        return torch.from_numpy(self._cache.compute_piece(self._pieces[place]))


def open_flow(index: TrackletIndex, settings: FlowSettings) -> FlowCache:
    """The flow of a dataset, in the cache of the user where there is one.

    A dataset that knows neither number nor time of its frames is taken to hold consecutive ones, as
    published datasets do; that is said.
    """
    _note_unknown_times(index)
    cache = cache_folder()
    return FlowCache(index, settings, None if cache is None else cache / "flow")


def _note_unknown_times(index: TrackletIndex) -> None:
    table = index.dataset.read_table("frames.parquet", FRAMES, columns=["frame_index", "pts_s"])
    if table.num_rows and all(table[c].null_count == table.num_rows for c in table.column_names):
        say_once("flow: the frames have neither numbers nor times, so each is taken to follow the "
                 "one before it; where that is not so, train with --set data.flow=none")  # fmt: skip

