"""The folder that `lpw show` writes: complete, its own, and safe whatever the ids are."""

import base64
import hashlib
import re

import cv2
import numpy as np
import pyarrow as pa
import pytest
from make_dataset import make_dataset
from show_tools import HOSTILE, read_data, rename_tracklets

from lpw_toolkit.dataset import schema
from lpw_toolkit.errors import LpwError, MismatchError
from lpw_toolkit.pages import dataset_page
from lpw_toolkit.pages.render import list_files
from lpw_toolkit.pages.sprites import (
    TILE_HEIGHT_PX,
    cross_out,
    draw_strip,
    paste_crop,
    sample_positions,
    tile_width,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("show") / "d", n_tracklets=8, n_frames=20)


def test_the_folder_is_complete(dataset, tmp_path):
    page = dataset_page.write_show(dataset, tmp_path / "show").page
    assert page == tmp_path / "show" / "index.html"
    data = read_data(tmp_path / "show")
    assert data["id"][:2] == ["scen1/view1/000001", "scen1/view1/000002"]
    assert data["cameras"] == ["scen1/view1", "scen1/view2", "scen2/view1", "scen2/view2"]
    assert data["length"] == [20, 24, 21, 20, 22, 21, 23, 22]
    assert (data["unit"], data["start"][:2], data["end"][:2]) == ("s", [0.0, 0.7], [1.9, 3.0])
    assert all(0.5 <= score <= 1 for score in data["score"])
    for row, (tiles, width) in enumerate(zip(data["tiles"], data["tile"], strict=True)):
        sprite = cv2.imread(str(tmp_path / "show" / dataset_page.sprite_path(row)))
        assert sprite.shape == (TILE_HEIGHT_PX, tiles * width, 3)
    files = {p.name for p in (tmp_path / "show").iterdir()}
    assert files == {
        "index.html",
        "base.css",
        "common.js",
        "canvas.js",
        "show.css",
        "show.js",
        "timeline.js",
        "data.js",
        "sprites",
        dataset_page.MARKER,
    }


def test_sprites_show_the_right_crops(dataset, tmp_path):
    dataset_page.write_show(dataset, tmp_path / "show", max_crops=5)
    frames = dataset.frames.to_pandas()
    mine = frames[frames.tracklet_id == "scen1/view1/000002"]
    sprite = cv2.imread(str(tmp_path / "show" / dataset_page.sprite_path(1))).astype(float)
    for k, position in enumerate([0, 6, 12, 17, 23]):
        crop = cv2.imread(str(dataset.root / mine.iloc[position].image["path"]))
        tile = sprite[:, 48 * k : 48 * (k + 1)]
        assert np.abs(cv2.resize(crop, (48, 96)).astype(float) - tile).mean() < 6


