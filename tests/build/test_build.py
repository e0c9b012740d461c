"""Video to dataset: what comes out, that it is repeatable, what bad input does."""

import json
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from street import build_arguments, build_config, digest_tree, make_street, run_lpw

from lpw_toolkit.build.build import RelinkConfig, build_tracklets, relink
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.workspace import Workspace
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.config import FORMER_NAMES
from lpw_toolkit.truth.cleanup_cost import CleanupCosts
from lpw_toolkit.truth.score import read_tracks, score_against


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Path:
    return make_street(tmp_path_factory.mktemp("street"))


@pytest.fixture(scope="module")
def built(street, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("built") / "dataset"
    build_tracklets(build_config(street, out))
    return out


def test_a_street_becomes_a_sound_dataset(street, built):
    dataset = open_dataset(built)
    assert check_dataset(built).problems == []
    assert dataset.tracklets.num_rows >= 4
    assert set(dataset.tracklets["camera_id"].to_pylist()) <= {
        f"scen{s}/view{v}" for s in (1, 2) for v in (1, 2)
    }
    assert dataset.manifest["counts"]["n_images"] == dataset.frames.num_rows
    assert not (built / ".lpw" / "parts").exists()


def test_images_are_lpw_sized_and_lie_where_the_layout_says(built):
    dataset = open_dataset(built)
    for row in dataset.frames.slice(0, 20).to_pylist():
        path = row["image"]["path"]
        assert path == f"images/{row['tracklet_id']}/{row['frame_index']:06d}.jpg"
        with Image.open(built / path) as image:
            assert image.size == (128, 256) == (row["width"], row["height"])


def test_crops_show_what_the_box_says(street, built):
    """The crop equals the refined box cut out of the decoded frame by hand."""
    import av
    import cv2

    dataset = open_dataset(built)
    row = dataset.frames.slice(dataset.frames.num_rows // 2, 1).to_pylist()[0]
    camera = "/".join(row["tracklet_id"].split("/")[:2])
    with av.open(str(street / "video" / f"{camera}.mp4")) as container:
        frame = list(container.decode(video=0))[row["frame_index"]].to_ndarray(format="bgr24")
    x1, y1, x2, y2 = (round(row[side]) for side in ("x1", "y1", "x2", "y2"))
    expected = cv2.resize(frame[y1:y2, x1:x2], (128, 256))
    found = cv2.imread(str(built / row["image"]["path"]))
    assert np.abs(found.astype(int) - expected).mean() < 6


def test_published_files_hold_no_absolute_path_or_time(street, built):
    text = (built / "dataset.json").read_text()
    assert str(street) not in text and str(built) not in text and str(Path.home()) not in text
    assert time.strftime("%Y-%m-%d") not in text
    for file in (built / "detections").rglob("*.parquet"):
        assert str(street).encode() not in file.read_bytes()


def test_same_input_same_bytes_whatever_the_number_of_workers(street, built, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    build_tracklets(build_config(street, tmp_path / "again"))
    assert digest_tree(tmp_path / "again") == digest_tree(built)


def test_segment_length_moves_no_byte(street, built, tmp_path):
    config = build_config(street, tmp_path / "one")
    build_tracklets(replace(config, recipe=replace(config.recipe, segment_frames=512)))
    assert digest_tree(tmp_path / "one") == digest_tree(built)


def test_the_same_command_again_has_nothing_to_do(street, built):
    before = {p: p.stat().st_mtime_ns for p in built.rglob("*") if p.is_file()}
    result = build_tracklets(build_config(street, built))
    assert result.remarks[0] == "complete already: nothing to do"
    assert before == {
        p: p.stat().st_mtime_ns for p in built.rglob("*") if p.is_file() if p in before
    }


def test_a_build_of_an_older_version_resumes_under_the_old_names_of_its_settings(
    street, built, tmp_path, monkeypatch
):
    out = tmp_path / "set"

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lpw_toolkit.build.assembly.close_dataset", fail)
        with pytest.raises(KeyboardInterrupt):
            build_tracklets(build_config(street, out))
    plan = json.loads((out / ".lpw/plan.json").read_text())
    old = {new: old for old, new in FORMER_NAMES.items()}
    link = plan["settings"]["link"]
    plan["settings"]["link"] = {old.get(name, name): value for name, value in link.items()}
    text = json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False)
    assert '"doubt_iou"' in text and '"ambiguity_iou"' not in text
    (out / ".lpw/plan.json").write_text(text)
    monkeypatch.setattr("lpw_toolkit.build.crop_stage.CropWriter.write_crop", fail)
    build_tracklets(build_config(street, out))
    assert digest_tree(out) == digest_tree(built)


def test_other_settings_do_not_touch_a_finished_dataset(street, built):
    config = build_config(street, built)
    with pytest.raises(LpwError, match="finished dataset with other settings"):
        build_tracklets(
            replace(config, recipe=replace(config.recipe, crop=CropConfig(jpeg_quality=80)))
        )


def test_a_video_that_changed_since_is_named(street, tmp_path):
    shutil.copytree(street, tmp_path / "street")
    config = build_config(tmp_path / "street", tmp_path / "out")
    build_tracklets(config)
    shutil.copy(
        street / "video" / "scen2" / "view1.mp4",
        tmp_path / "street" / "video" / "scen1" / "view1.mp4",
    )
    with pytest.raises(LpwError, match=r"scen1/view1.mp4: got a video that has changed since"):
        build_tracklets(config)


def test_no_dataset_grows_inside_another(street, built):
    with pytest.raises(LpwError, match="inside the dataset"):
        build_tracklets(build_config(street, built / "images" / "new"))


def test_native_crops_keep_the_pixels(street, tmp_path):
    config = build_config(street, tmp_path / "native")
    result = build_tracklets(
        replace(config, recipe=replace(config.recipe, crop=CropConfig(size_px=None)))
    )
    row = result.dataset.frames.slice(0, 1).to_pylist()[0]
    assert row["width"] == round(row["x2"]) - round(row["x1"]) and row["height"] == round(
        row["y2"]
    ) - round(row["y1"])


def test_raw_detections_are_found_again_in_the_cache(street, tmp_path, monkeypatch):
    config = build_config(street, tmp_path / "first", cache=tmp_path / "cache")
    build_tracklets(config)
    monkeypatch.setattr("lpw_toolkit.build.build.detect_video", _refuse)
    build_tracklets(replace(config, out=tmp_path / "second"))
    assert digest_tree(tmp_path / "first") == digest_tree(tmp_path / "second")
    other = replace(config.options, min_score=0.7)
    with pytest.raises(AssertionError, match="detected again"):
        build_tracklets(replace(config, out=tmp_path / "third", options=other))


def _refuse(*_: object) -> None:
    raise AssertionError("detected again")


def test_a_damaged_cache_is_redone_not_believed(street, tmp_path):
    config = build_config(street, tmp_path / "first", cache=tmp_path / "cache")
    build_tracklets(config)
    for file in (tmp_path / "cache").iterdir():
        data = bytearray(file.read_bytes())
        data[len(data) // 3] ^= 0x40
        file.write_bytes(data)
    build_tracklets(replace(config, out=tmp_path / "second"))
    assert digest_tree(tmp_path / "first") == digest_tree(tmp_path / "second")


def test_relinking_uses_the_detections_and_names_its_parent(street, built, tmp_path, monkeypatch):
    monkeypatch.setattr("lpw_toolkit.build.build.detect_video", _refuse)
    config = build_config(street, built)
    recipe = replace(config.recipe, link=replace(config.recipe.link, iou=0.6))
    result = relink(RelinkConfig(built, tmp_path / "v2", recipe))
    assert result.dataset.manifest["parent"]["digest"] == open_dataset(built).manifest["digest"]
    assert result.dataset.manifest["settings"]["link"]["iou"] == 0.6
    assert check_dataset(tmp_path / "v2").problems == []
    same = relink(RelinkConfig(built, tmp_path / "v3", config.recipe))
    assert same.dataset.manifest["digest"] == open_dataset(built).manifest["digest"]


def test_relinking_wants_the_same_videos(street, built, tmp_path):
    other = make_street(tmp_path / "other", n_persons=6)
    with pytest.raises(LpwError, match="another video than the one detected"):
        relink(
            RelinkConfig(
                built,
                tmp_path / "v2",
                build_config(street, built).recipe,
                video_root=other / "video",
            )
        )
    with pytest.raises(LpwError, match="--video"):
        relink(
            RelinkConfig(
                built,
                tmp_path / "v4",
                build_config(street, built).recipe,
                video_root=tmp_path / "gone",
            )
        )


def test_score_of_a_dataset_against_the_street(street, built):
    facts = score_against(built, street / "truth", prices=CleanupCosts())
    assert len(facts["videos"]) == 4
    assert 0.3 < facts["all"]["yield_frac"] <= 1 and facts["all"]["cost_per_1000_s"] > 0
    assert facts["all"]["IDF1"] > 0.3
    tracks = read_tracks(open_dataset(built))[facts["videos"][0]["video"]]
    assert len(tracks) and (np.diff(tracks.frame_index) >= 0).all()


# --- bad input


def test_bad_videos_among_good_ones_are_named_and_the_rest_is_built(street, tmp_path):
    video = tmp_path / "street" / "video"
    shutil.copytree(street, tmp_path / "street")
    (video / "scen1" / "view8.mp4").write_bytes(b"")
    (video / "scen1" / "view9.mp4").write_bytes(b"not a video" * 1000)
    whole = (video / "scen1" / "view2.mp4").read_bytes()
    (video / "scen2" / "view7.mp4").write_bytes(whole[: len(whole) // 2])
    done = run_lpw(*build_arguments(tmp_path / "street", tmp_path / "out"))
    assert done.returncode == 4, done.stderr
    assert "view8.mp4" in done.stderr and "view9.mp4" in done.stderr and "view7.mp4" in done.stderr
    assert "Traceback" not in done.stderr
    dataset = open_dataset(tmp_path / "out")
    failed = [entry["path"] for entry in dataset.manifest["sources"] if "error" in entry]
    assert {"scen1/view8.mp4", "scen1/view9.mp4"} <= set(failed)
    assert check_dataset(tmp_path / "out").ok
    allowed = run_lpw(*build_arguments(tmp_path / "street", tmp_path / "out"), "--allow-damaged")
    assert allowed.returncode == 0


def test_only_bad_videos_is_an_error_and_leaves_no_dataset(tmp_path):
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "a.mp4").write_bytes(b"nothing")
    (tmp_path / "boxes.txt").write_text("")
    done = run_lpw(
        "build-tracklets",
        tmp_path / "video",
        "--boxes",
        tmp_path / "boxes.txt",
        "--out",
        tmp_path / "out",
    )
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()[-1]) > 20
    assert not (tmp_path / "out" / "dataset.json").exists()


def case_folder_without_video(tmp_path: Path, street: Path) -> list[object]:
    (tmp_path / "empty").mkdir()
    return [
        "build-tracklets",
        tmp_path / "empty",
        "--boxes",
        street / "detections",
        "--out",
        tmp_path / "out",
    ]


def case_missing_folder(tmp_path: Path, street: Path) -> list[object]:
    return [
        "build-tracklets",
        tmp_path / "gone",
        "--boxes",
        street / "detections",
        "--out",
        tmp_path / "out",
    ]


def case_out_is_a_file(tmp_path: Path, street: Path) -> list[object]:
    (tmp_path / "out").write_text("mine")
    return build_arguments(street, tmp_path / "out")


def case_out_holds_other_things(tmp_path: Path, street: Path) -> list[object]:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    return build_arguments(street, tmp_path / "out")


def case_boxes_beyond_the_end(tmp_path: Path, street: Path) -> list[object]:
    (tmp_path / "det.txt").write_text("9000,-1,10,10,30,80,0.9,-1,-1,-1\n")
    video = street / "video" / "scen1" / "view1.mp4"
    return [
        "build-tracklets",
        video,
        "--boxes",
        tmp_path / "det.txt",
        "--out",
        tmp_path / "out",
        "--no-cache",
    ]


def case_one_boxes_file_for_four_videos(tmp_path: Path, street: Path) -> list[object]:
    boxes = street / "detections" / "scen1" / "view1.txt"
    return [
        "build-tracklets",
        street / "video",
        "--boxes",
        boxes,
        "--out",
        tmp_path / "out",
        "--no-cache",
    ]


def case_boxes_with_nan(tmp_path: Path, street: Path) -> list[object]:
    (tmp_path / "det.txt").write_text("1,-1,nan,10,30,80,0.9,-1,-1,-1\n")
    video = street / "video" / "scen1" / "view1.mp4"
    return [
        "build-tracklets",
        video,
        "--boxes",
        tmp_path / "det.txt",
        "--out",
        tmp_path / "out",
        "--no-cache",
    ]


def case_missing_weights(tmp_path: Path, street: Path) -> list[object]:
    return [
        "build-tracklets",
        street / "video",
        "--weights",
        tmp_path / "gone.pt",
        "--out",
        tmp_path / "out",
    ]


def case_bad_layout(tmp_path: Path, street: Path) -> list[object]:
    return [*build_arguments(street, tmp_path / "out"), "--layout", "{scene}_{camera}.avi"]


def case_bad_size(tmp_path: Path, street: Path) -> list[object]:
    return [*build_arguments(street, tmp_path / "out"), "--size", "big"]


def case_bad_iou(tmp_path: Path, street: Path) -> list[object]:
    return [*build_arguments(street, tmp_path / "out"), "--iou", "1.5"]


CASES = [value for name, value in sorted(globals().items()) if name.startswith("case_")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__[5:])
def test_bad_input_is_one_clear_line(case, tmp_path, street):
    done = run_lpw(*case(tmp_path, street), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("lpw: ") and "expected" in last
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize("name", ["sp ace", "Straße ☂", "-dash", "n" * 200, "%03d", "a'b\"c"])
def test_odd_file_names_build(name, street, tmp_path):
    video = tmp_path / "video"
    video.mkdir()
    shutil.copy(street / "video" / "scen1" / "view1.mp4", video / f"{name}.mp4")
    boxes = street / "detections" / "scen1" / "view1.txt"
    config = build_config(
        street, tmp_path / "out", root=video, options=DetectorOptions(boxes=boxes)
    )
    dataset = build_tracklets(config).dataset
    assert dataset.tracklets.num_rows >= 1
    assert check_dataset(tmp_path / "out").problems == []


def test_json_output_is_one_object(street, tmp_path):
    done = run_lpw(*build_arguments(street, tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_tracklets"] >= 4


def test_a_second_process_is_refused(street, tmp_path):
    with Workspace(tmp_path / "out"):
        done = run_lpw(*build_arguments(street, tmp_path / "out"))
    assert done.returncode == 2
    assert "another process" in done.stderr


def test_every_video_says_how_far_its_linking_is(street, tmp_path, monkeypatch):
    shown = {}

    @contextmanager
    def show(title, total, unit):
        shown[title] = [total, 0, unit]

        class Counter:
            def advance(self, n):
                shown[title][1] += n

        yield Counter()

    monkeypatch.setattr("lpw_toolkit.build.assembly.show_progress", show)
    build_tracklets(build_config(street, tmp_path / "out"))
    assert len(shown) == 4
    for title, (total, done, unit) in shown.items():
        assert title.startswith("link scen") and total == done > 0 and unit == "boxes"
