"""Exports: TrackEval reads the MOT text, COCO is valid, the tree holds the very bytes."""

import csv
import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest
from make_dataset import SOURCE_HEIGHT, SOURCE_WIDTH, make_dataset
from make_reid import rewrite

from lpw_toolkit.dataset import mot_text, schema, tables
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.dataset.video_boxes import name_files
from lpw_toolkit.errors import CorruptCropError, LpwError
from lpw_toolkit.exports.form import ExportOptions, export_dataset
from lpw_toolkit.exports.forms.tree import check_id

FORMS = ("mot", "coco", "tree")


def export_to(form, dataset, out, **options):
    return export_dataset(dataset, form, out, ExportOptions(**options)).out


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("export") / "d", n_tracklets=8)


def with_tracklets(dataset, root, **columns):
    """The dataset with some columns of its tracklets replaced, in memory."""
    changed = Dataset(root, dataset.manifest)
    table = dataset.tracklets
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(
            at, table.schema.field(at), pa.array(values, table.schema.field(at).type)
        )
    object.__setattr__(
        changed, "__dict__", {**changed.__dict__, "tracklets": table, "frames": dataset.frames}
    )
    return changed


def run_trackeval(folder, truth):
    trackeval = pytest.importorskip("trackeval")
    config = {
        "GT_FOLDER": str(truth / "gt"), "TRACKERS_FOLDER": str(folder / "trackers"),
        "BENCHMARK": "little",
        "SPLIT_TO_EVAL": "all", "TRACKERS_TO_EVAL": ["lpw"], "PRINT_CONFIG": False,
    }  # fmt: skip
    return trackeval.datasets.MotChallenge2DBox(config), trackeval.metrics.Identity(
        {"PRINT_CONFIG": False}
    )


def test_trackeval_finds_an_export_equal_to_itself(dataset, tmp_path, capsys):
    results = export_to("mot", dataset, tmp_path / "results")
    truth = export_to("mot", dataset, tmp_path / "truth", role="truth")
    judge, identity = run_trackeval(results, truth)
    assert judge.seq_list == ["scen1-view1", "scen1-view2", "scen2-view1", "scen2-view2"]
    n_boxes = 0
    for name in judge.seq_list:
        data = judge.get_preprocessed_seq_data(judge.get_raw_seq_data("lpw", name), "pedestrian")
        assert identity.eval_sequence(data)["IDF1"] == 1.0
        n_boxes += data["num_gt_dets"]
    assert n_boxes == dataset.frames.num_rows


def test_mot_frames_count_from_one_and_boxes_return(dataset, tmp_path):
    out = export_to("mot", dataset, tmp_path / "m")
    rows = mot_text.read_boxes(out / "trackers" / "little-all" / "lpw" / "data" / "scen1-view2.txt")
    frames = dataset.frames.to_pandas()
    mine = frames[frames.tracklet_id.str.startswith("scen1/view2/")].sort_values(
        ["frame_index", "tracklet_id"]
    )
    assert rows.frame_index.tolist() == mine.frame_index.tolist()
    assert np.allclose(rows.boxes, mine[["x1", "y1", "x2", "y2"]].to_numpy(), atol=2e-3)
    assert np.allclose(rows.flag, mine.score.to_numpy(), atol=1e-6)
    assert set(rows.track.tolist()) == {1, 2}


