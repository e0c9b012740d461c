"""Any network of the package `timm` that gives maps at strides 8 and 32: `--backbone timm:NAME`, an
optional extra."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks.fetching import is_offline
from lpw_toolkit.networks.weights import read_weights
from rqen.model.backbone import BackboneOptions, Maps, Pixels
from rqen.model.pretrained import load_state, name_weights, parse_state


class Timm(nn.Module):
    """See the module; attributes as `rqen.backbones.Backbone` names them."""

    middle_channels: tuple[int, ...] = ()

    def __init__(self, name: str, body: Any) -> None:
        super().__init__()
        strides, channels = body.feature_info.reduction(), body.feature_info.channels()
        if 8 not in strides or max(strides) not in (16, 32):
            do = "choose a convolutional or hierarchical network"
            raise LpwError(
                f"timm:{name}", f"maps at strides {strides}", "maps at 8 and at 16 or 32", do
            )
        self.body, self._tap, self.weights = body, strides.index(8), "random"
        self.tap_channels, self.last_channels = channels[self._tap], channels[-1]
        scaled = [tuple(255.0 * v for v in body.pretrained_cfg[key]) for key in ("mean", "std")]
        self.pixels = Pixels(scaled[0], scaled[1], bgr=False)

    def forward(self, images: Tensor) -> Maps:
        """Images (N, 3, H, W) to their maps."""
        maps = self.body(images)
        return Maps(maps[self._tap], maps[-1], ())


def open_backbone(options: BackboneOptions, name: str = "") -> Timm:
    """The network `name` of timm. Errors: LpwError."""
    if not re.fullmatch(
        r"\w{1,100}", name, re.ASCII
    ):  # timm takes `hf-hub:` and folders for names too
        do = "see timm.list_models()"
        raise LpwError("option --backbone", f"timm:{name[:100]}", "a name that timm knows", do)
    try:
        import timm
    except ImportError as error:
        raise LpwError(
            "option --backbone", f"timm:{name} without timm", "the package", "pip install timm"
        ) from error
    if name not in timm.list_models():
        raise LpwError(
            "option --backbone", f"timm:{name}", "a name that timm knows", "see timm.list_models()"
        )
    public = options.weights == "imagenet"
    if public and (is_offline() or not options.download):
        got = "a network that fetches them by itself, without a pinned digest"
        expected = "--download, and neither --offline nor LPW_OFFLINE"
        do = "add --download, give --weights FILE, or ask for --weights random"
        raise LpwError(f"ImageNet weights of timm:{name}", got, expected, do)
    extra = {"output_stride": 16} if options.last_stride == 1 else {}
    try:
        body = timm.create_model(name, pretrained=public, features_only=True, **extra)
    except (RuntimeError, NotImplementedError, TypeError, AttributeError, AssertionError) as error:
        raise LpwError(
            f"timm:{name}", f"{error}", "a network that gives its maps", "choose another one"
        ) from error
    network = Timm(name, body)
    if public:
        network.weights = f"timm {timm.__version__} {body.pretrained_cfg['tag']}"
    elif options.weights != "random":
        path = Path(options.weights)
        file = read_weights(path)
        load_state(network.body, parse_state(file), path, ignored=("fc.", "head.", "classifier."))
        network.weights = name_weights(file)
    return network
