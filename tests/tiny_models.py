"""Tiny networks for tests: a YOLOX-like ONNX that sees green, and a small YOLO checkpoint with random weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 64
CELL = 8


@dataclass
class Picture:
    """A decoded frame, as far as a detector looks at it."""

    index: int
    image: NDArray[np.uint8] | None
    width: int = 160
    height: int = 120
    duplicate: bool = False


@dataclass(frozen=True)
class Video:
    video_id: str = "walk"
    relative: str = "walk.avi"


def draw_frames(n: int, width: int = 160, height: int = 120, first: int = 0) -> list[Picture]:
    """Grey noise with one green block that walks to the right; the picture depends on the frame number alone."""
    frames = []
    for index in range(first, first + n):
        image = np.random.default_rng(index).integers(90, 130, (height, width, 3)).astype(np.uint8)
        left = 8 + 4 * (index % 20)
        image[40:80, left : left + 40] = (0, 255, 0)
        frames.append(Picture(index, image, width, height))
    return frames


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field: an integer, or bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def tensor(name: str, array: NDArray[Any]) -> bytes:
    kind = {"float32": 1, "int64": 7}[array.dtype.name]
    dims = b"".join(field(1, side) for side in array.shape)
    return dims + field(2, kind) + field(8, name) + field(9, array.tobytes())


def ints(name: str, values: list[int]) -> bytes:
    return field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7)


def node(kind: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    parts = [field(1, name) for name in inputs] + [field(2, output), field(4, kind)]
    return b"".join(parts + [field(5, attribute) for attribute in attributes])


def port(name: str, shape: list[int | str]) -> bytes:
    dims = b"".join(field(1, field(1, side) if isinstance(side, int) else field(2, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def model(nodes: list[bytes], weights: list[bytes], given: bytes, answer: bytes) -> bytes:
    graph = [field(1, n) for n in nodes] + [field(2, "g")] + [field(5, w) for w in weights]
    graph += [field(11, given), field(12, answer)]
    return field(1, 8) + field(7, b"".join(graph)) + field(8, field(1, "") + field(2, 13))


def make_yolox(*, nan: bool = False, n_outputs: int = 6, fixed: bool = True) -> bytes:
    """A model whose objectness is (green - blue) / 255 of a cell, and whose boxes are the cells."""
    nodes, shape = [], np.array([1, 3, -1], dtype=np.int64)
    for stride in (8, 16, 32):
        sizes = ints("kernel_shape", [stride] * 2), ints("strides", [stride] * 2)
        nodes.append(node("AveragePool", ["images"], f"pool{stride}", *sizes))
        nodes.append(node("Reshape", [f"pool{stride}", "shape"], f"flat{stride}"))
    axis = field(1, "axis") + field(3, 2) + field(20, 2)
    nodes.append(node("Concat", ["flat8", "flat16", "flat32"], "cells", axis))
    nodes.append(node("Transpose", ["cells"], "rows", ints("perm", [0, 2, 1])))
    nodes += [node("MatMul", ["rows", "mix"], "mixed"), node("Add", ["mixed", "bias"], "output")]
    mix = np.zeros((3, n_outputs), dtype=np.float32)
    mix[:2, 4 % n_outputs] = -1 / 255, 1 / 255
    bias = np.array([0.5, 0.5, 0, 0, 0, np.nan if nan else 1][:n_outputs], dtype=np.float32)
    weights = [tensor("shape", shape), tensor("mix", mix), tensor("bias", bias)]
    n_cells = sum((SIDE // s) ** 2 for s in (8, 16, 32))
    sides: list[int | str] = [SIDE, SIDE] if fixed else ["h", "w"]
    answer = port("output", [1, n_cells if fixed else "a", n_outputs])
    return model(nodes, weights, port("images", [1, 3, *sides]), answer)


def make_yolo(
    path: Path, *, head: str = "Detect", end2end: bool = False, names: tuple[str, ...] = ("car", "person", "dog")
) -> Path:
    """A small YOLO checkpoint with random weights, biased so that it sees persons nearly everywhere."""
    from lpw_toolkit.detection.detectors import ultralytics as plugin

    plugin.import_safely()
    import torch
    from ultralytics.nn import tasks

    torch.manual_seed(1)
    outputs = {"Detect": [len(names)], "Segment": [len(names), 8, 16], "Classify": [len(names)], "OBB": [len(names), 1]}
    layers = [[-1, 1, "Conv", [width, 3, 2]] for width in (8, 16, 16, 24, 24)]
    sources = -1 if head == "Classify" else [2, 3, 4]
    config = {"nc": len(names), "backbone": layers, "head": [[sources, 1, head, outputs[head]]]}
    config |= {"end2end": end2end, "reg_max": 1 if end2end else 16}
    kinds = {"Segment": tasks.SegmentationModel, "Classify": tasks.ClassificationModel, "OBB": tasks.OBBModel}
    network = kinds.get(head, tasks.DetectionModel)(config, ch=3, verbose=False)
    network.names = dict(enumerate(names))
    network.task = {"Detect": "detect", "Segment": "segment", "Classify": "classify", "OBB": "obb"}[head]
    if head != "Classify":
        person = names.index("person") if "person" in names else 0
        layer = network.model[-1]
        for branch in [*layer.cv3, *(layer.one2one_cv3 if end2end else ())]:
            branch[-1].weight.data *= 20
            branch[-1].bias.data[:] = -2.0
            branch[-1].bias.data[person] = 0.5
    torch.save({"model": network, "train_args": {"task": network.task}}, path)
    return path
