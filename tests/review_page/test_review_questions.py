"""What a session tells of two pieces, of all decisions and of a query."""

import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from make_dataset import make_dataset

from lpw_toolkit.cleaning.log.pieces import Piece
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.review import Review, open_review
from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.review_page.comparison import N_SHOWN, Comparison
from lpw_toolkit.review_page.find import parse_query
from lpw_toolkit.review_page.frame_sizes import FrameSizes
from lpw_toolkit.review_page.history import HistoryFilter
from lpw_toolkit.review_page.session import ReviewSession
from lpw_toolkit.review_page.suggestions import list_reasons, open_suggestions

A, B, C = "scen1/view1/000001", "scen1/view1/000002", "scen1/view2/000001"
LATE = "scen1/view1/000006"  # begins 35 frames after A, which has 30


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("questions") / "d"
    made = make_dataset(root, n_tracklets=24, n_frames=30, identified=False)
    suggest(made.root)
    return open_dataset(made.root)


@pytest.fixture
def review(dataset: Dataset, tmp_path: Path) -> Iterator[Review]:
    with open_review(dataset, "anna", tmp_path) as review:
        yield review


@pytest.fixture
def session(dataset: Dataset, review: Review) -> ReviewSession:
    return ReviewSession(dataset, review, open_suggestions(dataset))


def decide(session: ReviewSession, operation: str, *names: str, **arguments: object) -> str:
    own = str(uuid.uuid4())
    request = {"uuid": own, "operation": operation, "tracklets": list(names)}
    session.decide(request | {"arguments": arguments, "spent_ms": 5})
    return own


class TestComparison:
    @pytest.fixture(scope="class")
    def comparison(self, dataset: Dataset) -> Comparison:
        return Comparison(dataset, read_base(dataset), FrameSizes(dataset))

    def test_one_after_the_other_in_one_video(self, comparison: Comparison) -> None:
        found = comparison.compare(Piece(LATE, 0, 30), Piece(A, 0, 30))
        assert (found["earlier"], found["gap_s"]) == (1, pytest.approx(0.6))
        assert (found["same_camera"], found["can_merge"]) == (True, True)
        late, early = found["sides"]
        assert (early["end"], late["end"]) == ("last", "first")
        assert (early["shown"][-1], late["shown"][0]) == (29, 0)
        assert len(early["shown"]) == len(early["looks"]) == N_SHOWN
        assert min(early["shown"]) >= 19  # within the last second
        assert early["start_s"] == 0.0
        assert late["map_px"] == [640, 360]

    def test_a_trail_is_that_of_the_feet(self, comparison: Comparison) -> None:
        side = comparison.compare(Piece(A, 0, 30), Piece(C, 0, 30))["sides"][0]
        x, y, height = side["trail"][0]
        assert (x, y, height) == (20 + 24, 60 + 120, 120)
        assert side["trail"][-1][0] > x

    def test_of_pieces_only_their_own_frames(self, comparison: Comparison) -> None:
        found = comparison.compare(Piece(A, 0, 10), Piece(A, 10, 30))
        assert (found["earlier"], found["gap_s"]) == (0, pytest.approx(0.1))
        assert all(10 <= position < 30 for position in found["sides"][1]["shown"])
        assert found["sides"][0]["n_frames"] == 10

    def test_two_at_one_time_cannot_be_merged(self, comparison: Comparison) -> None:
        found = comparison.compare(Piece(A, 0, 30), Piece(B, 0, 31))
        assert found["gap_s"] < 0
        assert not found["can_merge"]

    def test_two_cameras_without_a_common_clock(self, comparison: Comparison) -> None:
        found = comparison.compare(Piece(A, 0, 30), Piece(C, 0, 31))
        assert (found["earlier"], found["gap_s"], found["same_camera"]) == (None, None, False)
        assert {side["end"] for side in found["sides"]} == {"spread"}


