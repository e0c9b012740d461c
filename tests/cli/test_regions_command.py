"""`lpw regions`: from a table of landmarks or a pose model to a division that a recipe takes, and
its picture."""

import csv
import json
import re

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from lpw_cli.regions import command
from make_dataset import CROP_HEIGHT, CROP_WIDTH, make_dataset
from make_pose import make_pose

from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.errors import LpwError
from rqen.body.key_points import read_landmarks
from rqen.body.landmarks import FROM_CPM, JOINTS
from rqen.model.regions import weigh_rows
from rqen.recipe import read_recipe

#: Rough upright proportions of protocols.md 8.2, in the paper's order.
UPRIGHT = (0.06, 0.17, 0.20, 0.20, 0.35, 0.35, 0.47, 0.47, 0.51, 0.51, 0.72, 0.72, 0.93, 0.93)
HEADER = ["path", *(f"{kind}{i}" for kind in "xy" for i in range(1, 15))]
CPM = [UPRIGHT[FROM_CPM.index(i)] for i in range(14)]
COCO = [
    0.1,
    0.09,
    0.09,
    0.1,
    0.1,
    0.2,
    0.2,
    0.35,
    0.35,
    0.47,
    0.47,
    0.51,
    0.51,
    0.72,
    0.72,
    0.93,
    0.93,
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("regions") / "d"
    make_dataset(root, n_tracklets=4, n_frames=2, boxes=False)
    return root


def make_rows(root, heights=CPM):
    paths = [image["path"] for image in open_dataset(root).frames["image"].to_pylist()]
    sides = [f"{CROP_WIDTH * (0.3 + 0.03 * i):.2f}" for i in range(14)]
    return [
        [path, *sides, *(f"{CROP_HEIGHT * height:.2f}" for height in heights)] for path in paths
    ]


def write_csv(path, rows, header=HEADER):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def call(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


def ask(*arguments):
    result = call(*arguments, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.stdout.splitlines()[-1])


class TestLandmarks:
    def test_upright_proportions_give_the_printed_ratio(self, data, tmp_path):
        said = ask(data, "--landmarks", write_csv(tmp_path / "l.csv", make_rows(data)))
        assert said["rounded"] == [3, 2, 2]
        assert said["cuts"] == pytest.approx([0.472, 0.720], abs=1e-3)
        assert sum(said["rows"]) == pytest.approx(7)
        assert (said["n_images"], said["n_joints"], said["left_out"]) == (14, 14 * 14, [])

    def test_the_centres_are_found_as_asked_and_it_is_recorded(self, data, tmp_path):
        file = write_csv(tmp_path / "l.csv", make_rows(data))
        assert ask(data, "--landmarks", file)["centres_by"] == "mean"
        for by, cuts in (("k-means", [0.472, 0.720]), ("k-means-joints", [0.394, 0.748])):
            said = ask(data, "--landmarks", file, "--centres", by)
            assert said["centres_by"] == by
            assert said["cuts"] == pytest.approx(cuts, abs=1e-3)
        text = call(data, "--landmarks", file, "--centres", "k-means").stdout
        assert "centres: a k-means of the sets' heights on every image" in text

    def test_a_recipe_takes_what_is_printed(self, data, tmp_path):
        said = ask(data, "--landmarks", write_csv(tmp_path / "l.csv", make_rows(data)))
        assert read_recipe("modern", (said["set_rounded"],)).model.division == (3.0, 2.0, 2.0)
        exact = read_recipe("modern", (said["set_exact"],)).specify("rqen").division
        assert exact == pytest.approx(said["rows"], abs=1e-3)
        weights = weigh_rows(16, exact)
        assert weights.sum(1).tolist() == pytest.approx([1, 1, 1])
        assert float(weights[0, 7]) < float(
            weights[0, 6]
        )  # row 7 is cut by the border at .472 * 16
        text = call(data, "--landmarks", tmp_path / "l.csv").stdout
        assert f"--set '{said['set_rounded']}'" in text
        assert f"--set '{said['set_exact']}'" in text
        assert "rounded 3:2:2" in text

    def test_the_order_of_the_table_is_cpms(self, data, tmp_path):
        found, _ = read_landmarks(
            write_csv(tmp_path / "l.csv", make_rows(data)), open_dataset(data)
        )
        assert found.points[0, :, 1] == pytest.approx(UPRIGHT, abs=1e-3)
        assert found.points[0, :, 0] == pytest.approx([0.3 + 0.03 * i for i in FROM_CPM], abs=1e-3)
        assert found.points.shape == (14, len(JOINTS), 3)

    def test_what_does_not_fit_is_counted_and_told(self, data, tmp_path):
        rows = make_rows(data)[3:]
        rows[0][1:15] = [""] * 14
        rows[1][20] = "999"
        rows += [["other/1.jpg", *rows[1][1:]], ["other/2.jpg", *rows[1][1:]]]
        result = call(data, "--landmarks", write_csv(tmp_path / "l.csv", rows), "--json")
        said = json.loads(result.stdout)
        assert said["left_out"] == [
            "2 rows of images that the dataset lacks, such as other/1.jpg",
            "1 joints outside their picture",
            "3 images without a row",
        ]
        assert said["n_joints"] == 11 * 14 - 14 - 1
        assert "left out: 3 images without a row" in result.stderr

    def test_paths_may_lack_the_folder_of_images(self, data, tmp_path):
        rows = [[row[0].removeprefix("images/"), *row[1:]] for row in make_rows(data)]
        assert ask(data, "--landmarks", write_csv(tmp_path / "l.csv", rows))["n_images"] == 14

    def test_confidences_decide_what_counts(self, data, tmp_path):
        rows = [[*row, *(["0.9"] * 14)] for row in make_rows(data)]
        for row in rows[:4]:
            row[15 + 10 :] = ["60"] * 4 + ["0.2"] * 14  # four odd joints, all of them unsure
        file = write_csv(tmp_path / "l.csv", rows, [*HEADER, *(f"c{i}" for i in range(1, 15))])
        assert ask(data, "--landmarks", file)["n_images"] == 14
        assert ask(data, "--landmarks", file)["cuts"] == pytest.approx([0.472, 0.720], abs=1e-3)
        assert ask(data, "--landmarks", file, "--min-confidence", 0.1)["cuts"][0] > 0.48

    def test_a_byte_order_mark_and_another_order_of_columns(self, data, tmp_path):
        rows = [[*row[15:], row[0], *row[1:15]] for row in make_rows(data)]
        write_csv(tmp_path / "a.csv", rows, [*HEADER[15:], "path", *HEADER[1:15]])
        (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.csv").read_bytes())
        assert ask(data, "--landmarks", tmp_path / "b.csv")["rounded"] == [3, 2, 2]


class TestPicture:
    def test_png_is_a_picture_and_the_same_twice(self, data, tmp_path):
        file = write_csv(tmp_path / "l.csv", make_rows(data))
        for name in ("a.png", "b.png"):
            ask(data, "--landmarks", file, "--show", tmp_path / "new" / name)
        image = cv2.imread(str(tmp_path / "new" / "a.png"))
        assert image.shape[0] > 400 and image.shape[1] > 800
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100
        assert (tmp_path / "new" / "a.png").read_bytes() == (
            tmp_path / "new" / "b.png"
        ).read_bytes()

    def test_page_loads_nothing_and_escapes(self, data, tmp_path):
        file = write_csv(tmp_path / "<script>x.csv", make_rows(data))
        ask(data, "--landmarks", file, "--show", tmp_path / "a.html")
        text = (tmp_path / "a.html").read_text()
        assert "default-src 'none'; img-src data:" in text
        assert not re.search(r"<script|https?:|<link| src=\"(?!data:image/png)", text)
        assert "&lt;script&gt;x.csv" in text
        assert str(tmp_path) not in text


class TestPose:
    def test_key_points_of_a_model_become_a_division(self, data, tmp_path):
        weights = make_pose(tmp_path / "yolo-pose.pt", heights_px=[320 * height for height in COCO])
        said = ask(data, "--pose", weights, "--images", 5, "--show", tmp_path / "a.png")
        assert said["rounded"] == [3, 2, 2]
        assert (said["n_images"], said["n_joints"], said["joints_from"]) == (5, 70, "yolo-pose.pt")
        sure = 1 / (1 + np.exp(-3.0))
        assert (
            ask(data, "--pose", weights, "--min-confidence", sure - 0.01, "--images", 2)["n_joints"]
            == 28
        )
        result = call(data, "--pose", weights, "--min-confidence", sure + 0.01, "--images", 2)
        assert "never seen" in str(result.exception)

    def test_nobody_found(self, data, tmp_path):
        weights = make_pose(tmp_path / "yolo-pose.pt", bias=-9.0)
        with pytest.raises(LpwError, match="got no person on any of 3 images"):
            raise call(data, "--pose", weights, "--images", 3, "--image-size", 64).exception


def spoil(rows, row, column, value):
    return [*rows[:row], [*rows[row][:column], value, *rows[row][column + 1 :]], *rows[row + 1 :]]


BAD = {
    "a word": (
        lambda r: spoil(r, 1, 3, "left"),
        HEADER,
        r"'left' on line 3; expected a finite number",
    ),
    "infinite": (lambda r: spoil(r, 0, 3, "inf"), HEADER, r"'inf' on line 2"),
    "nan": (lambda r: spoil(r, 0, 3, "nan"), HEADER, r"'nan' on line 2"),
    "a short line": (
        lambda r: [*r, r[0][:9]],
        HEADER,
        "line 16 with 9 cells; expected a path and 28 numbers",
    ),
    "no path": (lambda r: spoil(r, 0, 0, ""), HEADER, "line 2 without a path"),
    "twice": (lambda r: [*r, r[2]], HEADER, "1 images named more than once"),
    "other images": (
        lambda r: spoil(r[:1], 0, 0, "x.jpg"),
        HEADER,
        "paths such as x.jpg, none of them",
    ),
    "13 joints": (lambda r: [row[:-1] for row in r], HEADER[:-1], "no column y14"),
    "15 joints": (lambda r: [[*row, "1"] for row in r], [*HEADER, "y15"], "a column 'y15'"),
    "no header": (lambda r: r[1:], None, "no column path"),
    "nothing": (lambda r: [], HEADER, "no line of landmarks"),
    "fractions": (
        lambda r: [[row[0], *(["0.004"] * 28)] for row in r],
        HEADER,
        "upper above middle above lower",
    ),
    "larger images": (
        lambda r: [[row[0], *(str(9 * float(v)) for v in row[1:])] for row in r],
        HEADER,
        r"joints outside their pictures; expected pixels of the images",
    ),
    "upside down": (
        lambda r: [[*row[:15], *(str(CROP_HEIGHT - float(v)) for v in row[15:])] for row in r],
        HEADER,
        "upper above middle above lower",
    ),
}


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test_tables(self, data, tmp_path, name):
        change, header, message = BAD[name]
        rows = make_rows(data)
        file = write_csv(tmp_path / "l.csv", change(rows), rows[0] if header is None else header)
        error = call(data, "--landmarks", file).exception
        assert isinstance(error, LpwError)
        assert re.search(message, str(error))
        assert "\n" not in str(error)

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00path", b'path,"x1\n', b"\0\0\0\0"])
    def test_files_that_are_no_table(self, data, tmp_path, content):
        (tmp_path / "l.csv").write_bytes(content)
        error = call(data, "--landmarks", tmp_path / "l.csv").exception
        assert isinstance(error, LpwError) and "l.csv" in str(error)

    def test_places(self, data, tmp_path):
        file = write_csv(tmp_path / "l.csv", make_rows(data))
        for arguments, message in (
            ((data, "--landmarks", tmp_path / "none.csv"), "no such file"),
            ((data, "--landmarks", tmp_path), "is a directory"),
            ((tmp_path / "none", "--landmarks", file), "no such folder"),
            ((data, "--landmarks", file, "--show", tmp_path / "a.jpg"), r"ends in \.png or \.html"),
            ((data, "--landmarks", file, "--show", data / "a.png"), "inside the dataset"),
            ((data, "--landmarks", file, "--min-confidence", 0.3), "columns c1 to c14"),
        ):
            error = call(*arguments).exception
            assert isinstance(error, LpwError) and re.search(message, str(error)), str(error)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "give one of --landmarks, --pose"),
            (("--landmarks", "a.csv", "--pose", "b.pt"), "--landmarks and --pose do not go"),
            (("--landmarks", "a.csv", "--images", "3"), "--images belongs to --pose"),
            (("--pose", "a.pt", "--images", "0"), "0 is not in the range"),
            (("--pose", "a.pt", "--min-confidence", "2"), "2.0 is not in the range"),
        ],
    )
    def test_options(self, data, arguments, message):
        error = call(data, *arguments).exception
        assert message in error.format_message()


@pytest.mark.realdata
def test_real_landmarks_through_the_command(shared_data, tmp_path):
    """Issue 4's oracle: cuts at .476 and .711, 3.33 : 1.65 : 2.02 rows, 3:2:2."""
    raw = shared_data / "mini_lpw"
    config = ImportConfig("lpw", raw, tmp_path / "mini", allow_partial=True, in_place=True)
    import_benchmark(config, lambda _: None)
    said = ask(tmp_path / "mini", "--landmarks", raw / "landmarks.csv")
    assert (said["n_images"], said["n_joints"], said["left_out"]) == (5200, 5200 * 14, [])
    assert said["cuts"] == pytest.approx([0.476, 0.711], abs=5e-4)
    assert said["rows"] == pytest.approx([3.33, 1.65, 2.02], abs=5e-3)
    assert said["set_rounded"] == "model.division=[3, 2, 2]"
    assert said["set_exact"] == "model.division=[3.333, 1.645, 2.022]"
