"""STA on drawn walkers: descriptors pixel by pixel, units, the fit, and what it is told of short
tracklets and grey crops."""

from dataclasses import replace

import numpy as np
import pytest
from walking_crops import RATE_HZ, STEP_HZ, Crops, CropSet, draw_walk, draw_walks

from lpw_toolkit.errors import LpwError
from lpw_toolkit.evaluation.distances import SquaredEuclidean
from lpw_toolkit.evaluation.set_distance import SetDistance
from rqen.handcrafted import sta
from rqen.handcrafted.body_action import N_UNITS
from rqen.handcrafted.fisher_vector import MixtureConfig
from rqen.handcrafted.local_descriptor import convert_frames, cut_part, describe_pixels
from rqen.handcrafted.sta import StaConfig, describe_tracklet, fit_sta, list_cycles
from rqen.handcrafted.unit_model import encode_cycle, fit_units, iter_units

QUICK = StaConfig(n_components=4, n_starts=1, sample_share=0.05)


def stack(tracklets: CropSet, model: sta.StaModel) -> SetDistance:
    found = [describe_tracklet(crops, model, QUICK) for crops in tracklets.crops]
    return SetDistance(
        np.concatenate([vectors for vectors, _ in found]),
        np.cumsum([0, *(len(cycles) for _, cycles in found)]),
        np.array([cycle.sign for _, cycles in found for cycle in cycles]),
        SquaredEuclidean(),
    )


class TestDescriptors:
    def make_frames(self) -> np.ndarray:
        return np.random.default_rng(0).random((4, 9, 8, 3)).astype(np.float32)

    @pytest.mark.parametrize(("order", "n"), [(1, 9), (2, 21)])
    def test_numbers_of_a_pixel(self, order: int, n: int) -> None:
        frames = self.make_frames()
        found = describe_pixels(frames, order)
        assert found.shape == (4, 9, 8, n)
        t, y, x = 2, 4, 3
        here = frames[t, y, x]
        dx = frames[t, y, x + 2] - frames[t, y, x - 2]
        dy = frames[t, y + 2, x] - frames[t, y - 2, x]
        dt = frames[t + 1, y, x] - frames[t - 1, y, x]
        expected = [dx, dy, dt]
        if order == 2:
            dxx = 2 * here - frames[t, y, x + 2] - frames[t, y, x - 2]
            dyy = 2 * here - frames[t, y + 2, x] - frames[t, y - 2, x]
            dtt = 2 * here - frames[t + 1, y, x] - frames[t - 1, y, x]
            expected = [here, *expected, dxx, dyy, dtt]
        np.testing.assert_allclose(found[t, y, x], np.concatenate(expected), atol=1e-6)

    def test_borders_repeat(self) -> None:
        frames = self.make_frames()
        found = describe_pixels(frames, 1)
        np.testing.assert_allclose(found[0, 0, 0, :3], frames[0, 0, 2] - frames[0, 0, 0], atol=1e-6)
        assert not describe_pixels(frames[:1], 1)[..., 6:].any()

    def test_a_part_has_its_own_places(self) -> None:
        pixels = describe_pixels(self.make_frames(), 2)
        boxes = np.array([[1, 2, 4, 7]] * 4)
        found = cut_part(pixels, boxes)
        assert found.shape == (4 * 5 * 3, 24)
        np.testing.assert_allclose(found[0, :3], [1 / 3, 1 / 5, 1 / 4])
        np.testing.assert_allclose(found[-1, :3], [1, 1, 1])
        np.testing.assert_array_equal(found[0, 3:], pixels[0, 2, 1])

    def test_values_are_equalised(self) -> None:
        dark = np.random.default_rng(1).integers(0, 60, (1, 20, 10, 3), dtype=np.uint8)
        value = convert_frames(dark)[..., 2]
        assert value.max() == 1
        assert value.mean() == pytest.approx(0.5, abs=0.1)


class TestCycles:
    def test_a_step_of_a_drawn_walker_takes_half_a_second(self) -> None:
        for person in range(3):
            cycles = list_cycles(draw_walk(person, 0, n_frames=40))
            lengths = [c.stop - c.start for c in cycles]
            assert np.mean(lengths) == pytest.approx(RATE_HZ / STEP_HZ, abs=0.7)
            assert {c.sign for c in cycles} == {1}

    def test_without_times_the_rate_is_30(self) -> None:
        crops = draw_walk(0, 0, n_frames=40)
        with_times = replace(crops, times_s=np.arange(40) / 30)
        assert list_cycles(replace(crops, times_s=None)) == list_cycles(with_times)
        assert list_cycles(crops) != list_cycles(with_times)

    @pytest.mark.parametrize("n", [1, 2, 4])
    def test_a_short_tracklet_is_one_cycle(self, n: int) -> None:
        (cycle,) = list_cycles(draw_walk(0, 0, n_frames=n))
        assert (cycle.start, cycle.stop, cycle.whole) == (0, n, True)


