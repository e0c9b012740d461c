"""Flow in the user's cache: made once, of the right images, and only where there is room."""

import multiprocessing
import pickle

import numpy as np
import pytest
from make_dataset import make_dataset

from lpw_toolkit import progress
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.errors import CorruptCropError
from rqen.data import flow_cache
from rqen.data.flow_cache import FlowCache, open_flow
from rqen.flow.optical_flow import FlowSettings, compute_flow_images

SETTINGS = FlowSettings(height=32, width=16, stored_height=16, stored_width=8)
ALL = np.arange(6)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = tmp_path_factory.mktemp("flow") / "d"
    make_dataset(root, n_frames=9)
    return open_index(root)


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Files of 8 rows: their borders lie within tracklets of 9 to 13 frames."""
    monkeypatch.setattr(flow_cache, "_ROWS", 8)
    monkeypatch.setattr(progress, "_said", set())


def expected_flow(index):
    parts = []
    for first, end in zip(index.starts[:-1], index.starts[1:], strict=True):
        images = np.stack([index.images.decode(int(row), (32, 16)) for row in range(first, end)])
        parts.append(compute_flow_images(images, SETTINGS))
    return np.concatenate(parts)


def forbid_estimates(monkeypatch):
    def refuse(*_):
        raise AssertionError("flow was made again")

    monkeypatch.setattr(flow_cache, "compute_flow_images", refuse)


@pytest.mark.parametrize("cached", [False, True])
def test_flow_is_that_of_each_tracklet(index, cached, tmp_path):
    cache = FlowCache(index, SETTINGS, tmp_path if cached else None)
    cache.prepare(ALL)
    wanted = expected_flow(index)
    assert np.ptp(wanted) > 0
    n = int(index.starts[-1])
    assert np.array_equal(cache.read(0, n), wanted)
    for first, end in [(0, 1), (5, 12), (7, 9), (n - 3, n)]:
        assert np.array_equal(cache.read(first, end), wanted[first:end])


def test_what_is_there_is_not_made_again(index, tmp_path, monkeypatch):
    FlowCache(index, SETTINGS, tmp_path).prepare(ALL)
    forbid_estimates(monkeypatch)
    again = FlowCache(index, SETTINGS, tmp_path)
    again.prepare(ALL)
    carried = pickle.loads(pickle.dumps(again))
    assert np.array_equal(carried.read(3, 20), again.read(3, 20))


def test_only_what_is_needed_is_made(index, tmp_path, capsys):
    cache = FlowCache(index, SETTINGS, tmp_path)
    cache.prepare(np.array([0]))
    n_files = len(list(cache.folder.iterdir()))
    assert n_files == -(-int(index.starts[1]) // 8)
    said = capsys.readouterr().err
    assert f"flow of {8 * n_files} frames: " in said
    assert str(cache.folder) in said


@pytest.mark.parametrize("damage", ["changed", "shortened", "emptied"])
def test_a_broken_file_is_made_again(index, tmp_path, damage, capsys):
    cache = FlowCache(index, SETTINGS, tmp_path)
    cache.prepare(ALL)
    file = sorted(cache.folder.iterdir())[1]
    good = file.read_bytes()
    broken = {"changed": good[:-1] + bytes([good[-1] ^ 1]), "shortened": good[:-9], "emptied": b""}
    file.write_bytes(broken[damage])
    again = FlowCache(index, SETTINGS, tmp_path)
    assert np.array_equal(again.read(8, 16), expected_flow(index)[8:16])
    assert capsys.readouterr().err.count("is broken and is not used") == 1
    again.prepare(ALL)
    assert file.read_bytes() == good


def test_other_images_and_other_settings_have_other_flow(index, tmp_path):
    make_dataset(tmp_path / "other", n_frames=9, seed=5)
    other = open_index(tmp_path / "other")
    finer = FlowSettings("dis", height=32, width=16, stored_height=16, stored_width=8)
    caches = [FlowCache(*of, tmp_path / "flow") for of in
              ((index, SETTINGS), (other, SETTINGS), (index, finer))]  # fmt: skip
    for cache in caches:
        cache.prepare(ALL)
    assert len({cache.folder for cache in caches}) == 3
    assert np.array_equal(caches[1].read(0, 40), expected_flow(other)[:40])
    assert not np.array_equal(caches[0].read(0, 40), caches[1].read(0, 40))


def test_two_processes_make_the_same_files(index, tmp_path):
    context = multiprocessing.get_context("fork")
    caches = [FlowCache(index, SETTINGS, tmp_path) for _ in range(2)]
    processes = [context.Process(target=cache.prepare, args=(ALL,)) for cache in caches]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert np.array_equal(caches[0].read(0, 50), expected_flow(index)[:50])


def test_a_cache_that_takes_no_files_is_done_without(index, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    cache = FlowCache(index, SETTINGS, tmp_path / "file" / "flow")
    cache.prepare(ALL)
    cache.prepare(ALL)
    assert capsys.readouterr().err.count("no cache: ") == 1
    assert np.array_equal(cache.read(0, 30), expected_flow(index)[:30])


def test_without_a_home_there_is_no_cache(index, monkeypatch, capsys):
    monkeypatch.setattr(flow_cache, "cache_folder", lambda: None)
    cache = open_flow(index, SETTINGS)
    cache.prepare(ALL)
    assert cache.folder is None
    assert np.array_equal(cache.read(0, 30), expected_flow(index)[:30])


def test_old_flow_makes_room_and_what_does_not_fit_is_made_when_asked_for(
    index, tmp_path, monkeypatch, capsys
):
    make_dataset(tmp_path / "other", n_frames=9, seed=5)
    old = FlowCache(open_index(tmp_path / "other"), SETTINGS, tmp_path / "flow")
    old.prepare(ALL)
    monkeypatch.setenv("LPW_LIMIT_FLOW_BYTES", str(3 * 8 * SETTINGS.n_bytes_per_frame))
    cache = FlowCache(index, SETTINGS, tmp_path / "flow")
    cache.prepare(ALL)
    assert not old.folder.exists()
    assert len(list(cache.folder.iterdir())) == 3
    said = capsys.readouterr().err
    assert "is removed to make room" in said
    assert "not all of it fits" in said
    assert np.array_equal(cache.read(0, 60), expected_flow(index)[:60])


def test_frames_without_numbers_and_times_are_told(tmp_path, capsys):
    make_dataset(tmp_path / "d", n_frames=3, boxes=False)
    open_flow(open_index(tmp_path / "d"), SETTINGS)
    assert "train with --set data.flow=none" in capsys.readouterr().err


def test_an_image_that_is_broken_is_named(tmp_path):
    dataset = make_dataset(tmp_path / "d", n_frames=3)
    image = next(iter(sorted((tmp_path / "d" / "images").rglob("*.jpg"))))
    image.write_bytes(b"nothing")
    cache = FlowCache(open_index(dataset.root), SETTINGS, tmp_path / "flow")
    with pytest.raises(CorruptCropError, match=image.name):
        cache.prepare(ALL)
