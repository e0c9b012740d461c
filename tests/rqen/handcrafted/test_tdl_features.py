"""HOG3D, colours and texture: planted directions, plain images, borders, and what a tracklet's
vector does not depend on."""

import numpy as np
import pytest
from walking_crops import draw_walks

from lpw_toolkit.evaluation.camera_pairs import TrainingVectors
from lpw_toolkit.evaluation.top_push import learn_top_push, rank_matches
from rqen.handcrafted import appearance, hog3d, tdl_features
from rqen.handcrafted.frames import SIZE_PX, cut_evenly, stretch_frames


class TestHog3d:
    def test_axes_are_an_icosahedron(self) -> None:
        cosines = np.abs(hog3d.AXES @ hog3d.AXES.T)
        np.testing.assert_allclose(np.diag(cosines), 1)
        np.testing.assert_allclose(cosines[~np.eye(6, dtype=bool)], 1 / np.sqrt(5))

    def test_a_gradient_along_an_axis_votes_for_it_alone(self) -> None:
        votes = hog3d.vote_directions(-37.0 * hog3d.AXES)
        np.testing.assert_allclose(votes, (1 - hog3d.THRESHOLD) * np.eye(6), atol=1e-6)

    def test_a_ramp_fills_every_cell_with_the_votes_of_its_gradient(self) -> None:
        t, y, x = np.meshgrid(*(np.arange(n) for n in (8, 12, 16)), indexing="ij")
        ramp = (5 * x + 8 * y).astype(np.uint8)
        cells = hog3d.describe_volume(ramp + 0 * t.astype(np.uint8)).reshape(-1, 6)
        expected = hog3d.vote_directions(np.array([5.0, 8.0, 0.0]))
        expected /= np.linalg.norm(np.tile(expected, len(cells)))
        np.testing.assert_allclose(cells, np.tile(expected, (len(cells), 1)), atol=1e-6)

    def test_blocks_are_cells_of_one_place(self) -> None:
        grey = np.zeros((8, 24, 16), np.uint8)
        grey[:, :8, :8] = np.arange(8)[:, None, None] * 20  # one block of space brightens
        blocks = hog3d.describe_volume(grey).reshape(3, 2, 2, 48)
        seen = blocks.any(axis=-1)
        assert seen[0, 0].all()
        assert not seen[2].any()

    def test_nothing_moves_in_one_frame_nor_in_a_plain_one(self) -> None:
        assert not hog3d.describe_volume(np.full((5, 12, 8), 90, np.uint8)).any()
        one = hog3d.describe_volume(np.arange(96, dtype=np.uint8).reshape(1, 12, 8))
        assert np.linalg.norm(one) == pytest.approx(1)

    @pytest.mark.parametrize("shape", [(1, 2, 2), (3, 5, 3), (2, 1, 1)])
    def test_tiny_volumes_have_all_cells(self, shape: tuple[int, int, int]) -> None:
        grey = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
        assert np.isfinite(hog3d.describe_volume(grey)).all()


class TestStrips:
    def test_each_strip_has_its_own_colours(self) -> None:
        image = np.zeros((12, 4, 3), np.uint8)
        image[:2] = (255, 0, 0)
        image[2:4] = (0, 0, 255)
        strips = appearance.measure_colours(image).reshape(6, 6, 16)
        np.testing.assert_allclose(strips.sum(axis=-1), 1)
        assert strips[0, 0, 0] == 1  # red is hue 0
        assert strips[1, 0, 120 * 16 // 180] == 1  # blue is hue 240 degrees
        assert (strips[2:, 2, 0] == 1).all()  # black has no value

    def test_patterns_of_a_plain_image_are_one_pattern(self) -> None:
        strips = appearance.measure_texture(np.full((24, 8, 3), 70, np.uint8)).reshape(6, 59)
        np.testing.assert_array_equal(strips.max(axis=-1), 1)

    def test_brightness_moves_colours_and_not_patterns(self) -> None:
        image = np.random.default_rng(1).integers(20, 100, (24, 16, 3), dtype=np.uint8)
        image[:] = image[..., :1]
        brighter = image + np.uint8(100)
        same = appearance.measure_texture(image), appearance.measure_texture(brighter)
        np.testing.assert_array_equal(*same)
        assert not np.array_equal(
            appearance.measure_colours(image), appearance.measure_colours(brighter)
        )


class TestTracklets:
    def make_images(self, n: int = 9, size: tuple[int, int] = SIZE_PX) -> np.ndarray:
        return np.random.default_rng(2).integers(0, 255, (n, *size, 3), dtype=np.uint8)

    def test_parts_are_unit_vectors_one_after_another(self) -> None:
        found = tdl_features.describe_tracklet(self.make_images())
        assert found.shape == (tdl_features.N_DIMS,) == (1506,)
        for part in np.split(found, [576, 1152]):
            assert np.linalg.norm(part) == pytest.approx(1, rel=1e-5)

    def test_appearance_is_the_mean_over_frames_however_they_are_cut(self, monkeypatch) -> None:
        images = self.make_images()
        whole = tdl_features.describe_tracklet(images)
        monkeypatch.setattr(tdl_features, "MAX_VOLUME_FRAMES", 4)
        cut = tdl_features.describe_tracklet(images)
        np.testing.assert_allclose(cut[576:], whole[576:], atol=1e-6)
        assert not np.array_equal(cut[:576], whole[:576])

    def test_order_moves_hog3d_alone(self) -> None:
        images = self.make_images()
        one, other = (tdl_features.describe_tracklet(frames) for frames in (images, images[::-1]))
        np.testing.assert_allclose(one[576:], other[576:], atol=1e-6)
        assert not np.allclose(one[:576], other[:576], atol=1e-3)

    @pytest.mark.parametrize("size", [(1, 1), (3, 7), (300, 90)])
    def test_crops_of_any_size_are_stretched(self, size: tuple[int, int]) -> None:
        images = self.make_images(2, size)
        assert stretch_frames(images).shape == (2, *SIZE_PX, 3)
        assert np.isfinite(tdl_features.describe_tracklet(images)).all()

    def test_grey_frames_are_described(self) -> None:
        found = tdl_features.describe_tracklet(np.full((1, 128, 64, 3), 128, np.uint8))
        assert np.isfinite(found).all()
        assert not found[:576].any()

    def test_no_part_is_empty(self) -> None:
        for length in range(1, 12):
            parts = cut_evenly(length, 4)
            assert all(0 <= part.start < part.stop <= length for part in parts)


def test_the_metric_finds_persons_who_were_never_seen() -> None:
    training, unseen = draw_walks(range(30), n_frames=3), draw_walks(range(100, 120), n_frames=3)
    features = [
        np.stack([tdl_features.describe_tracklet(crops.images) for crops in tracklets.crops])
        for tracklets in (training, unseen)
    ]
    known = TrainingVectors(features[0], training.person, training.camera)
    model = learn_top_push(known, np.random.default_rng(0), n_dims=50, weight=0.5)
    asked = TrainingVectors(features[1], unseen.person, unseen.camera)
    plain, learned = (
        rank_matches(asked, vectors) for vectors in (features[1], features[1] @ model.projection)
    )
    assert plain > 0.3  # by chance 0.18
    assert learned > plain + 0.15