def test_mot_names_the_tracklet_of_each_number(dataset, tmp_path):
    out = export_to("mot", dataset, tmp_path / "m")
    with (out / "tracks.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["tracklet_id"] for row in rows} == set(dataset.tracklets["tracklet_id"].to_pylist())
    assert {row["person_id"] or None for row in rows} == set(
        dataset.tracklets["person_id"].to_pylist()
    )
    assert len({(row["sequence"], row["track"]) for row in rows}) == 8


def test_truth_gives_fragments_of_a_person_one_number(dataset, tmp_path):
    ids = dataset.tracklets["tracklet_id"].to_pylist()
    people = ["scen1/1" if name == "scen1/view1/000001" else None for name in ids]
    later = with_tracklets(dataset, dataset.root, person_id=people)
    numbers = [row.split(",")[1] for row in _truth_lines(later, tmp_path / "a")]
    assert set(numbers) == {"1", "2"}
    people = ["scen1/1" if name.startswith("scen1/view1") else None for name in ids]
    frames = dataset.frames.to_pandas()
    frames.loc[frames.tracklet_id == "scen1/view1/000002", "frame_index"] += 5
    apart = with_tracklets(dataset, dataset.root, person_id=people)
    apart.__dict__["frames"] = pa.Table.from_pandas(
        frames, schema=schema.FRAMES, preserve_index=False
    )
    assert {row.split(",")[1] for row in _truth_lines(apart, tmp_path / "b")} == {"1"}


def test_truth_refuses_one_person_twice_in_a_frame(dataset, tmp_path):
    people = ["scen1/1" for _ in range(8)]
    with pytest.raises(LpwError, match=r"scen1/view1, frame 7: got two boxes of scen1/1"):
        export_to(
            "mot",
            with_tracklets(dataset, dataset.root, person_id=people),
            tmp_path / "m",
            role="truth",
        )
    assert not (tmp_path / "m").exists()


def test_truth_marks_junk_as_not_counting(dataset, tmp_path):
    kinds = [
        "junk" if name.endswith("view1/000001") else "person"
        for name in dataset.tracklets["tracklet_id"].to_pylist()
    ]
    lines = _truth_lines(with_tracklets(dataset, dataset.root, kind=kinds), tmp_path / "m")
    assert {(row.split(",")[1], row.split(",")[6]) for row in lines} == {("1", "0"), ("2", "1")}


def _truth_lines(dataset, out):
    export_to("mot", dataset, out, role="truth")
    return (out / "gt" / "little-all" / "scen1-view1" / "gt" / "gt.txt").read_text().splitlines()


def test_coco_loads_in_pycocotools(dataset, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    out = export_to("coco", dataset, tmp_path / "c")
    loaded = coco.COCO(str(out / "annotations.json"))
    assert len(loaded.getAnnIds()) == dataset.frames.num_rows
    assert loaded.loadCats(loaded.getCatIds())[0]["name"] == "person"
    judge = pytest.importorskip("pycocotools.cocoeval").COCOeval(loaded, loaded, "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    assert judge.stats[0] == pytest.approx(1.0)


def test_coco_structure(dataset, tmp_path):
    content = json.loads(
        (export_to("coco", dataset, tmp_path / "c") / "annotations.json").read_text("utf-8")
    )
    images = {image["id"]: image for image in content["images"]}
    assert len(images) == len(content["images"])
    assert all((i["width"], i["height"]) == (SOURCE_WIDTH, SOURCE_HEIGHT) for i in images.values())
    n_frames = sum(
        tables.read_table(f, schema.TIMELINE).num_rows
        for f in (dataset.root / "timeline").rglob("*.parquet")
    )
    assert len(images) == n_frames
    assert len({a["id"] for a in content["annotations"]}) == dataset.frames.num_rows
    frames = {(r["tracklet_id"], r["frame_index"]): r for r in dataset.frames.to_pylist()}
    videos = {video["id"]: video["name"] for video in content["videos"]}
    for a in content["annotations"]:
        image = images[a["image_id"]]
        row = frames[a["tracklet_id"], image["frame_index"]]
        assert np.allclose(
            a["bbox"],
            [row["x1"], row["y1"], row["x2"] - row["x1"], row["y2"] - row["y1"]],
            atol=1e-3,
        )
        assert (a["category_id"], a["iscrowd"]) == (1, 0)
        assert a["area"] == pytest.approx(a["bbox"][2] * a["bbox"][3], abs=1e-2)
        assert a["tracklet_id"].startswith(videos[image["video_id"]])
        assert image["file_name"].endswith(f"/{image['frame_index'] + 1:06d}.jpg")
    assert len({a["track_id"] for a in content["annotations"]}) == 8


def test_tree_holds_the_very_bytes(dataset, tmp_path):
    out = export_to("tree", dataset, tmp_path / "t")
    assert sum(1 for f in out.rglob("*") if f.is_file()) == dataset.frames.num_rows
    for row in dataset.frames.to_pylist():
        file = out / row["tracklet_id"] / f"{row['position'] + 1}.jpg"
        assert hashlib.sha256(file.read_bytes()).digest() == row["sha256"]


def test_tree_stops_at_a_corrupt_image_and_leaves_nothing(tmp_path):
    dataset = make_dataset(tmp_path / "d")
    file = tmp_path / "d" / "images" / "scen1" / "view2" / "000001" / "3.jpg"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptCropError, match=r"view2/000001/3\.jpg"):
        export_to("tree", dataset, tmp_path / "t")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d"]


@pytest.mark.parametrize("name", ["../out", "/abs", "a/../b", "a//b", ".", "a/./b", "nul\0"])
def test_tree_refuses_ids_that_are_no_paths(dataset, tmp_path, name):
    with pytest.raises(LpwError, match="an id that is no folder name"):
        check_id(dataset, name)


@pytest.mark.parametrize("form", FORMS)
def test_a_full_folder_is_refused_and_stays(dataset, tmp_path, form):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(LpwError, match="a folder with 1 entries"):
        export_to(form, dataset, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("form", FORMS)
def test_same_bytes_twice_and_an_empty_folder_will_do(dataset, tmp_path, form):
    (tmp_path / "b").mkdir()
    outs = [export_to(form, dataset, tmp_path / name) for name in "ab"]
    first, second = (
        {f.relative_to(o): f.read_bytes() for f in o.rglob("*") if f.is_file()} for o in outs
    )
    assert first
    assert first == second


@pytest.mark.parametrize("form", ["mot", "coco"])
def test_a_dataset_without_boxes_says_so(tmp_path, form):
    dataset = make_dataset(tmp_path / "d", boxes=False)
    with pytest.raises(
        LpwError, match="got no frame_index; expected boxes in source frames; export the image tree"
    ):
        export_to(form, dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_coco_needs_a_timeline(tmp_path):
    dataset = make_dataset(tmp_path / "d")
    for file in (tmp_path / "d" / "timeline").rglob("*.parquet"):
        file.unlink()
    dataset = rewrite(dataset)
    with pytest.raises(LpwError, match="no timeline"):
        export_to("coco", dataset, tmp_path / "c")
    info = (
        export_to("mot", dataset, tmp_path / "m", role="truth")
        / "gt"
        / "little-all"
        / "scen1-view1"
        / "seqinfo.ini"
    )
    assert "seqLength=23" in info.read_text()
    assert "imWidth" not in info.read_text()


def test_file_names_are_safe_and_unique():
    names = name_files(["a/b", "a-b", "A/B", "../x", "", "é" * 300, "seq,1\n"])
    assert names["a/b"] == "a-b"
    assert len({name.lower() for name in names.values()}) == len(names)
    assert all(
        name and set(name) <= set("abcdefghijklmnopqrstuvwxyzAB0123456789-_")
        for name in names.values()
    )