def test_samples_are_even_and_hold_both_ends():
    assert sample_positions(5, 12) == [0, 1, 2, 3, 4]
    assert sample_positions(100, 5) == [0, 25, 50, 74, 99]
    assert sample_positions(7, 1) == [3]
    for n_frames in range(13, 400, 7):
        positions = sample_positions(n_frames, 12)
        assert (len(positions), positions[0], positions[-1]) == (12, 0, n_frames - 1)
        assert set(np.diff(positions)) <= {(n_frames - 1) // 11, (n_frames - 1) // 11 + 1}


def test_a_tile_keeps_the_shape_of_its_crop():
    tile = np.zeros((96, 48, 3), dtype=np.uint8)
    paste_crop(tile, np.full((50, 50, 3), 255, dtype=np.uint8))
    white = (tile == 255).all(axis=2)
    assert (white.any(axis=1).sum(), white.any(axis=0).sum()) == (48, 48)
    assert tile_width([{"width": 32, "height": 64}] * 3) == 48
    assert tile_width([{"width": 900, "height": 10}]) == 128


@pytest.mark.parametrize("height", [96, 150, 192, 384, 800])
def test_reduced_decoding_never_falls_below_the_tile(tmp_path, height):
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (height, height // 2, 3), dtype=np.uint8),
        (0, 0),
        9,
    )
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(data)
    row = {"image": {"bytes": None, "path": "a.jpg"}, "sha256": hashlib.sha256(data).digest()}
    little = make_dataset(tmp_path / "d", n_tracklets=1)
    object.__setattr__(little, "root", tmp_path)
    rows = pa.Table.from_pylist([{**row, "width": height // 2, "height": height}])
    strip = cv2.imdecode(np.frombuffer(draw_strip(little, rows).jpeg, np.uint8), cv2.IMREAD_COLOR)
    full = cv2.resize(image, (48, 96), interpolation=cv2.INTER_AREA)
    assert np.abs(strip.astype(float) - full).mean() < 4


@pytest.mark.parametrize("damage", ["flip", "missing", "empty", "other"])
def test_a_corrupt_crop_is_crossed_out_and_reported(tmp_path, damage):
    dataset = make_dataset(tmp_path / "d", n_frames=8)
    file = tmp_path / "d" / "images" / "scen1" / "view2" / "000001" / "3.jpg"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(
            {"flip": bytes(data), "empty": b"", "other": b"\x89PNG\r\n\x1a\n" + bytes(60)}[damage]
        )
    made = dataset_page.write_show(dataset, tmp_path / "show")
    assert len(made.problems) == 1
    assert made.problems[0].startswith(f"{file}: got ")
    data = read_data(tmp_path / "show")
    row = data["id"].index("scen1/view2/000001")
    assert data["corrupt"] == {str(row): [2]}
    sprite = cv2.imread(str(tmp_path / "show" / dataset_page.sprite_path(row))).astype(float)
    cross = np.zeros((96, 48, 3), dtype=np.uint8)
    cross_out(cross)
    assert np.abs(sprite[:, 96:144] - cross).mean() < 8
    assert np.abs(sprite[:, 48:96] - cross).mean() > 12


def test_an_image_of_another_size_is_not_decoded(tmp_path):
    dataset = make_dataset(tmp_path / "d", n_tracklets=1, n_frames=2)
    table = dataset.frames.set_column(
        3, schema.FRAMES.field(3), pa.array([60000 % 32768] * 2, pa.int16())
    )
    strip = draw_strip(dataset, table)
    assert {str(error.got) for error in strip.corrupt.values()} == {"32 x 64 px"}


def test_single_file_holds_everything(dataset, tmp_path):
    page = dataset_page.write_show(dataset, tmp_path / "one", single_file=True).page
    assert {p.name for p in page.parent.iterdir()} == {"index.html", dataset_page.MARKER}
    text = page.read_text("utf-8")
    assert text.count("data:image/jpeg;base64,") == 8
    assert not re.search(r"<script[^>]+src=|<link", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    inline = [
        *re.findall(r"<script>(.*?)</script>", text, re.S),
        *re.findall(r"<style>(.*?)</style>", text, re.S),
    ]
    assert len(inline) == 7
    for part in inline:
        assert (
            f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"
            in policy
        )
    assert "unsafe" not in policy
    assert "http" not in policy


def test_single_file_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_page, "MAX_SINGLE_FILE", 5)
    dataset = make_dataset(tmp_path / "d")
    with pytest.raises(LpwError, match=r"--single-file: got 6 tracklets; expected at most 5"):
        dataset_page.write_show(dataset, tmp_path / "one", single_file=True)
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize("single_file", [False, True])
def test_hostile_ids_stay_text(tmp_path, single_file):
    dataset = rename_tracklets(make_dataset(tmp_path / "d"), HOSTILE)
    page = dataset_page.write_show(dataset, tmp_path / "show", single_file=single_file).page
    text = page.read_text("utf-8") + (
        "" if single_file else (tmp_path / "show" / "data.js").read_text("utf-8")
    )
    assert text.count("<script") == 5
    assert "alert(1)</script>" not in text
    assert "\u2028" not in text
    assert "<img" not in text
    names = [p.name for p in (tmp_path / "show").rglob("*")]
    assert not any("alert" in name or ".." in name for name in names)
    if not single_file:
        assert set(HOSTILE) <= set(read_data(tmp_path / "show")["id"])


def test_rerun_replaces_its_own_folder_whole(dataset, tmp_path):
    dataset_page.write_show(dataset, tmp_path / "show", single_file=True)
    dataset_page.write_show(dataset, tmp_path / "show")
    assert (tmp_path / "show" / "data.js").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["show"]


def test_what_somebody_put_beside_the_page_is_not_replaced(dataset, tmp_path):
    dataset_page.write_show(dataset, tmp_path / "show")
    (tmp_path / "show" / "notes.txt").write_text("mine")
    with pytest.raises(LpwError, match=r"notes\.txt"):
        dataset_page.write_show(dataset, tmp_path / "show")
    assert (tmp_path / "show" / "notes.txt").read_text() == "mine"


def test_a_foreign_folder_is_refused(dataset, tmp_path):
    (tmp_path / "show").mkdir()
    (tmp_path / "show" / "thesis.txt").write_text("mine")
    with pytest.raises(LpwError, match="a folder with 1 entries"):
        dataset_page.write_show(dataset, tmp_path / "show")
    assert (tmp_path / "show" / "thesis.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LpwError, match="got a file"):
        dataset_page.write_show(dataset, tmp_path / "file")


def test_the_dataset_is_never_written_to(tmp_path):
    dataset = make_dataset(tmp_path / "d")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "d").rglob("*")}
    for inside in (tmp_path / "d", tmp_path / "d" / "show", tmp_path / "x" / ".." / "d" / "show"):
        with pytest.raises(LpwError, match="a place inside the dataset"):
            dataset_page.write_show(dataset, inside)
    dataset_page.write_show(dataset, tmp_path / "show")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "d").rglob("*")} == before


def test_a_failed_show_leaves_the_old_one(dataset, tmp_path, monkeypatch):
    dataset_page.write_show(dataset, tmp_path / "show")
    before = (tmp_path / "show" / "data.js").read_bytes()
    monkeypatch.setattr(
        dataset_page,
        "read_static",
        lambda name: (_ for _ in ()).throw(OSError(28, "No space left on device")),
    )
    with pytest.raises(LpwError, match="no space left on device"):
        dataset_page.write_show(dataset, tmp_path / "show")
    assert (tmp_path / "show" / "data.js").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["show"]


def test_same_bytes_twice(dataset, tmp_path):
    for name in "ab":
        dataset_page.write_show(dataset, tmp_path / name)
    first, second = (
        {
            f.relative_to(tmp_path / n): f.read_bytes()
            for f in (tmp_path / n).rglob("*")
            if f.is_file()
        }
        for n in "ab"
    )
    assert len(first) == 8 + 9
    assert first == second
    assert str(tmp_path) not in first[next(f for f in first if f.name == "data.js")].decode()


def test_unknown_times_scores_and_persons_are_null(tmp_path):
    dataset = make_dataset(tmp_path / "d", boxes=False, identified=False)
    dataset_page.write_show(dataset, tmp_path / "show")
    data = read_data(tmp_path / "show")
    assert data["unit"] is None
    assert {*data["start"], *data["end"], *data["score"], *data["person"]} == {None}


def test_frame_numbers_stand_in_for_times(tmp_path):
    dataset = make_dataset(tmp_path / "d")
    nothing = pa.nulls(dataset.frames.num_rows, pa.float64())
    at = schema.FRAMES.get_field_index("pts_s")
    dataset.__dict__["frames"] = dataset.frames.set_column(at, schema.FRAMES.field(at), nothing)
    dataset_page.write_show(dataset, tmp_path / "show")
    data = read_data(tmp_path / "show")
    assert (data["unit"], data["start"][:2], data["end"][0]) == ("frames", [0, 7], 11)


def test_an_empty_dataset_has_a_page(tmp_path):
    dataset = make_dataset(tmp_path / "d", n_tracklets=0)
    page = dataset_page.write_show(dataset, tmp_path / "show").page
    assert page.is_file()
    assert read_data(tmp_path / "show")["id"] == []


def test_tables_that_disagree_are_an_error(tmp_path):
    dataset = make_dataset(tmp_path / "d")
    dataset.__dict__["tracklets"] = dataset.tracklets.slice(1)
    with pytest.raises(MismatchError, match="tracklets and frames that differ"):
        dataset_page.write_show(dataset, tmp_path / "show")


def test_the_page_names_no_outside_address():
    for name in ("show.html", *list_files("show.html")):
        text = dataset_page.read_static(name)
        assert not re.search(r"https?:|//[a-z]+\.|@import|innerHTML|eval\(|fetch\(", text)
    assert "default-src 'none'" in dataset_page.read_static("show.html")
