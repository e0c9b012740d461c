"""YOLO weights through ultralytics (AGPL-3.0). No other file imports it; its network is called
directly.

Before the import, environment variables turn on safe loading (by default a `.pt` runs untrusted
code) and offline mode, and turn off package auto-install; settings sync and with it analytics are
turned off in memory.
"""

import io
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection import inference
from lpw_toolkit.detection.detector import DetectorOptions, Setting
from lpw_toolkit.detection.letterbox import Letterbox, fit_centred
from lpw_toolkit.detection.yolo import (
    PersonNetwork,
    build_network,
    convert_to_openvino,
    first_convolution,
    keep_torch_single,
    torch_function,
)
from lpw_toolkit.errors import LpwError, install_hint
from lpw_toolkit.files.home import settle_library
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.model_trial import try_model
from lpw_toolkit.networks.torch_file import check_torch
from lpw_toolkit.networks.weights import (
    WeightsFile,
    WeightsKind,
    find_weights,
    read_weights,
)

SUFFIXES = (".pt",)
READS = "checkpoints of ultralytics' YOLO networks"
WEIGHTS = WeightsKind(
    suffix=".pt",
    pattern=r"yolo(?!x)[\w.-]*\.pt",
)
RUNTIMES = ("auto", "torch", "openvino")
_INSTALL = install_hint("ultralytics")
_DO = "choose the weights of a YOLO detector"


