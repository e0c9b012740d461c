"""Clocks that step back or stand still, pixels that are not square, very short videos, and streams
without a container: every frame comes once, in the decoder's order."""

from fractions import Fraction
from pathlib import Path

import media
import numpy as np
import pytest
from media import Recipe

from lpw_toolkit.video.pixel_aspect import displayed_size, usable_aspect
from lpw_toolkit.video.timeline import Judge
from lpw_toolkit.video.video import Frame, VideoReport, open_video


def read_all(path: Path) -> tuple[list[Frame], list[int], VideoReport]:
    """Frames (whose images are gone), the numbers that the pictures show, and the report."""
    frames, numbers = [], []
    with open_video(path) as reader:
        for frame in reader:
            assert frame.image is not None
            frames.append(frame)
            numbers.append(media.read_number(frame.image))
    return frames, numbers, reader.report


@pytest.mark.parametrize("bframes", [0, 2])
@pytest.mark.parametrize("step", [-1, -2, -3, -4, -5, -8, -20, -24, -26, -60, 3])
def test_a_clock_that_leaps_keeps_the_order_of_the_decoder(
    tmp_path: Path, step: int, bframes: int
) -> None:
    path = media.join_clocks(tmp_path / "step.ts", step_frames=step, bframes=bframes)
    frames, numbers, report = read_all(path)
    assert numbers == list(range(40))
    assert [f.index for f in frames] == list(range(40))
    assert report.n_duplicates == 0
    if step < 0:
        assert report.rate_hz == pytest.approx(25, rel=0.07)
    if step < -1:
        assert frames[20].segment > frames[19].segment
        assert any("time runs back by" in note for note in report.notes)


