"""Dense optical flow: planted motions, frames without structure, and flow as images."""

import numpy as np
import pytest
from plugin_tools import add_plugin
from scipy.ndimage import fourier_shift, gaussian_filter

from lpw_toolkit.errors import LpwError
from rqen.flow.estimators.lucas_kanade import estimate_flow
from rqen.flow.optical_flow import (
    FLOWS,
    FlowSettings,
    compute_flow_images,
    encode_flow,
    shorten_flow,
)

INNER = slice(8, -8)


def draw_texture(height=64, width=48, seed=0):
    pattern = gaussian_filter(np.random.default_rng(seed).standard_normal((height, width)), 2,
                              mode="wrap")  # fmt: skip
    return np.clip(128 + 40 * pattern / pattern.std(), 0, 255)


def move(frame, right, down):
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(frame), (down, right))).real
    return moved.astype(np.float32)


def measure_motion(estimate, right, down):
    frame = draw_texture()
    flow = estimate(np.stack([frame.astype(np.float32), move(frame, right, down)]))
    assert flow.shape == (1, 64, 48, 2)
    assert flow.dtype == np.float32
    return np.median(flow[0, INNER, INNER], axis=(0, 1))


@pytest.mark.parametrize("motion", [(0.3, 0), (0, -0.4), (0.5, 0.5), (-0.2, 0.1)])
def test_lucas_kanade_recovers_small_motions(motion):
    assert measure_motion(estimate_flow, *motion) == pytest.approx(motion, abs=0.03)


def test_lucas_kanade_falls_short_of_large_motions():
    """Its known limit, why the card asks only for half a pixel."""
    found = measure_motion(estimate_flow, 2, 0)[0]
    assert 0.5 < found < 1.9


@pytest.mark.parametrize("name", ["farneback", "dis"])
@pytest.mark.parametrize("motion", [(0.5, 0.5), (3, -2)])
def test_the_estimators_of_opencv_recover_large_motions(name, motion):
    assert measure_motion(FLOWS.load(name).estimate_flow, *motion) == pytest.approx(motion, abs=0.1)


@pytest.mark.parametrize("name", FLOWS.names())
def test_every_estimator_is_finite_without_structure(name):
    grey = np.full((3, 32, 16), 77, np.float32)
    flow = FLOWS.load(name).estimate_flow(grey)
    assert flow.shape == (2, 32, 16, 2)
    assert np.array_equal(flow, np.zeros_like(flow))


@pytest.mark.parametrize("name", FLOWS.names())
def test_every_estimator_takes_the_smallest_frames_and_noise(name):
    noise = np.random.default_rng(0).uniform(0, 255, (3, 16, 16)).astype(np.float32)
    assert np.isfinite(FLOWS.load(name).estimate_flow(noise)).all()


def test_on_an_edge_the_motion_across_it_is_found():
    """An upright edge moved to the right and down shows only the part to the right."""
    edge = 128 + 100 * np.tanh((np.arange(48) - 24) / 6)
    moved = 128 + 100 * np.tanh((np.arange(48) - 24.3) / 6)
    flow = estimate_flow(np.stack([np.tile(row, (64, 1)) for row in (edge, moved)]).astype("f4"))
    assert flow[0, 32, 24] == pytest.approx([0.3, 0], abs=0.02)


def test_flow_of_a_sequence_does_not_depend_on_where_it_is_cut():
    frames = np.random.default_rng(1).uniform(0, 255, (40, 24, 16)).astype(np.float32)
    whole = estimate_flow(frames)
    assert np.array_equal(whole[30:35], estimate_flow(frames[30:36]))


def test_flow_images_begin_with_no_motion_and_are_shrunk():
    frame = draw_texture(128, 64)
    frames = np.stack([frame, move(frame, 3, 0), move(frame, 6, 0)])
    images = np.repeat(np.rint(np.clip(frames, 0, 255)).astype(np.uint8)[..., None], 3, axis=3)
    flow = compute_flow_images(images, FlowSettings("farneback"))
    assert flow.shape == (3, 64, 48, 2)
    assert (flow[0] == 127).all()
    assert np.median(flow[1, ..., 0]) == np.median(flow[2, ..., 0]) == 130
    assert np.median(flow[1, ..., 1]) == 127


def test_long_vectors_are_shortened():
    flow = shorten_flow(np.array([[300.0, -400.0], [0, 0], [30, 40]], np.float32), 50)
    assert flow == pytest.approx(np.array([[30, -40], [0, 0], [30, 40]], np.float32))
    assert encode_flow(flow).tolist() == [[157, 87], [127, 127], [157, 167]]


def test_settings_refuse_what_cannot_be_made():
    with pytest.raises(LpwError, match=r"data\.flow: got raft; expected dis, farneback, lucas"):
        FlowSettings("raft")
    with pytest.raises(LpwError, match="8 x 64 pixels"):
        FlowSettings(height=8)


@pytest.mark.parametrize("way", ["file", "entry point"])
def test_an_estimator_is_added_by_one_file(way, tmp_path, monkeypatch):
    text = "def estimate_flow(frames):\n    return frames[1:, ..., None].repeat(2, 3) * 0 + 9\n"
    add_plugin(FLOWS, way, "nine", text, tmp_path, monkeypatch)
    images = np.zeros((2, 32, 16, 3), np.uint8)
    settings = FlowSettings("nine", height=32, width=16, stored_height=32, stored_width=16)
    assert (compute_flow_images(images, settings)[1] == 136).all()
