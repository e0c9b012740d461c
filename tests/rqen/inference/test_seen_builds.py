"""Whom a run has seen is known again in every build of the same videos, although no image has the
same bytes; and nobody else is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from street import LINK, build_config, make_street

from lpw_toolkit.build.assembly import BuildSettings
from lpw_toolkit.build.build import RelinkConfig, build_tracklets, relink
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.config import PRESETS
from lpw_toolkit.truth.name_by_ground_truth import find_names, name_by_truth
from lpw_toolkit.versions.filtering import FilterConfig, FilterRules, filter_dataset
from lpw_toolkit.versions.merging import MergeConfig, merge_datasets
from lpw_toolkit.versions.renaming import RenameConfig, rename_dataset
from rqen.corruption.inject import CorruptionConfig, inject_corruption
from rqen.run.seen import Seen, collect_seen, find_seen_tracklets
from rqen.run.seen_images import read_fingerprints


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_street(tmp_path_factory.mktemp("street"), n_frames=120, n_persons=12, n_scenes=1)


@pytest.fixture(scope="module")
def built(street: Path) -> Dataset:
    return build_tracklets(build_config(street, street / "built")).dataset


@pytest.fixture(scope="module")
def film(street: Path, built: Dataset) -> Dataset:
    """The build with the names of truth, of whom half train."""
    return name_by_truth(built.root, street / "truth", street / "film")


def list_training(dataset: Dataset) -> np.ndarray:
    assert dataset.splits is not None
    names = dataset.splits.filter(pc.equal(dataset.splits["subset"], "train"))["tracklet_id"]
    return np.flatnonzero(
        pc.is_in(dataset.tracklets["tracklet_id"], value_set=names.combine_chunks()).to_numpy()
    )


def name_people(dataset: Dataset, rows: np.ndarray) -> set[str]:
    return {*dataset.tracklets["person_id"].filter(pa.array(rows)).drop_null().to_pylist()}


@pytest.fixture(scope="module")
def seen(film: Dataset) -> Seen:
    return collect_seen(film, list_training(film), None)


@pytest.fixture(scope="module")
def trained(film: Dataset) -> set[str]:
    rows = np.isin(np.arange(film.tracklets.num_rows), list_training(film))
    return name_people(film, rows)


def remake(crop: CropConfig, **link: object) -> BuildSettings:
    return BuildSettings(link=replace(LINK, **link), crop=crop, segment_frames=16)  # type: ignore


RECIPES: dict[str, BuildSettings] = {
    "quality": remake(CropConfig(jpeg_quality=70)),
    "size": remake(CropConfig(size_px=(96, 48))),
    "length": remake(CropConfig(jpeg_quality=90), min_length=9),
    "smooth": remake(CropConfig(jpeg_quality=90, smooth_frames=6.0)),
    "preset": BuildSettings(link=PRESETS["default"], crop=CropConfig(jpeg_quality=90)),
}


def check_by_truth(other: Dataset, street: Path, seen: Seen, trained: set[str]) -> None:
    """By the names that truth gives the tracklets of an unnamed build: of those who trained at
    least one is seen, and of nobody else any."""
    names = find_names(other, street / "truth")
    found = {
        name
        for name, is_seen in zip(names, find_seen_tracklets(other, seen), strict=True)
        if name and is_seen
    }
    everybody = {*filter(None, names)}
    assert len(trained & everybody) > 2 and everybody - trained
    assert found == trained & everybody


@pytest.mark.parametrize("name", RECIPES)
def test_another_link_of_the_same_boxes(
    name: str, street: Path, built: Dataset, seen: Seen, trained: set[str], tmp_path: Path
) -> None:
    other = relink(RelinkConfig(built.root, tmp_path / "other", RECIPES[name]))
    assert not np.isin(read_fingerprints(other.dataset), seen.images).any()
    check_by_truth(other.dataset, street, seen, trained)


def test_another_build_with_boxes_that_differ(
    street: Path, seen: Seen, trained: set[str], tmp_path: Path
) -> None:
    """Each side of each box moves by up to 2 % of its height."""
    boxes, rng = tmp_path / "boxes", np.random.default_rng(5)
    for file in sorted((street / "detections").rglob("*.txt")):
        rows = np.loadtxt(file, delimiter=",", ndmin=2)
        rows[:, 2:6] += rng.uniform(-0.02, 0.02, (len(rows), 4)) * rows[:, 5:6]
        target = boxes / file.relative_to(street / "detections")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(target, rows, fmt="%.2f", delimiter=",")
    config = build_config(street, tmp_path / "other")
    other = build_tracklets(replace(config, options=replace(config.options, boxes=boxes)))
    check_by_truth(other.dataset, street, seen, trained)


def corrupt(film: Dataset, folder: Path) -> Dataset:
    return inject_corruption(film.root, folder / "out", folder / "mask", CorruptionConfig())


def rename(film: Dataset, folder: Path) -> Dataset:
    scenes = {film.tracklets["scene_id"][0].as_py(): "market"}
    return rename_dataset(RenameConfig(film.root, folder / "out", scenes=scenes)).dataset


def shorten(film: Dataset, folder: Path) -> Dataset:
    rules = FilterRules(min_length=12)
    return filter_dataset(FilterConfig(film.root, folder / "out", rules)).dataset


@pytest.mark.parametrize("change", [corrupt, rename, shorten])
def test_versions_of_the_same_crops(
    change: Callable[[Dataset, Path], Dataset],
    film: Dataset,
    seen: Seen,
    trained: set[str],
    tmp_path: Path,
) -> None:
    """By the places of the crops alone, as if all images had been made anew."""
    made = change(film, tmp_path)
    everybody = name_people(made, np.ones(made.tracklets.num_rows, bool))
    placed = replace(seen, images=None)
    assert name_people(made, find_seen_tracklets(made, placed)) == trained & everybody


def test_what_a_run_started_from_has_seen_is_seen_in_another_build(
    street: Path, built: Dataset, film: Dataset, seen: Seen, trained: set[str], tmp_path: Path
) -> None:
    """The second run trains on one test person of another build; it knows the others as others,
    except those whom the first run has seen."""
    relink(RelinkConfig(built.root, tmp_path / "other", RECIPES["quality"]))
    named = name_by_truth(tmp_path / "other", street / "truth", tmp_path / "named")
    people = named.tracklets["person_id"].to_pylist()
    new = next(name for name in people if name and name not in trained)
    rows = np.flatnonzero([name == new for name in people])
    chain = collect_seen(named, rows, seen)
    assert chain.knows_crops
    assert name_people(film, find_seen_tracklets(film, chain)) == trained | {new}
    blind = collect_seen(named, rows, Seen(seen.images, None))
    assert not blind.knows_crops
    assert name_people(film, find_seen_tracklets(film, blind)) == trained | {new}
    assert not collect_seen(named, rows, blind).knows_crops


def test_two_builds_are_not_merged_and_their_film_is_named(
    street: Path, built: Dataset, film: Dataset, tmp_path: Path
) -> None:
    relink(RelinkConfig(built.root, tmp_path / "other", RECIPES["quality"]))
    named = name_by_truth(tmp_path / "other", street / "truth", tmp_path / "named")
    with pytest.raises(LpwError, match=r"the film scen1/view1\.mp4 in .* and .*--persons"):
        merge_datasets(MergeConfig((film.root, named.root), tmp_path / "both"))
    assert not (tmp_path / "both").exists()
