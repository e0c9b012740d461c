"""From a built street to a table: names by truth, a split, mean colour, and what `lpw demo` does
with them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from lpw_cli import demo
from make_reid import make_reid
from street import build_config, make_street

import rqen.recipe
from lpw_toolkit.build.build import build_tracklets
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.dataset.schema import METRICS
from lpw_toolkit.dataset.tables import read_table
from lpw_toolkit.embedding.mean_colour import describe_colours, measure_colours
from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.evaluation.trials import read_trials
from lpw_toolkit.truth.name_by_ground_truth import NamingConfig, find_names, name_by_truth

SMALL = ("data.height=64", "data.width=32", "data.n_persons=2", "data.n_frames=2", "data.crop=2")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder as `lpw demo` leaves it after its first steps: street/ and dataset/."""
    out = tmp_path_factory.mktemp("demo")
    street = make_street(out / "street", n_frames=120, n_persons=10, n_scenes=1, occluded_frac=0.0)
    build_tracklets(build_config(street, out / "dataset"))
    return out


@pytest.fixture(scope="module")
def named(place) -> Dataset:
    return name_by_truth(place / "dataset", place / "street" / "truth", place / "named")


class TestNames:
    def test_the_new_dataset_is_whole_and_names_its_parent(self, place, named):
        parent = open_dataset(place / "dataset")
        assert check_dataset(named.root).ok
        assert named.manifest["parent"] == {
            "name": parent.name,
            "digest": parent.manifest["digest"],
        }
        assert named.frames.equals(parent.frames)
        others = [name for name in parent.tracklets.column_names if name != "person_id"]
        assert named.tracklets.select(others).equals(parent.tracklets.select(others))

    def test_names_are_those_of_the_truth(self, place, named):
        """Every named tracklet lies on the boxes of its person: by its own look at the text of the
        truth."""
        frames, rows = named.frames.to_pylist(), {}
        for video in ("scen1/view1", "scen1/view2"):
            text = np.loadtxt(place / "street" / "truth" / f"{video}.txt", delimiter=",")
            rows[video] = {
                (int(r[0]) - 1, int(r[1])): (r[2] + r[4] / 2, r[3] + r[5] / 2, r[5]) for r in text
            }
        persons = {row["tracklet_id"]: row["person_id"] for row in named.tracklets.to_pylist()}
        cameras = {row["tracklet_id"]: row["camera_id"] for row in named.tracklets.to_pylist()}
        n_named = sum(person is not None for person in persons.values())
        assert n_named >= 8
        near = []
        for frame in frames:
            person = persons[frame["tracklet_id"]]
            if person is None:
                continue
            found = rows[cameras[frame["tracklet_id"]]].get(
                (frame["frame_index"], int(person.split("/")[1]))
            )
            if found is not None:
                x, y = (frame["x1"] + frame["x2"]) / 2, (frame["y1"] + frame["y2"]) / 2
                near.append(np.hypot(x - found[0], y - found[1]) < 0.3 * found[2])
        assert np.mean(near) > 0.95

    def test_halves_share_nobody_and_everyone_who_asks_can_be_found(self, named):
        trial, labels = read_trials(named)[0], read_labels(named.tracklets)
        assert not set(labels.person[trial.train]) & set(labels.person[trial.gallery])
        assert set(trial.query) <= set(trial.gallery)
        pairs = list(zip(labels.person[trial.query], labels.camera[trial.query], strict=True))
        assert len(set(pairs)) == len(pairs)
        colours = describe_colours(open_index(named.root), trial.gallery)
        found = evaluate(named, colours, "market", DistanceSettings("euclidean"))
        assert found.skipped == []
        assert (
            "DRAWN" in found.facts["split_source"] and "ground truth" in found.facts["split_source"]
        )

    def test_again_it_is_found_complete_and_with_another_seed_refused(self, place, named):
        before = (named.root / "dataset.json").stat().st_mtime_ns
        again = name_by_truth(place / "dataset", place / "street" / "truth", named.root)
        assert again.manifest == named.manifest
        assert (named.root / "dataset.json").stat().st_mtime_ns == before
        with pytest.raises(LpwError, match="a finished dataset with other settings"):
            name_by_truth(
                place / "dataset", place / "street" / "truth", named.root, NamingConfig(seed=1)
            )

    def test_the_seed_says_who_trains(self, place, named, tmp_path):
        truth = place / "street" / "truth"
        same = name_by_truth(place / "dataset", truth, tmp_path / "same")
        assert same.splits.equals(named.splits)
        digests = {
            name_by_truth(
                place / "dataset", truth, tmp_path / str(seed), NamingConfig(seed=seed)
            ).manifest["splits"]["digest"]
            for seed in range(3)
        }
        assert len(digests) > 1

    def test_below_the_purity_that_is_asked_nobody_has_a_name(self, place):
        dataset, truth = open_dataset(place / "dataset"), place / "street" / "truth"
        strict = find_names(dataset, truth, NamingConfig(min_purity_frac=1.01))
        assert set(strict) == {None}

    def test_too_few_persons_in_two_cameras(self, place, tmp_path):
        with pytest.raises(
            LpwError, match="got 0 persons in two cameras or more; expected 4 or more"
        ):
            name_by_truth(
                place / "dataset",
                place / "street" / "truth",
                tmp_path / "d",
                NamingConfig(min_purity_frac=1.01),
            )
        assert not (tmp_path / "d").exists()

    def test_no_truth(self, place, tmp_path):
        with pytest.raises(LpwError, match="ground truth for every video"):
            name_by_truth(place / "dataset", tmp_path, tmp_path / "d")


