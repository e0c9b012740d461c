"""GoogLeNet with batch normalisation: the network of RQEN's authors (width 576), and the wider
public one (608), which is another network.

| | authors | public |
|---|---|---|
| channels after 4c and 4d | 576 | 608 |
| channels after 4e | 1024 | 1056 |
| mean in blue, green and red | 104, 117, 123 | 104, 117, 128 |
| parameters | 10,169,984 | 10,260,224 (10,270,240 with the biases that it is published with) |
| weights | a converted Caffe model | `bn_inception-52deb4733.pth`, which `imagenet` means |

Every convolution goes without bias into batch normalisation and ReLU. Names of layers are those of
the public PyTorch checkpoint. Shapes at 224 x 224: tap (pool2) 192 x 28 x 28, after 3c 576 x 14 x
14, after 4e and 5b 1024 x 7 x 7.

Source: liuyuisanai/Quality-Aware-Network:model/train_PQAN_pool2.prototxt; Ioffe and Szegedy 2015
for the wider one.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.weights import read_weights
from lpw_toolkit.progress import say_once
from rqen.model.backbone import BackboneOptions, Maps, Pixels, refuse_stride
from rqen.model.pretrained import find_public, load_state, name_weights, parse_state

#: Width of 4c and 4d, and the mean of red that belongs to it.
_RED = {576: 123.0, 608: 128.0}


class Block(NamedTuple):
    """Widths of one inception block; `one` and `pool` are 0 in a block that halves the map and
    passes its pool on."""

    one: int
    three: tuple[int, int]
    double: tuple[int, int, int]
    pool: int
    pooling: str = "avg"

    @property
    def halves(self) -> bool:
        """Whether the block has stride 2."""
        return self.one == 0


def list_blocks(width: int) -> dict[str, Block]:
    """The blocks in order; `width` (576 or 608) is that of 4c and 4d."""
    wide = width - 480  # 96 in the authors' net, 128 in the public one
    return {
        "3a": Block(64, (64, 64), (64, 96, 96), 32),
        "3b": Block(64, (64, 96), (64, 96, 96), 64),
        "3c": Block(0, (128, 160), (64, 96, 96), 0, "max"),
        "4a": Block(224, (64, 96), (96, 128, 128), 128),
        "4b": Block(192, (96, 128), (96, 128, 128), 128),
        "4c": Block(160, (128, 160), (128, 160, 160), wide),
        "4d": Block(96, (128, 192), (160, 192, 192), wide),
        "4e": Block(0, (128, 192), (192, 256, 256), 0, "max"),
        "5a": Block(352, (192, 320), (160, 224, 224), 128),
        "5b": Block(352, (192, 320), (192, 224, 224), 128, "max"),
    }


class BNInception(nn.Module):
    """See the module.

    Attributes:
        tap_channels, last_channels, middle_channels: 192, 1024, and those after 3c and 4e.
        pixels: blue first, 0-255, mean subtracted; the two networks subtract different means.
        weights: what was loaded.
    """

    def __init__(self, width: int = 576) -> None:
        super().__init__()
        if width not in _RED:  # also of a run that a stranger made
            raise LpwError(
                "bn_inception", f"a width of {str(width)[:40]}", "576 or 608", "choose one of them"
            )
        self.width, self.blocks = width, list_blocks(width)
        self.weights = "random"
        self.tap_channels = 192
        self._add("conv1_7x7_s2", 3, 64, 7)
        self._add("conv2_3x3_reduce", 64, 64, 1)
        self._add("conv2_3x3", 64, 192, 3)
        channels, widths = 192, {}
        for name, block in self.blocks.items():
            channels = widths[name] = self._add_block(f"inception_{name}", block, channels)
        self.last_channels = channels
        self.middle_channels = (widths["3c"], widths["4e"])
        self.pixels = Pixels((104.0, 117.0, _RED[width]), (1.0, 1.0, 1.0), bgr=True)

    def _add(self, name: str, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        stride = 2 if side == 7 else stride
        self.add_module(name, nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(outputs, eps=1e-5, momentum=0.001))

    def _add_block(self, name: str, block: Block, inputs: int) -> int:
        stride = 2 if block.halves else 1
        if block.one:
            self._add(f"{name}_1x1", inputs, block.one, 1)
        self._add(f"{name}_3x3_reduce", inputs, block.three[0], 1)
        self._add(f"{name}_3x3", *block.three, 3, stride)
        self._add(f"{name}_double_3x3_reduce", inputs, block.double[0], 1)
        self._add(f"{name}_double_3x3_1", block.double[0], block.double[1], 3)
        self._add(f"{name}_double_3x3_2", block.double[1], block.double[2], 3, stride)
        if block.pool:
            self._add(f"{name}_pool_proj", inputs, block.pool, 1)
        return block.one + block.three[1] + block.double[2] + (block.pool or inputs)

    def _unit(self, name: str, maps: Tensor) -> Tensor:
        return F.relu(getattr(self, f"{name}_bn")(getattr(self, name)(maps)), inplace=True)

    def _branch(self, maps: Tensor, *names: str) -> Tensor:
        for name in names:
            maps = self._unit(name, maps)
        return maps

    def _block(self, key: str, maps: Tensor) -> Tensor:
        name, block = f"inception_{key}", self.blocks[key]
        branches = [self._unit(f"{name}_1x1", maps)] if block.one else []
        branches.append(self._branch(maps, f"{name}_3x3_reduce", f"{name}_3x3"))
        branches.append(
            self._branch(
                maps, f"{name}_double_3x3_reduce", f"{name}_double_3x3_1", f"{name}_double_3x3_2"
            )
        )
        if block.halves:
            branches.append(halve(maps))
        else:
            pooled = (
                F.max_pool2d(maps, 3, 1, 1)
                if block.pooling == "max"
                else F.avg_pool2d(maps, 3, 1, 1)
            )
            branches.append(self._unit(f"{name}_pool_proj", pooled))
        return torch.cat(branches, dim=1)

    def forward(self, images: Tensor) -> Maps:
        """Images (N, 3, H, W) to their maps."""
        maps = halve(self._unit("conv1_7x7_s2", images))
        tap = maps = halve(self._branch(maps, "conv2_3x3_reduce", "conv2_3x3"))
        middle = []
        for name, block in self.blocks.items():
            maps = self._block(name, maps)
            if block.halves:
                middle.append(maps)
        return Maps(tap, maps, tuple(middle))


def halve(maps: Tensor) -> Tensor:
    """Maximum over 3 x 3 with stride 2; sizes round up, as in Caffe."""
    return F.max_pool2d(maps, 3, 2, ceil_mode=True)


def open_backbone(options: BackboneOptions) -> BNInception:
    """The network that the weights belong to; with `random` ones the authors' width.

    Takes the public PyTorch checkpoint and a Caffe one converted to the same names (without biases,
    statistics already divided by Caffe's scale factor). A convolution's bias moves into the mean of
    the normalisation behind it.

    Errors: LpwError.
    """
    refuse_stride("bn_inception", options)
    if options.weights == "random":
        return BNInception()
    public = options.weights == "imagenet"
    path = find_public("bn_inception") if public else Path(options.weights)
    file = read_weights(path)
    state = parse_state(file)
    projection = state.get("inception_4c_pool_proj.weight")
    network = BNInception(608 if projection is not None and len(projection) == 128 else 576)
    load_state(network, fold_biases(state), path, ignored=("last_linear", "loss1", "loss2"))
    network.weights = name_weights(file)
    if public:
        say_once(
            "note: the public bn_inception is 608 wide, with the mean 104, 117, 128; RQEN's own is "
            "576 wide, with 104, 117, 123, and needs a file (--weights)"
        )
    return network


def fold_biases(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function without the biases of convolutions: BN(x + b) with mean m is BN(x) with
    mean m - b."""
    folded = {
        name: value.flatten() if value.dim() == 2 and "_bn." in name else value
        for name, value in state.items()
    }
    for name in state:
        mean = f"{name.removesuffix('.bias')}_bn.running_mean"
        if name.endswith(".bias") and mean in folded:
            folded[mean] = folded[mean] - folded.pop(name)
    return folded
