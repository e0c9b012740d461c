"""`lpw reproduce fig1`, `fig3`, `fig5`, `fig7`: what is shown, and that the pictures say it."""

import csv
import json
import re
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from lpw_cli.reproduce import command
from make_dataset import make_dataset
from plugin_tools import add_plugin
from tiny_runs import make_run

from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.errors import LpwError
from rqen.body.key_points import BodyPoints
from rqen.body.landmarks import FROM_CPM, map_cpm
from rqen.figures import FIGURES
from rqen.figures.curves_page import write_curves_page
from rqen.figures.drawings.fig1 import aggregate_maps, blend_images, draw_maps, find_first_maps
from rqen.figures.drawings.fig3 import LIMBS, sort_samples
from rqen.figures.drawings.fig5 import SceneSample, sample_scenes
from rqen.figures.drawings.fig7 import draw_absolute
from rqen.inference.run_vectors import embed_run
from rqen.quality_page.score_pictures import ScoredSet
from rqen.quality_page.scored_tracklets import QualityView
from rqen.reproduce.forms import Report

#: Heights of a standing body in CPM's order, as shares of the picture.
CPM_HEIGHTS = (
    *(0.06, 0.17, 0.20, 0.35, 0.47, 0.20, 0.35, 0.47),
    *(0.51, 0.72, 0.93, 0.51, 0.72, 0.93),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("figures") / "d", n_tracklets=6, n_frames=3).root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "untrained"
    return make_run(open_dataset(data), out, "train.iterations=0", split=None)


def call(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


def draw(*arguments) -> tuple[Path, list[Path]]:
    """The page and the pictures of a figure."""
    result = call(*arguments, "--json")
    assert result.exception is None, result.exception
    said = json.loads(result.stdout.splitlines()[-1])
    return Path(said["page"]), [Path(name) for name in said["pictures"]]


def numbers(page: Path, section: int) -> list[list[str]]:
    """The cells of the table of that section."""
    text = page.read_text("utf-8").split("<section>")[section]
    rows = re.findall(r"<tr>((?:<td>[^<]*</td>)+)</tr>", text)
    return [[unescape(cell) for cell in re.findall("<td>(.*?)</td>", row)] for row in rows]


def colours(png: bytes | Path) -> np.ndarray:
    """The picture (H, W, 3) as RGB integers."""
    content = png if isinstance(png, bytes) else png.read_bytes()
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return image[..., ::-1].astype(int)


def make_set(scores, **changes) -> ScoredSet:
    scores = np.array(scores, dtype=np.float32)
    n = len(scores)
    values = {
        "images": [np.full((64, 32, 3), 128, dtype=np.uint8)] * n,
        "scores": scores,
        "activation": np.zeros((n, 8, 4), dtype=np.float32),
        "positions": list(range(n)),
        "division": (3.0, 2.0, 2.0),
        "regions": ("upper", "middle", "lower"),
    }
    return ScoredSet(**{**values, **changes})


class TestFirstMaps:
    def test_they_are_those_of_the_first_convolution(self, run):
        view = QualityView(run)
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 255, (64, 32, 3), dtype=np.uint8) for _ in range(2)]
        pixels = view.prepare(images)
        backbone = view.network.backbone
        first = next(m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d))
        with torch.no_grad():
            expected = first(pixels).abs().mean(dim=1)
        found = find_first_maps(backbone, pixels)
        assert found.shape == (2, 32, 16)
        assert found == pytest.approx(expected.numpy(), abs=1e-6)
        assert not first._forward_hooks

    def test_each_row_is_weighed_by_its_region(self):
        maps = np.stack([np.zeros((7, 2)), np.ones((7, 2))]).astype(np.float32)
        shown = make_set([[0.9, 0.5, 0.0], [0.1, 0.5, 0.8]])
        joined = aggregate_maps(maps, shown)
        assert joined.mean == pytest.approx(np.full((7, 2), 0.5))
        assert joined.weighed[:, 0] == pytest.approx([0.1] * 3 + [0.5] * 2 + [1.0] * 2)
        assert joined.difference == pytest.approx((3 * 0.4 + 2 * 0.5) / 7 / 0.5)

    def test_even_scores_give_the_mean(self):
        rng = np.random.default_rng(1)
        maps = rng.random((3, 8, 4), dtype=np.float32)
        joined = aggregate_maps(maps, make_set(np.full((3, 3), 0.7)))
        assert joined.weighed == pytest.approx(maps.mean(axis=0), abs=1e-6)
        assert joined.difference < 1e-6

    def test_the_frames_are_blended_alike(self):
        images = [np.full((70, 20, 3), value, dtype=np.uint8) for value in (0, 200)]
        shown = make_set([[0.9, 0.5, 0.0], [0.1, 0.5, 0.8]], images=images)
        blended = blend_images(shown, shown.shares)
        assert blended[[0, 29, 30, 49, 50, 69], 0, 0].tolist() == [20, 20, 100, 100, 200, 200]

    @pytest.mark.parametrize("maps", [np.zeros((2, 1, 1)), np.ones((2, 8, 4))])
    def test_odd_maps_are_drawn(self, maps):
        maps, shown = maps.astype(np.float32), make_set([[1e-30] * 3] * 2)
        assert draw_maps(shown, maps, aggregate_maps(maps, shown))[:4] == b"\x89PNG"

    def test_the_page(self, run, data, tmp_path):
        page, pictures = draw("fig1", data, "--run", run, "--out", tmp_path / "o")
        assert [picture.name for picture in pictures] == ["tracklet-001.png", "tracklet-002.png"]
        shown = numbers(page, 1)
        title = re.findall("<h2>(.*?)</h2>", page.read_text("utf-8"))[0]
        found = embed_run(run, data)
        ids = np.array(found.dataset.frames["tracklet_id"].to_pylist())
        scores = found.scores[ids == unescape(title)][[int(row[0]) for row in shown]]
        assert [[float(row[1]), float(row[3])] for row in shown] == pytest.approx(
            scores[:, :2], abs=1e-4
        )
        text = page.read_text("utf-8")
        assert re.search(r"the two differ by \d+\.\d\d % of the mean on average", text)
        assert "<script" not in text and not re.search(r"https?:", text)
        assert colours(pictures[0]).std() > 20


