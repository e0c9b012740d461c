"""Reads a frozen TensorFlow graph (`GraphDef`, .pb) with OpenVINO, after a look at all its nodes.

    bytes --every node is one that networks for images have--> another process runs it once
          --> OpenVINO's model, whose loops turn once per image

Source: tensorflow/tensorflow:tensorflow/core/framework/graph.proto (field numbers).
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.opening import follow_links
from lpw_toolkit.files.writing import write_file
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.model_trial import Size, try_model
from lpw_toolkit.networks.onnx_model import list_sides, refuse_damaged
from lpw_toolkit.networks.protobuf import Messages, RefusedModelError
from lpw_toolkit.networks.weights import WeightsFile

_SMALL = 300  # height and width where the graph does not say what it scales its images to
_LOOPS = ("Loop", "TensorIterator", "If")
# What a detector for images consists of: nothing here names a file, keeps a state or runs code.
_OPS = """
Abs Add AddN AddV2 All Any ArgMax Assert AvgPool BiasAdd BroadcastTo Cast Ceil CheckNumerics
ClipByValue CombinedNonMaxSuppression Concat ConcatV2 Const Conv2D Conv2DBackpropInput
CropAndResize DepthwiseConv2dNative Elu Enter Equal Exit Exp ExpandDims Fill Floor FloorDiv
FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd GatherV2 Greater
GreaterEqual Identity IdentityN LeakyRelu Less LessEqual Log LogicalAnd LogicalNot LogicalOr
LoopCond MatMul Max MaxPool Maximum Mean Merge Min Minimum MirrorPad Mul Neg NextIteration NoOp
NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4
NonMaxSuppressionV5 NotEqual OneHot Pack Pad PadV2 Placeholder PlaceholderWithDefault Pow Prod
Range Rank RealDiv Reciprocal Relu Relu6 Reshape ResizeBilinear ResizeNearestNeighbor Reverse
ReverseV2 Round Rsqrt ScatterNd Select SelectV2 Selu Shape Sigmoid Sign Size Slice Softmax
Softplus Split SplitV Sqrt Square SquaredDifference Squeeze StopGradient StridedSlice Sub Sum
Switch Tanh TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3
TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3 Tile TopK TopKV2
Transpose Unpack Where ZerosLike
"""


def refuse_harmful_graph(file: WeightsFile, do: str) -> None:
    """Checks that the graph holds nothing but a network for images, opens and answers: looked at,
    then tried in another process.

    Errors: LpwError, whose remedy is `do` where the graph is damaged or of another kind.
    """
    check_graph(file, do)
    fault = try_model(file, "openvino", _probe)
    if fault is not None:
        raise refuse_damaged(file, fault, do, "TensorFlow graph")


def check_graph(file: WeightsFile, do: str) -> None:
    """Errors: LpwError for a file that is no frozen graph, and for nodes that no network for images
    has."""
    try:
        known = frozenset(_OPS.split())
        for name in _iter_ops(Messages(file.data, do)):
            if name not in known:
                raise RefusedModelError(f"a node {name}", "a network for images", do)
    except RefusedModelError as error:
        got, expected, remedy = error.args
        raise LpwError(file.path, got, expected, remedy) from error
    except (ValueError, IndexError) as error:
        raise LpwError(
            file.path, "a file that is no TensorFlow graph, or a damaged one", "a frozen graph", do
        ) from error


def _iter_ops(messages: Messages) -> Iterator[str]:
    """The kinds of all nodes. Errors: ValueError for what is no graph."""
    n_nodes = 0
    for number, start, length in messages.iter_fields(0, len(messages.data)):
        if number == 2 and length > 0:
            raise ValueError("a library of functions: the graph is not frozen")
        if number != 1:
            continue
        if length < 0:
            raise ValueError("a number for a node")
        kinds = [
            messages.text(value, size)
            for field, value, size in messages.iter_fields(start, start + length)
            if field == 2
        ]
        if len(kinds) != 1:
            raise ValueError("a node of several kinds")
        n_nodes += 1
        yield kinds[0]
    if not n_nodes:
        raise ValueError("no node")


def _probe(file: WeightsFile, _: Size | None, cap: Callable[[], None]) -> bool:
    """See `model_trial.Probe`. Errors: those of OpenVINO, ValueError for loops that may not end."""
    core = runtimes.open_core()
    cap()
    model = _convert(file, 1)
    side = find_input_side(model)
    model.reshape([1, side, side, 3])
    compiled = core.compile_model(model, "CPU", {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1})
    compiled.create_infer_request().infer({0: np.full((1, side, side, 3), 114, dtype=np.uint8)})
    return True


def read_graph(file: WeightsFile, n_images: int, do: str) -> Any:
    """The graph as OpenVINO has it, not compiled, for `n_images` images at once.

    Errors: LpwError, whose remedy is `do`, where OpenVINO cannot convert it.
    """
    try:
        return _convert(file, n_images)
    except (RuntimeError, ValueError) as error:
        raise refuse_damaged(file, error, do, "TensorFlow graph") from error


def _convert(file: WeightsFile, n_images: int) -> Any:
    ov = runtimes.import_openvino()
    from openvino.frontend import FrontEndManager

    # Named: otherwise OpenVINO asks the readers of all its formats.
    frontend = FrontEndManager().load_by_framework("tf")
    with _as_path(file.data) as path:
        model = frontend.convert(frontend.load(path))
    for op in model.get_ops():
        if op.get_type_name() not in _LOOPS:
            continue
        inner = {other.get_type_name() for other in op.get_function().get_ops()}
        if op.get_type_name() != "Loop" or inner & set(_LOOPS):
            raise ValueError("loops within loops")
        # The loops of a frozen detector map over its images. The graph says so by a condition that
        # OpenVINO computes anew each turn: a constant number of turns needs no trust.
        turns = ov.op.Constant(ov.Type.i32, ov.Shape([]), [n_images])
        op.input(0).replace_source_output(turns.output(0))
    model.validate_nodes_and_infer_types()
    return model


@contextmanager
def _as_path(data: bytes) -> Iterator[str]:
    """A name by which OpenVINO, which reads graphs from files only, opens exactly these bytes."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("graph.pb", os.MFD_CLOEXEC)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = follow_links(Path(folder)) / "graph.pb"
            write_file(path, data)
            yield str(path)


def find_input_side(model: Any) -> int:
    """The height and width that the graph scales its images to."""
    found = [_constant_side(op) for op in _iter_all(model) if op.get_type_name() == "Interpolate"]
    return next((side for side in found if side is not None), _SMALL)


def _iter_all(model: Any) -> Iterator[Any]:
    for op in model.get_ops():
        yield op
        if op.get_type_name() == "Loop":
            yield from op.get_function().get_ops()


def _constant_side(resize: Any) -> int | None:
    node = resize.input_value(1).get_node()
    if node.get_type_name() != "Constant" or node.get_vector().size != 2:
        return None
    height, width = (int(side) for side in node.get_vector())
    return height if height == width and 32 <= height <= 4096 else None


def list_ports(model: Any) -> tuple[list[str], list[str]]:
    """Inputs and outputs for a message: `image_tensor:0 ?x?x?x3`."""

    def tell(port: Any) -> str:
        sides = "x".join("?" if s is None else str(s) for s in list_sides(port.partial_shape))
        return f"{min(port.get_names(), key=len, default='?')} {sides}"

    return [tell(port) for port in model.inputs], [tell(port) for port in model.outputs]