class TestHistory:
    def test_all_of_it_the_newest_first(self, session: ReviewSession) -> None:
        made = [decide(session, "accept", A), decide(session, "link", A, C)]
        found = session.list_history(HistoryFilter())
        assert [line["uuid"] for line in found["lines"]] == made[::-1]
        assert (found["n"], found["reviewers"]) == (2, ["anna"])
        assert found["lines"][0]["tracklets"] == [A, C]

    def test_an_undo_names_what_brings_it_back(self, session: ReviewSession) -> None:
        accept = decide(session, "accept", A)
        undo = decide(session, "undo", of=accept)
        (line,) = session.list_history(HistoryFilter(operation="accept"))["lines"]
        assert (line["undone"], line["undone_by"]) == (True, [undo])
        assert session.list_history(HistoryFilter(in_force=True))["n"] == 0
        decide(session, "undo", of=undo)
        assert session.list_history(HistoryFilter(in_force=True))["n"] == 1

    def test_each_filter(self, session: ReviewSession) -> None:
        decide(session, "accept", A)
        decide(session, "comment", C, text="x")
        day = session.list_history(HistoryFilter())["days"][0]
        wanted = [
            (HistoryFilter(tracklet="view2"), 1),
            (HistoryFilter(operation="comment"), 1),
            (HistoryFilter(reviewer="ben"), 0),
            (HistoryFilter(day=day), 2),
            (HistoryFilter(day="1999-01-01"), 0),
        ]
        assert [session.list_history(one)["n"] for one, _ in wanted] == [n for _, n in wanted]

    def test_page_by_page(self, session: ReviewSession) -> None:
        for i in range(103):
            decide(session, "comment", A, text=f"{i}")
        first = session.list_history(HistoryFilter())
        rest = session.list_history(HistoryFilter(offset=len(first["lines"])))
        assert (first["n"], len(first["lines"]), len(rest["lines"])) == (103, 100, 3)

    @pytest.mark.parametrize("query", [{"offset": "-1"}, {"offset": "x"}, {"name": "anna"}])
    def test_other_questions_are_refused(self, query: dict[str, str]) -> None:
        with pytest.raises(LpwError, match="history"):
            HistoryFilter.read(query)


class TestFind:
    @pytest.mark.parametrize(
        ("text", "fits"),
        [
            ("view1 000001", lambda name, n: name.endswith("view1/000001")),
            ("cam:scen2", lambda name, n: name.startswith("scen2")),
            ("SCENE:none", None),
            ("scene:scen1 len>32", lambda name, n: name.startswith("scen1") and n > 32),
            ("len=30", lambda name, n: n == 30),
            ("", lambda name, n: True),
        ],
    )
    def test_by_what_a_tracklet_is(self, session, review, text, fits) -> None:
        if fits is None:
            with pytest.raises(LpwError, match="did you mean scene"):
                session.find(text)
            return
        names = list(review.base.n_frames.items())
        expected = [i for i, (name, n) in enumerate(names) if fits(name, n)]
        assert session.find(text)["found"] == expected

    def test_by_what_was_decided(self, session: ReviewSession) -> None:
        names = session.start()["ids"]
        decide(session, "accept", A)
        decide(session, "split", B, at=4)
        decide(session, "comment", C, text="A red hat")
        decide(session, "flag", C, flag="look-again")
        decide(session, "assign_person", A, person=12)
        decide(session, "link", A, C)
        number = names.index
        expected = {
            "is:accepted": [A], "is:edited": [B], "comment": [C], "comment:red": [C],
            "comment:blue": [], "flag": [C], "person:12": [A, C], "person:1": [],
            "by:anna": [A, B, C], "by:ben": [], "is:open view1/000002 scen1": [B],
        }  # fmt: skip
        found = {text: session.find(text)["found"] for text in expected}
        assert found == {text: [number(name) for name in wanted] for text, wanted in
                         expected.items()}  # fmt: skip

    def test_a_reason(self, session: ReviewSession, dataset: Dataset) -> None:
        """By its name, also where the page shows rarer ones in its place."""
        suggestions = open_suggestions(dataset)
        listed = {
            number: [reason["name"] for reason in list_reasons(suggestions, name)]
            for number, name in enumerate(session.start()["ids"])
        }
        shown = [reason for number in listed for reason in session.describe(number)["reasons"]]
        reason = shown[0]["name"]
        expected = [number for number, names in listed.items() if reason in names]
        assert session.find(f"reason:{reason}")["found"] == expected

    def test_the_page_shows_few_reasons_and_rare_ones(self, session: ReviewSession) -> None:
        shown = [session.describe(number)["reasons"] for number in range(24)]
        assert max(map(len, shown)) <= 3
        assert all(reason["more_than"] >= 0.8 for reasons in shown for reason in reasons)
        assert all(reason["look_for"].endswith("?") for reasons in shown for reason in reasons)
        for reasons in shown:
            ranks = [reason["more_than"] for reason in reasons]
            assert ranks == sorted(ranks, reverse=True)

    def test_each_order(self, session: ReviewSession, review: Review) -> None:
        start = session.start()
        risk = dict(zip(start["order"], start["chances"], strict=True))
        by_risk = [risk[number] for number in session.find("sort:risk")["found"]]
        assert by_risk == sorted(risk.values(), reverse=True)
        lengths = list(review.base.n_frames.values())
        by_length = [lengths[number] for number in session.find("sort:length")["found"]]
        assert by_length == sorted(lengths, reverse=True)
        first = [review.base.frame_numbers(name)[0] for name in review.base.tracklets]
        by_time = [first[number] for number in session.find("sort:time")["found"]]
        assert by_time == sorted(first)

    @pytest.mark.parametrize("text", ["is:done", "sort:colour", "colour:red", "x" * 301])
    def test_what_it_cannot_mean_is_refused(self, text: str) -> None:
        with pytest.raises(LpwError):
            parse_query(text)


