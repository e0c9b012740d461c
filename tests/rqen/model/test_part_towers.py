"""The towers of CD: their sizes, and that each sees its own part alone."""

import pytest
import torch

from lpw_toolkit.errors import LpwError
from rqen.model.backbone import BackboneOptions, open_backbone


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return open_backbone("part_towers", BackboneOptions("random")).eval()


def test_the_number_of_parameters(network):
    """Three times 7 x 7 x 3 x 64 + 64, 5 x 5 x 64 x 64 + 64, 64 x 12 x 12 x 500 + 500."""
    n = sum(p.numel() for p in network.parameters())
    assert n == 3 * (9_472 + 102_464 + 4_608_500) == 14_161_308


def test_sizes_at_the_size_of_the_paper(network):
    sizes = []
    for place in (0, 2, 4, 6):
        network.towers[1].convolutions[place].register_forward_hook(
            lambda _, __, output: sizes.append(tuple(output.shape[1:]))
        )
    with torch.no_grad():
        maps = network(torch.randn(2, 3, 128, 48))
    assert sizes == [(64, 48, 48), (64, 24, 24), (64, 24, 24), (64, 12, 12)]
    assert maps.last.shape == (2, 1500, 1, 1)
    assert maps.tap.shape == (2, 64, 16, 6)


@pytest.mark.parametrize(("row", "seen_by"), [(0, {0}), (44, {0, 1}), (64, {1}), (127, {2})])
def test_each_tower_sees_48_rows_of_its_own(network, row, seen_by):
    images = torch.zeros(1, 3, 128, 48)
    other = images.clone()
    other[:, :, row] = 3
    with torch.no_grad():
        change = (network(other).last - network(images).last).view(3, 500).abs().amax(1)
    assert {part for part in range(3) if change[part] > 0} == seen_by


def test_towers_share_no_weights(network):
    places = [{p.data_ptr() for p in tower.parameters()} for tower in network.towers]
    assert not places[0] & places[1] and not places[1] & places[2]
    part = torch.randn(1, 3, 48, 48)
    with torch.no_grad():
        vectors = [tower(part)[1] for tower in network.towers]
    assert not torch.allclose(vectors[0], vectors[1])
    assert not torch.allclose(vectors[1], vectors[2])


def test_every_parameter_has_a_gradient(network):
    network(torch.randn(4, 3, 64, 24)).last.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BackboneOptions(), "weights of part_towers: got imagenet; expected random"),
        (BackboneOptions("random", last_stride=1), "2 for part_towers"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(LpwError, match=message):
        open_backbone("part_towers", options)
