"""Batch normalisation folded into the convolution before it: the same function of images, with one pass fewer a layer.

In evaluation BN(w * x + b) is a convolution too, with weights w * gamma / sigma and bias (b - mean) * gamma / sigma +
beta. Which normalisation follows which convolution is seen in one forward pass, so that any backbone can be folded.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lpw_toolkit.errors import LpwError

#: Largest difference allowed, relative to the largest number of the maps.
TOLERANCE = 1e-4


@torch.no_grad()
def fold_normalisation(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy of `network`, in evaluation, whose normalisations are folded; the network itself does not change.

    Args:
        network: anything that takes images and gives tensors, alone or in a tuple.
        images: (N, 3, H, W) on which it is followed, and the copy compared with it.

    Errors: LpwError where the copy says something else: a convolution's answer is then also used past its
    normalisation.
    """
    network.eval()
    folded = copy.deepcopy(network)
    wanted = _list_tensors(network(images))
    for convolution, normalisation in _find_pairs(folded, images):
        _replace(
            folded, convolution, fuse_conv_bn_eval(*(folded.get_submodule(n) for n in (convolution, normalisation)))
        )
        _replace(folded, normalisation, nn.Identity())
    for one, other in zip(wanted, _list_tensors(folded(images)), strict=True):
        if not torch.allclose(one, other, rtol=0, atol=TOLERANCE * max(float(one.abs().max()), 1e-6)):
            got = f"maps that differ by {float((one - other).abs().max()):.1e}"
            raise LpwError("folded network", got, "the same maps", "embed without folding")
    return folded


def _find_pairs(network: nn.Module, images: Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the normalisations that take their answers, each used once."""
    answers: dict[int, tuple[str, Tensor]] = {}  # holds each tensor, so that no other gets its id
    pairs: list[tuple[str, str]] = []
    used: list[str] = []

    def note_answer(name: str, answer: Tensor) -> None:
        used.append(name)
        answers[id(answer)] = name, answer

    def note_input(name: str, given: Tensor) -> None:
        used.append(name)
        if id(given) in answers:
            pairs.append((answers[id(given)][0], name))

    handles = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(lambda _, __, answer, name=name: note_answer(name, answer)))
        elif isinstance(module, nn.BatchNorm2d):
            handles.append(module.register_forward_pre_hook(lambda _, given, name=name: note_input(name, given[0])))
    network(images)
    for handle in handles:
        handle.remove()
    return [pair for pair in pairs if all(used.count(name) == 1 for name in pair)]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)


def _list_tensors(answer: object) -> list[Tensor]:
    if isinstance(answer, Tensor):
        return [answer]
    return [tensor for part in answer for tensor in _list_tensors(part)] if isinstance(answer, tuple | list) else []
