"""torchvision's ResNet-50: what most of the field uses today.

Shapes at 256 x 128: tap (after layer 2) 512 x 32 x 16, last 2048 x 8 x 4, or 16 x 8 with a last
stride of 1.
"""

from torch import Tensor, nn
from torchvision.models import resnet50

from rqen.model.backbone import IMAGENET, BackboneOptions, Maps
from rqen.model.pretrained import start_from

_STEM = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2")
_BODY = ("layer3", "layer4")


class ResNet50(nn.Module):
    """See the module; attributes as `rqen.backbones.Backbone` names them."""

    tap_channels, last_channels = 512, 2048
    middle_channels: tuple[int, ...] = ()
    pixels = IMAGENET

    def __init__(self, last_stride: int) -> None:
        super().__init__()
        self.weights = "random"
        whole = resnet50(weights=None)
        whole.layer4[0].conv2.stride = (last_stride, last_stride)
        whole.layer4[0].downsample[0].stride = (last_stride, last_stride)
        for name in (*_STEM, *_BODY):
            self.add_module(name, getattr(whole, name))

    def forward(self, images: Tensor) -> Maps:
        """Images (N, 3, H, W) to their maps."""
        maps = images
        for name in _STEM:
            maps = getattr(self, name)(maps)
        return Maps(maps, self.layer4(self.layer3(maps)), ())


def open_backbone(options: BackboneOptions) -> ResNet50:
    """The network with the weights asked for. Errors: LpwError."""
    network = ResNet50(options.last_stride)
    start_from(network, "resnet50", options, ignored=("fc.",))
    return network
