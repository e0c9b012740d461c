"""torchvision's GoogLeNet (Inception v1 with batch normalisation): an alternative to `bn_inception`
with public weights.

Shapes at 224 x 224: tap 192 x 28 x 28, last 1024 x 7 x 7. No auxiliary maps: the public weights
have no such heads.
"""

from torch import Tensor, nn
from torchvision.models import googlenet

from rqen.model.backbone import BackboneOptions, Maps, Pixels, refuse_stride
from rqen.model.pretrained import start_from

_STEM = ("conv1", "maxpool1", "conv2", "conv3", "maxpool2")
_BODY = (
    *(
        "inception3a",
        "inception3b",
        "maxpool3",
        "inception4a",
        "inception4b",
        "inception4c",
        "inception4d",
    ),
    *("inception4e", "maxpool4", "inception5a", "inception5b"),
)


class GoogLeNet(nn.Module):
    """See the module; attributes as `rqen.backbones.Backbone` names them."""

    tap_channels, last_channels = 192, 1024
    middle_channels: tuple[int, ...] = ()
    # The public weights were trained on pixels in -1..1 (torchvision's `transform_input` maps back
    # to that).
    pixels = Pixels((127.5, 127.5, 127.5), (127.5, 127.5, 127.5), bgr=False)

    def __init__(self) -> None:
        super().__init__()
        self.weights = "random"
        whole = googlenet(weights=None, aux_logits=False, init_weights=True, transform_input=False)
        for name in (*_STEM, *_BODY):
            self.add_module(name, getattr(whole, name))

    def forward(self, images: Tensor) -> Maps:
        """Images (N, 3, H, W) to their maps."""
        maps = images
        for name in _STEM:
            maps = getattr(self, name)(maps)
        tap = maps
        for name in _BODY:
            maps = getattr(self, name)(maps)
        return Maps(tap, maps, ())


def open_backbone(options: BackboneOptions) -> GoogLeNet:
    """The network with the weights asked for. Errors: LpwError."""
    refuse_stride("googlenet", options)
    network = GoogLeNet()
    start_from(network, "googlenet", options, ignored=("fc.", "aux1.", "aux2."))
    return network
