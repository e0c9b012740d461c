"""The synthetic street: same seed same bytes, truth that is true to the pixel, a detector that errs
as told."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from lpw_toolkit import boxes as bx
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.listing import iter_files
from lpw_toolkit.synth import street
from lpw_toolkit.synth.body import (
    CANVAS_HEIGHT,
    CANVAS_WIDTH,
    N_PHASES,
    N_VIEWS,
    STANDING,
    pose_person,
)
from lpw_toolkit.synth.figure import draw_figure
from lpw_toolkit.synth.noise import COUNTED_VISIBILITY, Truth, detect_truth, hit_probability
from lpw_toolkit.synth.occlusion import OCCLUDED_COVER
from lpw_toolkit.synth.people import COLOURS, count_differences, draw_people
from lpw_toolkit.synth.render import MASK_LEVEL, Film, place_figure
from lpw_toolkit.synth.routes import build_world
from lpw_toolkit.synth.street import (
    STREETS,
    NoiseConfig,
    StreetConfig,
    open_street,
    simulate_street,
    write_street,
)
from lpw_toolkit.synth.world import LAYOUTS, Camera, FurnitureItem, Track, View

SMALL = StreetConfig(
    n_persons=3,
    n_scenes=1,
    n_cameras=2,
    n_frames=36,
    width=160,
    height=120,
    rate_hz=6,
    n_wearers=1,
    n_furniture=2,
)
CALM = replace(SMALL, colour_shift_frac=0.0, light_change_frac=0.0, sensor_noise=0.0)
FOLDS = np.ones((CANVAS_HEIGHT, CANVAS_WIDTH), dtype=np.float32)


def digest_folder(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in iter_files(folder)
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_street(tmp_path_factory.mktemp("small"), SMALL, np.random.default_rng(5))


@pytest.fixture(scope="module")
def crowd():
    """Truth of a street of 30 persons made as the score street is, and its persons."""
    config = replace(STREETS["score"], n_persons=30, n_frames=150, width=320, height=180)
    return simulate_street(config, np.random.default_rng(11))


# --- files
# --------------------------------------------------------------------------------------------------


def test_same_seed_gives_same_bytes_and_another_seed_does_not(small, tmp_path):
    write_street(tmp_path / "again", SMALL, np.random.default_rng(5))
    write_street(tmp_path / "other", SMALL, np.random.default_rng(6))
    late = write_street(tmp_path / "late", SMALL, np.random.default_rng(5), first_frame=1000)
    for own, moved in zip(small.videos, late.videos, strict=True):
        for name in ("truth", "detections"):
            lines = [
                line.split(",", 1)
                for path in (getattr(own, name), getattr(moved, name))
                for line in path.read_text().splitlines()
            ]
            half = len(lines) // 2
            assert [[str(int(f) + 999), rest] for f, rest in lines[:half]] == lines[half:]
    first, again = digest_folder(small.folder), digest_folder(tmp_path / "again")
    other = digest_folder(tmp_path / "other")
    assert first == again
    assert set(first) == set(other)
    assert all(first[name] != other[name] for name in first)


def test_folder_holds_what_the_docstring_says(small):
    names = set(digest_folder(small.folder))
    expected = {
        f"{kind}/scen1/view{k}.{end}"
        for k in (1, 2)
        for kind, end in (("video", "mp4"), ("truth", "txt"))
    }
    expected |= {f"detections/scen1/view{k}.txt" for k in (1, 2)}
    assert names == expected | {"persons.json", "street.json"}
    assert [video.video_id for video in small.videos] == ["scen1/view1", "scen1/view2"]
    persons = json.loads((small.folder / "persons.json").read_text())
    assert [p["person_id"] for p in persons] == ["scen1/1", "scen1/2", "scen1/3"]


def test_open_street_reads_back_what_was_written(small):
    assert open_street(small.folder) == small


def test_videos_decode_to_the_told_frames(small):
    for video in small.videos:
        with av.open(str(video.video)) as container:
            frames = list(container.decode(video=0))
            assert container.streams.video[0].codec_context.name == "h264"
        assert len(frames) == SMALL.n_frames
        assert {(f.width, f.height) for f in frames} == {(SMALL.width, SMALL.height)}
        assert np.allclose([f.time for f in frames], np.arange(SMALL.n_frames) / SMALL.rate_hz)


def test_truth_files_hold_the_simulated_truth(small):
    _, truths = simulate_street(SMALL, np.random.default_rng(5))
    for video in small.videos:
        truth, rows = truths[video.video_id], np.loadtxt(video.truth, delimiter=",", ndmin=2)
        assert np.array_equal(rows[:, 0], truth.frame_index + 1)
        assert np.array_equal(rows[:, 1], truth.number)
        assert np.array_equal(rows[:, 2:4], truth.boxes[:, :2])
        assert np.array_equal(rows[:, 4:6], truth.boxes[:, 2:] - truth.boxes[:, :2])
        assert np.array_equal(rows[:, 6] == 1, truth.visibility >= COUNTED_VISIBILITY)
        assert np.allclose(rows[:, 8], truth.visibility, atol=1e-4)


def test_detection_files_are_mot_text_within_the_frame(small):
    for video in small.videos:
        rows = np.loadtxt(video.detections, delimiter=",", ndmin=2)
        assert rows.shape[1] == 10 and (rows[:, 1] == -1).all()
        assert (
            (rows[:, 0] >= 1).all()
            and (rows[:, 0] <= SMALL.n_frames).all()
            and (np.diff(rows[:, 0]) >= 0).all()
        )
        assert (rows[:, 2:4] >= 0).all() and (rows[:, 4:6] > 0).all()
        assert (rows[:, 2] + rows[:, 4] <= SMALL.width + 0.02).all()
        assert ((rows[:, 6] >= 0.5) & (rows[:, 6] <= 1)).all()


def test_finished_street_is_not_overwritten(small):
    with pytest.raises(LpwError, match="a finished street"):
        write_street(small.folder, SMALL, np.random.default_rng(5))


@pytest.mark.parametrize("content", [None, "", "[]", '{"config": {"n_persons": 0}}', "{}"])
def test_open_street_names_a_folder_without_one(tmp_path, content):
    if content is not None:
        (tmp_path / "street.json").write_text(content)
    with pytest.raises(LpwError, match=r"street\.json"):
        open_street(tmp_path)


# --- pictures and truth
# ----------------------------------------------------------------------------------------------


def make_view(
    tracks: list[Track], items: tuple[FurnitureItem, ...] = (), layout: str = "across"
) -> View:
    camera = Camera("scen1/view1", layout, 320, 180, 300.0, 3.0, 45.0, 1)
    return View(camera, items, tuple(tracks), 1, 3)


def stand_person(person, x_m: float, z_m: float, view: int = 2) -> Track:
    return Track(
        person, np.array([0]), np.array([x_m]), np.array([z_m]), np.array([0]), np.array([view])
    )


def mask_of(view: View, track: Track, film: Film) -> np.ndarray:
    """The person's pixels in the frame, from an own paste."""
    column, row, scale = (float(v) for v in view.camera.project(track.x_m[0], track.z_m[0]))
    figure = film._wardrobe.figure(track.person, int(track.phases[0]), int(track.views[0]))
    cutout = place_figure(*figure, column, row, scale)
    whole = np.zeros((600, 720), dtype=bool)
    rows, columns = cutout.mask.shape
    whole[
        cutout.top + 200 : cutout.top + 200 + rows, cutout.left + 200 : cutout.left + 200 + columns
    ] = cutout.mask
    return whole


