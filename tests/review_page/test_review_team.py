"""Several reviewers: who looks at what, what is kept from whom, attention checks, and where people
differ."""

import io
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from lpw_cli.clean import command
from make_dataset import make_dataset
from PIL import Image

from lpw_toolkit.cleaning.agreement import count_checks
from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.cleaned import CleanOptions, write_cleaned
from lpw_toolkit.cleaning.log.decisions import Decision
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import Review, open_review, read_union
from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.cleaning.team import Team
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.review_page.attention import splice
from lpw_toolkit.review_page.server import ServeOptions, open_session
from lpw_toolkit.review_page.suggestions import open_suggestions
from lpw_toolkit.review_page.team_session import TeamReviewSession

ALONE = Team()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    dataset = make_dataset(
        tmp_path_factory.mktemp("team") / "d", n_tracklets=24, n_frames=30, identified=False
    )
    suggest(dataset.root)
    return dataset.root


@pytest.fixture
def dataset(made, tmp_path) -> Dataset:
    return open_dataset(shutil.copytree(made, tmp_path / "d"))


def sit(
    dataset: Dataset, review: Review, team: Team = ALONE, checks: float = 0.0
) -> TeamReviewSession:
    return TeamReviewSession(dataset, review, open_suggestions(dataset), 0, team, checks)


def say(operation: str, *names: str, **arguments: Any) -> dict[str, Any]:
    if operation == "reject":
        arguments.setdefault("reason", None)
    base = {"uuid": str(uuid.uuid4()), "operation": operation, "spent_ms": 700}
    return base | {"tracklets": list(names), "arguments": arguments}


def list_verdicts(review: Review) -> list[bool]:
    return [d.arguments["seam"]["found"] for d in review.log.decisions if d.operation == "check"]


class TestTeam:
    def test_everything_is_looked_at_by_one_or_by_all(self) -> None:
        team, names = (
            Team(("anna", "ben", "cleo"), 0.25),
            [f"scen1/view1/{i:06d}" for i in range(2000)],
        )
        lookers = [sum(team.looks_at(who, name) for who in team.reviewers) for name in names]
        assert set(lookers) == {1, 3}
        assert np.mean([n == 3 for n in lookers]) == pytest.approx(0.25, abs=0.04)
        for who in team.reviewers:
            assert np.mean([team.looks_at(who, name) for name in names]) == pytest.approx(
                0.5, abs=0.05
            )

    def test_the_order_of_the_names_and_more_names_move_little(self) -> None:
        names = [f"a/{i}" for i in range(300)]
        assert [Team(("a", "b"), 0.3).is_shared(n) for n in names] == [
            Team(("x", "y", "z"), 0.3).is_shared(n) for n in names
        ]

    @pytest.mark.parametrize(
        ("names", "both"),
        [
            (("anna",), 0.1),
            (("anna", "anna"), 0.1),
            (("A b", "c"), 0.1),
            (("anna", "ben"), 1.5),
            (("", "ben"), 0.1),
        ],
    )
    def test_wrong_teams(self, names: tuple[str, ...], both: float) -> None:
        with pytest.raises(LpwError, match=r"option --(team|both)"):
            Team(names, both)

    def test_who_is_not_of_the_team_and_too_many_checks(self) -> None:
        with pytest.raises(LpwError, match="cleo"):
            ServeOptions("cleo", team=Team(("anna", "ben")))
        with pytest.raises(LpwError, match="--checks"):
            ServeOptions("anna", checks_frac=0.7)


