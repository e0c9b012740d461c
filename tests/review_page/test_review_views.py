"""The other views of the review page: the frame of the video, the table of persons, the team."""

import json
import uuid

import cv2
import numpy as np
import pytest
from chromium import find_chromium
from make_dataset import make_dataset
from review_tools import Hand, Served
from street import build_config, make_street

from lpw_toolkit.build.build import build_tracklets
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.workspace import remember_root
from lpw_toolkit.errors import LpwError
from lpw_toolkit.review_page.frame_sizes import FrameSizes
from lpw_toolkit.review_page.video_frames import VideoFrames

BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("chromium"),
]


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A dataset with its videos."""
    root = tmp_path_factory.mktemp("street")
    made = make_street(root / "street")
    build_tracklets(build_config(made, root / "d"))
    return open_dataset(root / "d"), made / "video"


def open_frames(dataset) -> VideoFrames:
    return VideoFrames(dataset, read_base(dataset), FrameSizes(dataset))


def find_long(dataset) -> int:
    return max(
        range(dataset.tracklets.num_rows), key=dataset.tracklets["n_frames"].to_pylist().__getitem__
    )


class TestVideoFrames:
    def test_the_crop_lies_in_the_frame_where_its_box_is(self, street):
        dataset, _ = street
        frames = open_frames(dataset)
        number = find_long(dataset)
        tracklet = list(read_base(dataset).tracklets.values())[number]
        for position in (0, 5, tracklet.n_frames - 1, 2):
            described = frames.describe(number, position)
            picture = cv2.imdecode(np.frombuffer(frames.draw(number, position), np.uint8), 1)
            assert described["size_px"] == [picture.shape[1], picture.shape[0]]
            row = dataset.frames.slice(tracklet.start + position, 1).to_pylist()[0]
            own = next(each for each in described["boxes"] if each["n"] == number)
            assert own["position"] == position
            x1, y1, x2, y2 = (round(side) for side in own["box"])
            crop = cv2.imdecode(
                np.frombuffer(dataset.read_image(row["image"]["path"], row["sha256"]), np.uint8), 1
            )
            there = picture[max(y1, 0) : y2, max(x1, 0) : x2]
            size = (there.shape[1], there.shape[0])
            off = np.abs(cv2.resize(crop, size).astype(float) - there).mean()
            assert off < 25, position
        frames.close()

    def test_all_who_are_there(self, street):
        dataset, _ = street
        frames, base = open_frames(dataset), read_base(dataset)
        names = list(base.tracklets)
        described = frames.describe(0, 0)
        numbers = {
            name: base.frame_numbers(name)
            for name in names
            if base.tracklets[name].video_id == base.tracklets[names[0]].video_id
        }
        expected = {name for name, found in numbers.items() if described["frame_index"] in found}
        assert {names[each["n"]] for each in described["boxes"]} == expected
        assert len(described["trail"]) == len(described["times"]) == base.n_frames[names[0]]

    def test_the_nearest_that_is_decoded(self, street):
        dataset, _ = street
        frames, number = open_frames(dataset), find_long(dataset)
        with pytest.raises(IndexError):
            frames.draw_near(number, 0)
        exact = frames.draw(number, 3)
        assert frames.draw_near(number, 3) == exact
        assert frames.draw_near(number, 0)
        frames.close()

    def test_a_video_that_is_missing_or_another_one_is_said(self, street, tmp_path):
        dataset, videos = street
        path = dataset.manifest["sources"][0]["path"]
        try:
            remember_root(dataset, tmp_path)
            frames = open_frames(dataset)
            assert f"{path} is not in" in frames.describe(0, 0)["why"]
            with pytest.raises(LpwError, match="is not in"):
                frames.draw(0, 0)
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(b"another film")
            assert "another video" in open_frames(dataset).describe(0, 0)["why"]
        finally:
            remember_root(dataset, videos)

    def test_a_dataset_without_videos(self, tmp_path):
        dataset = make_dataset(tmp_path / "d", n_tracklets=4, n_frames=5)
        found = open_frames(dataset).describe(0, 0)
        assert found["why"]
        assert [each["n"] for each in found["boxes"]].count(0) == 1

    @pytest.mark.parametrize("place", [(0, -1), (0, 10**6), (10**6, 0)])
    def test_images_that_there_are_not(self, street, place):
        frames = open_frames(street[0])
        for ask in (frames.describe, frames.draw, frames.draw_near):
            with pytest.raises(IndexError):
                ask(*place)


class TestOnThePage:
    pytestmark = BROWSER

    @pytest.fixture
    def page(self, hand, street, tmp_path):
        dataset, _ = street
        with Served(dataset, tmp_path) as served:
            hand.review(served.address)
            hand.type("/", *"sort:length", "Enter")
            hand.wait_for("document.getElementById('view').value === 'found'")
            hand.wait_seen()
            yield hand
            hand.ask("location.protocol === 'http:' && localStorage.clear()")
            served.session.video_frames.close()

    def test_the_frame_of_the_video(self, page):
        name = page.text("id")
        page.type("v")
        page.wait_for("/image 0 of/.test(document.getElementById('video-facts').textContent)")
        page.wait_for("document.getElementById('video-canvas').dataset.shown === 'frame'")
        page.type("ArrowRight", "Shift+ArrowRight")
        page.wait_for("/image 11 of/.test(document.getElementById('video-facts').textContent)")
        page.type("p")
        page.wait_for(
            "/image (1[2-9]|2[0-9]) of/.test(document.getElementById('video-facts').textContent)"
        )
        page.type("p", "v")
        assert not page.ask("document.getElementById('one').hidden")
        assert page.text("id") == name
        assert page.complaints == []

    def test_the_box_of_another_tracklet_opens_it(self, page):
        page.type("v")
        found = page.ask(
            "(async () => { const { state } = await import('/state.js');"
            " for (let p = 0; p < state.entry.detail.n_frames; p++) {"
            "  const frame = await (await fetch(`/api/frame/${state.entry.n}/${p}`)).json();"
            "  if (frame.boxes.length > 1) return [p, state.entry.n, frame.boxes, frame.size_px]; }"
            " return null; })()"
        )
        if found is None:
            pytest.fail("the street has nobody beside the first tracklet")
        position, own, boxes, size = found
        page.type(*["ArrowRight"] * position)
        page.wait_for(
            f"/image {position} of/.test(document.getElementById('video-facts').textContent)"
        )
        other = next(each for each in boxes if each["n"] != own)
        name = page.ask(f"import('/state.js').then(({{ state }}) => state.store.ids[{other['n']}])")
        x1, y1, x2, y2 = other["box"]
        page.wait_for(
            "(() => { const c = document.getElementById('video-canvas').getBoundingClientRect();"
            " return c.width > 50; })()"
        )
        left, top, width = page.ask(
            "(() => { const c = document.getElementById('video-canvas').getBoundingClientRect();"
            " return [c.left, c.top, c.width]; })()"
        )
        scale = width / size[0]
        page.click(left + (x1 + x2) / 2 * scale, top + (y1 + y2) / 2 * scale)
        page.wait_for(f"document.getElementById('id').textContent === {json.dumps(name)}")


class TestCameraTimeline:
    pytestmark = BROWSER

    @pytest.fixture(scope="class")
    def dataset(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("timeline") / "d"
        return make_dataset(root, n_tracklets=8, n_frames=30, identified=False)

    @pytest.fixture
    def served(self, dataset, tmp_path):
        with Served(dataset, tmp_path) as served:
            yield served

    @pytest.fixture
    def page(self, hand, served):
        hand.review(served.address)
        hand.type("w")
        hand.wait_for("document.getElementById('timeline-facts').textContent.includes('tracklets')")
        yield hand
        hand.ask("location.protocol === 'http:' && localStorage.clear()")

    def click_at(self, page: Hand, at_s: float, lane: int, *, shift: bool = False) -> None:
        """Clicks on the canvas, which shows all bars."""
        page.ask(
            "(async () => { const bars = await (await fetch('/api/timeline/0')).json();"
            " const canvas = document.getElementById('timeline-canvas');"
            " const { left, top, width } = canvas.getBoundingClientRect();"
            " const first = bars.start_s[0]; const last = Math.max(...bars.end_s);"
            f" const clientX = left + ({at_s} - first) / (last - first) * width;"
            f" const clientY = top + {lane} * 16 + 8;"
            " canvas.dispatchEvent(new MouseEvent('click', { clientX, clientY, bubbles: true,"
            f" shiftKey: {json.dumps(shift)} }})); }})()"
        )

    def test_the_tails_of_two_are_swapped(self, page, served):
        """Two splits, and two merges of the heads with the tails of the other."""
        one, two = (name for name in served.review.base.tracklets if "scen1/view1" in name)
        assert page.text("id") == one
        bars = served.session.describe_timeline(0)
        page.type("0")
        self.click_at(page, bars["start_s"][1] + 0.2, bars["lane"][1])
        assert f"B {two}" in page.text("timeline-facts")
        self.click_at(page, 1.55, 0, shift=True)
        assert "tails at 1.5" in page.text("timeline-facts")
        page.type("s")
        lines = served.wait_for(4)
        page.wait_saved()
        numbers = [served.review.base.frame_numbers(name).tolist() for name in (one, two)]
        cuts = [found.index(16) for found in numbers]
        n = [len(found) for found in numbers]
        assert [(line["operation"], line["tracklets"]) for line in lines] == [
            ("split", [one]),
            ("split", [two]),
            ("merge", [f"{one}@0-{cuts[0]}", f"{two}@{cuts[1]}-{n[1]}"]),
            ("merge", [f"{two}@0-{cuts[1]}", f"{one}@{cuts[0]}-{n[0]}"]),
        ]
        assert served.review.state.conflicts == ()
        assert len(served.review.state.members) == 2

    def test_two_bars_are_compared(self, page, served):
        bars = served.session.describe_timeline(0)
        page.type("0")
        self.click_at(page, bars["start_s"][1] + 0.2, bars["lane"][1])
        page.type("Enter")
        page.wait_for("!document.getElementById('compare').hidden")
        page.type("Escape")
        assert not page.ask("document.getElementById('timeline').hidden")
        assert served.lines() == []


class TestPersonsTable:
    pytestmark = BROWSER
    TILES = "[...document.querySelectorAll('.person-tile:not(.gap)')].map((t) => t.dataset.piece)"

    @pytest.fixture(scope="class")
    def dataset(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("persons") / "d"
        made = make_dataset(root, n_tracklets=16, n_frames=20, identified=False)
        suggest(made.root)
        return open_dataset(made.root)

    @pytest.fixture
    def served(self, dataset, tmp_path):
        with Served(dataset, tmp_path) as served:
            names = list(served.review.base.tracklets)
            for request in (("accept", *names), ("link", names[0], names[4])):
                served.session.decide(make_entry(*request))
            yield served

    @pytest.fixture
    def page(self, hand, served):
        hand.open(served.address)
        hand.wait_for("document.getElementById('saved')?.textContent")
        hand.type("i")
        hand.wait_for("document.querySelectorAll('.person-tile').length > 0")
        yield hand
        hand.ask("location.protocol === 'http:' && localStorage.clear()")

    def test_tiles_are_linked_told_apart_and_moved(self, page, served):
        names = list(served.review.base.tracklets)
        tiles = page.ask(self.TILES)
        assert tiles[:2] == [names[0], names[4]]
        # the second of the first person is another one
        page.type("ArrowRight", "Space", "-")
        assert served.wait_for(3)[-1]["tracklets"] == [names[4], names[0]]
        page.wait_for(f"JSON.stringify({self.TILES}).indexOf({json.dumps(names[4])}) > 0")
        page.wait_for(
            "document.querySelector('#persons-body tr').querySelectorAll("
            "'.person-tile:not(.gap)').length === 1"
        )
        tiles = page.ask(self.TILES)
        page.ask("document.querySelectorAll('.person-tile:not(.gap)')[0].click()")
        page.ask("document.querySelectorAll('.person-tile:not(.gap)')[1].click()")
        assert page.text("persons-chosen") == "2 chosen"
        page.type("Enter")
        line = served.wait_for(4)[-1]
        assert (line["operation"], line["tracklets"]) == ("link", tiles[:2])

    def test_those_whom_one_camera_sees(self, page, served):
        page.type("l")
        page.wait_for("document.getElementById('persons-facts').textContent.includes('one camera')")
        assert page.text("persons-facts").startswith("1–12 of 14")
        page.type("j")
        page.wait_for("document.getElementById('persons-facts').textContent.startsWith('13–14')")

    def test_a_candidate_is_compared_and_the_table_is_back(self, page, served):
        page.type("l")
        page.wait_for("document.querySelectorAll('.person-tile.gap').length > 0")
        page.ask("document.querySelector('.person-tile.gap').click()")
        page.wait_for("!document.getElementById('compare').hidden")
        page.type("Escape")
        assert not page.ask("document.getElementById('persons').hidden")
        page.ask("document.querySelector('.person-tile.gap').click()")
        page.wait_for("!document.getElementById('compare').hidden")
        page.type("Enter")
        assert served.wait_for(3)[-1]["operation"] == "link"
        assert not page.ask("document.getElementById('persons').hidden")
        page.type("i")
        assert page.ask("document.getElementById('persons').hidden")


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")
@pytest.mark.xdist_group("chromium")
def test_what_others_decide_arrives(hand, tmp_path):
    dataset = make_dataset(tmp_path / "d", n_tracklets=8, n_frames=6, identified=False)
    with Served(dataset, tmp_path / "s") as anna, Served(dataset, tmp_path / "s", "ben") as ben:
        hand.review(anna.address)
        name = hand.text("id")
        ben.session.decide(make_entry("accept", name))
        hand.wait_for("document.getElementById('progress').textContent.startsWith('1 of 8')")
        assert hand.text("note") == "ben has just decided about this tracklet."
        assert hand.ask("document.querySelector('.piece').textContent") == "accepted"
        hand.type("o")
        hand.wait_for("document.querySelectorAll('.team tbody tr').length > 0")
        assert hand.ask("document.querySelector('.team tbody td').textContent") == "ben"
        hand.ask("localStorage.clear()")


def make_entry(operation: str, *names: str) -> dict[str, object]:
    return {
        "uuid": str(uuid.uuid4()),
        "operation": operation,
        "tracklets": list(names),
        "arguments": {},
        "spent_ms": 1,
    }
