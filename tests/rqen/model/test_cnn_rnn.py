"""CNN+RNN as a method: it trains, resumes, is tested by all its views, and refuses what it cannot
learn from."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from make_dataset import make_dataset
from tiny_runs import ALONE

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.errors import LpwError
from rqen.inference.describe import EmbedRequest, describe_tracklets, open_own_distance
from rqen.inference.embed import SetEmbedOptions
from rqen.model.clip import Clip
from rqen.model.method import open_method
from rqen.model.methods.cnn_rnn import choose_test_frames
from rqen.recipe import read_recipe
from rqen.run.trained_network import make_network
from rqen.training.job import TrainJob
from rqen.training.train import train

TINY = ("data.n_frames=3", "train.iterations=4", "train.checkpoint_every=2",
        "train.channels_last=no", "method.test_shifts=[1, 8]")  # fmt: skip
SMALL_NETWORK = (
    "model.weights=random",
    "data.height=72",
    "data.width=40",
    "data.n_pairs=1",
    "train.precision=float32",
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LPW_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("cnn_rnn") / "d"
    make_dataset(root, n_tracklets=16, n_frames=2)
    return root


def make_job(data, out, *changes, recipe="cnn_rnn", **options):
    return TrainJob(data, out, "cnn_rnn", read_recipe(recipe, (*TINY, *changes)), split=None,
                    n_workers=0, **options)  # fmt: skip


def read_log(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_recipes_hold_the_values_of_the_source():
    recipe = read_recipe("cnn_rnn")
    data, optim = recipe.data, recipe.optim
    assert (data.height, data.width, data.n_frames, data.n_pairs) == (64, 48, 16, 1)
    assert (data.batch, data.sampling, data.flip) == ("pairs", "consecutive", 0.5)
    assert (optim.kind, optim.lr, optim.momentum, optim.clamp) == ("sgd", 0.001, 0.9, 5)
    assert (optim.weight_decay, optim.bias_lr, optim.head_lr) == (0, 1, 1)
    assert (recipe.loss.triplet, recipe.loss.margin, recipe.loss.softmax) == ("siamese", 2, 2)
    settings = recipe.read_settings("cnn_rnn")
    assert (settings.norm, settings.flow, settings.dropout) == ("released", "lucas_kanade", 0.6)
    assert (settings.n_outputs, settings.test_frames) == (128, 128)
    assert settings.test_shifts == (1, 2, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [("cnn_rnn", ()), ("cnn_rnn", ("method.norm=paper", "loss.triplet=siamese_squared")),
     ("cnn_rnn_small", SMALL_NETWORK)],
)  # fmt: skip
def test_it_trains_and_a_stopped_run_resumes_with_the_same_weights(data, tmp_path, recipe, changes):
    from rqen.run.run_folder import read_model

    whole = train(make_job(data, tmp_path / "whole", *changes, recipe=recipe), ALONE)
    log = read_log(whole)
    assert all(np.isfinite([row["loss"], row["softmax"], row["pair"]]).all() for row in log)
    stopped = make_job(data, tmp_path / "stopped", *changes, recipe=recipe)
    first = replace(stopped.recipe, train=replace(stopped.recipe.train, iterations=2))
    assert first.train.iterations < stopped.recipe.train.iterations
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train(stopped, ALONE)
    resumed = train(replace(stopped, resume=True), ALONE)
    one, other = (read_model(run)[0].model for run in (whole, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def stop_after(patch, n_steps):
    from rqen.training.train import Runner

    step = Runner.step

    def stop(self, batch, iteration):
        if iteration == n_steps:
            raise KeyboardInterrupt
        return step(self, batch, iteration)

    patch.setattr(Runner, "step", stop)


def describe(data, *changes):
    torch.manual_seed(0)
    recipe = read_recipe("cnn_rnn", (*TINY, *changes))
    network = make_network(recipe, "cnn_rnn", 3, None).eval()
    request = EmbedRequest("cnn_rnn", recipe, SetEmbedOptions(64, 48, n_workers=0))
    index = open_index(data)
    found = describe_tracklets(network, index, np.arange(len(index)), request)
    return found, open_own_distance(network, found, request)


def test_a_test_sums_the_distances_of_all_views(data):
    found, distance = describe(data)
    views = found.parts["views"]
    assert views.shape == (16, 4, 128)
    assert np.allclose(found.vectors, views.mean(axis=1))
    expected = np.linalg.norm(views[0] - views[5], axis=1).sum()
    every = np.arange(16)
    assert distance.blocks(every, every).block(0, 1)[0, 5] == pytest.approx(expected, rel=1e-5)
    alone, _ = describe(data, "method.test_shifts=8")
    assert np.allclose(alone.parts["views"][:, 0], views[:, 1])


def test_flow_changes_what_it_sees(data):
    with_flow, without = describe(data)[0], describe(data, "method.flow=none")[0]
    assert not np.allclose(with_flow.vectors, without.vectors)


def test_camera_one_gives_its_first_frames_and_the_others_their_last():
    frames = np.arange(5)
    assert choose_test_frames(frames, 0, 3).tolist() == [0, 1, 2]
    assert choose_test_frames(frames, 1, 3).tolist() == [2, 3, 4]
    assert choose_test_frames(frames, 2, 9).tolist() == frames.tolist()
    method, images = open_method("cnn_rnn"), np.zeros((6, 64, 48, 5), np.uint8)
    images[3:] = np.random.default_rng(0).integers(0, 256, images[3:].shape)
    recipe = read_recipe("cnn_rnn", ("method.test_frames=3",))
    network = make_network(recipe, "cnn_rnn", 3, None).eval()
    with torch.no_grad():
        first, last, all_alike = (
            method.describe(network, Clip("t", of, camera, np.arange(6)),
                            recipe.read_settings("cnn_rnn")).vector
            for of, camera in ((images, 0), (images, 1), (images[3:], 0))
        )  # fmt: skip
    assert not np.allclose(first, last)
    assert np.allclose(last, all_alike)


def test_short_tracklets_do_not_train_and_are_counted(data, tmp_path, capsys, monkeypatch):
    from lpw_toolkit import progress

    monkeypatch.setattr(progress, "_said", set())
    train(make_job(data, tmp_path / "run", "train.iterations=1", "data.n_frames=4"), ALONE)
    said = capsys.readouterr().err
    assert "7 of 16 training tracklets have less than 4 frames: cnn_rnn leaves them out" in said


def test_a_dataset_of_short_tracklets_alone_is_refused(data, tmp_path):
    with pytest.raises(LpwError, match="no tracklet of 16 frames or more"):
        train(make_job(data, tmp_path / "run", "data.n_frames=16"), ALONE)


@pytest.mark.parametrize(
    ("change", "said"),
    [("method.test_shifts=[9]", "numbers from 0 to 8"), ("method.dropout=1", "less than 1"),
     ("method.flow=raft", "dis, farneback, lucas_kanade"), ("data.height=20", "24 or more"),
     ("method.nrom=paper", "did you mean method.norm"), ("data.batch=triplets", "pairs with")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_in_one_line(data, tmp_path, change, said):
    with pytest.raises(LpwError, match=said) as caught:
        train(make_job(data, tmp_path / "run", change), ALONE)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
