"""A learned metric and a protocol are one file each, in our folder or in another package."""

from pathlib import Path

import numpy as np
import pytest
from make_labelled import make_labelled, two_cameras
from plugin_tools import add_plugin

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.evaluation.learned_distance import LEARNERS, is_learned, list_metrics
from lpw_toolkit.evaluation.protocol import PROTOCOLS, list_protocols

WHITENED = """
import numpy as np
from lpw_toolkit.evaluation.distances import make_quadratic

OWN_PCA = False


def learn(training, rng, config):
    precision = np.diag(1 / training.features.var(axis=0, dtype=np.float64))
    return make_quadratic("whitened", "whitened, per split", np.eye(len(precision)), precision)


def describe(config, pca):
    return "whitened"
"""
EVERY_CAMERA = """
from lpw_toolkit.evaluation.protocols.prid2011 import trials
from lpw_toolkit.evaluation.protocols.prid2011 import SPEC as PRID
from lpw_toolkit.evaluation.relevance import judge_labels
from dataclasses import replace

SPEC = replace(PRID, junk_rule="nothing is ignored", unmatched="skip")


def judge(query, gallery):
    return judge_labels(query, gallery, same_camera=True)
"""
WAYS = pytest.mark.parametrize("way", ["file", "entry point"])


@pytest.fixture(scope="module")
def prid(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_labelled(tmp_path_factory.mktemp("prid") / "d", **two_cameras(24, 10), name="prid")


def embed(dataset: Dataset) -> Embeddings:
    """Persons differ in one dimension; another one is noise ten times as large."""
    labels, rng = read_labels(dataset.tracklets), np.random.default_rng(0)
    vectors = np.stack([labels.person, 100 * rng.normal(size=len(labels))], axis=1)
    facts = EmbeddingFacts("m", None, None, "all")
    return Embeddings(vectors.astype(np.float32), np.ones(len(labels), bool), facts, [])


@WAYS
def test_a_metric_is_one_file(
    way: str, prid: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_learned("whitened")
    add_plugin(LEARNERS, way, "whitened", WHITENED, tmp_path, monkeypatch)
    assert is_learned("whitened") and "whitened" in list_metrics()
    found = evaluate(prid, embed(prid), "prid2011", DistanceSettings("whitened"), splits=[0])
    assert found.facts["distance"] == "whitened, learned on the training part, seed 0"
    plain = evaluate(prid, embed(prid), "prid2011", DistanceSettings("euclidean"), splits=[0])
    assert found.results[0].summary.map > plain.results[0].summary.map


@WAYS
def test_a_protocol_is_one_file(
    way: str, prid: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_plugin(PROTOCOLS, way, "every_camera", EVERY_CAMERA, tmp_path, monkeypatch)
    assert "every_camera" in list_protocols()
    found = evaluate(prid, embed(prid), "every-camera", DistanceSettings("euclidean"), splits=[0])
    assert found.protocol == "every_camera"
    assert found.metrics["junk_rule"][0].as_py().startswith("nothing is ignored; ")
