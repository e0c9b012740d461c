"""What counts on the review page: nothing that nobody accepted, and everything can be undone; the
page shows what the log says, whatever is pressed and however fast."""

import json
import re
import uuid

import pytest
from chromium import find_chromium
from review_tools import Hand, Served, press_at_random

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("chromium"),
]
PIECES = "[...document.querySelectorAll('.piece')].map((piece) => piece.textContent)"
ROWS = (
    "[...document.querySelectorAll('#rows .row')].filter((row) => !row.hidden)"
    ".map((row) => row.title)"
)
CANDIDATES = "[...document.querySelectorAll('.candidate[data-kind={}]')].map((node) => node.title)"


def turn_to(page: Hand, kind: str) -> None:
    """Goes on to a tracklet that has candidates of a kind."""
    for _ in range(40):
        page.wait_seen()
        if page.ask(CANDIDATES.format(kind)):
            return
        page.press("j")
    raise AssertionError(f"no tracklet has candidates of the kind {kind}")


def decide(served: Served, operation: str, *names: str, **arguments: object) -> str:
    """A decision that is in the log before the page is opened."""
    own = str(uuid.uuid4())
    request = {"uuid": own, "operation": operation, "tracklets": list(names)}
    served.session.decide(request | {"arguments": arguments, "spent_ms": 1})
    return own


class TestOnlyAnAcceptCounts:
    def test_a_split_is_to_be_accepted(self, page, served):
        name = page.text("id")
        page.type("s", "Enter")
        served.wait_for(1)
        page.wait_saved()
        assert [text.split(" ", 2)[2] for text in page.ask(PIECES)] == ["edited, not accepted"] * 2
        assert page.text("progress").startswith("0 of 40")
        assert name in page.ask(ROWS)
        page.type("Space")
        line = served.wait_for(2)[-1]
        assert (line["operation"], len(line["tracklets"])) == ("accept", 2)
        page.wait_for("document.getElementById('progress').textContent.startsWith('1 of 40')")

    def test_dropped_frames_are_to_be_accepted(self, page, served):
        page.type("ArrowRight", "Shift+ArrowRight", "d")
        served.wait_for(1)
        page.wait_saved()
        assert page.ask(PIECES)[0].startswith("edited, not accepted")
        assert page.text("progress").startswith("0 of 40")

    def test_a_merge_leaves_its_partner_to_be_seen(self, page, served):
        turn_to(page, "merge")
        partner = page.ask(CANDIDATES.format("merge"))[0]
        page.type("m", "1", "Enter")
        served.wait_for(1)
        page.wait_saved()
        assert page.text("progress").startswith("0 of 40")
        page.type("Space")
        page.wait_for("document.getElementById('progress').textContent.startsWith('1 of 40')")
        counts = served.review.state.count_statuses()
        assert (counts["accepted"], counts["unreviewed"]) == (1, 39)
        assert served.review.state.find(partner).status == "unreviewed"

    def test_rejecting_the_last_open_piece_goes_on(self, page, served):
        name = page.text("id")
        page.type("s", "Enter", "x", "1", "x", "1")
        lines = served.wait_for(3)
        assert [line["operation"] for line in lines] == ["split", "reject", "reject"]
        page.wait_for(f"document.getElementById('id').textContent !== {json.dumps(name)}")


class TestUndoForEver:
    def test_a_merge_below_many_lines(self, hand, served):
        """Fifty lines and a reload later, by the list of all decisions and by its key."""
        names = list(served.review.base.tracklets)
        first = decide(served, "link", *names[:2])
        for name in names[:39]:
            decide(served, "accept", name)
        for name in names[:20]:
            decide(served, "comment", name, text="seen")
        hand.review(served.address)
        hand.type("h")
        hand.wait_for("document.querySelectorAll('.history li').length === 60")
        hand.ask(
            "(() => { const kind = document.querySelectorAll('.filters select')[1];"
            " kind.value = 'link'; kind.dispatchEvent(new Event('change')); })()"
        )
        hand.wait_for("document.querySelectorAll('.history li').length === 1")
        text = hand.ask("document.querySelector('.history .what').textContent")
        assert text == f"linked {names[0]} and {names[1]}"
        hand.ask("document.querySelector('.history li button').click()")
        assert served.wait_for(61)[-1]["arguments"] == {"of": first}
        hand.wait_saved()
        hand.type("h")
        hand.wait_for("document.querySelectorAll('.history li').length > 50")
        hand.ask(
            "[...document.querySelectorAll('.history li.undone button')]"
            ".find((button) => button.textContent === 'redo').click()"
        )
        lines = served.wait_for(62)
        assert lines[-1]["arguments"] == {"of": lines[-2]["uuid"]}
        hand.ask("localStorage.clear()")

    def test_the_key_goes_on_below_what_the_page_was_told(self, hand, served):
        names = list(served.review.base.tracklets)
        first = decide(served, "comment", names[0], text="the first")
        for i in range(52):
            decide(served, "comment", names[i % 40], text=f"note {i}")
        hand.review(served.address)
        for _ in range(53):
            hand.press("u")
        hand.wait_for("document.getElementById('saved').textContent === 'saved'")
        undone = {line["arguments"]["of"] for line in served.wait_for(53 + 50)[53:]}
        for _ in range(3 if first not in undone else 0):
            hand.press("u")
        lines = served.wait_for(53 + 53)
        assert lines[-1]["arguments"] == {"of": first}
        hand.press("u")
        hand.wait_for("document.getElementById('note').textContent === 'Nothing to undo.'")
        hand.ask("localStorage.clear()")

    def test_a_conflict_lists_every_decision_in_it(self, hand, served):
        """Also the merge that an unlink contradicts; Enter alone undoes nothing."""
        names = list(served.review.base.tracklets)
        merge = decide(served, "merge", names[0], names[9])
        unlink = decide(served, "unlink", names[0], names[9])
        (conflict,) = served.review.state.conflicts
        assert set(conflict.decisions) == {merge, unlink}
        hand.review(served.address)
        hand.type("g")
        hand.wait_for("document.querySelectorAll('.conflicts .line').length === 2")
        hand.type("Enter")
        hand.wait_for("!document.getElementById('dialog').open")
        hand.wait_saved()
        assert len(served.lines()) == 2


