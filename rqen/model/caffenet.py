"""CaffeNet: AlexNet with pooling before normalisation, its two fully connected layers included.

Five convolutions (the second, fourth and fifth in two groups), local response normalisation behind
the first two, then fc6 and fc7. Names of layers are those of the Caffe model. At 227 x 227 the last
convolution's map (pool5) is 256 x 6 x 6, as published; maps of other images are averaged to that
size, since fc6 is tied to it. Random weights keep the scale of what goes through them (He et al.,
2015), but for the first convolution, which brings pixels to it; Caffe's own start would need its
310,000 steps.

Source: Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012;
BVLC's reference model for the order of pooling and normalisation.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.weights import read_weights
from rqen.model.backbone import BackboneOptions, Maps, Pixels, refuse_stride
from rqen.model.pretrained import load_state, name_weights, parse_state

#: Numbers of fc7: as published, and as cut for the identities of MARS.
WIDTHS = (4096, 1024)
_PIXEL_DEVIATION = 64.0  # about that of photographs, 0-255
_SIDE = 6  # of pool5 at 227 x 227


class CaffeNet(nn.Module):
    """See the module; attributes as `rqen.model.backbone.Backbone` names them.

    Its last map is fc7, (N, width, 1, 1): a vector for the whole image, which no region can be cut
    from.

    Args:
        width: numbers of fc6 and fc7.

    Errors: ValueError for a width that is not in `WIDTHS`.

    >>> import torch
    >>> CaffeNet(1024).eval()(torch.zeros(2, 3, 227, 227)).last.shape
    torch.Size([2, 1024, 1, 1])
    """

    tap_channels, map_channels = 96, 256
    middle_channels: tuple[int, ...] = ()
    pixels = Pixels((104.0, 117.0, 123.0), (1.0, 1.0, 1.0), bgr=True)

    def __init__(self, width: int = 4096) -> None:
        super().__init__()
        if width not in WIDTHS:
            raise ValueError(f"width {width} is not one of {WIDTHS}")
        self.width = self.last_channels = width
        self.weights = "random"
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(256 * _SIDE * _SIDE, width)
        self.fc7 = nn.Linear(width, width)
        for layer in self.children():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.conv1.weight.div_(_PIXEL_DEVIATION)
        self.normalise = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.dropout = nn.Dropout(0.5)

    def convolve(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pool1 (N, 96, ~H/8, ~W/8) and pool5 (N, 256, 6, 6) of images (N, 3, H, W)."""
        pool1 = _pool(F.relu(self.conv1(images)))
        maps = self.normalise(_pool(F.relu(self.conv2(self.normalise(pool1)))))
        maps = F.relu(self.conv5(F.relu(self.conv4(F.relu(self.conv3(maps))))))
        return pool1, F.adaptive_avg_pool2d(_pool(maps), _SIDE)

    def connect(self, maps: Tensor) -> Tensor:
        """Fc7 (N, width) of pool5 (N, 256, 6, 6)."""
        hidden = self.dropout(F.relu(self.fc6(maps.flatten(1))))
        return self.dropout(F.relu(self.fc7(hidden)))

    def forward(self, images: Tensor) -> Maps:
        """Images (N, 3, H, W) to their maps."""
        height, width = images.shape[2:]
        pool1, pool5 = self.convolve(images)
        tap = F.adaptive_avg_pool2d(pool1, (-(-height // 8), -(-width // 8)))
        return Maps(tap, self.connect(pool5)[:, :, None, None], ())


def _pool(maps: Tensor) -> Tensor:
    """Maximum over 3 x 3 with stride 2; sizes round up, as in Caffe."""
    return F.max_pool2d(maps, 3, 2, ceil_mode=True, padding=int(min(maps.shape[2:]) < 3))


def open_caffenet(name: str, width: int, options: BackboneOptions) -> CaffeNet:
    """The network, with the weights of a file by the names of Caffe's layers (`conv1.weight` …).

    Where the file's fully connected layers have another width (a public file has 4096), only its
    convolutions are taken.

    Errors: LpwError, also for public weights: none are known that come with a digest.
    """
    refuse_stride(name, options)
    if options.weights == "imagenet":
        do = "give --weights FILE (layers conv1 to fc7), or ask for --weights random"
        got, expected = "no public file with a known digest", "a file, or random"
        raise LpwError(f"ImageNet weights of {name}", got, expected, do)
    network = CaffeNet(width)
    if options.weights != "random":
        file = read_weights(Path(options.weights))
        state = parse_state(file)
        if "fc6.weight" in state and len(state["fc6.weight"]) != width:
            own = network.state_dict()
            state = state | {key: own[key] for key in own if key.startswith("fc")}
        load_state(network, state, file.path, ignored=("fc8",))
        network.weights = name_weights(file)
    return network
