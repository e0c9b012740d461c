"""Frames with flow as two more channels."""

import pickle

import numpy as np
import pytest
from make_dataset import make_dataset

from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.errors import LpwError
from rqen.flow.flow_frames import FlowFrames, mirror_frames


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = tmp_path_factory.mktemp("frames") / "d"
    make_dataset(root, n_tracklets=4, n_frames=6)
    return open_index(root)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LPW_CACHE", str(tmp_path / "cache"))


def test_images_and_flow_of_the_same_rows(index):
    reader = FlowFrames(index, (64, 48), "lucas_kanade", signed_mirror=False)
    rows = np.arange(index.starts[1], index.starts[2])
    frames = reader.read(rows)
    assert frames.shape == (len(rows), 64, 48, 5)
    assert np.array_equal(frames[2, ..., :3], index.images.decode(int(rows[2]), (64, 48)))
    assert (frames[0, ..., 3:] == 127).all()
    assert (frames[1:, ..., 3:] != 127).any(axis=(1, 2, 3)).all()
    some = rows[[1, 2, 4]]
    assert np.array_equal(pickle.loads(pickle.dumps(reader)).read(some), frames[[1, 2, 4]])


def test_without_flow_nothing_is_cached(index, tmp_path):
    reader = FlowFrames(index, (64, 48), "none", signed_mirror=False)
    assert (reader.read(np.arange(3))[..., 3:] == 127).all()
    assert not (tmp_path / "cache").exists()


def test_an_unknown_flow_is_refused(index):
    with pytest.raises(LpwError, match="expected dis, farneback, lucas_kanade"):
        FlowFrames(index, (64, 48), "raft", signed_mirror=False)


@pytest.mark.parametrize("signed", [False, True])
def test_a_mirror_image_of_a_mirror_image_is_the_frame(signed):
    frames = np.random.default_rng(0).integers(1, 255, (2, 8, 6, 5), dtype=np.uint8)
    mirrored = mirror_frames(frames, signed=signed)
    assert np.array_equal(mirrored[..., :3], frames[:, :, ::-1, :3])
    assert np.array_equal(mirrored[..., 4], frames[:, :, ::-1, 4])
    assert np.array_equal(mirrored[..., 3], frames[:, :, ::-1, 3]) is not signed
    assert np.array_equal(mirror_frames(mirrored, signed=signed), frames)
