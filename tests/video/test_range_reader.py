"""Stretches of a video by time: the frames that a whole reading gives, wherever it was before."""

import os
from pathlib import Path

import media
import numpy as np
import pytest
from media import Recipe

from lpw_toolkit.errors import LpwError
from lpw_toolkit.video.range_reader import RangeReader
from lpw_toolkit.video.video import open_video

N_FRAMES = 60
CODECS = [
    (".mp4", "libx264", {"g": "12", "bf": "2", "threads": "1"}),
    (".mkv", "libx264", {"g": "50", "bf": "2", "threads": "1"}),
    (".ts", "libx264", {"g": "12", "bf": "2", "threads": "1"}),
    (".avi", "mpeg4", {"g": "12", "b": "2000000"}),
    (".mpg", "mpeg2video", {"g": "12", "bf": "2", "b": "2000000"}),
    (".webm", "libvpx", {"g": "12", "b": "2000000", "deadline": "realtime"}),
]


@pytest.fixture(scope="module", params=CODECS, ids=[suffix for suffix, *_ in CODECS])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    suffix, codec, options = request.param
    path = tmp_path_factory.mktemp("film") / f"a{suffix}"
    return media.write_video(path, Recipe(codec=codec, options=options))


def read_times(path: Path) -> list[float]:
    with open_video(path) as reader:
        return [frame.pts_s for frame in reader if frame.pts_s is not None]


def read_numbers(reader: RangeReader, first_s: float, last_s: float) -> list[int]:
    return [media.read_number(image) for _, image in reader.read(first_s, last_s)]


def test_any_stretch_after_any_other(film: Path) -> None:
    """On, back, far ahead, single frames, one beyond the end: in an order drawn at random."""
    times = read_times(film)
    assert len(times) == N_FRAMES
    rng = np.random.default_rng(0)
    stretches = [sorted(rng.integers(0, N_FRAMES, 2).tolist()) for _ in range(12)]
    stretches += [[0, 0], [59, 59], [0, 59], [30, 31], [32, 33], [34, 34]]
    with RangeReader(film) as reader:
        found = [read_numbers(reader, times[a], times[b]) for a, b in stretches]
        assert found == [list(range(a, b + 1)) for a, b in stretches]
        assert read_numbers(reader, times[-1] + 1, times[-1] + 2) == []
        assert read_numbers(reader, times[3], times[4]) == [3, 4]


def test_times_are_those_of_the_build(film: Path) -> None:
    times = read_times(film)
    with RangeReader(film) as reader:
        assert [pts_s for pts_s, _ in reader.read(times[10], times[20])] == times[10:21]


def test_a_turned_video_is_shown_upright(tmp_path: Path) -> None:
    path = media.write_anamorphic(tmp_path / "wide.mp4", media.Fraction(16, 11))
    with open_video(path) as reader:
        whole = [(frame.pts_s, frame.image.copy()) for frame in reader if frame.image is not None]
    with RangeReader(path) as reader:
        for pts_s, image in whole[3:5]:
            ((found_s, found),) = [
                (at, picture.copy()) for at, picture in reader.read(pts_s or 0.0, pts_s or 0.0)
            ]
            assert found_s == pts_s
            assert np.array_equal(found, image)


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with RangeReader(path) as reader, pytest.raises(LpwError, match="cannot be opened"):
        list(reader.read(0.0, 1.0))


def test_a_link_is_not_followed(film: Path, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(film)
    with pytest.raises(LpwError, match="link"):
        RangeReader(tmp_path / "link.mp4")


def test_nothing_is_left_open(film: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with RangeReader(film) as reader:
        list(reader.read(0.0, 0.5))
    assert len(os.listdir("/proc/self/fd")) == before
