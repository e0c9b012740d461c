"""`lpw quality`: whose scores are shown, what is painted on the frames, and a page that loads
nothing."""

import base64
import hashlib
import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from chromium import Browser, find_chromium
from click.testing import CliRunner
from lpw_cli.quality import command
from make_dataset import make_dataset, make_film
from show_tools import HOSTILE, rename_tracklets

from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.image_reader import open_images
from lpw_toolkit.errors import CorruptCropError, LpwError, MismatchError
from lpw_toolkit.names import show_name
from rqen.corruption.inject import inject_corruption
from rqen.corruption.plan import CorruptionConfig
from rqen.data.batches import Shard
from rqen.inference.run_vectors import embed_run
from rqen.quality_page.score_pictures import (
    ScoredSet,
    describe_tint,
    draw_scores,
    draw_set,
)
from rqen.quality_page.scored_tracklets import (
    QualityView,
    choose_rows,
    measure_spread,
    pick_positions,
    read_corrupted,
)
from rqen.recipe import read_recipe
from rqen.training import train as training
from rqen.training.distributed import ProcessGroup
from rqen.training.job import TrainJob

ALONE = ProcessGroup(Shard(), torch.device("cpu"))
SMALL = (
    "model.weights=random", "model.last_stride=2", "data.height=64", "data.width=32",
    "train.iterations=0",
    "train.precision=float32", "train.channels_last=no",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("quality") / "d"
    make_dataset(root, n_tracklets=6, n_frames=3)
    return root


def make_run(data: Path, out: Path, method: str = "rqen", *changes: str) -> Path:
    return training.train(
        TrainJob(
            data, out, method, read_recipe("modern", (*SMALL, *changes)), split=None, n_workers=0
        ),
        ALONE,
    )


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return make_run(data, tmp_path_factory.mktemp("runs") / "untrained")


def call(*arguments):
    return CliRunner().invoke(
        command, [str(a) for a in (*arguments, "--workers", 0)], standalone_mode=False
    )


def write(*arguments):
    result = call(*arguments, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.stdout.splitlines()[-1])


def titles(page: Path) -> list[str]:
    return [unescape(text) for text in re.findall("<h2>(.*?)</h2>", page.read_text("utf-8"))][1:]


@pytest.fixture(scope="module")
def out(run, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "q"
    said = write(run, "--data", data, "--out", out, "--tracklets", 2, "--frames", 3)
    assert said == {
        "page": f"{out}/index.html",
        "pictures": [f"{out}/{name}.png" for name in ("scores", "tracklet-001", "tracklet-002")],
    }
    return out


class TestCommand:
    def test_the_tracklets_of_the_largest_spread_are_shown(self, run, data, out):
        found = embed_run(run, data)
        table = found.dataset.tracklets
        starts = np.append(0, np.cumsum(table["n_frames"].to_numpy()))
        spread = [measure_spread(found.scores[a:b]) for a, b in pairwise(starts)]
        ids = table["tracklet_id"].to_pylist()
        assert titles(out / "index.html") == [ids[i] for i in np.argsort(spread)[::-1][:2]]

    def test_numbers_of_the_page_are_those_of_the_run(self, run, data, out):
        found, text = embed_run(run, data), (out / "index.html").read_text("utf-8")
        name = titles(out / "index.html")[0]
        ids = np.array(found.dataset.frames["tracklet_id"].to_pylist())
        rows = re.findall(r"<tr>((?:<td>[^<]*</td>)+)</tr>", text.split("<section>")[2])
        table = np.array(
            [[float(cell) for cell in re.findall("<td>(.*?)</td>", row)] for row in rows]
        )
        positions = table[:, 0].astype(int)
        assert table[:, 1::2] == pytest.approx(found.scores[ids == name][positions], abs=1e-4)
        assert table[:, 2::2].sum(axis=0) == pytest.approx(np.ones(3), abs=3e-4)
        assert table[:, 2] == pytest.approx(table[:, 1] / table[:, 1].sum(), abs=2e-4)
        assert found.facts.checkpoint_sha256 in text
        assert str(out.parent) not in text and str(data.parent) not in text

    def test_pictures_are_pictures_and_the_same_twice(self, run, data, out, tmp_path):
        write(run, "--data", data, "--out", tmp_path / "again", "--tracklets", 2, "--frames", 3)
        for name in ("scores.png", "tracklet-001.png", "tracklet-002.png", "index.html"):
            assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        image = cv2.imread(str(out / "tracklet-001.png"))
        assert image.shape[0] > 350 and image.shape[1] > 500
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 500

    def test_the_page_loads_nothing_and_its_policy_names_its_style(self, out):
        text = (out / "index.html").read_text("utf-8")
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
        style = re.search("<style>(.*?)</style>", text, re.S)[1]
        assert (
            f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
            in policy
        )
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
        assert not re.search(r"<script|<link|https?:|src=\"(?!data:image/png)| style=", text)

    def test_an_older_one_is_replaced_and_other_folders_are_not(self, run, data, tmp_path):
        name = titles_of(data)[0]
        for _ in range(2):
            write(run, "--data", data, "--out", tmp_path / "q", "--tracklet", name)
        (tmp_path / "q" / "mine.txt").write_text("mine")
        error = call(run, "--data", data, "--out", tmp_path / "q", "--tracklet", name).exception
        assert isinstance(error, LpwError) and "mine.txt" in str(error)

    def test_named_tracklets_come_in_the_order_asked_for(self, run, data, tmp_path):
        names = titles_of(data)
        asked = [word for name in (names[3], names[0], names[3]) for word in ("--tracklet", name)]
        said = write(run, "--data", data, "--out", tmp_path / "q", *asked)
        assert titles(Path(said["page"])) == [names[3], names[0]]
        assert "2 tracklets, " in Path(said["page"]).read_text(
            "utf-8"
        )  # the others were not asked about

    def test_among_draws_by_the_seed(self, run, data, tmp_path):
        shown = {}
        for name, seed in (("a", 0), ("b", 0), ("c", 5)):
            said = write(
                run, "--data", data, "--out", tmp_path / name, "--among", 2, "--seed", seed
            )
            shown[name] = titles(Path(said["page"]))
        assert shown["a"] == shown["b"] != shown["c"]
        assert len(shown["a"]) == 2

    def test_qan_has_one_region(self, data, tmp_path):
        run = make_run(data, tmp_path / "qan", "qan")
        said = write(run, "--data", data, "--out", tmp_path / "q", "--tracklets", 1)
        assert '<th scope="col">whole score</th>' in Path(said["page"]).read_text("utf-8")

    @pytest.mark.parametrize("method", ["mean", "qfix", "more_params"])
    def test_methods_that_weigh_no_frame_are_refused(self, data, tmp_path, method):
        run = make_run(data, tmp_path / method, method)
        error = call(run, "--data", data, "--out", tmp_path / "q").exception
        assert isinstance(error, LpwError)
        assert re.search(f"a run of {method}, .*; expected one of rqen or qan", str(error))
        assert not (tmp_path / "q").exists()

    def test_ids_are_shown_as_text(self, run, tmp_path):
        rename_tracklets(
            make_dataset(tmp_path / "d", n_tracklets=len(HOSTILE), n_frames=2), HOSTILE
        )
        said = write(run, "--data", tmp_path / "d", "--out", tmp_path / "q")
        text = Path(said["page"]).read_text("utf-8")
        assert sorted(titles(Path(said["page"]))) == sorted(map(show_name, HOSTILE))
        assert "<script" not in text and "<img src=x" not in text


def titles_of(data):
    return open_dataset(data).tracklets["tracklet_id"].to_pylist()


class TestPlanted:
    def test_the_mask_is_drawn(self, run, data, tmp_path):
        noisy = inject_corruption(
            data, tmp_path / "noisy", tmp_path / "mask.parquet", CorruptionConfig(seed=1)
        )
        corrupted = read_corrupted(tmp_path / "mask.parquet", noisy, 3)
        assert corrupted.sum(axis=1).max() == 1
        assert read_corrupted(tmp_path / "mask.parquet", noisy, 1).sum() == corrupted.sum() > 3
        pages = []
        for more in ((), ("--mask", tmp_path / "mask.parquet")):
            out = tmp_path / f"q{len(more)}"
            write(run, "--data", noisy.root, "--out", out, "--tracklets", 2, *more)
            pages.append((out / "tracklet-001.png").read_bytes())
        assert pages[0] != pages[1]

    def test_a_mask_of_other_frames(self, run, data, tmp_path):
        inject_corruption(
            data,
            tmp_path / "noisy",
            tmp_path / "mask.parquet",
            CorruptionConfig(),
            np.array([0, 1]),
        )
        error = call(
            run, "--data", data, "--out", tmp_path / "q", "--mask", tmp_path / "mask.parquet"
        ).exception
        assert isinstance(error, MismatchError)
        error = call(
            run, "--data", data, "--out", tmp_path / "q", "--mask", tmp_path / "none"
        ).exception
        assert "no such file" in str(error)


class TestChoice:
    def test_spread_first_then_the_seed(self):
        scores = np.array(
            [[0.5], [0.5], [0.2], [0.8], [0.5], [0.5], [0.4], [0.6], [0.1]], dtype=np.float32
        )
        starts = np.array([0, 2, 4, 6, 8, 9])  # the last has one frame
        assert choose_rows(scores, starts, 2, np.random.default_rng(0)).tolist() == [1, 3]
        orders = {
            tuple(choose_rows(scores, starts, 9, np.random.default_rng(s)).tolist())
            for s in range(8)
        }
        assert orders == {(1, 3, 0, 2), (1, 3, 2, 0)}

    def test_what_was_not_scored_is_left_out(self):
        scores = np.array([[np.nan], [np.nan], [0.2], [0.8]], dtype=np.float32)
        assert choose_rows(scores, np.array([0, 2, 4]), 3, np.random.default_rng(0)).tolist() == [1]
        with pytest.raises(LpwError, match="none with two frames"):
            choose_rows(scores, np.array([0, 1, 2, 3, 4]), 3, np.random.default_rng(0))

    @pytest.mark.parametrize(("best", "worst"), [(3, 4), (4, 3), (0, 9), (9, 0), (1, 2), (8, 7)])
    @pytest.mark.parametrize("n_most", [2, 3, 5, 10, 30])
    def test_best_and_worst_are_always_shown(self, best, worst, n_most):
        scores = np.full((10, 2), 0.5, dtype=np.float32)
        scores[best], scores[worst] = 0.9, 0.1
        chosen = pick_positions(scores, n_most)
        assert {best, worst} <= set(chosen)
        assert chosen == sorted(set(chosen))
        assert len(chosen) == min(n_most, 10)


def make_set(**changes) -> ScoredSet:
    rng = np.random.default_rng(0)
    values = {
        "images": [rng.integers(0, 255, (64, 32, 3), dtype=np.uint8) for _ in range(3)],
        "scores": np.array([[0.2, 0.5, 0.5], [0.6, 0.5, 0.5], [0.2, 0.5, 0.1]], dtype=np.float32),
        "activation": rng.random((3, 8, 4), dtype=np.float32),
        "positions": [0, 4, 7],
        "division": (3.0, 2.0, 2.0),
        "regions": ("upper", "middle", "lower"),
    }
    return ScoredSet(**{**values, **changes})


class TestPictures:
    def test_the_legend_has_the_largest_and_the_smallest_weight_of_the_data(self):
        scores = np.array([[0.9], [0.9], [0.1]], np.float32)
        scored = make_set(
            images=make_set().images[:3], scores=scores, activation=make_set().activation[:3],
            positions=[0, 1, 2], division=(1,), regions=("body",),
        )  # fmt: skip
        assert describe_tint(scored) == (
            "■ counts up to 1.42 times",
            "■ down to 0.16 times an even share",
        )

    def test_weights_sum_to_one_over_the_frames_shown(self):
        scored = make_set()
        assert scored.shares.sum(axis=0) == pytest.approx(np.ones(3))
        assert scored.shares[:, 0] == pytest.approx([0.2, 0.6, 0.2])
        assert scored.ratios[1] == pytest.approx([1.8, 1.0, 15 / 11])
        assert (scored.best, scored.worst) == (1, 2)
        assert scored.borders == pytest.approx([0, 3 / 7, 5 / 7, 1])

    def test_a_region_that_counts_less_is_tinted_so(self):
        grey = [np.full((64, 32, 3), 128, dtype=np.uint8)] * 3
        image = cv2.imdecode(
            np.frombuffer(draw_set(make_set(images=grey)), np.uint8), cv2.IMREAD_COLOR
        ).astype(int)
        scale = 106
        row = int((0.34 + 0.3) * scale)  # in the upper region, above its number
        worse, better = (image[row, int((0.78 + i * 1.06 + 0.5) * scale)] for i in (0, 1))
        assert worse[2] > worse[0] + 20  # BGR: reddish
        assert better[1] > better[2] + 20  # greenish

    @pytest.mark.parametrize(
        "changes",
        [
            {"scores": np.full((3, 3), 0.5, dtype=np.float32)},
            {"scores": np.full((3, 3), 1e-30, dtype=np.float32)},
            {"activation": np.zeros((3, 1, 1), dtype=np.float32)},
            {"corrupted": np.eye(3, dtype=bool)},
        ],
    )
    def test_odd_sets_are_drawn(self, changes):
        assert draw_set(make_set(**changes))[:4] == b"\x89PNG"

    @pytest.mark.parametrize(
        "scores", [np.full((5, 3), 0.5), np.array([[0.1, 0.9]]), np.array([[0.0], [1.0]])]
    )
    def test_spread_of_scores_is_drawn(self, scores):
        names = tuple("abc"[: scores.shape[1]])
        assert draw_scores(scores.astype(np.float32), names)[:4] == b"\x89PNG"


def test_single_frames_get_the_scores_of_the_stream(run, data):
    found, view = embed_run(run, data), QualityView(run)
    images = open_images(found.dataset)
    scored = view.describe([images.decode(row) for row in range(4)], [0, 1, 2, 3])
    assert scored.scores == pytest.approx(found.scores[:4], abs=1e-5)
    assert scored.activation.shape == (4, 2, 1)


class TestBadInput:
    def test_one_line_each(self, run, data, tmp_path):
        (tmp_path / "file").write_text("x")
        (tmp_path / "empty").mkdir()
        for arguments, message in (
            ((tmp_path / "none", "--data", data), "no such folder"),
            ((tmp_path / "file", "--data", data), "a folder without run.json"),
            ((tmp_path / "empty", "--data", data), "a folder without run.json"),
            ((run, "--data", tmp_path / "none"), "no such folder"),
            ((run, "--data", run), "without dataset.json"),
            ((run, "--data", data, "--out", data / "q"), "inside the dataset"),
            ((run, "--data", data, "--out", tmp_path / "file"), "a file"),
            ((run, "--data", data, "--out", run), "a folder with"),
            ((run, "--data", data, "--tracklet", "nobody"), "got nobody; expected ids of little"),
            ((run, "--data", data, "--mask", tmp_path / "file", "--out", tmp_path / "q"), "file"),
        ):
            error = call(*arguments).exception
            assert isinstance(error, LpwError) and re.search(message, str(error)), str(error)
            assert "\n" not in str(error)

    def test_runs_that_are_not_whole(self, run, data, tmp_path):
        for name in ("run.json", "model.safetensors"):
            (tmp_path / name).write_bytes((run / name).read_bytes())
        (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
        assert isinstance(
            call(tmp_path, "--data", data, "--out", tmp_path / "q").exception, MismatchError
        )
        (tmp_path / "model.safetensors").unlink()
        assert "not complete" in str(
            call(tmp_path, "--data", data, "--out", tmp_path / "q").exception
        )
        (tmp_path / "run.json").write_text("{")
        assert isinstance(
            call(tmp_path, "--data", data, "--out", tmp_path / "q").exception, MismatchError
        )

    def test_a_corrupt_image_is_named(self, run, tmp_path):
        dataset = make_dataset(tmp_path / "d", n_tracklets=2, n_frames=2)
        file = dataset.image_file(dataset.frames["image"][1].as_py()["path"])
        file.write_bytes(b"no image")
        error = call(run, "--data", tmp_path / "d", "--out", tmp_path / "q").exception
        assert isinstance(error, CorruptCropError) and file.name in str(error)
        assert not (tmp_path / "q").exists()

    def test_single_frames_have_nothing_to_compare(self, run, tmp_path):
        make_dataset(tmp_path / "d", n_tracklets=1, n_frames=1)
        error = call(run, "--data", tmp_path / "d", "--out", tmp_path / "q").exception
        assert "none with two frames" in str(error)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--tracklet", "a", "--tracklets", "2"), "--tracklets does not go with --tracklet"),
            (("--tracklets", "0"), "0 is not in the range"),
            (("--frames", "1"), "1 is not in the range"),
            (("--seed", "-1"), "-1 is not in the range"),
        ],
    )
    def test_options(self, run, arguments, message):
        assert message in call(run, *arguments).exception.format_message()


def test_the_picture_of_the_readme_shows_nobody_real(data, run, tmp_path, monkeypatch):
    """tests/bench/draw_readme.py: a dataset whose videos the demo did not draw is refused before
    anything is read."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "bench"))
    import draw_readme

    (tmp_path / "street" / "video").mkdir(parents=True)
    with pytest.raises(SystemExit, match="the README shows synthetic persons only"):
        draw_readme.draw_scores(tmp_path, run, data)
    for number, source in enumerate(open_dataset(data).manifest["sources"]):
        film = make_film(source["camera_id"])
        (tmp_path / "street" / "video" / f"{number}.mp4").write_bytes(film)
    picture = draw_readme.draw_scores(tmp_path, run, data)
    assert picture.shape[0] > 800
    assert (draw_readme.draw_scores(tmp_path, run, data) == picture).all()


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium")
def test_the_page_in_a_browser(run, data, tmp_path):
    said = write(run, "--data", data, "--out", tmp_path / "q", "--tracklets", 2)
    with Browser(tmp_path / "profile") as browser:
        browser.open(f"file://{said['page']}")
        assert browser.ask("[...document.images].every((i) => i.complete && i.naturalWidth > 400)")
        assert browser.ask("document.images.length") == 3
        assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
        assert browser.complaints == []
        assert [r for r in browser.requests if not r.startswith(("file:", "data:"))] == []
