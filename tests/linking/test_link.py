"""The linker: what holds for every input, the paper's rule against a brute-force one, and the cases
it is made for."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from lpw_cli.main import main
from numpy.typing import NDArray

from lpw_toolkit import boxes as geometry
from lpw_toolkit import progress
from lpw_toolkit.dataset import schema
from lpw_toolkit.dataset.mot_text import make_detections, read_boxes, read_detections, track_rows
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.association import assign
from lpw_toolkit.linking.config import PRESETS, LinkConfig
from lpw_toolkit.linking.linker import link
from lpw_toolkit.linking.motion import filter_end, fit_lines, to_centres, to_corners
from lpw_toolkit.linking.smoothing import smooth_tracks
from lpw_toolkit.truth.cleanup_cost import pool, score_tracklets

PAPER = PRESETS["paper"]
SHORT = replace(PRESETS["default"], min_length=3)
CONFIGS = (
    PAPER,
    SHORT,
    replace(PAPER, max_gap=4, min_length=2),
    replace(SHORT, max_gap=1, assignment="greedy"),
)


def table(
    frame: NDArray[np.int_], boxes: NDArray[np.float64], score: NDArray[np.float64] | None = None
) -> pa.Table:
    return make_detections(
        frame.astype(np.int32), boxes, np.ones(len(frame)) if score is None else score
    )


def crowd(seed: int, n_people: int = 6, n_frames: int = 30, miss: float = 0.15) -> pa.Table:
    """People who cross a small square on straight lines, with jitter, misses and varied scores."""
    rng = np.random.default_rng(seed)
    place, speed = rng.uniform(0, 300, (n_people, 2)), rng.normal(0, 5, (n_people, 2))
    frame = np.repeat(np.arange(n_frames), n_people)
    person = np.tile(np.arange(n_people), n_frames)
    corner = place[person] + speed[person] * frame[:, None] + rng.normal(0, 1.5, (len(frame), 2))
    boxes = np.concatenate([corner, corner + np.array([40, 100])], axis=1)
    seen = rng.random(len(frame)) > miss
    return table(frame[seen], boxes[seen], rng.uniform(0.3, 1, seen.sum()))


def walk(
    *, frames: range, x: float, speed: float, width: float = 40, y: float = 0
) -> tuple[list[int], list[list[float]]]:
    boxes = [[x + speed * f, y, x + speed * f + width, y + 100] for f in frames]
    return list(frames), boxes


def together(*walks: tuple[list[int], list[list[float]]]) -> pa.Table:
    frame = np.array([f for frames, _ in walks for f in frames])
    boxes = np.array([b for _, found in walks for b in found], dtype=np.float64)
    order = np.argsort(frame, kind="stable")
    return table(frame[order], boxes[order])


def timeline(segment: list[int], duplicate: list[bool]) -> pa.Table:
    n = len(segment)
    columns = [["v"] * n, range(n), [None] * n, segment, duplicate, [640] * n, [480] * n]
    return pa.Table.from_arrays(
        [pa.array(list(c), f.type) for c, f in zip(columns, schema.TIMELINE, strict=True)],
        schema=schema.TIMELINE,
    )


def partition(
    tracks: NDArray[np.int32], boxes: NDArray[np.float64], frame: NDArray[np.int32]
) -> set[frozenset[object]]:
    keys = [(int(f), *map(float, b)) for f, b in zip(frame, boxes, strict=True)]
    return {
        frozenset(keys[i] for i in np.flatnonzero(tracks == t))
        for t in np.unique(tracks[tracks >= 0])
    }


def check_invariants(detections: pa.Table, tracks: NDArray[np.int32], config: LinkConfig) -> None:
    frame = detections["frame_index"].to_numpy()
    assert tracks.dtype == np.int32
    assert tracks.shape == (detections.num_rows,)
    first_rows = []
    for number in range(tracks.max(initial=-1) + 1):
        rows = np.flatnonzero(tracks == number)
        assert len(rows) >= config.min_length
        gaps = np.diff(frame[rows])
        assert (gaps >= 1).all()  # one box per frame
        assert (gaps <= config.max_gap).all()
        first_rows.append(rows[0])
    assert first_rows == sorted(first_rows)  # numbers in order of (first frame, row)
    assert (detections["score"].to_numpy()[tracks >= 0] >= np.float32(config.min_score)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CONFIGS), st.sampled_from([0.0, 0.6]))
def test_invariants(seed: int, config: LinkConfig, min_score: float) -> None:
    config = replace(config, min_score=min_score)
    detections = crowd(seed)
    check_invariants(detections, link(detections, config), config)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CONFIGS))
def test_order_inside_a_frame_does_not_matter(seed: int, config: LinkConfig) -> None:
    detections = crowd(seed, miss=0.05)
    rng = np.random.default_rng(seed + 1)
    order = np.lexsort((rng.random(detections.num_rows), detections["frame_index"].to_numpy()))
    shuffled = detections.take(order)
    one = partition(
        link(detections, config), boxes_of(detections), detections["frame_index"].to_numpy()
    )
    two = partition(link(shuffled, config), boxes_of(shuffled), shuffled["frame_index"].to_numpy())
    assert one == two


def brute_force(detections: pa.Table, iou: float) -> set[frozenset[int]]:
    """The paper's rule by trying every assignment between consecutive frames."""
    frame, boxes = detections["frame_index"].to_numpy(), boxes_of(detections)
    follower: dict[int, int] = {}
    for f in range(int(frame.max(initial=0))):
        a, b = np.flatnonzero(frame == f), np.flatnonzero(frame == f + 1)
        overlap = geometry.iou(boxes[a], boxes[b])
        overlap[overlap < iou] = 0
        wide = np.zeros((len(a), len(b) + len(a)))  # with a place for nobody for each
        wide[:, : len(b)] = overlap
        options = itertools.permutations(range(wide.shape[1]), len(a))
        best = max(options, key=lambda p: sum(wide[i, j] for i, j in enumerate(p)), default=())
        follower |= {int(a[i]): int(b[j]) for i, j in enumerate(best) if wide[i, j] > 0}
    chains, followed = set(), set(follower.values())
    for start in range(len(frame)):
        if start not in followed:
            chain = [start]
            while chain[-1] in follower:
                chain.append(follower[chain[-1]])
            chains.add(frozenset(chain))
    return chains


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_paper_preset_equals_brute_force(seed: int) -> None:
    detections = crowd(seed, n_people=4, n_frames=6)
    tracks = link(detections, PAPER)
    assert (tracks >= 0).all()
    assert {
        frozenset(np.flatnonzero(tracks == t).tolist()) for t in np.unique(tracks)
    } == brute_force(detections, 0.3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_min_score_never_links_more(seed: int, one: float, two: float) -> None:
    low, high = sorted((one, two))
    detections = crowd(seed, n_frames=8)
    few = link(detections, replace(PAPER, min_score=high)) >= 0
    many = link(detections, replace(PAPER, min_score=low)) >= 0
    assert not (few & ~many).any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CONFIGS))
