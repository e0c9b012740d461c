"""Whom a run has seen is known again in every version of its dataset, and in no other one."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from make_reid import make_reid
from tiny_runs import make_run

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.new_version import (
    CopiedImages,
    NewVersion,
    inherit_facts,
    inherit_tables,
    write_version,
)
from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS
from lpw_toolkit.errors import MismatchError
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.split_version import write_split
from rqen.inference.test_splits import find_seen_persons
from rqen.recipe import read_recipe
from rqen.run import run_folder
from rqen.run.seen_images import SEEN_DIGEST, SEEN_IMAGES, read_fingerprints, read_seen
from rqen.training.job import TrainJob, list_seen

TRAINED = ("scen2/1", "scen2/2", "scen2/3", "scen2/4")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset `d` and the run `run` of its split: the persons of scene 2 train."""
    root = tmp_path_factory.mktemp("seen")
    make_run(make_reid(root / "d", boxes=True), root / "run", "train.iterations=1")
    return root


@pytest.fixture
def dataset(home: Path) -> Dataset:
    return open_dataset(home / "d")


def write_filtered(dataset: Dataset, out: Path, *, rename: str = "{}") -> Dataset:
    """A version without the first tracklet of each camera, whose persons have other names."""
    rows = dataset.tracklets.to_pylist()
    kept = [not row["tracklet_id"].endswith("1") for row in rows]
    table = dataset.tracklets.filter(pa.array(kept))
    persons = [name and rename.format(name) for name in table["person_id"].to_pylist()]
    place = TRACKLETS.get_field_index("person_id")
    table = table.set_column(place, TRACKLETS.field(place), pa.array(persons, pa.string()))
    names = table["tracklet_id"].to_pylist()
    chosen = np.flatnonzero(np.isin(dataset.frames["tracklet_id"].to_pylist(), names))
    version = NewVersion(
        table,
        dataset.frames.take(pa.array(chosen)).cast(FRAMES),
        [CopiedImages(dataset, chosen)],
        facts=inherit_facts(dataset, out, {}),
        inner=inherit_tables(dataset, ["timeline"]),
    )
    return write_version(out, version, stage="filter")


def test_on_its_own_dataset(home: Path, dataset: Dataset) -> None:
    assert find_seen_persons(home / "run", dataset) == TRAINED


def test_on_another_dataset_with_the_same_names(home: Path, tmp_path: Path) -> None:
    assert find_seen_persons(home / "run", make_reid(tmp_path / "other", seed=1)) == ()


def test_on_versions_of_its_dataset(home: Path, dataset: Dataset, tmp_path: Path) -> None:
    split, _ = write_split(dataset, tmp_path / "split", SplitConfig(n_splits=1))
    assert find_seen_persons(home / "run", split) == TRAINED
    filtered = write_filtered(dataset, tmp_path / "filtered")
    assert find_seen_persons(home / "run", filtered) == TRAINED[1:]
    renamed = write_filtered(dataset, tmp_path / "renamed", rename="film/{}")
    assert find_seen_persons(home / "run", renamed) == tuple(f"film/{p}" for p in TRAINED[1:])
    twice = write_filtered(renamed, tmp_path / "twice", rename="again/{}")
    shutil.rmtree(tmp_path / "renamed")  # the line of parents is broken, the images are not
    assert find_seen_persons(home / "run", twice) == tuple(f"again/film/{p}" for p in TRAINED[1:])


def test_on_the_version_that_its_dataset_was_made_from(
    home: Path, dataset: Dataset, tmp_path: Path
) -> None:
    filtered = write_filtered(dataset, tmp_path / "filtered", rename="film/{}")
    split, _ = write_split(filtered, tmp_path / "split", SplitConfig(n_splits=1))
    run = make_run(split, tmp_path / "run", "train.iterations=1", "data.n_persons=2")
    trained = {name.removeprefix("film/") for name in run_folder.read_run(run)["persons"]}
    assert set(find_seen_persons(run, dataset)) == trained


