"""Every parameter of every method learns: in each recipe, and with each kind of heads and loss."""

from dataclasses import replace

import pytest
import torch
from tiny_backbone import TinyBackbone
from torch import nn

from lpw_toolkit.errors import LpwError
from rqen.loss import list_distance_losses
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.method import METHODS, Heads, MethodSpec
from rqen.model.network import SetNetwork
from rqen.recipe import Recipe, list_recipes, read_recipe
from rqen.training.objective import compute_loss, refuse_batch

OURS = [name for name in METHODS.names() if isinstance(METHODS.load(name).METHOD, MethodSpec)]
SIZE, N_PERSONS = (64, 32), 3


def make_batch(recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B, T, 3, H, W) as the recipe draws them, and the person of each set."""
    persons = {"triplets": [0, 0, 1], "sets": [0, 0, 1, 1, 2, 2], "frames": [0, 1, 2, 0]}
    person = torch.tensor(persons[recipe.data.batch])
    n_frames = 1 if recipe.data.batch == "frames" else 3
    return torch.randn(len(person), n_frames, 3, *SIZE), person


def learn(network: nn.Module, recipe: Recipe) -> list[str]:
    """The parameters that one step leaves without a gradient, or with one of zeros."""
    images, person = make_batch(recipe)
    loss, _ = compute_loss(network.train()(images), person, recipe.loss)
    loss.backward()
    learned = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert learned
    return [name for name, p in learned.items() if p.grad is None or not p.grad.any()]


def adapt(name: str, method: str, *changes: str) -> Recipe:
    return read_recipe(name, changes).adapt(method)


@pytest.mark.parametrize("recipe", list_recipes())
@pytest.mark.parametrize("method", OURS)
def test_every_parameter_learns_in_every_recipe(method, recipe):
    torch.manual_seed(0)
    made = adapt(recipe, method)
    network = SetNetwork(TinyBackbone(), made.specify(method), N_PERSONS, SIZE)
    assert learn(network, made) == []


@pytest.mark.parametrize("loss", list_distance_losses())
@pytest.mark.parametrize("heads", ["frame", "neck", "necks"])
@pytest.mark.parametrize("method", OURS)
def test_every_parameter_learns_with_every_head_and_loss(method, heads: Heads, loss):
    torch.manual_seed(0)
    batch = "sets" if loss in ("batch_hard", "none") else "triplets"
    recipe = adapt("modern", method, f"model.heads={heads}", f"loss.triplet={loss}",
                   f"data.batch={batch}")  # fmt: skip
    spec = recipe.specify(method)
    if spec.quality != "uniform" and heads == "frame" and recipe.loss.triplet == "none":
        with pytest.raises(LpwError, match=r"loss\.triplet: got none.*scores.*model\.heads=neck"):
            refuse_batch(recipe, spec, N_PERSONS, 1)
        return
    refuse_batch(recipe, spec, N_PERSONS, 1)
    network = SetNetwork(TinyBackbone(), spec, N_PERSONS, SIZE)
    assert learn(network, recipe) == []


@pytest.mark.parametrize("name", ["efficientnet_lite0", "bn_inception", "resnet50", "googlenet"])
def test_every_parameter_of_a_backbone_learns(name):
    torch.manual_seed(0)
    recipe = adapt("paper", "rqen")
    backbone = open_backbone(name, BackboneOptions("random"))
    assert learn(SetNetwork(backbone, recipe.specify("rqen"), N_PERSONS, SIZE), recipe) == []


@pytest.mark.parametrize("heads", ["frame", "neck", "necks"])
def test_the_scores_of_more_params_are_part_of_the_vector_that_is_tested(heads: Heads):
    """Behind a neck the tested vector is the normalised one, as of every other method."""
    torch.manual_seed(0)
    spec = replace(METHODS.load("more_params").METHOD, heads=heads)
    network = SetNetwork(TinyBackbone(), spec, N_PERSONS, SIZE)
    network.train()(torch.randn(4, 2, 3, *SIZE))  # moves the statistics of the neck
    features, scores = torch.rand(2, 3, 3, 16), torch.rand(2, 3, 3)
    frames = torch.nn.functional.normalize(torch.cat([features.flatten(2), scores], 2), dim=2)
    raw = frames.mean(1)
    with torch.no_grad():
        said = network.eval().join(features, scores)
        expected = raw if heads == "frame" else network.neck(raw)
    torch.testing.assert_close(said.raw, raw)
    torch.testing.assert_close(said.embedding, torch.nn.functional.normalize(expected, dim=1))
    assert said.shares.shape == (2, 3, 3)