def test_no_tracklet_crosses_a_segment_or_uses_a_duplicate(seed: int, config: LinkConfig) -> None:
    detections = crowd(seed)
    rng = np.random.default_rng(seed)
    segment, duplicate = np.sort(rng.integers(0, 3, 30)), rng.random(30) < 0.2
    tracks = link(detections, config, timeline(segment.tolist(), duplicate.tolist()))
    frame = detections["frame_index"].to_numpy()
    assert (tracks[duplicate[frame]] == -1).all()
    place = np.cumsum(~duplicate) - 1
    for number in np.unique(tracks[tracks >= 0]):
        rows = np.flatnonzero(tracks == number)
        assert len(set(segment[frame[rows]])) == 1
        assert (np.diff(place[frame[rows]]) <= config.max_gap).all()


def test_duplicates_do_not_part_neighbours() -> None:
    detections = together(walk(frames=range(6), x=0, speed=2))
    tracks = link(detections, PAPER, timeline([0] * 6, [False, False, True, False, False, True]))
    assert tracks.tolist() == [0, 0, -1, 0, 0, -1]
    assert link(detections, PAPER, timeline([0] * 3, [True] * 3)).tolist() == [-1] * 6
    assert link(detections, PAPER, timeline([0] * 4, [False] * 4)).tolist() == [0, 0, 0, 0, -1, -1]


