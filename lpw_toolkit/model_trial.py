"""A stranger's model is tried before it is trusted: one small grey image, in a process that may be killed.

The child gets the bytes that were hashed and checked, may take the memory of the bound `model_bytes`, and is killed
after `model_seconds`. What passed is recorded in the user's cache by SHA-256 and version of the runtime, and is not
tried again: the trial costs one import of the runtime, once.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import follow_links, is_file, open_stream
from lpw_toolkit.files.writing import make_folder, publish_bytes
from lpw_toolkit.inference import package_version
from lpw_toolkit.weights import WeightsFile, cache_folder

Size = tuple[int, int]
_GREY = 114
_FACTOR = 6  # times the file: it, its tensors, packed and unpacked ones, and the compiled network
_MAX_ANSWER = 1 << 16
_DO = "choose another model, or raise that limit for a model that you trust"
_OF_MEMORY = re.compile(r"bad.?alloc|allocat|not enough memory|memory limit", re.IGNORECASE)
_OF_MEMORY = re.compile(r"bad.?alloc|allocat|not enough memory|memory limit", re.IGNORECASE)
# Isolated: neither the working folder, which may be a stranger's, nor anything but our own path is looked at.
_START = (
    "import json, sys; request = json.loads(sys.stdin.buffer.readline()); sys.path[:] = request['path']; "
    "from lpw_toolkit.model_trial import answer; answer(request['name'], request['runtime'], request['size_px'])"
)


def try_model(file: WeightsFile, runtime: str, size_px: Size | None = None) -> str | None:
    """Runs the model once in a child process, unless that went well before.

    Args:
        runtime: `onnxruntime`, `openvino` or `ultralytics`.
        size_px: height and width for inputs that leave them open; without it such a model is opened only.

    Returns:
        What its runtime said against it, or None where it answered.

    Errors: LpwError for a model that needs too much time or memory, or ends its process.
    """
    record = _find_record(file, runtime, size_px)
    if record is not None and is_file(record):
        return None
    answer = _run_child(file, runtime, size_px)
    if answer.get("memory"):
        got = explain_limit("model_bytes", "more memory for one small image")
        raise LpwError(file.path, got, "a network that fits", _DO)
    if "error" in answer:
        return str(answer["error"])
    if answer.get("ran") and record is not None:
        with suppress(OSError, LpwError):  # a cache that cannot be written costs another trial, no more
            make_folder(record.parent)
            publish_bytes(record, b"")
    return None


def _find_record(file: WeightsFile, runtime: str, size_px: Size | None) -> Path | None:
    """Where it is noted that the model went well; None for a user without a cache."""
    size = "x".join(map(str, size_px or ()))
    name = f"{file.sha256}-{runtime}-{package_version(runtime)}-{size}"
    try:
        return follow_links(cache_folder()) / "tried" / name
    except (RuntimeError, OSError):  # no home
        return None


def _run_child(file: WeightsFile, runtime: str, size_px: Size | None) -> dict[str, Any]:
    request = {"path": sys.path, "name": file.path.name, "runtime": runtime, "size_px": size_px}
    command = [sys.executable, "-I", "-c", _START]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds = limit("model_seconds")
    try:
        with suppress(BrokenPipeError):
            child.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
        out, _ = child.communicate(file.data, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        got = explain_limit("model_seconds", f"no answer to one small image within {seconds} seconds")
        raise LpwError(file.path, got, "a network that answers", _DO) from error
    finally:
        child.kill()
        child.communicate()
    try:
        answer = json.loads(out[:_MAX_ANSWER].splitlines()[-1])
    except (ValueError, IndexError) as error:
        code = child.returncode
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        got = f"a model that ends its runtime at one small image ({name})"
        raise LpwError(file.path, got, "a network that answers", "choose another model") from error
    return dict(answer)


def answer(name: str, runtime: str, size_px: Size | None) -> None:
    """The child: reads the model from stdin and prints one line of JSON: `ran`, or `error` with or without `memory`."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    file = WeightsFile(Path(name), sys.stdin.buffer.read())
    try:
        told: dict[str, Any] = {"ran": _try(file, runtime, size_px)}
    except Exception as error:  # a stranger's model can fail in any way
        text = (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
        told = {"error": text}
        if isinstance(error, MemoryError) or _OF_MEMORY.search(str(error)):
            told["memory"] = True
    os.write(out, json.dumps(told).encode() + b"\n")
    os._exit(0)  # without the clean-up of a runtime that may hold a broken model


def _cap(file: WeightsFile) -> None:
    """From here on this process gets the bound of memory and no more, and ends even if nobody kills it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seconds = limit("model_seconds") + 10
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if sys.platform == "linux":  # elsewhere the memory of data is neither told nor bounded: the time is
        with open_stream(Path(f"/proc/{os.getpid()}/status")) as stream:
            status = stream.read(1 << 16)
        held = int(status.split(b"VmData:")[1].split()[0]) << 10
        most = held + limit("model_bytes") + _FACTOR * len(file.data)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _try(file: WeightsFile, runtime: str, size_px: Size | None) -> bool:
    """Whether the model was run. Errors: whatever its runtime raises."""
    if runtime == "ultralytics":
        return _try_torch(file)
    return _try_openvino(file, size_px) if runtime == "openvino" else _try_onnxruntime(file, size_px)


def _try_onnxruntime(file: WeightsFile, size_px: Size | None) -> bool:
    import numpy as np

    from lpw_toolkit.onnx_model import start_session

    _cap(file)
    session = start_session(file)
    inputs = session.get_inputs()
    shapes = [tuple(side if isinstance(side, int) else None for side in value.shape) for value in inputs]
    shape = _fill(shapes, size_px)
    if shape is None:
        return False
    session.run(None, {inputs[0].name: np.full(shape, _GREY, dtype=np.float32)})
    return True


def _try_openvino(file: WeightsFile, size_px: Size | None) -> bool:
    import numpy as np

    from lpw_toolkit import inference
    from lpw_toolkit.onnx_model import list_sides

    core = inference.open_core()
    _cap(file)
    model = core.read_model(file.data)
    shape = _fill([list_sides(port.partial_shape) for port in model.inputs], size_px)
    if shape is None:
        return False
    model.reshape(list(shape))
    compiled = core.compile_model(model, "CPU", {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1})
    compiled.create_infer_request().infer({0: np.full(shape, _GREY, dtype=np.float32)})
    return True


def _try_torch(file: WeightsFile) -> bool:
    from lpw_toolkit.detectors import ultralytics

    ultralytics.import_safely()
    import torch

    torch.set_num_threads(1)
    _cap(file)
    model = ultralytics.load_network(file)
    side = max(64, 2 * int(model.stride.max()))
    with torch.inference_mode():
        model(torch.full((1, 3, side, side), _GREY / 255))
    return True


def _fill(shapes: list[Any], size_px: Size | None) -> tuple[int, ...] | None:
    """The shape of one small batch; None where the model takes no images, or their size is not known."""
    if len(shapes) != 1 or len(shapes[0]) != 4:
        return None
    batch, channels, height, width = shapes[0]
    if None in (height, width) and size_px is None:
        return None
    own = size_px or (0, 0)
    return batch or 1, channels or 3, height or own[0], width or own[1]
