"""The interval over persons that stands below a table of `lpw eval`."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from lpw_cli.eval import command
from make_labelled import SMALL_MARS, make_labelled, two_cameras

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings, write_embeddings
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.evaluation.person_interval import describe_interval

LINE = DistanceSettings("euclidean")


def embed(dataset: Dataset, noise: float) -> Embeddings:
    """Persons stand in a line; noise mixes neighbours up."""
    person = read_labels(dataset.tracklets).person
    places = person[:, None] + np.random.default_rng(0).normal(0, noise, (len(person), 1))
    facts = EmbeddingFacts("m", None, None, "all")
    return Embeddings(places.astype(np.float32), np.ones(len(person), bool), facts, [])


def test_it_is_a_binomial_where_each_person_asks_once(tmp_path: Path) -> None:
    dataset = make_labelled(tmp_path / "d", **two_cameras(200, 1))
    found = evaluate(dataset, embed(dataset, 0.7), "prid2011", LINE)
    (said,) = describe_interval(found)
    rank1 = found.results[0].summary.cmc[0]
    half = 1.96 * np.sqrt(rank1 * (1 - rank1) / 100)
    low, _, high = said.split("rank-1 ")[1].split(",")[0].split()
    assert said.startswith("95 % intervals over 100 persons: rank-1 ")
    assert float(low) == pytest.approx(100 * (rank1 - half), abs=1.6)
    assert float(high) == pytest.approx(100 * (rank1 + half), abs=1.6)


def test_skipped_queries_do_not_count_and_missed_ones_do(tmp_path: Path) -> None:
    mars = make_labelled(tmp_path / "d", **SMALL_MARS)
    found = evaluate(mars, embed(mars, 0), "mars_torchreid", LINE)
    (said,) = describe_interval(found)
    assert said.startswith("95 % intervals over 3 persons: rank-1 100.0 to 100.0")


def test_one_person_has_no_interval(tmp_path: Path) -> None:
    rows = [(f"{c}{p}", p, c, "person") for c in ("c1", "c2") for p in ("p1", "p2")]
    splits = [(0, "query", "c1p1"), (0, "gallery", "c2p1"), (0, "gallery", "c2p2")]
    dataset = make_labelled(tmp_path / "d", rows, splits)
    assert describe_interval(evaluate(dataset, embed(dataset, 0), "market", LINE)) == []


def test_the_command_prints_it(tmp_path: Path) -> None:
    dataset = make_labelled(tmp_path / "d", **two_cameras(20, 1))
    vectors = embed(dataset, 0.3)
    names = dataset.tracklets["tracklet_id"].to_pylist()
    write_embeddings(tmp_path / "e.parquet", names, vectors.vectors, vectors.facts)
    words = ["--embeddings", str(tmp_path / "e.parquet"), str(dataset.root)]
    done = CliRunner().invoke(command, [*words, "--protocol", "prid2011", "--metric", "euclidean"])
    assert done.exit_code == 0, done.output
    assert "95 % intervals over 10 persons: rank-1 " in done.output
