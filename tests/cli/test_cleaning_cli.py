"""`lpw clean` from decisions to a cleaned dataset that checks and exports; review, replay,
agreement."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lpw_cli.clean import command
from make_dataset import make_dataset
from make_decisions import Asker, ask, chain, decide, make_base, make_uuid
from moments import PATIENCE_S

from lpw_toolkit.build.build import BuildConfig, build_tracklets
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.cleaning.agreement import compute_kappa
from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.cleaned import CleanOptions, write_cleaned
from lpw_toolkit.cleaning.log.decisions import Request
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.numbering import number_persons
from lpw_toolkit.cleaning.state.review import open_review, read_union
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.manifest import parents_of
from lpw_toolkit.dataset.schema import DETECTIONS, TIMELINE
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.errors import LpwError
from lpw_toolkit.exports.form import export_dataset
from lpw_toolkit.files import faults
from lpw_toolkit.review_page.server import name_reviewer

A1, A2 = "scen1/view1/000001", "scen1/view1/000002"
B1, B2 = "scen1/view2/000001", "scen1/view2/000002"
C1, D1 = "scen2/view1/000001", "scen2/view2/000001"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Eight tracklets of 12 frames or more, two in each of four cameras, nobody named."""
    return make_dataset(tmp_path / "set", n_tracklets=8, identified=False)


def say(dataset: Dataset, reviewer: str, *requests: Request) -> None:
    with open_review(dataset, reviewer) as review:
        for request in requests:
            review.decide(request)


def run(dataset: Dataset, *arguments: object) -> Result:
    return CliRunner().invoke(
        command, [str(dataset.root), *map(str, arguments)], catch_exceptions=True
    )


def shown(dataset: Dataset, *arguments: object) -> str:
    result = run(dataset, *arguments)
    assert result.exception is None, result.exception
    return result.stdout


def clean(dataset: Dataset, out: Path, **options: Any) -> Any:
    union = read_union(dataset)
    return write_cleaned(
        dataset, apply(read_base(dataset), union), union, out, CleanOptions(**options)
    )


def two_persons() -> list[Request]:
    """One person in both cameras of scene 1, cut and thinned; another one cut off, in both cameras
    as well."""
    ask_ = Asker()
    return [
        ask_("split", A1, at=5),
        ask_("drop_frames", f"{A1}@5-12", frames=[[6, 8]]),
        ask_("link", f"{A1}@0-5", B1),
        ask_("link", f"{A1}@5-12", B2),
        ask_("accept", f"{A1}@0-5", f"{A1}@5-12", B1, B2, C1),
        ask_("reject", A2, reason="static"),
    ]


