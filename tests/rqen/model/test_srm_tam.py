"""The network of CNN+SRM+TAM: shapes, stages, padding, and that all of it learns."""

import pytest
import torch
from torch.nn import functional as F

from rqen.loss import LossRecipe
from rqen.losses.triplet_and_pairs import measure_loss
from rqen.model.backbone import IMAGENET, BackboneOptions, Maps, open_backbone
from rqen.model.srm_tam import SrmTam
from rqen.training.objective import compute_loss


class Small(torch.nn.Module):
    """A backbone of one convolution: maps of 12 channels, an eighth of the size."""

    tap_channels = last_channels = 12
    middle_channels = ()
    pixels, weights = IMAGENET, "random"

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 12, 8, 8)

    def forward(self, images):
        maps = F.relu(self.convolution(images))
        return Maps(maps, maps, ())


def make(n_persons: int = 3, stages: tuple[float, ...] = (0.4, 0.2, 0.2)) -> SrmTam:
    torch.manual_seed(0)
    return SrmTam(Small(), n_persons, (32, 16), 8, 3, stages)


def draw(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_shapes():
    network, images = make(), draw(4, 5, 3, 32, 16)
    output = network.train()(images)
    assert output.embedding.shape == output.raw.shape == (4, 8)
    torch.testing.assert_close(output.embedding.norm(dim=1), torch.ones(4))
    assert output.features.shape == (4, 5, 1, 12)
    assert output.logits[0].shape == (20, 3)
    assert output.maps.shape == (4, 4, 2, 64)
    assert output.same.shape == (6,)
    output = network.eval()(images)
    assert output.logits == () and output.same.shape == (0,)


@pytest.mark.parametrize(("name", "channels", "grid", "width"), [
    ("caffenet_1024", 256, (6, 6), 1024), ("efficientnet_lite0", 1280, (4, 2), 1280),
])  # fmt: skip
def test_on_the_backbones_of_its_recipes(name, channels, grid, width):
    backbone = open_backbone(name, BackboneOptions("random"))
    network = SrmTam(backbone, 3, (128, 64), 512, 8, (0.4, 0.2, 0.2)).eval()
    assert network.recurrence.projection.in_channels == channels
    assert network.recurrence.grid == grid
    assert network.attention.of_frame.in_features == width
    with torch.no_grad():
        output = network(draw(1, 2, 3, 128, 64))
    assert output.embedding.shape == (1, 512)
    assert output.maps.shape == (1, *grid, 64)


def test_a_few_steps_on_caffenet_lower_every_term():
    torch.manual_seed(0)
    backbone = open_backbone("caffenet_1024", BackboneOptions("random"))
    backbone.dropout.p = 0.0
    network = SrmTam(backbone, 2, (64, 32), 16, 2, (0.4, 0.2, 0.2)).train()
    images, person = 60 * draw(4, 2, 3, 64, 32), torch.tensor([0, 0, 1, 1])
    recipe = LossRecipe(triplet="triplet_and_pairs", margin=1.0)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.0005, momentum=0.9)
    seen = []
    for _ in range(12):
        loss, terms = compute_loss(network(images), person, recipe)
        seen.append(terms)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(seen[-1][name] < seen[0][name] for name in ("softmax", "triplet", "pairs"))


@pytest.mark.parametrize(
    ("iteration", "weights"),
    [(0, (0, 0)), (39, (0, 0)), (40, (1, 0)), (59, (1, 0)), (60, (0, 1)), (80, (1, 1)),
     (99, (1, 1))],
)  # fmt: skip
def test_stages(iteration, weights):
    network = make()
    network.start_step(iteration, 100)
    assert network.train()(draw(2, 2, 3, 32, 16)).weights == weights


def test_every_parameter_has_a_gradient():
    network, person = make(), torch.tensor([0, 0, 1, 1, 2, 2])
    output = network.train()(draw(6, 3, 3, 32, 16))
    recipe = LossRecipe(triplet="triplet_and_pairs", margin=1.0)
    compute_loss(output, person, recipe)[0].backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_the_first_stage_trains_identities_alone():
    network, person = make(), torch.tensor([0, 0, 1, 1, 2, 2])
    network.start_step(0, 100)
    output = network.train()(draw(6, 3, 3, 32, 16))
    recipe = LossRecipe(triplet="triplet_and_pairs", margin=1.0)
    compute_loss(output, person, recipe)[0].backward()
    assert network.main.weight.grad.any() and network.backbone.convolution.weight.grad.any()
    for part in (network.attention, network.recurrence):
        assert not any(p.grad.any() for p in part.parameters())


def test_padding_counts_nothing():
    network, images = make().eval(), draw(2, 5, 3, 32, 16)
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[:, 3:] = False
    padded = images.clone()
    padded[:, 3:] = float("nan")
    seen, expected = network(padded, mask), network(images[:, :3])
    torch.testing.assert_close(seen.embedding, expected.embedding)
    torch.testing.assert_close(seen.maps, expected.maps)


def test_in_half_precision_vectors_and_maps_are_still_float32():
    network, images = make().train(), draw(3, 2, 3, 32, 16)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(images)
    assert output.embedding.dtype == output.maps.dtype == output.same.dtype == torch.float32
    torch.testing.assert_close(output.embedding, network(images).embedding, rtol=0, atol=0.05)


@pytest.mark.parametrize("n_at_once", [2, 64])
def test_a_tracklet_is_described_as_in_training_in_pieces_of_any_size(n_at_once):
    network = make().eval()
    images = torch.randint(256, (5, 3, 32, 16), dtype=torch.uint8)
    vector, maps = network.describe(images, n_at_once)
    expected = network(network.prepare(images)[None])
    torch.testing.assert_close(vector, expected.embedding[0])
    torch.testing.assert_close(maps, expected.maps[0])


def test_pairs_are_scored_in_the_order_of_the_loss():
    """Logits of the pairs (0, 1), (0, 2), (1, 2)."""
    network, images = make().train(), draw(3, 2, 3, 32, 16)
    output = network(images)
    maps, recurrence = output.maps, network.recurrence
    torch.testing.assert_close(output.same[1:2], recurrence(maps[:1], maps[2:]))
    torch.testing.assert_close(output.same[2:], recurrence(maps[1:2], maps[2:]))


def test_it_learns_planted_persons():
    """Each person has a picture; sets are that picture in noise, frame by frame."""
    network, rng = make(4, (0.2, 0.2, 0.2)), torch.Generator().manual_seed(0)
    pictures = 2 * torch.randn(4, 1, 1, 3, 32, 16, generator=rng)
    person = torch.arange(4).repeat_interleave(2)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.003)

    def draw_sets() -> torch.Tensor:
        noise = torch.randn(8, 3, 3, 32, 16, generator=rng)
        return pictures[person, 0] + noise

    recipe = LossRecipe(triplet="triplet_and_pairs", margin=1.0)
    for step in range(80):
        network.start_step(step, 80)
        loss, _ = compute_loss(network.train()(draw_sets()), person, recipe)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.start_step(79, 80)
    terms = measure_loss(network.train()(draw_sets()), person, recipe, None)
    assert float(terms["triplet"].value.detach()) < 0.5
    assert float(terms["pairs"].value.detach()) < 0.35
