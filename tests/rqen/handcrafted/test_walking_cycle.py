"""Walking cycles: planted rhythms, flow of planted motion, and profiles that are too short."""

from itertools import pairwise

import numpy as np
import pytest

from rqen.handcrafted.body_action import APART, TOGETHER, cut_primitives, place_parts
from rqen.handcrafted.walking_cycle import (
    WalkingCycle,
    find_cycles,
    find_extrema,
    fit_sinusoid,
    measure_flow_energy,
    smooth_profile,
    take_whole,
)


def make_profile(n: int, *, noise: float = 0.0, seed: int = 0, hertz: float = 2.0) -> np.ndarray:
    """1 + cos at 2 Hz and 30 frames a second; a multiple of 15 frames is whole periods."""
    rng = np.random.default_rng(seed)
    return 1 + np.cos(2 * np.pi * hertz * np.arange(n) / 30) + rng.normal(0, noise, n)


class TestEnergy:
    def make_frames(self, speed: float, *, rows: slice, n: int = 6) -> np.ndarray:
        """A texture whose `rows` move `speed` pixels to the right in every frame."""
        rng = np.random.default_rng(1)
        x = np.arange(64)
        waves = rng.uniform(0.1, 0.6, 6)
        phases = rng.uniform(0, 6, (128, 6)).cumsum(axis=0) * 0.1
        frames = np.empty((n, 128, 64, 3), np.uint8)
        for t in range(n):
            shift = np.zeros(128)
            shift[rows] = speed * t
            values = np.cos((x[None, :, None] - shift[:, None, None]) * waves + phases[:, None])
            frames[t] = (128 + 20 * values.sum(axis=-1))[..., None].clip(0, 255)
        return frames

    def test_is_the_squared_motion_of_the_lower_half(self) -> None:
        found = measure_flow_energy(self.make_frames(1.5, rows=slice(64, 128)))
        assert found.shape == (5,)
        np.testing.assert_allclose(found, 64 * 64 * 1.5**2, rtol=0.25)

    def test_the_upper_half_does_not_count(self) -> None:
        found = measure_flow_energy(self.make_frames(1.5, rows=slice(0, 60)))
        assert (found < 0.02 * 64 * 64 * 1.5**2).all()

    def test_one_frame_has_no_flow(self) -> None:
        assert measure_flow_energy(np.zeros((1, 128, 64, 3), np.uint8)).shape == (0,)


class TestSinusoid:
    @pytest.mark.parametrize("seed", range(3))
    def test_a_planted_rhythm_is_found_to_a_frame(self, seed: int) -> None:
        sinusoid = fit_sinusoid(smooth_profile(make_profile(90, noise=0.5, seed=seed)), 30)
        minima, maxima = find_extrema(sinusoid)
        assert np.abs(np.diff(minima) - 15).max() <= 1
        assert np.abs(minima - np.arange(7.5, 90, 15)).max() <= 1.5
        assert np.abs(maxima - np.arange(15, 90, 15)).max() <= 1

    def test_slower_and_faster_rhythms_are_left_out(self) -> None:
        strong = 5 * make_profile(120, hertz=0.5) + 5 * make_profile(120, hertz=5)
        found = fit_sinusoid(strong + make_profile(120), 30)
        np.testing.assert_allclose(found - found.mean(), make_profile(120) - 1, atol=1e-9)

    def test_the_rate_counts(self) -> None:
        profile = 1 + np.cos(2 * np.pi * 2 * np.arange(60) / 10)
        minima, _ = find_extrema(fit_sinusoid(profile, 10))
        assert set(np.diff(minima)) == {5}

    @pytest.mark.parametrize("n", range(9))
    def test_short_profiles_have_a_finite_one(self, n: int) -> None:
        profile = np.random.default_rng(n).uniform(0, 5, n)
        found = fit_sinusoid(smooth_profile(profile), 30)
        assert found.shape == (n,)
        assert np.isfinite(found).all()


class TestCycles:
    def test_follow_each_other_from_minimum_to_minimum(self) -> None:
        cycles = find_cycles(make_profile(90), 30)
        assert len(cycles) == 5
        assert all(c.sign == 1 and 14 <= c.stop - c.start <= 16 for c in cycles)
        assert all(a.stop == b.start for a, b in pairwise(cycles))
        assert min(c.score for c in cycles) > 0.95

    def test_from_all_landmarks_they_have_both_signs(self) -> None:
        cycles = find_cycles(make_profile(90), 30, starts="all")
        assert {c.sign for c in cycles} == {1, -1}
        assert [c.start for c in cycles] == sorted(c.start for c in cycles)

    def test_a_poor_fit_can_be_left_out(self) -> None:
        profile = make_profile(90)
        profile[45:] = np.random.default_rng(0).permutation(profile[45:])
        every, good = find_cycles(profile, 30), find_cycles(profile, 30, min_score=0.8)
        assert 0 < len(good) < len(every)
        assert good == [c for c in every if c.score >= 0.8]

    @pytest.mark.parametrize("n", [0, 1, 2, 5, 12])
    def test_there_is_none_in_a_short_profile(self, n: int) -> None:
        assert find_cycles(make_profile(n), 30) == []

    def test_a_tracklet_without_one_is_one(self) -> None:
        whole = take_whole(7)
        assert (whole.start, whole.stop, whole.sign, whole.whole) == (0, 7, 1, True)


class TestBodyAction:
    def test_legs_go_from_apart_to_together_and_back(self) -> None:
        boxes = place_parts(WalkingCycle((3, 8, 13), 1))
        assert boxes.shape == (10, 6, 4)
        np.testing.assert_array_equal(boxes[0], APART)
        np.testing.assert_array_equal(boxes[5], TOGETHER)
        left = boxes[:, 4, 0]
        assert (np.diff(left[:6]) > 0).all()
        assert (np.diff(left[5:]) < 0).all()

    def test_a_cycle_from_a_maximum_begins_with_legs_together(self) -> None:
        boxes = place_parts(WalkingCycle((0, 4, 8), -1))
        np.testing.assert_array_equal(boxes[0], TOGETHER)
        np.testing.assert_array_equal(boxes[4], APART)
        assert (place_parts(take_whole(8)) == APART).all()

    def test_every_part_is_inside_the_image(self) -> None:
        boxes = place_parts(WalkingCycle((0, 4, 9), 1))
        assert (boxes[..., :2] >= 0).all()
        assert (boxes[..., 2] <= 64).all()
        assert (boxes[..., 3] <= 128).all()
        assert (boxes[..., 2:] - boxes[..., :2] > 10).all()

    @pytest.mark.parametrize("n", range(1, 12))
    def test_no_primitive_is_empty(self, n: int) -> None:
        parts = cut_primitives(take_whole(n))
        assert len(parts) == 4
        assert all(0 <= part.start < part.stop <= n for part in parts)
        if n >= 4:
            assert [p.stop for p in parts[:-1]] == [p.start for p in parts[1:]]
