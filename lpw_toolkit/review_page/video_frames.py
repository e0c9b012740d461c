"""Frames of the videos that a dataset was built from, for the page: found on this machine, decoded
near where the reviewer looks, kept as JPEG for a while, and never written anywhere."""

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.build.source_hash import hash_source
from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.tables import boxes_of, to_numpy
from lpw_toolkit.dataset.workspace import recall_root
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import follow_links
from lpw_toolkit.review_page.frame_sizes import FrameSizes
from lpw_toolkit.video.range_reader import RangeReader
from lpw_toolkit.video.sources import locate_videos

_MAX_CACHE_BYTES = 160 << 20
_AHEAD_S, _BEHIND_S = 1.0, 0.2  # around the frame that is asked for
_MAX_SIDE_PX = 1920  # a larger frame is shown smaller
_QUALITY = 85

Ints = NDArray[np.int64]


@dataclass
class _Video:
    """One video: its file, and which rows of the table of frames lie in which of its frames.

    Attributes:
        path: of the file; None where it cannot be shown.
        why: why not.
        rows: (n,) rows of the table of frames, by frame number.
        numbers: (n,) their frame numbers, ascending.
        decoder: the one thread that uses `reader`.
        pending: stretches, first and last time in seconds, that are being decoded.
        failure: why the last stretch could not be decoded.
    """

    path: Path | None
    why: str
    rows: Ints
    numbers: Ints
    decoder: ThreadPoolExecutor
    reader: RangeReader | None = None
    pending: list[tuple[float, float]] = field(default_factory=list)
    failure: str = ""


