"""The page of ranked results: what it holds, that it stays within bounds, and that ids stay
text."""

import base64
import hashlib
import json
import re

import cv2
import numpy as np
import pytest
from chromium import Browser, find_chromium
from make_dataset import make_dataset
from make_reid import make_reid
from show_tools import HOSTILE, rename_tracklets

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation import ranked_page
from lpw_toolkit.evaluation.ranked_page import (
    About,
    Answer,
    RankedQuery,
    pick_worst,
    write_ranked_page,
)

ABOUT = About(
    "lpw, osnet",
    {"dataset digest": "5" * 64, "protocol": "lpw", "AP form": "step"},
    ("scen1/view2/000004",),
    3,
)
QUERIES = ("scen1/view2/000001", "scen1/view2/000002", "scen1/view2/000003")
GALLERY = ("scen1/view1/000001", "scen1/view1/000002", "scen1/view1/000004")
FIRST_RANKS = (1, 3, 2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_reid(tmp_path_factory.mktemp("ranked") / "d")


def rank(name, first_rank, gallery=GALLERY):
    answers = tuple(
        Answer(found, 0.125 * k, k == first_rank, k) for k, found in enumerate(gallery, start=1)
    )
    return RankedQuery(name, 1 / first_rank, first_rank, 1, answers)


def make_queries():
    return [rank(name, first) for name, first in zip(QUERIES, FIRST_RANKS, strict=True)]


def read_data(page):
    text = re.search(r"window\.LPW_SHOW = (.*?);\n</script>", page.read_text("utf-8"), re.S)[1]
    return json.loads(text)


def test_the_page_holds_the_worst_first_with_their_answers(dataset, tmp_path):
    assert write_ranked_page(dataset, tmp_path / "r.html", make_queries(), ABOUT) == []
    data = read_data(tmp_path / "r.html")
    names = [data["tracklets"][query["tracklet"]]["id"] for query in data["queries"]]
    assert names == [QUERIES[1], QUERIES[2], QUERIES[0]]
    assert [query["first_rank"] for query in data["queries"]] == [3, 2, 1]
    worst = data["queries"][0]
    assert [data["tracklets"][answer["tracklet"]]["id"] for answer in worst["answers"]] == list(
        GALLERY
    )
    assert [answer["right"] for answer in worst["answers"]] == [False, False, True]
    assert [answer["distance"] for answer in worst["answers"]] == ["0.125", "0.25", "0.375"]
    assert data["facts"] == [[name, text] for name, text in ABOUT.facts.items()]
    assert (data["skipped"], data["n_query"]) == (["scen1/view2/000004"], 3)


def test_crops_are_the_middle_ones_and_stand_once(dataset, tmp_path):
    write_ranked_page(dataset, tmp_path / "r.html", make_queries(), ABOUT)
    data = read_data(tmp_path / "r.html")
    assert len(data["tracklets"]) == 6
    assert (tmp_path / "r.html").read_text("utf-8").count("data:image/jpeg;base64,") == 6
    row = next(t for t in data["tracklets"] if t["id"] == "scen1/view1/000002")
    found = cv2.imdecode(
        np.frombuffer(base64.b64decode(row["crop"].split(",")[1]), np.uint8), cv2.IMREAD_COLOR
    )
    n_frames = dataset.frames.filter(pc_equal(dataset, "scen1/view1/000002")).num_rows
    file = dataset.root / "images" / "scen1" / "view1" / "000002" / f"{n_frames // 2 + 1}.jpg"
    assert np.abs(cv2.resize(cv2.imread(str(file)), (48, 96)).astype(float) - found).mean() < 8
    assert (row["kind"], row["camera"], row["person"]) == ("person", "scen1/view1", "scen1/2")


def pc_equal(dataset, name):
    import pyarrow.compute as pc

    return pc.equal(dataset.frames["tracklet_id"], name)


def test_bounds_cut_queries_and_answers_but_keep_the_first_right_one(dataset, tmp_path):
    write_ranked_page(
        dataset, tmp_path / "r.html", make_queries(), ABOUT, max_queries=2, max_answers=1
    )
    data = read_data(tmp_path / "r.html")
    assert [[answer["rank"] for answer in query["answers"]] for query in data["queries"]] == [
        [1, 3],
        [1, 2],
    ]
    assert [query["answers"][1]["right"] for query in data["queries"]] == [True, True]


def test_pick_worst_is_stable():
    ap, first = np.array([0.5, 0.1, 0.1, 0.5, 1.0]), np.array([2, 3, 9, 2, 1])
    assert pick_worst(ap, first, 4).tolist() == [2, 1, 0, 3]


def test_same_bytes_twice_and_the_policy_names_each_part(dataset, tmp_path):
    for name in "ab":
        write_ranked_page(dataset, tmp_path / f"{name}.html", make_queries(), ABOUT)
    text = (tmp_path / "a.html").read_text("utf-8")
    assert (tmp_path / "b.html").read_text("utf-8") == text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    inline = [
        *re.findall(r"<script>(.*?)</script>", text, re.S),
        *re.findall(r"<style>(.*?)</style>", text, re.S),
    ]
    assert len(inline) == 5
    for part in inline:
        assert (
            f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"
            in policy
        )
    assert not re.search(
        r"<script[^>]+src=|<link|https?:|unsafe|self",
        policy + re.sub(r"<script>.*?</script>", "", text, flags=re.S),
    )


def test_a_corrupt_crop_is_named_and_marked(tmp_path):
    dataset = make_reid(tmp_path / "d")
    for file in (dataset.root / "images" / "scen1" / "view1" / "000001").iterdir():
        file.write_bytes(b"")
    problems = write_ranked_page(dataset, tmp_path / "r.html", make_queries(), ABOUT)
    assert len(problems) == 1
    assert "view1/000001" in problems[0]
    crops = {row["id"]: row["crop"] for row in read_data(tmp_path / "r.html")["tracklets"]}
    assert [name for name, crop in crops.items() if crop is None] == ["scen1/view1/000001"]


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([], "no query with a correct match"),
        ([rank("scen9/view1/1", 1)], "no tracklet scen9/view1/1"),
        ([rank(QUERIES[0], 1, ("x",))], "no tracklet x"),
        ([RankedQuery(QUERIES[0], float("nan"), 1, 1, ())], "rank or distance out of range"),
        ([RankedQuery(QUERIES[0], 1.5, 1, 1, ())], "rank or distance out of range"),
        ([RankedQuery(QUERIES[0], 0.5, 0, 1, ())], "rank or distance out of range"),
        (
            [RankedQuery(QUERIES[0], 0.5, 2, 1, (Answer(GALLERY[0], float("inf"), False, 1),))],
            "distance out of range",
        ),
    ],
)
def test_bad_results_leave_nothing(dataset, tmp_path, queries, message):
    with pytest.raises(LpwError, match=message):
        write_ranked_page(dataset, tmp_path / "r.html", queries, ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_too_many_crops_and_places_in_the_dataset_are_refused(dataset, tmp_path, monkeypatch):
    with pytest.raises(LpwError, match="a place inside the dataset"):
        write_ranked_page(dataset, dataset.root / "r.html", make_queries(), ABOUT)
    with pytest.raises(LpwError, match="at least one"):
        write_ranked_page(dataset, tmp_path / "r.html", make_queries(), ABOUT, max_queries=0)
    monkeypatch.setattr(ranked_page, "MAX_CROPS", 10)
    with pytest.raises(LpwError, match="at most 10 crops"):
        write_ranked_page(dataset, tmp_path / "r.html", make_queries(), ABOUT)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


IDS = "[...document.querySelectorAll('.asked .id')].map((node) => node.textContent)"


@pytest.mark.browser
@pytest.mark.xdist_group("chromium")
class TestInTheBrowser:
    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_it_shows_frames_filters_and_stays_at_home(self, browser, dataset, tmp_path, dark):
        write_ranked_page(dataset, tmp_path / "r.html", make_queries(), ABOUT)
        browser.open((tmp_path / "r.html").as_uri(), dark=dark)
        assert browser.ask(IDS) == [QUERIES[1], QUERIES[2], QUERIES[0]]
        assert (
            browser.ask(
                "document.querySelectorAll('.right').length - "
                "document.querySelectorAll('i.right').length"
            )
            == 3
        )
        assert browser.ask(
            "[...document.querySelectorAll('dd')].map((n) => n.textContent)"
        ) == list(ABOUT.facts.values())
        assert "scen1/view2/000004" in browser.ask("document.getElementById('skipped').textContent")
        browser.wait_for(
            "[...document.images].every((image) => image.complete && image.naturalHeight === 96)"
        )
        for value, n_shown in (("missed", 2), ("hit", 1), ("far", 0), ("all", 3)):
            browser.ask(
                f"(() => {{ which.value = '{value}'; which.dispatchEvent(new Event('change')); "
                f"}})()"
            )
            assert len(browser.ask(IDS)) == n_shown
        browser.ask("(() => { sort.value = 'best'; sort.dispatchEvent(new Event('change')); })()")
        assert browser.ask(IDS)[0] == QUERIES[0]
        browser.ask("(() => { text.value = '000003'; text.dispatchEvent(new Event('input')); })()")
        assert browser.ask(IDS) == [QUERIES[2]]
        assert browser.complaints == []
        assert all(address.startswith(("file:", "data:")) for address in browser.requests)

    def test_hostile_ids_and_facts_are_text(self, browser, tmp_path):
        dataset = rename_tracklets(make_dataset(tmp_path / "d"), HOSTILE)
        about = About(HOSTILE[0], dict.fromkeys(HOSTILE, HOSTILE[3]), HOSTILE)
        write_ranked_page(
            dataset, tmp_path / "r.html", [rank(name, 1, HOSTILE[1:]) for name in HOSTILE], about
        )
        browser.open((tmp_path / "r.html").as_uri())
        assert sorted(browser.ask(IDS)) == sorted(HOSTILE)
        assert browser.ask("document.getElementById('title').textContent") == HOSTILE[0]
        assert browser.ask("document.querySelectorAll('img[src=x], script').length") == 3
        assert browser.complaints == []