class TestScores:
    def test_low_is_blue_high_is_red_and_the_middle_neither(self):
        picture = colours(draw_absolute(make_set([[0.0, 0.5, 1.0]])))
        scale = 106
        x = int((0.85 + 0.95 + 0.06) * scale)  # the pure colour beside the frame
        rows = [int((0.32 + share * 1.9) * scale) for share in (0.2, 0.57, 0.85)]
        low, middle, high = (picture[row, x] for row in rows)
        assert low[2] > low[0] + 80  # RGB
        assert high[0] > high[2] + 80
        assert abs(middle[0] - middle[2]) < 10
        tinted = picture[rows[0], int((0.85 + 0.6) * scale)]
        assert tinted[2] > tinted[0] + 30

    def test_the_scale_does_not_follow_the_data(self):
        """0.50 to 0.52 stays pale: the scale is [0, 1], as the paper's."""
        picture = colours(draw_absolute(make_set([[0.50, 0.51, 0.52]])))
        x, rows = int(1.86 * 106), [int((0.32 + share * 1.9) * 106) for share in (0.2, 0.85)]
        assert abs(picture[rows[0], x] - picture[rows[1], x]).max() < 15

    def test_named_tracklets_with_their_numbers(self, run, data, tmp_path):
        names = open_dataset(data).tracklets["tracklet_id"].to_pylist()
        words = ("--tracklet", names[4], "--tracklet", names[1], "--frames", 2)
        page, pictures = draw("fig7", data, "--run", run, "--out", tmp_path / "o", *words)
        assert re.findall("<h2>(.*?)</h2>", page.read_text("utf-8")) == [names[4], names[1]]
        assert len(pictures) == 2 and len(numbers(page, 1)) == 2


