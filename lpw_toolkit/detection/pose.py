"""Opens pose models: a `.tflite` of the catalogue is BlazePose (`blaze_pose`), a `.pt` a YOLO pose
model (`yolo_pose`)."""

from dataclasses import dataclass

from lpw_toolkit.detection.blaze_pose import open_blaze_pose
from lpw_toolkit.detection.pose_model import PoseModel
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.catalogue import find_entry
from lpw_toolkit.networks.weights import choose_default, find_named

_TASK, _SUFFIXES = "pose", (".tflite", ".pt")


@dataclass(frozen=True)
class PoseOptions:
    """How key points are looked for.

    Attributes:
        weights: path or name of a pose model; None takes the only one of the working folder, else
            the catalogue's.
        image_size: longer side of the network's input, in pixels, where the model leaves it open.
    """

    weights: str | None = None
    image_size: int = 320


def open_pose(options: PoseOptions) -> PoseModel:
    """A pose model, loaded without running untrusted code; known weights that are missing are
    fetched.

    Errors: LpwError for missing packages or weights, weights without key points or with others than
    COCO's 17.
    """
    if options.weights is None:
        found = choose_default(_TASK, lambda path: find_entry(path.name, _TASK) is not None)
    else:
        found = find_named(options.weights, _TASK, _SUFFIXES)
    suffix = found.path.suffix.lower()
    if suffix == ".tflite":
        return open_blaze_pose(found)
    if suffix == ".pt":
        from lpw_toolkit.detection.yolo_pose import open_yolo_pose

        return open_yolo_pose(found, options.image_size)
    do = "see `lpw weights list`"
    raise LpwError(found.path, f"a {suffix or 'nameless'} file", " or ".join(_SUFFIXES), do)