class TestApply:
    def test_a_cleaned_dataset_checks_and_exports(self, dataset: Dataset, tmp_path: Path) -> None:
        say(dataset, "anna", *two_persons())
        text = shown(dataset, "--apply", tmp_path / "out")
        assert "1 rejected" in text
        assert "1 persons seen by fewer than 2 cameras" in text
        assert "3 unreviewed" in text
        out = open_dataset(tmp_path / "out")
        rows = {row["tracklet_id"]: row for row in out.tracklets.to_pylist()}
        # 4 tracklets in scene 1: places 1 and 1 + 4 * 5
        assert {name: row["person_id"] for name, row in rows.items()} == {
            f"{A1}@0-5": "scen1/1", B1: "scen1/1", f"{A1}@5-12": "scen1/21", B2: "scen1/21",
        }  # fmt: skip
        assert rows[f"{A1}@5-12"]["n_frames"] == 5
        (parent,) = parents_of(out.manifest)
        assert parent.name == "little" and parent.is_dataset(dataset.manifest)
        assert check_dataset(out.root).problems == []
        assert (
            check_dataset(dataset.root).problems == []
        )  # decisions beside the tables are no fault
        kept = set(out.frames["sha256"].to_pylist())
        assert kept < set(dataset.frames["sha256"].to_pylist())
        assert out.list_tables(TIMELINE) == dataset.list_tables(TIMELINE)
        assert out.list_tables(DETECTIONS) == []  # a box that was taken out is not an unlinked one
        export_dataset(out, "coco", tmp_path / "coco")
        named = json.loads((tmp_path / "coco/annotations.json").read_text())
        assert len(named["annotations"]) == out.frames.num_rows
        assert {(image["width"], image["height"]) for image in named["images"]} == {(640, 360)}
        made = export_dataset(out, "lpw", tmp_path / "lpw")
        assert made.n_images == out.frames.num_rows
        assert sorted(p.name for p in (tmp_path / "lpw/pep_256x128/scen1/view1").iterdir()) == [
            "1",
            "21",
        ]

    def test_merged_fragments_become_one_tracklet_in_temporal_order(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        # 000002 begins 7 frames after 000001: the frames they share are dropped first
        ask_ = Asker()
        n_frames = read_base(dataset).n_frames[A1]
        say(
            dataset,
            "anna",
            ask_("drop_frames", A2, frames=[[0, n_frames - 7]]),
            ask_("merge", A1, A2),
            ask_("accept", A1, A2),
        )
        out = clean(dataset, tmp_path / "out", min_cameras=1).dataset
        assert out.tracklets["tracklet_id"].to_pylist() == [A1]
        numbers = out.frames["frame_index"].to_pylist()
        assert numbers == sorted(set(numbers))
        assert check_dataset(out.root).problems == []

    def test_what_nobody_has_accepted_is_left_out_and_named(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        """Neither the halves of a split nor the partner of a merge were seen by anybody."""
        ask_ = Asker()
        n_frames = read_base(dataset).n_frames[A1]
        say(
            dataset,
            "anna",
            ask_("split", A1, at=5),
            ask_("drop_frames", A2, frames=[[0, n_frames - 7]]),
            ask_("merge", f"{A1}@5-{n_frames}", A2),
            ask_("accept", f"{A1}@5-{n_frames}", B1),
        )
        cleaned = clean(dataset, tmp_path / "out", min_cameras=1)
        assert cleaned.dataset.tracklets["tracklet_id"].to_pylist() == [B1]
        assert sorted(cleaned.losses["edited, not accepted"]) == sorted(
            [f"{A1}@0-5", f"{A1}@5-{n_frames}"]
        )

    def test_what_is_open_must_be_settled_or_left_out(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        say(
            dataset,
            "anna",
            ask(1, "link", A1, B1),
            ask(2, "accept", A1, B1),
            ask(3, "link", A2, B2),
        )
        say(dataset, "bob", ask(11, "unlink", A2, B2))
        refused = run(dataset, "--apply", tmp_path / "out")
        assert isinstance(refused.exception, LpwError)
        assert "pair" in str(refused.exception)
        assert not (tmp_path / "out").exists()
        assert "left open" in shown(dataset, "--apply", tmp_path / "out", "--clashes", "leave-out")
        assert open_dataset(tmp_path / "out").manifest["counts"]["n_persons"] == 1

    def test_unreviewed_tracklets(self, dataset: Dataset, tmp_path: Path) -> None:
        say(dataset, "anna", ask(1, "link", A1, B1), ask(2, "accept", A1))
        with pytest.raises(LpwError, match="7 unreviewed"):
            clean(dataset, tmp_path / "a", unreviewed="refuse")
        with pytest.raises(LpwError, match="nothing to write"):
            clean(dataset, tmp_path / "b")
        kept = clean(dataset, tmp_path / "c", unreviewed="keep").dataset
        assert kept.tracklets["tracklet_id"].to_pylist() == [A1, B1]
        every = clean(dataset, tmp_path / "d", unreviewed="keep", min_cameras=1).dataset
        assert every.manifest["counts"]["n_tracklets"] == 8

    def test_same_decisions_same_bytes(self, dataset: Dataset, tmp_path: Path) -> None:
        say(dataset, "anna", *two_persons())
        for name in ("x/out", "y/out"):
            clean(dataset, tmp_path / name)
        for file in ("dataset.json", "frames.parquet", "tracklets.parquet", "clean-report.json"):
            assert (tmp_path / "x/out" / file).read_bytes() == (
                tmp_path / "y/out" / file
            ).read_bytes()

    def test_an_output_in_use_or_in_the_dataset(self, dataset: Dataset, tmp_path: Path) -> None:
        say(dataset, "anna", *two_persons())
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine").write_text("mine")
        for out in (tmp_path / "full", dataset.root / "inside", dataset.root):
            with pytest.raises(LpwError):
                clean(dataset, out)
        assert (tmp_path / "full" / "mine").read_text() == "mine"

    def test_a_named_dataset_keeps_its_names(self, tmp_path: Path) -> None:
        named = make_dataset(tmp_path / "set", n_tracklets=8)
        out = clean(named, tmp_path / "out", unreviewed="keep").dataset
        before = {row["tracklet_id"]: row["person_id"] for row in named.tracklets.to_pylist()}
        for row in out.tracklets.to_pylist():
            assert row["person_id"] == before[row["tracklet_id"]]


class TestNumbers:
    def test_further_decisions_move_no_other_number(self) -> None:
        first = [ask(1, "link", "s/c1/2", "s/c2/1"), ask(2, "split", "s/c1/3", at=4)]
        more = [
            ask(3, "link", "s/c1/1", "s/c2/2"),
            ask(4, "reject", "s/c1/1"),
            ask(5, "split", "s/c1/3@4-10", at=6),
        ]
        before, after = (
            number_persons(decide(chain("anna", log))) for log in (first, first + more)
        )
        assert before["s/c1/2"] == before["s/c2/1"] == "s/2"
        assert before["s/c1/3@4-10"] == "s/23"
        unmoved = before.keys() & after.keys() - {"s/c2/2"}
        assert {name: before[name] for name in unmoved} == {name: after[name] for name in unmoved}
        assert len(set(after.values())) == len({*after.values()})

    def test_assigned_numbers_are_nobody_elses(self) -> None:
        state = decide(chain("anna", [ask(1, "assign_person", "s/c1/3", person=1)]))
        numbers = number_persons(state)
        assert numbers["s/c1/3"] == "s/1"
        assert numbers["s/c1/1"] == "s/56"  # 1 + 5 tracklets * (1 + 10 frames)
        assert len(set(numbers.values())) == 5

    def test_tracklets_without_a_scene(self) -> None:
        base = make_base()
        for name, tracklet in base.tracklets.items():
            base.tracklets[name] = type(tracklet)(**{**vars(tracklet), "scene_id": None})
        assert set(number_persons(decide(base=base)).values()) == {
            f"scen1/{n}" for n in range(1, 6)
        }


class TestReview:
    def test_decisions_are_saved_and_seen(self, dataset: Dataset) -> None:
        with open_review(dataset, "anna") as review:
            empty = review.digest
            saved = review.decide(ask(1, "accept", A1))
            assert saved.decision.seen == empty != saved.digest == review.state.digest
            assert review.decide(ask(1, "accept", A1)) == saved
            assert review.state.count_statuses()["accepted"] == 1
            assert [review.pieces_of(name) for name in (A1, B1)] == [
                review.state.pieces_of(name) for name in (A1, B1)
            ]
        with open_review(dataset, "anna") as again:
            assert again.digest == saved.digest
            assert again.state.as_fields() == apply(again.base, read_union(dataset)).as_fields()

    @pytest.mark.parametrize(
        "request_",
        [
            ask(9, "accept", "nobody"), ask(9, "split", A1, at=12),
            ask(9, "drop_frames", A1, frames=[[9, 99]]),
            ask(9, "undo", of=make_uuid(77)), ask(9, "split", f"{A1}@0-5", at=7),
            ask(1, "accept", B1),
        ],
        ids=lambda request: request.operation,
    )  # fmt: skip
    def test_what_cannot_be_is_refused(self, dataset: Dataset, request_: Request) -> None:
        say(dataset, "bob", ask(1, "accept", A1))
        with open_review(dataset, "anna") as review:
            with pytest.raises(LpwError):
                review.decide(request_)
            assert review.log.decisions == []

    def test_decisions_beside_a_dataset_that_cannot_be_written(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        say(dataset, "bob", ask(1, "accept", A1))
        with open_review(dataset, "anna", tmp_path / "state") as review:
            review.decide(ask(2, "accept", B1))
            assert review.state.count_statuses()["accepted"] == 2
        assert (tmp_path / "state" / "cleanup" / "anna.jsonl").is_file()
        assert not (dataset.root / "cleanup" / "anna.jsonl").exists()
        assert "2 of 8" in shown(dataset, "--status", "--state", tmp_path / "state")


class TestCommands:
    def test_status_names_what_is_open_on_one_line_each(self, dataset: Dataset) -> None:
        say(dataset, "anna", ask(1, "accept", A1), ask(2, "comment", A1, text="<b>\n"))
        say(dataset, "bob", ask(11, "reject", A1))
        with (dataset.root / "cleanup" / "bob.jsonl").open("ab") as stream:
            stream.write(b'{"torn')
        text = shown(dataset, "--status")
        assert "1 of 8 pieces reviewed" in text
        assert "note: bob.jsonl: 6 bytes of a torn last line" in text
        assert f"{A1}: two reviewers judge it differently" in text
        fields = json.loads(shown(dataset, "--status", "--json"))
        assert fields["conflicts"][0]["decisions"] == [make_uuid(1), make_uuid(11)]
        assert fields["reviewers"]["anna"] == {"n": 2, "spent_s": 3.0}

    def test_merge_and_replay(self, dataset: Dataset, tmp_path: Path) -> None:
        other = make_dataset(tmp_path / "copy", n_tracklets=8, identified=False)
        say(dataset, "anna", ask(1, "accept", A1))
        say(other, "bob", ask(11, "accept", B1), ask(12, "link", A1, B1))
        assert "2 decisions of a new reviewer" in shown(dataset, "--merge", other.root / "cleanup")
        text = shown(dataset, "--replay")
        assert "bob.jsonl: 2 decisions, every line and its chain as written, 2 made alone" in text
        wanted = apply(read_base(dataset), read_union(dataset)).content_digest
        assert f"state {wanted}" in text
        file = dataset.root / "cleanup" / "bob.jsonl"
        file.write_bytes(file.read_bytes().replace(b"accept", b"reject", 1))
        assert "bob.jsonl, line 1" in str(run(dataset, "--replay").exception)

    def test_agreement(self, dataset: Dataset) -> None:
        say(
            dataset,
            "anna",
            ask(1, "accept", A1, B1, C1),
            ask(2, "reject", A2),
            ask(3, "link", A1, B1),
        )
        say(
            dataset,
            "bob",
            ask(11, "accept", A1, B1),
            ask(12, "reject", A2, C1),
            ask(13, "link", A1, C1),
        )
        text = shown(dataset, "--agreement")
        assert "4 tracklets in common, kappa 0.500, F1 of links 0.000" in text
        assert f"{C1}: anna accepted, bob rejected" in text
        assert f"{A1} = {B1}: only anna says so" in text
        assert compute_kappa([[1, 0], [0, 0]]) is None
        assert compute_kappa([[20, 5], [10, 15]]) == pytest.approx(0.4)

    @pytest.mark.parametrize(
        "arguments", [[], ["--status", "--replay"], ["--min-cameras", "0", "--status"]]
    )
    def test_odd_calls(self, dataset: Dataset, arguments: list[str]) -> None:
        assert run(dataset, *arguments).exit_code == 2

    def test_without_decisions(self, dataset: Dataset, tmp_path: Path) -> None:
        assert "0 of 8" in shown(dataset, "--status")
        assert "fewer than two" in shown(dataset, "--agreement")
        assert isinstance(run(dataset, "--merge", tmp_path / "no").exception, LpwError)
        assert isinstance(run(dataset, "--apply", tmp_path / "out").exception, LpwError)


@pytest.mark.realdata
def test_a_real_video_from_tracklets_to_the_layout_of_lpw(
    shared_data: Path, tmp_path: Path
) -> None:
    boxes = shared_data / "mot15" / "TUD-Stadtmitte" / "gt" / "gt.txt"
    options = DetectorOptions(boxes=boxes)
    video = shared_data / "video" / "tud-stadtmitte"
    built = build_tracklets(
        BuildConfig(video, tmp_path / "set", detector="boxes", options=options)
    ).dataset
    ids = built.tracklets["tracklet_id"].to_pylist()
    n_frames = built.tracklets["n_frames"][0].as_py()
    ask_ = Asker()
    say(
        built,
        "anna",
        ask_("split", ids[0], at=20),
        ask_("accept", f"{ids[0]}@0-20", f"{ids[0]}@20-{n_frames}", *ids[1:]),
        ask_("reject", ids[1]),
    )
    cleaned = clean(built, tmp_path / "out", min_cameras=1)
    assert cleaned.losses == {"rejected": [ids[1]]}
    assert cleaned.dataset.manifest["counts"]["n_persons"] == len(
        ids
    )  # one more by the cut, one fewer
    assert check_dataset(tmp_path / "out").problems == []
    made = export_dataset(cleaned.dataset, "lpw", tmp_path / "lpw")
    assert made.n_images == cleaned.dataset.frames.num_rows > 0


def test_ctrl_c_ends_the_review_with_its_status(dataset: Dataset) -> None:
    say(dataset, "anna", ask(1, "accept", A1))
    words = [str(dataset.root), "--review", "--reviewer", "anna", "--no-open"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lpw_cli", "clean", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert any("Ctrl-C ends the review" in line for line in process.stderr)
    os.kill(process.pid, signal.SIGINT)
    shown, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (0, "")
    assert "1 of 8 pieces reviewed" in shown
    assert "anna: 1 decision" in shown
    assert shown.splitlines()[-1] == f"next: lpw clean {dataset.root} --apply cleaned"


def test_a_second_cleaned_dataset_is_offered_another_place(
    dataset: Dataset, tmp_path: Path
) -> None:
    say(dataset, "anna", *two_persons())
    shown(dataset, "--apply", tmp_path / "out")
    (tmp_path / "out-2").mkdir()
    error = run(dataset, "--apply", tmp_path / "out").exception
    assert isinstance(error, LpwError) and "choose another place, such as out-3" in str(error)


@pytest.mark.parametrize("fault", ["write:1", "write:5", "fsync:1", "rename:1"])
def test_a_full_disk_leaves_no_cleaned_dataset(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    say(dataset, "anna", *two_persons())
    faults._hits.clear()
    monkeypatch.setenv("LPW_FAULT", f"{fault}:ENOSPC")
    error = run(dataset, "--apply", tmp_path / "out").exception
    assert isinstance(error, LpwError) and "no space left" in str(error).lower()
    assert not (tmp_path / "out" / "dataset.json").exists()
    monkeypatch.delenv("LPW_FAULT")
    shown(dataset, "--apply", tmp_path / "out")
    assert check_dataset(tmp_path / "out").problems == []


@pytest.mark.parametrize("words", [["--reviewer", "auto-short"], ["--team", "auto-short,anna"]])
def test_a_person_cannot_review_under_the_name_of_a_rule(
    dataset: Dataset, words: list[str]
) -> None:
    """`--auto short --undo` would take back what that person decided."""
    error = run(dataset, "--review", "--no-open", *words).exception
    assert isinstance(error, LpwError) and "a name that rules have" in str(error)
    assert not list(dataset.root.glob("cleanup/auto-*"))


def test_a_user_called_as_a_rule_gets_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "Auto_Short")
    assert name_reviewer() == "short"
