"""The review page in a real browser: every operation by keyboard, and nothing lost whatever
breaks."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib import resources

import pytest
from chromium import find_chromium
from make_dataset import make_dataset
from review_tools import Served, make_many
from show_tools import HOSTILE, rename_tracklets
from star_operation import plug_in_star

from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.replay import replay

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("chromium"),
]
TILES = "[...document.querySelectorAll('.tile')].map((tile) => Number(tile.dataset.position))"
PIECES = "[...document.querySelectorAll('.piece')].map((piece) => piece.textContent)"
LAST = "[...document.querySelectorAll('#decisions .what')].map((node) => node.textContent)"


def test_every_key_does_what_it_says(page, served):
    """Each operation by keyboard, as the log has it."""
    first = page.text("id")
    page.type("Space")
    page.wait_for(f"document.getElementById('id').textContent !== {json.dumps(first)}")
    second = page.text("id")
    page.wait_seen()  # it is named before it is shown, and what is not seen is not judged
    page.type("x", "2")
    page.wait_for_tracklet()
    lines = served.wait_for(2)
    assert [(line["operation"], line["tracklets"], line["arguments"]) for line in lines] == [
        ("accept", [first], {}),
        ("reject", [second], {"reason": "several_people"}),
    ]
    assert all(line["spent_ms"] > 0 for line in lines)


class TestOneKeyAfterTheOther:
    @pytest.mark.parametrize(
        ("keys", "operation", "arguments"),
        [
            (["Space"], "accept", {}),
            (["x", "x"], "reject", {"reason": None}),
            (["x", "Space"], "reject", {"reason": None}),
            (["x", "Enter"], "reject", {"reason": None}),
            (["x", "1"], "reject", {"reason": "no_person"}),
            (["x", "0"], "reject", {"reason": "other"}),
            (["f"], "flag", {"flag": "look-again"}),
            (["n"], "flag", {"flag": "unsure"}),
            (["c", *"hm", "Enter"], "comment", {"text": "hm"}),
            (["P", *"12", "Enter"], "assign_person", {"person": 12}),
        ],
    )  # fmt: skip
    def test_about_a_tracklet(self, page, served, keys, operation, arguments):
        name = page.text("id")
        page.type(*keys)
        (line,) = served.wait_for(1)
        assert (line["operation"], line["tracklets"], line["arguments"]) == (
            operation,
            [name],
            arguments,
        )
        page.wait_saved()

    def test_an_operation_of_another_package(self, hand, dataset, tmp_path):
        with plug_in_star(tmp_path), Served(dataset, tmp_path) as served:
            hand.review(served.address)
            hand.type("*")
            (line,) = served.wait_for(1)
            assert (line["operation"], line["arguments"]) == ("star", {})
            assert hand.ask(LAST)[0].startswith("starred")
            assert hand.ask("document.querySelector('.flag').textContent") == "star"
            hand.type("?")
            assert "star" in hand.text("dialog")
            hand.press("Escape")

    def test_frames_are_dropped_and_restored(self, page, served):
        tiles = page.ask(TILES)
        page.type("ArrowRight", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "d")
        (line,) = served.wait_for(1)
        assert (line["operation"], line["arguments"]) == (
            "drop_frames",
            {"frames": [[tiles[1], tiles[3] + 1]]},
        )
        assert page.ask("document.querySelectorAll('.tile.dropped').length") == 3
        page.type("ArrowLeft", "d")
        line = served.wait_for(2)[-1]
        assert line["operation"] == "restore_frames"
        assert page.ask("document.querySelectorAll('.tile.dropped').length") == 2

    def test_the_suggested_frames_are_dropped(self, hand, served, monkeypatch):
        monkeypatch.setattr(
            "lpw_toolkit.review_page.details.suggest_drops", lambda reasons, n_frames: [[4, 7]]
        )
        hand.review(served.address)
        assert "drop the suggested frames" in hand.text("key-hints")
        assert hand.ask("document.querySelectorAll('.tile.suggested').length") > 0
        hand.type("D")
        (line,) = served.wait_for(1)
        assert (line["operation"], line["arguments"]) == ("drop_frames", {"frames": [[4, 7]]})

    def test_a_cut_is_moved_and_made_and_its_pieces_judged(self, page, served):
        name = page.text("id")
        n_frames = int(re.search(r"(\d+) frames", page.text("facts"))[1])
        page.type("s")
        cut = int(re.search(r"split before (\d+)", page.text("key-hints"))[1])
        assert 0 < cut < n_frames
        back = "ArrowLeft" if cut > 20 else "ArrowRight"
        step = -1 if cut > 20 else 1
        page.type(back, f"Shift+{back}", "Enter")
        (line,) = served.wait_for(1)
        assert (line["operation"], line["arguments"]) == ("split", {"at": cut + 11 * step})
        assert len(page.ask(PIECES)) == 2
        page.wait_saved()
        page.type("]", "x", "3")
        at = cut + 11 * step
        line = served.wait_for(2)[-1]
        assert (line["operation"], line["tracklets"]) == ("reject", [f"{name}@{at}-{n_frames}"])
        page.wait_saved()
        page.type("Space")
        assert served.wait_for(3)[-1]["tracklets"] == [f"{name}@0-{at}"]

    def test_a_cut_can_be_left(self, page, served):
        page.type("s", "Escape", "x", "Escape", "m", "Escape", "U", "Escape", "Space")
        assert [line["operation"] for line in served.wait_for(1)] == ["accept"]

    def test_persons_are_linked_told_apart_and_linked_to_nobody(self, page, served):
        name = page.text("id")
        others = page.ask(
            "[...document.querySelectorAll('.candidate[data-kind=across]')].map((node) => "
            "node.title)"
        )
        page.type("2", "Enter")
        line = served.wait_for(1)[-1]
        assert (line["operation"], line["tracklets"]) == ("link", [name, others[1]])
        page.wait_for("document.querySelectorAll('.candidate[data-kind=member]').length === 1")
        page.type("-", "1")
        line = served.wait_for(2)[-1]
        assert (line["operation"], line["tracklets"]) == ("unlink", [name, others[1]])
        page.wait_for("document.querySelectorAll('.candidate[data-kind=member]').length === 0")
        page.type("0")
        line = served.wait_for(3)[-1]
        assert (line["operation"], line["tracklets"]) == ("unlink", [name, *others])

    def test_a_fragment_is_merged(self, page, served):
        page.wait_for(
            "(() => { if (document.querySelector('.candidate[data-kind=merge]')) return true;"
            " document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j'})); return false; })()"
        )
        name = page.text("id")
        other = page.ask("document.querySelector('.candidate[data-kind=merge]').title")
        page.type("m", "1", "Enter")
        (line,) = served.wait_for(1)
        assert (line["operation"], line["tracklets"]) == ("merge", [name, other])

    def test_undo_and_redo(self, page, served):
        first = page.text("id")
        page.accept(2)
        page.press("u")
        lines = served.wait_for(3)
        assert (lines[2]["operation"], lines[2]["arguments"]) == ("undo", {"of": lines[1]["uuid"]})
        page.type("u")
        assert served.wait_for(4)[3]["arguments"] == {"of": lines[0]["uuid"]}
        assert page.text("id") == first
        assert page.text("progress").startswith("0 of 40")
        page.type("U", "2")
        assert served.wait_for(5)[4]["arguments"] == {"of": served.lines()[3]["uuid"]}
        page.wait_for("document.getElementById('progress').textContent.startsWith('1 of 40')")

    def test_next_and_previous_decide_nothing(self, page, served):
        first = page.text("id")
        page.type("j")
        assert page.text("id") != first
        page.type("j", "k", "k")
        assert page.text("id") == first
        assert served.lines() == []

    def test_a_key_held_down_decides_once(self, page, served):
        page.type("Space")
        for _ in range(5):
            page.send("Input.dispatchKeyEvent", type="keyDown", key=" ", text=" ", autoRepeat=True)
        page.send("Input.dispatchKeyEvent", type="keyUp", key=" ")
        page.wait_saved()
        assert served.operations() == ["accept"]

    def test_all_frames_and_play(self, page):
        some = page.ask(TILES)
        page.type("a")
        every = page.ask(TILES)
        assert every == list(range(len(every)))
        assert len(every) > len(some)
        page.wait_for(
            "[...document.querySelectorAll('.tile')].some((t) => t.style.backgroundImage)"
        )
        page.type("p")
        page.wait_for("!document.getElementById('stage').hidden")
        page.type("p")
        assert page.ask("document.getElementById('stage').hidden")
        page.type("a")
        assert page.ask(TILES) == some

    def test_twelve_at_once(self, page, served):
        page.type("t")
        page.wait_for("document.querySelectorAll('.cell').length === 12")
        names = page.ask(
            "[...document.querySelectorAll('.cell b')].map((node) => node.textContent)"
        )
        page.type("3", "q", "5", "5", "Space")
        (line,) = served.wait_for(1)
        assert line["operation"] == "accept"
        assert line["tracklets"] == [name for i, name in enumerate(names) if i not in (2, 9)]
        page.wait_saved()
        assert page.text("progress").startswith("10 of 40")
        page.type("u")
        served.wait_for(2)
        page.wait_for("document.getElementById('progress').textContent.startsWith('0 of')")

    def test_of_twelve_some_are_rejected(self, page, served):
        page.type("t")
        page.wait_for("document.querySelectorAll('.cell').length === 12")
        names = page.ask(
            "[...document.querySelectorAll('.cell b')].map((node) => node.textContent)"
        )
        page.type("2", "e", "x", "Space")
        rejected, accepted = served.wait_for(2)
        assert (rejected["operation"], rejected["arguments"]) == ("reject", {"reason": "no_person"})
        assert rejected["tracklets"] == [names[1], names[11]]
        assert len(accepted["tracklets"]) == 12
        assert not set(accepted["tracklets"]) & set(rejected["tracklets"])

    def test_the_end_of_the_queue(self, page, served):
        page.type("t", "Space", "Space", "Space", "Space")
        assert sum(len(line["tracklets"]) for line in served.wait_for(4)) == 40
        page.wait_for("!document.getElementById('nothing').hidden")
        assert "All tracklets are reviewed" in page.text("nothing")
        assert (page.text("progress"), page.text("estimate")) == ("40 of 40 reviewed", "")
        page.type("l")
        assert page.text("id") != ""
        assert page.ask("document.getElementById('view').value") == "link"

    def test_to_link_lists_who_is_not_linked_now(self, page, served):
        """Also after numbers by hand, for both ends of a link, and after an undo."""
        page.type("t", "Space")
        (line,) = served.wait_for(1)
        accepted = line["tracklets"]
        page.press("Escape")
        page.wait_saved()
        rows = (
            "[...document.querySelectorAll('#rows .row')].filter((row) => !row.hidden)"
            ".map((row) => row.title)"
        )

        def open_view():
            page.ask(
                "(() => { const view = document.getElementById('view');"
                " for (const name of ['all', 'link']) { view.value = name;"
                " view.dispatchEvent(new Event('change')); } view.blur(); })()"
            )

        def wait_for_rows(names):
            wanted = json.dumps(json.dumps(sorted(names), separators=(",", ":")))
            page.wait_for(f"JSON.stringify({rows}) === {wanted}")

        open_view()
        wait_for_rows(accepted)
        page.wait_seen()
        name = page.text("id")
        page.type("P", "7", "Enter")
        served.wait_for(2)
        page.wait_saved()
        open_view()
        wait_for_rows({*accepted} - {name})
        page.wait_seen()
        name_2 = page.text("id")
        others = page.ask(
            "[...document.querySelectorAll('.candidate[data-kind=across]')].map((node) => "
            "node.title)"
        )
        page.type("1", "Enter")
        served.wait_for(3)
        page.wait_saved()
        open_view()
        wait_for_rows({*accepted} - {name, name_2, others[0]})
        page.type("u", "u")
        served.wait_for(5)
        page.wait_saved()
        open_view()
        wait_for_rows(accepted)

    def test_the_last_decisions_name_both_tracklets(self, page, served):
        name = page.text("id")
        other = page.ask("document.querySelector('.candidate[data-kind=across]').title")
        page.type("1", "Enter")
        served.wait_for(1)
        assert page.ask(LAST)[0] == f"linked {name} and {other}"

    def test_a_name_that_is_too_long_keeps_its_end(self, page, served):
        """The beginning is the same for a whole camera."""
        style = "getComputedStyle(document.querySelector('.candidate .name'))"
        assert page.ask(f"{style}.direction") == "rtl"
        assert page.ask("document.querySelector('.candidate .name').firstChild.localName") == "bdi"

    def test_what_is_to_be_settled(self, page, served):
        name = page.text("id")
        page.type("1", "Enter", "-", "2", "g")
        page.wait_for("document.getElementById('dialog').open")
        assert "No conflicts" in page.text("dialog")
        page.press("Escape")
        page.wait_for("!document.getElementById('dialog').open")
        assert page.text("id") == name


class TestKeysOfOnesOwn:
    def test_a_key_is_chosen_kept_and_given_back(self, page, served):
        page.type("?")
        page.ask("[...document.querySelectorAll('.keys button')][0].focus()")
        page.type("Enter", "z", "Escape")
        page.wait_for("!document.getElementById('dialog').open")
        page.type("Space")
        page.type("z")
        assert len(served.wait_for(1)) == 1
        page.review(served.address)
        page.type("z")
        served.wait_for(2)

    def test_a_taken_key_is_not_given_twice(self, page):
        page.type("?")
        page.ask("[...document.querySelectorAll('.keys button')][0].focus()")
        page.type("Enter", "x")
        assert "is the key of" in page.ask("document.querySelector('.note').textContent")
        page.ask("document.querySelectorAll('.keys button')[0].focus()")
        page.type("Enter", "5")
        assert "fixed meaning" in page.ask("document.querySelector('.note').textContent")
        page.press("Escape")

    def test_a_key_kept_under_the_earlier_name_of_its_action(self, page, served):
        page.ask("localStorage.setItem('lpw.keys', JSON.stringify({ twelve: 'y' }))")
        page.review(served.address)
        page.type("y")
        page.wait_for("document.querySelectorAll('.cell').length === 12")


class TestNothingIsLost:
    def test_a_reload_in_the_middle(self, page, served):
        page.accept(3)
        page.open(served.address)
        page.wait_for_tracklet()
        lines = served.wait_for(3)
        assert page.text("progress").startswith("3 of 40")
        assert page.text("id") not in {line["tracklets"][0] for line in lines}
        assert len(page.ask(LAST)) == 3
        page.type("u")
        assert served.wait_for(4)[3]["operation"] == "undo"

    def test_after_a_reload_undo_is_about_what_is_not_undone(self, page, served):
        page.accept(2)
        page.press("u")
        served.wait_for(3)
        page.wait_saved()
        page.open(served.address)
        page.wait_for_tracklet()
        page.type("u")
        lines = served.wait_for(4)
        assert lines[3]["arguments"] == {"of": lines[0]["uuid"]}

    def test_a_server_that_goes_and_comes_back(self, page, served):
        page.accept(1)
        served.wait_for(1)
        page.wait_ahead(4)
        served.stop()
        page.type("Space", "x", "2", "u", "Space")
        page.wait_for("document.getElementById('banner').textContent.includes('does not answer')")
        assert page.text("saved").startswith("not saved: ")
        assert len(served.lines()) == 1
        served.start()
        page.wait_saved()
        assert served.operations() == ["accept", "accept", "reject", "undo", "accept"]
        assert page.ask("document.getElementById('banner').hidden")

    def test_a_server_that_is_started_anew_with_another_token(self, page, served):
        page.wait_ahead(4)
        served.stop()
        page.type("Space", "Space")
        page.wait_for("!document.getElementById('banner').hidden")
        served.start(fresh_token=True)
        page.wait_for("document.getElementById('banner').textContent.includes('was restarted')")
        assert served.lines() == []
        page.open(served.address)
        page.wait_for_tracklet()
        assert [line["operation"] for line in served.wait_for(2)] == ["accept", "accept"]
        page.wait_saved()
        page.wait_for("document.getElementById('progress').textContent.startsWith('2 of')")

    def test_a_tab_that_is_closed_leaves_its_decisions_to_the_next(self, page, served):
        page.wait_ahead(4)
        served.stop()
        page.type("Space", "Space")
        page.wait_for("!document.getElementById('banner').hidden")
        page.send("Page.navigate", url="about:blank")
        served.start()
        page.open(served.address)
        page.wait_for_tracklet()
        assert [line["operation"] for line in served.wait_for(2)] == ["accept", "accept"]

    def test_two_tabs(self, page, served):
        name = page.text("id")
        first = page.add_tab()
        page.review(served.address)
        assert page.text("id") == name
        page.type("x", "1")
        served.wait_for(1)
        second = page.turn_to(first)
        page.wait_for("document.querySelector('.piece').textContent.startsWith('rejected')")
        page.wait_for("document.getElementById('progress').textContent.startsWith('1 of')")
        page.type("j", "Space")
        served.wait_for(2)
        page.turn_to(second)
        page.wait_for("document.getElementById('progress').textContent.startsWith('2 of')")
        page.send("Page.close")
        page.turn_to(first)
        found = replay(read_base(served.dataset), served.state / "cleanup")
        assert found.logs[0].n_decisions == 2

    def test_a_refused_decision_is_told_and_taken_back(self, page, served):
        name = page.text("id")
        page.ask(
            "(() => { const real = window.fetch; window.fetch = (a, o) => real(a, o?.body"
            " ? { ...o, body: o.body.replace('\"accept\"', '\"bless\"') } : o); })()"
        )
        page.type("Space")
        page.wait_for("document.getElementById('note')?.textContent.includes('unknown operation')")
        page.wait_for("document.getElementById('progress').textContent.startsWith('0 of')")
        assert served.lines() == []
        page.type("k")
        page.wait_for(f"document.getElementById('id').textContent === {json.dumps(name)}")
        page.wait_for("document.querySelector('.piece')?.textContent === 'not reviewed'")

    def test_kill_9_of_the_command_loses_nothing_that_was_saved(self, hand, dataset, tmp_path):
        command = [
            sys.executable, "-m", "lpw_cli", "clean", str(dataset.root), "--review", "--reviewer",
            "kim", "--no-open",
            "--state", str(tmp_path),
        ]  # fmt: skip
        shown = 0
        for round_ in range(2):
            process = subprocess.Popen(
                command, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
            try:
                lines = iter(process.stderr.readline, "")
                address = next(
                    m[0]
                    for line in lines
                    if (m := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line))
                )
                hand.review(address)
                hand.accept(3)
                hand.wait_saved()
                shown += 3
                hand.accept(1)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                process.stderr.close()
            log = (tmp_path / "cleanup" / "kim.jsonl").read_text("utf-8").splitlines()
            assert len(log) >= shown
            shown += (
                round_ == 0
            )  # the last one is kept in the browser: the next server gets it first
        found = replay(read_base(dataset), tmp_path / "cleanup")
        assert found.logs[0].n_decisions >= 7


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_quiet_and_readable(hand, served, dark, tmp_path):
    """Nothing on the console, nothing asked for outside, nothing serious found by axe."""
    hand.review(served.address, dark=dark)
    hand.type("s", "Enter", "j", "1", "Escape", "ArrowRight", "Shift+ArrowRight", "d")
    hand.wait_saved()
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    for keys in ([], ["1"], ["Escape", "t"], ["Escape", "?"], ["Escape", "h"], ["Escape", "g"]):
        hand.type(*keys)
        hand.ask(f"(() => {{ {axe} }})()" if not keys else "1")
        found = hand.ask("axe.run().then((r) => r.violations.filter((v) => ['serious', "
                         "'critical'].includes(v.impact))"
                         ".map((v) => [v.id, v.nodes.map((n) => n.html + "
                         "n.failureSummary).slice(0, 3)]))")  # fmt: skip
        assert found == []
    hand.press("Escape")
    assert hand.complaints == []
    home = f"http://127.0.0.1:{served.port}/"
    assert all(address.startswith((home, f"blob:{home}", "data:,")) for address in hand.requests)
    assert hand.ask(
        "document.documentElement.scrollWidth <= 1280 && document.documentElement.scrollHeight <= "
        "720"
    )


def test_focus_can_be_seen_and_moved_by_keyboard(page):
    seen = set()
    for _ in range(12):
        page.press("Tab")
        here = page.ask(
            "document.activeElement.id || document.activeElement.className || "
            "document.activeElement.tagName"
        )
        outline = page.ask("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid" or here == "BODY", here
        seen.add(here)
    assert {"queue", "view", "sheet", "candidates"} <= seen


def test_hostile_names_and_comments_are_text(hand, tmp_path):
    dataset = make_dataset(tmp_path / "d", n_tracklets=6, n_frames=6, identified=False)
    dataset = rename_tracklets(dataset, HOSTILE)
    assert any(name in HOSTILE for name in dataset.tracklets["tracklet_id"].to_pylist())
    with Served(dataset, tmp_path / "state") as served:
        hand.review(served.address)
        for _ in range(4):
            hand.wait_seen()
            hand.type("c")
            hand.ask(
                "document.querySelector('dialog textarea').value = '<img src=x onerror=alert(1)>\\n"
                "\\u202e'"
            )
            hand.type("Enter", "j")
        served.wait_for(4)
        hand.wait_saved()
        assert hand.ask("document.querySelectorAll('img, body script').length") == 0
        assert hand.complaints == []
        assert served.operations() == ["comment"] * 4


def test_ten_thousand_tracklets(hand, tmp_path):
    dataset = make_many(tmp_path / "d", 10_000)
    with Served(dataset, tmp_path / "state") as served:
        hand.review(served.address)
        assert hand.text("progress") == "0 of 10,000 reviewed"
        assert hand.ask("document.querySelectorAll('#rows .row').length") < 60
        hand.ask("document.getElementById('queue').scrollTop = 1e9")
        hand.wait_for(
            "[...document.querySelectorAll('#rows .row')].some((row) => row.dataset.place === "
            "'9999')"
        )
        assert hand.ask("document.querySelectorAll('*').length") < 1500
        hand.accept(30)
        hand.type("t", "Space", "Escape")
        served.wait_for(31)
        hand.wait_saved()
        assert hand.text("progress") == "42 of 10,000 reviewed"
        hand.type("l", "l", "l", "l")
        assert hand.ask("document.getElementById('rows').style.height") == "300000px"
