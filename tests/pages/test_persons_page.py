"""`lpw show --persons`: a block per person, a row per camera; quick with thousands; ids stay
text."""

import json

import cv2
import numpy as np
import pytest
from chromium import Browser, find_chromium
from click.testing import CliRunner
from lpw_cli.show import command
from make_dataset import make_dataset
from make_reid import make_reid, rewrite
from show_tools import HOSTILE, read_data

from lpw_toolkit.errors import LpwError
from lpw_toolkit.pages.dataset_page import read_static, sprite_path, write_page, write_show
from lpw_toolkit.pages.persons_page import order_by_person, write_persons
from lpw_toolkit.pages.render import list_files

PEOPLE = "[...document.querySelectorAll('.head b')].map((node) => node.textContent)"
COUNT = "document.getElementById('count').textContent"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Person scen1/1 has three tracklets in view 1; scen2/9 is seen by one camera; the others by
    two."""
    dataset = make_reid(tmp_path_factory.mktemp("persons") / "d", n_rounds=12)
    other = {
        "scen1/view1/000010": "scen1/1",
        "scen1/view1/000011": "scen1/1",
        "scen2/view2/000009": None,
    }
    return rewrite(
        dataset, lambda row: {"person_id": other.get(row["tracklet_id"], row["person_id"])}
    )


def test_tracklets_come_by_person_then_camera(dataset):
    table = order_by_person(dataset).tracklets
    people = table["person_id"].to_pylist()
    assert table.num_rows == 48 - 3
    assert people[:4] == ["scen1/1"] * 4
    assert table["tracklet_id"].to_pylist()[:5] == [
        "scen1/view1/000001", "scen1/view1/000010", "scen1/view1/000011", "scen1/view2/000001",
        "scen1/view1/000002",
    ]  # fmt: skip
    assert [p for i, p in enumerate(people) if i == 0 or people[i - 1] != p] == [
        f"scen{scene}/{number}" for scene in (1, 2) for number in range(1, 13)
    ]


def test_the_folder_is_complete_and_sprites_are_those_of_the_tracklets(dataset, tmp_path):
    page = write_persons(dataset, tmp_path / "show", max_crops=2).page
    assert {p.name for p in page.parent.iterdir()} == {
        "index.html", "base.css", "common.js", "persons.css", "persons.js", "data.js", "sprites",
        ".lpw-show",
    }  # fmt: skip
    data = read_data(page.parent)
    assert (data["n_all"], len(data["id"])) == (48, 45)
    row = data["id"].index("scen2/view1/000003")
    sprite = cv2.imread(str(page.parent / sprite_path(row)))
    crop = cv2.imread(str(dataset.root / "images" / "scen2" / "view1" / "000003" / "1.jpg"))
    assert np.abs(cv2.resize(crop, (48, 96)).astype(float) - sprite[:, :48]).mean() < 6


def test_it_replaces_a_show_and_a_show_replaces_it(dataset, tmp_path):
    write_show(dataset, tmp_path / "show")
    write_persons(dataset, tmp_path / "show")
    assert not (tmp_path / "show" / "timeline.js").exists()
    write_show(dataset, tmp_path / "show")
    assert not (tmp_path / "show" / "persons.js").exists()


def test_same_bytes_twice(dataset, tmp_path):
    for name in "ab":
        write_persons(dataset, tmp_path / name, single_file=True)
    assert (tmp_path / "a" / "index.html").read_bytes() == (
        tmp_path / "b" / "index.html"
    ).read_bytes()


def test_a_dataset_without_names_says_so(tmp_path):
    dataset = make_dataset(tmp_path / "d", identified=False)
    with pytest.raises(LpwError, match="got no named person"):
        write_persons(dataset, tmp_path / "show")
    assert not (tmp_path / "show").exists()


def test_the_page_names_no_outside_address():
    for name in (
        "persons.html",
        "ranked.html",
        *list_files("persons.html"),
        *list_files("ranked.html"),
    ):
        text = read_static(name)
        assert not any(
            word in text for word in ("http:", "https:", "@import", "innerHTML", "eval(", "fetch(")
        )
    assert "default-src 'none'" in read_static("persons.html")


def test_the_command(dataset, tmp_path):
    options = [
        str(dataset.root),
        "--persons",
        "--single-file",
        "--json",
        "--out",
        str(tmp_path / "show"),
    ]
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "page": str(tmp_path / "show" / "index.html"),
        "problems": [],
    }
    assert (tmp_path / "show" / "index.html").read_text("utf-8").count(
        "data:image/jpeg;base64,"
    ) == 45


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def write_large_page(folder, n_persons):
    """The page of a dataset that size, without its sprites."""
    rng = np.random.default_rng(0)
    n_views = rng.integers(2, 5, n_persons)
    person = np.repeat(np.arange(n_persons), n_views)
    camera = np.concatenate([np.arange(n) for n in n_views]).tolist()
    n_tracklets = len(person)
    columns = {
        "kind": "person",
        "width": 128,
        "height": 256,
        "tile": 48,
        "tiles": 12,
        "start": 0,
        "end": 1,
        "score": 1,
    }
    data = {
        "name": "large",
        "digest": "",
        "n_images": 80 * n_tracklets,
        "n_all": n_tracklets,
        "cameras": [f"scen1/view{i}" for i in range(4)],
        "unit": None,
        "id": [f"scen1/view{c}/{p}" for p, c in zip(person.tolist(), camera, strict=True)],
        "person": [f"scen1/{p}" for p in person.tolist()],
        "camera": camera,
        "length": [80] * n_tracklets,
        "corrupt": {},
        **{name: [value] * n_tracklets for name, value in columns.items()},
    }
    write_page(folder, data, single_file=False, template="persons.html")
    return (folder / "index.html").as_uri()


@pytest.mark.browser
@pytest.mark.xdist_group("chromium")
class TestInTheBrowser:
    @pytest.mark.parametrize("single_file", [False, True], ids=["folder", "single"])
    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_the_page_is_quiet_and_stays_at_home(
        self, browser, dataset, tmp_path, single_file, dark
    ):
        browser.open(
            write_persons(dataset, tmp_path / "show", single_file=single_file).page.as_uri(),
            dark=dark,
        )
        browser.wait_for("document.querySelectorAll('.person').length > 2")
        assert browser.ask(COUNT) == "24 persons"
        assert browser.ask(PEOPLE)[:2] == ["scen1/1", "scen1/2"]
        views = "[...document.querySelector('.person').querySelectorAll('.view')]"
        assert browser.ask(f"{views}.map((node) => node.querySelectorAll('.strip').length)") == [
            3,
            1,
        ]
        assert browser.complaints == []
        assert all(address.startswith(("file:", "data:")) for address in browser.requests)

    def test_filters_orders_and_the_address(self, browser, dataset, tmp_path):
        page = write_persons(dataset, tmp_path / "show").page.as_uri()
        browser.open(page)
        buttons = (
            "[...document.querySelectorAll('#cameras button')].map((node) => node.textContent)"
        )
        assert browser.ask(buttons) == ["all: 24", "1 camera: 5", "2 cameras: 19"]
        browser.ask("document.querySelectorAll('#cameras button')[1].click()")
        assert browser.ask(PEOPLE) == ["scen1/3", "scen1/4", "scen1/10", "scen1/11", "scen2/9"]
        assert browser.ask("location.hash") == "#cameras=1"
        browser.open(page + "#text=scen1%2Fview1%2F000011&sort=tracklets")
        assert browser.ask(PEOPLE) == ["scen1/1"]
        assert browser.ask(COUNT) == "1 of 24 persons"
        browser.open(page + "#sort=tracklets")
        assert browser.ask(PEOPLE)[:2] == ["scen1/1", "scen1/2"]
        browser.open(page + "#text=nobody")
        assert not browser.ask("document.getElementById('empty').hidden")
        assert browser.complaints == []

    @pytest.mark.parametrize(
        "nonsense", ["#cameras=77", "#sort=__proto__", "#person=none", "#%E0%A4%A", "#cameras=x"]
    )
    def test_nonsense_in_the_address_is_ignored(self, browser, dataset, tmp_path, nonsense):
        browser.open(write_persons(dataset, tmp_path / "show").page.as_uri() + nonsense)
        assert browser.ask(COUNT) == "24 persons"
        assert browser.complaints == []

    def test_keys_step_through_the_persons(self, browser, dataset, tmp_path):
        page = write_persons(dataset, tmp_path / "show").page.as_uri()
        chosen = "document.querySelector('.chosen b')?.textContent"
        browser.open(page)
        browser.press("/")
        assert browser.ask("document.activeElement.id") == "text"
        browser.press("Escape")
        for key, name in (
            ("ArrowDown", "scen1/1"),
            ("j", "scen1/2"),
            ("End", "scen2/12"),
            ("k", "scen2/11"),
        ):
            browser.press(key)
            browser.wait_for(f"{chosen} === '{name}'")
        assert browser.ask("location.hash") == "#person=scen2%2F11"
        browser.open(page + "#person=scen2%2F3")
        assert browser.ask(chosen) == "scen2/3"
        box = "document.querySelector('.chosen').getBoundingClientRect()"
        assert browser.ask(f"{box}.top >= 0 && {box}.bottom <= innerHeight")

    def test_hostile_names_are_shown_as_text(self, browser, tmp_path):
        dataset = make_dataset(tmp_path / "d", n_tracklets=5)
        names = iter(HOSTILE)
        dataset = rewrite(dataset, lambda row: {"person_id": next(names), "camera_id": HOSTILE[3]})
        browser.open(write_persons(dataset, tmp_path / "show", single_file=True).page.as_uri())
        assert set(browser.ask(PEOPLE)) == set(HOSTILE)
        assert browser.ask("document.querySelectorAll('img').length") == 0
        assert browser.ask("document.querySelector('.camera').textContent") == HOSTILE[3]
        assert browser.complaints == []

    def test_three_thousand_persons_stay_quick(self, browser, tmp_path):
        browser.open(write_large_page(tmp_path, 3000))
        browser.wait_for("document.querySelectorAll('.person').length > 2")
        assert browser.ask("document.querySelectorAll('*').length") < 1000
        measure = """(async () => {
          const spent = [];
          for (let k = 0; k < 5; k++) {
            const begin = performance.now(), input = document.getElementById('text');
            input.value = 'scen1/' + k;
            input.dispatchEvent(new Event('input'));
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
            spent.push(performance.now() - begin);
          }
          return Math.min(...spent);
        })()"""
        assert browser.ask(measure) < 200
        browser.ask(
            "(() => { text.value = ''; text.dispatchEvent(new Event('input')); list.scrollTop = "
            "1e9; })()"
        )
        browser.wait_for(f"({PEOPLE}).includes('scen1/2999')")
