"""Damaged, hostile and vanishing sources: the reader reports, keeps what it has, and leaves nothing
behind."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import media
import psutil
import pytest
from media import Recipe
from moments import wait_for_end

from lpw_toolkit.errors import LpwError
from lpw_toolkit.video import process as video_process
from lpw_toolkit.video.bytes import find_missing_bytes
from lpw_toolkit.video.video import VideoReader, VideoReport, open_video

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = (".mp4", ".mkv", ".ts", ".avi")
FFMPEG = shutil.which("ffmpeg")


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One sound video of 120 frames for each container; mp4 with its index first."""
    folder = tmp_path_factory.mktemp("sound")
    options = {"g": "24", "bf": "2", "crf": "14", "threads": "1"}
    made = {}
    for suffix in CONTAINERS:
        codec, chosen = (
            ("mpeg4", {"g": "24", "b": "3000000"}) if suffix == ".avi" else ("libx264", options)
        )
        first = {"movflags": "+faststart"} if suffix == ".mp4" else {}
        recipe = Recipe(pts=range(120), codec=codec, options=chosen, container_options=first)
        made[suffix] = media.write_video(folder / f"sound{suffix}", recipe)
    return made


def read(path: Path) -> VideoReport:
    with open_video(path, images=False) as reader:
        indexes = [f.index for f in reader]
    assert indexes == list(range(len(indexes)))
    return reader.report


def count_by_ffmpeg(path: Path) -> int:
    command = [
        "ffmpeg",
        "-v",
        "quiet",
        "-err_detect",
        "ignore_err",
        "-threads",
        "1",
        "-i",
        path,
        "-map",
        "0:v",
    ]
    command += ["-vsync", "passthrough", "-f", "framecrc", "-"]
    lines = subprocess.run(command, capture_output=True, check=False).stdout.decode().splitlines()
    return sum(not line.startswith("#") for line in lines)


