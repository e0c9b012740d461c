"""The network of CNN+RNN: its sizes, what it does to frames, and its recurrence over time."""

import numpy as np
import pytest
import torch

from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.frame_channels import cut_parts, draw_corners, standardise, to_yuv_and_flow
from rqen.model.recurrent_network import BackboneFrames, RecurrentNetwork, ThreeConvolutions
from rqen.model.view_distance import ViewDistance


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def make_network(n_persons=5, **options):
    return RecurrentNetwork(ThreeConvolutions(), n_persons, **options)


def draw_images(*shape):
    return torch.randint(0, 256, (*shape, 5, 64, 48), dtype=torch.uint8)


def test_sizes_of_the_layers_are_those_of_the_paper():
    network, sizes = ThreeConvolutions(), []
    maps = torch.zeros(1, 5, 56, 40)
    for convolution in network.convolutions:
        maps = torch.nn.functional.max_pool2d(convolution(maps), 2)
        sizes.append(tuple(maps.shape[1:]))
    assert sizes == [(32, 30, 22), (32, 17, 13), (32, 10, 8)]
    assert network(torch.zeros(3, 5, 56, 40)).shape == (3, 2560)


def test_number_of_parameters():
    """Three convolutions, 2560 to 128, 128 to 128, the first bias, and the classifier."""
    counted = sum(p.numel() for p in make_network(n_persons=150).parameters())
    convolutions = 5 * 25 * 32 + 32 + 2 * (32 * 25 * 32 + 32)
    assert counted == convolutions + 2561 * 128 + 129 * 128 + 128 + 129 * 150


def test_every_parameter_gets_a_gradient():
    network = make_network().train()
    output = network(network.prepare(draw_images(2, 3)))
    (output.raw.square().sum() + output.logits[0].logsumexp(1).sum()).backward()
    without = [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]
    assert not without


def test_without_recurrence_the_vector_is_the_mean_over_frames_in_any_order():
    network = make_network().eval()
    torch.nn.init.zeros_(network.recurrence.state.weight)
    with torch.no_grad():
        network.recurrence.start.copy_(network.recurrence.state.bias)
        parts = torch.randn(1, 6, 5, 56, 40)
        whole = network.describe(parts)
        each = torch.stack([network.describe(parts[:, [t]]) for t in range(6)])
        assert torch.allclose(whole, each.mean(dim=0), atol=1e-5)
        assert torch.allclose(whole, network.describe(parts[:, [3, 1, 0, 5, 4, 2]]), atol=1e-5)


def test_the_recurrence_by_hand():
    network = make_network().eval()
    cell, features = network.recurrence, torch.randn(1, 3, 2560)
    with torch.no_grad():
        first = cell.input(features[:, 0]) + cell.start
        second = cell.input(features[:, 1]) + cell.state(torch.tanh(first))
        third = cell.input(features[:, 2]) + cell.state(torch.tanh(second))
        expected = torch.stack([first, second, third], dim=1)
        assert torch.allclose(cell(features), expected, atol=1e-5)
        assert not torch.allclose(cell(features).mean(1), cell(features.flip(1)).mean(1), atol=1e-3)


def test_dropout_is_part_of_training_alone():
    network = make_network()
    parts = torch.randn(1, 4, 5, 56, 40)
    assert torch.equal(network.eval().describe(parts), network.describe(parts))
    assert not torch.equal(network.train().describe(parts), network.describe(parts))
    plain = make_network(dropout=0.0).train()
    assert torch.equal(plain.describe(parts), plain.describe(parts))


@pytest.mark.parametrize(("norm", "power"), [("paper", 1.0), ("released", 0.5)])
def test_channels_are_standardised(norm, power):
    images = draw_images(3)
    made = to_yuv_and_flow(images, norm)
    assert made.shape == (3, 5, 64, 48)
    assert made.mean(dim=(2, 3)).abs().max() < 1e-4
    red, green, blue, right, down = (images.double() / 255).unbind(dim=1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    for channel, plain in ((0, luma), (3, right), (4, down)):
        expected = (plain - plain.mean((1, 2), keepdim=True)) / (
            plain.std((1, 2), keepdim=True) ** power
        )
        assert torch.allclose(made[:, channel].double(), expected, atol=1e-4)


def test_grey_frames_and_frames_without_motion_have_channels_of_zeros():
    images = draw_images(1)
    images[:, 1:3] = images[:, :1]
    images[:, 3:] = 127
    for norm in ("released", "paper"):
        made = to_yuv_and_flow(images, norm)
        assert made[:, 0].abs().max() > 0.1
        assert made[:, 1:].abs().max() == 0
    flat = standardise(torch.full((1, 2, 3, 3), 0.3), "released")
    assert torch.equal(flat, torch.zeros_like(flat))


def test_a_part_is_the_same_of_all_frames_of_a_sequence():
    frames = torch.randn(2, 3, 5, 64, 48)
    parts = cut_parts(frames, torch.tensor([1, 8]), torch.tensor([8, 2]))
    assert torch.equal(parts[0], frames[0, ..., 1:57, 8:48])
    assert torch.equal(parts[1], frames[1, ..., 8:64, 2:42])
    top, left = draw_corners(400, torch.device("cpu"))
    assert (set(top.tolist()), set(left.tolist())) == (set(range(1, 9)), set(range(1, 9)))


def test_the_mean_of_a_part_is_subtracted():
    """So a constant that is added to all channels of a frame changes nothing."""
    network = make_network().eval()
    parts = torch.randn(1, 2, 5, 56, 40)
    assert torch.allclose(network.describe(parts), network.describe(parts + 3), atol=1e-4)


def test_in_training_parts_and_dropout_follow_the_generator():
    network = make_network().train()
    images = network.prepare(draw_images(2, 3))
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(network(images).raw)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_a_backbone_begins_without_flow_and_learns_it():
    backbone = open_backbone("efficientnet_lite0", BackboneOptions("random"))
    network = RecurrentNetwork(BackboneFrames(backbone), 3).eval()
    images = torch.randint(0, 256, (1, 2, 5, 72, 40), dtype=torch.uint8)
    still = images.clone()
    still[:, :, 3:] = 127
    with torch.no_grad():
        moving, resting = (network(network.prepare(one)).raw for one in (images, still))
    assert torch.equal(moving, resting)
    network(network.prepare(images)).raw.sum().backward()
    assert network.frames.motion.weight.grad.abs().sum() > 0
    assert network.backbone is backbone


def test_distance_is_the_sum_over_views():
    views = np.random.default_rng(0).standard_normal((5, 4, 3)).astype(np.float32)
    distance = ViewDistance(views)
    blocks = distance.blocks(np.array([0, 1]), np.array([2, 3, 4]))
    expected = np.linalg.norm(views[:2, None] - views[None, 2:], axis=3).sum(axis=2)
    assert np.allclose(blocks.block(0, 2), expected)
    assert np.allclose(blocks.block(1, 2), expected[1:])
    rows, columns = np.array([0, 1, 1]), np.array([2, 0, 1])
    assert np.allclose(blocks.pairs(rows, columns), expected[rows, columns])
    assert (blocks.n_query, blocks.n_gallery) == (2, 3)


def test_padding_is_refused_and_a_full_mask_changes_nothing():
    network = make_network().eval()
    images, mask = network.prepare(draw_images(2, 3)), torch.ones(2, 3, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(network(images, mask).raw, network(images).raw)
    mask[1, 2] = False
    with pytest.raises(ValueError, match="without padding"):
        network(images, mask)
