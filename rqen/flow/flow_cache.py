"""Flow images of a dataset, kept in the user's cache: made when they are first asked for.

    ~/.cache/lpw/flow/<key>/000000.flow    the flow images of 256 rows of the table of frames
                           /000001.flow    and so on; only those that somebody needed

The key is a digest of the dataset (which vouches for its images) and of the settings, so that other
images never get this flow. A file begins with the SHA-256 of the rest; one that is broken is made
again. Files are published whole, so that several processes may make them: the same bytes. Without
a cache, or without room in it, flow is made whenever it is asked for.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.dataset.clip_index import TrackletIndex
from lpw_toolkit.dataset.schema import FRAMES
from lpw_toolkit.errors import OutputError
from lpw_toolkit.files.estimate import describe_bytes
from lpw_toolkit.files.home import cache_folder, note_no_cache
from lpw_toolkit.files.limits import limit
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.opening import exists, is_folder, measure, read_bytes
from lpw_toolkit.files.writing import atomic_write, make_folder, remove_folder
from lpw_toolkit.progress import say_note, say_once
from rqen.flow.optical_flow import FlowSettings, compute_flow_images

Pixels = NDArray[np.uint8]

#: Raised whenever the same settings would give other numbers.
_FORMAT = 1
_ROWS = 256  # of the table of frames, in one file: 1.6 MB at 64 x 48, made in half a second
_N_HELD = 16  # of these files, in the memory of each process: 25 MB
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
        self._n_kept = 0 if self.folder is None else self._make_room(self.folder)
        self._held: dict[int, Pixels] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": {}}

    def read(self, first: int, end: int) -> Pixels:
        """Flow images (n, h, w, 2) of the rows [first, end) of the table of frames; that of the
        first frame of a tracklet is 127 everywhere.

        Errors: CorruptCropError that names an image.
        """
        parts = []
        while first < end:
            piece = first // _ROWS
            begin, stop = piece * _ROWS, min(end, (piece + 1) * _ROWS)
            if piece < self._n_kept:
                parts.append(self._take(piece)[first - begin : stop - begin])
            else:
                parts.append(self._compute(first, stop))
            first = stop
        return np.concatenate(parts)

    def _take(self, piece: int) -> Pixels:
        """The flow images of a file, which is made where it is not there, or broken."""
        held = self._held.pop(piece, None)
        if held is None:
            held = self._open(piece)
        if held is None:
            held = self._compute(piece * _ROWS, self._end(piece))
            self._publish(piece, held)
        self._held[piece] = held  # the last one that was used stands last
        if len(self._held) > _N_HELD:
            del self._held[next(iter(self._held))]
        return held

    def _publish(self, piece: int, images: Pixels) -> None:
        data, file = images.tobytes(), self._file(piece)
        try:
            atomic_write(file, hashlib.sha256(data).digest() + data)
        except OSError as error:  # the disk is full, or another process has removed the folder
            note_no_cache(file.parent, error)
            self._n_kept = 0

    def _make_room(self, folder: Path) -> int:
        """How many files fit within `--limit flow_bytes`, after other flow, that which was used
        longest ago first, is gone; 0 where the cache takes none."""
        n_frames, n_bytes = int(self.index.starts[-1]), self.settings.n_bytes_per_frame
        allowed, needed = limit("flow_bytes"), n_frames * n_bytes
        try:
            make_folder(folder)
            with suppress(OSError):
                os.utime(folder)
            kept = sum(map(measure, list_folder(folder)))
            others = [o for o in list_folder(folder.parent) if o != folder and is_folder(o)]
            sizes = {o: sum(map(measure, list_folder(o))) for o in others}
            others.sort(key=lambda other: other.stat().st_mtime)
            while others and sum(sizes.values()) + max(needed, kept) > allowed:
                oldest = others.pop(0)
                say_note(f"flow: {oldest} is removed (--limit flow_bytes=N keeps more)")
                remove_folder(oldest)
                del sizes[oldest]
        except (OSError, OutputError) as error:
            note_no_cache(folder, error)
            return 0
        if kept < needed:
            size = describe_bytes(min(needed, allowed))
            rest = "" if needed <= allowed else ", not all of it (--limit flow_bytes=N keeps more)"
            say_note(f"flow of {n_frames:,} frames is kept: up to {size} in {folder}{rest}")
        return int(min(needed, allowed) // (_ROWS * n_bytes)) + (needed <= allowed)

    def _file(self, piece: int) -> Path:
        return (self.folder or Path()) / f"{piece:06d}.flow"

    def _end(self, piece: int) -> int:
        """The row after the last one of a file."""
        return min((piece + 1) * _ROWS, int(self.index.starts[-1]))

    def _open(self, piece: int) -> Pixels | None:
        """The flow images of a file; None where it is not there, or broken (which is said once)."""
        file, settings = self._file(piece), self.settings
        if not exists(file):
            return None
        try:
            data = read_bytes(file, "flow_bytes")
        except OSError:
            data = b""
        body = memoryview(data)[_DIGEST_BYTES:]
        n_rows = self._end(piece) - piece * _ROWS
        whole = len(body) == n_rows * settings.n_bytes_per_frame
        if not whole or hashlib.sha256(body).digest() != data[:_DIGEST_BYTES]:
            say_once(f"flow: {file} is broken, so it is made again", about=f"broken {file}")
            return None
        return np.frombuffer(body, dtype=np.uint8).reshape(
            n_rows, settings.stored_height, settings.stored_width, 2
        )

    def _compute(self, first: int, end: int) -> Pixels:
        """Flow images of these rows from the images."""
        index, size = self.index, (self.settings.height, self.settings.width)
        edges = np.unique(np.clip(index.starts, first, end)).tolist()
        parts = []
        for start, stop in pairwise(edges):
            tracklet = int(np.searchsorted(index.starts, start, side="right")) - 1
            begin = max(start - 1, int(index.starts[tracklet]))  # the frame before, where there is
            images = np.stack([index.images.decode(row, size) for row in range(begin, stop)])
            parts.append(compute_flow_images(images, self.settings)[start - begin :])
        return np.concatenate(parts)


def open_flow(index: TrackletIndex, settings: FlowSettings) -> FlowCache:
    """The flow of a dataset, in the cache of the user where there is one.

    A dataset that knows neither number nor time of its frames is taken to hold consecutive ones, as
    published datasets do; that is said.
    """
    table = index.dataset.read_table("frames.parquet", FRAMES, columns=["frame_index", "pts_s"])
    if table.num_rows and all(table[c].null_count == table.num_rows for c in table.column_names):
        say_once(
            "flow: the frames have neither numbers nor times, so each is taken to follow the one "
            "before it; where that is not so, train with --set method.flow=none"
        )
    cache = cache_folder()
    return FlowCache(index, settings, None if cache is None else cache / "flow")
