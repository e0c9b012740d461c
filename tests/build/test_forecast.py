"""The estimate of a build: right in its numbers, and without a trace in the dataset."""

import json
from pathlib import Path

import numpy as np
import pytest
from build_tools import street, undisturbed  # noqa: F401 (fixtures)
from clocks import Clock
from street import OPTIONS, build_config, digest_tree, run_lpw
from tiny_models import make_yolox

from lpw_toolkit.build.build import build_tracklets
from lpw_toolkit.build.crops import CropConfig
from lpw_toolkit.build.forecast import estimate_build
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.video.sources import find_sources


class Slow:
    """A detector that takes half a second for a frame and finds two people in it."""

    name, needs_images, startup_s = "slow", True, 0.0

    def __init__(self, clock: Clock) -> None:
        self.clock, self.notes, self.settings, self.n_seen = clock, [], {"name": "slow"}, 0

    def detect(self, frames, video):
        for frame in frames:
            self.n_seen += 1
            self.clock.pass_s(0.5)
            row = [10, 10, 40, 90, 0.9]
            yield frame.index, np.array([row, row], np.float32)


def test_frames_boxes_and_bytes_follow_from_the_first_frames(street):
    clock = Clock()
    detector = Slow(clock)
    sources = find_sources(street / "video").sources
    found = estimate_build(sources, detector, CropConfig(), clock)
    assert detector.n_seen == 11, "5 s at half a second, and the frame that shows it"
    assert found.basis == "11 of 192 frames in 4 videos"
    assert found.seconds == pytest.approx(192 * 0.5)
    assert found.n_files == 2 * 192 + 2 * 4 + 3
    assert 2 * 192 * 500 < found.n_bytes < 2 * 192 * 40_000


def test_a_trial_leaves_no_trace_in_the_dataset(street, tmp_path):
    (tmp_path / "net.onnx").write_bytes(make_yolox())
    options = DetectorOptions(weights=str(tmp_path / "net.onnx"))
    told = []
    for name, announce in (("with", told.append), ("without", None)):
        config = build_config(street, tmp_path / name, detector="onnx", options=options)
        build_tracklets(config, announce=announce)
    assert [estimate.work for estimate in told] == ["build-tracklets"]
    assert digest_tree(tmp_path / "with") == digest_tree(tmp_path / "without")


def test_an_estimate_of_saved_boxes_and_none_for_a_build_that_is_resumed(
    street, undisturbed, tmp_path
):
    told = []
    config = build_config(street, tmp_path / "out")
    build_tracklets(config, announce=told.append)
    build_tracklets(config, announce=told.append)
    assert len(told) == 1
    assert digest_tree(tmp_path / "out") == undisturbed


def test_a_dry_run_writes_nothing(street, tmp_path):
    words = ["build-tracklets", street / "video", "--boxes", street / "detections", *OPTIONS]
    done = run_lpw(*words, "--out", "out", "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["basis"] == "32 of 192 frames in 4 videos"
    assert list(Path(tmp_path).iterdir()) == []