class TestShares:
    team = Team(("anna", "ben"), 0.4)

    def test_the_queue_holds_ones_own_and_the_shared_ones(self, dataset: Dataset) -> None:
        with open_review(dataset, "anna") as review:
            session = sit(dataset, review, self.team)
            start = session.start()
            mine = {start["ids"][n] for n in start["order"]}
            assert mine == {name for name in start["ids"] if self.team.looks_at("anna", name)}
            assert 0 < len(mine) < len(start["ids"])
            assert start["status_codes"].count("o") == len(start["ids"]) - len(mine)
            assert len(start["chances"]) == len(start["order"])

    def test_nobody_sees_what_the_other_said_of_a_shared_one(self, dataset: Dataset) -> None:
        names = list(read_base(dataset).tracklets)
        shared = next(n for n in names if self.team.is_shared(n))
        with open_review(dataset, "anna") as review:
            session = sit(dataset, review, self.team)
            session.decide(say("reject", shared, reason="static"))
            number = names.index(shared)
            assert session.describe(number)["pieces"][0]["status"] == "rejected"
        with open_review(dataset, "ben") as review:
            session = sit(dataset, review, self.team)
            start = session.start()
            assert start["status_codes"][number] == "u" and number in start["order"]
            assert session.describe(number)["pieces"][0]["status"] == "unreviewed"
            assert session.describe(number)["verdicts"] == []
            session.decide(say("accept", shared))
            assert number not in session.order()["order"]
        with open_review(dataset, "ben") as review:
            session = sit(dataset, review, self.team)
            assert session.start()["differ"] == [number]
            assert session.describe(number)["verdicts"] == [
                ["anna", "rejected"],
                ["ben", "accepted"],
            ]


