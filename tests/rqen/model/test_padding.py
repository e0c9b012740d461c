"""What is masked counts for nothing, whatever it holds: in vectors, losses, gradients and running
statistics."""

from dataclasses import replace

import pytest
import torch
from tiny_backbone import TinyBackbone

import rqen
from lpw_toolkit.errors import LpwError
from rqen.model.aggregate import aggregate_sets
from rqen.model.method import MethodSpec, list_family, open_spec
from rqen.model.network import SetNetwork
from rqen.recipe import LossRecipe
from rqen.training.objective import compute_loss

SPECS = {
    **{name: open_spec(name) for name in list_family()},
    "largest": MethodSpec(division=(1.0,), quality="uniform", pooling="max"),
    "projected": MethodSpec(quality="uniform", projection=(8, 4)),
}
FILLS = [float("nan"), float("inf"), float("-inf"), 9.0]
SIZE = (64, 32)
LENGTHS = (2, 4, 1)
MASK = torch.arange(4)[None] < torch.tensor(LENGTHS)[:, None]


def make_network(method: str, heads: str) -> SetNetwork:
    torch.manual_seed(0)
    spec = replace(SPECS[method], heads=heads)
    return SetNetwork(TinyBackbone(), spec, 3, SIZE)


def make_images(fill: float, n_frames: int = 4) -> torch.Tensor:
    """Three sets of 2, 4 and 1 frames, padded to `n_frames` with `fill`."""
    images = torch.full((3, n_frames, 3, *SIZE), fill)
    drawn = torch.randn(3, 4, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    images[:, :4][MASK] = drawn[MASK]
    return images


def step(network: SetNetwork, images: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """The loss of a step, its gradients and the running statistics after it."""
    output = network.train()(images, mask)
    loss, _ = compute_loss(output, torch.tensor([0, 0, 1]), LossRecipe(triplet="released"))
    loss.backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {**found, **dict(network.named_buffers()), "loss": loss.detach()}


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("heads", ["frame", "neck", "necks"])
@pytest.mark.parametrize("method", SPECS)
def test_a_padded_set_is_embedded_as_without_padding(method, heads, fill):
    network, images = make_network(method, heads).eval(), make_images(fill)
    with torch.no_grad():
        padded = network(images, MASK)
        for row, n in enumerate(LENGTHS):
            alone = network(images[row : row + 1, :n])
            torch.testing.assert_close(padded.embedding[row], alone.embedding[0])
            torch.testing.assert_close(padded.scores[row, :n], alone.scores[0])
    assert not padded.scores[~MASK].any() and not padded.shares[~MASK].any()


@pytest.mark.parametrize("heads", ["frame", "neck", "necks"])
@pytest.mark.parametrize("method", SPECS)
def test_a_step_is_the_same_whatever_padding_holds_and_however_much_there_is(method, heads):
    expected = step(make_network(method, heads), make_images(0.0), MASK)
    assert all(value.isfinite().all() for value in expected.values())
    longer = torch.cat([MASK, torch.zeros(3, 2, dtype=torch.bool)], dim=1)
    steps = [step(make_network(method, heads), make_images(fill), MASK) for fill in FILLS]
    steps.append(step(make_network(method, heads), make_images(float("nan"), 6), longer))
    for found in steps:
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("fill", FILLS)
def test_masked_features_and_scores_neither_count_nor_get_a_gradient(fill):
    features = torch.full((3, 4, 2, 5), fill)
    scores = torch.full((3, 4, 2), fill)
    features[MASK], scores[MASK] = torch.rand(7, 2, 5), torch.rand(7, 2)
    features.requires_grad_()
    scores.requires_grad_()
    found = aggregate_sets(features, scores, MASK)
    found.embedding.sum().backward()
    for row, n in enumerate(LENGTHS):
        alone = aggregate_sets(features[row : row + 1, :n], scores[row : row + 1, :n])
        torch.testing.assert_close(found.embedding[row], alone.embedding[0])
    for gradient in (features.grad, scores.grad):
        assert gradient.isfinite().all() and gradient[MASK].any() and not gradient[~MASK].any()


@pytest.mark.parametrize("method", ["rqen", "more_params", "mean"])
def test_the_module_embeds_padded_tracklets(method):
    model = rqen.RQEN(method, weights="random", size=SIZE).eval()
    images = torch.rand(2, 3, 3, *SIZE) * 255
    images[0, 1:] = float("nan")
    mask = torch.tensor([[1, 0, 0], [1, 1, 1]])
    with torch.no_grad():
        embeddings, scores = model(images, mask, return_scores=True)
        torch.testing.assert_close(embeddings[0], model(images[:1, :1])[0])
    assert embeddings.isfinite().all() and not scores[0, 1:].any()


def test_a_set_without_frames_is_refused():
    model = rqen.RQEN("mean", weights="random", size=SIZE).eval()
    with pytest.raises(LpwError, match=r"mask: got a set without frames"):
        model(torch.zeros(2, 1, 3, *SIZE), torch.tensor([[True], [False]]))
