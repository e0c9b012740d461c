"""Flow in the user's cache: made once, of the right images, and only where there is room."""

import multiprocessing
import pickle
import shutil

import numpy as np
import pytest
from make_dataset import make_dataset

from lpw_toolkit import progress
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.errors import CorruptCropError
from rqen.flow import flow_cache
from rqen.flow.flow_cache import FlowCache, open_flow
from rqen.flow.optical_flow import FlowSettings, compute_flow_images

SETTINGS = FlowSettings(height=32, width=16, stored_height=16, stored_width=8)


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


def read_all(cache):
    return cache.read(0, int(cache.index.starts[-1]))


@pytest.mark.parametrize("cached", [False, True])
def test_flow_is_that_of_each_tracklet(index, cached, tmp_path):
    cache = FlowCache(index, SETTINGS, tmp_path if cached else None)
    wanted = expected_flow(index)
    assert np.ptp(wanted) > 0
    n = int(index.starts[-1])
    for first, end in [(5, 12), (0, n), (0, 1), (7, 9), (n - 3, n)]:
        assert np.array_equal(cache.read(first, end), wanted[first:end])


def test_what_is_there_is_not_made_again(index, tmp_path, monkeypatch):
    wanted = read_all(FlowCache(index, SETTINGS, tmp_path))
    forbid_estimates(monkeypatch)
    again = FlowCache(index, SETTINGS, tmp_path)
    assert np.array_equal(read_all(again), wanted)
    carried = pickle.loads(pickle.dumps(again))
    assert np.array_equal(carried.read(3, 20), wanted[3:20])


def test_only_what_is_asked_for_is_made_and_its_size_is_told(index, tmp_path, capsys):
    cache = FlowCache(index, SETTINGS, tmp_path)
    cache.read(9, 10)
    assert [file.name for file in cache.folder.iterdir()] == ["000001.flow"]
    n = int(index.starts[-1])
    size = f"{n * SETTINGS.n_bytes_per_frame / 1000:.0f} kB"
    assert capsys.readouterr().err == (
        f"flow of {n} frames is kept: up to {size} in {cache.folder}\n"
    )
    read_all(cache)
    FlowCache(index, SETTINGS, tmp_path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", ["changed", "shortened", "emptied"])
def test_a_broken_file_is_made_again(index, tmp_path, damage, capsys):
    read_all(FlowCache(index, SETTINGS, tmp_path))
    file = sorted(tmp_path.glob("*/*"))[1]
    good = file.read_bytes()
    broken = {"changed": good[:-1] + bytes([good[-1] ^ 1]), "shortened": good[:-9], "emptied": b""}
    file.write_bytes(broken[damage])
    again = FlowCache(index, SETTINGS, tmp_path)
    assert np.array_equal(again.read(8, 16), expected_flow(index)[8:16])
    assert capsys.readouterr().err.count("is broken, so it is made again") == 1
    assert file.read_bytes() == good


def test_other_images_and_other_settings_have_other_flow(index, tmp_path):
    make_dataset(tmp_path / "other", n_frames=9, seed=5)
    other = open_index(tmp_path / "other")
    of_dis = FlowSettings("dis", height=32, width=16, stored_height=16, stored_width=8)
    caches = [FlowCache(*of, tmp_path / "flow") for of in
              ((index, SETTINGS), (other, SETTINGS), (index, of_dis))]  # fmt: skip
    found = [read_all(cache) for cache in caches]
    assert len({cache.folder for cache in caches}) == 3
    assert np.array_equal(found[1], expected_flow(other))
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_two_processes_make_the_same_files(index, tmp_path):
    context = multiprocessing.get_context("fork")
    caches = [FlowCache(index, SETTINGS, tmp_path) for _ in range(2)]
    processes = [context.Process(target=read_all, args=(cache,)) for cache in caches]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert {file.suffix for file in tmp_path.glob("*/*")} == {".flow"}
    assert np.array_equal(read_all(caches[0]), expected_flow(index))


def test_a_cache_that_takes_no_files_is_done_without(index, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        cache = FlowCache(index, SETTINGS, tmp_path / "file" / "flow")
        assert np.array_equal(read_all(cache), expected_flow(index))
    assert capsys.readouterr().err.count("no cache: ") == 1


def test_a_cache_that_is_taken_away_meanwhile_is_done_without(index, tmp_path, capsys):
    cache = FlowCache(index, SETTINGS, tmp_path)
    cache.read(0, 8)
    shutil.rmtree(cache.folder)
    assert np.array_equal(read_all(cache), expected_flow(index))
    assert capsys.readouterr().err.count("no cache: ") == 1


def test_without_a_home_there_is_no_cache(index, monkeypatch):
    monkeypatch.setattr(flow_cache, "cache_folder", lambda: None)
    cache = open_flow(index, SETTINGS)
    assert cache.folder is None
    assert np.array_equal(read_all(cache), expected_flow(index))


def test_old_flow_makes_room_and_what_does_not_fit_is_made_when_asked_for(
    index, tmp_path, monkeypatch, capsys
):
    make_dataset(tmp_path / "other", n_frames=9, seed=5)
    old = FlowCache(open_index(tmp_path / "other"), SETTINGS, tmp_path / "flow")
    read_all(old)
    monkeypatch.setenv("LPW_LIMIT_FLOW_BYTES", str(3 * 8 * SETTINGS.n_bytes_per_frame))
    cache = FlowCache(index, SETTINGS, tmp_path / "flow")
    assert not old.folder.exists()
    assert np.array_equal(read_all(cache), expected_flow(index))
    assert len(list(cache.folder.iterdir())) == 3
    said = capsys.readouterr().err
    assert f"{old.folder} is removed" in said
    assert "not all of it" in said


def test_flow_that_fits_beside_another_leaves_it(index, tmp_path):
    make_dataset(tmp_path / "other", n_frames=9, seed=5)
    old = FlowCache(open_index(tmp_path / "other"), SETTINGS, tmp_path / "flow")
    read_all(old)
    read_all(FlowCache(index, SETTINGS, tmp_path / "flow"))
    assert len(list(old.folder.iterdir())) > 3


def test_frames_without_numbers_and_times_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LPW_CACHE", str(tmp_path / "cache"))
    make_dataset(tmp_path / "d", n_frames=3, boxes=False)
    open_flow(open_index(tmp_path / "d"), SETTINGS)
    assert "train with --set method.flow=none" in capsys.readouterr().err


def test_an_image_that_is_broken_is_named(tmp_path):
    dataset = make_dataset(tmp_path / "d", n_frames=3)
    image = next(iter(sorted((tmp_path / "d" / "images").rglob("*.jpg"))))
    image.write_bytes(b"nothing")
    cache = FlowCache(open_index(dataset.root), SETTINGS, tmp_path / "flow")
    with pytest.raises(CorruptCropError, match=image.name):
        cache.read(0, 3)
