"""Settings of a distance are chosen on validation persons of the training part, and the record says
so."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from lpw_cli.eval import command
from make_labelled import make_labelled, two_cameras

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings, write_embeddings
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.camera_pairs import TrainingVectors
from lpw_toolkit.evaluation.distance_choice import DistanceSettings, learn_distance
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.evaluation.learned_distance import LearningConfig
from lpw_toolkit.evaluation.metric_selection import list_candidates, select_settings

TUNED = DistanceSettings("xqda", tune=True)
N_DIMS = 48


def draw(person: np.ndarray, seed: int = 0) -> np.ndarray:
    """Vectors in which persons differ in 6 of 48 directions, in noise that is equal in all."""
    rng = np.random.default_rng(seed)
    identity = np.zeros((person.max() + 1, N_DIMS))
    identity[:, :6] = rng.normal(0, 2, (len(identity), 6))
    return (identity[person] + rng.normal(size=(len(person), N_DIMS))).astype(np.float32)


def make_training(n_persons: int = 30, seed: int = 0) -> TrainingVectors:
    person = np.repeat(np.arange(n_persons), 2)
    return TrainingVectors(draw(person, seed), person, np.tile([0, 1], n_persons))


@pytest.fixture(scope="module")
def prid(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    rows = two_cameras(60, 2)
    return make_labelled(tmp_path_factory.mktemp("prid") / "d", **rows, name="prid")


def embed(dataset: Dataset, seen: tuple[str, ...] | None = None) -> Embeddings:
    person = read_labels(dataset.tracklets).person
    facts = EmbeddingFacts("m", None, None, "all", seen)
    return Embeddings(draw(person), np.ones(len(person), bool), facts, [])


class TestSelection:
    def test_the_choice_is_better_on_persons_whom_it_never_saw(self) -> None:
        training, unseen = make_training(), make_training(80, seed=9)
        first, second = (unseen.features[unseen.camera == c] for c in (0, 1))
        found = select_settings(training, TUNED)
        scores = []
        for settings in (found.chosen, DistanceSettings("xqda")):
            distance = learn_distance(training, settings, np.random.default_rng(0))
            nearest = distance.blocks(first, second).block(0, len(first)).argmin(axis=1)
            scores.append((nearest == np.arange(80)).mean())
        assert scores[0] > scores[1] + 0.1
        assert found.candidates[found.best].map > found.candidates[0].map

    def test_every_candidate_has_its_figure_on_record(self) -> None:
        found = select_settings(make_training(), TUNED)
        said = found.record()
        assert len(said["candidates"]) == len(found.candidates) == 6
        assert all(0 < one["map"] <= 1 and 0 <= one["rank1"] <= 1 for one in said["candidates"])
        assert max(one["map"] for one in said["candidates"]) == found.candidates[found.best].map
        assert said["candidates"][found.best]["settings"] == said["chosen"]
        assert said["candidates"][0]["settings"] == "XQDA (eigh, automatic dims, ridge 0.001)"
        assert (said["n_persons"], said["n_folds"], said["seed"]) == (30, 3, 0)
        assert json.loads(json.dumps(said)) == said
        text = found.describe(0)
        assert "chosen of 6 by mAP on 30 validation persons of the training part" in text
        assert f"cosine {100 * found.cosine:.1f}" in text

    def test_the_seed_draws_the_folds(self) -> None:
        one, same, other = (
            select_settings(make_training(), replace(TUNED, seed=seed)).record()
            for seed in (0, 0, 1)
        )
        assert one == same
        assert one["cosine_map"] != other["cosine_map"]

    def test_what_the_user_gave_stays(self) -> None:
        given = replace(TUNED, pca=20, learning=LearningConfig(shrinkage="ledoit_wolf"))
        tried = list(list_candidates(given, make_training(), 40))
        assert {one.pca for one in tried} == {20}
        assert {one.learning.shrinkage for one in tried} == {"ledoit_wolf"}
        assert select_settings(make_training(), given).chosen.pca == 20

    def test_a_plain_distance_gets_its_components_chosen(self) -> None:
        found = select_settings(make_training(40), DistanceSettings("euclidean", tune=True))
        assert [one.settings.pca for one in found.candidates] == [None, 32]
        assert found.describe(3).startswith("split 3: euclidean")

    def test_persons_whom_the_model_has_not_seen_are_taken_where_there_are_enough(self) -> None:
        training = make_training()
        some = select_settings(training, TUNED, training.person < 20)
        assert (some.n_persons, some.are_seen) == (10, False)
        assert "whom the model has not seen" in some.describe(0)
        all_but_few = select_settings(training, TUNED, training.person < 27)
        assert (all_but_few.n_persons, all_but_few.are_seen) == (30, True)
        assert "whom the model was trained on" in all_but_few.describe(0)

    def test_a_candidate_that_cannot_be_learned_is_on_record_and_never_chosen(self) -> None:
        training = make_training(7)
        found = select_settings(training, DistanceSettings("kissme", tune=True))
        same = replace(training, features=np.ones_like(training.features))
        with pytest.raises(LpwError, match=r"--tune: got \d+ candidates of which none can be"):
            select_settings(same, DistanceSettings("kissme", tune=True))
        assert found.candidates[found.best].fault is None

    def test_too_few_persons(self) -> None:
        for training in (make_training(5), replace(make_training(), camera=np.zeros(60, int))):
            with pytest.raises(LpwError, match="training persons in two cameras; expected 6 or"):
                select_settings(training, TUNED)

    def test_not_a_number(self) -> None:
        training = make_training()
        training.features[3, 3] = np.nan
        with pytest.raises(LpwError, match="NaN, infinite or too large"):
            select_settings(training, TUNED)


class TestEvaluation:
    def test_nothing_of_the_tested_persons_is_looked_at(self, prid: Dataset) -> None:
        found = evaluate(prid, embed(prid), "prid2011", TUNED)
        vectors = embed(prid)
        for result in found.results[:1]:
            rows = np.union1d(result.trial.query, result.trial.gallery)
            vectors.vectors[rows] += 100
        other = evaluate(prid, vectors, "prid2011", TUNED, splits=[0])
        assert other.selections[0] == found.selections[0]
        assert other.results[0].trial.train.tolist() == found.results[0].trial.train.tolist()

    def test_figures_say_how_their_distance_was_chosen(self, prid: Dataset) -> None:
        found = evaluate(prid, embed(prid), "prid2011", TUNED)
        said = found.facts["distance"]
        assert "by mAP on validation persons of the training part" in said
        assert said.endswith("learned on the training part, seed 0")
        assert sum(note.startswith("split ") for note in found.notes) == len(found.results) == 2
        given = evaluate(prid, embed(prid), "prid2011", replace(TUNED, tune=False))
        assert given.selections == {}
        assert "chosen" not in given.facts["distance"]

    def test_the_chosen_settings_given_by_hand_are_the_same_distance(self, prid: Dataset) -> None:
        tuned = evaluate(prid, embed(prid), "prid2011", TUNED, splits=[0])
        by_hand = evaluate(prid, embed(prid), "prid2011", tuned.selections[0].chosen, splits=[0])
        assert np.array_equal(tuned.results[0].ranking.ranks, by_hand.results[0].ranking.ranks)

    def test_nothing_to_choose_on(self, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", two_cameras(20, 1)["rows"])
        with pytest.raises(LpwError, match="option --tune: got no training tracklets"):
            evaluate(dataset, embed(dataset), "cross_camera", replace(TUNED, metric="cosine"))

    def test_the_command_writes_what_was_tried(self, prid: Dataset, tmp_path: Path) -> None:
        vectors, out = embed(prid), tmp_path / "out"
        names = prid.tracklets["tracklet_id"].to_pylist()
        write_embeddings(tmp_path / "e.parquet", names, vectors.vectors, vectors.facts)
        words = ["--embeddings", str(tmp_path / "e.parquet"), str(prid.root), "--split", "0"]
        words += ["--protocol", "prid2011", "--metric", "xqda", "--tune", "--out", str(out)]
        done = CliRunner().invoke(command, words)
        assert done.exit_code == 0, done.output
        assert "chosen of" in done.output
        said = json.loads((out / "selection.json").read_text())
        assert said["0"]["chosen"] in done.output
        assert "chosen of" in (out / "table.md").read_text()
        refused = CliRunner().invoke(command, [*words[:7], "--shrinkage", "ledoit_wolf"])
        assert refused.exit_code == 2
        assert "--shrinkage belongs to" in refused.output
