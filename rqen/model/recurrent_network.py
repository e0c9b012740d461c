"""The network of CNN+RNN: frames to vectors, a recurrence over time, the mean of its outputs.

    frame t -> frame network -> f_t -> o_t = W_i drop(f_t) + b_i + W_s drop(tanh(o_{t-1})) + b_s
                                       the first step has a learned bias in place of the last term
    o_1 ... o_T -> mean -> v (128 numbers) -> classifier (training)

Source: niallmcl/Recurrent-Convolutional-Video-ReID:buildModel.lua (facts).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rqen.flow.optical_flow import ZERO
from rqen.model.frame_channels import (
    MARGIN_PX,
    N_CHANNELS,
    Norm,
    cut_parts,
    draw_corners,
    to_yuv_and_flow,
)
from rqen.model.network import Output
from rqen.model.pixels import fill_colour, normalise

_N_FILTERS, _KERNEL, _PAD = 32, 5, 4
_FLOW_UNIT_PX = 10.0
_FEATURE_STD = 0.1


class ThreeConvolutions(nn.Module):
    """The frame network of the paper: three times zero padding 4, convolution 5 x 5 to 32, tanh,
    maximum of 2 x 2. Of 56 x 40 pixels it makes 10 x 8 x 32 numbers.

    Args:
        size: height and width of its input in pixels.
        norm: how channels are standardised.

    Attributes:
        n_features: numbers per frame.
        fill: the RGB colour of an erased rectangle.

    >>> ThreeConvolutions((56, 40)).n_features
    2560
    """

    weights, fill = "random", (127, 127, 127)

    def __init__(self, size: tuple[int, int] = (56, 40), norm: Norm = "released") -> None:
        super().__init__()
        self.norm = norm
        n_inputs = (N_CHANNELS, _N_FILTERS, _N_FILTERS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(n, _N_FILTERS, _KERNEL, padding=_PAD) for n in n_inputs
        )
        height, width = size
        for _ in n_inputs:
            height, width = ((side + 2 * _PAD - _KERNEL + 1) // 2 for side in (height, width))
        self.n_features = _N_FILTERS * height * width

    def prepare(self, images: Tensor) -> Tensor:
        """Whole frames (..., 5, H, W) uint8, RGB and flow, to standardised Y, U, V and flow."""
        return to_yuv_and_flow(images, self.norm)

    def forward(self, frames: Tensor) -> Tensor:
        """Features (N, F) of parts of prepared frames (N, 5, H, W); the mean over all channels of a
        part is subtracted first."""
        frames = frames - frames.mean(dim=(1, 2, 3), keepdim=True)
        for convolution in self.convolutions:
            frames = F.max_pool2d(torch.tanh(convolution(frames)), 2)
        return frames.flatten(1)


class BackboneFrames(nn.Module):
    """A backbone of `rqen.model.backbones` as the frame network; not of the paper.

    Flow reaches it by a convolution that makes three channels of two and starts at 0, so that the
    pretrained network begins as it is. Features are the mean over the last map, normalised over the
    batch: without what all frames have in common, and about as large as those of the paper's
    network, so that sequences begin about a margin of 2 apart.

    Args:
        backbone: as `rqen.model.backbone.Backbone`.

    Attributes:
        n_features: channels of its last map.
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.motion = nn.Conv2d(2, 3, _KERNEL, padding=_KERNEL // 2, bias=False)
        nn.init.zeros_(self.motion.weight)
        self.n_features, self.weights = backbone.last_channels, backbone.weights
        self.neck = nn.BatchNorm1d(self.n_features, affine=False)
        self.fill = fill_colour(backbone.pixels)

    def prepare(self, images: Tensor) -> Tensor:
        """Frames (..., 5, H, W) uint8, RGB and flow, to RGB as the backbone takes it and flow in
        tens of pixels."""
        colours, flow = images.split([3, 2], dim=-3)
        motion = (flow.float() - ZERO) / _FLOW_UNIT_PX
        return torch.cat([normalise(colours, self.backbone.pixels), motion], dim=-3)

    def forward(self, frames: Tensor) -> Tensor:
        """Features (N, C) of frames (N, 5, H, W): normalised RGB and flow."""
        colours, flow = frames.split([3, 2], dim=1)
        maps = self.backbone(colours + self.motion(flow)).last
        features: Tensor = self.neck(maps.float().mean(dim=(2, 3))) * _FEATURE_STD
        return features


class Recurrence(nn.Module):
    """Features of frames in their order to outputs, each of its frame and of what came before.

    Args:
        n_features: numbers per frame.
        n_outputs: numbers per output.
        dropout: share of the features, and of the state, that is set to 0 in training.
    """

    def __init__(self, n_features: int, n_outputs: int, dropout: float) -> None:
        super().__init__()
        self.input = nn.Linear(n_features, n_outputs)
        self.state = nn.Linear(n_outputs, n_outputs)
        self.start = nn.Parameter(torch.empty(n_outputs).uniform_(-1, 1) / n_outputs**0.5)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Outputs (B, T, D) of features (B, T, F)."""
        steps = self.input(self.dropout(features)).unbind(dim=1)
        outputs = [steps[0] + self.start]
        for step in steps[1:]:
            outputs.append(step + self.state(self.dropout(torch.tanh(outputs[-1]))))
        return torch.stack(outputs, dim=1)


class RecurrentNetwork(nn.Module):
    """Sequences to vectors, with a classifier of identities that all sequences share.

    In training it cuts a random part out of each sequence; a test names its parts.

    Args:
        frames: the frame network, with `n_features`, `weights`, `fill` and `prepare`.
        n_persons: identities to tell apart in training.
        n_outputs: numbers in a vector.
        dropout: see `Recurrence`.
    """

    classifiers = ("main.",)

    def __init__(
        self, frames: Any, n_persons: int, n_outputs: int = 128, dropout: float = 0.6
    ) -> None:
        super().__init__()
        self.frames = frames
        self.recurrence = Recurrence(frames.n_features, n_outputs, dropout)
        self.main = nn.Linear(n_outputs, n_persons)
        self.weights, self.fill = frames.weights, frames.fill

    @property
    def backbone(self) -> Any:
        """The network whose rate is `optim.lr`: that which was there before training."""
        return getattr(self.frames, "backbone", self.frames)

    def prepare(self, images: Tensor) -> Tensor:
        """Whole frames (..., 5, H, W) uint8, RGB and flow, as the frame network sees them."""
        prepared: Tensor = self.frames.prepare(images)
        return prepared

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Output:
        """Prepared sequences (B, T, 5, H, W) to their vectors.

        Args:
            mask: None, or True throughout: sequences of a batch are equally long.

        Errors: ValueError for a mask that leaves frames out.
        """
        if mask is not None and not bool(mask.all()):
            raise ValueError("mask: sequences of a batch are equally long, without padding")
        n_sets, n_frames = images.shape[:2]
        if self.training:
            top, left = draw_corners(n_sets, images.device)
        else:
            top = left = torch.full((n_sets,), MARGIN_PX // 2, device=images.device)
        vectors = self.describe(cut_parts(images, top, left))
        ones = vectors.new_ones(n_sets, n_frames, 1)
        logits = (self.main(vectors),) if self.training else ()
        return Output(vectors, ones, ones / n_frames, vectors[:, None, None], logits, vectors)

    def describe(self, parts: Tensor) -> Tensor:
        """Vectors (B, D) of parts of sequences (B, T, 5, H - 8, W - 8), as long as they come out:
        they are compared by their Euclidean distance."""
        features = self.frames(parts.flatten(0, 1)).unflatten(0, parts.shape[:2])
        vectors: Tensor = self.recurrence(features.float()).mean(dim=1)
        return vectors
