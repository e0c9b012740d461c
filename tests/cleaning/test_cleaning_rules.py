"""Automatic rules: they write to logs of their own, give way to people, and can be taken back."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from lpw_cli.clean import command
from make_dataset import make_dataset

from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.log.decisions import Request
from lpw_toolkit.cleaning.rules import MIN_FRAMES, RULES, run_rule, undo_rule
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import open_review, read_union
from lpw_toolkit.cleaning.state.state import State
from lpw_toolkit.cleaning.suggest.suggest import FOLDER, suggest
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.schema import SUGGESTIONS
from lpw_toolkit.dataset.tables import read_table, write_table
from lpw_toolkit.errors import LpwError
from lpw_toolkit.review_page.session import ReviewSession
from lpw_toolkit.review_page.status_codes import find_outcome
from lpw_toolkit.review_page.suggestions import open_suggestions

UUID = "0a1b2c3d-0000-4000-8000-00000000000{}"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Twelve tracklets of 6 to 10 frames; the third lies on the first, the fourth has an odd frame
    at position 2."""
    made = make_dataset(tmp_path / "d", n_tracklets=12, n_frames=6, identified=False)
    suggest(made.root)
    names = made.tracklets["tracklet_id"].to_pylist()
    file = made.root / FOLDER / "suggestions.parquet"
    table = read_table(file, SUGGESTIONS)
    rows = [row for row in table.to_pylist() if row["reason"] not in ("duplicate", "odd_frame")]
    plain = {
        "camera_id": "scen1/view1",
        "first_position": None,
        "end_position": None,
        "other_id": None,
    }
    rows += [
        plain | {"tracklet_id": names[8], "n_frames": 9, "reason": "duplicate", "score": 0.71,
        "other_id": names[4]},
        plain | {"tracklet_id": names[4], "n_frames": 10, "reason": "duplicate", "score": 0.71,
        "other_id": names[8]},
        plain | {"tracklet_id": names[5], "n_frames": 9, "reason": "odd_frame", "score": 0.9,
        "first_position": 2,
                 "end_position": 3},
    ]  # fmt: skip
    rows.sort(key=lambda row: row["tracklet_id"])
    metadata = table.schema.metadata
    write_table(
        file,
        pa.Table.from_pylist(rows, schema=SUGGESTIONS).replace_schema_metadata(metadata),
        SUGGESTIONS,
    )
    return open_dataset(made.root)


def resolve(dataset: Dataset) -> State:
    return apply(read_base(dataset), read_union(dataset))


def test_short_ones_are_rejected_once(dataset: Dataset) -> None:
    short = {name for name, n in read_base(dataset).n_frames.items() if n < MIN_FRAMES}
    assert 0 < run_rule(dataset, "short") == len(short) < 12
    assert run_rule(dataset, "short") == 0
    state = resolve(dataset)
    assert {
        name for name, found in state.resolved.items() if found.pieces[0].status == "rejected"
    } == short
    assert all(state.resolved[name].pieces[0].reasons == ("too_short",) for name in short)


def test_of_two_that_lie_on_each_other_the_longer_stays(dataset: Dataset) -> None:
    frames = read_base(dataset).n_frames
    names = list(frames)
    assert run_rule(dataset, "duplicate") == 1
    rejected = [
        name
        for name, found in resolve(dataset).resolved.items()
        if found.pieces[0].status == "rejected"
    ]
    assert rejected == [min(names[4], names[8], key=lambda name: (frames[name], name))]


def test_a_dropped_frame_is_no_review(dataset: Dataset) -> None:
    """The frame is gone, but the tracklet still waits for a person."""
    name = list(read_base(dataset).n_frames)[5]
    assert run_rule(dataset, "odd-frame") == 1
    piece = resolve(dataset).resolved[name].pieces[0]
    assert (piece.dropped, piece.status) == ((2,), "unreviewed")
    with open_review(dataset, "anna") as review:
        desk = ReviewSession(dataset, review, open_suggestions(dataset))
        assert desk.start()["status_codes"] == "u" * 12
        review.decide(Request(UUID.format(1), "accept", (name,), {}, 900))
    piece = resolve(dataset).resolved[name].pieces[0]
    assert (piece.dropped, piece.status) == ((2,), "accepted")


def test_people_count_for_more_and_are_not_overruled(dataset: Dataset) -> None:
    short = [name for name, n in read_base(dataset).n_frames.items() if n < MIN_FRAMES]
    with open_review(dataset, "anna") as review:
        review.decide(Request(UUID.format(1), "accept", (short[0],), {}, 900))
    assert run_rule(dataset, "short") == len(short) - 1
    with open_review(dataset, "anna") as review:
        review.decide(Request(UUID.format(2), "accept", (short[1],), {}, 900))
    state = resolve(dataset)
    assert [state.resolved[name].pieces[0].status for name in short[:3]] == [
        "accepted",
        "accepted",
        "rejected",
    ]
    assert state.conflicts == ()


def test_taken_back_and_not_made_again(dataset: Dataset) -> None:
    n = run_rule(dataset, "short")
    assert undo_rule(dataset, "short") == n
    assert undo_rule(dataset, "short") == 0
    assert run_rule(dataset, "short") == 0
    assert resolve(dataset).count_statuses()["rejected"] == 0


def test_rules_teach_the_queue_nothing(dataset: Dataset) -> None:
    run_rule(dataset, "short")
    with open_review(dataset, "anna") as review:
        desk = ReviewSession(dataset, review, open_suggestions(dataset))
        judged = [pieces for name in review.base.tracklets
                  if (pieces := review.pieces_of(name))[0].status == "rejected"]  # fmt: skip
        assert {find_outcome("r", pieces) for pieces in judged} == {"unsure"}
        order = desk.order()
    assert len(order["order"]) == 12 - sum(
        n < MIN_FRAMES for n in read_base(dataset).n_frames.values()
    )


def test_by_the_command(dataset: Dataset) -> None:
    def call(*words: str) -> str:
        done = CliRunner().invoke(command, [str(dataset.root), *words])
        assert done.exit_code == 0, done.output
        return done.output

    made = json.loads(call("--auto", "short", "--json"))
    assert made["rule"] == "short" and made["n"] > 0
    assert "rejects tracklets of fewer than 8 frames" in call("--auto", "short")
    assert "auto-short" in call("--status")
    assert f"{made['n']} decisions taken back" in call("--auto", "short", "--undo")
    assert set(RULES) == set(next(p for p in command.params if p.name == "auto").type.choices)


def test_unknown_rules_and_no_suggestions(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(LpwError, match="expected short"):
        run_rule(dataset, "all")
    bare = make_dataset(tmp_path / "bare", n_tracklets=4, n_frames=6)
    with pytest.raises(LpwError, match="--suggest"):
        run_rule(bare, "short")