def children() -> list[int]:
    return [c.pid for c in psutil.Process().children(recursive=True)]


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_sound_files_are_complete(sound: dict[str, Path], suffix: str) -> None:
    report = read(sound[suffix])
    assert (report.n_frames, report.complete, report.problems, report.notes) == (120, True, (), ())


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("fraction", [0.35, 0.995])
def test_cut_file_keeps_what_is_there_and_says_so(
    sound: dict[str, Path], tmp_path: Path, suffix: str, fraction: float
) -> None:
    report = read(media.cut(sound[suffix], tmp_path / f"cut{suffix}", fraction))
    assert not report.complete
    assert 0.2 * fraction * 120 < report.n_frames < 120.5
    assert any(f"frame {report.n_frames - 1}" in p for p in report.problems)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_hole_costs_few_frames_and_starts_a_segment(
    sound: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    report = read(media.punch(sound[suffix], tmp_path / f"hole{suffix}", 0.47))
    assert not report.complete
    assert report.n_frames >= 90
    assert report.n_segments >= 2


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_bit_flips(sound: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    report = read(media.flip_bits(sound[suffix], tmp_path / f"flip{suffix}", 200, seed=5))
    assert not report.complete
    assert report.n_frames >= 40


def test_lying_frame_count_is_a_note(sound: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(sound[".avi"].read_bytes())
    for mark, offset in ((b"avih", 24), (b"strh", 40)):
        start = data.index(mark) + offset
        assert int.from_bytes(data[start : start + 4], "little") == 120
        data[start : start + 4] = (150).to_bytes(4, "little")
    path = tmp_path / "lying.avi"
    path.write_bytes(data)
    report = read(path)
    assert (report.n_declared, report.n_frames, report.complete) == (150, 120, True)
    assert report.notes == ("the header declares 150 frames, the decoder gave 120",)


def test_structure_check_of_cut_files(sound: dict[str, Path], tmp_path: Path) -> None:
    for suffix, path in sound.items():
        size = path.stat().st_size
        for length, whole in (
            (size, True),
            (size - 1, False),
            (size * 2 // 3 // 188 * 188 + 7, False),
        ):
            target = tmp_path / f"x{suffix}"
            target.write_bytes(path.read_bytes()[:length])
            descriptor = os.open(target, os.O_RDONLY)
            try:
                assert (find_missing_bytes(descriptor) is None) == whole, (suffix, length)
            finally:
                os.close(descriptor)


UNREADABLE = {
    "moovless.mp4": "cannot be opened",
    "text.mp4": "cannot be opened",
    "empty.mp4": "an empty file",
    "missing.mp4": "no such file",
    "audio.mp4": "without a video stream",
    "folder.mp4": "without numbered images",
}


@pytest.mark.parametrize(("name", "words"), UNREADABLE.items())
def test_unreadable_sources_are_one_line_errors(
    tmp_path: Path, sound: dict[str, Path], name: str, words: str
) -> None:
    path = tmp_path / name
    if name == "moovless.mp4":
        plain = media.write_video(tmp_path / "plain.mp4")
        media.cut(plain, path, 0.6)
    elif name == "text.mp4":
        path.write_text("this is no video\n" * 100)
    elif name == "empty.mp4":
        path.touch()
    elif name == "folder.mp4":
        path.mkdir()
    elif name == "audio.mp4":
        write_audio(path)
    with pytest.raises(LpwError, match=words) as caught, open_video(path):
        pass
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert children() == []


def write_audio(path: Path) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(sound: dict[str, Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(sound[".mp4"], tmp_path / "no.mp4"))
    path.chmod(0)
    with pytest.raises(LpwError, match="permission denied"):
        open_video(path)


def test_pipes_and_devices_never_block(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero")):
        with pytest.raises(LpwError, match="no regular file"):
            open_video(path)


def hostile_texts(secret: Path) -> dict[str, str]:
    return {
        "concat": f"ffconcat version 1.0\nfile {secret.name}\n",
        "absolute": f"ffconcat version 1.0\nfile '{secret}'\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 "
        "RTP/AVP 96\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
        f'type="static"><Period>'
        f"<BaseURL>file://{secret}</BaseURL></Period></MPD>",
    }


@pytest.mark.parametrize("kind", ["concat", "absolute", "hls", "sdp", "dash"])
def test_playlists_are_refused_and_read_no_other_file(
    sound: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    secret = Path(shutil.copy(sound[".ts"], tmp_path / "secret.ts"))
    os.utime(secret, (1, 1))  # an access would move it (relatime)
    before = secret.stat().st_atime_ns
    path = tmp_path / "innocent.mp4"
    path.write_text(hostile_texts(secret)[kind])
    with pytest.raises(LpwError, match="cannot be opened as video"), open_video(path):
        pass
    assert secret.stat().st_atime_ns == before


def test_absurd_dimensions_are_refused(tmp_path: Path) -> None:
    recipe = Recipe(codec="wmv2", options={"b": "1000000"})  # takes its size from the container
    data = bytearray(media.write_video(tmp_path / "plain.avi", recipe).read_bytes())
    start = data.index(b"strf") + 12
    data[start : start + 8] = (65_535).to_bytes(4, "little") * 2
    path = tmp_path / "giant.avi"
    path.write_bytes(data)
    with (
        pytest.raises(LpwError, match=r"65535x65535|cannot be opened|no picture"),
        open_video(path) as reader,
    ):
        list(reader)


@pytest.mark.parametrize(
    "name",
    [
        "-dash.mp4",
        "%03d.mp4",
        "concat:a|b.mp4",
        "new\nline.mp4",
        "ü ñ 日本.mp4",
        "x" * 250 + ".mp4",
    ],
)
def test_odd_names_are_only_names(sound: dict[str, Path], tmp_path: Path, name: str) -> None:
    path = Path(shutil.copy(sound[".mp4"], tmp_path / name))
    assert read(path).n_frames == 120


def test_name_that_is_no_utf8(sound: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.mp4")
    shutil.copy(sound[".mp4"], path)
    assert read(path).complete


def test_file_that_vanishes_while_it_is_read(sound: dict[str, Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(sound[".mp4"], tmp_path / "gone.mp4"))
    with open_video(path) as reader:
        next(reader)
        path.unlink()
        assert sum(1 for _ in reader) == 119
    assert reader.report.complete


def test_death_of_the_decoder_is_a_report(sound: dict[str, Path]) -> None:
    with open_video(sound[".mp4"]) as reader:
        first = next(reader)
        os.kill(children()[0], signal.SIGKILL)
        rest = list(reader)
    assert first.index == 0
    assert len(rest) < 119
    assert not reader.report.complete
    assert "ended by signal 9" in reader.report.problems[-1]


def test_silent_decoder_is_ended(sound: dict[str, Path]) -> None:
    with open_video(sound[".mp4"]) as reader:
        next(reader)
        reader._process._stall_s = 0.4
        os.kill(children()[0], signal.SIGSTOP)
        list(reader)
    assert "no sign of life for 0.4 s" in reader.report.problems[-1]
    assert children() == []


def test_memory_limit_ends_the_child_alone(sound: dict[str, Path]) -> None:
    with VideoReader(sound[".mp4"]) as reader:
        resource.prlimit(children()[0], resource.RLIMIT_AS, (1 << 20, 1 << 20))
        try:
            n_frames = sum(1 for _ in reader)
        except LpwError as error:
            assert "memory" in str(error)
        else:
            assert n_frames == reader.report.n_frames <= 120
    assert children() == []


def test_limits_of_the_child(sound: dict[str, Path]) -> None:
    with open_video(sound[".mp4"]) as reader:
        reader.header  # noqa: B018
        text = Path(f"/proc/{children()[0]}/limits").read_text()
    limits = {line[:25].strip(): line[25:].split()[0] for line in text.splitlines()[1:]}
    assert limits["Max file size"] == "0"
    assert limits["Max core file size"] == "0"
    assert int(limits["Max open files"]) <= 64
    assert int(limits["Max address space"]) < 8 << 30


@pytest.mark.parametrize("how", ["end", "early", "error", "forgotten"])
def test_nothing_is_left_behind(sound: dict[str, Path], how: str) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        if how == "error":
            with pytest.raises(KeyboardInterrupt), open_video(sound[".mkv"]) as reader:
                next(reader)
                raise KeyboardInterrupt
        elif how == "forgotten":
            next(open_video(sound[".mkv"]))
        else:
            with open_video(sound[".mkv"]) as reader:
                next(reader)
                if how == "end":
                    list(reader)
    assert os.listdir("/proc/self/fd") == before
    assert children() == []


def test_child_goes_when_the_parent_is_killed(sound: dict[str, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from lpw_toolkit.video.video import open_video\n"
        "r = open_video(Path(sys.argv[1])); next(r); print(r._process._child.pid, flush=True); "
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(sound[".mp4"])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    wait_for_end(pid)


def test_ctrl_c_does_not_reach_the_child(sound: dict[str, Path]) -> None:
    with open_video(sound[".mp4"]) as reader:
        next(reader)
        os.kill(children()[0], signal.SIGINT)
        assert os.getpgid(children()[0]) != os.getpgrp()
        assert sum(1 for _ in reader) == 119
    assert reader.report.complete


def test_working_folder_cannot_smuggle_modules(
    sound: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("av", "numpy", "lpw_toolkit"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert read(sound[".mp4"]).n_frames == 120


def test_nonsense_from_the_child_is_no_crash(
    sound: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spawn(order: dict[str, object], descriptors: list[int]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "print('{]')"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    monkeypatch.setattr(video_process, "_spawn", spawn)
    with (
        pytest.raises(LpwError, match="nonsense before the first frame"),
        open_video(sound[".mp4"]),
    ):
        pass


@pytest.mark.slow
@pytest.mark.skipif(FFMPEG is None, reason="ffmpeg not installed")
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_hundred_cuts(sound: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    n_ours = n_theirs = 0
    for step in range(100):
        path = media.cut(sound[suffix], tmp_path / f"cut{suffix}", (step + 0.5) / 100)
        n_theirs += count_by_ffmpeg(path)
        try:
            report = read(path)
        except LpwError:
            continue
        assert not report.complete, step
        n_ours += report.n_frames
    assert n_ours >= 0.99 * n_theirs > 0


@pytest.mark.slow
@pytest.mark.skipif(FFMPEG is None, reason="ffmpeg not installed")
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_holes_and_flips_keep_as_much_as_ffmpeg(
    sound: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    n_ours = n_theirs = 0
    for seed in range(40):
        path = tmp_path / f"bad{suffix}"
        if seed % 2:
            media.flip_bits(sound[suffix], path, 1000, seed)
        else:
            media.punch(sound[suffix], path, 0.1 + 0.02 * seed)
        n_theirs += count_by_ffmpeg(path)
        n_ours += read(path).n_frames
    assert n_ours >= 0.95 * n_theirs > 0


@pytest.mark.slow
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_mutations_never_crash_the_parent(
    sound: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    outcomes = {"read": 0, "refused": 0}
    for seed in range(250):
        path = media.flip_bits(
            sound[suffix], tmp_path / f"bad{suffix}", 1 + seed * 4, seed, start_frac=0.0
        )
        try:
            read(path)
            outcomes["read"] += 1
        except LpwError:
            outcomes["refused"] += 1
    assert sum(outcomes.values()) == 250
    assert children() == []
