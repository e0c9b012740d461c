"""`lpw merge`: datasets become one; persons stay apart unless a table maps them."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from lpw_cli.merge import command
from make_dataset import make_dataset
from make_decisions import Asker

from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.cleaning.state.review import open_review, read_union
from lpw_toolkit.dataset.dataset import Dataset, close_dataset, open_dataset
from lpw_toolkit.dataset.manifest import parents_of
from lpw_toolkit.errors import LpwError
from lpw_toolkit.exports.form import export_dataset
from lpw_toolkit.versions.carrying import Made
from lpw_toolkit.versions.filtering import FilterConfig, FilterRules, filter_dataset
from lpw_toolkit.versions.merging import MergeConfig, merge_datasets
from lpw_toolkit.versions.renaming import RenameConfig, rename_dataset

A1, B1 = "scen1/view1/000001", "scen1/view2/000001"


@pytest.fixture
def films(tmp_path: Path) -> tuple[Dataset, Dataset]:
    """Two films of other people with the same names of scenes, cameras and persons."""
    one = make_dataset(tmp_path / "one", n_tracklets=4, n_frames=4, seed=1, name="monday")
    other = make_dataset(tmp_path / "other", n_tracklets=6, n_frames=4, seed=2, name="friday")
    return one, other


@pytest.fixture
def builds(tmp_path: Path) -> tuple[Dataset, Dataset]:
    """Two builds of the same film: equal videos, other images."""
    one = make_dataset(tmp_path / "one", n_tracklets=4, n_frames=4, seed=1, name="monday")
    other = make_dataset(tmp_path / "other", n_tracklets=4, n_frames=4, seed=2, name="again")
    facts = {k: other.manifest[k] for k in ("name", "parent", "settings", "licence", "consent")}
    return one, close_dataset(other.root, facts | {"sources": one.manifest["sources"]})


def write_map(table: Path, *rows: tuple[Dataset, str, str]) -> Path:
    lines = [f"{dataset.name},{person},{new}" for dataset, person, new in rows]
    table.write_text("\n".join(["dataset,person,new", *lines]))
    return table


def test_two_builds_of_a_film_need_a_map_of_its_persons(
    builds: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    one, _ = builds
    people = one.tracklets["person_id"].drop_null().unique().to_pylist()
    with pytest.raises(LpwError, match=r"the film scen1/view1\.mp4 in monday and again") as error:
        merge(*builds, out=tmp_path / "both")
    assert "--persons" in str(error.value) and "scen2/view2.mp4" in str(error.value)
    part = write_map(tmp_path / "part.csv", *((one, p, p) for p in people))
    with pytest.raises(LpwError, match=f"no entry for {people[0]}.* of again"):
        merge(*builds, out=tmp_path / "both", persons=part)
    assert not (tmp_path / "both").exists()
    whole = write_map(tmp_path / "all.csv", *((d, p, p) for d in builds for p in people))
    made = merge(*builds, out=tmp_path / "both", persons=whole)
    assert made.dataset.manifest["counts"]["n_persons"] == len(people)
    assert any("the film scen1/view1.mp4 in monday and again" in line for line in made.lines)


def test_versions_with_tracklets_of_different_films_are_merged(
    films: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    """Both name all sources of the film, but each has tracklets of its own camera alone."""
    one, _ = films
    parts = [
        filter_dataset(FilterConfig(one.root, tmp_path / f"part{i}", FilterRules(cameras=(name,))))
        for i, name in enumerate(("scen1/view1", "scen2/view2"))
    ]
    made = merge(*(part.dataset for part in parts), out=tmp_path / "both")
    assert made.dataset.tracklets.num_rows == 2


def merge(*datasets: Dataset, out: Path, persons: Path | None = None) -> Made:
    return merge_datasets(MergeConfig(tuple(d.root for d in datasets), out, persons))


def test_names_that_collide_begin_with_the_name_of_the_dataset(
    films: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    one, other = films
    made = merge(one, other, out=tmp_path / "both")
    places, persons, _ = made.lines
    assert places == (
        "names of scenes, cameras, videos and tracklets of friday, monday begin with the dataset's "
        "name: the scene scen1 is in monday, friday"
    )
    assert persons == (
        "persons of friday, monday are kept apart, their ids begin with the dataset's name: "
        "scen1/1 is in monday, friday"
    )
    dataset = made.dataset
    assert check_dataset(dataset.root).problems == []
    rows = {row["tracklet_id"]: row for row in dataset.tracklets.to_pylist()}
    assert len(rows) == 10
    old = next(row for row in other.tracklets.to_pylist() if row["tracklet_id"] == A1)
    assert rows[f"friday-{A1}"] == old | {
        "tracklet_id": f"friday-{A1}",
        "scene_id": "friday-scen1",
        "camera_id": "friday-scen1/view1",
        "video_id": "friday-scen1/view1",
        "person_id": "friday-scen1/1",
    }
    before = [f for f in other.frames.to_pylist() if f["tracklet_id"] == A1]
    after = [f for f in dataset.frames.to_pylist() if f["tracklet_id"] == f"friday-{A1}"]
    assert [f["sha256"] for f in after] == [f["sha256"] for f in before]
    assert after[0]["image"]["path"] == f"images/friday-{A1}/1.jpg"
    assert [p.is_dataset(d.manifest) for p, d in zip(parents_of(dataset.manifest), films,
                                                     strict=True)] == [True, True]  # fmt: skip
    assert dataset.manifest["parent"] is None
    assert {e["path"] for e in dataset.manifest["sources"]} >= {
        "monday/scen1/view1.mp4",
        "friday/scen1/view1.mp4",
    }
    export_dataset(dataset, "coco", tmp_path / "coco")  # timelines under their new names


def test_names_that_do_not_collide_stay(tmp_path: Path) -> None:
    one = make_dataset(tmp_path / "one", n_tracklets=4, n_frames=4, seed=1, name="a")
    other = make_dataset(tmp_path / "other", n_tracklets=4, n_frames=4, seed=2, name="b")
    halves = [
        filter_dataset(FilterConfig(one.root, tmp_path / "h1", FilterRules(scenes=("scen1",)))),
        filter_dataset(FilterConfig(other.root, tmp_path / "h2", FilterRules(scenes=("scen2",)))),
    ]
    with pytest.raises(LpwError):  # the sources still name all videos: nothing to be seen as one
        merge(one, halves[0].dataset, out=tmp_path / "x")
    made = merge(*(half.dataset for half in halves), out=tmp_path / "both")
    ids = [half.dataset.tracklets["tracklet_id"].to_pylist() for half in halves]
    prefixes = made.dataset.manifest["settings"]["merge"]["prefixes"]
    expected = [f"{p}{name}" for p, names in zip(prefixes.values(), ids, strict=True)
                for name in names]  # fmt: skip
    assert made.dataset.tracklets["tracklet_id"].to_pylist() == sorted(expected)
    assert check_dataset(made.dataset.root).problems == []


def test_a_table_maps_persons(films: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    one, other = films
    table = tmp_path / "persons.csv"
    table.write_text("dataset,person,new\nmonday,scen1/1,anna\nfriday,scen2/1,anna\n")
    made = merge(one, other, out=tmp_path / "both", persons=table)
    assert "2 persons of the table are 1 now" in made.lines
    persons = {row["tracklet_id"]: row["person_id"] for row in made.dataset.tracklets.to_pylist()}
    assert persons[f"monday-{A1}"] == persons["friday-scen2/view2/000001"] == "anna"
    assert persons[f"friday-{A1}"] in ("scen1/1", "friday-scen1/1")
    assert check_dataset(made.dataset.root).problems == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("sunday,scen1/1,x", "line 2: got the dataset 'sunday'"),
        ("monday,scen9/1,x", "line 2: got the person 'scen9/1'"),
        ("monday,scen1/1,x\nmonday,scen1/1,y", "line 3: got 'scen1/1' again"),
        ("monday,scen1/1,../x", "line 2: got '../x'"),
        (
            "monday,scen1/1,friday-scen1/1",
            "the person scen1/1 of friday, whose id friday-scen1/1 another one gets",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    films: tuple[Dataset, Dataset], tmp_path: Path, rows: str, told: str
) -> None:
    (tmp_path / "persons.csv").write_text(f"dataset,person,new\n{rows}\n")
    with pytest.raises(LpwError, match=told):
        merge(*films, out=tmp_path / "both", persons=tmp_path / "persons.csv")
    assert not (tmp_path / "both").exists()


def test_the_same_dataset_and_versions_of_one_are_refused(
    films: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    one, _ = films
    with pytest.raises(LpwError, match="the same dataset as"):
        merge(one, one, out=tmp_path / "x")
    named = rename_dataset(RenameConfig(one.root, tmp_path / "named", {"scen1/view1": "north"}))
    with pytest.raises(LpwError, match=f"the images of {A1}, which monday has as {A1}"):
        merge(one, named.dataset, out=tmp_path / "x")
    with pytest.raises(LpwError, match="1 dataset; expected two or more"):
        merge(one, out=tmp_path / "x")


def test_datasets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    films = [make_dataset(tmp_path / f"{i}", n_tracklets=2, n_frames=3, seed=i) for i in range(3)]
    made = merge(*films, out=tmp_path / "all")
    prefixes = [*made.dataset.manifest["settings"]["merge"]["prefixes"].values()]
    assert len({*prefixes}) == 3 and prefixes[0] == "little-"
    assert made.dataset.manifest["counts"]["n_tracklets"] == 6
    assert check_dataset(made.dataset.root).problems == []


def test_decisions_follow_their_tracklets(tmp_path: Path) -> None:
    films = [
        make_dataset(
            tmp_path / name, n_tracklets=4, n_frames=6, seed=i, identified=False, name=name
        )
        for i, name in enumerate("ab")
    ]
    for i, film in enumerate(films):
        ask = Asker(10 * i + 1)
        with open_review(film, "anna") as review:
            review.decide(ask("split", A1, at=3))
            review.decide(ask("link", f"{A1}@0-3", B1))
    arguments = [*(str(film.root) for film in films), "--out", str(tmp_path / "both")]
    shown = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "2 of 2 decisions on a carry over" in shown.output
    assert "2 of 2 decisions on b carry over" in shown.output
    made = open_dataset(tmp_path / "both")
    named = sorted(d.tracklets for d in read_union(made).decisions if len(d.tracklets) == 2)
    assert named == [(f"{p}-{A1}@0-3", f"{p}-{B1}") for p in "ab"]


def test_other_sizes_and_notes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make_dataset(tmp_path / "one", n_tracklets=2, n_frames=3, seed=1, name="a")
    monkeypatch.setattr("make_dataset.CROP_WIDTH", 40)
    other = make_dataset(tmp_path / "other", n_tracklets=2, n_frames=3, seed=2, name="b")
    made = merge(one, other, out=tmp_path / "both")
    told = "images differ in size (a 64x32, b 64x40); training and evaluation resize them"
    assert told in made.lines
    assert check_dataset(made.dataset.root).problems == []
    assert made.dataset.manifest["licence"] is None
    assert made.dataset.manifest["settings"]["link"] == {"iou": 0.5}