class TestUnits:
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_there_are_24_with_768_numbers_each(self) -> None:
        crops = draw_walk(1, 0, n_frames=12)
        cycle = list_cycles(crops)[0]
        images = crops.images[cycle.start : cycle.stop]
        pixels = describe_pixels(convert_frames(images), 2)
        samples = [unit[::5] for unit in iter_units(pixels, cycle)]
        assert len(samples) == N_UNITS == 24
        models = fit_units(samples, MixtureConfig(n_starts=1, max_iterations=3), 0)
        vector = encode_cycle(pixels, cycle, models)
        assert vector.shape == (models.n_dims,) == (24 * 768,)
        lengths = np.linalg.norm(vector.reshape(24, 768), axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-5)


@pytest.fixture(scope="module")
def fitted() -> tuple[CropSet, sta.StaModel]:
    training = draw_walks(range(8), n_frames=16)
    return training, fit_sta(training, QUICK)


class TestFit:
    def test_persons_who_were_never_seen_are_found(self, fitted) -> None:
        unseen = draw_walks(range(100, 112), n_frames=16)
        distance = stack(unseen, fitted[1])
        blocks = distance.blocks(np.arange(0, 24, 2), np.arange(1, 24, 2))
        nearest = blocks.block(0, 12).argmin(axis=1)
        assert (nearest == np.arange(12)).mean() > 0.4  # by chance 0.08

    def test_counts_what_it_was_fitted_on(self, fitted) -> None:
        training, model = fitted
        n_cycles = [len(list_cycles(crops)) for crops in training.crops]
        assert model.n_cycles == sum(n_cycles)
        assert model.n_whole == 0

    def test_the_same_seed_gives_the_same_bytes(self, fitted) -> None:
        training, model = fitted
        again = fit_sta(training, QUICK)
        assert again.projection.tobytes() == model.projection.tobytes()
        assert again.units.means.tobytes() == model.units.means.tobytes()

    def test_descriptors_are_bounded_while_they_are_gathered(self, fitted, monkeypatch) -> None:
        seen: list[list[int]] = []

        def stop(samples: list[np.ndarray], *_: object) -> None:
            seen.append([len(sample) for sample in samples])
            raise KeyboardInterrupt

        monkeypatch.setattr(sta, "fit_units", stop)
        with pytest.raises(KeyboardInterrupt):
            fit_sta(fitted[0], replace(QUICK, max_samples=40))
        assert seen == [[32] * N_UNITS]  # 16 tracklets give two each

    def test_cycles_beyond_the_bound_are_projected_only(self, fitted) -> None:
        training, whole = fitted
        model = fit_sta(training, replace(QUICK, max_cycles=12, metric="none"))
        assert model.projection.shape[1] == (12 - len(np.unique(training.person))) // 2
        assert model.n_cycles == whole.n_cycles > 12


class TestBadInput:
    def test_grey_crops_are_fitted(self) -> None:
        training = draw_walks(range(4), n_frames=10)
        grey = [
            replace(c, images=np.repeat(c.images.mean(axis=-1, keepdims=True), 3, axis=-1)
                    .astype(np.uint8)) for c in training.crops
        ]  # fmt: skip
        model = fit_sta(replace(training, crops=grey), replace(QUICK, metric="none"))
        vectors, _ = describe_tracklet(grey[0], model, QUICK)
        assert np.isfinite(vectors).all()

    def test_blank_crops_are_refused(self) -> None:
        crops = [
            Crops(np.full((6, 8, 4, 3), 90, np.uint8), np.arange(6) + 10 * i) for i in range(4)
        ]
        blank = CropSet(crops, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
        with pytest.raises(LpwError, match="STA"):
            fit_sta(blank, QUICK)

    def test_one_tracklet_a_person(self) -> None:
        training = draw_walks(range(3), n_cameras=1, n_frames=8)
        with pytest.raises(LpwError, match="0 pairs of cycles of one person"):
            fit_sta(training, replace(QUICK, n_components=2))
