"""Reading sound videos and image sequences: order, times, pictures, flags, hand-over."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import media
import numpy as np
import pytest
from media import Recipe

from lpw_toolkit.errors import LpwError
from lpw_toolkit.video.motion import DuplicateFinder, measure_motion
from lpw_toolkit.video.timeline import Judge
from lpw_toolkit.video.video import VideoReport, open_video


def read_all(
    path: Path,
) -> tuple[list[tuple[int, float | None, int, bool]], list[int], VideoReport]:
    rows, numbers = [], []
    with open_video(path) as reader:
        for frame in reader:
            assert frame.image is not None
            assert frame.image.shape == (frame.height, frame.width, 3)
            rows.append((frame.index, frame.pts_s, frame.segment, frame.duplicate))
            numbers.append(media.read_number(frame.image))
    return rows, numbers, reader.report


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.write_video(tmp_path_factory.mktemp("plain") / "plain.mp4")


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mp4", "libx264", {"g": "12", "bf": "2", "threads": "1"}),
        (".mkv", "libx264", {"g": "12", "bf": "2", "threads": "1"}),
        (".mov", "mpeg4", {"g": "12", "bf": "2", "b": "2000000"}),
        (".ts", "libx264", {"g": "12", "bf": "2", "threads": "1"}),
        (".avi", "mpeg4", {"g": "12", "b": "2000000"}),
        (".mpg", "mpeg2video", {"g": "12", "bf": "2", "b": "2000000"}),
        (".flv", "libx264", {"g": "12", "bf": "2", "threads": "1"}),
        (".webm", "libvpx", {"g": "12", "b": "2000000", "deadline": "realtime"}),
        (".wmv", "wmv2", {"g": "12", "b": "2000000"}),
    ],
)
def test_every_container_gives_all_frames_in_order(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    path = media.write_video(tmp_path / f"a{suffix}", Recipe(codec=codec, options=options))
    rows, numbers, report = read_all(path)
    assert numbers == list(range(60))
    assert [r[0] for r in rows] == list(range(60))
    times = [r[1] for r in rows]
    assert None not in times
    np.testing.assert_allclose(np.diff(np.array(times, float)), 0.04, atol=0.0011)
    assert (report.complete, report.problems, report.n_segments, report.n_duplicates) == (
        True,
        (),
        1,
        0,
    )
    assert (report.width, report.height, report.n_frames) == (160, 120, 60)
    assert report.rate_hz == pytest.approx(25, rel=0.01)


def test_variable_rate_and_b_frames_have_exact_times_and_one_segment(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    steps = chance.choice([17, 33, 34, 66, 100, 133], size=119)
    pts = [0, *np.cumsum(steps).tolist()]
    recipe = Recipe(pts=pts, time_base=Fraction(1, 1000), pictures=[i % 250 for i in range(120)])
    for suffix in (".mp4", ".mkv"):
        rows, numbers, report = read_all(media.write_video(tmp_path / f"v{suffix}", recipe))
        assert [r[1] for r in rows] == [p / 1000 for p in pts]
        assert numbers == list(range(120))
        assert (report.n_segments, report.complete, report.notes) == (1, True, ())


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe not installed")
def test_times_equal_those_of_ffprobe(tmp_path: Path, plain: Path) -> None:
    edited = tmp_path / "edited.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-ss", "0.9", "-i", plain, "-c", "copy", edited], check=True
    )
    for path in (plain, edited):
        command = [
            "ffprobe",
            "-v",
            "error",
            "-show_entries",
            "frame=pts,time_base",
            "-of",
            "json",
            path,
        ]
        frames = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[
            "frames"
        ]
        with av.open(str(path)) as container:
            base = container.streams.video[0].time_base
        assert base is not None
        rows, _, report = read_all(path)
        assert [r[1] for r in rows] == [
            f["pts"] * base.numerator / base.denominator for f in frames
        ]
        assert report.complete


def test_a_gap_in_time_starts_a_segment(tmp_path: Path) -> None:
    pts = [*range(30), *range(60, 90)]
    rows, _, report = read_all(media.write_video(tmp_path / "gap.mp4", Recipe(pts=pts)))
    assert [r[2] for r in rows] == [0] * 30 + [1] * 30
    assert report.complete
    assert report.n_segments == 2
    assert "frame 30 (2.400 s): a gap of 1.240 s" in report.notes[0]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    recipe = Recipe(rotation=degrees, pts=range(5))
    path = media.write_video(tmp_path / "r.mp4", recipe)
    upright = media.draw(4, 160, 120)
    with open_video(path) as reader:
        for frame in reader:
            assert frame.image is not None
            image = frame.image.astype(int)
    candidates = {k: np.rot90(upright, k).astype(int) for k in range(4)}
    errors = {k: np.abs(c - image).mean() for k, c in candidates.items() if c.shape == image.shape}
    best = min(errors, key=lambda k: errors[k])
    assert errors[best] < 12
    assert best == (4 - reader.report.rotation // 90) % 4
    assert reader.report.rotation == {90: 270, 180: 180, 270: 90}[degrees]
    assert (reader.report.width, reader.report.height) == (
        (160, 120) if degrees == 180 else (120, 160)
    )


@pytest.mark.parametrize(
    ("width", "height", "pix_fmt"),
    [(161, 121, "yuv444p"), (98, 50, "yuv420p"), (130, 66, "yuv420p10le")],
)
def test_odd_sizes_and_ten_bits(tmp_path: Path, width: int, height: int, pix_fmt: str) -> None:
    recipe = Recipe(
        pts=range(6),
        width=width,
        height=height,
        pix_fmt=pix_fmt,
        options={"crf": "4", "threads": "1"},
    )
    path = media.write_video(tmp_path / "o.mkv", recipe)
    with open_video(path) as reader:
        for frame in reader:
            assert frame.image is not None
            truth = media.draw(frame.index, width, height).astype(int)
            assert np.abs(frame.image.astype(int) - truth).mean() < 12
    assert reader.report.n_frames == 6


def test_interlaced(tmp_path: Path) -> None:
    options = {"flags": "+ildct+ilme", "b": "3000000"}
    path = media.write_video(tmp_path / "i.mpg", Recipe(codec="mpeg2video", options=options))
    _, numbers, report = read_all(path)
    assert numbers == list(range(60))
    assert report.complete


def test_full_range_and_colour_matrix_are_honoured(tmp_path: Path) -> None:
    grey = np.full((64, 64, 3), 230, np.uint8)
    for name, pix_fmt in (("full", "yuvj420p"), ("limited", "yuv420p")):
        path = tmp_path / f"{name}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mjpeg" if name == "full" else "libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, pix_fmt
            frame = av.VideoFrame.from_ndarray(grey, format="bgr24").reformat(
                format=pix_fmt, dst_color_range="JPEG" if name == "full" else "MPEG"
            )
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        with open_video(path) as reader:
            image = next(reader).image
            assert image is not None
            assert np.abs(image.astype(int) - 230).max() <= 8


def test_change_of_size_starts_a_segment_and_grows_the_ring(tmp_path: Path) -> None:
    small = media.write_video(tmp_path / "a.ts", Recipe(pts=range(20)))
    recipe = Recipe(
        pts=range(22, 42), width=320, height=240, pictures=range(20, 40)
    )  # 22: room for the B-frame delay
    large = media.write_video(tmp_path / "b.ts", recipe)
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    rows, numbers, report = read_all(both)
    assert numbers == list(range(40))
    assert report.sizes == ((0, 160, 120), (20, 320, 240))
    segments = [r[2] for r in rows]
    assert segments[19] < segments[20] == segments[39]
    assert any("size changes from 160x120 to 320x240" in n for n in report.notes)


def test_exact_duplicates_and_a_frozen_camera_are_flagged(tmp_path: Path) -> None:
    pictures = [i // 2 for i in range(40)] + [20] * 10
    options = {"qp": "0", "threads": "1"}
    recipe = Recipe(pts=range(50), pictures=pictures, options=options, pix_fmt="yuv444p")
    rows, _, report = read_all(media.write_video(tmp_path / "d.mkv", recipe))
    expected = [i > 0 and pictures[i] == pictures[i - 1] for i in range(50)]
    assert [r[3] for r in rows] == expected
    assert report.n_duplicates == sum(expected)


def test_duplicates_coded_again_are_flagged(tmp_path: Path) -> None:
    recipe = Recipe(
        pts=range(100), pictures=[i // 2 for i in range(100)], options={"crf": "28", "threads": "1"}
    )
    rows, _, _ = read_all(media.write_video(tmp_path / "d.mp4", recipe))
    assert [r[3] for r in rows][6:] == [i % 2 == 1 for i in range(6, 100)]


def test_time_that_runs_back_starts_a_segment() -> None:
    judge = Judge(lambda *_: None)
    segments = [
        judge.place(i, t, (4, 4), cut=False, corrupt=False)
        for i, t in enumerate([5.0, 5.1, 0.0, 0.1])
    ]
    assert segments == [0, 0, 1, 1]
    assert "time runs back by 5.100 s" in judge.notes[0]


def flag(motion: list[int]) -> list[bool]:
    """What the finder says of pictures whose neighbours differ by `motion` grey levels; the last
    one is flags[-1]."""
    finder, level, flags = DuplicateFinder(), 100, []
    for i, step in enumerate([0, *motion]):
        level += step if level < 128 else -step
        picture = np.full((20, 20), level, np.uint8)
        picture[0, 0] = i % 2  # never the same picture
        flags.append(finder.is_duplicate(picture))
    return flags


@pytest.mark.parametrize("period", [2, 3, 4, 5, 6])
def test_quiet_frames_are_duplicates_when_they_come_periodically(period: int) -> None:
    motion = [30 + i % 7 if i % period else 5 for i in range(60)]
    flags = flag(motion)[1:]
    quiet = [i % period == 0 for i in range(60)]
    assert flags[5 * period :] == quiet[5 * period :]
    assert not any(flagged and not q for flagged, q in zip(flags, quiet, strict=True))


def test_one_new_frame_in_three_is_a_period_too() -> None:
    motion = [40 if i % 3 == 0 else 4 for i in range(60)]
    assert flag(motion)[1:][15:] == [i % 3 != 0 for i in range(15, 60)]


def test_a_person_who_leaves_is_no_duplicate() -> None:
    assert not any(
        flag([40, 38, 42, 41, 37, 40, 39, 41, 40, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 40, 41, 38])
    )


def test_noise_alone_is_no_pattern_and_a_known_pattern_outlasts_stillness() -> None:
    assert not any(flag([1, 4] * 20))
    doubled = [2, 40] * 6 + [2, 3] * 10 + [2, 40] * 4
    assert flag(doubled)[1:][4:] == [i % 2 == 0 for i in range(4, 40)]


def test_a_pattern_ends_where_motion_says_so() -> None:
    flags = flag([2, 40] * 8 + [35] * 20)
    assert sum(flags[1:17]) >= 7 and not any(flags[17:])


def test_measure_is_the_eighth_largest_difference() -> None:
    a, b = np.zeros((80, 80), np.uint8), np.zeros((80, 80), np.uint8)
    b.ravel()[:12] = np.arange(12, 0, -1)
    assert measure_motion(a, b) == 5
    assert measure_motion(a, a) == 0


def test_in_a_small_picture_one_moving_block_counts() -> None:
    a, b = np.zeros((22, 40), np.uint8), np.zeros((22, 40), np.uint8)
    b[5, 5] = 12
    assert measure_motion(a, b) == 12


def test_images_only_from_first_image_and_flags_stay(plain: Path) -> None:
    rows, _, _ = read_all(plain)
    with open_video(plain, first_image=40) as reader:
        got = [(f.index, f.pts_s, f.segment, f.duplicate, f.image is None) for f in reader]
    assert [g[:4] for g in got] == rows
    assert [g[4] for g in got] == [i < 40 for i in range(60)]
    with open_video(plain, images=False) as reader:
        assert all(f.image is None for f in reader)
    assert reader.report.n_frames == 60


def test_two_runs_are_equal(plain: Path) -> None:
    def digest() -> list[tuple[int, int]]:
        with open_video(plain) as reader:
            return [
                (f.index, int(f.image.astype(np.int64).sum()))
                for f in reader
                if f.image is not None
            ]

    assert digest() == digest()


def test_header_before_the_first_frame(plain: Path) -> None:
    with open_video(plain) as reader:
        assert (reader.header.n_declared, reader.header.codec, reader.header.n_threads) == (
            60,
            "h264",
            1,
        )
        assert reader.header.duration_s == pytest.approx(2.4)


def test_stopping_early_is_said_in_the_report(plain: Path) -> None:
    with open_video(plain) as reader:
        next(reader)
        next(reader)
    assert not reader.report.complete
    assert "reading was stopped after frame 1 (0.040 s)" in reader.report.problems[0]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_image_sequence(tmp_path: Path, suffix: str) -> None:
    root = media.write_sequence(tmp_path / "seq", range(1, 13), suffix=suffix)
    rows, numbers, report = read_all(root)
    assert [r[:3] for r in rows] == [(i, i / 25, 0) for i in range(12)]
    assert numbers == list(range(1, 13))
    assert (report.complete, report.container, report.n_declared, report.n_frames) == (
        True,
        "images",
        12,
        12,
    )


def test_image_sequence_without_rate_has_no_times(tmp_path: Path) -> None:
    rows, _, report = read_all(media.write_sequence(tmp_path / "seq", [1, 2, 3], rate_hz=None))
    assert [r[1] for r in rows] == [None] * 3
    assert report.complete


def test_image_sequence_keeps_its_numbers_over_losses(tmp_path: Path) -> None:
    root = media.write_sequence(tmp_path / "seq", [1, 2, 3, 6, 7, 8])
    damaged = root / "img1" / "000007.jpg"
    damaged.write_bytes(damaged.read_bytes()[:400])
    rows, _, report = read_all(root)
    assert [(r[0], r[2]) for r in rows] == [(0, 0), (1, 0), (2, 0), (5, 1), (7, 2)]
    assert (report.complete, report.n_lost) == (False, 3)
    assert "images are missing before 000006.jpg: 2" in report.problems[0]
    assert "000007.jpg" in report.problems[1]


def test_giant_image_header_is_refused_before_decoding(tmp_path: Path) -> None:
    root = media.write_sequence(tmp_path / "seq", [1, 2], suffix=".png")
    data = bytearray((root / "img1" / "000002.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4) * 2
    (root / "img1" / "000002.png").write_bytes(data)
    _, _, report = read_all(root)
    assert (report.n_frames, report.complete) == (1, False)


def test_image_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "seq" / "img1").mkdir(parents=True)
    with pytest.raises(LpwError, match="without numbered images"), open_video(tmp_path / "seq"):
        pass


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "n_frames", "rate_hz"),
    [("pets09-s2l1/vtest.avi", 795, 10), ("tud-stadtmitte/TUD-Stadtmitte.mp4", 179, 25)],
)
def test_real_street_video_has_no_duplicates(
    shared_data: Path, name: str, n_frames: int, rate_hz: float
) -> None:
    with open_video(shared_data / "video" / name, images=False) as reader:
        flagged = [f.index for f in reader if f.duplicate]
    report = reader.report
    assert (report.n_frames, report.complete, report.notes, flagged) == (n_frames, True, (), [])
    assert report.rate_hz == pytest.approx(rate_hz)


def test_the_decoding_process_does_not_grow(tmp_path: Path) -> None:
    """400 frames of 1 MB each must not stay: side data of PyAV once kept them until the next
    garbage collection."""
    import psutil

    path = media.write_video(
        tmp_path / "long.mp4", Recipe(pts=tuple(range(400)), width=960, height=720)
    )
    sizes = []
    with open_video(path, images=False) as reader:
        for frame in reader:
            if frame.index in (100, 390):
                child = psutil.Process().children()[0]
                sizes.append(child.memory_info().rss)
    assert sizes[1] - sizes[0] < 20e6 and sizes[1] < 300e6


@pytest.mark.realdata
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg not installed")
@pytest.mark.parametrize("preset", ["medium", "veryfast"])
def test_a_doubled_street_is_found_out(shared_data: Path, tmp_path: Path, preset: str) -> None:
    source = shared_data / "video" / "tud-stadtmitte/TUD-Stadtmitte.mp4"
    coding = [
        "-vf",
        "fps=50",
        "-an",
        "-c:v",
        "libx264",
        "-crf",
        "30",
        "-preset",
        preset,
        "-threads",
        "2",
    ]
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, *coding, tmp_path / "d.mp4"], check=True)
    with open_video(tmp_path / "d.mp4", images=False) as reader:
        flags = [frame.duplicate for frame in reader]
    assert len(flags) == 358
    assert sum(flags[1::2]) >= 0.99 * 179 and not any(flags[::2])
