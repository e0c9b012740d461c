"""IDE and TriNet: hand-computed losses, layers and counts of the cards, what pooling and views
give, and that they learn."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from make_reid import make_reid
from tiny_runs import ALONE, OPTIONS, SMALL
from torch.nn import functional as F

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from rqen.inference.embed import list_views
from rqen.inference.run_vectors import embed_run, make_embeddings
from rqen.losses.batch_hard_euclidean import batch_hard_euclidean_loss
from rqen.model.aggregate import SetLargest
from rqen.model.backbone import BackboneOptions, open_backbone
from rqen.model.method import open_method
from rqen.model.network import SetNetwork, make_projection
from rqen.recipe import read_recipe
from rqen.run.trained_network import make_network, open_network
from rqen.training.job import TrainJob
from rqen.training.objective import compute_loss, refuse_batch
from rqen.training.optimiser import rate_at
from rqen.training.train import Runner, train

RANDOM = BackboneOptions("random")
TINY = (*SMALL, "data.n_sets=2", "train.checkpoint_every=1000")
PERSON = torch.tensor([0, 0, 1, 1])


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


class TestLoss:
    def test_two_persons_by_hand(self):
        """Points 0, 1 of one person, 3, 7 of another: gaps 1-3, 1-2, 4-2, 4-6."""
        points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 3.0], [0.0, 7.0]])
        gaps = [-2, -1, 2, -2]
        soft = batch_hard_euclidean_loss(points, PERSON, None)
        assert float(soft) == pytest.approx(
            sum(math.log1p(math.exp(gap)) for gap in gaps) / 4, rel=1e-5
        )
        hinge = batch_hard_euclidean_loss(points, PERSON, 1.5)
        assert float(hinge) == pytest.approx((0 + 0.5 + 3.5 + 0) / 4, rel=1e-5)

    def test_clusters_far_apart_cost_nothing_and_a_collapsed_embedding_ln_2(self):
        far = torch.tensor([[0.0], [0.0], [50.0], [50.0]])
        assert float(batch_hard_euclidean_loss(far, PERSON, None)) < 1e-6
        collapsed = torch.zeros(4, 3, requires_grad=True)
        loss = batch_hard_euclidean_loss(collapsed, PERSON, None)
        assert float(loss.detach()) == pytest.approx(math.log(2), abs=1e-7)
        loss.backward()
        assert collapsed.grad.isfinite().all()

    def test_the_gradient_is_that_of_the_chosen_triples_alone(self):
        """Points 0, 1 and 3, 7 with a margin of 1.5: the second (against 0 and 3) and the third
        (against 7 and 1) have something to pay."""
        points = torch.tensor([[0.0], [1.0], [3.0], [7.0]], requires_grad=True)
        batch_hard_euclidean_loss(points, PERSON, 1.5).backward()
        expected = torch.tensor([[-1.0], [3.0], [-3.0], [1.0]]) / 4
        torch.testing.assert_close(points.grad, expected)

    def test_it_is_the_loss_of_unit_vectors_where_lengths_are_one(self):
        from rqen.losses.batch_hard import batch_hard_loss

        unit = F.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), dim=1)
        person = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
        for margin in (None, 0.3):
            torch.testing.assert_close(
                batch_hard_euclidean_loss(unit, person, margin),
                batch_hard_loss(unit, person, margin),
                atol=1e-5, rtol=1e-5,
            )  # fmt: skip

    def test_a_batch_without_pairs_is_refused_before(self):
        recipe = read_recipe("trinet", ("data.n_sets=1",))
        with pytest.raises(LpwError, match=r"data\.n_sets: got 1; .* batch_hard_euclidean"):
            refuse_batch(recipe, recipe.specify("trinet"), 20, 1)
        with pytest.raises(LpwError, match="without classifiers"):
            recipe = read_recipe("trinet", ("loss.triplet=none",))
            refuse_batch(recipe, recipe.specify("trinet"), 20, 1)


class TestTriNet:
    def test_layers_of_the_head(self):
        head = make_projection(2048, (1024, 128))
        assert [type(layer).__name__ for layer in head] == [
            "Linear", "BatchNorm1d", "ReLU", "Linear",
        ]  # fmt: skip
        assert count(head) == 2048 * 1024 + 1024 + 2 * 1024 + 1024 * 128 + 128
        last = head[3].weight
        torch.testing.assert_close(last @ last.T, torch.eye(128), atol=1e-5, rtol=0)

    def test_the_paper_s_network_has_no_classifier_and_plain_vectors(self):
        recipe = read_recipe("trinet", ("model.weights=random",))
        assert recipe.data.input_size == (256, 128)
        network = make_network(recipe, "trinet", 625, RANDOM)
        assert count(network) == 23_508_032 + count(make_projection(2048, (1024, 128)))
        assert not hasattr(network, "main")
        images = torch.rand(2, 1, 3, 64, 32) * 255  # any size goes through
        output = network.train()(network.prepare(images))
        assert output.logits == ()
        assert output.embedding.shape == (2, 128)
        assert not torch.allclose(output.embedding.norm(dim=1), torch.ones(2))

    def test_the_released_values(self):
        recipe = read_recipe("trinet")
        data, optim = recipe.data, recipe.optim
        assert (data.n_persons, data.n_sets, data.n_frames) == (18, 4, 1)
        assert (data.height, data.width, data.views, data.flip) == (288, 144, "ten", 0.5)
        assert (optim.kind, optim.lr, recipe.train.iterations) == ("adam", 3e-4, 25_000)
        rates = [rate_at(i, 25_000, optim) for i in (0, 15_000, 20_000, 25_000)]
        np.testing.assert_allclose(rates, [1, 1, 0.001**0.5, 0.001])

    def test_ten_views_of_an_image(self):
        image = torch.arange(8 * 6).view(1, 1, 8, 6)
        views = list_views(image, (4, 4), "ten")
        assert [int(view[0, 0, 0, 0]) for view in views[:5]] == [
            2 * 6 + 1, 0, 2, 4 * 6, 4 * 6 + 2,
        ]  # fmt: skip
        for plain, mirrored in zip(views[:5], views[5:], strict=True):
            assert torch.equal(plain.flip(3), mirrored)

    def test_a_test_takes_the_mean_of_ten_views_of_every_frame(self, dataset, tmp_path):
        run = train(make_job(dataset, tmp_path / "run", "trinet", *TRINET), ALONE)
        network, _ = open_network(run)
        found = embed_run(run, dataset.root, OPTIONS)
        assert (found.facts.metric, found.facts.frames_used) == (
            "euclidean", "all, ten views of each",
        )  # fmt: skip
        index = open_index(dataset.root)
        frames = torch.from_numpy(
            np.stack([index.images.decode(row, (72, 36)) for row in range(index.starts[1])])
        ).permute(0, 3, 1, 2)
        views = list_views(frames, (64, 32), "ten")
        with torch.no_grad():
            each = [network.describe_frames(network.prepare(view))[1][:, 0] for view in views]
        expected = torch.stack(each).mean(0).mean(0)
        np.testing.assert_allclose(found.vectors[0], expected, atol=1e-4, rtol=1e-3)
        figures = evaluate(dataset, make_embeddings(found), "market", DistanceSettings("own"))
        assert figures.facts["distance"] == "Euclidean"


class TestIDE:
    @pytest.mark.parametrize(
        ("method", "backbone", "size", "width"),
        [("ide", "resnet50", (64, 32), 2048), ("ide_caffenet", "caffenet_1024", (67, 67), 1024)],
    )
    def test_the_paper_s_networks(self, method, backbone, size, width):
        recipe = read_recipe(method, ("model.weights=random",))
        assert recipe.model.backbone == backbone
        network = make_network(recipe, method, 625, RANDOM)
        inner = open_backbone(backbone, RANDOM)
        assert count(network) == count(inner) + (width + 1) * 625
        output = network.train()(network.prepare(torch.rand(2, 1, 3, *size) * 255))
        assert [tuple(one.shape) for one in output.logits] == [(2, 625)]
        assert network.eval()(torch.zeros(1, 2, 3, *size)).embedding.shape == (1, width)

    def test_the_released_values(self):
        recipe = read_recipe("ide").adapt("ide")
        assert (recipe.data.batch, recipe.data.n_frames, recipe.model.dropout) == (
            "frames",
            16,
            0.5,
        )
        assert (recipe.data.height, recipe.data.width, recipe.data.flip) == (224, 224, 0.5)
        rates = [recipe.optim.lr * rate_at(i, 50_000, recipe.optim) for i in (0, 19_999, 20_000)]
        np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4])
        assert (recipe.optim.weight_decay, recipe.train.iterations) == (5e-4, 50_000)
        caffe = read_recipe("ide_caffenet")
        rates = [caffe.optim.lr * rate_at(i, 20_000, caffe.optim) for i in (0, 4_000, 19_999)]
        np.testing.assert_allclose(rates, [1e-3, 1e-4, 1e-7])

    def test_largest_and_mean_pooling(self):
        spec = read_recipe("ide_small").specify("ide")
        assert spec.pooling == "max"
        assert read_recipe("ide_small", ("model.pooling=mean",)).specify("ide").pooling == "mean"
        network = SetNetwork(open_backbone("efficientnet_lite0", RANDOM), spec, 3, (64, 32)).eval()
        features = torch.rand(2, 5, 1, 7, generator=torch.Generator().manual_seed(1))
        ones, mask = torch.ones(2, 5, 1), torch.ones(2, 5, dtype=torch.bool)
        mask[1, 3:] = False
        largest = network.join(features, ones, mask).embedding
        expected = F.normalize(
            torch.stack([features[0, :, 0].amax(0), features[1, :3, 0].amax(0)]), dim=1
        )
        torch.testing.assert_close(largest, expected)
        network.spec = replace(spec, pooling="mean")
        mean = network.join(features, ones, mask).embedding
        torch.testing.assert_close(mean[1], F.normalize(features[1, :3, 0].mean(0), dim=0))

    def test_the_largest_of_pieces_is_that_of_the_whole(self):
        features = torch.randn(9, 1, 4, generator=torch.Generator().manual_seed(2))
        sums = SetLargest()
        for piece in features.split([2, 3, 4]):
            sums.add(piece, torch.ones(len(piece), 1))
        assert torch.equal(sums.finish(), features.amax(0))

    def test_it_is_tested_by_the_largest_of_its_frames(self, dataset, tmp_path):
        run = train(make_job(dataset, tmp_path / "run", "ide", "data.n_frames=4"), ALONE)
        network, facts = open_network(run)
        assert facts["recipe"]["name"] == "ide_small"
        found, index = embed_run(run, dataset.root, OPTIONS), open_index(dataset.root)
        frames = torch.from_numpy(
            np.stack([index.images.decode(row, (64, 32)) for row in range(index.starts[1])])
        ).permute(0, 3, 1, 2)
        with torch.no_grad():
            features = network.describe_frames(network.prepare(frames))[1][:, 0]
        expected = F.normalize(features.amax(0), dim=0)
        np.testing.assert_allclose(found.vectors[0], expected, atol=1e-5)
        learned = evaluate(dataset, make_embeddings(found), "market", DistanceSettings("kissme"))
        assert learned.facts["distance"].startswith("KISSME")


TRINET = ("data.height=72", "data.width=36", "data.cut_height=64", "data.cut_width=32")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_reid(tmp_path_factory.mktemp("ide") / "d")


def make_job(dataset: Dataset, out, method: str, *changes: str) -> TrainJob:
    recipe = read_recipe(open_method(method).small_recipe, (*TINY, *changes))
    return TrainJob(dataset.root, out, method, recipe.adapt(method), n_workers=0)


def test_dropout_of_a_resumed_run_is_that_of_a_whole_one(dataset, tmp_path):
    """Stopped after its first step, whose checkpoint has no state of random numbers."""
    changes = ("data.n_frames=4", "train.iterations=2", "train.checkpoint_every=1")
    job = make_job(dataset, tmp_path / "whole", "ide", *changes)
    whole = train(job, ALONE)
    torch.manual_seed(99)
    saved = Runner.save

    def stop(self, iteration, *rest):
        saved(self, iteration, *rest)
        raise KeyboardInterrupt

    other = replace(job, out=tmp_path / "other", resume=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            train(other, ALONE)
    train(other, ALONE)
    name = "model.safetensors"
    assert (whole / name).read_bytes() == (other.out / name).read_bytes()


@pytest.mark.parametrize("method", ["ide", "trinet"])
def test_it_learns_persons_by_their_colours(method):
    """Four frames each of three persons of one colour, under noise: after a few steps new frames
    are nearest to their own person's."""
    torch.manual_seed(0)
    recipe = read_recipe(open_method(method).small_recipe).adapt(method)
    network = make_network(recipe, method, 3, RANDOM)
    person = torch.arange(3).repeat_interleave(4)
    colours = torch.tensor([[220.0, 40, 40], [40, 220, 40], [40, 40, 220]])

    def draw() -> torch.Tensor:
        noise = 15 * torch.randn(12, 1, 3, 64, 32)
        return (colours[person][:, None, :, None, None] + noise).clamp(0, 255)

    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(24):
        loss, _ = compute_loss(network.train()(network.prepare(draw())), person, recipe.loss)
        optimiser.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in network.parameters())
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])
    with torch.no_grad():
        raw = network.train()(network.prepare(draw())).raw  # statistics of a batch: few were seen
    distance = torch.cdist(raw, raw) + 1e9 * torch.eye(12)
    assert (person[distance.argmin(1)] == person).float().mean() > 0.9