class TestPersons:
    def test_a_row_each_with_its_cameras(self, session: ReviewSession) -> None:
        decide(session, "link", A, C)
        decide(session, "assign_person", A, person=7)
        decide(session, "accept", B)
        found = session.list_persons({})
        assert found["n"] == 2
        first, second = found["persons"]
        assert [tile["piece"] for tile in first["tiles"]] == [A, C]
        assert (first["number"], first["gaps"]) == (7, [])
        assert [tile["piece"] for tile in second["tiles"]] == [B]

    def test_who_is_seen_by_one_camera_has_candidates_in_others(
        self, session: ReviewSession
    ) -> None:
        decide(session, "link", A, C)
        decide(session, "accept", B)
        found = session.list_persons({"view": "alone"})
        assert found["n"] == 1
        (row,) = found["persons"]
        assert row["gaps"]
        assert {gap["of"] for gap in row["gaps"]} == {B}
        assert all(gap["camera"] != "scen1/view1" for gap in row["gaps"])
        assert set(row["thumbs"]) == {tile["n"] for tile in (*row["tiles"], *row["gaps"])}

    def test_merged_pieces_are_of_one_row(self, session: ReviewSession) -> None:
        decide(session, "merge", A, LATE)
        decide(session, "accept", A, LATE)
        (row,) = session.list_persons({})["persons"]
        assert [tile["piece"] for tile in row["tiles"]] == [A, LATE]

    def test_page_by_page(self, session: ReviewSession) -> None:
        decide(session, "accept", *session.start()["ids"])
        first, second = (session.list_persons({"offset": n}) for n in ("0", "12"))
        pieces = [row["tiles"][0]["piece"] for row in (*first["persons"], *second["persons"])]
        assert (first["n"], len(set(pieces))) == (24, 24)

    @pytest.mark.parametrize("query", [{"view": "x"}, {"offset": "-1"}, {"offset": ""}])
    def test_other_views_are_refused(self, session: ReviewSession, query: dict[str, str]) -> None:
        with pytest.raises(LpwError, match="persons"):
            session.list_persons(query)


