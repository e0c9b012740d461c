"""Opens ONNX models with either runtime, with one-line errors; reads input and output shapes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.model_trial import Size, try_model
from lpw_toolkit.networks.onnx_file import check_onnx
from lpw_toolkit.networks.weights import WeightsFile

#: Sides of a tensor; None where the model leaves one open.
Shape = tuple[int | None, ...]
_GREY = 114


def refuse_harmful(file: WeightsFile, runtime: str, do: str, size_px: Size | None = None) -> None:
    """Checks that the model is complete in its file, opens and answers: checked, then tried in
    another process.

    Args:
        size_px: height and width to try, for a model that leaves them open.

    Errors: LpwError, whose remedy is `do` where the model is damaged.
    """
    check_onnx(file)
    probe = _probe_openvino if runtime == "openvino" else _probe_onnxruntime
    fault = try_model(file, runtime, probe, size_px)
    if fault is not None:
        raise refuse_damaged(file, fault, do)


def _probe_onnxruntime(file: WeightsFile, size_px: Size | None, cap: Callable[[], None]) -> bool:
    """See `model_trial.Probe`. Errors: those of onnxruntime."""
    import onnxruntime  # noqa: F401 (before the process is bounded)

    cap()
    session = start_session(file)
    inputs = session.get_inputs()
    shapes = [
        tuple(side if isinstance(side, int) else None for side in value.shape) for value in inputs
    ]
    shape = _fill(shapes, size_px)
    if shape is not None:
        session.run(None, {inputs[0].name: np.full(shape, _GREY, dtype=np.float32)})
    return shape is not None


def _probe_openvino(file: WeightsFile, size_px: Size | None, cap: Callable[[], None]) -> bool:
    """See `model_trial.Probe`. Errors: those of OpenVINO."""
    core = runtimes.open_core()
    cap()
    model = core.read_model(file.data)
    shape = _fill([list_sides(port.partial_shape) for port in model.inputs], size_px)
    if shape is not None:
        model.reshape(list(shape))
        compiled = core.compile_model(model, "CPU", {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1})
        compiled.create_infer_request().infer({0: np.full(shape, _GREY, dtype=np.float32)})
    return shape is not None


def _fill(shapes: list[Shape], size_px: Size | None) -> tuple[int, ...] | None:
    """The shape of one small batch; None where the model takes no images, or their size is not
    known."""
    if len(shapes) != 1 or len(shapes[0]) != 4:
        return None
    batch, channels, height, width = shapes[0]
    if None in (height, width) and size_px is None:
        return None
    own = size_px or (0, 0)
    return batch or 1, channels or 3, height or own[0], width or own[1]


def read_shapes(file: WeightsFile, runtime: str, do: str) -> tuple[list[Shape], list[Shape]]:
    """Shapes of all inputs and of all outputs. Errors: LpwError as `read_openvino` and
    `open_session`."""
    if runtime == "openvino":
        model = read_openvino(file, do)
        ports = [
            [list_sides(port.partial_shape) for port in side]
            for side in (model.inputs, model.outputs)
        ]
        return ports[0], ports[1]
    session = open_session(file, do)
    values = session.get_inputs(), session.get_outputs()
    shapes = [
        [tuple(s if isinstance(s, int) else None for s in value.shape) for value in side]
        for side in values
    ]
    return shapes[0], shapes[1]


def list_sides(shape: Any) -> Shape:
    """The sides of an OpenVINO shape; none where not even their number is known."""
    if shape.rank.is_dynamic:
        return ()
    return tuple(side.get_length() if side.is_static else None for side in shape)


def refuse_large(file: WeightsFile, shape: Shape, do: str) -> None:
    """Errors: LpwError for a model that fixes more, or larger, images than anybody feeds a network
    with."""
    batch, _, *sides = shape
    n_pixels = (batch or 1) * (sides[0] or 1) * (sides[1] or 1)
    for name, got in (("image_side", max(side or 1 for side in sides)), ("image_pixels", n_pixels)):
        if got > limit(name):
            what = explain_limit(name, f"an input {tell_shapes([shape])}: {got}")
            raise LpwError(file.path, what, "small images", do)


def read_openvino(file: WeightsFile, do: str) -> Any:
    """The model as OpenVINO has it, not compiled. Errors: LpwError, whose remedy is `do`, for no
    ONNX model."""
    try:
        return runtimes.open_core().read_model(file.data)
    except RuntimeError as error:
        raise refuse_damaged(file, error, do) from error


def open_session(file: WeightsFile, do: str) -> Any:
    """An onnxruntime session of one thread. Errors: LpwError, whose remedy is `do`, for no ONNX
    model."""
    try:
        return start_session(file)
    except Exception as error:  # onnxruntime's errors share no class but this
        raise refuse_damaged(file, error, do) from error


def start_session(file: WeightsFile) -> Any:
    """`open_session` with the errors of onnxruntime itself."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = (
        1  # batches run beside each other, each on one thread: see OpenVinoNetwork
    )
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(file.data, options, providers=["CPUExecutionProvider"])


def run_once(file: WeightsFile, network: runtimes.Network, grey: int, do: str) -> runtimes.Answers:
    """The answers to a batch of grey images. Errors: LpwError, whose remedy is `do`, where the
    model fails."""
    network.inputs(0)[:] = grey
    network.start(0)
    try:
        return network.finish(0)
    except Exception as error:  # a model that reads well can still fail at its first run
        raise refuse_damaged(file, error, do) from error


def refuse_damaged(
    file: WeightsFile, error: Exception | str, do: str, kind: str = "ONNX model"
) -> LpwError:
    """The error for a file that a runtime does not take, or that fails at its first run."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    article = "an" if kind[0] in "AEIOU" else "a"
    return LpwError(
        file.path,
        f"a file that is no {kind}, or a damaged one ({lines[-1][:160]})",
        f"{article} {kind}",
        do,
    )


def tell_shapes(shapes: list[Shape]) -> str:
    """Shapes for a message: `1x3x256x128, ?x512`."""
    return ", ".join(
        "x".join("?" if side is None else str(side) for side in shape) or "?" for shape in shapes
    )
