"""Inputs that people have, from video to dataset: clocks that step, pixels that are not square,
image sequences of other tools, very short and cut videos. Every crop shows the walker it names."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from walkers import (
    HEIGHT,
    WIDTH,
    boxes_at,
    build_config,
    draw_frame,
    encode,
    iter_colour_errors,
    write_boxes,
)

from lpw_toolkit.build.build import RelinkConfig, build_tracklets, relink
from lpw_toolkit.check.check import check_dataset
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.dataset.info import describe, format_info
from lpw_toolkit.detection.detect_stage import DetectionStore
from lpw_toolkit.errors import LpwError

N = 24


def check_built(out: Path, n_images: int, frames: range) -> Dataset:
    """Two tracklets whose crops have the right colours and whose boxes are where the walkers
    are."""
    dataset = open_dataset(out)
    assert check_dataset(out).problems == []
    assert dataset.frames.num_rows == n_images
    assert max(iter_colour_errors(dataset)) <= 6
    index, x1 = (dataset.frames[name].to_pylist() for name in ("frame_index", "x1"))
    assert set(index) == set(frames)
    for frame, left in zip(index, x1, strict=True):
        assert min(abs(left - box[0]) for box in boxes_at(frame)) < 0.6
    return dataset


@pytest.mark.parametrize("step", [-3, -8, -40])
def test_boxes_are_on_the_right_pictures_when_the_clock_steps_back(
    tmp_path: Path, step: int
) -> None:
    frames = [draw_frame(i) for i in range(N)]
    half = N // 2
    parts = [
        encode(tmp_path / "a.ts", frames[:half], list(range(100, 100 + half))),
        encode(tmp_path / "b.ts", frames[half:], list(range(100 + half + step, 100 + N + step))),
    ]
    (tmp_path / "step.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    boxes = write_boxes(tmp_path / "det.txt", N)
    build_tracklets(build_config(tmp_path / "step.ts", boxes, tmp_path / "set"))
    dataset = check_built(tmp_path / "set", 2 * N, range(N))
    report = dataset.manifest["sources"][0]["report"]
    assert any("time runs back by" in note for note in report["notes"])
    assert "time runs back by" in format_info(describe(dataset))


def write_stored(path: Path, aspect: Fraction) -> Path:
    """The walkers at a fraction of their width, with pixels that are as much wider."""
    width = int(WIDTH / aspect)
    frames = [
        cv2.resize(draw_frame(i), (width, HEIGHT), interpolation=cv2.INTER_AREA) for i in range(N)
    ]
    return encode(path, frames, aspect=aspect)


@pytest.mark.parametrize(("scale", "options"), [(0.5, {}), (1.0, {"box_geometry": "display"})])
def test_pixels_that_are_not_square_give_the_crops_of_the_scene(
    tmp_path: Path, scale: float, options: dict[str, str]
) -> None:
    video = write_stored(tmp_path / "wide.mp4", Fraction(2))
    boxes = write_boxes(tmp_path / "det.txt", N, x_scale=scale)
    build_tracklets(build_config(video, boxes, tmp_path / "set", **options))
    dataset = check_built(tmp_path / "set", 2 * N, range(N))
    report = dataset.manifest["sources"][0]["report"]
    assert (report["pixel_aspect"], report["width"], report["height"]) == ("2:1", WIDTH, HEIGHT)
    assert "pixels of 2:1: pictures stored as 160x200 are read as 320x200" in report["notes"][0]
    assert any("--box-geometry display" in note for note in report["notes"]) == (scale == 0.5)
    recorded = dataset.manifest["settings"]["detect"].get("box_geometry")
    assert recorded == options.get("box_geometry")


def test_linking_again_keeps_displayed_boxes_and_refuses_those_of_older_versions(
    tmp_path: Path,
) -> None:
    video = write_stored(tmp_path / "wide.mp4", Fraction(2))
    boxes = write_boxes(tmp_path / "det.txt", N, x_scale=0.5)
    config = build_config(video, boxes, tmp_path / "set")
    build_tracklets(config)
    relink(RelinkConfig(tmp_path / "set", tmp_path / "again", config.recipe))
    check_built(tmp_path / "again", 2 * N, range(N))
    # a detection Parquet of ours counts displayed pixels
    detections = tmp_path / "set" / "detections" / "wide.parquet"
    build_tracklets(build_config(video, detections, tmp_path / "from-parquet"))
    check_built(tmp_path / "from-parquet", 2 * N, range(N))


def test_square_pixels_record_nothing_of_their_shape(tmp_path: Path) -> None:
    video = encode(tmp_path / "plain.mp4", [draw_frame(i) for i in range(N)])
    boxes = write_boxes(tmp_path / "det.txt", N)
    build_tracklets(build_config(video, boxes, tmp_path / "set"))
    source = check_built(tmp_path / "set", 2 * N, range(N)).manifest["sources"][0]
    assert "pixel_aspect" not in source["report"]
    assert source["report"]["notes"] == []
    assert "aspect" not in json.dumps(source)


def test_a_wrong_geometry_of_boxes_is_refused(tmp_path: Path) -> None:
    video = encode(tmp_path / "plain.mp4", [draw_frame(0)])
    boxes = write_boxes(tmp_path / "det.txt", 1)
    with pytest.raises(LpwError, match="--box-geometry: got shown"):
        build_tracklets(build_config(video, boxes, tmp_path / "set", box_geometry="shown"))


def test_what_an_older_version_kept_in_the_cache_is_not_found(tmp_path: Path) -> None:
    video = encode(tmp_path / "plain.mp4", [draw_frame(i) for i in range(N)])
    boxes = write_boxes(tmp_path / "det.txt", N)
    config = build_config(video, boxes, tmp_path / "set")
    cache = tmp_path / "cache"
    from dataclasses import replace

    build_tracklets(replace(config, cache=cache))
    kept = sorted(file.name.split(".", 1)[1] for file in cache.iterdir())
    assert kept == ["2.parquet", "2.timeline.parquet"]
    (file, _) = sorted(cache.iterdir())
    assert DetectionStore(cache).find(file.name.split(".")[0]) is not None


ENCODERS: dict[str, Callable[[np.ndarray], bytes]] = {
    suffix: lambda pixels, suffix=suffix: cv2.imencode(suffix.lower(), pixels[..., ::-1])[
        1
    ].tobytes()
    for suffix in (".PNG", ".bmp", ".tif", ".webp")
}


def write_images(folder: Path, form: str, first: int = 0) -> Path:
    folder.mkdir(parents=True)
    suffix = Path(form).suffix
    for i in range(N):
        (folder / form.format(i + first)).write_bytes(ENCODERS[suffix](draw_frame(i)))
    return folder


@pytest.mark.parametrize(
    ("form", "first", "inner"),
    [
        ("frame_{:06d}.PNG", 0, "img1"),
        ("{:06d}.bmp", 1, "img1"),
        ("{:06d}.PNG", 1, ""),
        ("img-{:04d}.tif", 1, ""),
        ("IMG_20240101_120000_{:03d}.webp", 1, ""),
    ],
)
def test_image_sequences_of_other_tools(tmp_path: Path, form: str, first: int, inner: str) -> None:
    write_images(tmp_path / "seq" / inner, form, first)
    boxes = write_boxes(tmp_path / "det.txt", N)
    build_tracklets(build_config(tmp_path / "seq", boxes, tmp_path / "set"))
    check_built(tmp_path / "set", 2 * N, range(N))


def test_two_sequences_of_one_folder_are_two_cameras(tmp_path: Path) -> None:
    for camera in ("left", "right"):
        write_images(tmp_path / camera, f"{camera}_{{:03d}}.PNG", 1)
        for file in (tmp_path / camera).iterdir():
            (tmp_path / "both").mkdir(exist_ok=True)
            file.rename(tmp_path / "both" / file.name)
        write_boxes(tmp_path / f"{camera}.txt", N)
    folder = tmp_path / "boxes"
    folder.mkdir()
    for camera in ("left", "right"):
        (tmp_path / f"{camera}.txt").rename(folder / f"{camera}.txt")
    config = build_config(tmp_path / "both", folder, tmp_path / "set")
    build_tracklets(config)
    dataset = check_built(tmp_path / "set", 4 * N, range(N))
    assert sorted(set(dataset.tracklets["camera_id"].to_pylist())) == ["both/left", "both/right"]
    sha256 = [source["sha256"] for source in dataset.manifest["sources"]]
    assert len(set(sha256)) == 2
    result = build_tracklets(config)
    assert result.remarks == ["complete already: nothing to do"]
    relink(RelinkConfig(tmp_path / "set", tmp_path / "again", config.recipe))
    check_built(tmp_path / "again", 4 * N, range(N))


@pytest.mark.parametrize("n_frames", [1, 2])
def test_videos_of_one_and_two_frames_are_built(tmp_path: Path, n_frames: int) -> None:
    video = encode(tmp_path / "short.mp4", [draw_frame(i) for i in range(n_frames)])
    boxes = write_boxes(tmp_path / "det.txt", n_frames)
    result = build_tracklets(build_config(video, boxes, tmp_path / "set"))
    assert result.problems == []
    dataset = open_dataset(tmp_path / "set")
    report = dataset.manifest["sources"][0]["report"]
    assert (report["n_frames"], report["complete"]) == (n_frames, True)
    assert report["rate_hz"] == pytest.approx(25)
    assert check_dataset(tmp_path / "set").problems == []


def test_a_cut_video_keeps_the_frames_it_has(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    whole = encode(tmp_path / "whole.mp4", [draw_frame(i) for i in range(N)], options=options)
    data = whole.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 6 // 10])
    boxes = write_boxes(tmp_path / "det.txt", N)  # also of frames that are lost
    result = build_tracklets(build_config(tmp_path / "cut.mp4", boxes, tmp_path / "set"))
    n_left = open_dataset(tmp_path / "set").manifest["sources"][0]["report"]["n_frames"]
    assert 8 <= n_left < N
    check_built(tmp_path / "set", 2 * n_left, range(n_left))
    assert "cut.mp4: incomplete" in result.problems[0]
    assert any(
        "boxes left out, in frames that the video does not have" in r for r in result.remarks
    )


def test_repeated_pictures_are_told_after_the_build_and_by_info(tmp_path: Path) -> None:
    video = encode(tmp_path / "doubled.mp4", [draw_frame(i // 2) for i in range(N)])
    boxes = write_boxes(tmp_path / "det.txt", N)
    result = build_tracklets(build_config(video, boxes, tmp_path / "set"))
    said = f"{N // 2} of {N} frames repeat the picture before them and are left out"
    assert any(said in remark for remark in result.remarks)
    dataset = open_dataset(tmp_path / "set")
    assert dataset.manifest["sources"][0]["report"]["n_duplicates"] == N // 2
    assert said in format_info(describe(dataset))
