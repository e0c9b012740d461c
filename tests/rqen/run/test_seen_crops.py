"""A crop shows a person who was trained on where it lies at the same place of the same video, and
nobody else fits better."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from lpw_toolkit.boxes import iou
from lpw_toolkit.errors import MismatchError
from rqen.run import seen_crops
from rqen.run.seen_crops import (
    CROPS_DIGEST,
    MIN_IOU,
    SEEN_CROPS,
    CropPlaces,
    DatasetCrops,
    encode_crops,
    find_trained,
    join_places,
    read_seen_crops,
)

Row = tuple[int, int, tuple[int, int, int, int], bool]
WIDE = 40


def places(*rows: Row) -> CropPlaces:
    video, frame, boxes, trained = zip(*rows, strict=True)
    return CropPlaces(
        np.array(video, np.uint64),
        np.array(frame, np.uint32),
        np.array(boxes, np.uint16).reshape(-1, 4),
        np.array(trained, bool),
    )


def person(left: int, *, frame: int = 5, video: int = 9, trained: bool = False) -> Row:
    """A box of 40 x 100 pixels."""
    return video, frame, (left, 50, left + WIDE, 150), trained


def find(here: list[Row], seen: list[Row], source: list[int] | None = None) -> list[bool]:
    rows = np.arange(len(here))
    crops = DatasetCrops(rows, np.array(source or [0] * len(here)), places(*here))
    return find_trained(crops, join_places(places(*seen))).tolist()


class TestOneFrame:
    def test_another_build_moves_a_box_a_little(self) -> None:
        assert find([person(103)], [person(100, trained=True)]) == [True]

    def test_people_side_by_side_are_different(self) -> None:
        """Two thirds of each box are its own: IoU 0.2."""
        left = 100 + 2 * WIDE // 3
        assert find([person(left)], [person(100, trained=True)]) == [False]

    def test_the_threshold_is_one_half(self) -> None:
        """40 pixels wide and moved by d the IoU is (40 - d) / (40 + d): 13 gives 0.51, 14 0.48."""
        assert MIN_IOU == 0.5
        assert find([person(113)], [person(100, trained=True)]) == [True]
        assert find([person(114)], [person(100, trained=True)]) == [False]

    @pytest.mark.parametrize("other", [person(100, frame=6), person(100, video=8)])
    def test_another_frame_or_video_is_another_moment(self, other: Row) -> None:
        assert find([other], [person(100, trained=True)]) == [False]

    def test_of_two_who_pass_each_other_one_is_the_person(self) -> None:
        """The passer-by is unknown to the run, but the person fits the trained box better."""
        assert find([person(101), person(108)], [person(100, trained=True)]) == [True, False]

    def test_a_passer_by_whom_the_run_knows_as_another_person(self) -> None:
        """The trained person is not in the dataset at hand."""
        seen = [person(100, trained=True), person(108)]
        assert find([person(107)], seen) == [False]

    def test_copies_of_a_crop_in_one_dataset_are_all_seen(self) -> None:
        assert find([person(100), person(100)], [person(102, trained=True)]) == [True, True]

    def test_two_builds_of_a_video_in_one_dataset_do_not_compete(self) -> None:
        found = find([person(100), person(104)], [person(100, trained=True)], source=[0, 1])
        assert found == [True, True]

    def test_a_box_of_two_builds_that_a_run_has_seen(self) -> None:
        seen = [person(100, trained=True), person(104, trained=True)]
        assert find([person(102)], seen) == [True]

    def test_nothing_overlaps_an_empty_box(self) -> None:
        empty = (9, 5, (100, 50, 100, 50), False)
        assert find([empty], [(*empty[:3], True)]) == [False]


def brute_force(here: CropPlaces, source: np.ndarray, seen: CropPlaces) -> list[bool]:
    """The rule, crop by crop."""
    found = []
    for i in range(len(here.frame)):
        known = np.flatnonzero((seen.video == here.video[i]) & (seen.frame == here.frame[i]))
        rivals = np.flatnonzero((source == source[i]) & (here.frame == here.frame[i]))
        is_seen = False
        if len(known):
            mine = iou(here.boxes[[i]].astype(float), seen.boxes[known].astype(float))[0]
            table = iou(here.boxes[rivals].astype(float), seen.boxes[known].astype(float))
            good = (mine >= 0.5) & (mine == mine.max()) & (mine == table.max(axis=0))
            is_seen = bool((good & seen.trained[known]).any())
        found.append(is_seen)
    return found


@pytest.mark.parametrize("n_pairs", [1 << 20, 7])
def test_a_crowd_as_the_rule_says_crop_by_crop(
    monkeypatch: pytest.MonkeyPatch, n_pairs: int
) -> None:
    monkeypatch.setattr(seen_crops, "_N_PAIRS", n_pairs)
    rng = np.random.default_rng(3)

    def draw(n: int) -> CropPlaces:
        corner = rng.integers(0, 90, (n, 2))
        boxes = np.concatenate([corner, corner + rng.integers(30, 60, (n, 2))], axis=1)
        video, frame = rng.integers(0, 3, n), rng.integers(0, 9, n)
        return places(*zip(video, frame, map(tuple, boxes), rng.random(n) < 0.5, strict=True))

    seen, here = join_places(draw(300)), draw(300)
    source = here.video.astype(int) * 2 + rng.integers(0, 2, 300)
    found = find_trained(DatasetCrops(np.arange(300), source, here), seen).tolist()
    assert found == brute_force(here, source, seen)
    assert 20 < sum(found) < 280


class TestFile:
    def write(self, folder: Path, data: bytes) -> dict[str, object]:
        (folder / SEEN_CROPS).write_bytes(data)
        return {CROPS_DIGEST: hashlib.sha256(data).hexdigest()}

    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        rows = [person(7, video=2**64 - 1, trained=True), person(70_000 % 65_536), person(3)]
        written = join_places(places(*rows), places(*rows[1:]))
        facts = self.write(tmp_path, encode_crops(written))
        assert (tmp_path / SEEN_CROPS).stat().st_size == 3 * 21
        read = read_seen_crops(tmp_path, facts)
        assert read is not None
        for name in ("video", "frame", "boxes", "trained"):
            assert np.array_equal(getattr(read, name), getattr(written, name))
            assert getattr(read, name).dtype == getattr(written, name).dtype

    def test_a_run_of_an_older_version_has_none(self, tmp_path: Path) -> None:
        assert read_seen_crops(tmp_path, {}) is None

    def test_another_file_is_refused(self, tmp_path: Path) -> None:
        facts = self.write(tmp_path, encode_crops(places(person(1))))
        (tmp_path / SEEN_CROPS).write_bytes(b"\0" * 21)
        with pytest.raises(MismatchError, match=f"{SEEN_CROPS}: got SHA-256"):
            read_seen_crops(tmp_path, facts)
        (tmp_path / SEEN_CROPS).unlink()
        with pytest.raises(MismatchError, match="the places of the crops"):
            read_seen_crops(tmp_path, facts)

    def test_crops_that_are_not_sorted_are_refused(self, tmp_path: Path) -> None:
        rows = places(person(1, frame=6), person(1, frame=5))
        facts = self.write(tmp_path, encode_crops(rows))
        with pytest.raises(MismatchError, match="not sorted"):
            read_seen_crops(tmp_path, facts)

    def test_a_frame_with_more_crops_than_people_find_room_in(self) -> None:
        box = np.arange(5_000, dtype=np.uint16)[:, None] + np.array([0, 0, 9, 9], np.uint16)
        n = len(box)
        video, frame = np.full(n, 9, np.uint64), np.full(n, 5, np.uint32)
        crowd = CropPlaces(video, frame, box, np.ones(n, bool))
        here = DatasetCrops(np.zeros(1, int), np.zeros(1, int), places(person(1)))
        with pytest.raises(MismatchError, match="5,000 trained crops"):
            find_trained(here, crowd)
