"""Tries an untrusted model on one small grey image, in a process that may be killed.

The child gets the bytes that were hashed and checked, may take the memory of the bound
`model_bytes`, and is killed after `model_seconds`. What passed is recorded in the user's cache by
SHA-256 and version of the runtime, and is not tried again: the trial costs one import of the
runtime, once.
"""

import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.home import cache_folder, note_no_cache
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import is_file, open_stream
from lpw_toolkit.files.writing import atomic_write, make_folder
from lpw_toolkit.networks.runtimes import package_version
from lpw_toolkit.networks.weights import WeightsFile

Size = tuple[int, int]
#: Opens the model and, where its images have a size, runs it once: the file, that size for a model
#: that leaves it open, and what bounds the process, to be called when the runtime is imported.
#: Whether the model was run.
Probe = Callable[[WeightsFile, Size | None, Callable[[], None]], bool]
_FACTOR = 6  # times the file: it, its tensors, packed and unpacked ones, and the compiled network
_MAX_ANSWER = 1 << 16
_DO = "choose another model, or raise that limit for a model that you trust"
_OF_MEMORY = re.compile(r"bad.?alloc|allocat|not enough memory|memory limit", re.IGNORECASE)
_OF_MEMORY = re.compile(r"bad.?alloc|allocat|not enough memory|memory limit", re.IGNORECASE)
# Isolated: neither the working folder, which may be untrusted, nor anything but our own path is
# looked at.
_START = (
    "import json, sys; request = json.loads(sys.stdin.buffer.readline()); sys.path[:] = "
    "request['path']; "
    "from lpw_toolkit.networks.model_trial import answer; answer(request['name'], "
    "request['probe'], request['size_px'])"
)


def try_model(
    file: WeightsFile, runtime: str, probe: Probe, size_px: Size | None = None
) -> str | None:
    """Runs the model once in a child process, unless that went well before.

    Args:
        runtime: the package that runs it: `onnxruntime`, `openvino` or `ultralytics`.
        probe: a function of a module, which the child calls.
        size_px: height and width for inputs that leave them open; without it such a model is opened
            only.

    Returns:
        What its runtime said against it, or None where it answered.

    Errors: LpwError for a model that needs too much time or memory, or ends its process.
    """
    record = _find_record(file, runtime, size_px)
    if record is not None and is_file(record):
        return None
    answer = _run_child(file, probe, size_px)
    if answer.get("memory"):
        got = explain_limit("model_bytes", "more memory for one small image")
        raise LpwError(file.path, got, "a network that fits", _DO)
    if "error" in answer:
        return str(answer["error"])
    if answer.get("ran") and record is not None:
        try:
            make_folder(record.parent)
            atomic_write(record, b"")
        except (OSError, LpwError) as error:  # costs another trial, no more
            note_no_cache(record.parent, error)
    return None


def _find_record(file: WeightsFile, runtime: str, size_px: Size | None) -> Path | None:
    """Where it is noted that the model went well; None for a user without a cache."""
    size = "x".join(map(str, size_px or ()))
    name = f"{file.sha256}-{runtime}-{package_version(runtime)}-{size}"
    cache = cache_folder()
    return None if cache is None else cache / "tried" / name


def _run_child(file: WeightsFile, probe: Probe, size_px: Size | None) -> dict[str, Any]:
    request: dict[str, Any] = {"path": sys.path, "name": file.path.name, "size_px": size_px}
    request["probe"] = [probe.__module__, probe.__name__]
    command = [sys.executable, "-I", "-c", _START]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    seconds = limit("model_seconds")
    try:
        with suppress(BrokenPipeError):
            child.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
        out, _ = child.communicate(file.data, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        got = explain_limit(
            "model_seconds", f"no answer to one small image within {seconds} seconds"
        )
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


def answer(name: str, probe: list[str], size_px: Size | None) -> None:
    """The child: reads the model from stdin and prints one line of JSON: `ran`, or `error` with or
    without `memory`."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    file = WeightsFile(Path(name), sys.stdin.buffer.read())
    try:
        module, function = probe
        ran = getattr(importlib.import_module(module), function)(file, size_px, lambda: _cap(file))
        told: dict[str, Any] = {"ran": ran}
    except Exception as error:  # an untrusted model can fail in any way
        text = (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
        told = {"error": text}
        if isinstance(error, MemoryError) or _OF_MEMORY.search(str(error)):
            told["memory"] = True
    os.write(out, json.dumps(told).encode() + b"\n")
    os._exit(0)  # without the clean-up of a runtime that may hold a broken model


def _cap(file: WeightsFile) -> None:
    """From here on this process gets the bound of memory and no more, and ends even if nobody kills
    it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seconds = limit("model_seconds") + 10
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if (
        sys.platform == "linux"
    ):  # elsewhere the memory of data is neither told nor bounded: the time is
        with open_stream(Path(f"/proc/{os.getpid()}/status")) as stream:
            status = stream.read(1 << 16)
        held = int(status.split(b"VmData:")[1].split()[0]) << 10
        most = held + limit("model_bytes") + _FACTOR * len(file.data)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
