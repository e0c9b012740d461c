"""Key points of the person on a crop, by a YOLO pose model of ultralytics: the most confident
person, COCO's 17 points."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit.detection.inference import MIN_SCORE
from lpw_toolkit.detection.letterbox import Letterbox, fit_centred
from lpw_toolkit.detection.pose_model import N_POINTS, Floats, Pixels
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.weights import FoundWeights

_BATCH = 16


@dataclass(frozen=True)
class YoloPose:
    """A YOLO pose network, ready; attributes as `pose.PoseModel` names them."""

    path: Path
    sha256: str
    note: str
    image_size: int
    _network: Any
    _person: int
    _n_values: int

    def find_points(self, images: Sequence[Pixels]) -> Floats:
        """Key points (N, 17, 3) `x y confidence` of N images (H, W, 3), RGB, in pixels of each;
        sizes may differ.

        Of several persons the one with the highest score counts. An image without a person, that
        is none with a score of 0.25, has zeros. Where a model knows no confidence of a point, it is
        that of the person.
        """
        found = np.zeros((len(images), N_POINTS, 3), dtype=np.float32)
        boxes = [
            fit_centred(
                image.shape[1], image.shape[0], self.image_size, int(self._network.stride.max())
            )
            for image in images
        ]
        for canvas in dict.fromkeys((box.height, box.width) for box in boxes):
            alike = [i for i, box in enumerate(boxes) if (box.height, box.width) == canvas]
            for first in range(0, len(alike), _BATCH):
                places = alike[first : first + _BATCH]
                points = self._infer([(images[i], boxes[i]) for i in places])
                for i, some in zip(places, points, strict=True):
                    found[i] = _restore(some, boxes[i])
        return found

    def _infer(self, pictures: list[tuple[Pixels, Letterbox]]) -> Floats:
        import torch

        inputs = np.empty(
            (len(pictures), pictures[0][1].height, pictures[0][1].width, 3), dtype=np.uint8
        )
        for place, (image, box) in zip(inputs, pictures, strict=True):
            box.draw(image, place)
        device = next(self._network.parameters()).device
        tensor = torch.from_numpy(inputs).to(device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            answers = self._network(tensor)
        rows = answers[0] if isinstance(answers, list | tuple) else answers
        end2end = bool(getattr(self._network.model[-1], "end2end", False))
        values = rows.float().cpu().numpy()
        return pick_points(values, self._person, self._n_values, end2end=end2end)


def open_yolo_pose(found: FoundWeights, image_size: int) -> YoloPose:
    """A YOLO pose model, loaded without running untrusted code.

    Args:
        image_size: longer side of its input, in pixels; rounded up to its stride.

    Errors: LpwError for missing packages, weights without key points or with others than COCO's 17.
    """
    from lpw_toolkit.detection.detectors.ultralytics import load_pose

    network, person, file = load_pose(found.path)
    n_points, n_values = (int(n) for n in network.model[-1].kpt_shape)
    if n_points != N_POINTS or n_values not in (2, 3):
        got = f"a model of {n_points} key points with {n_values} values each"
        raise LpwError(
            file.path,
            got,
            "COCO's 17 key points",
            "choose a model that was trained on COCO, such as yolo11n-pose.pt",
        )
    stride = int(network.stride.max())
    size = -(-image_size // stride) * stride
    return YoloPose(file.path, file.sha256, found.note, size, _place(network), person, n_values)


def pick_points(rows: Floats, person: int, n_values: int, *, end2end: bool) -> Floats:
    """Key points (B, 17, 3), in pixels of the input, of the most confident person of each image;
    zeros where there is none.

    Args:
        rows: what the network answers: (B, 4 + classes + values, A), or (B, A, 6 + values) where it
            chose itself.
        person: number of the class.
        n_values: 2 for `x y`, 3 with a confidence.
    """
    n_last = N_POINTS * n_values
    if end2end:
        scores = np.where(rows[..., 5].round() == person, rows[..., 4], 0.0)
        values = rows[..., -n_last:]
    else:
        scores = rows[:, 4 + person]
        values = rows[:, -n_last:].transpose(0, 2, 1)
    best = scores.argmax(axis=1)
    each = np.arange(len(rows))
    score = scores[each, best]
    points = values[each, best].reshape(len(rows), N_POINTS, n_values)
    sure = np.broadcast_to(score[:, None, None], (len(rows), N_POINTS, 1))
    full = points if n_values == 3 else np.concatenate([points, sure], axis=2)
    return np.where((score >= MIN_SCORE)[:, None, None], full, 0.0).astype(np.float32)


def _restore(points: Floats, box: Letterbox) -> Floats:
    """From pixels of the input (17, 3) to pixels of the image."""
    scale = np.array(
        [box.scaled_width / box.frame_width, box.scaled_height / box.frame_height], dtype=np.float32
    )
    corner = np.array([box.left, box.top], dtype=np.float32)
    moved = points.copy()
    moved[:, :2] = np.where(points[:, 2:] > 0, (points[:, :2] - corner) / scale, 0)
    return moved


def _place(network: Any) -> Any:
    import torch

    return network.cuda() if torch.cuda.is_available() else network
