"""`lpw rename`: cameras and scenes get other names; tracklets keep their ids."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from lpw_cli.rename import command
from make_dataset import make_dataset
from make_decisions import Asker

from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.cleaning.state.review import open_review, read_union
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.manifest import parents_of
from lpw_toolkit.errors import LpwError
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.split_version import write_split
from lpw_toolkit.versions.carrying import ANEW
from lpw_toolkit.versions.renaming import RenameConfig, read_renames, rename_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "set", n_tracklets=8, identified=False)


def test_new_names_stand_in_the_tables_and_in_the_sources(dataset: Dataset, tmp_path: Path) -> None:
    with open_review(dataset, "anna") as review:
        review.decide(Asker()("accept", "scen1/view1/000001"))
    config = RenameConfig(
        dataset.root,
        tmp_path / "new",
        {"scen1/view1": "market/north", "scen1/view2": "scen1/view1"},
        {"scen1": "market"},
    )
    made = rename_dataset(config)
    assert made.lines == (
        "camera scen1/view1 is market/north now",
        "camera scen1/view2 is scen1/view1 now",
        "scene scen1 is market now",
        "1 of 1 decisions on little carry over",
        ANEW,
    )
    rows = {row["tracklet_id"]: row for row in made.dataset.tracklets.to_pylist()}
    old = {row["tracklet_id"]: row for row in dataset.tracklets.to_pylist()}
    assert rows.keys() == old.keys()
    assert rows["scen1/view1/000001"] == old["scen1/view1/000001"] | {
        "camera_id": "market/north",
        "scene_id": "market",
    }
    assert rows["scen1/view2/000002"]["camera_id"] == "scen1/view1"
    assert rows["scen2/view1/000001"] == old["scen2/view1/000001"]
    assert made.dataset.frames.equals(dataset.frames)
    named = {e["video_id"]: (e["scene_id"], e["camera_id"])
             for e in made.dataset.manifest["sources"]}  # fmt: skip
    assert named["scen1/view1"] == ("market", "market/north")
    tables = made.dataset.manifest["tables"]
    assert {n: t for n, t in dataset.manifest["tables"].items() if n != "tracklets.parquet"} == {
        name: table for name, table in tables.items() if name != "tracklets.parquet"
    }
    assert made.dataset.manifest["settings"]["rename"] == {
        "cameras": {"scen1/view1": "market/north", "scen1/view2": "scen1/view1"},
        "scenes": {"scen1": "market"},
    }
    assert [one.is_dataset(dataset.manifest) for one in parents_of(made.dataset.manifest)] == [True]
    assert check_dataset(made.dataset.root).problems == []
    assert len(read_union(made.dataset).decisions) == 1


def test_a_name_that_is_taken_makes_two_cameras_one(dataset: Dataset, tmp_path: Path) -> None:
    config = RenameConfig(dataset.root, tmp_path / "new", {"scen2/view2": "scen2/view1"})
    made = rename_dataset(config)
    assert "cameras scen2/view1, scen2/view2 are one now: scen2/view1" in made.lines
    assert made.dataset.manifest["counts"]["n_cameras"] == 3


def test_splits_stay_unless_cameras_become_one(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", n_tracklets=24)
    split, _ = write_split(dataset, tmp_path / "split", SplitConfig(n_splits=1))
    named = rename_dataset(RenameConfig(split.root, tmp_path / "a", {"scen1/view1": "north"}))
    assert "splits carry over" in named.lines
    assert named.dataset.splits.equals(split.splits)
    assert check_dataset(named.dataset.root).problems == []
    joined = rename_dataset(
        RenameConfig(split.root, tmp_path / "b", {"scen1/view1": "scen1/view2"})
    )
    assert joined.dataset.splits is None
    assert any("cameras are one that were two; draw new ones" in line for line in joined.lines)


@pytest.mark.parametrize(
    ("cameras", "told"),
    [
        ({}, "no name"),
        ({"scen9/view1": "x"}, "scen9/view1; expected one of scen1/view1"),
        ({"scen1/view1": "a/../b"}, "ends in a dot"),
        ({"scen1/view1": "/abs"}, "an empty part"),
        ({"scen1/view1": "a\nb"}, "a control character"),
        ({"scen1/view1": "x" * 201}, "more than 200 characters"),
    ],
)
def test_wrong_names_are_refused(
    dataset: Dataset, tmp_path: Path, cameras: dict[str, str], told: str
) -> None:
    with pytest.raises(LpwError, match=told):
        rename_dataset(RenameConfig(dataset.root, tmp_path / "new", cameras))
    assert not (tmp_path / "new").exists()


def test_the_command_takes_pairs_and_a_table(dataset: Dataset, tmp_path: Path) -> None:
    table = tmp_path / "names.csv"
    table.write_text("old,kind,new\nscen1,scene,market\n\nscen2/view1,camera,hall\n")
    arguments = [str(dataset.root), "--out", str(tmp_path / "new"), "--table", str(table)]
    arguments += ["--camera", "scen1/view1=north"]
    run = CliRunner()
    assert run.invoke(command, arguments, catch_exceptions=False).exit_code == 0
    cameras = {*open_dataset(tmp_path / "new").tracklets["camera_id"].to_pylist()}
    assert cameras == {"north", "scen1/view2", "hall", "scen2/view2"}
    twice = [*arguments, "--camera", "scen2/view1=other"]
    with pytest.raises(LpwError, match="'scen2/view1' twice, as other and as hall"):
        run.invoke(command, twice, catch_exceptions=False)
    assert run.invoke(command, [*arguments, "--camera", "x="]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "an empty file"),
        ("a,b,c\n1,2,3\n", "the columns a,b,c"),
        ("kind,old,new\n", "no rows"),
        ("kind,old,new\ncamera,x\n", "line 2: got 2 cells"),
        ("kind,old,new\ncamera,x,\n", "line 2: got 2 cells"),
        ("kind,old,new\nperson,x,y\n", "line 2: got the kind 'person'"),
        ('kind,old,new\n"camera,x,y\n', "no CSV"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(LpwError, match=told):
        read_renames(tmp_path / "names.csv")
