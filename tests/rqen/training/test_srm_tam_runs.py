"""CNN+SRM+TAM and CD as methods: trained, calibrated, described and compared by the common code."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import ALONE
from tiny_training import make_data, make_job

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.errors import LpwError
from rqen.inference.run_descriptions import RunDescriptions, describe_dataset
from rqen.model.backbone import IMAGENET, Maps
from rqen.model.clip import Descriptions
from rqen.model.method import open_method
from rqen.model.methods import srm_tam
from rqen.model.srm_tam import SrmTam
from rqen.recipe import read_recipe
from rqen.run.run_folder import read_model
from rqen.training.train import train

CHANGES = ("train.validation=0.3", "method.hidden=16", "train.iterations=4")


class Tiny(torch.nn.Module):
    """A backbone that halves the image three times and looks no further."""

    tap_channels = last_channels = 3
    middle_channels = ()
    pixels, weights = IMAGENET, "random"

    def forward(self, images):
        maps = torch.nn.functional.avg_pool2d(images, 8)
        return Maps(maps, maps, ())


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("srm_tam")
    data = make_data(folder / "data")
    job = make_job(data, folder / "run", *CHANGES, method="srm_tam", recipe="srm_tam_small")
    return data, train(job, ALONE)


def describe(run: tuple[Path, Path]) -> RunDescriptions:
    index = open_index(run[0])
    return describe_dataset(run[1], index, np.arange(len(index)), 0, None)


def test_alpha_is_chosen_on_held_out_persons_and_recorded(run):
    state, said = read_model(run[1])
    found = said["kept"]["calibrated"]
    assert found["map"] >= max(found["map_pairs"], found["map_vectors"])
    assert float(state.model["alpha"]) == pytest.approx(found["alpha"])
    assert said["validation"]
    assert not set(said["validation"]) & set(said["persons"])


def test_the_log_has_the_terms_of_all_stages(run):
    last = json.loads((run[1] / "log.jsonl").read_text().splitlines()[-1])
    assert last["loss"] == pytest.approx(
        last["softmax"] + last["triplet"] + last["pairs"], abs=1e-4
    )


def test_distances_are_those_of_alpha(run):
    found, rows = describe(run), np.arange(24)
    alpha = float(read_model(run[1])[0].model["alpha"])
    assert found.own.title == f"{alpha:g} TAM + {1 - alpha:g} SRM"
    values = found.own.blocks(rows[:5], rows).block(0, 5)
    apart = np.linalg.norm(found.vectors[:5, None] - found.vectors, axis=2) / 2
    different = (values - alpha * apart) / max(1 - alpha, 1e-9)
    assert values.shape == (5, 24)
    assert -1e-5 <= different.min() <= different.max() <= 1 + 1e-5


def make_scorer(sign: float) -> SrmTam:
    """A network whose scorer gives equal maps 1/2, and others a higher probability of being the
    same where `sign` is 1, a lower one where it is -1."""
    network = SrmTam(Tiny(), 2, (16, 16), 4, 2, (0.4, 0.2, 0.2)).eval()
    scorer = network.recurrence
    for module in scorer.modules():
        if getattr(module, "bias", None) is not None:
            torch.nn.init.zeros_(module.bias)
    scorer.decide.weight.data.copy_(sign * torch.tensor([[-1.0], [1.0]]).expand(2, 512))
    return network


@pytest.mark.parametrize(("sign", "right"), [(-1, "pairs"), (1, "vectors")])
def test_alpha_trusts_whichever_is_right(sign, right):
    """Persons of two tracklets: either the maps are theirs alone and the vectors mislead, or the
    vectors are theirs alone and the scorer takes others for the same."""
    torch.manual_seed(0)
    network, person = make_scorer(sign), np.arange(8) // 2
    vectors = np.eye(4, dtype=np.float32)[person]
    if right == "pairs":
        vectors = np.tile(np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32), (4, 1))
    maps = np.random.default_rng(0).standard_normal((4, 2, 2, 64)).astype(np.float32)[person]
    held = Descriptions(vectors, np.ones(8, bool), {"map": maps}, np.arange(9))
    figures = srm_tam.calibrate(network, held, person, np.arange(8) % 2)
    assert figures["map"] == figures[f"map_{right}"] == 1
    assert figures["map_vectors" if right == "pairs" else "map_pairs"] < 1
    assert float(network.alpha) == pytest.approx(figures["alpha"])
    assert figures["alpha"] < 0.5 if right == "pairs" else figures["alpha"] >= 0.5


@pytest.mark.parametrize("stages", ["[0.5, 0.5]", "[0.5, 0.4, 0.2]"])
def test_stages_that_are_no_three_shares_are_refused(tmp_path, stages):
    job = make_job(make_data(tmp_path / "data"), tmp_path / "run", *CHANGES,
                   f"method.stages={stages}", method="srm_tam", recipe="srm_tam_small")  # fmt: skip
    with pytest.raises(LpwError, match=r"method\.stages.*three shares"):
        train(job, ALONE)


@pytest.mark.parametrize("name", ["srm_tam", "srm_tam_small", "cd", "cd_small"])
def test_recipes_are_those_of_their_methods(name):
    method = name.removesuffix("_small")
    recipe = read_recipe(name).adapt(method)
    recipe.specify(method)
    loss = {"srm_tam": "triplet_and_pairs", "cd": "binomial_deviance"}[method]
    assert recipe.loss.triplet == loss
    assert name in (open_method(method).recipe, open_method(method).small_recipe)


@pytest.mark.parametrize("recipe", ["cd", "cd_small"])
def test_cd_trains_by_its_deviance_alone(tmp_path, recipe):
    job = make_job(make_data(tmp_path / "data"), tmp_path / "run", "train.iterations=3",
                   method="cd", recipe=recipe)  # fmt: skip
    folder = train(job, ALONE)
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    assert last["loss"] == pytest.approx(last["deviance"], abs=1e-6)
    assert "softmax" not in last
    state, _ = read_model(folder)
    assert state.model["projection.0.weight"].shape == (500, 1500 if recipe == "cd" else 1280)
