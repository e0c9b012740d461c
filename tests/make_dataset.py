"""A small valid dataset with drawn walkers, for tests of everything that reads datasets."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.dataset import schema, tables
from lpw_toolkit.dataset.dataset import Dataset, close_dataset
from lpw_toolkit.files import writing

CAMERAS = ("scen1/view1", "scen1/view2", "scen2/view1", "scen2/view2")
FPS = 10.0
SOURCE_WIDTH, SOURCE_HEIGHT = 640, 360
CROP_WIDTH, CROP_HEIGHT = 32, 64


@dataclass(frozen=True)
class Walker:
    """One tracklet to come: who is seen where, from which frame on, for how many frames."""

    tracklet_id: str
    camera_id: str
    person_id: str | None
    start: int
    n_frames: int

    def boxes(self) -> NDArray[np.float32]:
        """Boxes (T, 4) of a walk to the right that stays inside the frame."""
        left = np.float32(20 + self.start % 40) + 4 * np.arange(self.n_frames, dtype=np.float32) % 500
        top = np.full_like(left, 60 + self.start % 100)
        return np.stack([left, top, left + 48, top + 120], axis=1)


def plan_walkers(n_tracklets: int, n_frames: int, *, identified: bool) -> list[Walker]:
    """Tracklet i is in camera i % 4 and has n_frames + i % 5 frames; a person is in both cameras of a scene.

    Every third tracklet has no person_id; without `identified` none has one.
    """
    walkers = []
    for i in range(n_tracklets):
        camera, round_ = CAMERAS[i % len(CAMERAS)], i // len(CAMERAS)
        person = f"{camera.split('/')[0]}/{round_ + 1}" if identified and i % 3 != 2 else None
        walkers.append(Walker(f"{camera}/{round_ + 1:06d}", camera, person, 7 * round_, n_frames + i % 5))
    return sorted(walkers, key=lambda w: w.tracklet_id)


def make_dataset(
    root: Path, *, n_tracklets: int = 6, n_frames: int = 12, seed: int = 0, identified: bool = True, boxes: bool = True
) -> Dataset:
    """Writes a complete dataset to `root`: 2 scenes x 2 cameras, ids like `scen1/view2/000001`, person `scen1/1`.

    Args:
        n_frames: images of the shortest tracklet (see `plan_walkers`).
        identified: False leaves every person_id null, as a freshly built dataset has it.
        boxes: False leaves frame_index, pts_s, boxes and score null, without detections, as imported benchmarks do.
    """
    writing.make_folder(root)
    rng = np.random.default_rng(seed)
    walkers = plan_walkers(n_tracklets, n_frames, identified=identified)
    rows = [row for walker in walkers for row in _write_images(root, walker, rng, boxes=boxes)]
    tables.write_table(
        root / "frames.parquet", pa.Table.from_pylist(rows, schema=schema.FRAMES), schema.FRAMES, group_by="tracklet_id"
    )
    tracklets = [_tracklet_row(walker, boxes=boxes) for walker in walkers]
    tables.write_table(
        root / "tracklets.parquet", pa.Table.from_pylist(tracklets, schema=schema.TRACKLETS), schema.TRACKLETS
    )
    if boxes:
        for camera in sorted({walker.camera_id for walker in walkers}):
            _write_video_tables(root, camera, [w for w in walkers if w.camera_id == camera])
    sources = [_source_entry(camera) for camera in sorted({walker.camera_id for walker in walkers})]
    return close_dataset(
        root,
        {
            "name": "little",
            "parent": None,
            "sources": sources,
            "settings": {"link": {"iou": 0.5}},
            "licence": None,
            "consent": None,
        },
    )


def draw_person(rng: np.random.Generator, colours: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """A crop (H, W, 3), BGR: head, shirt, trousers that stride, on noise."""
    image = rng.integers(90, 130, (CROP_HEIGHT, CROP_WIDTH, 3), dtype=np.uint8)
    shirt, trousers = (tuple(int(v) for v in colour) for colour in colours)
    cv2.circle(image, (16, 10), 5, (150, 170, 210), -1)
    cv2.rectangle(image, (9, 16), (23, 36), shirt, -1)
    stride = round(4 * float(np.sin(step)))
    cv2.line(image, (14, 36), (14 + stride, 60), trousers, 4)
    cv2.line(image, (18, 36), (18 - stride, 60), trousers, 4)
    return image


def _source_entry(camera: str) -> dict[str, object]:
    return {
        "video_id": camera,
        "path": f"{camera}.mp4",
        "scene_id": camera.split("/")[0],
        "camera_id": camera,
        "bytes": 0,
        "sha256": hashlib.sha256(b"").hexdigest(),
        "report": {"complete": True, "problems": []},
    }


def _write_images(root: Path, walker: Walker, rng: np.random.Generator, *, boxes: bool) -> list[dict[str, object]]:
    colours = rng.integers(0, 255, (2, 3), dtype=np.uint8)
    folder = writing.make_folder(root / "images" / walker.tracklet_id)
    rows = []
    for position, box in enumerate(walker.boxes()):
        data = cv2.imencode(".jpg", draw_person(rng, colours, position))[1].tobytes()
        writing.write_file(folder / f"{position + 1}.jpg", data)
        row: dict[str, object] = {
            "tracklet_id": walker.tracklet_id,
            "position": position,
            "image": {"bytes": None, "path": f"images/{walker.tracklet_id}/{position + 1}.jpg"},
            "width": CROP_WIDTH,
            "height": CROP_HEIGHT,
            "sha256": hashlib.sha256(data).digest(),
        }
        if boxes:
            frame = walker.start + position
            row |= dict(zip(("x1", "y1", "x2", "y2"), box.tolist(), strict=True))
            row |= {"frame_index": frame, "pts_s": frame / FPS, "score": 0.5 + 0.04 * (position % 12)}
        rows.append(row)
    return rows


def _tracklet_row(walker: Walker, *, boxes: bool) -> dict[str, object]:
    return {
        "tracklet_id": walker.tracklet_id,
        "scene_id": walker.camera_id.split("/")[0],
        "camera_id": walker.camera_id,
        "person_id": walker.person_id,
        "kind": "person",
        "video_id": walker.camera_id if boxes else None,
        "n_frames": walker.n_frames,
        "first_pts_s": walker.start / FPS if boxes else None,
        "last_pts_s": (walker.start + walker.n_frames - 1) / FPS if boxes else None,
    }


def _write_video_tables(root: Path, camera: str, walkers: list[Walker]) -> None:
    detections = [
        {"video_id": camera, "frame_index": walker.start + i, "pts_s": (walker.start + i) / FPS, "score": 0.5}
        | dict(zip(("x1", "y1", "x2", "y2"), box.tolist(), strict=True))
        for walker in walkers
        for i, box in enumerate(walker.boxes())
    ]
    detections.sort(key=lambda row: row["frame_index"])
    size = {"segment": 0, "duplicate": False, "width": SOURCE_WIDTH, "height": SOURCE_HEIGHT}
    timeline = [
        {"video_id": camera, "frame_index": i, "pts_s": i / FPS, **size}
        for i in range(max(w.start + w.n_frames for w in walkers))
    ]
    for name, rows in (("detections", detections), ("timeline", timeline)):
        file = root / name / f"{camera}.parquet"
        writing.make_folder(file.parent)
        kind = schema.SCHEMAS[name]
        tables.write_table(file, pa.Table.from_pylist(rows, schema=kind), kind)
