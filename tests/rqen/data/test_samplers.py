"""Which tracklets a step trains on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_dataset import make_dataset

from lpw_toolkit.errors import LpwError
from rqen.data.samplers import (
    Pool,
    draw_frames,
    draw_pairs,
    draw_sets,
    draw_triplets,
    hold_out,
    make_pool,
)


def pool_of(cameras: list[list[int]]) -> Pool:
    """One list of cameras per person, a tracklet for each."""
    person = [p for p, seen in enumerate(cameras) for _ in seen]
    return Pool(
        np.arange(len(person)) + 100,
        np.array(person),
        np.array([c for seen in cameras for c in seen]),
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


pools = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=2, max_size=8).map(
    pool_of
)


class TestTriplets:
    @settings(deadline=None)
    @given(pools, st.integers(0, 1000), st.integers(1, 4))
    def test_positives_are_the_anchors_person_and_negatives_are_not(self, pool, seed, n):
        anchor, positive, negative = draw_triplets(pool, n, rng(seed)).reshape(3, n)
        assert (pool.person[anchor] == pool.person[positive]).all()
        assert (pool.person[anchor] != pool.person[negative]).all()

    def test_cameras_are_drawn_independently(self):
        """protocols.md 3.2: anchor and positive are one tracklet in half of the steps of a
        two-camera set."""
        pool = pool_of([[0, 1]] * 10)
        drawn = np.array([draw_triplets(pool, 1, rng(i)) for i in range(2000)])
        assert 0.46 < (drawn[:, 0] == drawn[:, 1]).mean() < 0.54
        assert 0.46 < pool.camera[drawn[:, 2]].mean() < 0.54

    def test_a_camera_with_many_tracklets_is_not_drawn_more_often(self):
        pool = pool_of([[0, 1, 1, 1, 1], [0]])
        drawn = np.array([draw_frames(pool, 1, rng(i))[0] for i in range(4000)])
        mine = drawn[pool.person[drawn] == 0]
        assert 0.46 < (pool.camera[mine] == 0).mean() < 0.54

    def test_cross(self):
        pool = pool_of([[0, 0, 1], [0], [1, 2]])
        drawn = np.array([draw_triplets(pool, 1, rng(i), cross=True) for i in range(300)])
        assert (pool.camera[drawn[:, 0]] != pool.camera[drawn[:, 1]]).all()
        assert set(pool.person[drawn[:, 0]]) == {0, 2}
        assert 1 in pool.person[drawn[:, 2]]

    def test_cross_where_nobody_was_seen_by_two_cameras(self):
        pool = pool_of([[0, 0, 0], [0], [1, 1]])
        drawn = np.array([draw_triplets(pool, 1, rng(i), cross=True) for i in range(300)])
        assert (pool.rows[drawn[:, 0]] != pool.rows[drawn[:, 1]]).all()
        assert (pool.person[drawn[:, 0]] == pool.person[drawn[:, 1]]).all()
        assert set(pool.person[drawn[:, 0]]) == {0, 2}
        assert 1 in pool.person[drawn[:, 2]]

    def test_cross_needs_a_person_with_two_tracklets(self):
        with pytest.raises(LpwError, match="no person with two tracklets"):
            draw_triplets(pool_of([[0], [1]]), 1, rng(), cross=True)


class TestSets:
    @settings(deadline=None)
    @given(pools, st.integers(0, 1000), st.integers(1, 10), st.integers(1, 6))
    def test_k_sets_of_p_persons(self, pool, seed, n_persons, n_sets):
        drawn = draw_sets(pool, n_persons, n_sets, rng(seed)).reshape(-1, n_sets)
        persons = pool.person[drawn]
        assert len(drawn) == min(n_persons, pool.n_persons)
        assert (persons == persons[:, :1]).all()
        assert len(set(persons[:, 0])) == len(drawn)
        for places in drawn:
            own = len(pool.members[pool.person[places[0]]])
            assert np.bincount(places).max() == -(-n_sets // own)


class TestPool:
    def test_labels_follow_first_rows(self, tmp_path):
        dataset = make_dataset(tmp_path / "d", n_tracklets=12)
        people = dataset.tracklets["person_id"].to_pylist()
        rows = np.array([11, 0, 1, 2, 4, 5, 8, 3])
        pool = make_pool(dataset.tracklets, rows)
        named = [people[row] for row in pool.rows]
        assert None not in named
        assert len(set(named)) == pool.n_persons
        assert dict(zip(named, pool.person, strict=True)) == {
            p: i for i, p in enumerate(dict.fromkeys(named))
        }

    def test_one_person_is_refused(self, tmp_path):
        dataset = make_dataset(tmp_path / "d", n_tracklets=6)
        with pytest.raises(LpwError, match="2 or more"):
            make_pool(dataset.tracklets, np.array([0]))


class TestHoldOut:
    def test_nobody_is_on_both_sides(self):
        pool = pool_of([[0, 1]] * 20)
        kept, held = hold_out(pool, 0.25, rng())
        assert kept.n_persons == 15
        assert sorted([*kept.rows, *held]) == sorted(pool.rows)
        assert not set(pool.person[np.isin(pool.rows, held)]) & set(
            pool.person[np.isin(pool.rows, kept.rows)]
        )

    def test_too_few(self):
        with pytest.raises(LpwError, match="either side"):
            hold_out(pool_of([[0], [1], [2]]), 0.5, rng())


class TestPairs:
    POOL = Pool(
        np.arange(10, 17),
        np.array([0, 0, 1, 1, 1, 2, 2]),
        np.array([0, 1, 0, 1, 0, 3, 3]),
    )

    def test_even_steps_show_each_person_once_by_two_cameras(self):
        drawn = [draw_pairs(self.POOL, 1, 5, step) for step in range(0, 12, 2)]
        person, camera = self.POOL.person, self.POOL.camera
        assert all(person[one] == person[two] for one, two in drawn)
        for lap in (drawn[:3], drawn[3:]):
            assert sorted(int(person[one]) for one, _ in lap) == [0, 1, 2]
        for one, two in drawn:
            assert one != two
            assert camera[one] != camera[two] or person[one] == 2

    def test_odd_steps_show_two_persons(self):
        for step in range(1, 40, 2):
            one, two = draw_pairs(self.POOL, 1, 5, step)
            assert self.POOL.person[one] != self.POOL.person[two]

    def test_a_step_is_a_function_of_seed_and_number(self):
        again = [draw_pairs(self.POOL, 3, 5, step) for step in (4, 7)]
        for step, drawn in zip((4, 7), again, strict=True):
            np.testing.assert_array_equal(draw_pairs(self.POOL, 3, 5, step), drawn)
        assert len(again[0]) == 6
        assert not np.array_equal(draw_pairs(self.POOL, 3, 6, 7), again[1])

    def test_a_person_with_one_tracklet_meets_itself(self):
        pool = Pool(np.arange(2), np.array([0, 1]), np.array([0, 0]))
        one, two = draw_pairs(pool, 1, 0, 0)
        assert one == two
