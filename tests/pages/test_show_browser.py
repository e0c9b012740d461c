"""The page of `lpw show` in a real browser: it works, says nothing on the console and asks for
nothing outside."""

import select
import socket

import numpy as np
import pytest
from chromium import Browser, find_chromium
from make_dataset import make_dataset
from show_tools import HOSTILE, rename_tracklets

from lpw_toolkit.pages.dataset_page import write_page, write_show

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("chromium"),
]
SHOWN_IDS = "[...document.querySelectorAll('.row .id')].map((node) => node.textContent)"
COUNT = "document.getElementById('count').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    dataset = make_dataset(tmp_path_factory.mktemp("browser") / "d", n_tracklets=40, n_frames=10)
    file = dataset.root / "images" / "scen1" / "view1" / "000001" / "1.jpg"
    file.write_bytes(b"")
    return dataset


@pytest.fixture(scope="module", params=[False, True], ids=["folder", "single"])
def page(request, dataset, tmp_path_factory):
    return write_show(
        dataset, tmp_path_factory.mktemp("pages") / "show", single_file=request.param
    ).page.as_uri()


@pytest.fixture(scope="module")
def folder_page(dataset, tmp_path_factory):
    return write_show(dataset, tmp_path_factory.mktemp("folder") / "show").page.as_uri()


