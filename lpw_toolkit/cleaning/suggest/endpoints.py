"""Place and time at which each tracklet begins and ends, from the tables of a dataset."""

import numpy as np

from lpw_toolkit.cleaning.suggest.candidates import Endpoints
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.frame_ranges import FrameRanges
from lpw_toolkit.dataset.labels import video_starts
from lpw_toolkit.dataset.tables import boxes_of, to_numpy
from lpw_toolkit.linking.motion import to_centres

_END_ROWS = 10  # boxes at either end that tell where somebody is heading


def find_endpoints(dataset: Dataset) -> Endpoints:
    """The ends of every tracklet; what the tables do not know is NaN. Errors: MismatchError."""
    tracklets, frames = dataset.tracklets, dataset.frames
    bounds = FrameRanges(dataset).bounds
    boxes, pts_s = to_centres(boxes_of(frames)), to_numpy(frames, "pts_s").astype(np.float64)
    starts = video_starts(dataset.manifest.get("sources", []))
    offset = np.array([float(starts.get(v) or 0.0) for v in tracklets["video_id"].to_pylist()])
    n = len(bounds)
    ends = np.full((n, 2, 4), np.nan)
    speed = np.full((n, 2, 2), np.nan)
    for i, (a, b) in enumerate(bounds.tolist()):
        for side, rows in enumerate(
            (slice(a, min(a + _END_ROWS, b)), slice(max(b - _END_ROWS, a), b))
        ):
            at = 0 if side == 0 else -1
            ends[i, side] = boxes[rows][at]
            speed[i, side] = _fit_speed(boxes[rows, :2], pts_s[rows])
    number = {
        name: k
        for k, name in enumerate(sorted({str(v) for v in tracklets["camera_id"].to_pylist()}))
    }
    scenes = {
        name: k
        for k, name in enumerate(sorted({str(v) for v in tracklets["scene_id"].to_pylist()}))
    }
    return Endpoints(
        scene=np.array([scenes[str(v)] for v in tracklets["scene_id"].to_pylist()], dtype=np.int64),
        camera=np.array(
            [number[str(v)] for v in tracklets["camera_id"].to_pylist()], dtype=np.int64
        ),
        start_s=pts_s[bounds[:, 0]] + offset,
        end_s=pts_s[bounds[:, 1] - 1] + offset,
        first=ends[:, 0, :2],
        last=ends[:, 1, :2],
        first_speed=speed[:, 0],
        last_speed=speed[:, 1],
        height=np.maximum(ends[:, :, 3], 1.0),
    )


def _fit_speed(
    places: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
    at_s: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    at = at_s - at_s.mean()
    spread = float((at * at).sum())
    if not spread > 0:  # NaN as well
        return np.zeros(2)
    return np.asarray((at[:, None] * (places - places.mean(axis=0))).sum(axis=0) / spread)