def open_detector(options: DetectorOptions) -> "YoloDetector":
    """A YOLO detector, loaded and checked; the network is converted when the first frame gives its
    size.

    Errors: LpwError for missing weights or packages, files that are no detector or would run code,
    NaN weights.
    """
    began = time.perf_counter()
    path, note = find_weights(options.weights, WEIGHTS)
    file = read_weights(path)
    model = _load_model(file)
    person = _find_person(path, model)
    preferred = "torch" if _has_cuda() else "openvino"
    runtime = runtimes.choose_runtime(
        options.runtime, RUNTIMES, preferred=preferred, fallback="torch"
    )
    precision, reason = runtimes.choose_precision(options.precision, runtime)
    if options.precision == "auto" and _device(runtime) == "cuda":
        precision, reason = "bfloat16", "the GPU gains from it"
    threads = runtimes.count_threads(options.threads)
    keep_torch_single()
    stride = int(model.stride.max())
    image_size = -(-options.image_size // stride) * stride
    settings: dict[str, Setting] = {
        "name": "ultralytics",
        "weights": path.name,
        "weights_sha256": file.sha256,
        "runtime": runtime,
        "device": _device(runtime),
        "runtime_version": runtimes.package_version(runtime),
        "precision": precision,
        "image_size": image_size,
        "batch_size": options.batch_size or (16 if _device(runtime) == "cuda" else 1),
        "min_score": inference.MIN_SCORE if options.min_score is None else options.min_score,
        "nms_iou": inference.NMS_IOU if options.nms_iou is None else options.nms_iou,
        "threads": threads,
    }
    network = build_network(model, person, whole=_device(runtime) == "cuda")
    notes = [note, f"precision {precision} ({reason}), runtime {runtime}, {threads} threads"]
    return YoloDetector(settings, network, stride, notes, time.perf_counter() - began)


class YoloDetector(inference.NetworkDetector):
    """Persons found by a YOLO network."""

    def __init__(
        self,
        settings: dict[str, Setting],
        network: PersonNetwork,
        stride: int,
        notes: list[str],
        startup_s: float,
    ) -> None:
        super().__init__(settings, notes, startup_s, "ultralytics")
        self.network, self.stride = network, stride

    def open_stage(self, width: int, height: int) -> inference.Stage:
        """The network at the input size of this frame size."""
        box = fit_centred(width, height, int(self.settings["image_size"]), self.stride)
        return inference.Stage((box,), self._compile(box), self._decode)

    def _compile(self, box: Letterbox) -> runtimes.Network:
        shape = int(self.settings["batch_size"]), box.height, box.width
        precision, threads = str(self.settings["precision"]), int(self.settings["threads"])
        if self.settings["runtime"] == "openvino":
            model = convert_to_openvino(self.network.module, shape)
            return runtimes.OpenVinoNetwork(model, precision, threads)
        device = _device("torch")
        function = torch_function(self.network.module, precision, device)
        return runtimes.ThreadedNetwork(function, shape, 1 if device == "cuda" else threads)

    def _decode(self, answers: runtimes.Answers, box: Letterbox) -> NDArray[np.float32]:
        min_score, nms_iou = float(self.settings["min_score"]), float(self.settings["nms_iou"])
        return self.network.decode(answers, box, min_score, nms_iou)


def load_pose(path: Path) -> tuple[Any, int, WeightsFile]:
    """The YOLO network at `path` with a head for key points, its class of persons, and its file.

    Errors: LpwError as `open_detector`, and for weights without key points.
    """
    file = read_weights(path)
    model = _load_model(file)
    from ultralytics.nn.modules.head import Pose

    if not isinstance(model.model[-1], Pose):
        got = f"weights that find no key points ({type(model.model[-1]).__name__} head)"
        raise LpwError(
            path,
            got,
            "a Pose head",
            "choose the weights of a YOLO pose model, such as yolo11n-pose.pt",
        )
    return model, _find_person(path, model), file


def _load_model(file: WeightsFile) -> Any:
    """The network of `file`, fused, after it has answered once in another process. Errors:
    LpwError."""
    check_torch(
        file, "YOLO weights", _DO, modules=True
    )  # before anything that could unpickle is imported
    import_safely()
    fault = try_model(file, "ultralytics", _probe)
    model = load_network(file)  # tells what is wrong with a file that does not load
    if fault is not None:
        raise LpwError(
            file.path,
            f"a network that fails at one small image ({fault[:160]})",
            "YOLO weights",
            _DO,
        )
    return model


def _probe(file: WeightsFile, _: object, cap: Callable[[], None]) -> bool:
    """See `model_trial.Probe`. Errors: LpwError where it does not load, and those of torch."""
    import_safely()
    import torch

    torch.set_num_threads(1)
    cap()
    model = load_network(file)
    side = max(64, 2 * int(model.stride.max()))
    with torch.inference_mode():
        model(torch.full((1, 3, side, side), 0.5))
    return True


def load_network(file: WeightsFile) -> Any:
    """The network of `file`, fused. Errors: LpwError for what is no detector, or holds more than
    one."""
    import torch
    from ultralytics.nn.modules.head import OBB, Detect
    from ultralytics.nn.tasks import _SafeLoad

    path = file.path
    try:
        with _SafeLoad.loading(io.BytesIO(file.data)):
            checkpoint = torch.load(io.BytesIO(file.data), map_location="cpu", weights_only=True)
        model = checkpoint.get("ema") or checkpoint.get("model")
        head = model.model[-1]
    except Exception as error:  # an untrusted file can fail in any way while it is rebuilt
        raise LpwError(path, _describe_failure(error), "YOLO weights", _DO) from error
    if not isinstance(head, Detect) or isinstance(head, OBB):
        raise LpwError(
            path,
            f"weights that are not a detector ({type(head).__name__} head)",
            "a Detect head",
            _DO,
        )
    tensors = [*model.parameters(), *model.buffers()]
    if not all(bool(t.isfinite().all()) for t in tensors):
        raise LpwError(
            path,
            "weights with NaN or infinite values",
            "finite weights",
            "fetch or train them again",
        )
    channels = first_convolution(model).in_channels
    if channels != 3:
        raise LpwError(path, f"weights for pictures of {channels} channels", "3 channels", _DO)
    return model.float().fuse(verbose=False).eval()


def _describe_failure(error: BaseException) -> str:
    """Why a checkpoint could not be loaded, in our words: those of the libraries advise on other
    programs."""
    causes = [error, error.__cause__, error.__context__]
    if any(isinstance(cause, pickle.UnpicklingError) for cause in causes):
        return "a file that safe loading refuses: it holds more than a network, or is damaged"
    if any(isinstance(cause, RuntimeError | EOFError | MemoryError) for cause in causes):
        return "a damaged file"
    return "a file without a network of ultralytics' make"


def import_safely() -> None:
    """Imports ultralytics as the module says. Errors: LpwError where it, or a torch that loads
    safely, is missing."""
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_VERBOSE"] = "false"
    os.environ["ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS"] = "true"
    settle_library("YOLO_CONFIG_DIR", "ultralytics", always=True)
    settle_library("MPLCONFIGDIR", "matplotlib")  # which ultralytics imports
    threads = os.environ.get("OMP_NUM_THREADS")
    try:
        import torch
        from ultralytics.nn import tasks
        from ultralytics.utils import SETTINGS
    except ImportError as error:
        raise LpwError(
            "detector ultralytics", f"no package {error.name}", "it installed", _INSTALL
        ) from error
    finally:
        if threads is None:  # ultralytics sets it for every library of this process
            os.environ.pop("OMP_NUM_THREADS", None)
    dict.__setitem__(
        SETTINGS, "sync", False
    )  # in memory: a user's own settings file stays as it is
    if not tasks._SafeLoad.SUPPORTED:  # it would load unsafely without a word
        raise LpwError("torch", torch.__version__, "2.10 or later (safe loading)", _INSTALL)


def _find_person(path: Path, model: Any) -> int:
    names: dict[int, str] = dict(getattr(model, "names", {}))
    for number, name in names.items():
        if str(name).lower() == "person":
            return int(number)
    if model.model[-1].nc == 1:
        return 0
    few = ", ".join(str(n) for n in list(names.values())[:5])
    raise LpwError(path, f"classes {few}…", "a class named person, or one class only", _DO)


def _device(runtime: str) -> str:
    return "cuda" if runtime == "torch" and _has_cuda() else "cpu"


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