@pytest.mark.parametrize("config", CONFIGS)
def test_empty_table_and_single_frame(config: LinkConfig) -> None:
    empty = table(np.zeros(0, int), np.zeros((0, 4)))
    assert link(empty, config).shape == (0,)
    assert link(empty, config, timeline([], [])).shape == (0,)
    single = together(
        walk(frames=range(4, 5), x=0, speed=0), walk(frames=range(4, 5), x=100, speed=0)
    )
    assert link(single, replace(config, min_length=2)).tolist() == [-1, -1]
    assert link(single, PAPER).tolist() == [0, 1]


def test_unsorted_rows_are_refused() -> None:
    with pytest.raises(LpwError, match="frames out of order"):
        link(table(np.array([1, 0]), np.array([[0.0, 0, 5, 5]] * 2)), PAPER)


def test_input_is_left_as_it_was() -> None:
    detections = crowd(3)
    before = detections.to_pydict()
    assert np.array_equal(link(detections, SHORT), link(detections, SHORT))
    assert detections.to_pydict() == before


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("iou", 0.0),
        ("iou", 1.1),
        ("iou", float("nan")),
        ("min_score", -0.1),
        ("min_length", 0),
        ("min_length", 2.5),
        ("max_gap", 0),
        ("margin", 2.0),
        ("gap_error", 0.0),
        ("gap_rival_ratio", 0.5),
        ("end_score_quantile", 1.5),
        ("assignment", "best"),
    ],
)
def test_bad_options_are_named(option: str, value: object) -> None:
    with pytest.raises(LpwError, match=f"--{option.replace('_', '-')}"):
        LinkConfig(**{option: value})


def test_greedy_takes_the_best_pair_first_and_optimal_the_best_sum() -> None:
    overlap = np.array([[0.43, 0.82], [0.08, 0.48]])
    assert [a.tolist() for a in assign(overlap, 0.3, greedy=True)] == [[0], [1]]
    assert [a.tolist() for a in assign(overlap, 0.3, greedy=False)] == [[0, 1], [0, 1]]


def test_a_fast_walker_is_followed_by_its_speed() -> None:
    detections = together(
        walk(frames=range(20), x=0, speed=15), walk(frames=range(20), x=330, speed=-15, y=0)
    )
    tracks = link(detections, replace(PAPER, velocity_gain=0.3))
    moves = [np.diff(boxes_of(detections)[tracks == t][:, 0]) for t in (0, 1)]
    assert all(len(set(np.sign(m))) == 1 for m in moves)  # nobody turns round where they meet


def test_a_gap_is_joined_up_to_max_gap_only() -> None:
    halves = [walk(frames=range(12), x=0, speed=4), walk(frames=range(17, 30), x=0, speed=4)]
    detections = together(*halves)
    assert link(detections, replace(SHORT, max_gap=6)).max() == 0
    assert link(detections, replace(SHORT, max_gap=5)).max() == 1


def test_nothing_is_joined_against_motion_or_size() -> None:
    still = walk(frames=range(12), x=0, speed=0)
    elsewhere = walk(frames=range(15, 30), x=60, speed=0)
    assert link(together(still, elsewhere), SHORT).max() == 1
    frames, boxes = walk(frames=range(15, 30), x=0, speed=0)
    child = (frames, [[b[0], 50.0, b[2] - 20, 100.0] for b in boxes])
    assert link(together(still, child), SHORT).max() == 1


def test_two_equal_heirs_get_nothing() -> None:
    heirs = [walk(frames=range(14, 30), x=x, speed=0) for x in (-6, 6)]
    tracks = link(
        together(walk(frames=range(12), x=0, speed=0), *heirs),
        replace(SHORT, margin=0.0, gap_rival_ratio=2.0),
    )
    assert tracks.max() == 2  # three people's worth of pieces: no guess


