"""Folded networks say what the network says."""

import pytest
import torch
from folding import fold_normalisation
from torch import Tensor, nn

from lpw_toolkit.errors import LpwError
from rqen.model.backbone import BackboneOptions, open_backbone


def live(network: nn.Module) -> nn.Module:
    """The network with statistics and scales as training leaves them."""
    draws = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in (
                (module.running_mean, -0.2),
                (module.running_var, 0.6),
                (module.weight, 0.7),
            ):
                values.data.copy_(low + 0.6 * torch.rand(values.shape, generator=draws))
    return network.eval()


@pytest.mark.parametrize("name", ["efficientnet_lite0", "googlenet", "bn_inception", "resnet50"])
def test_every_backbone_folds_to_the_same_maps(name):
    torch.manual_seed(0)
    network = live(open_backbone(name, BackboneOptions("random")))
    images = torch.randn(2, 3, 64, 64)
    folded = fold_normalisation(network, images)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    other = torch.randn(3, 3, 96, 64)
    with torch.no_grad():
        for one, two in zip(network(other)[:2], folded(other)[:2], strict=True):
            assert torch.allclose(one, two, rtol=0, atol=1e-4 * float(one.abs().max()))


class Shared(nn.Module):
    """A convolution whose answer is used twice: by its normalisation, and past it; or that is
    called twice."""

    def __init__(self, *, twice: bool) -> None:
        super().__init__()
        self.twice, self.convolution, self.normalisation = (
            twice,
            nn.Conv2d(3, 3, 1),
            nn.BatchNorm2d(3),
        )

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images)
        normal = self.normalisation(maps)
        return self.convolution(normal) if self.twice else maps + normal


def test_a_convolution_that_is_called_twice_stays_as_it_is():
    network = live(Shared(twice=True))
    folded = fold_normalisation(network, torch.randn(1, 3, 8, 8))
    assert isinstance(folded.normalisation, nn.BatchNorm2d)


def test_an_answer_used_past_its_normalisation_is_an_error():
    with pytest.raises(LpwError, match="folded network: got maps that differ"):
        fold_normalisation(live(Shared(twice=False)), torch.randn(1, 3, 8, 8))
