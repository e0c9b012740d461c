"""What a trained run says of a dataset: vectors, regions cut from them, scores as a file,
figures."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from clocks import Clock
from make_reid import make_reid
from tiny_runs import OPTIONS, describe, evaluate_run, make_run, read_scores

from lpw_toolkit.dataset import tables
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.schema import QUALITY
from lpw_toolkit.errors import LpwError, MismatchError
from rqen.inference.embed import estimate_embedding
from rqen.inference.run_vectors import (
    RunVectors,
    ScoringOptions,
    cut_region,
    embed_run,
    make_embeddings,
    name_regions,
    open_run,
    shorten_regions,
    write_quality,
)
from rqen.run import run_folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_reid(tmp_path_factory.mktemp("scoring") / "d")


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network whose neck stretches and shifts every column differently."""
    run = make_run(dataset, tmp_path_factory.mktemp("runs") / "rqen")
    state = run_folder.read_state(run / run_folder.MODEL)
    rng = torch.Generator().manual_seed(0)
    for name in ("weight", "bias", "running_mean", "running_var"):
        state.model[f"neck.{name}"] = (
            torch.rand(state.model[f"neck.{name}"].shape, generator=rng) + 0.2
        )
    run_folder.complete_run(run, state, {"chosen_by": "a test"})
    return run


@pytest.fixture(scope="module")
def found(run: Path, dataset: Dataset) -> RunVectors:
    return embed_run(run, dataset.root, OPTIONS)


