"""`evaluate_dataset` does what `lpw eval --embeddings` does, and speaks of arguments."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from lpw_cli.main import main
from make_reid import SplitRow, make_reid, rewrite

from lpw_toolkit import LpwError, evaluate_dataset
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, write_embeddings


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two splits: in split 0 scene 2 trains, in split 1 scene 1."""
    dataset = make_reid(tmp_path_factory.mktemp("evaluate") / "d", n_rounds=5)
    table, rows = dataset.tracklets, list[SplitRow]()
    for name, camera in zip(
        table["tracklet_id"].to_pylist(), table["camera_id"].to_pylist(), strict=True
    ):
        if int(name[-1]) in (1, 2, 5):
            side = "gallery" if camera.endswith("view1") else "query"
            rows += [
                (split, "train" if camera.startswith(f"scen{2 - split}") else side, name)
                for split in (0, 1)
            ]
    return rewrite(dataset, splits=sorted(rows))


@pytest.fixture(scope="module")
def vectors(dataset: Dataset) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(dataset.tracklets.num_rows, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def file(dataset: Dataset, vectors: np.ndarray) -> Path:
    """Embeddings of a model that was trained on one person of scene 1."""
    path = dataset.root.parent / "e.parquet"
    seen = ("scen1/1",)
    facts = EmbeddingFacts("net", None, dataset.manifest["digest"], "all", seen, "euclidean")
    write_embeddings(path, dataset.tracklets["tracklet_id"].to_pylist(), vectors, facts)
    return path


def ask_command(file: Path, dataset: Dataset, *words: str) -> dict[str, Any]:
    arguments = ["eval", "--embeddings", str(file), str(dataset.root), "--json", *words]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"split": 0, "allow_seen": True}, ["--split", "0", "--allow-seen"]),
        ({"split": [1]}, ["--split", "1"]),
        ({"split": "all", "allow_seen": True}, ["--allow-seen"]),
        ({"split": 1, "metric": "cosine"}, ["--split", "1", "--metric", "cosine"]),
        ({"split": 1, "rerank": True}, ["--split", "1", "--rerank"]),
        ({"split": 1, "protocol": "market"}, ["--split", "1", "--protocol", "market"]),
    ],
)
def test_the_figures_are_those_of_the_command(
    dataset: Dataset, file: Path, settings: dict[str, Any], words: list[str]
) -> None:
    found = evaluate_dataset(dataset.root, file, **settings)
    said = ask_command(file, dataset, *words)["lines"]
    assert {line["protocol"] for line in said} == {found.protocol}
    assert {line["distance"] for line in said} == {found.facts["distance"]}
    rows = found.metrics.to_pylist()
    wanted = {name: row for row in rows for name in [row["metric"].removesuffix(":mean")]}
    assert said[-1]["n_seen"] == wanted["map"]["n_seen"]
    assert len(found.results) == (2 if settings["split"] == "all" else 1)


def test_the_protocol_that_fits_is_named_with_its_reason(
    dataset: Dataset, vectors: np.ndarray
) -> None:
    found = evaluate_dataset(dataset.root, vectors)
    assert found.protocol == "cross_camera"
    assert found.notes[0].startswith("protocol: cross_camera (")
    assert not any("protocol:" in n for n in evaluate_dataset(dataset, vectors, "market").notes)


def test_persons_that_the_model_has_seen(dataset: Dataset, file: Path) -> None:
    with pytest.raises(LpwError, match="give allow_seen=True") as error:
        evaluate_dataset(dataset.root, file)
    assert "--" not in str(error.value)
    told = evaluate_dataset(dataset.root, file, split=0, allow_seen=True)
    assert set(told.metrics["n_seen"].to_pylist()) == {1}
    assert any("show persons whom the model was trained on" in note for note in told.notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": 7}, "^split: got 7; expected one of 0, 1, or all"),
        ({"split": "first"}, "^split: got first"),
        ({"split": True}, "^split: got True"),
        ({"split": []}, "^split: got"),
        ({"sead": 3}, "sead.*did you mean seed"),
        ({"pooling": "max"}, "^argument pooling"),
    ],
)
def test_refusals(
    dataset: Dataset, vectors: np.ndarray, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(LpwError, match=message) as error:
        evaluate_dataset(dataset.root, vectors, **settings)
    assert "--" not in str(error.value)


def test_complex_vectors_are_refused(dataset: Dataset, vectors: np.ndarray) -> None:
    with pytest.raises(LpwError, match="embeddings: got complex numbers"):
        evaluate_dataset(dataset.root, vectors + 1j)
