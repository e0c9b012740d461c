"""Other linkers behind one call: detections of one video in, tracks out, with one knob for the
gap."""

import os
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lpw_toolkit import boxes as geometry
from lpw_toolkit.dataset.mot_text import BoxRows, track_rows
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.linking.association import AssociationConfig, associate_frames
from lpw_toolkit.linking.motion import to_centres

Peer = Callable[[pa.Table, "int | None"], BoxRows]
Frame = tuple[int, NDArray[np.float64], NDArray[np.float64]]


def iter_frames(detections: pa.Table) -> list[Frame]:
    """Every frame from the first to the last, empty ones too: index, boxes, scores."""
    frame, boxes = detections["frame_index"].to_numpy(), boxes_of(detections)
    scores = detections["score"].to_numpy().astype(np.float64)
    borders = np.searchsorted(frame, np.arange(int(frame.max(initial=-1)) + 2))
    return [(i, boxes[a:b], scores[a:b]) for i, (a, b) in enumerate(pairwise(borders))]


def to_rows(found: list[tuple[int, int, NDArray[np.float64]]]) -> BoxRows:
    if not found:
        return BoxRows(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
    frame, track, boxes = zip(*found, strict=True)
    return BoxRows(
        np.array(frame, np.int32), np.array(track, np.int64), np.array(boxes), np.ones(len(frame))
    )


def link_plain(detections: pa.Table, gap: int | None) -> BoxRows:
    """The frame-to-frame rule: Hungarian, IoU 0.3, no motion."""
    frame = detections["frame_index"].to_numpy().astype(np.int64)
    boxes = boxes_of(detections)
    tracks = associate_frames(boxes, frame, AssociationConfig(iou=0.3, max_gap=gap or 1))
    return track_rows(detections, tracks)


class _SortTrack:
    """State `cx cy area ratio vcx vcy varea`. Source: Bewley et al. 2016, section 3.2, and
    abewley/sort (noise)."""

    def __init__(self, box: NDArray[np.float64], number: int) -> None:
        from filterpy.kalman import KalmanFilter

        self.kf = KalmanFilter(dim_x=7, dim_z=4)
        self.kf.F = np.eye(7) + np.eye(7, k=4)
        self.kf.H = np.eye(4, 7)
        self.kf.R = np.diag([1.0, 1.0, 10.0, 10.0])
        self.kf.P = np.diag([10.0] * 4 + [10000.0] * 3)
        self.kf.Q = np.diag([1.0] * 4 + [0.01, 0.01, 0.0001])
        self.kf.x[:4, 0] = self.measure(box)
        self.number, self.missed, self.streak = number, 0, 0

    @staticmethod
    def measure(box: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y, w, h = to_centres(box[None])[0]
        return np.array([x, y, w * h, w / h])

    def box(self) -> NDArray[np.float64]:
        x, y, area, ratio = self.kf.x[:4, 0]
        w = np.sqrt(max(area * ratio, 1e-9))
        h = area / w
        return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])

    def predict(self) -> NDArray[np.float64]:
        if self.kf.x[6, 0] + self.kf.x[2, 0] <= 0:
            self.kf.x[6, 0] = 0.0
        self.kf.predict()
        self.streak = self.streak if self.missed == 0 else 0
        self.missed += 1
        return self.box()

    def update(self, box: NDArray[np.float64]) -> None:
        self.kf.update(self.measure(box))
        self.missed, self.streak = 0, self.streak + 1


def link_sort(
    detections: pa.Table, gap: int | None, *, min_hits: int = 3, iou: float = 0.3
) -> BoxRows:
    """SORT; `gap` is its max_age (1)."""
    max_age, live, out, n = gap or 1, [], [], 0
    for index, boxes, _ in iter_frames(detections):
        guess = np.array([t.predict() for t in live]).reshape(-1, 4)
        overlap = geometry.iou(guess, boxes)
        i, j = linear_sum_assignment(overlap, maximize=True)
        good = overlap[i, j] >= iou
        for a, b in zip(i[good], j[good], strict=True):
            live[a].update(boxes[b])
        for b in np.setdiff1d(np.arange(len(boxes)), j[good]):
            live.append(_SortTrack(boxes[b], n))
            n += 1
        shown = [t for t in live if t.missed == 0 and (t.streak >= min_hits or index < min_hits)]
        out += [(index, t.number, t.box()) for t in shown]
        live = [t for t in live if t.missed <= max_age]
    return to_rows(out)


def _link_roboflow(name: str) -> Peer:
    def link(detections: pa.Table, gap: int | None) -> BoxRows:
        import supervision
        import trackers

        tracker = getattr(trackers, name)(**({} if gap is None else {"lost_track_buffer": gap}))
        out = []
        for index, boxes, scores in iter_frames(detections):
            found = supervision.Detections(
                xyxy=boxes, confidence=scores, class_id=np.zeros(len(boxes), int)
            )
            done = tracker.update(found)
            known = zip(done.tracker_id, done.xyxy, strict=True) if len(done) else []
            out += [(index, int(number), box) for number, box in known if number >= 0]
        return to_rows(out)

    return link


class _Results:
    """What BYTETracker reads of ultralytics' `Boxes`."""

    def __init__(self, boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
        self.xyxy, self.conf, self.cls = (
            boxes.astype(np.float32),
            scores.astype(np.float32),
            np.zeros(len(boxes)),
        )
        self.xywh = to_centres(boxes).astype(np.float32)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "_Results":
        return _Results(self.xyxy[rows].astype(np.float64), self.conf[rows])


def link_ultralytics(detections: pa.Table, gap: int | None) -> BoxRows:
    """ultralytics' ByteTrack with the settings that it ships; `gap` is its track_buffer (30)."""
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    from ultralytics.trackers.byte_tracker import BYTETracker

    settings = {"track_high_thresh": 0.25, "track_low_thresh": 0.1, "new_track_thresh": 0.25}
    settings |= {"track_buffer": gap or 30, "match_thresh": 0.8, "fuse_score": True}
    tracker, out = BYTETracker(SimpleNamespace(**settings)), []
    for index, boxes, scores in iter_frames(detections):
        out += [
            (index, int(row[4]), np.asarray(row[:4], float))
            for row in tracker.update(_Results(boxes, scores))
        ]
    return to_rows(out)


PEERS: dict[str, Peer] = {
    "SORT": link_sort,
    "Roboflow SORT": _link_roboflow("SORTTracker"),
    "Roboflow ByteTrack": _link_roboflow("ByteTrackTracker"),
    "ultralytics ByteTrack": link_ultralytics,
    "plain rule": link_plain,
}
