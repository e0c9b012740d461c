"""Key points of the person on a crop, by BlazePose (Apache-2.0) through OpenVINO.

The crop lies in the middle of a black square, 1.25 times its longer side: the network was trained
on squares around whole persons with that much room.
Source: google-ai-edge/mediapipe:mediapipe/modules/pose_landmark/pose_landmark_by_roi_cpu.pbtxt.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lpw_toolkit.detection.pose_model import N_POINTS, Floats, Pixels
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import follow_links
from lpw_toolkit.files.writing import write_file
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.catalogue import find_by_sha256, find_entry
from lpw_toolkit.networks.weights import FoundWeights, WeightsFile, read_weights

_SIDE = 256
_ROOM = (
    1.25  # 1.0 and 1.4 are worse on 200 crops of mini_lpw: ankles .042 and .022, hips .027, .020
)
_MIN_PRESENCE = 0.5  # as MediaPipe's own graph has it
#: Of its 33 points those of COCO: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
_COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_N_VALUES = 5  # x, y, z, visibility, presence
_N_POINTS = 39  # 33 of the body, 6 that help to follow a person


@dataclass(frozen=True)
class BlazePose:
    """BlazePose, ready; attributes as `pose.PoseModel` names them."""

    path: Path
    sha256: str
    note: str
    _network: Any
    image_size: int = _SIDE

    def find_points(self, images: Sequence[Pixels]) -> Floats:
        """Key points (N, 17, 3) `x y confidence` of N images (H, W, 3), RGB, in pixels of each.

        An image on which the network sees no person has zeros.
        """
        found = np.zeros((len(images), N_POINTS, 3), dtype=np.float32)
        for image, points in zip(images, found, strict=True):
            matrix = _place_in_square(image.shape[1], image.shape[0])
            square = cv2.warpAffine(image, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
            answers = self._network(square[None].astype(np.float32) / 255)
            landmarks, presence = answers[0], answers[1]
            if float(presence[0, 0]) >= _MIN_PRESENCE:
                points[:] = pick_coco(landmarks[0], matrix)
        return found


def open_blaze_pose(found: FoundWeights) -> BlazePose:
    """BlazePose from its known file: no other TensorFlow Lite file is read.

    Errors: LpwError for another file, or without OpenVINO.
    """
    file = read_weights(found.path)
    known = find_by_sha256(file.sha256)
    if known is None or known.task != "pose":
        entry = find_entry("pose_landmark_full")
        expected = f"{entry.file}, SHA-256 {entry.sha256}" if entry else "a known pose model"
        do = "run `lpw weights get pose_landmark_full`"
        raise LpwError(file.path, f"another file, SHA-256 {file.sha256}", expected, do)
    runtimes.choose_runtime("auto", ("auto", "openvino"), preferred="openvino", fallback="openvino")
    return BlazePose(file.path, file.sha256, found.note, _compile(file))


def pick_coco(landmarks: Floats, matrix: Floats) -> Floats:
    """COCO's points (17, 3) `x y confidence` in pixels of the crop.

    Args:
        landmarks: what the network answers: (195,) 39 points of x, y, z in pixels of the square,
            and the logits of visibility and presence.
        matrix: (2, 3) from the crop to the square.
    """
    points = landmarks.reshape(_N_POINTS, _N_VALUES)[list(_COCO)]
    places = (points[:, :2] - matrix[:, 2]) / matrix[0, 0]
    confidence = 1 / (1 + np.exp(-np.clip(points[:, 3:4], -50, 50)))
    return np.concatenate([places, confidence], axis=1).astype(np.float32)


def _place_in_square(width: int, height: int) -> Floats:
    """The matrix (2, 3) that lays a crop into the middle of the square."""
    scale = _SIDE / (_ROOM * max(width, height))
    left, top = (_SIDE - scale * width) / 2, (_SIDE - scale * height) / 2
    return np.array([[scale, 0, left], [0, scale, top]], dtype=np.float32)


def _compile(file: WeightsFile) -> Any:
    """The network; OpenVINO reads this format from a file only, so that it gets the bytes that were
    compared with the known digest in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="lpw-pose-") as name:
        place = follow_links(Path(name)) / "model.tflite"
        write_file(place, file.data)
        core = runtimes.open_core()
        model = core.read_model(str(place))
        return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
