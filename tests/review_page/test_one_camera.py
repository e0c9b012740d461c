"""A film of one camera: persons who come back are offered for linking, and the links give
queries."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from chromium import find_chromium
from click.testing import CliRunner
from lpw_cli.main import main
from make_dataset import make_dataset
from make_reid import make_one_camera, rewrite
from review_tools import Hand, Served

from lpw_toolkit.cleaning.state.review import open_review
from lpw_toolkit.cleaning.suggest.suggest import suggest
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.labels import MIN_GAP_S, read_times
from lpw_toolkit.review_page.session import ReviewSession
from lpw_toolkit.review_page.suggestions import open_suggestions


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 tracklets of one camera, nobody named yet."""
    made = make_one_camera(tmp_path_factory.mktemp("film") / "film")
    rewrite(made, lambda _: {"person_id": None}, sources=[])
    suggest(made.root)
    return open_dataset(made.root)


def request(operation: str, *tracklets: str) -> dict[str, Any]:
    fields = {"operation": operation, "tracklets": [*tracklets], "arguments": {}, "spent_ms": 900}
    return {"uuid": str(uuid.uuid4()), **fields}


def link_pairs(session: ReviewSession, n_pairs: int) -> list[tuple[str, str]]:
    """Accepts everything and links `n_pairs` tracklets with the first of their candidates that is
    not linked yet."""
    names = session.start()["ids"]
    session.decide(request("accept", *names))
    pairs: list[tuple[str, str]] = []
    for number, name in enumerate(names):
        taken = {each for pair in pairs for each in pair}
        offered = [each["piece"] for each in session.describe(number)["across"]]
        free = [other for other in offered if other not in taken]
        if len(pairs) < n_pairs and name not in taken and free:
            session.decide(request("link", name, free[0]))
            pairs.append((name, free[0]))
    return pairs


def test_who_may_have_come_back_is_offered_for_linking(film: Dataset, tmp_path: Path) -> None:
    times = read_times(film.tracklets, [])
    with open_review(film, "anna", tmp_path) as review:
        session = ReviewSession(film, review, open_suggestions(film))
        for number in range(film.tracklets.num_rows):
            others = [each["n"] for each in session.describe(number)["across"]]
            assert len(others) == 9
            for other in others:
                gaps = (times.first_s[other] - times.last_s[number],
                        times.first_s[number] - times.last_s[other])  # fmt: skip
                assert max(gaps) >= MIN_GAP_S


def test_the_whole_way_gives_queries(film: Dataset, tmp_path: Path) -> None:
    """Review, apply, split within the camera."""
    with open_review(film, "anna", tmp_path / "state") as review:
        pairs = link_pairs(ReviewSession(film, review, open_suggestions(film)), 6)
    assert len(pairs) == 6
    words = ["clean", film.root, "--state", tmp_path / "state", "--apply", tmp_path / "clean"]
    run(*words, "--min-cameras", 1)
    words = ["--protocol", "within-camera", "--out", tmp_path / "split"]
    assert "protocol within_camera" in run("split", tmp_path / "clean", *words)
    for name in ("clean", "split"):
        made = open_dataset(tmp_path / name)
        assert made.splits is not None
        splits, tracklets = made.splits.to_pandas(), made.tracklets.to_pandas()
        queries = tracklets[
            tracklets.tracklet_id.isin(splits[splits.subset == "query"].tracklet_id)
        ]
        assert len(queries) > 0
        assert (tracklets.person_id.value_counts()[queries.person_id] == 2).all()


def test_where_other_cameras_are_both_are_offered(tmp_path: Path) -> None:
    made = make_dataset(tmp_path / "d", n_tracklets=80, n_frames=4, identified=False)
    suggest(made.root)
    with open_review(made, "anna", tmp_path / "state") as review:
        session = ReviewSession(made, review, open_suggestions(made))
        found = session.describe(79)
    here = [each["camera"] == found["camera"] for each in found["across"]]
    assert here == [False] * 6 + [True] * 3


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")
@pytest.mark.xdist_group("chromium")
def test_the_page_links_within_the_camera(film: Dataset, tmp_path: Path) -> None:
    with Hand(tmp_path / "profile") as hand, Served(film, tmp_path / "state") as served:
        hand.review(served.address)
        hand.accept(2)
        served.wait_for(2)
        hand.wait_saved()
        hand.ask("document.getElementById('view').focus()")
        hand.ask("(() => { const view = document.getElementById('view'); view.value = 'link';"
                 " view.dispatchEvent(new Event('change')); view.blur(); })()")  # fmt: skip
        hand.wait_seen()
        name, shown = hand.text("id"), hand.text("candidates")
        assert "comes back later" in shown and "goes on within seconds" in shown
        assert "Other cameras" not in shown
        hints = hand.text("key-hints")
        assert "compare" in hints and "give the person a number" in hints
        other = hand.ask("document.querySelector('.candidate[data-kind=across]').title")
        hand.type("1", "Enter")
        line = served.wait_for(3)[-1]
        assert (line["operation"], line["tracklets"]) == ("link", [name, other])
        assert hand.complaints == []


def run(*words: object) -> str:
    result = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