class TestAttention:
    def test_two_people_who_were_seen_together(self, dataset: Dataset) -> None:
        base = read_base(dataset)
        found = splice(base, 0.2, "anna")
        assert found == splice(base, 0.2, "anna") != splice(base, 0.2, "ben")
        assert len(found) == 5
        for each in found:
            one, other = each.parts
            assert one.tracklet != other.tracklet and each.name not in base.tracklets
            assert np.isin(
                base.frame_numbers(one.tracklet), base.frame_numbers(other.tracklet)
            ).any()
            assert each.find(each.seam - 1)[0] == one.tracklet and each.find(each.seam) == (
                other.tracklet,
                other.start,
            )
            assert min(each.seam, each.n_frames - each.seam) >= 6

    @pytest.mark.parametrize(
        ("what", "found"),
        [
            ("accept", False),
            ("reject", True),
            ("split", True),
            ("split far off", False),
            ("drop", True),
        ],
    )
    def test_a_verdict_is_one_line_and_nothing_else(
        self, dataset: Dataset, what: str, found: bool
    ) -> None:
        with open_review(dataset, "anna") as review:
            session = sit(dataset, review, checks=0.1)
            start = session.start()
            number = next(n for n in start["order"] if n >= len(review.base.tracklets))
            detail, name = session.describe(number), start["ids"][number]
            each = next(s for s in splice(review.base, 0.1, "anna") if s.name == name)
            if what.startswith("split"):
                at = each.seam if what == "split" else 1
                answer = session.decide(say("split", name, at=at))
                assert list_verdicts(review) == [] or all(
                    p["status"] != "unreviewed" for p in answer["touched"][0]["pieces"]
                )
                pieces = [piece["name"] for piece in answer["touched"][0]["pieces"]]
                session.decide(say("accept", *pieces))
            elif what == "drop":
                session.decide(say("drop_frames", name, frames=[[each.seam, each.n_frames]]))
                session.decide(say("accept", name))
            else:
                session.decide(say(what, name))
            assert list_verdicts(review)[-1] is found
            assert {d.operation for d in review.log.decisions} == {"check"}
            assert (
                session.start()["status_codes"][number] == "a"
                and number not in session.order()["order"]
            )
            assert detail["pieces"][0]["name"] == name and detail["n_frames"] == each.n_frames
            assert review.state.count_statuses()["unreviewed"] == len(review.base.tracklets)

    def test_it_looks_like_any_other(self, dataset: Dataset) -> None:
        with open_review(dataset, "anna") as review:
            session = sit(dataset, review, checks=0.1)
            n = len(review.base.tracklets)
            start, real, check = session.start(), session.describe(0), session.describe(n)
            assert set(check) == set(real)
            assert set(check["signals"]) == set(real["signals"])
            assert start["ids"][n].rpartition("/")[0] in start["cameras"]
            for picture in (
                session.draw_sheet(n),
                session.draw_few(n),
                session.draw_frames(n, 0, 3),
            ):
                assert (
                    Image.open(io.BytesIO(picture)).size[1]
                    == Image.open(io.BytesIO(session.draw_sheet(0))).size[1]
                )
            with pytest.raises(IndexError):
                session.draw_frames(n, 0, check["n_frames"] + 1)
            with pytest.raises(IndexError):
                session.describe(len(start["ids"]))

    def test_undo_gives_it_back_and_the_last_verdict_counts(self, dataset: Dataset) -> None:
        with open_review(dataset, "anna") as review:
            session = sit(dataset, review, checks=0.05)
            name = session.start()["ids"][len(review.base.tracklets)]
            accept = say("accept", name)
            assert session.decide(accept) == session.decide(accept)
            assert list_verdicts(review) == [False]
            answer = session.decide(say("undo", of=accept["uuid"]))
            assert answer["touched"][0]["status_code"] == "u"
            session.decide(say("reject", name))
            assert list_verdicts(review) == [False, True]
            assert count_checks(review.log.decisions) == {"anna": (1, 1)}

    def test_twelve_at_once_may_hold_a_check(self, dataset: Dataset) -> None:
        with open_review(dataset, "anna") as review:
            session = sit(dataset, review, checks=0.05)
            ids = session.start()["ids"]
            answer = session.decide(say("accept", ids[0], ids[len(review.base.tracklets)], ids[1]))
            assert [each["status_code"] for each in answer["touched"]] == ["a", "a", "a"]
            assert [d.tracklets for d in review.log.decisions] == [(), (ids[0], ids[1])]

    def test_done_ones_stay_done_and_nothing_reaches_the_output(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        with open_review(dataset, "anna") as review:
            session = sit(dataset, review, checks=0.1)
            start = session.start()
            for number in start["order"]:
                session.decide(say("accept", start["ids"][number]))
        with open_review(dataset, "anna") as review:
            assert sit(dataset, review, checks=0.1).order()["order"] == []
        union = read_union(dataset)
        state = apply(read_base(dataset), union)
        made = write_cleaned(dataset, state, union, tmp_path / "out", CleanOptions(min_cameras=1))
        assert made.dataset.tracklets.num_rows == dataset.tracklets.num_rows
        assert state.conflicts == ()
        told = CliRunner().invoke(command, [str(dataset.root), "--status"])
        assert "0 of 3 attention checks found" in told.output
        fields = json.loads(
            CliRunner().invoke(command, [str(dataset.root), "--status", "--json"]).output
        )
        assert fields["checks"] == {"anna": {"n_found": 0, "n": 3}}

    def test_people_who_never_meet_make_no_check(self, tmp_path: Path) -> None:
        dataset = make_dataset(tmp_path / "d", n_tracklets=4, n_frames=30, identified=False)
        assert splice(read_base(dataset), 0.5, "anna") == []


def test_counting_takes_the_last_word() -> None:
    def line(who: str, start: int, found: bool) -> Decision:
        seam = {"parts": [["a", start, 9], ["b", 0, 9]], "found": found}
        return Decision(str(uuid.uuid4()), "check", (), {"seam": seam}, 1, 1, 0, "", who, "", "")

    lines = [
        line("anna", 0, False),
        line("anna", 0, True),
        line("anna", 1, False),
        line("ben", 0, False),
    ]
    assert count_checks(lines) == {"anna": (1, 2), "ben": (0, 1)}


def test_a_desk_alone_and_in_a_team(dataset: Dataset) -> None:
    with open_review(dataset, "anna") as review:
        suggestions = open_suggestions(dataset)
        alone = open_session(dataset, review, suggestions, ServeOptions("anna"))
        team = open_session(
            dataset, review, suggestions, ServeOptions("anna", team=Team(("anna", "ben")))
        )
        checked = open_session(dataset, review, suggestions, ServeOptions("anna", checks_frac=0.05))
        assert [type(session).__name__ for session in (alone, team, checked)] == [
            "ReviewSession",
            "TeamReviewSession",
            "TeamReviewSession",
        ]
        assert len(checked.start()["ids"]) == len(alone.start()["ids"]) + 2
        assert set(checked.start()) == set(alone.start()) | {"differ"}


@pytest.mark.parametrize(
    "options",
    [
        ["--team", "anna"],
        ["--team", "anna,ben", "--reviewer", "cleo"],
        ["--checks", "2"],
        ["--team", "anna,ben", "--both", "-1"],
    ],
)
def test_wrong_options_are_one_line(dataset: Dataset, options: list[str]) -> None:
    done = CliRunner().invoke(command, [str(dataset.root), "--review", "--no-open", *options])
    assert isinstance(done.exception, LpwError) and "\n" not in str(done.exception)
