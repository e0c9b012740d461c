"""Evaluation: hand-worked figures under the three MARS rules, a slow reference, learned metrics,
queries in the gallery, provenance."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_labelled import PLACES, SMALL_MARS, make_labelled, rows_of, two_cameras
from numpy.typing import NDArray

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.dataset.schema import METRICS, QUERIES, check
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_choice import DistanceSettings, MetricTrainingData
from lpw_toolkit.evaluation.evaluate import Evaluation, evaluate
from lpw_toolkit.evaluation.learned_distance import LearningConfig
from lpw_toolkit.evaluation.protocol_comparison import compare_protocols
from lpw_toolkit.evaluation.rerank import RerankConfig, rerank_matrices


def embed(dataset: Dataset, vectors: NDArray[Any], **facts: Any) -> Embeddings:
    said = {
        "model": "m",
        "checkpoint_sha256": None,
        "dataset_digest": None,
        "frames_used": "all",
    } | facts
    return Embeddings(
        np.asarray(vectors, np.float32), np.ones(len(vectors), bool), EmbeddingFacts(**said), []
    )


@pytest.fixture(scope="module")
def mars(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_labelled(tmp_path_factory.mktemp("mars") / "d", **SMALL_MARS, name="mars")


@pytest.fixture(scope="module")
def prid(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_labelled(tmp_path_factory.mktemp("prid") / "d", **two_cameras(24, 10), name="prid")


def on_a_line(dataset: Dataset) -> Embeddings:
    return embed(dataset, [[PLACES[name]] for name in dataset.tracklets["tracklet_id"].to_pylist()])


def draw_persons(dataset: Dataset, d: int, noise: float, seed: int = 0) -> Embeddings:
    """Persons far apart in 4 of `d` dimensions; the rest is noise, the same for a camera's whole
    picture or not."""
    rng = np.random.default_rng(seed)
    labels = read_labels(dataset.tracklets)
    vectors = rng.normal(size=(len(labels), d)) * noise
    vectors[:, :4] += rng.normal(size=(labels.person.max() + 2, 4))[labels.person] * 2
    return embed(dataset, vectors)


def figures(found: Evaluation) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in found.metrics.to_pylist()}


LINE = DistanceSettings(metric="euclidean")


class TestThreeMarsRules:
    """Every rank below is read off the line of places in make_labelled."""

    @pytest.mark.parametrize(
        ("protocol", "ap", "cmc_1", "n_gallery", "n_skipped"),
        [
            ("mars", [1 / 4, 1.0, (1 / 4 + 7 / 12) / 2, 1.0, 1.0], 3 / 5, 11, 0),
            ("mars_queries_back", [1 / 2, 1.0, (1 / 2 + 2 / 3) / 2, 1.0, 1.0], 3 / 5, 9, 0),
            ("mars_torchreid", [None, None, 1 / 2, 1.0, 1.0], 2 / 3, 4, 2),
        ],
    )
    def test_by_hand(
        self,
        protocol: str,
        ap: list[float | None],
        cmc_1: float,
        n_gallery: int,
        n_skipped: int,
        mars: Dataset,
    ) -> None:
        found = evaluate(mars, on_a_line(mars), protocol, LINE)
        queries = found.queries.to_pylist()
        assert [row["tracklet_id"] for row in queries] == ["q1", "q2", "q3", "q4", "q5"]
        assert [row["average_precision"] for row in queries] == pytest.approx(ap)
        known = [value for value in ap if value is not None]
        assert figures(found)["map"] == pytest.approx(sum(known) / len(known))
        assert figures(found)["cmc@1"] == pytest.approx(cmc_1)
        row = found.metrics.to_pylist()[0]
        assert (row["n_query"], row["n_gallery"], row["n_skipped"]) == (5, n_gallery, n_skipped)

    def test_skipped_queries_are_named(self, mars: Dataset) -> None:
        found = evaluate(mars, on_a_line(mars), "mars_torchreid", LINE)
        assert found.skipped == ["q1", "q2"]
        assert (
            found.notes[-1] == "2 of 5 queries have no right answer in the gallery, skipped: q1, q2"
        )
        rows = found.queries.to_pylist()
        assert [row["skipped"] for row in rows] == [True, True, False, False, False]
        assert [row["first_rank"] for row in rows] == [None, None, 2, 1, 1]
        assert [row["n_relevant"] for row in rows] == [0, 0, 1, 1, 1]

    def test_every_row_says_what_it_rests_on(self, mars: Dataset) -> None:
        found = evaluate(mars, on_a_line(mars), "mars-torchreid", LINE)
        check(found.metrics, METRICS)
        check(found.queries, QUERIES)
        row = found.metrics.to_pylist()[0]
        assert row["dataset_digest"] == mars.digest == mars.manifest["manifest_sha256"]
        assert (row["protocol"], row["ap_form"], row["frames_used"]) == (
            "mars_torchreid",
            "step",
            "all",
        )
        assert row["gallery"].endswith("4 tracklets (3 person, 1 distractor), 0 queries among them")
        assert row["junk_rule"].endswith("own camera; queries without a right answer are skipped")
        assert row["distance"] == "Euclidean"
        assert row["split_source"] == "made by a test; digest 555555555555"


class TestCompareProtocols:
    def test_three_galleries_and_two_forms(self, mars: Dataset) -> None:
        found = compare_protocols(mars, on_a_line(mars), "mars", LINE)
        shown = [
            (e.protocol, e.spec.ap_form, len(e.results[0].trial.gallery)) for e in found.evaluations
        ]
        assert shown == [
            ("mars", "trapezoid", 11), ("mars", "step", 11), ("cross_camera", "step", 6),
            ("cross_camera", "trapezoid", 6),
            ("mars_queries_back", "step", 9), ("mars_queries_back", "trapezoid", 9),
            ("mars_torchreid", "step", 4), ("mars_torchreid", "trapezoid", 4),
        ]  # fmt: skip
        values = [figures(e)["map"] for e in found.evaluations]
        trapezoid = (1 / 4 + 1 + (1 / 4 + 7 / 12) / 2 + 1 + 1) / 5
        step = (1 / 2 + 1 + (1 / 2 + 2 / 3) / 2 + 1 + 1) / 5
        dropped = [(1 / 2 + 1 + 1) / 3, (1 / 4 + 1 + 1) / 3]
        assert values == pytest.approx([trapezoid, step, *dropped, step, trapezoid, *dropped])

    def test_the_reasons(self, mars: Dataset) -> None:
        found = compare_protocols(mars, on_a_line(mars), "mars", LINE)
        of = {
            (e.protocol, e.spec.ap_form): why
            for e, why in zip(found.evaluations, found.reasons, strict=True)
        }
        assert of["mars", "trapezoid"] == ""
        assert of["mars", "step"] == "AP is the mean precision at the right answers"
        assert (
            of["mars_queries_back", "trapezoid"]
            == "its gallery lacks 2 junk, which no query sees anyway"
        )
        assert of["mars_torchreid", "trapezoid"] == (
            "its gallery lacks 5 queries and 2 junk; so 2 queries have no right answer left "
            "and are left out of every mean"
        )
        assert (
            found.left_out["cross_dataset_half"]
            == "is for vectors that were learned on another dataset"
        )
        assert "cam_a" in found.left_out["prid2011"]
        assert any("skipped: q1, q2" in line for line in found.describe())

    def test_equal_rules_stand_once(self, prid: Dataset) -> None:
        found = compare_protocols(prid, draw_persons(prid, 8, 1.0), "prid2011", DistanceSettings())
        assert [e.protocol for e in found.evaluations] == ["prid2011", "prid2011"]
        assert found.left_out["market"] == "ranks the same gallery by the same rule as prid2011"


class TestSplits:
    def test_mean_and_deviation_of_ten(self, prid: Dataset) -> None:
        found = evaluate(prid, draw_persons(prid, 8, 2.0), "prid2011", DistanceSettings())
        rows = found.metrics.to_pylist()
        each = [row["value"] for row in rows if row["metric"] == "cmc@1"]
        assert len(each) == 10
        total = {row["metric"]: row for row in rows if row["split"] == -1}
        assert total["cmc@1:mean"]["value"] == pytest.approx(np.mean(each))
        assert total["cmc@1:std"]["value"] == pytest.approx(np.std(each, ddof=1))
        assert total["cmc@1:mean"]["n_query"] == 120
        assert found.curve[0] == pytest.approx(np.mean(each))

    def test_one_of_them(self, prid: Dataset) -> None:
        vectors = draw_persons(prid, 8, 2.0)
        found = evaluate(prid, vectors, "prid2011", DistanceSettings(), splits=[3])
        whole = evaluate(prid, vectors, "prid2011", DistanceSettings())
        assert set(found.metrics["split"].to_pylist()) == {3}
        assert found.metrics.to_pylist() == [
            row for row in whole.metrics.to_pylist() if row["split"] == 3
        ]

    def test_a_split_that_is_not_there(self, prid: Dataset) -> None:
        with pytest.raises(LpwError, match="--split: got 12; expected one of 0, 1, 2"):
            evaluate(prid, draw_persons(prid, 8, 1.0), "prid2011", DistanceSettings(), splits=[12])

    def test_drawn_splits_say_so(self, tmp_path: Path) -> None:
        source = {
            "source": "drawn with seed 7",
            "digest": "d" * 64,
            "drawn": True,
            "note": "order rebuilt, not compared",
        }
        dataset = make_labelled(tmp_path / "d", **two_cameras(6, 2), source=source)
        found = evaluate(dataset, draw_persons(dataset, 4, 1.0), "prid2011", DistanceSettings())
        said = (
            "drawn with seed 7; DRAWN, no published split; order rebuilt, not compared; digest "
            "dddddddddddd"
        )
        assert found.metrics["split_source"][0].as_py() == said
        assert found.notes == [
            "these splits were drawn, not published",
            "few queries: with 3 of them each moves rank-1 by 33 points",
        ]


class TestReference:
    """Whole evaluations against loops that follow the definitions word by word."""

    def slow(
        self, dataset: Dataset, vectors: NDArray[Any], found: Evaluation
    ) -> tuple[list[float], list[float]]:
        ids = dataset.tracklets.to_pylist()
        ap, first = [], []
        trial = found.results[0].trial
        for q in trial.query:
            seen = []
            for g in trial.gallery:
                junk = ids[g]["kind"] == "junk"
                own = (
                    ids[g]["person_id"] == ids[q]["person_id"]
                    and ids[g]["camera_id"] == ids[q]["camera_id"]
                )
                if not junk and not own:
                    seen.append((float(np.sum((vectors[q] - vectors[g]) ** 2)), int(g)))
            hits = [ids[g]["person_id"] == ids[q]["person_id"] for _, g in sorted(seen)]
            ranks = [i + 1 for i, hit in enumerate(hits) if hit]
            if ranks:
                ap.append(sum((i + 1) / rank for i, rank in enumerate(ranks)) / len(ranks))
                first.append(ranks[0])
        return ap, first

    @pytest.mark.parametrize("seed", range(5))
    def test_market(self, seed: int, tmp_path: Path) -> None:
        rng = np.random.default_rng(seed)
        kinds = rng.choice(["person", "distractor", "junk"], 60, p=[0.7, 0.15, 0.15])
        rows = [
            (
                f"{i:03d}",
                f"p{rng.integers(8)}" if kind == "person" else None,
                f"c{rng.integers(3)}",
                str(kind),
            )
            for i, kind in enumerate(kinds)
        ]
        dataset = make_labelled(tmp_path / "d", rows)
        vectors = rng.integers(0, 4, (60, 2)).astype(np.float32)  # ties in plenty
        found = evaluate(
            dataset, embed(dataset, vectors), "market", DistanceSettings(metric="sqeuclidean")
        )
        ap, first = self.slow(dataset, vectors, found)
        got = figures(found)
        assert got["map"] == pytest.approx(np.mean(ap))
        assert [got[f"cmc@{k}"] for k in (1, 5, 10)] == pytest.approx(
            [np.mean(np.array(first) <= k) for k in (1, 5, 10)]
        )


class TestLearned:
    @pytest.mark.parametrize("metric", ["xqda", "kissme"])
    def test_it_helps_where_noise_hides_the_person(self, metric: str, tmp_path: Path) -> None:
        dataset = make_labelled(tmp_path / "d", **two_cameras(200, 2))
        rng = np.random.default_rng(0)
        vectors = draw_persons(dataset, 20, 0.15).vectors
        vectors[:, 4:] *= 20
        embeddings = embed(dataset, vectors + rng.normal(size=vectors.shape) * 0.01)
        plain = figures(
            evaluate(
                dataset, embeddings, "prid2011", DistanceSettings(metric="euclidean"), splits=[0]
            )
        )
        found = evaluate(
            dataset, embeddings, "prid2011", DistanceSettings(metric=metric, seed=3), splits=[0]
        )
        assert figures(found)["cmc@1"] > 0.9 > 0.5 > plain["cmc@1"]
        assert found.facts["distance"].endswith("learned on the training part, seed 3")

    @pytest.mark.parametrize("metric", ["xqda", "kissme", "cosine"])
    def test_the_test_part_teaches_nothing(self, metric: str, prid: Dataset) -> None:
        """Other vectors for one query change no distance of the others."""
        embeddings = draw_persons(prid, 6, 1.0)
        settings = DistanceSettings(metric=metric, pca=4)
        before = evaluate(prid, embeddings, "prid2011", settings, splits=[0])
        trial = before.results[0].trial
        changed = embeddings.vectors.copy()
        changed[trial.query[0]] += 100
        after = evaluate(prid, embed(prid, changed), "prid2011", settings, splits=[0])
        one, two = (e.results[0].blocks.block(1, len(trial.query)) for e in (before, after))
        assert np.array_equal(one, two)

    def test_two_runs_agree_and_the_seed_matters_only_where_pairs_are_drawn(
        self, tmp_path: Path
    ) -> None:
        rng = np.random.default_rng(1)
        rows = [(f"{i:03d}", f"p{i % 20}", f"c{rng.integers(4)}", "person") for i in range(200)]
        part = {name: "train" if int(p[1:]) >= 10 else "gallery" for name, p, _, _ in rows}
        splits = [(0, part[name], name) for name, *_ in rows]
        splits += [(0, "query", name) for name, *_ in rows[:200:20]]
        dataset = make_labelled(tmp_path / "d", rows, splits)
        embeddings = draw_persons(dataset, 6, 1.0)
        ask = DistanceSettings(metric="xqda", seed=1)
        maps = [
            figures(evaluate(dataset, embeddings, "market", s))["map"]
            for s in (ask, ask, DistanceSettings("xqda", seed=2))
        ]
        assert maps[0] == maps[1] != maps[2]

    def test_nothing_to_learn_from(self, prid: Dataset) -> None:
        for settings, option in (
            (DistanceSettings("xqda"), "--metric xqda"),
            (DistanceSettings(pca=3), "--pca"),
        ):
            with pytest.raises(
                LpwError, match=f"{option}: got no training tracklets.*--train-data"
            ):
                evaluate(prid, draw_persons(prid, 6, 1.0), "cross_dataset", settings)

    def test_another_dataset_teaches(self, prid: Dataset, tmp_path: Path) -> None:
        other = make_labelled(tmp_path / "d", **two_cameras(60, 1, ("cam1", "cam2")), name="ilids")
        source = MetricTrainingData(other, draw_persons(other, 6, 0.5, 1))
        found = evaluate(
            prid,
            draw_persons(prid, 6, 0.5),
            "cross_dataset",
            DistanceSettings("xqda"),
            source=source,
        )
        assert (
            f"learned on ilids ({other.manifest['digest'][:12]}), seed 0" in found.facts["distance"]
        )
        assert found.metrics["n_query"][0].as_py() == 24

    def test_the_tested_dataset_is_no_other(self, prid: Dataset) -> None:
        embeddings = draw_persons(prid, 6, 1.0)
        with pytest.raises(LpwError, match="--train-data: got prid, which is what is tested"):
            evaluate(
                prid,
                embeddings,
                "cross_dataset",
                DistanceSettings("xqda"),
                source=MetricTrainingData(prid, embeddings),
            )

    def test_other_dimension(self, prid: Dataset, tmp_path: Path) -> None:
        other = make_labelled(tmp_path / "d", **two_cameras(60, 1, ("cam1", "cam2")))
        source = MetricTrainingData(other, draw_persons(other, 5, 0.5))
        with pytest.raises(
            LpwError, match="--train-embeddings: got vectors of 5 numbers; expected 6"
        ):
            evaluate(
                prid,
                draw_persons(prid, 6, 1.0),
                "cross_dataset",
                DistanceSettings("xqda"),
                source=source,
            )

    @pytest.mark.parametrize(
        ("settings", "text"),
        [
            (
                DistanceSettings("xqda", learning=LearningConfig(solver="svd")),
                r"XQDA \(svd, automatic dims, ridge 0.001\)",
            ),
            (
                DistanceSettings("xqda", pca=5),
                r"XQDA \(eigh, automatic dims, ridge 0.001, PCA to 5\)",
            ),
            (DistanceSettings("kissme", pca=5), r"KISSME \(PCA to 5, PSD\)"),
            (DistanceSettings("euclidean", pca=5), "Euclidean, PCA to 5"),
            (DistanceSettings("cosine"), "cosine$"),
        ],
    )
    def test_the_distance_in_words(
        self, settings: DistanceSettings, text: str, prid: Dataset
    ) -> None:
        found = evaluate(prid, draw_persons(prid, 6, 1.0), "prid2011", settings)
        assert len(found.metrics["distance"].unique()) == 1
        assert re.match(text, found.facts["distance"])


class TestReranking:
    CONFIG = RerankConfig(k1=4, k2=2)

    def matrices(
        self, found: Evaluation, vectors: NDArray[Any], gallery: NDArray[Any]
    ) -> NDArray[np.float32]:
        def squares(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
            return ((vectors[a].astype(float)[:, None] - vectors[b].astype(float)) ** 2).sum(axis=2)

        q = found.results[0].trial.query
        return rerank_matrices(
            squares(q, q),
            squares(q, gallery),
            squares(gallery, gallery),
            squared=True,
            config=self.CONFIG,
        )

    def test_queries_count_twice_as_in_published_numbers(self, mars: Dataset) -> None:
        vectors = draw_persons(mars, 5, 1.0)
        found = evaluate(mars, vectors, "mars", DistanceSettings("sqeuclidean", rerank=self.CONFIG))
        expected = self.matrices(found, vectors.vectors, found.results[0].trial.gallery)
        assert np.allclose(found.results[0].blocks.block(0, 5), expected, atol=1e-5)
        assert (
            "5 queries are in the gallery too; each counts as a neighbour twice" in found.notes[-1]
        )
        assert found.facts["distance"].endswith(
            "(k1 4, k2 2, lambda 0.3, half round_even, queries in the gallery count twice)"
        )

    def test_queries_count_once_when_asked(self, mars: Dataset) -> None:
        vectors = draw_persons(mars, 5, 1.0)
        settings = DistanceSettings("sqeuclidean", rerank=self.CONFIG, deduplicate_queries=True)
        found = evaluate(mars, vectors, "mars", settings)
        trial = found.results[0].trial
        rest = np.setdiff1d(trial.gallery, trial.query)
        columns = np.searchsorted(trial.gallery, rest)
        assert np.allclose(
            found.results[0].blocks.block(0, 5)[:, columns],
            self.matrices(found, vectors.vectors, rest),
            atol=1e-5,
        )
        assert "each counts as a neighbour once" in found.notes[-1]
        assert "queries in the gallery count once" in found.facts["distance"]

    def test_deduplicated_queries_have_the_distance_they_have_to_each_other(
        self, mars: Dataset
    ) -> None:
        """The columns of queries equal what they are when those queries stand behind the others."""
        vectors = draw_persons(mars, 5, 1.0)
        found = evaluate(
            mars,
            vectors,
            "mars",
            DistanceSettings("sqeuclidean", rerank=self.CONFIG, deduplicate_queries=True),
        )
        block, trial = found.results[0].blocks.block(0, 5), found.results[0].trial
        among = block[:, np.searchsorted(trial.gallery, trial.query)]
        assert np.allclose(np.diag(among), 0, atol=1e-6)
        q3 = np.setdiff1d(trial.gallery, trial.query[:2])  # q1, q2 ask; the others answer
        squares = ((vectors.vectors[:, None] - vectors.vectors).astype(float) ** 2).sum(axis=2)
        q = trial.query[:2]
        blocks = [squares[np.ix_(a, b)] for a, b in ((q, q), (q, q3), (q3, q3))]
        expected = rerank_matrices(*blocks, squared=True, config=self.CONFIG)
        assert np.allclose(block[:2, np.searchsorted(trial.gallery, q3)], expected, atol=1e-5)

    def test_no_word_of_queries_in_the_gallery_where_there_are_none(self, prid: Dataset) -> None:
        found = evaluate(
            prid, draw_persons(prid, 6, 1.0), "prid2011", DistanceSettings(rerank=self.CONFIG)
        )
        assert "queries in the gallery" not in found.facts["distance"]
        assert found.notes == []


class TestRefused:
    def test_tracklets_without_a_vector_are_named(self, mars: Dataset) -> None:
        embeddings = on_a_line(mars)
        embeddings.present[rows_of(mars, ["a2", "q4", "t1"])] = False
        with pytest.raises(LpwError, match="no vector for 2 of 11 tracklets: a2, q4; expected"):
            evaluate(mars, embeddings, "mars", LINE)
        with pytest.raises(LpwError, match="no vector for 2 of 9 tracklets"):
            evaluate(mars, embeddings, "mars_queries_back", LINE)

    def test_training_tracklets_are_needed_only_to_learn(self, prid: Dataset) -> None:
        embeddings = draw_persons(prid, 6, 1.0)
        trial = (
            evaluate(prid, embeddings, "prid2011", DistanceSettings(), splits=[0]).results[0].trial
        )
        embeddings.present[trial.train] = False
        evaluate(prid, embeddings, "prid2011", DistanceSettings(), splits=[0])
        with pytest.raises(LpwError, match="no vector for 24 of 24 tracklets"):
            evaluate(prid, embeddings, "prid2011", DistanceSettings("xqda"), splits=[0])

    def test_vectors_without_a_direction(self, mars: Dataset) -> None:
        with pytest.raises(
            LpwError, match="vectors of length 0, which have no direction: q1; expected"
        ):
            evaluate(mars, on_a_line(mars), "mars", DistanceSettings("cosine"))

    def test_no_query_with_an_answer(self, tmp_path: Path) -> None:
        rows = [("a", "p1", "c1", "person"), ("b", "p2", "c2", "person")]
        dataset = make_labelled(tmp_path / "d", rows, [(0, "query", "a"), (0, "gallery", "b")])
        with pytest.raises(LpwError, match="none of 1 queries with a right answer"):
            evaluate(dataset, embed(dataset, np.eye(2)), "market", DistanceSettings())

    def test_queries_that_count_as_missed_are_named(self, tmp_path: Path) -> None:
        case = two_cameras(6, 1)
        dataset = make_labelled(
            tmp_path / "d", case["rows"], [row for row in case["splits"] if row[2] != "cam_b/002"]
        )
        found = evaluate(dataset, draw_persons(dataset, 4, 0.0), "prid2011", DistanceSettings())
        assert figures(found)["cmc@1"] == pytest.approx(2 / 3)
        assert found.notes == [
            "1 queries have no right answer in the gallery and count as missed: cam_a/002"
        ]
        assert found.skipped == []

    def test_an_empty_gallery(self, tmp_path: Path) -> None:
        rows = [("a", "p1", "c1", "person"), ("b", "p1", "c2", "person")]
        splits = [(0, part, name) for part in ("query", "gallery") for name in "ab"]
        dataset = make_labelled(tmp_path / "d", rows, splits)
        with pytest.raises(
            LpwError,
            match="split 0: got an empty gallery by the rule of mars_torchreid; expected test",
        ):
            evaluate(dataset, embed(dataset, np.eye(2)), "mars_torchreid", DistanceSettings())

    def test_persons_nobody_named_are_counted(self, tmp_path: Path) -> None:
        rows = [("a", "p", "c1", "person"), ("b", "p", "c2", "person"), ("n", None, "c2", "person")]
        dataset = make_labelled(tmp_path / "d", rows)
        found = evaluate(dataset, embed(dataset, np.eye(3)), "market", DistanceSettings())
        assert found.notes == [
            "1 tracklets without a person_id are left out: it is unknown whom they show"
        ]