class TestMeanColour:
    def test_parts_of_an_image(self):
        image = np.zeros((7, 4, 3), dtype=np.uint8)
        image[:3], image[3:5], image[5:] = (255, 0, 0), (0, 255, 0), (0, 0, 51)
        cuts = np.array([3, 5, 7]) / 7
        assert measure_colours(image, cuts) == pytest.approx([1, 0, 0, 0, 1, 0, 0, 0, 0.2])
        assert measure_colours(image[:1], cuts)[:3] == pytest.approx([1, 0, 0])

    def test_the_mean_of_all_frames_and_nothing_of_others(self, tmp_path):
        dataset = make_reid(tmp_path / "d")
        index = open_index(dataset.root)
        found = describe_colours(index, np.array([1, 3]), division=(1.0,))
        images = [index.images.decode(row) for row in range(index.starts[3], index.starts[4])]
        expected = np.mean([image.mean(axis=(0, 1)) for image in images], axis=0) / 255
        assert found.vectors[3] == pytest.approx(expected, abs=1e-5)
        assert np.flatnonzero(found.present).tolist() == [1, 3] and not found.vectors[[0, 2]].any()
        assert found.facts.model == "mean colour" and found.facts.frames_used == "all"

    def test_centred_for_each_camera(self, tmp_path):
        dataset = make_reid(tmp_path / "d")
        index = open_index(dataset.root)
        rows = np.arange(len(index))
        found = describe_colours(index, rows, centred=True)
        camera = read_labels(dataset.tracklets).camera
        for code in set(camera):
            assert found.vectors[camera == code].mean(axis=0) == pytest.approx(
                np.zeros(9), abs=1e-6
            )


class TestDemo:
    @pytest.fixture()
    def small(self, monkeypatch):
        """The demo's recipe on small images."""
        read = rqen.recipe.read_recipe
        monkeypatch.setattr(
            rqen.recipe, "read_recipe", lambda name, changes=(): read(name, (*SMALL, *changes))
        )

    def test_from_a_dataset_to_a_table(self, place, small, tmp_path, capsys):
        for name in ("street", "dataset"):
            shutil.copytree(place / name, tmp_path / name)
        demo._clean(tmp_path / "dataset", tmp_path / "street" / "truth", tmp_path / "cleaned")
        demo._learn(tmp_path, 2)
        text = capsys.readouterr().out
        for model in (
            "mean colour ",
            "mean colour of 3:2:2",
            "untrained",
            "rqen-demo-efficientnet_lite0",
        ):
            assert model in text
        assert (tmp_path / "result" / "table.md").is_file()
        assert (tmp_path / "run" / "model.safetensors").is_file()
        said = json.loads((tmp_path / "run" / "run.json").read_text())
        cleaned = open_dataset(tmp_path / "cleaned")
        assert said["data_digest"] == cleaned.digest
        assert cleaned.manifest["parent"]["name"] == open_dataset(tmp_path / "dataset").name
        metrics = read_table(tmp_path / "result" / "metrics.parquet", METRICS)
        assert set(metrics["dataset_digest"].to_pylist()) == {cleaned.digest}
        assert set(metrics["n_seen"].to_pylist()) == {None, 0}
        demo._clean(tmp_path / "dataset", tmp_path / "street" / "truth", tmp_path / "cleaned")
        assert "cleaned is there already" in capsys.readouterr().out
        demo._learn(tmp_path, 2)
        again = capsys.readouterr().out
        assert (
            again[again.index("model") : again.index("trained and")] in text
        )  # the same figures, nothing trained

    def test_without_the_packages_for_learning_it_ends_with_the_pictures(
        self, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "torch" else name)
        demo._learn(tmp_path, 2)
        assert (
            'left out: no package torch; pip install "lpw-toolkit[all]"' in capsys.readouterr().out
        )
        assert not list(tmp_path.iterdir())

    def test_a_street_too_small_to_learn_from_is_no_error(self, tmp_path):
        done = CliRunner().invoke(demo.command, ["--out", str(tmp_path / "d"), "--preset", "tiny"])
        assert done.exit_code == 0, done.output
        assert "left out: no persons in two cameras to be divided" in done.output
        assert (tmp_path / "d" / "show" / "index.html").is_file()

    def test_no_steps_end_with_the_pictures(self, tmp_path):
        done = CliRunner().invoke(
            demo.command, ["--out", str(tmp_path / "d"), "--preset", "tiny", "--steps", "0"]
        )
        assert done.exit_code == 0, done.output
        assert "6/8 review" in done.output and "7/8" not in done.output

    def test_the_recipe_of_the_demo_is_short_and_needs_no_trial(self):
        recipe = rqen.recipe.read_recipe("demo")
        images = (
            recipe.train.iterations
            * recipe.data.n_persons
            * recipe.data.n_sets
            * recipe.data.n_frames
        )
        assert (
            images <= 6400
            and recipe.train.precision != "auto"
            and recipe.train.channels_last != "auto"
        )
