"""One's own film goes the whole way by bare commands, on a machine where nothing was set up: from
video to a table whose queries were never trained on.

Boxes and small settings come from the environment (LPW_<COMMAND>_<OPTION>), as a user could set
them; a script that knows the truth sits at the review page.
"""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from lpw_cli.main import main

from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.errors import LpwError
from lpw_toolkit.synth.street import STREETS, NoiseConfig, write_street
from lpw_toolkit.truth.scripted_reviewer import review_by_truth

TRAINING = (
    "model.weights=random model.last_stride=2 data.height=64 data.width=32 data.n_persons=2 "
    "data.n_sets=2 data.n_frames=2 data.crop=2 train.iterations=2 train.precision=float32 "
    "train.channels_last=no optim.warmup=0"
)


#: Frames of `street-walk` in which somebody walks by.
WALK = range(90, 120)


def lpw(*words: str) -> Result:
    done = CliRunner().invoke(main, [*words])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A street with two cameras and 24 people, of whom ten pass both."""
    config = replace(
        STREETS["tiny"], n_frames=200, n_persons=24, n_scenes=1, n_cameras=2, occluded_frac=0.6
    )
    noise = replace(NoiseConfig.none(), jitter_frac=0.02)
    folder = tmp_path_factory.mktemp("film") / "street"
    write_street(folder, config, np.random.default_rng(7), noise)
    return folder


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, beside an empty HOME; nothing else is known of the user."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("LPW_CONFIG", "LPW_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for command in ("TRAIN", "EVAL"):
        monkeypatch.setenv(f"LPW_{command}_WORKERS", "0")
    monkeypatch.setenv("LPW_TRAIN_SET", TRAINING)
    monkeypatch.setenv("LPW_EVAL_OUT", "result")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


Visit = Callable[[Callable[[], None]], list[str]]


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Somebody who does something while the review page is served; returns the addresses that the
    browser was sent to."""

    def come(act: Callable[[], None]) -> list[str]:
        opened: list[str] = []
        monkeypatch.setattr("webbrowser.open", opened.append)
        monkeypatch.setattr("uvicorn.Server.run", lambda _, sockets: act())
        return opened

    return come


