"""The queue: a pure function of suggestions and decisions, learned from them; its estimate is
honest."""

from dataclasses import replace

import numpy as np
import pytest

from lpw_toolkit.cleaning.suggest.error_prior import NEUTRAL, parse_forest, read_forest
from lpw_toolkit.cleaning.suggest.queue import (
    RANDOM_EVERY,
    Estimate,
    QueueFeatures,
    order,
    predict,
    prepare_features,
    queue,
)
from lpw_toolkit.cleaning.suggest.reasons import REASONS, score_measures
from lpw_toolkit.dataset.schema import SUGGESTIONS
from lpw_toolkit.dataset.tables import make_table
from lpw_toolkit.errors import LpwError


def make_suggestions(n: int, seed: int = 0, reasons: tuple[str, ...] = ("bend", "short", "wander")):
    """n tracklets in two cameras with drawn scores; each third lacks the last reason."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        for j, reason in enumerate(reasons):
            if i % 3 or j + 1 < len(reasons):
                rows.append(
                    (
                        f"t{i:04d}",
                        f"c{i % 2}",
                        10 + i % 7,
                        reason,
                        float(rng.random()),
                        None,
                        None,
                        None,
                    )
                )
    return make_table([list(column) for column in zip(*rows, strict=True)], SUGGESTIONS)


def errors_by_score(features: QueueFeatures, reason: str, rate: float, seed: int) -> np.ndarray:
    """Errors that follow one reason, at about this rate."""
    score = features.scores[:, features.reasons.index(reason)]
    rng = np.random.default_rng(seed)
    return score + 0.25 * rng.standard_normal(len(score)) > np.quantile(score, 1 - rate)


class TestOrder:
    def test_everybody_once_and_decided_ones_never(self) -> None:
        table = make_suggestions(90)
        decided = {"t0003": "clean", "t0050": "error", "t0051": "unsure"}
        found = queue(table, decided)
        assert sorted([*found.tracklet_ids, *decided]) == [f"t{i:04d}" for i in range(90)]
        assert len(found.chances) == len(found.at_random) == 87

    def test_pure_and_independent_of_the_order_of_decisions(self) -> None:
        table = make_suggestions(60)
        decided = {"t0003": "clean", "t0050": "error", "t0020": "error"}
        one, other = queue(table, decided, 3), queue(table, dict(reversed(decided.items())), 3)
        assert one.tracklet_ids == other.tracklet_ids
        assert np.array_equal(one.chances, other.chances)

    def test_rows_in_another_order_give_the_same_chances(self) -> None:
        table = make_suggestions(60)
        names = [f"t{i:04d}" for i in range(60)]
        flipped = [
            table.filter(np.array(table["tracklet_id"].to_pylist()) == name)
            for name in reversed(names)
        ]
        import pyarrow as pa

        one, other = queue(table, {}), queue(pa.concat_tables(flipped), {})
        assert dict(zip(one.tracklet_ids, one.chances, strict=True)) == dict(
            zip(other.tracklet_ids, other.chances, strict=True)
        )

    def test_every_twentieth_place_is_drawn(self) -> None:
        found = queue(make_suggestions(100), {})
        assert np.flatnonzero(found.at_random).tolist() == list(
            range(RANDOM_EVERY - 1, 100, RANDOM_EVERY)
        )
        after = queue(make_suggestions(100), dict.fromkeys(found.tracklet_ids[:5], "clean"))
        assert np.flatnonzero(after.at_random)[0] == RANDOM_EVERY - 1 - 5

    def test_the_draw_depends_on_the_seed_alone(self) -> None:
        table = make_suggestions(100)
        first = {seed: prepare_features(table, seed).draw.tolist() for seed in (0, 1)}
        assert first[0] != first[1]
        assert prepare_features(table, 0).draw.tolist() == first[0]

    def test_works_with_no_decisions_and_with_all(self) -> None:
        table = make_suggestions(30)
        assert len(queue(table, {}).tracklet_ids) == 30
        done = queue(table, {f"t{i:04d}": "clean" for i in range(30)})
        assert done.tracklet_ids == []
        assert (done.estimate.low_frac, done.estimate.high_frac) == (1.0, 1.0)

    @pytest.mark.parametrize("decided", [{"nobody": "clean"}, {"t0001": "maybe"}])
    def test_refuses_unknown_names_and_outcomes(self, decided: dict[str, str]) -> None:
        with pytest.raises(LpwError, match="got"):
            queue(make_suggestions(5), decided)

    def test_refuses_a_reason_twice_and_another_table(self) -> None:
        import pyarrow as pa

        table = make_suggestions(5)
        with pytest.raises(LpwError, match="twice"):
            queue(pa.concat_tables([table, table.slice(0, 1)]), {})
        with pytest.raises(LpwError, match="columns"):
            queue(table.drop_columns(["score"]).replace_schema_metadata(None), {})


class TestLearning:
    def test_a_reason_without_prior_weight_is_learned(self) -> None:
        table = make_suggestions(400, reasons=("bend", "overlap", "short"))
        features = replace(
            prepare_features(table), prior=np.zeros(400)
        )  # nothing is known beforehand
        truth = errors_by_score(features, "overlap", 0.2, 1)
        rows = np.arange(0, 400, 4)
        before = predict(features, rows[:0], np.zeros(0))
        after = predict(features, rows, truth[rows].astype(float))
        rest = np.setdiff1d(np.arange(400), rows)

        def top(chances: np.ndarray) -> float:
            return float(truth[rest[np.argsort(-chances[rest])[:60]]].mean())

        assert top(after) > top(before) + 0.2

    def test_a_camera_with_more_errors_comes_first(self) -> None:
        features = prepare_features(make_suggestions(200))
        rows = np.arange(60)
        after = predict(features, rows, (features.cameras[rows] == 1).astype(float))
        assert after[features.cameras == 1].mean() > 1.5 * after[features.cameras == 0].mean()

    def test_decisions_that_agree_move_the_chances_their_way(self) -> None:
        features = prepare_features(make_suggestions(50))
        none = predict(features, np.zeros(0, int), np.zeros(0))
        bad, good = (predict(features, np.arange(20), np.full(20, v)) for v in (1.0, 0.0))
        assert (bad > none).all()
        assert good.mean() < none.mean() + 1e-9


class TestForest:
    text = """{"reasons": ["bend", "wander"], "base": -2.0, "trees": [
        {"reason": [0, -1, 1, -1, -1], "threshold": [0.5, 0, 0.4, 0, 0], "low": [1, 0, 3, 0, 0],
         "high": [2, 0, 4, 0, 0], "value": [0, -1.0, 0, 0.5, 3.0]},
        {"reason": [-1], "threshold": [0], "low": [0], "high": [0], "value": [0.25]}]}"""

    def test_every_leaf_is_reached(self) -> None:
        scores = np.array([[0.5, 0.9], [0.6, 0.4], [0.6, 0.41]])
        assert parse_forest(self.text).predict(["bend", "wander"], scores).tolist() == [
            -2.75,
            -1.25,
            1.25,
        ]
        assert parse_forest(self.text).predict(["wander", "bend"], scores[:, ::-1]).tolist() == [
            -2.75,
            -1.25,
            1.25,
        ]

    def test_a_reason_that_is_not_given_is_neutral(self) -> None:
        forest = parse_forest(self.text)
        assert forest.predict(["bend"], np.array([[0.9]])).tolist() == [-1.25]
        assert forest.predict(["short"], np.array([[0.9]])).tolist() == [-2.75]
        assert forest.predict(["bend", "wander"], np.array([[0.9, NEUTRAL]])).tolist() == [-1.25]

    def test_the_one_of_the_package_knows_reasons_only_and_ends(self) -> None:
        forest = read_forest()
        assert set(forest.reasons) <= set(REASONS) and len(forest.trees) > 10
        for tree in forest.trees:
            inner = tree["reason"] >= 0
            nodes = np.arange(len(inner))
            assert (tree["low"][inner] > nodes[inner]).all() and (
                tree["high"][inner] > nodes[inner]
            ).all()
            assert max(tree["low"].max(), tree["high"].max()) < len(inner)
            assert tree["reason"].max() < len(forest.reasons)

    def test_what_looks_like_an_error_comes_before_what_does_not(self) -> None:
        forest = read_forest()
        bad = dict.fromkeys(forest.reasons, NEUTRAL) | dict.fromkeys(
            (
                "look_meeting",
                "look_gap",
                "sharp_change",
                "wide_meeting",
                "jump_meeting",
                "bend",
                "wander",
            ),
            0.8,
        )
        good = dict.fromkeys(forest.reasons, 0.1)
        logits = forest.predict(forest.reasons, np.array([list(bad.values()), list(good.values())]))
        assert logits[0] > logits[1] + 2


class TestEstimate:
    def test_the_limits_hold_the_truth_about_as_often_as_they_say(self) -> None:
        held = n = 0
        for seed in range(12):
            table = make_suggestions(400, seed, ("bend", "overlap", "wander"))
            features = prepare_features(table, seed)
            truth = errors_by_score(features, "wander", 0.15, seed)
            decided: dict[str, str] = {}
            while len(decided) < 240:
                for name in order(features, decided).tracklet_ids[:40]:
                    decided[name] = "error" if truth[int(name[1:])] else "clean"
                estimate = order(features, decided).estimate
                found = estimate.n_found / truth.sum()
                held += estimate.low_frac - 1e-9 <= found <= estimate.high_frac + 1e-9
                n += 1
        assert held >= 0.9 * n

    def test_limits_close_in_as_more_are_seen(self) -> None:
        features = prepare_features(make_suggestions(400))
        truth = errors_by_score(features, "wander", 0.15, 0)
        names = order(features, {}).tracklet_ids
        spans = []
        for n in (100, 200, 380):
            decided = {name: "error" if truth[int(name[1:])] else "clean" for name in names[:n]}
            estimate = order(features, decided).estimate
            spans.append(estimate.high_frac - estimate.low_frac)
        assert spans[0] > spans[1] > spans[2]

    def test_the_line_that_is_shown(self) -> None:
        estimate = order(prepare_features(make_suggestions(50)), {}).estimate
        assert (
            estimate.describe()
            == "not enough random checks yet to estimate how many mistakes are left"
        )

    def test_the_line_names_what_it_estimates(self) -> None:
        known = Estimate(9, 36, 4, 5, 0.314, 0.119, 0.998)
        assert known.describe() == "an estimated 31 % of all mistakes found (11 to 100 %)"
        assert replace(known, n_seen=36).describe().startswith("all tracklets reviewed")


def test_scores_lie_between_0_and_1_and_unknown_stays_unknown() -> None:
    measures = {
        name: np.array([-1.0, 0.0, reason.half, 1e12, np.nan]) for name, reason in REASONS.items()
    }
    for scores in score_measures(measures).values():
        assert scores[:2].tolist() == [0, 0]
        assert scores[2] == pytest.approx(0.5)
        assert 0.99 < scores[3] <= 1
        assert np.isnan(scores[4])
