"""ONNX models opened by either runtime, errors in one line; what a model takes and gives, as shapes."""

from pathlib import Path
from typing import Any

from lpw_toolkit import inference
from lpw_toolkit.errors import LpwError

#: Sides of a tensor; None where the model leaves one open.
Shape = tuple[int | None, ...]


def read_shapes(path: Path, runtime: str, do: str) -> tuple[list[Shape], list[Shape]]:
    """Shapes of all inputs and of all outputs. Errors: LpwError as `read_openvino` and `open_session`."""
    if runtime == "openvino":
        model = read_openvino(path, do)
        ports = [[_static_sides(port.partial_shape) for port in side] for side in (model.inputs, model.outputs)]
        return ports[0], ports[1]
    session = open_session(path, do)
    values = session.get_inputs(), session.get_outputs()
    shapes = [[tuple(s if isinstance(s, int) else None for s in value.shape) for value in side] for side in values]
    return shapes[0], shapes[1]


def _static_sides(shape: Any) -> Shape:
    if shape.rank.is_dynamic:
        return ()
    return tuple(side.get_length() if side.is_static else None for side in shape)


def read_openvino(path: Path, do: str) -> Any:
    """The model as OpenVINO has it, not compiled. Errors: LpwError, whose remedy is `do`, for no ONNX model."""
    try:
        return inference.open_core().read_model(path)
    except RuntimeError as error:
        raise refuse_damaged(path, error, do) from error


def open_session(path: Path, do: str) -> Any:
    """An onnxruntime session of one thread. Errors: LpwError, whose remedy is `do`, for no ONNX model."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # batches run beside each other, each on one thread: see OpenVinoNetwork
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class but this
        raise refuse_damaged(path, error, do) from error


def run_once(path: Path, network: inference.Network, grey: int, do: str) -> Any:
    """The one answer to a batch of grey images. Errors: LpwError, whose remedy is `do`, where the model fails."""
    network.inputs(0)[:] = grey
    network.start(0)
    try:
        (answer,) = network.finish(0)
    except Exception as error:  # a model that reads well can still fail at its first run
        raise refuse_damaged(path, error, do) from error
    return answer


def refuse_damaged(path: Path, error: Exception, do: str) -> LpwError:
    """The error for a file that a runtime does not take, or that fails at its first run."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return LpwError(path, f"a file that is no ONNX model, or a damaged one ({lines[-1][:160]})", "an ONNX model", do)


def tell_shapes(shapes: list[Shape]) -> str:
    """Shapes for a message: `1x3x256x128, ?x512`."""
    return ", ".join("x".join("?" if side is None else str(side) for side in shape) or "?" for shape in shapes)
