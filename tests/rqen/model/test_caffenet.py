"""CaffeNet: the published sizes, the weights it takes, and what its layers do."""

import pytest
import torch

from lpw_toolkit.errors import LpwError
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.caffenet import CaffeNet
from rqen.model.method import open_method
from rqen.model.network import SetNetwork


@pytest.fixture(scope="module")
def narrow() -> CaffeNet:
    torch.manual_seed(0)
    return CaffeNet(1024).eval()


def test_the_published_number_of_parameters():
    """60,965,224 with the 1000 classes of fc8, which is left out."""
    with torch.device("meta"):
        network = CaffeNet(4096)
    n = sum(p.numel() for p in network.parameters())
    assert n == 60_965_224 - 4096 * 1000 - 1000 == 56_868_224


def test_the_published_sizes_of_maps(narrow):
    sizes = {}
    for name in ("conv1", "conv2", "conv3", "conv5", "fc6"):
        getattr(narrow, name).register_forward_hook(
            lambda _, inputs, output, name=name: sizes.update({name: tuple(output.shape[1:])})
        )
    with torch.no_grad():
        maps = narrow(torch.randn(1, 3, 227, 227))
        pool1, pool5 = narrow.convolve(torch.randn(1, 3, 227, 227))
    assert sizes == {
        "conv1": (96, 55, 55), "conv2": (256, 27, 27), "conv3": (384, 13, 13),
        "conv5": (256, 13, 13), "fc6": (1024,),
    }  # fmt: skip
    assert pool1.shape[1:] == (96, 27, 27)
    assert pool5.shape[1:] == (256, 6, 6)
    assert maps.last.shape == (1, 1024, 1, 1)


@pytest.mark.parametrize("size", [(128, 64), (64, 32), (32, 16)])
def test_crops_of_any_size_go_through(narrow, size):
    with torch.no_grad():
        maps = narrow(torch.randn(2, 3, *size))
    assert maps.tap.shape == (2, 96, size[0] // 8, size[1] // 8)
    assert maps.last.isfinite().all()
    assert not torch.equal(maps.last[0], maps.last[1])


def test_random_weights_bring_pixels_to_a_scale_that_can_be_learned_from(narrow):
    """Nothing explodes or dies on the way to fc7, of pictures as varied as photographs."""
    images = 64 * torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        vectors = narrow(images).last.flatten(1)
    assert 0.05 < vectors.std() < 5
    assert (vectors > 0).float().mean() > 0.2


def test_groups_see_one_half_of_the_channels_alone(narrow):
    maps = torch.randn(1, 96, 5, 5)
    other = maps.clone()
    other[:, 48:] += 1
    with torch.no_grad():
        change = narrow.conv2(other) - narrow.conv2(maps)
    assert change[:, :128].abs().max() == 0
    assert change[:, 128:].abs().max() > 0


def test_normalisation_is_that_of_the_paper(narrow):
    """b = a / (1 + alpha / 5 * sum of squares of 5 channels) ** 0.75."""
    maps = torch.full((1, 7, 1, 1), 100.0)
    inner = narrow.normalise(maps)[0, 3, 0, 0]
    assert inner == pytest.approx(100 / (1 + 1e-4 / 5 * 5 * 100**2) ** 0.75, rel=1e-5)


def test_every_parameter_has_a_gradient(narrow):
    narrow(torch.randn(2, 3, 64, 32)).last.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in narrow.parameters())
    narrow.zero_grad()


def test_weights_of_a_file_are_taken(narrow, tmp_path):
    state = narrow.state_dict()
    other = {name: value for name, value in state.items() if not name.startswith("fc")}
    for name, shape in (("fc6", (7, 9216)), ("fc7", (7, 7)), ("fc8", (1000, 7))):
        other |= {f"{name}.weight": torch.zeros(shape), f"{name}.bias": torch.zeros(shape[0])}
    file = tmp_path / "caffenet.pth"
    for saved in (state | {"fc8.weight": torch.zeros(1000, 1024)}, other):
        torch.save(saved, file)
        opened = open_backbone("caffenet_1024", BackboneOptions(str(file)))
        assert opened.weights.startswith("caffenet.pth ")
        torch.testing.assert_close(opened.conv5.weight, narrow.conv5.weight)
    assert opened.fc7.weight.shape == (1024, 1024)
    assert opened.fc7.weight.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BackboneOptions(), "ImageNet weights of caffenet_1024.*--weights FILE"),
        (BackboneOptions("random", last_stride=1), "2 for caffenet_1024"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(LpwError, match=message):
        open_backbone("caffenet_1024", options)


def test_weights_that_lack_a_layer_are_refused(narrow, tmp_path):
    state = {n: v for n, v in narrow.state_dict().items() if not n.startswith("conv3")}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(LpwError, match=r"conv3.bias missing, conv3.weight missing"):
        open_backbone("caffenet_1024", BackboneOptions(str(tmp_path / "w.pth")))


def test_an_unknown_width_is_refused():
    with pytest.raises(ValueError, match="2048"):
        CaffeNet(2048)


def test_it_carries_a_method_of_whole_images(narrow):
    network = SetNetwork(narrow, open_method("mean"), 3, (64, 32)).eval()
    with torch.no_grad():
        output = network(torch.randn(2, 4, 3, 64, 32))
    assert output.embedding.shape == (2, 1024)