class TestTimeline:
    def test_bars_of_a_lane_do_not_overlap(self, session: ReviewSession, dataset: Dataset) -> None:
        found = session.describe_timeline(0)
        names = list(read_base(dataset).tracklets)
        assert found["camera"] == "scen1/view1"
        assert {names[n].rsplit("/", 1)[0] for n in found["n"]} == {"scen1/view1"}
        assert found["start_s"] == sorted(found["start_s"])
        bars = sorted(zip(found["lane"], found["start_s"], found["end_s"], strict=True))
        for (lane, _, stop), (other, start, _) in pairwise(bars):
            assert lane != other or stop < start
        assert found["n_untimed"] == 0

    def test_no_more_lanes_than_people_at_once(self, session: ReviewSession) -> None:
        found = session.describe_timeline(0)
        events = [(at, 1) for at in found["start_s"]] + [(at + 1e-6, -1) for at in found["end_s"]]
        at_once = np.cumsum([step for _, step in sorted(events)]).max()
        assert max(found["lane"]) + 1 == at_once

    def test_times_are_those_of_the_tracklets(
        self, session: ReviewSession, dataset: Dataset
    ) -> None:
        found = session.describe_timeline(0)
        table = dataset.tracklets
        shift = {row["video_id"]: 0.0 for row in table.to_pylist()}
        shift |= {each["name"]: each["offset_s"] for each in found["videos"]}
        for n, start in zip(found["n"], found["start_s"], strict=True):
            row = table.slice(n, 1).to_pylist()[0]
            assert start == pytest.approx(row["first_pts_s"] + shift[row["video_id"]], abs=1e-3)

    def test_a_camera_that_there_is_not(self, session: ReviewSession) -> None:
        with pytest.raises(IndexError):
            session.describe_timeline(4)


class TestOthers:
    """What another reviewer decides while the page is open."""

    def test_it_arrives(self, dataset: Dataset, tmp_path: Path) -> None:
        with open_review(dataset, "anna", tmp_path) as mine:
            session = ReviewSession(dataset, mine, open_suggestions(dataset))
            assert session.list_changes(0)["touched"] == []
            with open_review(dataset, "ben", tmp_path) as theirs:
                other = ReviewSession(dataset, theirs, open_suggestions(dataset))
                reject = decide(other, "reject", A, reason="static")
                found = session.list_changes(0)
                assert (found["n"], found["by"]) == (1, {"ben": 1})
                assert [each["status_code"] for each in found["touched"]] == ["r"]
                assert session.list_changes(found["n"])["touched"] == []
                decide(other, "undo", of=reject)
                (again,) = session.list_changes(found["n"])["touched"]
                assert (again["n"], again["status_code"]) == (0, "u")
            decide(session, "accept", A)
            assert mine.digest == open_digest(dataset, tmp_path)

    def test_conflicts_with_it_are_told(self, dataset: Dataset, tmp_path: Path) -> None:
        with open_review(dataset, "anna", tmp_path) as mine:
            session = ReviewSession(dataset, mine, open_suggestions(dataset))
            decide(session, "accept", A)
            with open_review(dataset, "ben", tmp_path) as theirs:
                decide(ReviewSession(dataset, theirs, open_suggestions(dataset)), "reject", A,
                       reason=None)  # fmt: skip
            assert session.list_changes(0)["n_conflicts"] == 1
            (conflict,) = session.list_conflicts()
            assert {line["reviewer"] for line in conflict["decisions"]} == {"anna", "ben"}

    def test_who_has_done_what(self, dataset: Dataset, tmp_path: Path) -> None:
        with open_review(dataset, "anna", tmp_path) as mine:
            session = ReviewSession(dataset, mine, open_suggestions(dataset))
            decide(session, "accept", A, B)
            decide(session, "reject", C, reason="static")
            with open_review(dataset, "ben", tmp_path) as theirs:
                decide(ReviewSession(dataset, theirs, open_suggestions(dataset)), "accept", C)
            session.list_changes(0)
            found = session.describe_team()
        anna, ben = found["reviewers"]
        assert (anna["n_tracklets"], anna["n_decisions"], anna["reasons"]) == (3, 2, {"static": 1})
        assert anna["per_hour"] == round(3 * 3_600_000 / 10)
        assert (ben["n_tracklets"], anna["n_conflicts"], ben["n_conflicts"]) == (1, 1, 1)
        cameras = {each["camera"]: (each["n_done"], each["n"]) for each in found["cameras"]}
        assert cameras["scen1/view1"] == (2, 6)
        assert sum(n_done for n_done, _ in cameras.values()) == 3
        (pair,) = found["agreement"]
        assert (pair["reviewers"], pair["n_both"]) == (["anna", "ben"], 1)


def open_digest(dataset: Dataset, state: Path) -> str:
    """The digest of all decisions as a process sees it that begins now."""
    with open_review(dataset, "cleo", state) as review:
        return review.digest
