"""Joints to regions: the orders of three conventions, and the division that the paper prints."""

import csv

import numpy as np
import pytest

from lpw_toolkit.errors import LpwError
from rqen.body.landmarks import (
    FROM_CPM,
    JOINTS,
    SETS,
    cluster_heights,
    divide_body,
    map_coco,
    map_cpm,
)

#: Rough upright proportions of protocols.md 8.2, in the paper's order.
UPRIGHT = np.array(
    [[0.06, 0.17, 0.20, 0.20, 0.35, 0.35, 0.47, 0.47, 0.51, 0.51, 0.72, 0.72, 0.93, 0.93]]
)
CPM = (
    *(
        "head",
        "neck",
        "right shoulder",
        "right elbow",
        "right wrist",
        "left shoulder",
        "left elbow",
        "left wrist",
    ),
    *("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"),
)
COCO = (
    *(
        "nose",
        "left eye",
        "right eye",
        "left ear",
        "right ear",
        "left shoulder",
        "right shoulder",
        "left elbow",
    ),
    *(
        "right elbow",
        "left wrist",
        "right wrist",
        "left hip",
        "right hip",
        "left knee",
        "right knee",
        "left ankle",
    ),
    "right ankle",
)


def test_the_order_of_cpm():
    assert [CPM[place] for place in FROM_CPM] == list(JOINTS)


def test_the_sets_are_head_to_hips_hips_and_knees_knees_and_ankles():
    assert [JOINTS[i].split()[-1] for i in SETS[0]][-2:] == ["hip", "hip"]
    assert {JOINTS[i].split()[-1] for i in SETS[1]} == {"hip", "knee"}
    assert {JOINTS[i].split()[-1] for i in SETS[2]} == {"knee", "ankle"}


def test_upright_proportions_give_the_printed_ratio():
    """protocols.md 8.2: centres .329/.615/.825, cuts .472/.720, 3:2:2."""
    division = divide_body(UPRIGHT)
    assert division.centres == pytest.approx((0.329, 0.615, 0.825), abs=1e-3)
    assert division.cuts == pytest.approx((0.472, 0.720), abs=1e-3)
    assert division.rounded == (3, 2, 2)
    assert sum(division.rows) == pytest.approx(7)


def test_joints_that_were_not_seen_do_not_count():
    heights = np.concatenate([UPRIGHT, np.full((1, 14), 0.99)])
    seen = np.array([[True] * 14, [False] * 14])
    division = divide_body(heights, seen)
    assert division.cuts == divide_body(UPRIGHT).cuts
    assert (division.n_images, division.n_joints) == (2, 14)