class TestPersons:
    def test_persons_of_the_most_cameras_and_counts_of_the_scene(self, data):
        dataset = open_dataset(data)
        first, second = sample_scenes(dataset, 4)
        ids = dataset.tracklets["tracklet_id"].to_pylist()
        assert (first.scene, first.cameras) == ("scen1", ("scen1/view1", "scen1/view2"))
        assert first.rows[0] == "scen1/1"
        assert {place: ids[row] for place, row in first.tracklets.items()} == {
            (0, 0): "scen1/view1/000001",
            (0, 1): "scen1/view2/000001",
            (1, 0): "scen1/view1/000002",
        }
        n_images = dataset.frames.num_rows
        assert first.counts.startswith("2 persons, 2 shown; 3 tracklets, 2 cameras, ")
        assert second.counts.startswith("1 person, 1 shown; 1 tracklet, 1 camera, ")
        assert first.labels == (["1", "2"], ["view1", "view2"])
        images = [int(s.counts.split(", ")[-1].split()[0]) for s in (first, second)]
        assert 0 < sum(images) < n_images  # two tracklets have no person

    def test_the_page_says_which_tracklets(self, data, tmp_path):
        page, pictures = draw("fig5", data, "--out", tmp_path / "o", "--frames", 2)
        assert [picture.name for picture in pictures] == ["scene-001.png", "scene-002.png"]
        assert numbers(page, 1) == [
            ["1", "scen1/1", "scen1/view1/000001", "scen1/view2/000001"],
            ["2", "scen1/2", "scen1/view1/000002", "-"],
        ]
        empty = colours(pictures[0])[int((0.3 + 1.08 + 0.2) * 106), int((0.6 + 1.16 + 0.5) * 106)]
        assert empty.min() > 235  # nobody was seen there

    @pytest.mark.parametrize(
        ("names", "labels"),
        [
            (("a/7", "b/7"), ["1", "2"]),  # the same ends
            (("a/7", "b/123456789"), ["1", "2"]),
            (("a/7", "b/\u4e00"), ["1", "2"]),
            (("a/", "b"), ["1", "2"]),
            (("a/7", "b/12"), ["7", "12"]),
        ],
    )
    def test_labels_that_fit_and_tell_apart(self, names, labels):
        sample = SceneSample(None, ("left", "right"), names, {}, "")
        assert sample.labels == (labels, ["left", "right"])

    def test_many_persons_are_spread_evenly(self, tmp_path):
        dataset = make_dataset(tmp_path / "d", n_tracklets=80, n_frames=1)
        (first, _) = sample_scenes(dataset, 3)
        assert len(first.rows) == 3
        both = [row for row in range(3) if {(row, 0), (row, 1)} <= set(first.tracklets)]
        assert both == [0, 1, 2]
        persons = {int(name.split("/")[1]) for name in first.rows}
        assert max(persons) - min(persons) > 10

    def test_a_dataset_without_persons_shows_tracklets(self, tmp_path):
        dataset = make_dataset(tmp_path / "d", n_tracklets=6, n_frames=2, identified=False)
        first, _ = sample_scenes(dataset, 4)
        assert first.rows == ("scen1/view1/000001", "scen1/view1/000002", *(
            "scen1/view2/000001", "scen1/view2/000002"))  # fmt: skip
        assert "person" not in first.counts
        page, _ = draw("fig5", dataset.root, "--out", tmp_path / "o", "--rows", 1)
        assert len(numbers(page, 1)) == 2  # one of each camera


def write_landmarks(file: Path, dataset, heights) -> None:
    """A table of landmarks in CPM's order: one line per image, these heights as shares."""
    with file.open("w", newline="") as text:
        writer = csv.writer(text)
        columns = [f"{axis}{joint}" for axis in "xy" for joint in range(1, 15)]
        writer.writerow(["path", *columns])
        frames = dataset.frames.to_pylist()
        for row, (frame, shares) in enumerate(zip(frames, heights, strict=True)):
            y = ["" if share is None else f"{share * frame['height']:.2f}" for share in shares]
            x = ["" if share is None else f"{8 + row % 3}" for share in shares]
            writer.writerow([frame["image"]["path"], *x, *y])


class TestLandmarks:
    def sort(self, heights, looked_at):
        points = np.zeros((len(heights), 14, 3))
        points[..., 1] = np.nan_to_num(np.array(heights, dtype=float))
        points[..., 2] = ~np.isnan(np.array(heights, dtype=float))
        rows = np.arange(len(heights), dtype=np.int64)
        found = BodyPoints(rows, map_cpm(points), (), "test")
        return sort_samples(found, found.seen(0.5), np.array(looked_at, dtype=np.int64))

    def test_success_is_a_whole_standing_body(self):
        hidden = [*CPM_HEIGHTS[:-1], np.nan]
        fallen = [1 - height for height in CPM_HEIGHTS]
        few = [0.1, 0.2, *[np.nan] * 12]
        samples = self.sort([CPM_HEIGHTS, hidden, fallen, few, CPM_HEIGHTS], range(7))
        assert samples.success.tolist() == [0, 4]
        assert samples.failure.tolist() == [5, 6, 3, 1, 2]  # nobody, few joints, one, the wrong way

    def test_all_of_the_fourteen_joints_are_joined(self):
        assert {joint for limb in LIMBS for joint in limb} == set(range(14))
        assert len(LIMBS) == 13 and len(FROM_CPM) == 14

    def test_the_page(self, data, tmp_path):
        dataset = open_dataset(data)
        n = dataset.frames.num_rows
        heights = [list(CPM_HEIGHTS) for _ in range(n)]
        heights[2][10] = heights[5][0] = heights[5][1] = None
        write_landmarks(tmp_path / "l.csv", dataset, heights)
        words = ("--landmarks", tmp_path / "l.csv", "--out", tmp_path / "o", "--rows", 3)
        page, pictures = draw("fig3", data, *words)
        assert [picture.stem for picture in pictures] == ["success", "failure", "division"]
        titles = re.findall("<h2>(.*?)</h2>", page.read_text("utf-8"))
        assert titles[:2] == [f"Success: {n - 2} of {n} images", f"Failure: 2 of {n} images"]
        paths = [image["path"] for image in dataset.frames["image"].to_pylist()]
        assert numbers(page, 2) == [
            ["1", paths[5], "12 of 14"],
            ["2", paths[2], "13 of 14"],
        ]
        assert "rows 3.28" not in page.read_text("utf-8")
        assert "a k-means of the sets" in unescape(page.read_text("utf-8"))

    def test_where_all_succeed_nothing_is_drawn_of_failures(self, data, tmp_path):
        dataset = open_dataset(data)
        write_landmarks(tmp_path / "l.csv", dataset, [CPM_HEIGHTS] * dataset.frames.num_rows)
        words = ("--landmarks", tmp_path / "l.csv", "--out", tmp_path / "o")
        page, pictures = draw("fig3", data, *words)
        assert [picture.stem for picture in pictures] == ["success", "division"]
        assert f"Failure: 0 of {dataset.frames.num_rows} images" in page.read_text("utf-8")