def test_persons_who_chose_the_weights_are_seen(dataset: Dataset, tmp_path: Path) -> None:
    run = make_run(dataset, tmp_path / "run", "train.validation=0.5", "data.n_persons=2")
    said = run_folder.read_run(run)
    assert len(said["validation"]) == 2
    renamed = write_filtered(dataset, tmp_path / "renamed", rename="x/{}")
    assert find_seen_persons(run, renamed) == tuple(f"x/{p}" for p in TRAINED[1:])


def test_what_the_run_it_started_from_has_seen_is_seen(
    home: Path, dataset: Dataset, tmp_path: Path
) -> None:
    job = TrainJob(
        dataset.root, tmp_path / "run", "rqen", read_recipe("modern"), start_from=home / "run"
    )
    index = open_index(dataset.root)
    own = list_seen(replace(job, start_from=None), index, np.arange(2)).images
    both = list_seen(job, index, np.arange(2)).images
    words = read_fingerprints(dataset)
    assert set(own) == set(words[: index.starts[2]])
    before = read_seen(home / "run", run_folder.read_run(home / "run"))
    assert set(both) == set(own) | set(before)


class TestOldRuns:
    """Runs of versions that did not note their images."""

    @pytest.fixture
    def old(self, home: Path, tmp_path: Path) -> Path:
        run = tmp_path / "old"
        shutil.copytree(home / "run", run)
        said = run_folder.read_run(run)
        del said[SEEN_DIGEST], said["model_sha256"]
        run_folder.write_run(run, said)
        (run / SEEN_IMAGES).unlink()
        return run

    def test_versions_at_hand_are_followed_by_their_parents(
        self, old: Path, dataset: Dataset, tmp_path: Path
    ) -> None:
        assert find_seen_persons(old, dataset) == TRAINED
        filtered = write_filtered(dataset, tmp_path / "filtered")
        assert find_seen_persons(old, filtered) == TRAINED[1:]
        twice = write_filtered(filtered, tmp_path / "twice")
        assert find_seen_persons(old, twice) == TRAINED[1:]
        assert find_seen_persons(old, make_reid(tmp_path / "other", seed=1)) == ()

    def test_a_run_that_starts_from_one_does_not_know_either(
        self, old: Path, dataset: Dataset
    ) -> None:
        job = TrainJob(dataset.root, old, "rqen", read_recipe("modern"), start_from=old)
        assert list_seen(job, open_index(dataset.root), np.arange(2)).images is None


class TestHostile:
    def test_another_list_of_images_is_refused(
        self, home: Path, dataset: Dataset, tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        shutil.copytree(home / "run", run)
        (run / SEEN_IMAGES).write_bytes(b"\0" * 8)
        with pytest.raises(MismatchError, match=f"{SEEN_IMAGES}: got SHA-256"):
            find_seen_persons(run, dataset)
        (run / SEEN_IMAGES).unlink()
        with pytest.raises(MismatchError, match="the list of images"):
            find_seen_persons(run, dataset)

    def test_a_run_that_no_longer_names_its_list(self, home: Path, tmp_path: Path) -> None:
        """Leaving it out of run.json makes a run of another digest: its weights do not fit."""
        run = tmp_path / "run"
        shutil.copytree(home / "run", run)
        said = run_folder.read_run(run)
        del said[SEEN_DIGEST]
        run_folder.write_run(run, said)
        with pytest.raises(MismatchError, match="not those of its weights"):
            run_folder.read_model(run)


def test_equal_runs_have_equal_lists(home: Path, dataset: Dataset, tmp_path: Path) -> None:
    again = make_run(dataset, tmp_path / "again", "train.iterations=1")
    assert (again / SEEN_IMAGES).read_bytes() == (home / "run" / SEEN_IMAGES).read_bytes()