@pytest.fixture(scope="module")
def persons():
    return draw_people(replace(SMALL, n_persons=6), np.random.default_rng(1))[0]


@pytest.mark.parametrize("x_m", [0.0, -2.0, 4.2, 3.7])
def test_truth_box_bounds_the_drawn_person(persons, x_m):
    view = make_view([stand_person(persons[0], x_m, 8.0)])
    film = Film(view, CALM)
    truth = film.read_truth()
    mask = mask_of(view, view.tracks[0], film)
    inside = mask[200:380, 200:520]
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert truth.boxes.tolist() == [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]]
    assert truth.visibility[0] == inside.sum() / mask.sum()
    assert truth.inside[0] == truth.visibility[0]


def test_person_is_painted_where_the_truth_says(persons):
    config = replace(CALM, width=320, height=180)
    track = stand_person(persons[1], 0.4, 8.0)
    (empty, _), (full, rows) = (
        next(iter(Film(make_view(t), config).iter_frames())) for t in ([], [track])
    )
    x1, y1, x2, y2 = rows[0].box
    changed = (np.abs(full.astype(int) - empty) > 8).any(axis=2)
    changed[y2 - (y2 - y1) // 6 :] = False  # the shadow lies around the feet
    rows_hit, columns_hit = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert y1 - 1 <= rows_hit[0] <= y1 + 1
    assert x1 - 1 <= columns_hit[0] and columns_hit[-1] <= x2
    assert changed[y1:y2, x1:x2].mean() > 0.3


def test_visibility_counts_exactly_what_a_nearer_person_hides(persons):
    far, near = stand_person(persons[0], 0.0, 9.0), stand_person(persons[1], 0.12, 7.5, view=6)
    view = make_view([near, far])
    film = Film(view, CALM)
    truth = film.read_truth()
    behind, before = mask_of(view, far, film), mask_of(view, near, film)
    row_far, row_near = (
        int(np.flatnonzero(truth.number == p.number)[0]) for p in (persons[0], persons[1])
    )
    assert truth.visibility[row_far] == (behind & ~before).sum() / behind.sum()
    assert 0 < truth.visibility[row_far] < 0.8
    assert truth.visibility[row_near] == truth.inside[row_near]


@pytest.mark.parametrize(("z_m", "hidden"), [(10.0, True), (7.5, False)])
def test_furniture_hides_only_what_is_behind_it(persons, z_m, hidden):
    kiosk = FurnitureItem("kiosk", 0.0, 9.0, 2.0, 2.5, 1)
    truth = Film(make_view([stand_person(persons[0], 0.0, z_m)], (kiosk,)), CALM).read_truth()
    assert (truth.visibility[0] == 0) == hidden
    assert (truth.counted[0]) != hidden
    assert hidden or truth.covered[0] == pytest.approx(0)


def test_height_in_pixels_is_proportional_to_the_distance_below_the_horizon(persons):
    camera = make_view([]).camera
    tall = [
        Film(make_view([stand_person(persons[0], 0.0, z)]), CALM).read_truth().boxes[0]
        for z in (8.0, 10.0, 14.0)
    ]
    ratios = [(box[3] - box[1]) / (box[3] - camera.horizon_px) for box in tall]
    assert np.ptp(ratios) < 0.05 * np.mean(ratios)


@pytest.mark.parametrize("phase", [0, 3, 7, STANDING])
def test_lower_foot_is_on_the_ground_at_every_moment(persons, phase):
    pose = pose_person(persons[0], phase)
    assert min(ankle[1] for ankle in pose.ankles) == pytest.approx(0.04 * persons[0].stature_m)


def test_backpack_shows_from_behind_and_not_from_the_front(persons):
    packed, bare = (
        replace(persons[0], bag=bag, bag_colour="mustard", upper="tee", head="short")
        for bag in ("backpack", "none")
    )
    gaps = []
    for view in (0, N_VIEWS // 2):
        a, b = (draw_figure(p, STANDING, view, FOLDS).astype(int) for p in (packed, bare))
        gaps.append(int((np.abs(a - b).max(axis=2) > 40).sum()))
    assert gaps[1] > 400 and gaps[0] < gaps[1] / 8


def test_every_figure_fits_the_canvas(persons):
    tallest = replace(
        persons[0], stature_m=1.95, build=1.25, bag="backpack", head="cap", upper="coat"
    )
    for phase in range(0, N_PHASES, 2):
        for view in range(0, N_VIEWS, 2):
            mask = draw_figure(tallest, phase, view, FOLDS)[..., 3] >= MASK_LEVEL
            assert (
                not mask[0].any()
                and not mask[-1].any()
                and not mask[:, 0].any()
                and not mask[:, -1].any()
            )


def test_cameras_see_the_same_colours_differently():
    config = replace(SMALL, n_cameras=4, colour_shift_frac=0.2, n_frames=36)
    views = build_world(
        config, draw_people(config, np.random.default_rng(2)), np.random.default_rng(3)
    )
    tints = []
    for seed, view in enumerate(views):
        alike = replace(make_view([]), seed=view.seed + seed)
        picture, _ = next(iter(Film(alike, replace(config, width=320, height=180)).iter_frames()))
        mean = picture.reshape(-1, 3).mean(axis=0)
        tints.append(mean / mean.sum())
    assert np.ptp(tints, axis=0).max() > 0.02


# --- people and routes
# -----------------------------------------------------------------------------------------------


def test_score_street_wears_few_colours_and_shares_them():
    people = draw_people(STREETS["score"], np.random.default_rng(1))
    assert len(people) == 2 and STREETS["score"].n_cameras == 3 and sum(map(len, people)) >= 100
    worn = {
        c
        for scene in people
        for p in scene
        for c in (p.upper_colour, p.lower_colour, p.accent_colour)
    }
    assert worn <= set(COLOURS) and len(worn) <= 12
    for scene in people:
        combinations = Counter((p.upper_colour, p.lower_colour) for p in scene)
        assert min(combinations.values()) >= 3
        rivals = [(a, b) for a in scene for b in scene if a.number < b.number]
        alike = [
            (a, b)
            for a, b in rivals
            if (a.upper_colour, a.lower_colour) == (b.upper_colour, b.lower_colour)
        ]
        assert alike and min(count_differences(a, b) for a, b in alike) >= 3


@pytest.mark.parametrize("name", list(STREETS))
def test_every_person_walks_through_two_cameras_of_his_scene_and_one_at_a_time(name):
    config = STREETS[name]
    people = draw_people(config, np.random.default_rng(1))
    views = build_world(config, people, np.random.default_rng(2))
    seen: dict[str, list[tuple[str, np.ndarray]]] = {}
    for view in views:
        assert {track.person.scene_id for track in view.tracks} == {
            view.camera.video_id.split("/")[0]
        }
        for track in view.tracks:
            seen.setdefault(track.person.person_id, []).append((view.camera.video_id, track.frames))
    assert len(seen) == config.n_persons
    for visits in seen.values():
        assert len({camera for camera, _ in visits}) >= 2
        frames = np.concatenate([frames for _, frames in visits])
        assert len(np.unique(frames)) == len(frames)


def test_walkers_pace_and_layouts_are_plausible():
    views = build_world(
        STREETS["demo"],
        draw_people(STREETS["demo"], np.random.default_rng(1)),
        np.random.default_rng(4),
    )
    assert {view.camera.layout for view in views} == set(LAYOUTS)
    steps = np.concatenate(
        [np.hypot(np.diff(t.x_m), np.diff(t.z_m)) for v in views for t in v.tracks]
    )
    assert np.median(steps) * STREETS["demo"].rate_hz == pytest.approx(1.3, abs=0.2)
    assert steps.max() * STREETS["demo"].rate_hz < 3.5


def count_crossings(truth: Truth) -> int:
    """Pairs of persons who change sides in the picture while their boxes overlap."""
    sides: dict[tuple[int, int], set[int]] = {}
    for frame in range(truth.n_frames):
        rows = np.flatnonzero((truth.frame_index == frame) & truth.counted)
        overlap, middle = (
            bx.iou(truth.boxes[rows], truth.boxes[rows]),
            truth.boxes[rows][:, [0, 2]].mean(axis=1),
        )
        for i, j in np.argwhere(np.triu(overlap > 0.1, 1)):
            pair = (int(truth.number[rows[i]]), int(truth.number[rows[j]]))
            sides.setdefault(pair, set()).add(int(np.sign(middle[i] - middle[j])))
    return sum({-1, 1} <= found for found in sides.values())


def test_crowd_has_occlusions_and_crossings(crowd):
    _, truths = crowd
    covered = np.concatenate([truth.covered for truth in truths.values()])
    assert 0.12 <= (covered >= OCCLUDED_COVER).mean() <= 0.28
    assert sum(count_crossings(truth) for truth in truths.values()) >= 5
    for truth in truths.values():
        assert ((truth.boxes[:, :2] >= 0) & (truth.boxes[:, 2:] > truth.boxes[:, :2])).all()
        assert (truth.boxes[:, 2] <= truth.width).all() and (
            truth.boxes[:, 3] <= truth.height
        ).all()
        assert (truth.visibility <= truth.inside).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_score_street_occludes_a_fifth_of_the_person_frames(seed):
    people, truths = simulate_street(STREETS["score"], np.random.default_rng(seed))
    covered = np.concatenate([truth.covered for truth in truths.values()])
    assert (covered >= OCCLUDED_COVER).mean() == pytest.approx(0.2, abs=0.03)
    assert sum(count_crossings(truth) for truth in truths.values()) >= 100
    cameras: dict[str, set[str]] = {}
    for video_id, truth in truths.items():
        for number, n in Counter(truth.number[truth.counted].tolist()).items():
            if n >= 8:
                cameras.setdefault(f"{video_id.split('/')[0]}/{number}", set()).add(video_id)
    assert len(cameras) == sum(map(len, people)) and min(map(len, cameras.values())) >= 2


# --- the detector
# --------------------------------------------------------------------------------------------------


def make_truth(
    n_frames: int = 400, n_persons: int = 8, visibility: float = 1.0, gap_px: float = 70.0
) -> Truth:
    """Persons who walk side by side across a frame of 640 x 360, all equally visible."""
    frame = np.repeat(np.arange(n_frames), n_persons)
    number = np.tile(np.arange(1, n_persons + 1), n_frames)
    left = 20 + gap_px * (number - 1) + 10 * np.sin(frame / 30)
    boxes = np.stack([left, np.full_like(left, 100), left + 40, np.full_like(left, 200)], axis=1)
    share = np.full(len(frame), visibility)
    seen = boxes.copy()
    seen[:, 3] = 100 + 100 * visibility
    return Truth(n_frames, 640, 360, frame, number, boxes, seen, share, np.ones(len(frame)))


def quiet(**changes: float) -> NoiseConfig:
    return replace(NoiseConfig.none(), **changes)


def test_without_noise_the_detections_are_the_visible_persons(crowd):
    for truth in crowd[1].values():
        found = detect_truth(truth, NoiseConfig.none(), np.random.default_rng(0))
        counted = truth.counted & ((truth.boxes[:, 2:] - truth.boxes[:, :2]) >= 2).all(axis=1)
        wanted = np.column_stack([truth.frame_index, truth.boxes])[counted]
        got = np.column_stack([found.frame_index, found.boxes])
        assert np.array_equal(wanted[np.lexsort(wanted.T[::-1])], got[np.lexsort(got.T[::-1])])


def test_same_generator_same_detections():
    first, again = (
        detect_truth(make_truth(), NoiseConfig(), np.random.default_rng(4)) for _ in range(2)
    )
    assert np.array_equal(first.boxes, again.boxes) and np.array_equal(first.scores, again.scores)


@pytest.mark.parametrize(("visibility", "share"), [(1.0, 0.9), (0.5, 0.5), (0.09, 0.0)])
def test_hidden_persons_are_missed_more(visibility, share):
    config = quiet(hit_full=0.9, hit_half=0.5, hit_hidden=0.05, miss_correlation=0.5)
    truth = make_truth(visibility=visibility)
    found = detect_truth(truth, config, np.random.default_rng(1))
    assert len(found.boxes) / len(truth.boxes) == pytest.approx(share, abs=0.04)


def test_small_persons_are_missed_more():
    tall = hit_probability(np.ones(3), np.array([18.0, 60.0, 200.0]), NoiseConfig())
    assert (
        tall[0] == pytest.approx(NoiseConfig().hit_full / 2)
        and tall[1] > 0.9
        and (np.diff(tall) > 0).all()
    )


def test_false_boxes_come_at_their_rate_and_partly_at_one_place():
    truth = make_truth(n_frames=3000, n_persons=1)
    config = quiet(
        hit_full=0.0, hit_half=0.0, hit_hidden=0.0, false_per_frame=1.5, false_persistent_frac=0.6
    )
    found = detect_truth(truth, config, np.random.default_rng(2))
    assert len(found.boxes) / 3000 == pytest.approx(1.5, rel=0.2)
    places = Counter(map(tuple, found.boxes.round(3).tolist()))
    repeated = sum(n for n in places.values() if n > 20)
    assert repeated / len(found.boxes) == pytest.approx(0.6, abs=0.12)


def test_jitter_is_as_large_and_as_steady_as_told():
    truth = make_truth(n_frames=1500)
    found = detect_truth(
        truth, quiet(jitter_frac=0.05, jitter_correlation=0.6), np.random.default_rng(3)
    )
    order = np.lexsort((found.boxes[:, 0] // 70, found.frame_index))
    error = ((found.boxes[order] - truth.boxes)[:, [0, 2]].mean(axis=1) / 100.0).reshape(1500, 8)
    assert error.std() == pytest.approx(0.05, rel=0.1)
    assert np.corrcoef(error[:-1].ravel(), error[1:].ravel())[0, 1] == pytest.approx(0.6, abs=0.06)


def test_crowded_pairs_become_one_wide_box():
    truth = make_truth(n_frames=600, n_persons=2, gap_px=12.0)
    found = detect_truth(truth, quiet(merge_frac=0.5), np.random.default_rng(5))
    widths = found.boxes[:, 2] - found.boxes[:, 0]
    n_merged = int((widths > 45).sum())
    assert n_merged / 600 == pytest.approx(0.5, abs=0.1)
    assert len(found.boxes) == 1200 - n_merged


def test_hidden_legs_are_cut_off():
    truth = make_truth(visibility=0.5)
    found = detect_truth(truth, quiet(part_frac=0.4), np.random.default_rng(6))
    cut = found.boxes[:, 3] < 160
    assert cut.mean() == pytest.approx(0.4, abs=0.1)
    assert np.allclose(found.boxes[cut, 3], 150)


def test_doubles_lie_on_their_person_with_lower_scores():
    truth = make_truth()
    found = detect_truth(truth, quiet(duplicate_frac=0.2, score_std=0.5), np.random.default_rng(7))
    assert len(found.boxes) / len(truth.boxes) == pytest.approx(1.2, abs=0.03)
    first = detect_truth(truth, quiet(score_std=0.5), np.random.default_rng(7))
    assert found.scores.min() < first.scores.min()
    assert (bx.iou(found.boxes[:200], truth.boxes[:400]).max(axis=1) > 0.3).all()


def test_scores_fall_with_visibility_and_false_boxes_score_lower():
    medians = [
        np.median(
            detect_truth(
                make_truth(visibility=v), NoiseConfig(false_per_frame=0), np.random.default_rng(8)
            ).scores
        )
        for v in (1.0, 0.6, 0.3)
    ]
    assert medians[0] > medians[1] > medians[2]
    nobody = NoiseConfig(hit_full=0.0, hit_half=0.0, hit_hidden=0.0, false_per_frame=2.0)
    false = detect_truth(make_truth(), nobody, np.random.default_rng(9)).scores
    assert np.median(false) == pytest.approx(0.84, abs=0.04) and medians[0] > 0.97


def test_default_noise_is_about_as_good_as_the_public_detections(crowd):
    """Recall, precision and tightness on a crowd, within the span of the MOT15 sequences."""
    hits, n_true, n_found, overlaps = 0, 0, 0, []
    for truth in crowd[1].values():
        found = detect_truth(truth, NoiseConfig(), np.random.default_rng(10))
        n_true, n_found = n_true + int(truth.counted.sum()), n_found + len(found.boxes)
        for frame in range(truth.n_frames):
            wanted = truth.boxes[(truth.frame_index == frame) & truth.counted]
            got = found.boxes[found.frame_index == frame]
            if len(wanted) and len(got):
                best = bx.iou(wanted, got).max(axis=1)
                hits, overlaps = hits + int((best >= 0.5).sum()), [*overlaps, *best[best >= 0.5]]
    assert 0.6 <= hits / n_true <= 0.9
    assert 0.5 <= hits / n_found <= 0.95
    assert 0.66 <= np.mean(overlaps) <= 0.78


# --- bad settings
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"n_persons": 1}, {"n_persons": 2.5}, {"n_persons": True}, {"n_cameras": 1},
        {"n_scenes": 0}, {"width": 161},
        {"height": 100}, {"n_colours": 13}, {"n_frames": 21, "rate_hz": 60}, {"pair_frac": 1.5},
        {"quality_crf": -1},
        {"sensor_noise": float("nan")}, {"occluded_frac": "many"}, {"n_persons": 3, "n_scenes": 5},
    ],
)  # fmt: skip
def test_bad_street_is_a_clear_error(changes):
    with pytest.raises(LpwError, match=next(iter(changes))) as caught:
        StreetConfig(**changes)
    assert "\n" not in str(caught.value) and "expected" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"hit_full": 1.1},
        {"jitter_frac": -0.1},
        {"false_per_frame": float("inf")},
        {"miss_correlation": 1},
    ],
)
def test_bad_noise_is_a_clear_error(changes):
    with pytest.raises(LpwError, match=f"NoiseConfig.{next(iter(changes))}"):
        NoiseConfig(**changes)


def test_generator_without_a_seed_is_refused(tmp_path):
    class Unseeded:
        class bit_generator:  # noqa: N801
            seed_seq = None

    with pytest.raises(LpwError, match="default_rng"):
        write_street(tmp_path / "street", SMALL, Unseeded())


def test_equal_pictures_encode_to_equal_bytes() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (180, 320, 3), dtype=np.uint8) for _ in range(12)]
    config = STREETS["tiny"]
    assert len({street._encode(pictures, config) for _ in range(20)}) == 1