def test_a_track_is_cut_where_another_ends_in_front_of_it() -> None:
    """B, nearer to the camera, walks up to A and is gone; the box that is left may be either: A
    loses its name."""
    a = walk(frames=range(40), x=200, speed=0, y=0)
    b = walk(frames=range(20), x=60, speed=6, y=15)
    cut = replace(
        SHORT,
        margin=0.0,
        gap_rival_ratio=100.0,
        ambiguity_iou=0.1,
        gap_error=1.0,
        gap_size_error=1.0,
    )
    assert link(together(a, b), cut).max() == 2
    assert link(together(a, b), replace(cut, ambiguity_iou=1.0)).max() == 1


def test_smoothed_tracks_jitter_less_and_keep_their_rows() -> None:
    rng = np.random.default_rng(0)
    frames, boxes = walk(frames=range(30), x=0, speed=4)
    shaken = np.array(boxes) + rng.normal(0, 3, (30, 4))
    detections = table(np.array([*frames, 30]), np.concatenate([shaken, [[500.0, 0, 540, 100]]]))
    tracks = np.array([0] * 30 + [-1], np.int32)
    smooth = smooth_tracks(detections, tracks)
    assert smooth.schema == detections.schema
    error, before = (
        np.abs(boxes_of(t)[:30] - np.array(boxes)).mean() for t in (smooth, detections)
    )
    assert error < 0.7 * before
    assert boxes_of(smooth)[30].tolist() == [500.0, 0, 540, 100]
    assert smooth_tracks(detections, tracks, 0.0) is detections


def test_odd_boxes_and_weak_ends_are_left_out() -> None:
    frames, boxes = walk(frames=range(20), x=0, speed=1)
    boxes[10] = [b + 24.0 for b in boxes[10]]
    score = np.linspace(0.7, 0.95, 20)
    score[[0, 1, 19]] = 0.3
    detections = table(np.array(frames), np.array(boxes), score)
    config = replace(
        SHORT,
        iou=0.1,
        margin=0.0,
        end_score_quantile=0.2,
        track_score_quantile=0.0,
        outlier_iou=0.5,
        max_gap=3,
    )
    assert np.flatnonzero(link(detections, config) < 0).tolist() == [0, 1, 10, 19]


def test_weak_tracklets_are_left_out() -> None:
    strong, weak = walk(frames=range(20), x=0, speed=1), walk(frames=range(20), x=300, speed=1)
    detections = together(strong, weak)
    score = np.where(boxes_of(detections)[:, 0] > 200, 0.4, 0.9)
    scored = table(detections["frame_index"].to_numpy(), boxes_of(detections), score)
    tracks = link(scored, replace(SHORT, track_score_quantile=0.75))
    assert (tracks >= 0).tolist() == (score > 0.5).tolist()
    assert link(scored, replace(SHORT, track_score_quantile=0.0, end_score_quantile=0.0)).max() == 1


def test_lines_and_filters_follow_a_straight_walk() -> None:
    at = np.arange(12)
    values = np.stack([3.0 * at + 1, -1.0 * at], axis=1)
    owner = np.repeat([0, 1], 6)
    value, slope = fit_lines(values, at, owner, 3, leave_out=True)
    assert np.allclose(value, values)
    assert np.allclose(slope, [3.0, -1.0])
    place, speed = filter_end(values / 100, at)
    assert np.allclose(place, values[-1] / 100, atol=0.02)
    assert np.allclose(speed, [0.03, -0.01], atol=0.01)
    boxes = np.array([[0.0, 0, 10, 20]])
    assert np.array_equal(to_corners(to_centres(boxes)), boxes)