def type_into(browser, name, value):
    browser.ask(
        f"(() => {{ const e = document.getElementById('{name}'); e.value = '{value}';"
        " e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input')); })()"
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_quiet_and_stays_at_home(browser, page, dark):
    browser.open(page, dark=dark)
    browser.wait_for("document.querySelectorAll('.row').length > 3")
    loaded = (
        "Promise.all([...document.querySelectorAll('.tile')].map((t) => "
        "getComputedStyle(t).backgroundImage))"
    )
    assert all(image.startswith("url(") for image in browser.ask(loaded))
    assert browser.ask(COUNT) == "40 tracklets"
    assert browser.complaints == []
    assert browser.requests
    assert all(address.startswith(("file:", "data:")) for address in browser.requests)


def test_sprites_load_only_when_they_come_into_sight(browser, folder_page):
    browser.open(folder_page)
    browser.wait_for("document.querySelectorAll('.row').length > 3")
    browser.ask("new Promise((done) => setTimeout(done, 200))")
    first = {address for address in browser.requests if "/sprites/" in address}
    assert 4 <= len(first) <= 15
    browser.ask("document.getElementById('list').scrollTop = 1e9")
    browser.wait_for(f"({SHOWN_IDS}).includes('scen2/view2/000010')")
    browser.ask("new Promise((done) => setTimeout(done, 200))")
    assert {address for address in browser.requests if "/sprites/" in address} > first


def test_filters_in_the_address(browser, page):
    browser.open(page + "#min_length=13&camera=scen1%2Fview1")
    browser.wait_for(f"{COUNT}.includes('of')")
    lengths = (
        "[...document.querySelectorAll('.row .facts:nth-child(2) b:first-child')].map((n) "
        "=> "
        "Number(n.textContent))"
    )
    assert browser.ask(COUNT) == f"{len(browser.ask(lengths))} of 40 tracklets"
    assert min(browser.ask(lengths)) >= 13
    assert all(name.startswith("scen1/view1/") for name in browser.ask(SHOWN_IDS))
    assert browser.ask("document.getElementById('min_length').value") == "13"
    browser.ask("location.hash = '#max_length=10'")
    browser.wait_for(f"{COUNT} === '8 of 40 tracklets'")
    browser.ask("location.hash = '#min_score=0.99'")
    browser.wait_for(f"{COUNT} === '0 of 40 tracklets'")
    assert not browser.ask("document.getElementById('empty').hidden")


@pytest.mark.parametrize(
    "nonsense",
    ["#min_length=abc", "#sort=__proto__", "#camera=none", "#tracklet=none", "#%E0%A4%A"],
)
def test_nonsense_in_the_address_is_ignored(browser, folder_page, nonsense):
    browser.open(folder_page + nonsense)
    browser.wait_for("document.querySelectorAll('.row').length > 3")
    assert browser.ask(COUNT) == "40 tracklets"
    assert browser.complaints == []


def test_controls_filter_sort_and_reset(browser, folder_page):
    browser.open(folder_page)
    type_into(browser, "text", "VIEW2 000003")
    browser.wait_for(f"{COUNT} === '2 of 40 tracklets'")
    assert browser.ask(SHOWN_IDS) == ["scen1/view2/000003", "scen2/view2/000003"]
    assert "text=VIEW2" in browser.ask("location.hash")
    browser.ask("document.getElementById('reset').click()")
    type_into(browser, "sort", "longest")
    lengths = browser.ask(
        "[...document.querySelectorAll('.row .facts b:first-child')].map((n) => "
        "Number(n.textContent))"
    )
    assert lengths[:2] == [14, 14]
    browser.ask("document.querySelectorAll('#cameras button')[4].click()")
    browser.wait_for(f"{COUNT} === '10 of 40 tracklets'")
    assert all(name.startswith("scen2/view2/") for name in browser.ask(SHOWN_IDS))
    browser.ask("document.getElementById('reset').click()")
    assert browser.ask(COUNT) == "40 tracklets"
    assert browser.complaints == []


def test_keys_walk_the_list_and_the_timeline(browser, folder_page):
    selected = "document.querySelector('[aria-selected=true] .id')?.textContent"
    browser.open(folder_page)
    browser.press("/")
    assert browser.ask("document.activeElement.id") == "text"
    browser.press("Escape")
    assert browser.ask("document.activeElement.id") == "list"
    for key, name in (
        ("ArrowDown", "scen1/view1/000001"),
        ("j", "scen1/view1/000002"),
        ("End", "scen2/view2/000010"),
    ):
        browser.press(key)
        browser.wait_for(f"{selected} === '{name}'")
    assert browser.ask("document.getElementById('camera').textContent") == "scen2/view2"
    browser.ask("document.getElementById('bars').focus()")
    browser.press("ArrowLeft")
    browser.wait_for(f"{selected} === 'scen2/view2/000009'")
    assert "scen2/view2/000009" in browser.ask("document.getElementById('tip').textContent")
    assert "tracklet=scen2" in browser.ask("location.hash")
    before = browser.ask("document.getElementById('span').textContent")
    browser.press("+")
    assert browser.ask("document.getElementById('span').textContent") != before
    browser.press("0")
    assert browser.ask("document.getElementById('span').textContent") == before
    assert browser.complaints == []


def test_a_click_on_a_bar_jumps_to_its_tracklet(browser, folder_page):
    browser.open(folder_page + "#camera=scen1%2Fview1")
    browser.ask("document.getElementById('list').scrollTop = 1e9")
    browser.wait_for(f"!({SHOWN_IDS}).includes('scen1/view1/000001')")
    left, top = browser.ask(
        "(({ left, top }) => [left, top])(document.getElementById('bars').getBoundingClientRect())"
    )
    browser.click(left + 10, top + 5)
    browser.wait_for(
        "document.querySelector('[aria-selected=true] .id')?.textContent === 'scen1/view1/000001'"
    )
    row = "document.querySelector('[aria-selected=true]').getBoundingClientRect()"
    assert browser.ask(f"{row}.top >= 0 && {row}.bottom <= innerHeight")
    assert browser.complaints == []


def test_a_corrupt_crop_is_said(browser, page):
    browser.open(page)
    assert browser.ask("document.getElementById('problems').textContent").startswith(
        "1 corrupt crop"
    )
    assert browser.ask("document.querySelectorAll('.tile.corrupt').length") == 1


@pytest.mark.parametrize("single_file", [False, True])
def test_hostile_ids_are_shown_as_text(browser, tmp_path, single_file):
    dataset = rename_tracklets(make_dataset(tmp_path / "d"), HOSTILE)
    browser.open(write_show(dataset, tmp_path / "show", single_file=single_file).page.as_uri())
    browser.wait_for("document.querySelectorAll('.row').length > 3")
    assert set(HOSTILE) <= set(browser.ask(SHOWN_IDS)) | {""}
    assert browser.ask("document.querySelectorAll('img').length") == 0
    assert browser.complaints == []


@pytest.mark.parametrize("n_tracklets", [0, 4])
def test_datasets_without_times_or_tracklets_have_a_page(browser, tmp_path, n_tracklets):
    dataset = make_dataset(tmp_path / "d", n_tracklets=n_tracklets, boxes=False, identified=False)
    browser.open(write_show(dataset, tmp_path / "show").page.as_uri())
    assert browser.ask(COUNT) == f"{n_tracklets} tracklets"
    assert browser.ask("document.getElementById('bars').hidden")
    assert browser.complaints == []


BLOCKED = """new Promise((done) => {{
  const seen = (event) => done(event.effectiveDirective);
  document.addEventListener('securitypolicyviolation', seen, {{ once: true }});
  {attempt};
}})"""
ATTEMPTS = {
    "img-src": "new Image().src = 'http://127.0.0.1:PORT/x.png'",
    "connect-src": "fetch('http://127.0.0.1:PORT/').catch(() => 0)",
    "script-src-elem": "document.body.append(Object.assign(document.createElement('script'), { "
    "textContent: '1' }))",
}


@pytest.mark.parametrize("directive", sorted(ATTEMPTS))
def test_the_policy_forbids_what_the_page_does_not_do(browser, page, directive):
    with socket.create_server(("127.0.0.1", 0)) as server:
        attempt = ATTEMPTS[directive].replace("PORT", str(server.getsockname()[1]))
        browser.open(page)
        assert browser.ask(BLOCKED.format(attempt=attempt)) == directive
        assert select.select([server], [], [], 0.2)[0] == []


def write_large_page(folder, n_tracklets):
    """The page of a dataset that size, without its sprites."""
    rng = np.random.default_rng(0)
    start = np.sort(rng.uniform(0, 3600, (11, n_tracklets // 11 + 1)), axis=1).ravel()[:n_tracklets]
    length = np.clip(rng.lognormal(3.8, 0.8, n_tracklets), 8, 600).astype(int)
    camera = np.repeat(np.arange(11), n_tracklets // 11 + 1)[:n_tracklets].tolist()
    columns = {
        "person": None,
        "kind": "person",
        "width": 128,
        "height": 256,
        "tile": 48,
        "tiles": 8,
    }
    data = {
        "name": "large",
        "digest": "",
        "n_images": int(length.sum()),
        "cameras": [f"scen1/view{i}" for i in range(11)],
        "unit": "s",
        "id": [f"scen1/view{c}/{i:06d}" for i, c in enumerate(camera)],
        "camera": camera,
        "length": length.tolist(),
        "start": start.tolist(),
        "end": (start + length / 25).tolist(),
        "score": rng.beta(6, 2, n_tracklets).round(4).tolist(),
        "corrupt": {},
        **{name: [value] * n_tracklets for name, value in columns.items()},
    }
    write_page(folder, data, single_file=False)
    return (folder / "index.html").as_uri()


def test_ten_thousand_tracklets_stay_quick(browser, tmp_path):
    browser.open(write_large_page(tmp_path, 10_000))
    browser.wait_for("document.querySelectorAll('.row').length > 3")
    assert browser.ask("document.querySelectorAll('*').length") < 1000
    measure = """(async () => {
      const spent = [];
      for (let k = 0; k < 5; k++) {
        const begin = performance.now(), input = document.getElementById('min_length');
        input.value = 40 + k;
        input.dispatchEvent(new Event('input'));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
        spent.push(performance.now() - begin);
      }
      return Math.min(...spent);
    })()"""
    assert browser.ask(measure) < 200
    assert "of 10,000 tracklets" in browser.ask(COUNT)