def test_repeated_times_are_told_and_kept(tmp_path: Path) -> None:
    times = [i // 2 * 80 for i in range(40)]
    path = media.write_clock(tmp_path / "stuck.mkv", times, range(40))
    frames, numbers, report = read_all(path)
    assert numbers == list(range(40))
    assert [f.pts_s for f in frames] == [time / 1000 for time in times]
    assert not any(f.duplicate for f in frames)
    assert {f.segment for f in frames} == {0}
    said = "20 frames have the time of the frame before them, first frame 1 (0.000 s); they are"
    assert report.notes == (f"{said} kept",)
    assert report.complete


def test_a_repeated_picture_is_a_duplicate_whatever_its_time(tmp_path: Path) -> None:
    pictures = [i // 2 for i in range(20)]
    for name, times in (("own", range(0, 800, 40)), ("same", [i // 2 * 80 for i in range(20)])):
        frames, _, report = read_all(media.write_clock(tmp_path / f"{name}.mkv", times, pictures))
        assert [f.duplicate for f in frames] == [i % 2 == 1 for i in range(20)]
        assert report.n_duplicates == 10


def test_a_clock_of_whole_seconds_is_one_segment(tmp_path: Path) -> None:
    times = [i // 25 * 1000 for i in range(100)]
    path = media.write_clock(tmp_path / "coarse.mkv", times, [i % 250 for i in range(100)])
    frames, _, report = read_all(path)
    assert {f.segment for f in frames} == {0}
    assert report.complete


def judge_times(times: list[float]) -> tuple[list[int], list[str]]:
    judge = Judge(lambda *_: None)
    judge.nominal_s = 0.04
    segments = [judge.place(i, t, (4, 4), cut=False, corrupt=False) for i, t in enumerate(times)]
    return segments, judge.summary()["notes"]


def test_a_gap_of_a_coarse_clock_is_a_gap() -> None:
    times = [second for second in (0, 1, 5, 6) for _ in range(25)]
    segments, notes = judge_times([float(t) for t in times])
    assert segments == [0] * 50 + [1] * 50
    assert "a gap of 0.160 s where 0.040 s are usual" in notes[0]
    assert "96 frames have the time" in notes[-1]


def test_notes_beyond_a_hundred_are_counted() -> None:
    times = [0.04 * i - 1.0 * (i // 2) for i in range(300)]
    _, notes = judge_times(times)
    assert len(notes) == 101
    assert notes[-1] == "49 more notes are not listed"


def test_a_wider_pixel_is_read_as_it_is_displayed(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".avi"):
        codec = "mpeg4" if suffix == ".avi" else "libx264"
        path = media.write_anamorphic(tmp_path / f"a{suffix}", Fraction(2), codec=codec)
        with open_video(path) as reader:
            for frame in reader:
                assert frame.image is not None
                assert frame.image.shape == (120, 320, 3)
                assert (frame.width, frame.height, frame.stored) == (320, 120, (160, 120))
                narrow = frame.image[:, ::2].astype(int)
                drawn = media.draw(frame.index, 160, 120).astype(int)
                assert np.abs(narrow - drawn).mean() < 14
        report = reader.report
        assert (report.pixel_aspect, report.width, report.height) == ("2:1", 320, 120)
        said = "frame 0: pixels of 2:1: pictures stored as 160x120 are read as 320x120"
        assert report.notes == (said,)
        assert report.complete


def test_a_taller_pixel_makes_the_picture_higher(tmp_path: Path) -> None:
    path = media.write_anamorphic(tmp_path / "a.mp4", Fraction(1, 2))
    frames, _, _ = read_all(path)
    assert {(f.width, f.height) for f in frames} == {(160, 240)}


def test_a_turned_video_is_stretched_along_its_stored_side(tmp_path: Path) -> None:
    path = media.write_anamorphic(tmp_path / "a.mp4", Fraction(2), rotation=90)
    with open_video(path) as reader:
        frame = next(reader)
    assert (frame.width, frame.height, frame.stored) == (120, 320, (120, 160))


def test_square_pixels_are_recorded_as_before(tmp_path: Path) -> None:
    path = media.write_anamorphic(tmp_path / "a.mp4", Fraction(1281, 1280))
    frames, _, report = read_all(path)
    assert {f.stored for f in frames} == {(160, 120)} == {(f.width, f.height) for f in frames}
    assert (report.pixel_aspect, report.notes) == (None, ())


def test_an_absurd_pixel_is_taken_as_square_and_told(tmp_path: Path) -> None:
    path = media.write_anamorphic(tmp_path / "a.mp4", Fraction(20))
    frames, _, report = read_all(path)
    assert {(f.width, f.height) for f in frames} == {(160, 120)}
    assert report.notes == ("frame 0: declares pixels of 20:1, which are taken as square",)


def test_a_change_of_the_pixels_counts_from_its_own_frame(tmp_path: Path) -> None:
    wide = media.write_anamorphic(tmp_path / "a.ts", Fraction(2), 20)
    square = media.write_anamorphic(tmp_path / "b.ts", Fraction(1), 20, first_pts=20)
    both = tmp_path / "both.ts"
    both.write_bytes(wide.read_bytes() + square.read_bytes())
    frames, numbers, report = read_all(both)
    assert [(f.width, f.height) for f in frames] == [(320, 120)] * 20 + [(160, 120)] * 20
    assert report.sizes == ((0, 320, 120), (20, 160, 120))
    assert len(numbers) == 40
    assert any("size changes from 320x120 to 160x120" in note for note in report.notes)


@pytest.mark.parametrize(
    ("aspect", "size", "usable"),
    [
        (None, (720, 576), Fraction(1)),
        (Fraction(0), (720, 576), Fraction(1)),
        (Fraction(16, 15), (720, 576), Fraction(16, 15)),
        (Fraction(8), (720, 576), Fraction(8)),
        (Fraction(9), (720, 576), None),
        (Fraction(1, 9), (720, 576), None),
        (Fraction(4), (8192, 2000), None),
    ],
)
def test_bounds_of_the_pixels(
    aspect: Fraction | None, size: tuple[int, int], usable: Fraction | None
) -> None:
    assert usable_aspect(aspect, *size) == usable


def test_the_shorter_side_of_a_pixel_grows() -> None:
    assert displayed_size(Fraction(16, 15), 720, 576) == (768, 576)
    assert displayed_size(Fraction(8, 9), 720, 480) == (720, 540)


@pytest.mark.parametrize("n_frames", [1, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_videos_of_one_and_two_frames(tmp_path: Path, suffix: str, n_frames: int) -> None:
    codec, options = ("mpeg4", {}) if suffix == ".avi" else ("libx264", Recipe().options)
    recipe = Recipe(pts=range(n_frames), codec=codec, options=options)
    frames, numbers, report = read_all(media.write_video(tmp_path / f"a{suffix}", recipe))
    assert numbers == list(range(n_frames)) == [f.index for f in frames]
    assert (report.complete, report.problems, report.notes) == (True, (), ())
    known = None if suffix == ".ts" and n_frames == 1 else pytest.approx(25, rel=0.01)
    assert report.rate_hz == known


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "timed"),
    [
        ("a.h264", "libx264", "yuv420p", False),
        ("a.264", "libx264", "yuv420p", False),
        ("a.hevc", "libx265", "yuv420p", False),
        ("a.3gp", "libx264", "yuv420p", True),
        ("a.gif", "gif", "rgb8", True),
    ],
)
def test_raw_streams_and_small_formats(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, timed: bool
) -> None:
    options = {} if codec == "gif" else {"g": "12", "bf": "2", "threads": "1"}
    if codec == "libx265":
        options = {"x265-params": "log-level=none:pools=1"}
    recipe = Recipe(
        pts=range(30), codec=codec, pix_fmt=pix_fmt, options=options, time_base=Fraction(1, 25)
    )
    made = tmp_path / name
    if name == "a.264":
        media.write_video(tmp_path / "a.h264", recipe).rename(made)
    else:
        media.write_video(made, recipe)
    frames, numbers, report = read_all(made)
    assert numbers == list(range(30))
    assert report.complete
    assert report.n_segments == 1
    assert all((f.pts_s is not None) == timed for f in frames)
    assert any("no times" in note for note in report.notes) != timed
