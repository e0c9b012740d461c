"""A YOLO network reduced to the person class: dense scores, and boxes only for cells with a high
score.

A sixth of a YOLO detector's arithmetic goes into the boxes of cells that no score will ever select.
Here the graph ends at the scores and the feature maps, and the box branch, which sees 5 x 5 cells,
runs on patches around the few cells above the threshold. The boxes are those of the whole network.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lpw_toolkit.detection import inference
from lpw_toolkit.detection.letterbox import Letterbox
from lpw_toolkit.networks import runtimes
from lpw_toolkit.networks.runtimes import Answers, Floats

_REACH = 2  # cells on each side that two 3 x 3 convolutions see


class PersonNetwork(Protocol):
    """A torch module from (B, 3, H, W) BGR in [0, 255] to answers, and what makes boxes of the
    answers of one frame."""

    @property
    def module(self) -> Any:
        """The torch module."""

    def decode(self, answers: Answers, box: Letterbox, min_score: float, nms_iou: float) -> Floats:
        """Boxes (N, 5) in pixels of the frame."""


def build_network(model: Any, person: int, *, whole: bool) -> PersonNetwork:
    """The network for class `person` of a fused YOLO model with a Detect head.

    Args:
        whole: keep the box branch in the graph, as it is kept for heads of another make.
    """
    head = model.model[-1]
    model.requires_grad_(False)
    _fold_pixels(model)
    head.export, head.format, head.xyxy = True, None, True
    if not whole and not head.end2end and all(_is_plain_branch(branch) for branch in head.cv2):
        return SparseNetwork(
            _trim(model, head, person), head, [_split_branch(branch) for branch in head.cv2]
        )
    return WholeNetwork(_wrap(model, head, person), bool(head.end2end))


def _fold_pixels(model: Any) -> None:
    """Makes the first convolution take BGR bytes as they are: it would take RGB divided by 255.

    That spares two passes over the pixels, and bytes are whole numbers that bfloat16 holds exactly.
    """
    convolution = first_convolution(model)
    convolution.weight.data = convolution.weight.data.flip(1) / 255


def first_convolution(model: Any) -> Any:
    """The convolution that takes the pixels."""
    import torch

    return next(m for m in model.model[0].modules() if isinstance(m, torch.nn.Conv2d))


@dataclass(frozen=True)
class WholeNetwork:
    """The network as it is: one answer (B, 5, A) of `x1 y1 x2 y2 score` in pixels of the input."""

    module: Any
    end2end: bool

    def decode(self, answers: Answers, box: Letterbox, min_score: float, nms_iou: float) -> Floats:
        """Boxes (N, 5) in pixels of the frame; a network trained end to end needs no NMS."""
        selection = inference.Selection(min_score, None if self.end2end else nms_iou)
        return inference.select_boxes(answers[0][:4].T, answers[0][4], box, selection)


@dataclass(frozen=True)
class SparseNetwork:
    """The network without its box branch: answers are scores (B, A) and one feature map (B, h, w,
    C) per stride."""

    module: Any
    head: Any
    branches: list[list["_PatchConvolution"]]

    def decode(self, answers: Answers, box: Letterbox, min_score: float, nms_iou: float) -> Floats:
        """Boxes (N, 5) in pixels of the frame."""
        scores, *maps = answers
        rows = np.flatnonzero(scores > min_score)
        boxes = np.zeros((len(rows), 4), dtype=np.float32)
        first = 0
        for level, features in enumerate(maps):
            height, width = features.shape[:2]
            here = (rows >= first) & (rows < first + height * width)
            if here.any():
                boxes[here] = self._place_boxes(level, features, rows[here] - first)
            first += height * width
        return inference.select_boxes(
            boxes, scores[rows], box, inference.Selection(min_score, nms_iou)
        )

    def _place_boxes(self, level: int, features: Floats, cells: NDArray[np.intp]) -> Floats:
        """Boxes (N, 4) `x1 y1 x2 y2` in pixels of the input, of N cells of one feature map (h, w,
        C)."""
        import torch

        y, x = np.divmod(cells, features.shape[1])
        patches, inside = cut_patches(features, y, x)
        first, second, last = self.branches[level]
        with torch.inference_mode():
            near = first.apply(torch.from_numpy(patches))
            # The second convolution pads with zeros, not with what the first would give outside the
            # map.
            near = second.apply(near * torch.from_numpy(inside[:, 1:-1, 1:-1, None]))
            sides: Floats = (
                self.head.dfl(last.apply(near).view(len(cells), -1).T[None]).numpy()[0].T
            )
        centre = np.stack([x, y], axis=1).astype(np.float32) + np.float32(0.5)
        stride = np.float32(self.head.stride[level])
        return np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1) * stride


@dataclass(frozen=True)
class _PatchConvolution:
    """A convolution without padding over patches (N, k, k, C), as one product of matrices: (N, k',
    k', out).

    torch's own convolution compiles a kernel for every new N, which takes longer than the work.
    """

    columns: Any  # (size * size * C, out)
    bias: Any
    size: int
    activate: Callable[[Any], Any]

    @classmethod
    def of(cls, convolution: Any, activate: Callable[[Any], Any]) -> "_PatchConvolution":
        import torch

        out, _, size, _ = convolution.weight.shape
        columns = convolution.weight.permute(2, 3, 1, 0).reshape(-1, out).contiguous()
        bias = torch.zeros(out) if convolution.bias is None else convolution.bias
        return cls(columns, bias, size, activate)

    def apply(self, patches: Any) -> Any:
        n, side, step = len(patches), patches.shape[1] - self.size + 1, patches.stride()
        shape = n, side, side, self.size, self.size, patches.shape[3]
        windows = patches.as_strided(shape, (*step[:3], *step[1:])).reshape(-1, len(self.columns))
        answers = self.activate(self.bias.addmm(windows, self.columns))
        return answers.view(n, side, side, -1)


def _split_branch(branch: Any) -> list[_PatchConvolution]:
    first, second, last = branch
    layers = [(first.conv, first.act), (second.conv, second.act), (last, lambda x: x)]
    return [_PatchConvolution.of(convolution, activate) for convolution, activate in layers]


def cut_patches(
    features: Floats, y: NDArray[np.intp], x: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Patches (N, 5, 5, C) of a map (h, w, C) around cells, 0 outside of it, and which places (N,
    5, 5) are inside."""
    height, width = features.shape[:2]
    reach = np.arange(-_REACH, _REACH + 1)
    rows, columns = y[:, None] + reach, x[:, None] + reach
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None, :
    ]
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    patches = features[rows[:, :, None], columns[:, None, :]]
    patches[~inside] = 0
    return patches, inside