class TestComparison:
    def test_a_digit_shows_and_decides_nothing(self, page, served):
        name = page.text("id")
        turn_to(page, "across")
        other = page.ask(CANDIDATES.format("across"))[1]
        page.type("2")
        page.wait_for("document.querySelectorAll('.large img').length >= 2")
        assert page.ask("document.getElementById('one').hidden")
        names = page.ask(
            "[...document.querySelectorAll('.side .name')].map((node) => node.textContent)"
        )
        assert names == [name, other]
        assert page.ask("document.querySelectorAll('.map canvas').length") == 2
        page.type("Escape")
        assert not page.ask("document.getElementById('one').hidden")
        assert served.lines() == []

    @pytest.mark.parametrize(
        ("keys", "operation"), [(["Enter"], "link"), (["-"], "unlink"), (["m", "Escape"], None)]
    )
    def test_what_a_second_key_says(self, page, served, keys, operation):
        name = page.text("id")
        turn_to(page, "across")
        other = page.ask(CANDIDATES.format("across"))[0]
        page.type("1")
        page.wait_for("document.querySelectorAll('.large img').length >= 2")
        page.type(*keys, "c", *"x", "Enter")
        lines = served.wait_for(2 if operation else 1)
        named = [(line["operation"], line["tracklets"]) for line in lines[:-1]]
        assert named == ([(operation, [name, other])] if operation else [])

    def test_the_candidates_one_after_the_other(self, page):
        turn_to(page, "across")
        others = page.ask(CANDIDATES.format("across"))
        page.type("1", "ArrowRight", "ArrowRight", "ArrowLeft")
        shown = "document.querySelectorAll('.side .name')[1].textContent"
        page.wait_for(f"{shown} === {json.dumps(others[1])}")

    def test_a_merge_candidate_shows_the_end_and_the_beginning(self, page, served):
        turn_to(page, "merge")
        page.type("m", "1")
        page.wait_for("document.querySelectorAll('.large img').length === 4")
        heads = page.ask(
            "[...document.querySelectorAll('.side h4')].map((node) => node.textContent)"
        )
        assert heads == ["ends", "all of it", "begins", "all of it"]
        assert re.search(r"ends [\d.]+ s before . begins", page.text("compare-facts"))
        page.type("-")
        assert served.wait_for(1)[0]["operation"] == "unlink"

    def test_clicks_decide_nothing(self, page, served):
        """Neither on a candidate nor on the legend; and the keys stay with the page."""
        turn_to(page, "across")
        page.ask("document.querySelector('#key-hints button[data-key=\"1\"]').click()")
        page.wait_for("!document.getElementById('compare').hidden")
        page.type("Escape")
        box = page.ask(
            "(() => { const { x, y } = document.querySelector('.candidate[data-kind=across]')"
            ".getBoundingClientRect(); return [x + 40, y + 20]; })()"
        )
        page.click(*box)
        page.wait_for("!document.getElementById('compare').hidden")
        assert served.lines() == []
        page.type("Enter")
        assert [line["operation"] for line in served.wait_for(1)] == ["link"]

    def test_any_two_by_putting_one_aside(self, page, served):
        name = page.text("id")
        page.type("y", "j", "j")
        page.wait_seen()
        other = page.text("id")
        assert not page.ask("document.getElementById('pinned').hidden")
        page.type("y")
        page.wait_for("document.querySelectorAll('.large img').length >= 2")
        page.type("Enter")
        (line,) = served.wait_for(1)
        assert (line["operation"], line["tracklets"]) == ("link", [other, name])
        assert page.ask("document.getElementById('pinned').hidden")


