"""All tracklets of a camera as bars over time: where each begins and ends, and on which line it is
drawn."""

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.cleaning.state.base_tables import Base
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import video_starts
from lpw_toolkit.dataset.tables import to_numpy

_PAUSE_S = 5.0  # drawn between two videos of a camera whose clocks are not known

Floats = NDArray[np.float64]


def describe_timeline(dataset: Dataset, base: Base, camera_id: str) -> dict[str, Any]:
    """The tracklets of a camera whose times are known.

    Returns:
        By column and in the order of time: `n` (numbers of the tracklets), `start_s` and `end_s` on
        the axis of the camera, `lane` (bars of one lane do not overlap). `videos`: name, and
        `offset_s` from the clock of the video to the axis. `n_untimed`: tracklets without times.
    """
    rows = np.array([t.row for t in base.tracklets.values() if t.camera_id == camera_id], np.int64)
    first, last = (
        to_numpy(dataset.tracklets, name).astype(np.float64)[rows]
        for name in ("first_pts_s", "last_pts_s")
    )
    videos = np.array([str(t.video_id) for t in base.tracklets.values()])[rows]
    timed = np.isfinite(first) & np.isfinite(last)
    offsets = _find_offsets(dataset, videos[timed], first[timed], last[timed])
    shift = np.array([offsets[name] for name in videos[timed].tolist()])
    start, end, numbers = first[timed] + shift, last[timed] + shift, rows[timed]
    order = np.lexsort((numbers, start))
    start, end = start[order], end[order]
    return {
        "camera": camera_id,
        "n": numbers[order].tolist(),
        "start_s": np.round(start, 3).tolist(),
        "end_s": np.round(end, 3).tolist(),
        "lane": _assign_lanes(start, end),
        "videos": [{"name": name, "offset_s": offset} for name, offset in offsets.items()],
        "n_untimed": int((~timed).sum()),
    }


def _find_offsets(
    dataset: Dataset, videos: NDArray[np.str_], first: Floats, last: Floats
) -> dict[str, float]:
    """Seconds to add to the clock of each video: its known start, otherwise one after the other."""
    known = video_starts(dataset.manifest.get("sources", []))
    names = sorted(set(videos.tolist()))
    starts = [known.get(name) for name in names]
    if all(start is not None for start in starts):
        return {name: float(start or 0.0) for name, start in zip(names, starts, strict=True)}
    offsets, at_s = dict[str, float](), 0.0
    for name in names:
        own = videos == name
        offsets[name] = round(at_s - float(first[own].min()), 3) if at_s else 0.0
        at_s = offsets[name] + float(last[own].max()) + _PAUSE_S
    return offsets


def _assign_lanes(start: Floats, end: Floats) -> list[int]:
    """The lowest lane that is free, for bars in the order of their start."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []  # end of the last bar, and its lane
    lanes = []
    for begin, stop in zip(start.tolist(), end.tolist(), strict=True):
        while busy and busy[0][0] < begin:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (stop, lane))
        lanes.append(lane)
    return lanes