@pytest.mark.realdata
def test_invariants_on_real_crowds(shared_data: Path) -> None:
    for name in ("TUD-Stadtmitte", "KITTI-13"):
        detections = read_detections(shared_data / "mot15" / name / "det" / "det.txt")
        check_invariants(detections, link(detections, LinkConfig()), LinkConfig())


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("preset", "cost_share", "mixed_share"), [("default", 0.75, 0.5), ("low-cost", 0.70, 1.0)]
)
def test_quality_on_real_crowds(
    shared_data: Path, preset: str, cost_share: float, mixed_share: float
) -> None:
    """Against SORT (189 s, 15.2 % of tracklets mixed), at a yield of 52.4 % or more."""
    scores = []
    for folder in sorted((shared_data / "mot15").iterdir()):
        detections = read_detections(folder / "det" / "det.txt")
        tracks = link(detections, PRESETS[preset])
        found = track_rows(smooth_tracks(detections, tracks), tracks)
        scores.append(
            score_tracklets(found, read_boxes(folder / "gt" / "gt.txt"), detections=detections)
        )
    total = pool(scores)
    assert total.cost_per_1000_s <= cost_share * 189
    assert total.yield_frac >= 0.524
    assert total.mixed_frac <= mixed_share * 0.152


def test_short_gaps_are_joined_before_long_ones() -> None:
    """What begins 3 frames later is joined before what begins 22 frames later can be its rival."""
    walks = walk(frames=range(12), x=0, speed=2), walk(frames=range(14, 26), x=0, speed=2)
    detections = together(*walks, walk(frames=range(33, 45), x=4, speed=2))
    config = replace(
        SHORT, max_gap=30, margin=0.0, ambiguity_iou=1.0, gap_rival_ratio=20.0, gap_in_rounds=True
    )
    rounds = link(detections, config)
    at_once = link(detections, replace(config, gap_in_rounds=False))
    assert rounds[5] == rounds[20] and at_once[5] != at_once[20]


def test_progress_counts_every_box_that_exists_and_changes_nothing() -> None:
    detections = together(
        walk(frames=range(20), x=0, speed=1), walk(frames=range(5, 30), x=300, speed=1)
    )
    done: list[int] = []
    assert np.array_equal(link(detections, SHORT, None, done.append), link(detections, SHORT))
    assert sum(done) == detections.num_rows == 45 and len(done) == 30


def test_long_linking_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(0, 4)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))
    (tmp_path / "det.txt").write_text("".join(f"{i + 1},-1,{i},10,20,40,1\n" for i in range(9)))
    done = CliRunner().invoke(
        main, ["link", str(tmp_path / "det.txt"), "--out", str(tmp_path / "t.txt")]
    )
    assert done.exit_code == 0, done.output
    assert "link det.txt: 3/9 boxes" in done.stderr and "link det.txt: 9/9 boxes" in done.stderr


def add_jitter(detections: pa.Table, size: float) -> pa.Table:
    """The same boxes with heights that change at random from frame to frame."""
    rng = np.random.default_rng(0)
    boxes = boxes_of(detections)
    boxes[:, 1] -= size * rng.standard_normal(len(boxes)) * (boxes[:, 3] - boxes[:, 1])
    frame, scores = (
        detections["frame_index"].to_numpy(),
        detections["score"].to_numpy().astype(np.float64),
    )
    return make_detections(frame, boxes, scores)


def test_stable_boxes_are_joined_over_gaps_more_boldly() -> None:
    """Thirteen people who come out of a gap a fifth of their height off their path."""
    people = [
        part
        for k in range(13)
        for part in (
            walk(frames=range(20), x=0, speed=2, y=400 * k),
            walk(frames=range(30, 50), x=20, speed=2, y=400 * k),
        )
    ]
    stable = together(*people)
    config = LinkConfig()
    assert len(np.unique(link(stable, config))) == 13
    assert len(np.unique(link(stable, replace(config, jitter_threshold=0.0)))) == 26
    assert len(np.unique(link(add_jitter(stable, 0.06), replace(config, outlier_iou=0.0)))) > 20
    assert len(np.unique(link(stable, replace(config, gap_error=0.16)))) == 26, (
        "what is set is not changed"
    )
    assert len(np.unique(link(together(*people[:2]), config))) == 2, "too few boxes to tell"
