"""Decisions on one dataset hold on another version of it, by the identity of tracklets and nothing
else."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from lpw_cli.clean import command
from make_dataset import make_dataset
from make_decisions import Asker, make_uuid

from lpw_toolkit.cleaning.adoption import adopt_decisions
from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.log.decisions import Request
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.replay import replay
from lpw_toolkit.cleaning.state.review import log_folder, open_review, read_union
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.errors import LpwError, MismatchError

A1, A2 = "scen1/view1/000001", "scen1/view1/000002"
B1, B2 = "scen1/view2/000001", "scen1/view2/000002"
C1, D1 = "scen2/view1/000001", "scen2/view2/000001"


@pytest.fixture
def parent(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "parent", n_tracklets=8, identified=False, name="parent")


@pytest.fixture
def child(tmp_path: Path) -> Dataset:
    """Four tracklets more; those of the parent are the same, image by image."""
    return make_dataset(tmp_path / "child", n_tracklets=8, identified=False, name="child", seed=0)


def say(dataset: Dataset, reviewer: str, *requests: Request) -> None:
    with open_review(dataset, reviewer) as review:
        for request in requests:
            review.decide(request)


def state_of(dataset: Dataset) -> State:
    return apply(read_base(dataset), read_union(dataset))


def change(dataset: Dataset, tracklet: str, **facts: object) -> Dataset:
    """The dataset with one image of `tracklet` that is another one, closed again."""
    import pyarrow as pa

    from lpw_toolkit.dataset.dataset import close_dataset
    from lpw_toolkit.dataset.schema import FRAMES
    from lpw_toolkit.dataset.tables import write_table

    rows = dataset.frames.to_pylist()
    row = next(row for row in rows if row["tracklet_id"] == tracklet)
    row |= facts or {"sha256": bytes(32)}
    table = pa.Table.from_pylist(rows, schema=FRAMES)
    write_table(dataset.root / "frames.parquet", table, FRAMES, group_by="tracklet_id")
    kept = ("name", "parent", "sources", "settings")
    return close_dataset(dataset.root, {key: dataset.manifest[key] for key in kept})


def decide_on_all(parent: Dataset) -> None:
    ask = Asker()
    say(
        parent,
        "anna",
        ask("split", A1, at=5),
        ask("link", f"{A1}@0-5", B1),
        ask("reject", A2, reason="static"),
        ask("accept", C1),
        ask("undo", of=make_uuid(4)),
    )
    say(parent, "ben", Asker(20)("link", A2, B2), Asker(21)("accept", D1))


def test_all_decisions_hold_where_all_tracklets_are_the_same(
    parent: Dataset, child: Dataset
) -> None:
    child = change(child, D1, score=0.125)  # another digest; images and frames are the same
    decide_on_all(parent)
    adopted = adopt_decisions(parent, child)
    assert adopted.n_carried == adopted.n_decisions == 7 and adopted.left_out == []
    assert adopted.lines == ["7 of 7 decisions on parent carry over"]
    before, after = state_of(parent), state_of(child)
    assert after.count_statuses() == before.count_statuses()
    assert after.groups == before.groups
    logs = replay(read_base(child), log_folder(child)).logs  # every line and its chain
    assert [(log.name, log.n_decisions) for log in logs] == [("anna.jsonl", 5), ("ben.jsonl", 2)]
    old, new = (read_union(dataset).decisions for dataset in (parent, child))
    assert [(d.uuid, d.time, d.seen) for d in new] == [(d.uuid, d.time, d.seen) for d in old]


@pytest.mark.parametrize("facts", [{"sha256": bytes(32)}, {"frame_index": 3}])
def test_a_decision_on_a_tracklet_that_changed_is_named_and_left_out(
    parent: Dataset, child: Dataset, facts: dict[str, object]
) -> None:
    child = change(child, A2, **facts)
    decide_on_all(parent)
    adopted = adopt_decisions(parent, child)
    assert [str(one) for one in adopted.left_out] == [
        f"reject {A2} (by anna): {A2} has changed",
        f"link {A2}, {B2} (by ben): {A2} has changed",
    ]
    assert adopted.lines[1:] == [f"not carried: {one}" for one in adopted.left_out]
    assert {d.uuid for d in read_union(child).decisions} == {
        make_uuid(number) for number in (1, 2, 4, 5, 21)
    }
    noted = json.loads((log_folder(child) / "adopted.json").read_text())
    assert noted[0]["parent"]["name"] == "parent" and noted[0]["n_carried"] == 5
    assert [one["uuid"] for one in noted[0]["left_out"]] == [make_uuid(3), make_uuid(20)]


def test_an_undo_goes_with_what_it_undoes(parent: Dataset, child: Dataset) -> None:
    child = change(child, C1)
    ask = Asker()
    say(parent, "anna", ask("accept", C1), ask("accept", D1), ask("undo", of=make_uuid(1)),
        ask("undo", of=make_uuid(3)))  # fmt: skip
    adopted = adopt_decisions(parent, child)
    assert [one.decision.uuid for one in adopted.left_out] == [make_uuid(i) for i in (1, 3, 4)]
    assert state_of(child).conflicts == ()


def test_it_can_be_repeated_and_adds_only_what_is_new(parent: Dataset, child: Dataset) -> None:
    child = change(child, A2)
    decide_on_all(parent)
    adopt_decisions(parent, child)
    files = {f.name: f.read_bytes() for f in log_folder(child).iterdir()}
    assert adopt_decisions(parent, child).logs == [
        "anna.jsonl: nothing new",
        "ben.jsonl: nothing new",
    ]
    assert {f.name: f.read_bytes() for f in log_folder(child).iterdir()} == files
    say(child, "anna", Asker(40)("accept", B2))  # goes on with the child
    say(parent, "anna", Asker(41)("accept", D1))  # and with the parent
    adopt_decisions(parent, child)
    uuids = [d.uuid for d in read_union(child).decisions]
    assert len(uuids) == len(set(uuids)) and {make_uuid(40), make_uuid(41)} <= set(uuids)
    assert read_union(child).ambiguous_uuids == ()


def test_renamed_tracklets_keep_their_decisions(parent: Dataset, tmp_path: Path) -> None:
    import pyarrow as pa

    from lpw_toolkit.dataset.dataset import close_dataset
    from lpw_toolkit.dataset.schema import FRAMES, TRACKLETS
    from lpw_toolkit.dataset.tables import write_table

    child = make_dataset(tmp_path / "child", n_tracklets=8, identified=False)
    for name, schema in (("frames", FRAMES), ("tracklets", TRACKLETS)):
        table = child.frames if name == "frames" else child.tracklets
        ids = pa.array([f"p/{old}" for old in table["tracklet_id"].to_pylist()])
        write_table(
            child.root / f"{name}.parquet", table.set_column(0, schema.field(0), ids), schema
        )
    kept = ("name", "parent", "sources", "settings")
    child = close_dataset(child.root, {key: child.manifest[key] for key in kept})
    seam = {"parts": [[A1, 0, 3], [B1, 0, 3]], "found": True}
    decide_on_all(parent)
    say(parent, "anna", Asker(30)("check", seam=seam))
    names = {old: f"p/{old}" for old in parent.tracklets["tracklet_id"].to_pylist()}
    assert adopt_decisions(parent, child, names=names).left_out == []
    after = {d.uuid: d for d in read_union(child).decisions}
    assert after[make_uuid(2)].tracklets == (f"p/{A1}@0-5", f"p/{B1}")
    assert after[make_uuid(30)].value["parts"] == [[f"p/{A1}", 0, 3], [f"p/{B1}", 0, 3]]
    assert state_of(child).count_statuses() == state_of(parent).count_statuses()


def test_the_command_merges_the_logs_of_another_version(
    parent: Dataset, child: Dataset, tmp_path: Path
) -> None:
    child = change(child, A2)
    decide_on_all(parent)
    arguments = [str(child.root), "--merge", str(log_folder(parent))]
    shown = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "5 of 7 decisions on parent carry over" in shown.output
    assert "anna.jsonl: 4 decisions of a new reviewer" in shown.output
    other = make_dataset(tmp_path / "other", n_tracklets=8, identified=False, seed=3)
    with pytest.raises(LpwError, match="0 of 7 decisions on parent carry over"):
        arguments[0] = str(other.root)
        CliRunner().invoke(command, arguments, catch_exceptions=False)


@pytest.mark.parametrize("text", ["{", "{}", "[3]"])
def test_a_damaged_note_is_told(parent: Dataset, child: Dataset, text: str) -> None:
    child = change(child, A2)
    decide_on_all(parent)
    log_folder(child).mkdir()
    (log_folder(child) / "adopted.json").write_text(text)
    with pytest.raises(MismatchError, match=r"adopted.json: got a damaged file"):
        adopt_decisions(parent, child)


def test_a_parent_without_decisions_says_nothing(parent: Dataset, child: Dataset) -> None:
    assert adopt_decisions(parent, child).lines == []
    assert not log_folder(child).exists()