class TestVectors:
    def test_shapes_and_facts(self, found: RunVectors, dataset: Dataset) -> None:
        n_tracklets, n_frames = (
            len(dataset.tracklets),
            sum(dataset.tracklets["n_frames"].to_pylist()),
        )
        assert found.vectors.shape == (n_tracklets, 3 * 1280)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
        assert found.scores.shape == (n_frames, 3)
        assert ((found.scores > 0) & (found.scores < 1)).all()
        assert (found.n_regions, found.separable, found.scored, found.present.all()) == (
            3,
            True,
            True,
            True,
        )
        assert found.facts.model == "rqen-modern-efficientnet_lite0"
        assert len(found.facts.checkpoint_sha256) == 64
        assert found.facts.dataset_digest == dataset.manifest["digest"]
        assert found.facts.frames_used == "all"

    def test_some_tracklets_only(self, run: Path, found: RunVectors, dataset: Dataset) -> None:
        rows = np.array([1, 5])
        some = embed_run(run, dataset.root, OPTIONS, rows)
        np.testing.assert_allclose(some.vectors[rows], found.vectors[rows], atol=1e-5)
        assert some.present.nonzero()[0].tolist() == [1, 5]
        assert not some.vectors[0].any()
        known = ~np.isnan(some.scores[:, 0])
        assert known.sum() == sum(dataset.tracklets["n_frames"].take(pa.array(rows)).to_pylist())
        np.testing.assert_allclose(some.scores[known], found.scores[known], atol=1e-5)

    def test_no_tracklets(self, run: Path, dataset: Dataset) -> None:
        with pytest.raises(LpwError, match="no tracklets"):
            embed_run(run, dataset.root, OPTIONS, np.array([], dtype=np.int64))

    def test_the_trial_is_recorded_and_named(
        self, run: Path, found: RunVectors, dataset: Dataset
    ) -> None:
        rows = np.array([0])
        auto = embed_run(run, dataset.root, ScoringOptions(n_workers=0, precision="auto"), rows)
        assert auto.mode.name in auto.mode.seconds
        half = embed_run(run, dataset.root, ScoringOptions(n_workers=0, precision="bfloat16"), rows)
        assert half.facts.model == "rqen-modern-efficientnet_lite0 bfloat16"
        np.testing.assert_allclose(half.vectors[0], found.vectors[0], atol=0.02)

    def test_an_untrained_backbone_is_a_run_without_iterations(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        run = make_run(dataset, tmp_path / "run", "train.iterations=0", method="mean")
        found = embed_run(run, dataset.root, OPTIONS)
        assert found.vectors.shape == (len(dataset.tracklets), 1280)
        assert (found.scores == 1).all()
        assert not found.scored


class TestRegions:
    @pytest.mark.parametrize("region", [0, 1, 2])
    def test_a_region_behind_the_neck_is_what_the_network_makes_of_it_alone(
        self, run: Path, found: RunVectors, dataset: Dataset, region: int
    ) -> None:
        """The other regions may hold anything: batch normalisation acts on each column by
        itself."""
        row = 3
        network, features, scores = describe(run, dataset, row)
        raw = torch.randn(1, 3, 1280)
        shares = scores[:, region] / scores[:, region].sum()
        raw[0, region] = (shares[:, None] * features[:, region]).sum(dim=0)
        with torch.no_grad():
            behind = network.neck(raw.flatten(1)).unflatten(1, (3, 1280))[0, region]
        expected = torch.nn.functional.normalize(behind, dim=0).numpy()
        cut = cut_region(found, region)
        np.testing.assert_allclose(cut[row], expected, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(cut, axis=1), 1, atol=1e-5)

    def test_without_a_neck(self, dataset: Dataset, tmp_path: Path) -> None:
        run = make_run(dataset, tmp_path / "run", "model.heads=frame")
        network, features, scores = describe(run, dataset, 0)
        assert not hasattr(network, "neck")
        weighted = (scores[:, 2:] * features[:, 2]).sum(dim=0)
        expected = torch.nn.functional.normalize(weighted, dim=0).numpy()
        np.testing.assert_allclose(
            cut_region(embed_run(run, dataset.root, OPTIONS), 2)[0], expected, atol=1e-5
        )

    @pytest.mark.parametrize(
        ("method", "message"), [("more_params", "mix the regions"), ("qan", "one region")]
    )
    def test_vectors_without_parts(
        self, dataset: Dataset, tmp_path: Path, method: str, message: str
    ) -> None:
        found = embed_run(make_run(dataset, tmp_path / "run", method=method), dataset.root, OPTIONS)
        with pytest.raises(LpwError, match=message):
            cut_region(found, 0)
        with pytest.raises(LpwError, match=message):
            evaluate_run(found, "market", regions=True)

    def test_no_such_region(self, found: RunVectors) -> None:
        with pytest.raises(LpwError, match="0 to 2"):
            cut_region(found, 3)

    def test_names(self) -> None:
        assert name_regions(1) == ["whole"]
        assert name_regions(3) == ["upper", "middle", "lower"]
        assert name_regions(2) == ["1", "2"]
        assert shorten_regions(3) == ["RU", "RM", "RL"]
        assert shorten_regions(2) == ["R1", "R2"]


class TestFigures:
    def test_all_and_each_region(self, found: RunVectors) -> None:
        tables_of = evaluate_run(found, "market", regions=True)
        assert list(tables_of) == ["all", "RU", "RM", "RL"]
        models = [one.facts["model"] for one in tables_of.values()]
        sha = found.facts.checkpoint_sha256[:8]
        base = "rqen-modern-efficientnet_lite0"
        assert models == [
            f"{base} ({sha})",
            *(f"{base} +{part} ({sha})" for part in ("RU", "RM", "RL")),
        ]
        assert list(evaluate_run(found, "market")) == ["all"]
        figures = {name: one.results[0].summary.map for name, one in tables_of.items()}
        assert all(0 < value <= 1 for value in figures.values())
        assert len(set(figures.values())) > 1

    def test_other_vectors(self, found: RunVectors) -> None:
        made = make_embeddings(found, found.vectors[:, :5], part="+first five")
        assert made.vectors.shape[1] == 5
        assert made.facts.model.endswith(" +first five")
        assert make_embeddings(found).vectors is found.vectors


class TestQuality:
    def test_there_and_back(self, found: RunVectors, dataset: Dataset, tmp_path: Path) -> None:
        write_quality(tmp_path / "q.parquet", found)
        table = tables.read_table(tmp_path / "q.parquet", QUALITY)
        assert table.num_rows == found.scores.size
        first = table.slice(0, 4).to_pylist()
        assert [row["region"] for row in first] == ["upper", "middle", "lower", "upper"]
        assert [row["position"] for row in first] == [0, 0, 0, 1]
        assert first[1]["score"] == found.scores[0, 1]
        np.testing.assert_array_equal(read_scores(tmp_path / "q.parquet", dataset), found.scores)

    def test_some_tracklets_only(self, run: Path, dataset: Dataset, tmp_path: Path) -> None:
        some = embed_run(run, dataset.root, OPTIONS, np.array([4]))
        write_quality(tmp_path / "q.parquet", some)
        np.testing.assert_array_equal(read_scores(tmp_path / "q.parquet", dataset), some.scores)

    def test_a_method_without_scores(self, dataset: Dataset, tmp_path: Path) -> None:
        found = embed_run(make_run(dataset, tmp_path / "run", method="qfix"), dataset.root, OPTIONS)
        with pytest.raises(LpwError, match="scores no frame"):
            write_quality(tmp_path / "q.parquet", found)
        assert not (tmp_path / "q.parquet").exists()


class TestBadRuns:
    def test_no_run(self, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match=r"without run\.json"):
            embed_run(tmp_path, dataset.root)

    def test_a_run_that_is_not_complete(self, run: Path, dataset: Dataset, tmp_path: Path) -> None:
        (tmp_path / run_folder.RUN).write_bytes((run / run_folder.RUN).read_bytes())
        with pytest.raises(LpwError, match="not complete"):
            embed_run(tmp_path, dataset.root)

    @pytest.mark.parametrize("key", ["method", "mode", "persons", "digest", "dataset_digest"])
    def test_run_json_without_a_key(
        self, run: Path, dataset: Dataset, tmp_path: Path, key: str
    ) -> None:
        facts = run_folder.read_run(run)
        del facts[key]
        (tmp_path / run_folder.RUN).write_text(json.dumps(facts))
        with pytest.raises(MismatchError, match=f"damaged file .*{key}"):
            embed_run(tmp_path, dataset.root)

    def test_weights_of_another_network(self, run: Path, dataset: Dataset, tmp_path: Path) -> None:
        (tmp_path / run_folder.RUN).write_bytes((run / run_folder.RUN).read_bytes())
        state = run_folder.read_state(run / run_folder.MODEL)
        del state.model["neck.weight"]
        run_folder.complete_run(tmp_path, state, {"chosen_by": "a test"})
        with pytest.raises(MismatchError, match="weights that do not fit"):
            embed_run(tmp_path, dataset.root)

    def test_no_dataset(self, run: Path, tmp_path: Path) -> None:
        with pytest.raises(LpwError, match="no such folder"):
            embed_run(run, tmp_path / "nowhere")

    def test_a_corrupt_image_is_named(self, run: Path, tmp_path: Path) -> None:
        dataset = open_dataset(make_reid(tmp_path / "d", n_rounds=2).root)
        image = tmp_path / "d" / "images" / "scen1" / "view2" / "000001" / "2.jpg"
        image.write_bytes(image.read_bytes()[:-40])
        for n_workers in (0, 1):
            with pytest.raises(MismatchError, match=r"scen1/view2/000001/2\.jpg"):
                embed_run(run, dataset.root, ScoringOptions(n_workers=n_workers))


class TestEstimate:
    def test_seconds_follow_from_a_batch_and_bytes_from_the_vectors(self, run, dataset):
        clock = Clock()
        opened = open_run(run, OPTIONS)

        def slow(images):
            clock.pass_s(0.5)
            return normal(images)

        normal = opened.network.describe_frames
        opened.network.describe_frames = slow
        index = open_index(dataset.root)
        found = estimate_embedding(
            opened.network, index, np.arange(len(index)), opened.embed, clock=clock
        )
        n_images = dataset.frames.num_rows
        assert found.seconds == pytest.approx(0.5 * n_images / OPTIONS.batch)
        assert found.n_files == 1
        assert found.basis == f"a trial of 7 images, {n_images} in all"

    def test_a_trial_changes_no_vector(self, run, dataset, found):
        told = []
        again = embed_run(run, dataset.root, OPTIONS, announce=told.append)
        assert np.array_equal(again.vectors, found.vectors)
        assert told[0].n_bytes == found.vectors.nbytes
