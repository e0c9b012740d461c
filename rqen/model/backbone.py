"""The contract of a backbone: images in, the map for quality and the last map out. Backbones are
files in `backbones/`."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from lpw_toolkit.errors import LpwError, unknown_name
from lpw_toolkit.plugins import PluginFolder
from lpw_toolkit.progress import say_once

BACKBONES = PluginFolder("rqen.model.backbones", "option --backbone")


class Maps(NamedTuple):
    """What a backbone sees.

    Attributes:
        tap: (N, C', H/8, W/8) middle representation, from which quality is predicted.
        last: (N, C, H/32, W/32) last map, or H/16 where the last stride is 1; (N, C, 1, 1) where
            the network ends in fully connected layers.
        middle: maps for auxiliary classifiers; empty where the backbone has none.
    """

    tap: Tensor
    last: Tensor
    middle: tuple[Tensor, ...]


class Pixels(NamedTuple):
    """How pictures are given to a backbone: (x - mean) / std, channel by channel.

    Attributes:
        mean, std: per channel in the order given by `bgr`, on the scale 0-255.
        bgr: True for blue first.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool


IMAGENET = Pixels((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), bgr=False)


class Backbone(Protocol):
    """What `open_backbone` of each file returns: a `torch.nn.Module` with these attributes.

    Attributes:
        tap_channels, last_channels: channels of `Maps.tap` and `Maps.last`.
        middle_channels: of each of `Maps.middle`.
        pixels: how pictures are given to it.
        weights: what it started from: a file name with the first digits of its SHA-256, or
            `random`.
    """

    tap_channels: int
    last_channels: int
    middle_channels: tuple[int, ...]
    pixels: Pixels
    weights: str

    def __call__(self, images: Tensor) -> Maps:
        """Maps of images (N, 3, H, W), normalised as `pixels` says."""


@dataclass(frozen=True)
class BackboneOptions:
    """How a backbone is opened.

    Attributes:
        weights: `imagenet` for the public ones, `random` for none, or the path of a file.
        download: whether a `timm:` network may fetch its weights itself, without a pinned digest.
        last_stride: 2 as published, or 1 for a last map twice as fine, where the backbone can do
            that.
    """

    weights: str = "imagenet"
    download: bool = False
    last_stride: int = 2


def list_backbones() -> list[str]:
    """The names of all backbones."""
    return BACKBONES.names()


def open_backbone(name: str, options: BackboneOptions) -> Any:
    """The backbone called `name` (a file of this folder, or `timm:NAME`), a `torch.nn.Module` as
    `Backbone` says.

    Errors: LpwError for an unknown name, weights that are missing or of another network, or a
    stride it cannot have.
    """
    known = [known for known in list_backbones() if known != "timm"]
    family, _, inner = name.partition(":")
    if name not in known and family != "timm":
        expected = f"{', '.join(known)}, timm:NAME"
        raise unknown_name("option --backbone", name, known, expected=expected)
    if options.last_stride not in (1, 2):
        raise LpwError("last stride", f"{options.last_stride}", "1 or 2", "choose one of them")
    if options.download and family != "timm":
        say_once("note: --download is for timm:NAME only; other weights are fetched without it")
    module = BACKBONES.load(family)
    return (
        module.open_backbone(options, inner) if family == "timm" else module.open_backbone(options)
    )


def refuse_stride(name: str, options: BackboneOptions) -> None:
    """Errors: LpwError when a last stride of 1 is asked of a backbone that cannot have it."""
    if options.last_stride != 2:
        raise LpwError(
            "last stride",
            f"{options.last_stride}",
            f"2 for {name}",
            "leave it, or choose another backbone",
        )
