"""The vector of every frame by a trained run: regions weighted by their scores, and what
suggestions make of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from lpw_cli.clean import command as clean
from lpw_cli.embed import command as embed
from make_reid import make_reid
from tiny_runs import OPTIONS, describe, make_run

from lpw_toolkit.cleaning.suggest.suggest import read_suggestions
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.schema import frame_embeddings_schema
from lpw_toolkit.dataset.tables import read_table
from lpw_toolkit.errors import LpwError
from rqen.inference.frame_vectors import weigh_regions, write_frame_vectors


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_reid(tmp_path_factory.mktemp("frames") / "d")


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(dataset, tmp_path_factory.mktemp("runs") / "rqen")


def test_the_cosine_is_the_weighted_mean_of_those_of_the_regions() -> None:
    rng = torch.Generator().manual_seed(0)
    features, scores = torch.randn(2, 3, 5, generator=rng), torch.rand(2, 3, generator=rng)
    one, other = weigh_regions(features, scores)
    cosines = torch.cosine_similarity(features[0], features[1], dim=1)
    shares = scores / scores.sum(dim=1, keepdim=True)
    assert one.norm() == pytest.approx(1, abs=1e-6)
    assert float(one @ other) == pytest.approx(
        float((cosines * (shares[0] * shares[1]).sqrt()).sum()), abs=1e-6
    )


def test_a_region_that_is_not_seen_does_not_count() -> None:
    features = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1))
    features[1, 1:] = features[0, 1:]
    blind = weigh_regions(features, torch.tensor([[1e-9, 1.0, 1.0]]).expand(2, 3))
    assert float(blind[0] @ blind[1]) == pytest.approx(1, abs=1e-4)
    seen = weigh_regions(features, torch.ones(2, 3))
    assert float(seen[0] @ seen[1]) < 0.95


def test_every_frame_in_order(run: Path, dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "frames.parquet"
    n, dimension = write_frame_vectors(run, dataset.root, out, OPTIONS)
    table = read_table(out, frame_embeddings_schema(dimension))
    index = open_index(dataset.root)
    assert n == table.num_rows == dataset.frames.num_rows
    assert table["tracklet_id"].equals(dataset.frames["tracklet_id"])
    assert table["position"].to_pylist() == dataset.frames["position"].to_pylist()
    assert table.schema.metadata[b"lpw_dataset_digest"].decode() == dataset.manifest["digest"]
    _, features, scores = describe(run, dataset, 1)
    found = np.array(table["embedding"].to_pylist()[int(index.starts[1]) : int(index.starts[2])])
    assert np.allclose(found, weigh_regions(features, scores).numpy(), atol=1e-5)


def test_suggestions_look_with_a_run(run: Path, dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "frames.parquet"
    done = CliRunner().invoke(
        embed, [str(run), "--data", str(dataset.root), "--out", str(out), "--per-frame", "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.output.splitlines()[-1])["n_images"] == dataset.frames.num_rows
    made = CliRunner().invoke(
        clean,
        [
            str(dataset.root),
            "--suggest",
            "--embeddings",
            str(out),
            "--state",
            str(tmp_path / "state"),
        ],
    )
    assert made.exit_code == 0, made.output
    table = read_suggestions(
        open_dataset(dataset.root), "candidates", tmp_path / "state" / "suggestions"
    )
    assert table.num_rows > 0


def test_quality_and_a_place_inside_the_dataset_are_refused(
    run: Path, dataset: Dataset, tmp_path: Path
) -> None:
    words = [
        str(run),
        "--data",
        str(dataset.root),
        "--out",
        str(tmp_path / "f.parquet"),
        "--per-frame",
    ]
    done = CliRunner().invoke(embed, [*words, "--quality", str(tmp_path / "q.parquet")])
    assert done.exit_code == 2 and "--per-frame" in done.output
    with pytest.raises(LpwError):
        write_frame_vectors(run, dataset.root, dataset.root / "f.parquet", OPTIONS)
    with pytest.raises(LpwError):
        write_frame_vectors(tmp_path / "no-run", dataset.root, tmp_path / "f.parquet", OPTIONS)
