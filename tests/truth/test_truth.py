"""The score: one hand-computed example for every rule of the cost, and the known figures on real
sequences."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lpw_toolkit.dataset.mot_text import (
    BoxRows,
    make_detections,
    read_boxes,
    read_detections,
    track_rows,
)
from lpw_toolkit.errors import LpwError
from lpw_toolkit.linking.config import PRESETS
from lpw_toolkit.linking.linker import link
from lpw_toolkit.truth import mot_metrics
from lpw_toolkit.truth.cleanup_cost import (
    UNMATCHED,
    CleanupCosts,
    Score,
    find_backed,
    match_people,
    pool,
    score_each,
    score_tracklets,
)

PEOPLE = {"A": 1, "B": 2, "C": 3}
PLACE = {"A": 0.0, "B": 100.0, "C": 200.0, ".": 500.0}


def rows(
    frame: list[int], track: list[int], left: list[float], flag: list[float] | None = None
) -> BoxRows:
    x = np.array(left, dtype=np.float64)
    boxes = np.stack([x, np.zeros(len(x)), x + 20, np.full(len(x), 50.0)], axis=1)
    flags = np.ones(len(x)) if flag is None else np.array(flag, dtype=np.float64)
    return BoxRows(np.array(frame, np.int32), np.array(track, np.int64), boxes, flags)


def street(n_frames: int) -> BoxRows:
    """A, B and C stand still at their places in every frame."""
    frames = [f for f in range(n_frames) for _ in PEOPLE]
    return rows(frames, list(PEOPLE.values()) * n_frames, [PLACE[p] for p in PEOPLE] * n_frames)


def draw(*labels: str) -> BoxRows:
    """Tracks one after the other in time, one letter per frame: who is in the box."""
    text = "".join(labels)
    tracks = [number for number, label in enumerate(labels) for _ in label]
    return rows(list(range(len(text))), tracks, [PLACE[c] for c in text])


def score(*labels: str, prices: CleanupCosts | None = None) -> Score:
    return score_tracklets(draw(*labels), street(200), prices=prices)


@pytest.mark.parametrize(
    ("labels", "cost_s", "n_kept"),
    [
        (["A" * 8], 2.0, 8),  # accepted
        (["A" * 7], 0.0, 0),  # shorter than 8: thrown away unseen
        (["A" * 7 + "B" * 4 + "." * 4], 2.5, 0),  # 7 of 15 on one person: rejected
        (["A" * 6 + "." * 6], 2.0 + 4.0, 6),  # exactly half is enough
        (["." * 8], 2.5, 0),  # nobody at all: rejected
        (["A" * 9 + "..."], 2.0 + 4.0, 9),  # a tail of nobody is dropped, however long
        (["." + "A" * 9 + "."], 2.0 + 4.0 + 4.0, 9),  # two runs, two drops
        (["A" * 4 + "BB" + "A" * 8], 2.0 + 4.0, 12),  # a run of another person below 8 is dropped
        (["A" * 4 + "BB" + "C" + "A" * 8], 2.0 + 4.0 + 4.0, 12),  # a run is one label
        (["A" * 9 + "B" * 8], 2.0 + 3.0 + 2.0, 17),  # one border, a second piece
        (["A" * 9 + "B" * 7], 2.0 + 4.0, 9),  # one frame too short for a piece
        (["A" * 6 + "B" * 8 + "A" * 6], 2.0 + 3.0 + 3.0 + 2.0, 20),  # both borders
        (["B" * 8 + "A" * 9], 2.0 + 3.0 + 2.0, 17),  # a border at the other side
        (["A" * 20 + "." * 9], 2.0 + 4.0, 20),  # nobody is never a piece
        (["A" * 8, "A" * 8], 2.0 + 2.0 + 4.0, 16),  # two pieces of one person: one merge
        (
            ["A" * 8, "A" * 8, "A" * 8, "B" * 8],
            4 * 2.0 + 2 * 4.0,
            32,
        ),  # the first piece of each is free
        (
            ["A" * 9 + "B" * 8, "B" * 9],
            2.0 + 3.0 + 2.0 + 2.0 + 4.0,
            26,
        ),  # a piece that was split off is merged too
        (["A" * 7 + "B" * 4 + "." * 4, "A" * 8], 2.5 + 2.0, 8),  # what was rejected needs no merge
    ],
)
def test_cost(labels: list[str], cost_s: float, n_kept: int) -> None:
    found = score(*labels)
    assert (found.cost_s, found.n_kept) == (cost_s, n_kept)


def test_headline_yield_and_shares() -> None:
    found = score("A" * 10 + "B" * 4, "C" * 10 + "A" * 3, "A" * 7)
    assert found.cost_s == (2 + 4) * 2
    assert found.n_kept == 20
    assert found.cost_per_1000_s == pytest.approx(1000 * 12 / 20)
    assert found.yield_frac == pytest.approx(20 / 600)
    assert found.n_tracklets == 2
    assert found.mixed_frac == 0.5  # B has 4 frames in the first; A only 3 in the second
    assert found.purity == pytest.approx(20 / 27)


def test_each_tracklet() -> None:
    first, second = score_each(draw("A" * 10 + "B" * 8, "." * 9), street(40))
    assert (first.person, first.n_frames, first.n_people, first.pieces) == (1, 18, 2, (1, 2))
    assert first.purity == pytest.approx(10 / 18)
    assert first.completeness == pytest.approx(10 / 40)
    assert (second.person, second.accepted, second.pieces) == (UNMATCHED, False, ())


def test_fragments_per_identity() -> None:
    assert score("A" * 8, "A" * 8, "B" * 8).fragments_per_identity == pytest.approx(3 / 2)


def test_prices_and_lengths_are_options() -> None:
    prices = CleanupCosts(
        accept_s=1, reject_s=10, split_s=5, drop_s=7, merge_s=100, min_frames=3, min_piece_frames=2
    )
    assert score("A" * 5 + "BB", "A" * 3, prices=prices).cost_s == (1 + 5 + 1) + 1 + 100
    assert score("." * 3, prices=prices).cost_s == 10
    assert (
        score("A" * 4 + "B" * 3, prices=CleanupCosts(min_frames=3, min_majority_frac=0.6)).cost_s
        == 2.5
    )
    with pytest.raises(LpwError, match="option --drop-s"):
        CleanupCosts(drop_s=-1)


def test_matching_is_optimal_and_thresholded() -> None:
    truth = rows([0, 0], [1, 2], [0.0, 10.0])
    tracks = rows([0, 0], [7, 8], [8.0, 17.0])
    # Overlaps 0.43 and 0.82 of the first box, 0.08 and 0.48 of the second: greedy would lose the
    # second.
    assert match_people(tracks, truth).tolist() == [0, 1]
    assert match_people(tracks, truth, iou=0.45).tolist() == [1, -1]
    with pytest.raises(LpwError, match="iou"):
        score_each(tracks, truth, iou=0)


def test_a_held_person_stays_while_the_boxes_overlap() -> None:
    steps = list(range(6))
    truth = rows(steps * 2, [1] * 6 + [2] * 6, [0.0] * 6 + [4.0] * 6)
    between = rows(
        steps, [0] * 6, [1.0, 3.0, 1.0, 3.0, 1.0, 3.0]
    )  # nearer to the one, then to the other
    assert truth.track[match_people(between, truth)].tolist() == [1, 2] * 3
    assert truth.track[match_people(between, truth, keep_previous_match=True)].tolist() == [1] * 6
    leaving = rows(
        steps, [0] * 6, [1.0, 3.0, 10.0, 12.0, 12.0, 1.0]
    )  # overlaps the first by 0.33, then by 0.25
    assert truth.track[match_people(leaving, truth, keep_previous_match=True)].tolist() == [
        1,
        1,
        1,
        2,
        2,
        2,
    ]
    n_people = [score_each(between, truth, keep_previous_match=hold,
    prices=CleanupCosts(min_frames=1, min_mixed_frames=3))[0].n_people
                for hold in (False, True)]  # fmt: skip
    assert n_people == [2, 1]
    away = rows(
        [0, 0, 1, 1], [7, 8, 7, 8], [0.0, 4.0, 4.0, 0.0]
    )  # two tracks change places in one step
    assert truth.track[match_people(away, truth, keep_previous_match=True)].tolist() == [1, 2, 1, 2]


def test_ground_truth_that_does_not_count() -> None:
    truth = rows(
        [*range(10), *range(10)],
        [1] * 10 + [2] * 10,
        [0.0] * 10 + [100.0] * 10,
        [1.0] * 10 + [0.0] * 10,
    )
    on_ignored = rows(list(range(10)), [0] * 10, [100.0] * 10)
    found = score_tracklets(on_ignored, truth)
    assert (found.cost_s, found.n_kept, found.n_truth) == (2.5, 0, 10)  # nobody's boxes
    both = rows(list(range(10)), [0] * 10, [0.0] * 10)
    near = BoxRows(
        truth.frame_index,
        truth.track,
        truth.boxes - np.where(truth.track == 2, 96.0, 0.0)[:, None],
        truth.flag,
    )
    assert (
        score_tracklets(both, near).n_kept == 10
    )  # a counted row takes the box although an ignored one overlaps too


def test_boxes_without_a_detection_are_not_kept() -> None:
    tracks = draw("A" * 10)
    detections = make_detections(tracks.frame_index[:6], tracks.boxes[:6] + 1.0, np.ones(6))
    assert find_backed(tracks, detections).tolist() == [True] * 6 + [False] * 4
    found = score_tracklets(tracks, street(10), detections=detections)
    assert (found.n_kept, found.cost_s) == (6, 2.0)


def test_short_tracks_take_no_person_away() -> None:
    long, short = draw("A" * 10), draw("A" * 5)
    both = BoxRows(
        *(
            np.concatenate(pair)
            for pair in zip(
                list(vars(long).values())[:4], list(vars(short).values())[:4], strict=True
            )
        )
    )
    both.track[10:] = 9
    both.boxes[:10] += 2.0
    assert score_tracklets(both, street(10)).n_kept == 10


def test_pooling_sums() -> None:
    one, two = score("A" * 8), score("A" * 8, "A" * 8)
    both = pool([one, two])
    assert both.cost_s == 2 + 8
    assert both.n_people_kept == 2
    assert both.fragments_per_identity == pytest.approx(3 / 2)
    assert pool([]).cost_per_1000_s == float("inf")
    assert (
        pool([]).yield_frac
        == pool([]).mixed_frac
        == pool([]).purity
        == pool([]).fragments_per_identity
        == 0.0
    )


def test_empty_inputs() -> None:
    nothing = rows([], [], [])
    assert score_tracklets(nothing, street(3)).n_truth == 9
    assert score_tracklets(draw("A" * 9), nothing).cost_s == 2.5


def test_two_boxes_in_one_frame_are_an_error() -> None:
    tracks = rows([*range(8), 3], [4] * 9, [0.0] * 9)
    with pytest.raises(LpwError, match=r"track 4: got two boxes in frame 4"):
        score_tracklets(tracks, street(10))


def test_trackeval_metrics_of_perfect_and_swapped_tracks() -> None:
    truth = street(10)
    perfect = mot_metrics.evaluate({"s": (truth, truth)})
    assert perfect["s"] == {"IDF1": 1.0, "HOTA": 1.0, "MOTA": 1.0, "IDSW": 0}
    swapped = BoxRows(truth.frame_index, truth.track.copy(), truth.boxes, truth.flag)
    late = truth.frame_index >= 5
    swapped.track[late & (truth.track == 1)], swapped.track[late & (truth.track == 2)] = 2, 1
    found = mot_metrics.evaluate({"s": (swapped, truth), "t": (truth, truth)})
    assert found["s"]["IDSW"] == 2
    assert found["s"]["MOTA"] == pytest.approx(1 - 2 / 30)
    assert found["s"]["IDF1"] == pytest.approx((10 + 5 + 5) / 30)
    assert found["all"]["IDSW"] == 2
    assert found["s"]["HOTA"] < found["all"]["HOTA"] < 1


def test_trackeval_leaves_out_what_does_not_count() -> None:
    truth = street(10)
    truth.flag[truth.track == 3] = 0
    kept = truth.select(truth.track != 3)
    assert mot_metrics.evaluate({"s": (kept, truth)})["s"]["MOTA"] == 1.0


def test_trackeval_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackeval.metrics", None)
    with pytest.raises(LpwError, match=r"lpw-toolkit\[score\]"):
        mot_metrics.evaluate({})


@pytest.mark.realdata
def test_known_figures(shared_data: Path) -> None:
    """SORT's output: 189 s at 54.4 %, 15 % mixed; the plain rule: 273 s at 58.2 %."""
    sort, plain = [], []
    for folder in sorted((shared_data / "mot15").iterdir()):
        truth = read_boxes(folder / "gt" / "gt.txt")
        sort.append(
            score_tracklets(
                read_boxes(shared_data / "peers" / "sort" / f"{folder.name}.txt"), truth
            )
        )
        detections = read_detections(folder / "det" / "det.txt")
        plain.append(
            score_tracklets(track_rows(detections, link(detections, PRESETS["paper"])), truth)
        )
    assert pool(sort).cost_per_1000_s == pytest.approx(189, abs=0.5)
    assert pool(sort).yield_frac == pytest.approx(0.544, abs=0.0005)
    assert pool(sort).mixed_frac == pytest.approx(0.15, abs=0.005)
    assert pool(plain).cost_per_1000_s == pytest.approx(273, abs=0.5)
    assert pool(plain).yield_frac == pytest.approx(0.582, abs=0.0005)