def _is_plain_branch(branch: Any) -> bool:
    if len(branch) != 3 or not all(
        hasattr(layer, "conv") and hasattr(layer, "act") for layer in branch[:2]
    ):
        return False
    convolutions = [branch[0].conv, branch[1].conv]
    plain = all(
        tuple(c.kernel_size) == (3, 3)
        and tuple(c.stride) == (1, 1)
        and tuple(c.padding) == (1, 1)
        and tuple(c.dilation) == (1, 1)
        and c.groups == 1
        and not hasattr(layer, "bn")
        for c, layer in zip(convolutions, branch[:2], strict=True)
    )
    return plain and tuple(getattr(branch[2], "kernel_size", ())) == (1, 1)


def _trim(model: Any, head: Any, person: int) -> Any:
    import torch

    class Trimmed(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> Any:
            """Scores (B, A), 0 where another class scores higher, then the feature maps (B, h, w,
            C)."""
            maps = _run_backbone(self.model, pixels)
            logits = torch.cat(
                [branch(m).flatten(2) for branch, m in zip(head.cv3, maps, strict=True)], 2
            )
            scores = logits[:, person].sigmoid() * (logits[:, person] >= logits.amax(1))
            return scores, *(m.permute(0, 2, 3, 1) for m in maps)

    return Trimmed().eval()


def _run_backbone(model: Any, pixels: Any) -> list[Any]:
    """The feature maps that the head of a YOLO model takes."""
    kept: list[Any] = []
    latest = pixels
    for layer in model.model[:-1]:
        if layer.f != -1:  # the layer takes something else than what the one before it gave
            taken = [layer.f] if isinstance(layer.f, int) else layer.f
            sources = [latest if number == -1 else kept[number] for number in taken]
            latest = sources[0] if isinstance(layer.f, int) else sources
        latest = layer(latest)
        kept.append(latest)
    return [latest if number == -1 else kept[number] for number in model.model[-1].f]


def _wrap(model: Any, head: Any, person: int) -> Any:
    import torch

    class ExportedNetwork(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> Any:
            """Boxes and person score (B, 5, A); the score is 0 where the class is another one."""
            answers = self.model(pixels)
            answers = answers[0] if isinstance(answers, tuple) else answers
            if head.end2end:
                found = answers[..., 5:6] == person
                return torch.cat([answers[..., :4], answers[..., 4:5] * found], -1).transpose(1, 2)
            scores = answers[:, 4 : 4 + head.nc]
            score = scores[:, person : person + 1]
            return torch.cat([answers[:, :4], score * (score >= scores.amax(1, keepdim=True))], 1)

    return ExportedNetwork().eval()


def torch_function(
    module: Any, precision: str, device: str
) -> Callable[[NDArray[np.uint8]], Answers]:
    """`module` as a function from pixels (B, H, W, 3) BGR to answers, run by torch."""
    import torch

    module = module.to(device, memory_format=torch.channels_last)
    kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]

    def run(pixels: NDArray[np.uint8]) -> Answers:
        with torch.inference_mode(), torch.autocast(device, kind, enabled=kind != torch.float32):
            batch = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()
            answers = module(batch)
            answers = answers if isinstance(answers, tuple) else (answers,)
            return tuple(a.float().cpu().numpy() for a in answers)

    return run


def keep_torch_single() -> None:
    """One thread for each of torch's operations: whole frames run beside each other instead,
    without waiting."""
    import torch

    torch.set_num_threads(1)


def convert_to_openvino(module: Any, shape: tuple[int, int, int]) -> Any:
    """`module` as an OpenVINO model that takes pixels (B, H, W, 3) BGR of that fixed shape."""
    import torch

    ov = runtimes.import_openvino()
    batch, height, width = shape
    example = torch.zeros(batch, 3, height, width)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the tracer warns of every shape that becomes a constant, which is meant here
        module(
            example
            # a whole head makes its anchors at the first call of a shape: traced, they must be
            # constants
        )
        traced = torch.jit.trace(module, example, check_trace=False)
        model = ov.convert_model(
            traced, example_input=example, input=[ov.PartialShape([batch, 3, height, width])]
        )
    return runtimes.feed_pixels(model)