class TestThePersonIsThatOfThePiece:
    def test_after_a_merge_and_a_split(self, hand, served):
        """Keys act on the chosen piece, so the right side is about it too."""
        names = list(served.review.base.tracklets)
        n_frames = served.review.base.n_frames[names[0]]
        decide(served, "merge", names[0], names[9])
        decide(served, "split", names[0], at=12)
        hand.review(f"{served.address}")
        hand.type("/", *names[0], "Enter")
        hand.wait_for(f"document.getElementById('id').textContent === {json.dumps(names[0])}")
        hand.wait_for("document.querySelectorAll('.piece').length === 2")
        members = CANDIDATES.format("member")
        found = []
        for _ in range(2):
            found.append(hand.ask(members))
            hand.type("]")
        joined = served.review.state.merged_into
        expected = [
            [names[9]] if f"{names[0]}@{a}-{b}" in joined else []
            for a, b in [(0, 12), (12, n_frames)]
        ]
        assert found == expected
        assert sorted(map(len, found)) == [0, 1]
        hand.ask("localStorage.clear()")


class TestFlagsAndViews:
    def test_a_flag_has_a_view_and_an_off(self, page, served):
        name = page.text("id")
        page.type("f")
        (line,) = served.wait_for(1)
        page.wait_saved()
        page.ask(
            "(() => { const view = document.getElementById('view'); view.value = 'flagged';"
            " view.dispatchEvent(new Event('change')); })()"
        )
        assert page.ask(ROWS) == [name]
        page.wait_seen()
        page.type("f")
        assert served.wait_for(2)[-1]["arguments"] == {"of": line["uuid"]}
        page.wait_settled()
        assert page.ask("document.querySelectorAll('.flag').length") == 0
        page.ask("document.getElementById('view').dispatchEvent(new Event('change'))")
        assert page.ask(ROWS) == []

    def test_the_order_of_risk_is_kept_through_the_views(self, page):
        before = page.ask(ROWS)
        for _ in range(7):
            page.type("l")
        assert page.ask("document.getElementById('view').value") == "review"
        assert page.ask(ROWS) == before
        assert before != sorted(before)

    def test_tracklets_are_found(self, page, served):
        page.type("/", *"view2 len>35 sort:length", "Enter")
        page.wait_for("document.getElementById('view').value === 'found'")
        lengths = [served.review.base.n_frames[name] for name in page.ask(ROWS)]
        assert lengths == sorted(lengths, reverse=True)
        assert lengths[-1] > 35
        page.type("/", *"colour:red", "Enter")
        page.wait_for("document.getElementById('note').textContent.includes('colour')")

    def test_the_list_takes_its_own_keys(self, page):
        page.ask("document.getElementById('queue').focus()")
        rows = page.ask(ROWS)
        page.press("ArrowDown")
        page.wait_for(f"document.getElementById('id').textContent === {json.dumps(rows[1])}")
        page.press("End")
        page.wait_for("document.querySelector('.row[aria-selected=true]').dataset.place === '39'")
        page.press("Home")
        page.wait_for("document.querySelector('.row[aria-selected=true]').dataset.place === '0'")


class TestThePageSaysWhatTheLogSays:
    def test_undos_that_wait_for_a_server(self, page, served):
        """Two accepts, a reload, the server away, two undos: both count on the page too."""
        page.accept(2)
        served.wait_for(2)
        page.wait_saved()
        page.open(served.address)
        page.wait_for_tracklet()
        served.stop()
        page.type("u")
        page.wait_for("!document.getElementById('banner').hidden")
        page.type("u")
        served.start()
        served.wait_for(4)
        page.wait_settled()
        assert served.review.state.n_open == 40
        assert page.text("progress").startswith("0 of 40")

    @pytest.mark.parametrize("seed", range(12))
    def test_keys_at_random(self, hand, dataset, tmp_path, seed):
        press_at_random(hand, dataset, tmp_path, seed)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (640, 360)])
def test_the_whole_loop_on_a_small_screen(hand, served, width, height):
    """By its buttons alone; a frame is in sight, and nothing is wider than the screen."""
    size = {"deviceScaleFactor": 1, "mobile": False}
    hand.send("Emulation.setDeviceMetricsOverride", width=width, height=height, **size)
    try:
        hand.review(served.address)
        assert hand.ask("document.documentElement.scrollWidth") <= width
        box = hand.ask(
            "(() => { const { top, bottom } = document.querySelector('.tile')"
            ".getBoundingClientRect(); return [top, bottom]; })()"
        )
        assert 0 <= box[0] < box[1] <= height
        sizes = hand.ask(
            "[...document.querySelectorAll('#key-hints button, .row, .candidate')]"
            ".map((node) => node.getBoundingClientRect().height).filter((height) => height)"
        )
        assert min(sizes) >= 44

        def push(key: str) -> None:
            hand.ask(f"document.querySelector('#key-hints button[data-key=\"{key}\"]').click()")

        for key in ("1", "Enter", "s", "Enter", "x", "1", "Space"):
            hand.wait_seen()
            push(key)
        lines = served.wait_for(4)
        assert [line["operation"] for line in lines] == ["link", "split", "reject", "accept"]
    finally:
        hand.send("Emulation.setDeviceMetricsOverride", width=1280, height=720, **size)
        hand.ask("localStorage.clear()")