class VideoFrames:
    """Shows the frames of the videos of a dataset. For several threads.

    Args:
        dataset: built from videos, or not.
        base: its tables.
        sizes: of its videos.
    """

    def __init__(self, dataset: Dataset, base: Base, sizes: FrameSizes) -> None:
        self._dataset, self._sizes = dataset, sizes
        self._tracklets = list(base.tracklets.values())
        self._starts = np.array([tracklet.start for tracklet in self._tracklets], np.int64)
        self._videos: dict[str, _Video] = {}
        self._cache: OrderedDict[tuple[str, float], bytes] = OrderedDict()
        self._n_bytes = 0
        self._changed = threading.Condition()

    def describe(self, number: int, position: int) -> dict[str, Any]:
        """What is known of the source frame of one image: every box in it, and where its tracklet
        went. Errors: IndexError.

        Returns:
            `boxes`: number, id, position and box (x1, y1, x2, y2 in pixels) of each tracklet there.
            `why`: why the frame itself cannot be shown; "" where it can. `has_near`: whether
            `draw_near` has one. `times`: (n_frames,) of
            the tracklet, seconds; null is unknown. `size_px`: width and height of the frame, null
            where no table has them.
        """
        tracklet = self._tracklets[number]
        row = self._row_of(number, position)
        frames = self._dataset.frames
        own = frames.slice(tracklet.start, tracklet.n_frames)
        video = self._open(tracklet.video_id)
        found = {
            "frame_index": frames["frame_index"][row].as_py(),
            "pts_s": frames["pts_s"][row].as_py(),
            "times": own["pts_s"].to_pylist(),
            "trail": _list_feet(boxes_of(own)),
            "why": video.why,
            "has_near": any(name == tracklet.video_id for name, _ in list(self._cache)),
            "size_px": self._sizes.find(tracklet.video_id),
        }
        rows = np.array([row])
        if found["frame_index"] is not None:
            a, b = np.searchsorted(video.numbers, [found["frame_index"], found["frame_index"] + 1])
            rows = video.rows[a:b] if b > a else rows
        return found | {"boxes": self._list_boxes(rows)}

    def _list_boxes(self, rows: Ints) -> list[dict[str, Any]]:
        table = self._dataset.frames.take(rows)
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        return [
            {
                "n": int(owner),
                "position": int(row - self._starts[owner]),
                "box": [round(side, 1) for side in box],
            }
            for owner, row, box in zip(owners, rows, boxes_of(table).tolist(), strict=True)
            if np.isfinite(box).all()
        ]

    def _row_of(self, number: int, position: int) -> int:
        tracklet = self._tracklets[number]
        if not 0 <= position < tracklet.n_frames:
            raise IndexError(position)
        return tracklet.start + position

    def draw(self, number: int, position: int) -> bytes:
        """JPEG of the source frame of one image, as soon as it is decoded; what follows it is
        decoded too, while nobody waits. Errors: IndexError; LpwError where it cannot be shown."""
        tracklet = self._tracklets[number]
        pts_s = self._dataset.frames["pts_s"][self._row_of(number, position)].as_py()
        video = self._open(tracklet.video_id)
        if video.path is None or pts_s is None:
            raise _refuse(video.why or "its time is unknown")
        key, was_asked = (str(tracklet.video_id), pts_s), False
        with self._changed:
            while key not in self._cache:
                if video.failure:
                    raise _refuse(video.failure)
                if not any(first <= pts_s <= last for first, last in video.pending):
                    if was_asked:
                        raise _refuse(f"the video has no frame at {pts_s:.3f} s")
                    span = (pts_s - _BEHIND_S, pts_s + _AHEAD_S)
                    video.pending.append(span)
                    video.decoder.submit(self._decode, video, key[0], span)
                was_asked = True
                self._changed.wait()
            self._cache.move_to_end(key)
            return self._cache[key]

    def draw_near(self, number: int, position: int) -> bytes:
        """JPEG of the frame of the same video that is nearest in time among those decoded already.
        Errors: IndexError, also where none is."""
        tracklet = self._tracklets[number]
        pts_s = self._dataset.frames["pts_s"][self._row_of(number, position)].as_py()
        with self._changed:
            near = [(abs(at - pts_s), (name, at)) for name, at in self._cache
                    if name == tracklet.video_id and pts_s is not None]  # fmt: skip
            if not near:
                raise IndexError(position)
            return self._cache[min(near)[1]]

    def _decode(self, video: _Video, video_id: str, span: tuple[float, float]) -> None:
        """Decodes a stretch, in the thread of its video."""
        failure = ""
        try:
            if video.reader is None and video.path is not None:
                video.reader = RangeReader(follow_links(video.path))
            for pts_s, image in video.reader.read(*span) if video.reader else ():
                self._keep((video_id, pts_s), _encode(image))
        except LpwError as error:
            failure = f"{error}"
        with self._changed:
            video.pending.remove(span)
            video.failure = failure
            self._changed.notify_all()

    def _keep(self, key: tuple[str, float], jpeg: bytes) -> None:
        with self._changed:
            if key not in self._cache:
                self._cache[key] = jpeg
                self._n_bytes += len(jpeg)
            while self._n_bytes > _MAX_CACHE_BYTES:
                self._n_bytes -= len(self._cache.popitem(last=False)[1])
            self._changed.notify_all()

    def _open(self, video_id: str | None) -> _Video:
        with self._changed:
            if str(video_id) not in self._videos:
                path, why = self._find_file(video_id)
                rows, numbers = self._list_rows(video_id)
                self._videos[str(video_id)] = _Video(
                    path, why, rows, numbers, ThreadPoolExecutor(1, "video")
                )
            return self._videos[str(video_id)]

    def _list_rows(self, video_id: str | None) -> tuple[Ints, Ints]:
        spans = [
            np.arange(t.start, t.start + t.n_frames)
            for t in self._tracklets
            if t.video_id == video_id and video_id is not None
        ]
        rows = np.concatenate(spans) if spans else np.zeros(0, np.int64)
        numbers = to_numpy(self._dataset.frames.select(["frame_index"]).take(rows), "frame_index")
        known = np.isfinite(numbers.astype(np.float64))
        rows, numbers = rows[known], numbers[known].astype(np.int64)
        order = np.argsort(numbers, kind="stable")
        return rows[order], numbers[order]

    def _find_file(self, video_id: str | None) -> tuple[Path | None, str]:
        """Where a video lies on this machine, or why it cannot be shown."""
        sources = self._dataset.manifest.get("sources", [])
        entry = next((e for e in sources if e.get("video_id") == video_id), None)
        if entry is None or not isinstance(entry.get("path"), str):
            return None, "this dataset does not say which video it is of"
        root = recall_root(self._dataset)
        if root is None:
            hint = "`lpw locate DATASET --video DIR` names it"
            return None, f"the folder of the videos is not known on this machine: {hint}"
        try:
            place = locate_videos(root).get(entry["path"])
            if place is None:
                return None, f"{entry['path']} is not in {root}"
            if place.path.is_dir():
                return None, f"{entry['path']} is a folder of images, no video file"
            if hash_source(place.path, place.sequence)["sha256"] != entry.get("sha256"):
                return None, f"{entry['path']} is another video than the one that was built from"
        except LpwError as error:
            return None, f"{error}"
        return place.path, ""

    def close(self) -> None:
        """Ends the decoding processes."""
        for video in self._videos.values():
            video.decoder.shutdown(cancel_futures=True)
            if video.reader is not None:
                video.reader.close()


def _refuse(got: str) -> LpwError:
    return LpwError("video frame", got, "a frame of the video", "see `lpw locate --video`")


def _encode(image: NDArray[np.uint8]) -> bytes:
    scale = _MAX_SIDE_PX / max(image.shape)
    if scale < 1:
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())


def _list_feet(boxes: NDArray[np.float64]) -> list[list[float] | None]:
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
    return [
        [round(value, 1) for value in row] if all(map(np.isfinite, row)) else None
        for row in feet.tolist()
    ]
