"""Every parameter of every method learns: in each recipe, and with each kind of heads and loss."""

from dataclasses import replace

import pytest
import torch
from make_reid import make_reid
from plugin_tools import add_plugin
from tiny_backbone import TinyBackbone
from tiny_methods import NETWORK
from tiny_runs import ALONE
from torch import nn

from lpw_toolkit.errors import LpwError
from rqen.loss import NO_DISTANCE_LOSS
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.method import (
    METHODS,
    Heads,
    NetworkMethod,
    list_family,
    open_method,
    open_spec,
)
from rqen.model.network import SetNetwork
from rqen.recipe import Recipe, list_recipes, read_recipe
from rqen.reproduce.plan import FAMILY_RECIPE
from rqen.training import train as training
from rqen.training.job import TrainJob
from rqen.training.objective import compute_loss, refuse_batch

SIZE, N_PERSONS = (64, 32), 3
OWN = {
    name: (spec.recipe, spec.small_recipe)
    for name in METHODS.names()
    if (spec := open_method(name)).recipe != FAMILY_RECIPE
}
SHARED = sorted({*list_recipes()} - {recipe for own in OWN.values() for recipe in own})
FAMILY = [(name, recipe) for name in list_family() for recipe in OWN.get(name, SHARED)]
PARTS = [name for name in list_family() if not open_spec(name).fixed_heads]
NETWORKS = [name for name in METHODS.names() if isinstance(open_method(name), NetworkMethod)]
#: Of RQEN's family; other methods bring losses that their own networks feed.
LOSSES = sorted({NO_DISTANCE_LOSS, "printed", *(read_recipe(name).loss.triplet for name in SHARED)})
#: A batch of few sets, whatever its kind.
FEW = (
    "data.n_persons=2", "data.n_sets=2", "data.n_pairs=2", "data.n_triplets=1",
    "model.weights=random", "train.precision=float32", "train.channels_last=no",
    "train.validation=0",
)  # fmt: skip


def make_batch(recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B, T, 3, H, W) as the recipe draws them, and the person of each set."""
    persons = {"triplets": [0, 0, 1], "sets": [0, 0, 1, 1, 2, 2], "frames": [0, 1, 2, 0],
               "pairs": [0, 0, 1, 2]}  # fmt: skip
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


@pytest.mark.parametrize(("method", "recipe"), FAMILY)
def test_every_parameter_learns_in_every_recipe(method, recipe):
    torch.manual_seed(0)
    made = adapt(recipe, method)
    network = SetNetwork(TinyBackbone(), made.specify(method), N_PERSONS, SIZE)
    assert learn(network, made) == []


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("heads", ["frame", "neck", "necks"])
@pytest.mark.parametrize("method", PARTS)
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
    spec = replace(open_spec("more_params"), heads=heads)
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


def test_the_largest_of_each_number_leaves_no_gradient_to_scores():
    recipe = adapt("modern", "rqen", "model.pooling=max")
    with pytest.raises(LpwError, match=r"model\.pooling: got max.*scores"):
        refuse_batch(recipe, recipe.specify("rqen"), N_PERSONS, 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Tracklets of 17 frames and more, by two cameras."""
    return make_reid(tmp_path_factory.mktemp("gradients") / "d", n_rounds=3, n_frames=17).root


class TestNetworksOfTheirOwn:
    """Trained by the common loop for a few steps, so that a network that learns in stages has all
    of them."""

    def find_silent(self, data, out, method, recipe, monkeypatch) -> set[str]:
        seen: dict[str, bool] = {}
        step = training.Runner.step

        def watch(self, batch, iteration):
            row = step(self, batch, iteration)
            for name, p in self.network.named_parameters():
                if p.requires_grad:
                    learned = p.grad is not None and bool(p.grad.any())
                    seen[name] = seen.get(name, False) or learned
            return row

        monkeypatch.setattr(training.Runner, "step", watch)
        made = read_recipe(recipe, (*FEW, "train.iterations=4"), method=method)
        training.train(TrainJob(data, out, method, made, split=None, n_workers=0), ALONE)
        assert seen
        return {name for name, learned in seen.items() if not learned}

    @pytest.mark.parametrize("method", [*NETWORKS, "halves"])
    def test_every_parameter_learns(self, data, tmp_path, method, monkeypatch):
        if method == "halves":
            (tmp_path / "plugin").mkdir()
            add_plugin(METHODS, "file", "halves", NETWORK, tmp_path / "plugin", monkeypatch)
        recipe = open_method(method).small_recipe
        assert self.find_silent(data, tmp_path / "run", method, recipe, monkeypatch) == set()

    def test_a_parameter_without_a_gradient_is_found(self, data, tmp_path, monkeypatch):
        (tmp_path / "plugin").mkdir()
        text = NETWORK.replace(
            "nn.Linear(width, n_persons)", "nn.Linear(width, n_persons); self.odd = nn.Linear(2, 2)"
        )
        add_plugin(METHODS, "file", "halves", text, tmp_path / "plugin", monkeypatch)
        found = self.find_silent(data, tmp_path / "run", "halves", "demo", monkeypatch)
        assert found == {"odd.weight", "odd.bias"}