class TestCurves:
    def test_the_page_of_figure_6(self, tmp_path):
        report = Report("Figure 6", ["trained on x"], [], ["RQEN is <ahead>"], {})
        curves = {"RQEN": np.array([0.5, 0.75]), "mean": np.array([0.4, 0.7])}
        page, picture = write_curves_page(report, curves, tmp_path / "o")
        text = page.read_text("utf-8")
        assert "RQEN is &lt;ahead&gt;" in text and "trained on x" in text
        assert colours(picture).std() > 5


class TestFaults:
    def test_options_of_other_figures_and_tables(self, run, data):
        for words, message in (
            (("fig5", data, "--run", run), "--run does not go with TABLE fig3 or TABLE fig5"),
            (("fig3", data, "--frames", 3), "--frames does not go with TABLE fig3"),
            (("fig1", data, "--pose", "x"), "--pose belongs to TABLE fig3"),
            (("fig1", data, "--seeds", 1), "--seeds does not go with TABLE table1 or TABLE fig1"),
            (("fig1", data, "--only-report"), "--only-report does not go with"),
            (("table2", data, "--run", run), "--run belongs to TABLE fig1"),
            (("table2", data, "--rows", 3), "--rows belongs to TABLE fig1"),
            (("fig7", data, "--rows", 1, "--tracklet", "a"), "--rows does not go with --tracklet"),
            (("fig3", data, "--pose", "x", "--landmarks", "y"), "does not go with --landmarks"),
            (("fig1", data, data), "fig1 takes one dataset"),
            (("fig9", data), "Did you mean"),
        ):
            assert message in call(*words).exception.format_message(), words

    def test_one_line_each(self, run, data, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "note.txt").write_text("mine")
        (tmp_path / "empty.csv").write_text("")
        mean = make_run(
            open_dataset(data), tmp_path / "r", "train.iterations=0", method="mean", split=None
        )
        for words, message in (
            (("fig1", data), "there is no runs/latest"),
            (("fig1", data, "--run", tmp_path / "none"), "no such folder"),
            (("fig1", data, "--run", mean), "weighs all frames alike"),
            (("fig1", data, "--run", run, "--tracklet", "nobody"), "got nobody; expected ids of"),
            (("fig5", tmp_path / "none"), "no such folder"),
            (("fig5", data, "--out", tmp_path / "mine"), "note.txt"),
            (("fig5", data, "--out", data / "o"), "inside the dataset"),
            (("fig3", data, "--landmarks", tmp_path / "none"), "no such file"),
            (("fig3", data, "--landmarks", tmp_path / "empty.csv"), "no column"),
        ):
            error = call(*words).exception
            assert isinstance(error, LpwError) and message in str(error), str(error)
            assert "\n" not in str(error)

    def test_the_newest_run_is_taken(self, data, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        make_run(open_dataset(data), tmp_path / "runs" / "a", "train.iterations=0", split=None)
        (tmp_path / "runs" / "latest").write_text("a\n")
        result = call("fig7", data, "--rows", 1)
        assert result.exception is None
        assert "run: runs/a (the newest)" in result.output
        assert (tmp_path / "fig7" / "index.html").is_file()


FIGURE = """
from rqen.figures.figure import Drawing
from rqen.quality_page.picture_page import Section

TITLE, NEEDS_RUN = "Sizes", False

def draw_figure(request):
    return Drawing((("data", request.data.name),), {"sizes": Section("Sizes of crops")})
"""


@pytest.mark.parametrize("way", ["file", "entry point"])
def test_a_figure_is_added(data, tmp_path, monkeypatch, way):
    from rqen.figures.figure import FigureRequest, write_figure

    (tmp_path / "plugin").mkdir()
    add_plugin(FIGURES, way, "sizes", FIGURE, tmp_path / "plugin", monkeypatch)
    assert "sizes" in FIGURES.names()
    (page,) = write_figure("sizes", FigureRequest(data), tmp_path / "o")
    assert "<h2>Sizes of crops</h2>" in page.read_text("utf-8")
