"""Torchvision's detection models (BSD-3-Clause) from a file of their weights, run by PyTorch.

Which of them a file belongs to is told by its tensors, and where two models have the same, by the
name of the file. Weights of COCO (91 classes) and of one class are taken: class 1 is the person.
The model scales the frame itself and does its own NMS.
Source: pytorch/vision:torchvision/models/detection.
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection import inference
from lpw_toolkit.detection.detector import DetectorOptions, Setting, refuse_image_size
from lpw_toolkit.detection.letterbox import Letterbox, fit_stretched
from lpw_toolkit.errors import LpwError, install_hint
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.torch_file import check_torch
from lpw_toolkit.networks.weights import (
    WeightsFile,
    WeightsKind,
    find_weights,
    read_weights,
)

SUFFIXES = (".pth",)
READS = "weights of torchvision's detection models"
WEIGHTS = WeightsKind(
    suffix=".pth",
    pattern=r"(fasterrcnn|fcos|keypointrcnn|maskrcnn|retinanet|ssd)[\w.-]*\.pth",
)
RUNTIMES = ("auto", "torch")
PERSON = 1
_N_CLASSES = (91, 2)  # COCO's numbers with the background, or persons alone
_MAX_BOXES = 300
# Trained with a batch norm whose eps was 0: torchvision sets it so when it loads these weights.
_WITHOUT_EPS = (
    "fasterrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
)
_COUNTER = "num_batches_tracked"  # in weights that were trained further, not in the official ones
_DO = "choose the weights of a detection model of torchvision"


def open_detector(options: DetectorOptions) -> "TorchvisionDetector":
    """A detection model of torchvision, loaded and checked.

    Errors: LpwError for missing weights or packages, files that would run code, NaN weights, and
    weights of other models.
    """
    began = time.perf_counter()
    path, note = find_weights(options.weights, WEIGHTS)
    file = read_weights(path)
    runtime = runtimes.choose_runtime(
        options.runtime, RUNTIMES, preferred="torch", fallback="torch", extra="train"
    )
    if options.precision == "bfloat16":
        raise LpwError("--precision", "bfloat16", "float32 for this detector", "leave it out")
    check_torch(file, "weights of torchvision", _DO, modules=False)
    torch = _import_torch()
    name, model = _build_model(file, _load_state(file))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = runtimes.count_threads(options.threads)
    settings: dict[str, Setting] = {
        "name": "torchvision",
        "model": name,
        "weights": path.name,
        "weights_sha256": file.sha256,
        "runtime": runtime,
        "device": device,
        "runtime_version": runtimes.package_version("torchvision"),
        "precision": "float32",
        "image_size": int(model.transform.min_size[-1]),
        "batch_size": options.batch_size or 1,
        "min_score": inference.MIN_SCORE if options.min_score is None else options.min_score,
        "nms_iou": inference.NMS_IOU if options.nms_iou is None else options.nms_iou,
        "threads": threads,
    }
    refuse_image_size(options, int(settings["image_size"]))
    notes = [
        note,
        f"model {name}, precision float32, runtime {runtime}, {threads} threads",
        f"image size {settings['image_size']}, as the model has it",
    ]
    return TorchvisionDetector(settings, model.to(device), notes, time.perf_counter() - began)


class TorchvisionDetector(inference.NetworkDetector):
    """Persons found by a detection model of torchvision."""

    def __init__(
        self, settings: dict[str, Setting], model: Any, notes: list[str], startup_s: float
    ) -> None:
        super().__init__(settings, notes, startup_s, "torchvision")
        self.model = model

    def open_stage(self, width: int, height: int) -> inference.Stage:
        """The model for frames as they are."""
        box = fit_stretched(width, height, width, height)
        shape = int(self.settings["batch_size"]), height, width
        device = str(self.settings["device"])
        n_workers = 1 if device == "cuda" else int(self.settings["threads"])
        function = _as_function(self.model, device)
        network = runtimes.ThreadedNetwork(function, shape, n_workers)
        return inference.Stage((box,), network, self._decode)

    def _decode(self, answers: runtimes.Answers, box: Letterbox) -> NDArray[np.float32]:
        selection = inference.Selection(
            float(self.settings["min_score"]), float(self.settings["nms_iou"])
        )
        return inference.select_boxes(answers[0][:, :4], answers[0][:, 4], box, selection)


def _import_torch() -> Any:
    """PyTorch, with one thread per operation: frames run beside each other. Errors: LpwError."""
    try:
        import torch
        import torchvision  # noqa: F401
    except ImportError as error:
        do = install_hint("train")
        raise LpwError(
            "detector torchvision", f"no package {error.name}", "it installed", do
        ) from error
    torch.set_num_threads(1)
    return torch


def _load_state(file: WeightsFile) -> dict[str, Any]:
    """The tensors of the file by their names. Errors: LpwError for files of another kind, NaN."""
    import torch

    try:
        state = torch.load(io.BytesIO(file.data), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail in any way
        raise LpwError(file.path, "a damaged file", "weights of torchvision", _DO) from error
    if isinstance(state, Mapping) and isinstance(state.get("model"), Mapping):
        state = state["model"]  # as torchvision's own scripts for training write it
    named = isinstance(state, Mapping) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    )
    if not named:
        raise LpwError(file.path, "a file without tensors by name", "a state dict", _DO)
    if not all(bool(value.isfinite().all()) for value in state.values()):
        do = "fetch or train them again"
        raise LpwError(file.path, "weights with NaN or infinite values", "finite weights", do)
    return dict(state)


def _build_model(file: WeightsFile, state: dict[str, Any]) -> tuple[str, Any]:
    """The name of the model whose tensors these are, and it with them. Errors: LpwError."""
    import torch
    from torchvision.models import get_model

    wanted = {name: value.shape for name, value in state.items() if _COUNTER not in name}
    for name, n_classes in _iter_candidates(file.path.name.lower()):
        with torch.device("meta"):
            shell = get_model(name, weights=None, weights_backbone=None, num_classes=n_classes)
        shapes = {key: v.shape for key, v in shell.state_dict().items() if _COUNTER not in key}
        if shapes == wanted:
            break
    else:
        got = f"{len(state)} tensors ({', '.join(sorted(state)[:2])}…) of no model there"
        expected = "a model of torchvision.models.detection, of COCO's classes or of one"
        raise LpwError(file.path, got, expected, _DO)
    model = get_model(name, weights=None, weights_backbone=None, num_classes=n_classes)
    model.load_state_dict(state, strict=False)
    if name in _WITHOUT_EPS and not any(_COUNTER in key for key in state):
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 0.0
    return name, model.eval().requires_grad_(False)


def _iter_candidates(file_name: str) -> Iterator[tuple[str, int]]:
    """All models and numbers of classes; those that the file is named by come first, the longest
    name before."""
    from torchvision.models import detection, list_models

    def rank(model: str) -> tuple[bool, int]:
        return not file_name.startswith(model), -len(model) if file_name.startswith(model) else 0

    for model in sorted(list_models(module=detection), key=rank):
        for n_classes in _N_CLASSES:
            yield model, n_classes


def _as_function(model: Any, device: str) -> Callable[[runtimes.Pixels], runtimes.Answers]:
    """The model as a function from pixels (B, H, W, 3) BGR to persons (B, 300, 5), 0 where there
    are fewer."""
    import torch

    def run(pixels: runtimes.Pixels) -> runtimes.Answers:
        answer = np.zeros((len(pixels), _MAX_BOXES, 5), dtype=np.float32)
        with torch.inference_mode():
            images = torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1])).to(device)
            for place, found in enumerate(model(list(images.permute(0, 3, 1, 2) / 255))):
                rows = torch.cat([found["boxes"], found["scores"][:, None]], 1)
                persons = rows[found["labels"] == PERSON][:_MAX_BOXES].cpu().numpy()
                answer[place, : len(persons)] = persons
        return (answer,)

    return run