class TestKMeans:
    PLANTED = (0.25, 0.6, 0.85)

    def plant(self, n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
        """Heights (n, 14) around the planted centres."""
        heights = np.full((n, 14), 0.5)
        for centre, joints in zip(self.PLANTED, ((0, 8), (8, 12), (12, 14)), strict=True):
            place = slice(*joints)
            heights[:, place] = rng.normal(centre, spread, heights[:, place].shape)
        return heights

    def test_planted_clusters_are_found(self):
        heights = self.plant(400, 0.02, np.random.default_rng(0))
        found = cluster_heights(heights.ravel(), [0.1, 0.5, 0.9])
        assert found == pytest.approx(self.PLANTED, abs=5e-3)
        assert cluster_heights(heights.ravel()[::-1], [0.3, 0.55, 0.7]) == pytest.approx(found)

    def test_images_whose_joints_are_elsewhere_move_a_mean_but_not_the_clusters(self):
        """On a fifth of the images the pose model puts all that it sees of the legs on the head:
        the mean of the lower set is pulled up, the cluster counts them above."""
        heights = np.repeat(UPRIGHT, 100, axis=0)
        heights += np.random.default_rng(0).normal(0, 0.01, heights.shape)
        honest = divide_body(heights).centres
        heights[:20, 10:] = 0.33
        mean, clusters = (divide_body(heights, None, by) for by in ("mean", "k-means"))
        assert mean.centres[2] < honest[2] - 0.08
        assert clusters.centres[2] == pytest.approx(honest[2], abs=0.01)
        assert (clusters.centres_by, clusters.rounded) == ("k-means", (3, 2, 2))

    def test_upright_proportions_give_the_printed_ratio_by_either_reading(self):
        by_sets = divide_body(UPRIGHT, None, "k-means")
        assert by_sets.centres == pytest.approx(divide_body(UPRIGHT).centres)
        by_joints = divide_body(UPRIGHT, None, "k-means-joints")
        groups = UPRIGHT[0, :6], UPRIGHT[0, 6:12], UPRIGHT[0, 12:]
        assert by_joints.centres == pytest.approx([group.mean() for group in groups])
        assert by_joints.centres != pytest.approx(by_sets.centres, abs=0.02)
        assert (by_sets.rounded, by_joints.rounded) == ((3, 2, 2), (3, 2, 2))

    def test_joints_that_were_not_seen_do_not_count(self):
        heights = np.concatenate([UPRIGHT, np.full((2, 14), 0.99)])
        seen = np.array([[True] * 14, [False] * 14, [False] * 14])
        for by in ("k-means", "k-means-joints"):
            assert divide_body(heights, seen, by).cuts == divide_body(UPRIGHT, None, by).cuts

    def test_a_cluster_that_stays_empty(self):
        with pytest.raises(LpwError, match="a cluster without points"):
            cluster_heights(np.array([0.1, 0.1, 0.1]), [0.1, 0.5, 0.9])


class TestCoco:
    def points(self) -> np.ndarray:
        """x = place in COCO's order, y = a height, all sure."""
        points = np.ones((1, 17, 3))
        points[0, :, 0] = np.arange(17)
        points[0, :, 1] = [12, 11, 11, 11, 11, 20, 20, 35, 35, 47, 47, 51, 51, 72, 72, 93, 93]
        return points

    def test_limbs_go_to_their_places(self):
        mapped = map_coco(self.points())
        assert [COCO[int(x)] for x in mapped[0, 2:, 0]] == list(JOINTS[2:])

    def test_neck_and_head_are_made(self):
        points = self.points()
        points[0, 5, 2] = 0.4
        head, neck = map_coco(points)[0, :2]
        assert neck.tolist() == [5.5, 20.0, 0.4]
        assert head[1] == pytest.approx(12 + 0.6 * (12 - 20))
        assert head[2] == 0.4

    def test_without_a_nose_the_head_is_where_eyes_and_ears_are(self):
        points = self.points()
        points[0, [0, 1], 2] = 0
        points[0, 2:5, 1] = [10, 11, 12]
        head = map_coco(points)[0, 0]
        assert head[:2].tolist() == [3.0, 11.0]

    def test_division_through_coco(self):
        mapped = map_coco(self.points())
        division = divide_body(mapped[..., 1] / 100)
        assert division.rounded == (3, 2, 2)


@pytest.mark.parametrize(
    ("heights", "seen", "message"),
    [
        (UPRIGHT[:, :13], None, "paper's order"),
        (UPRIGHT, np.zeros((1, 14), dtype=bool), "never seen"),
        (UPRIGHT[:, ::-1], None, "upper above middle"),
        (UPRIGHT * 100, None, "inside the picture"),
        (UPRIGHT * np.nan, None, "nan"),
    ],
)
def test_refusals(heights, seen, message):
    with pytest.raises(LpwError, match=message):
        divide_body(heights, seen)


def test_key_points_of_another_kind_are_refused():
    with pytest.raises(LpwError, match="17"):
        map_coco(np.zeros((2, 14, 3)))
    with pytest.raises(LpwError, match="14"):
        map_cpm(np.zeros((2, 17, 2)))


@pytest.mark.realdata
def test_real_landmarks_tell_the_orders_apart(shared_data):
    """Issue 4's oracle: .476 and .711 in the paper's order, .509 and .710 (4:1:2) in their own."""
    with (shared_data / "mini_lpw" / "landmarks.csv").open() as file:
        rows = list(csv.reader(file))
    y = np.array([[float(v) for v in row[15:]] for row in rows[1:]])
    heights = y / 128  # pixels of the 64 x 128 image, from 1: the lower edge of a pixel
    mapped = divide_body(map_cpm(heights[..., None])[..., 0])
    assert mapped.cuts == pytest.approx((0.476, 0.711), abs=2e-3)
    assert mapped.rounded == (3, 2, 2)
    unmapped = divide_body(heights)
    assert unmapped.cuts == pytest.approx((0.509, 0.710), abs=2e-3)
    assert unmapped.rounded == (4, 1, 2)