def join_views(street: Path, target: Path) -> None:
    """The street as one camera films it that is moved halfway: people of the first half come back
    in the second. Video, boxes and truth."""
    video = target / "video" / "scen1" / "view1.mp4"
    video.parent.mkdir(parents=True)
    texts: dict[str, list[str]] = {"truth": [], "detections": []}
    n_frames = 0
    with av.open(str(video), "w") as film:
        stream = film.add_stream("libx264", rate=6, options={"crf": "21"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for view in ("view1", "view2"):
            with av.open(str(street / "video" / "scen1" / f"{view}.mp4")) as part:
                pictures = [frame.to_ndarray(format="rgb24") for frame in part.decode(video=0)]
            for picture in pictures:
                film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            for name, lines in texts.items():
                text = (street / name / "scen1" / f"{view}.txt").read_text()
                rows = [line.split(",", 1) for line in text.splitlines()]
                lines += [f"{int(frame) + n_frames},{rest}" for frame, rest in rows]
            n_frames += len(pictures)
        film.mux(stream.encode())
    for name, lines in texts.items():
        (target / name / "scen1").mkdir(parents=True)
        (target / name / "scen1" / "view1.txt").write_text("\n".join(lines) + "\n")


def check_table(fresh: Path, protocol: str) -> None:
    """The rows say by which protocol, on which dataset, and that no query was trained on."""
    said = json.loads((fresh / "runs" / "rqen-modern" / "run.json").read_text())
    rows = pq.read_table(fresh / "result" / "metrics.parquet").to_pylist()
    assert {row["protocol"] for row in rows} == {protocol}
    assert {row["dataset_digest"] for row in rows} == {open_dataset("cleaned").digest}
    assert {row["n_seen"] for row in rows} == {0}
    assert all("DRAWN" in row["split_source"] for row in rows)
    queries = set(pq.read_table(fresh / "result" / "queries.parquet")["person_id"].to_pylist())
    assert len(queries) >= 2 and len(said["persons"]) >= 2
    assert not queries & {*said["persons"], *said["validation"]}


def test_two_cameras(
    street: Path, fresh: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(street / "video", fresh / "video")
    monkeypatch.setenv("LPW_BUILD_TRACKLETS_BOXES", str(street / "detections"))
    assert "2 cameras" in lpw("build-tracklets", "video/").output
    opened = visit(lambda: review_by_truth(open_dataset("video-lpw"), street / "truth"))
    shown = lpw("clean", "--review").output
    assert shown.index("dataset: video-lpw") < shown.index("no suggestions yet")
    assert shown.index("no suggestions yet") < shown.index("review by")
    assert len(opened) == 1 and opened[0].startswith("http://127.0.0.1:")
    assert "no suggestions yet" not in lpw("clean", "--review").output
    assert "train 5 persons" in lpw("clean", "--apply", "cleaned").output
    shown = lpw("train", "rqen").output
    assert "dataset: cleaned (the latest with persons and splits of cleaned, video-lpw)" in shown
    assert (fresh / "runs" / "latest").read_text() == "rqen-modern\n"
    shown = lpw("eval").output
    assert "run: runs/rqen-modern (the newest)\ndataset: cleaned\nprotocol: cross_camera" in shown
    assert "R-1" in shown and "splits: split 0" in shown and "trained on" not in shown
    check_table(fresh, "cross_camera")
    assert "dataset: video-lpw" in lpw("clean", "--status").output  # which is under review still


def test_one_camera(
    street: Path, fresh: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    join_views(street, fresh)
    monkeypatch.setenv("LPW_BUILD_TRACKLETS_BOXES", "detections")
    assert "1 camera\n" in lpw("build-tracklets", "video/").output
    visit(lambda: review_by_truth(open_dataset("video-lpw"), fresh / "truth"))
    assert "one camera (scen1/view1): nobody can be looked for" in lpw("clean", "--review").output
    shown = lpw("clean", "--apply", "cleaned", "--min-cameras", "1").output
    assert "protocol within_camera" in shown
    lpw("train", "rqen")
    shown = lpw("eval").output
    assert "protocol: within_camera" in shown and "R-1" in shown
    check_table(fresh, "within_camera")


def test_the_review_leaves_the_logging_of_other_libraries_alone(
    street: Path, fresh: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    class Handler(logging.StreamHandler[TextIO]):  # as absl has one
        def close(self) -> None:
            closed.append("closed")
            super().close()

    handler = Handler()
    monkeypatch.setenv("LPW_BUILD_TRACKLETS_BOXES", str(street / "detections"))
    lpw("build-tracklets", str(street / "video"), "--out", "video-lpw")
    visit(lambda: None)
    lpw("clean", "--review")
    assert not closed
    handler.close()


def test_without_anything_one_line_says_what_to_do(fresh: Path) -> None:
    for words, do in (
        (["train", "rqen"], "build one with `lpw build-tracklets VIDEO`"),
        (["clean", "--review"], "build one with `lpw build-tracklets VIDEO`"),
        (["clean", "--apply", "cleaned"], "build one with `lpw build-tracklets VIDEO`"),
        (["eval"], "train one with `lpw train rqen`"),
    ):
        done = CliRunner().invoke(main, words)
        assert isinstance(done.exception, LpwError)
        assert "\n" not in str(done.exception) and do in str(done.exception)
    assert not list(fresh.iterdir())


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("film", "boxes"),
    [
        ("tud-stadtmitte", "TUD-Stadtmitte"),
        ("pets09-s2l1", "PETS09-S2L1"),
        ("adl-rundle-6", "ADL-Rundle-6"),
        ("street-walk", None),
    ],
)
def test_real_films_come_to_the_review_page(
    shared_data: Path,
    fresh: Path,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    film: str,
    boxes: str | None,
) -> None:
    """The first seconds of each film, with boxes that were saved, or a detector that lies in the
    folder."""
    (source,) = (shared_data / "video" / film).iterdir()
    shorten(source, fresh / "video" / "scen1" / "view1.mp4", range(60) if boxes else WALK)
    if boxes:
        text = (shared_data / "mot15" / boxes / "gt" / "gt.txt").read_text()
        kept = [line for line in text.splitlines() if int(line.split(",")[0]) <= 60]
        (fresh / "boxes.txt").write_text("\n".join(kept) + "\n")
        monkeypatch.setenv("LPW_BUILD_TRACKLETS_BOXES", "boxes.txt")
    else:
        shutil.copy(shared_data / "weights" / "yolox_nano.onnx", fresh)
        monkeypatch.setenv("LPW_BUILD_TRACKLETS_WEIGHTS", "yolox_nano.onnx")
    lpw("build-tracklets", "video/")
    assert open_dataset("video-lpw").tracklets.num_rows > 0
    served: list[str] = []
    opened = visit(lambda: served.append("yes"))
    lpw("clean", "--review")
    assert served and opened
    assert (fresh / "video-lpw" / "cleanup" / "suggestions" / "suggestions.parquet").is_file()


def shorten(source: Path, target: Path, frames: range) -> None:
    """Some frames of a film, encoded anew."""
    target.parent.mkdir(parents=True)
    with av.open(str(source)) as film, av.open(str(target), "w") as part:
        given = film.streams.video[0]
        stream = part.add_stream("libx264", rate=given.average_rate, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = given.width, given.height, "yuv420p"
        for number, frame in enumerate(film.decode(video=0)):
            if number >= frames.stop:
                break
            if number < frames.start:
                continue
            picture = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")
            part.mux(stream.encode(picture))
        part.mux(stream.encode())
