"""The order in which tracklets are shown for review, learned from the decisions so far, and an
estimate of the remaining errors.

A forest that comes with the package (see `forest`) tells from the scores of the reasons how likely
a tracklet is in error. A logistic model corrects it with every decision: by a weight for each
reason, and one for each camera that has decisions, since cameras differ in how often the linker
fails. Every twentieth place shows a tracklet drawn at random, whatever the model thinks: these
alone tell how many errors lie among those nobody has seen.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lpw_toolkit.cleaning.suggest.error_prior import NEUTRAL, read_forest
from lpw_toolkit.dataset.schema import SUGGESTIONS, check
from lpw_toolkit.dataset.tables import run_starts, to_integers, to_numpy
from lpw_toolkit.errors import LpwError, MismatchError, check_range

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: How far decisions may move the logit: standard deviations of the prior of each reason's weight,
#: of the forest's (which begins at 1), of the whole, and of a camera's.
SPREAD, SPREAD_FOREST, SPREAD_BASE, SPREAD_CAMERA = 1.0, 0.3, 1.5, 0.7
#: Long tracklets hold more frames that could be wrong: the benefit grows with this power of their
#: length.
LENGTH_POWER = 0.25
#: Every how many-th place is drawn at random.
RANDOM_EVERY = 20
OUTCOMES = ("error", "clean", "unsure")
_N_STEPS = 25


@dataclass(frozen=True)
class Estimate:
    """How much has been found, estimated from the random checks.

    Attributes:
        n_seen, n_tracklets: decided, and all.
        n_found: errors among the decided.
        n_sampled: decided tracklets that stand for the unreviewed ones.
        found_frac: the share of all errors that is found, 0 to 1; None while nothing tells.
        low_frac, high_frac: limits that hold in 95 % of such reviews.
    """

    n_seen: int
    n_tracklets: int
    n_found: int
    n_sampled: int
    found_frac: float | None
    low_frac: float
    high_frac: float

    def describe(self) -> str:
        """In one line, such as `an estimated 96 % of all mistakes found (93 to 98 %)`."""
        if self.n_seen == self.n_tracklets:
            return "all tracklets reviewed: nothing is left to estimate"
        if self.found_frac is None:
            return "not enough random checks yet to estimate how many mistakes are left"
        low, high = int(100 * self.low_frac), int(np.ceil(100 * self.high_frac))
        return (
            f"an estimated {100 * self.found_frac:.0f} % of all mistakes found ({low} to {high} %)"
        )


@dataclass(frozen=True)
class Queue:
    """The tracklets to review.

    Attributes:
        tracklet_ids: undecided tracklets, the next one first.
        chances: (N,) of each to be in error, 0 to 1, as the model has it.
        at_random: (N,) whether its place was drawn at random.
        estimate: what is found, and what is left.
    """

    tracklet_ids: list[str]
    chances: Floats
    at_random: NDArray[np.bool_]
    estimate: Estimate


@dataclass(frozen=True)
class QueueFeatures:
    """Suggestions made ready, so that the queue after every decision costs little.

    Attributes:
        names: (N,) tracklets, sorted.
        reasons: the reasons (R,).
        scores: (N, R); NEUTRAL where a reason could not be judged.
        prior: (N,) logit of the chance of an error, as the forest has it.
        cameras: (N,) number of the camera.
        n_frames: (N,).
        draw: (N,) rows in the order in which they are drawn at random.
    """

    names: list[str]
    reasons: list[str]
    scores: Floats
    prior: Floats
    cameras: Ints
    n_frames: Ints
    draw: Ints


def queue(suggestions: pa.Table, decided: Mapping[str, str], seed: int = 0) -> Queue:
    """The tracklets that are left, in the order of the benefit to be expected from looking at them.

    Args:
        suggestions: schema.SUGGESTIONS.
        decided: tracklet to outcome, one of OUTCOMES; the order of its entries does not matter.
            `unsure` teaches nothing and counts for nothing.
        seed: of the places drawn at random.

    Errors: LpwError for unknown tracklets and outcomes.
    """
    return order(prepare_features(suggestions, seed), decided)


def prepare_features(suggestions: pa.Table, seed: int = 0) -> QueueFeatures:
    """Errors: MismatchError for a table that is no schema.SUGGESTIONS or has a reason twice;
    LpwError for the seed."""
    check_range("seed", seed, 0, 2**63, whole=True)
    check(suggestions, SUGGESTIONS, "suggestions")
    starts = run_starts(suggestions["tracklet_id"])
    names = suggestions["tracklet_id"].take(pa.array(starts)).to_pylist()
    reasons = sorted(suggestions["reason"].unique().to_pylist())
    number = {reason: i for i, reason in enumerate(reasons)}
    column = np.array(
        [number[reason] for reason in suggestions["reason"].to_pylist()], dtype=np.int64
    )
    owner = np.repeat(np.arange(len(starts)), np.diff(starts, append=suggestions.num_rows))
    if len(set(names)) < len(names) or len(np.unique(owner * len(reasons) + column)) < len(owner):
        raise MismatchError(
            "suggestions", "a tracklet or a reason twice", "each once", "run `lpw clean --suggest`"
        )
    scores = np.full((len(names), len(reasons)), NEUTRAL)
    scores[owner, column] = to_numpy(suggestions, "score")
    cameras = suggestions["camera_id"].take(pa.array(starts)).to_pylist()
    known = {camera: i for i, camera in enumerate(sorted(set(cameras)))}
    return QueueFeatures(
        names, reasons, scores, read_forest().predict(reasons, scores),
        np.array([known[c] for c in cameras], dtype=np.int64),
        to_integers(suggestions, "n_frames")[starts].astype(np.int64), _shuffle(names, seed),
    )  # fmt: skip


def _shuffle(names: list[str], seed: int) -> Ints:
    """An order that depends on the names alone, so that a tracklet more or less moves no other."""
    keys = [hashlib.sha256(f"{seed}\n{name}".encode()).digest() for name in names]
    return np.array(sorted(range(len(names)), key=lambda i: (keys[i], names[i])), dtype=np.int64)


def order(features: QueueFeatures, decided: Mapping[str, str]) -> Queue:
    """`queue` of suggestions that are ready. Errors: LpwError for unknown tracklets and
    outcomes."""
    rows, outcomes = _read_decided(features, decided)
    taught = outcomes >= 0
    chances = predict(features, rows[taught], outcomes[taught].astype(np.float64))
    benefit = chances * features.n_frames.astype(np.float64) ** LENGTH_POWER
    open_ = np.ones(len(features.names), dtype=bool)
    open_[rows] = False
    best = np.lexsort((np.arange(len(benefit)), -benefit))
    places, at_random = _interleave(
        best[open_[best]], features.draw[open_[features.draw]], len(rows)
    )
    estimate = _estimate(features, benefit, rows, outcomes, open_)
    return Queue([features.names[i] for i in places.tolist()], chances[places], at_random, estimate)


def _read_decided(features: QueueFeatures, decided: Mapping[str, str]) -> tuple[Ints, Ints]:
    """Rows in ascending order, and 1 for an error, 0 for clean, -1 for unsure."""
    number = {name: i for i, name in enumerate(features.names)}
    for name, outcome in decided.items():
        if name not in number:
            raise LpwError(
                f"decision on {name!r}",
                "no such tracklet",
                "one that has suggestions",
                "suggest again",
            )
        if outcome not in OUTCOMES:
            expected = ", ".join(OUTCOMES)
            raise LpwError(
                f"decision on {name!r}", repr(outcome), f"one of {expected}", "correct it"
            )
    value = {"error": 1, "clean": 0, "unsure": -1}
    pairs = sorted((number[name], value[outcome]) for name, outcome in decided.items())
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def predict(features: QueueFeatures, rows: Ints, errors: Floats) -> Floats:
    """The chance (N,) of every tracklet to be in error, given that `rows` (M,) are (1) or are not
    (0)."""
    cameras = np.unique(features.cameras[rows])
    n_reasons = len(features.reasons)
    mean = np.array([0.0, 1.0, *np.zeros(n_reasons + len(cameras))])
    spread = np.repeat(
        [SPREAD_BASE, SPREAD_FOREST, SPREAD, SPREAD_CAMERA], [1, 1, n_reasons, len(cameras)]
    )
    whole, prior = np.ones((len(features.names), 1)), features.prior[:, None]
    inputs = np.hstack(
        [whole, prior, features.scores - NEUTRAL, features.cameras[:, None] == cameras]
    )
    weights = _fit(inputs[rows], errors, mean, 1 / spread**2) if len(rows) else mean
    return _squash(inputs @ weights)


def _fit(inputs: Floats, errors: Floats, mean: Floats, precision: Floats) -> Floats:
    """The most probable weights of a logistic model under a normal prior, by Newton's method with
    halved steps."""

    def loss(weights: Floats) -> float:
        logits = inputs @ weights
        off = weights - mean
        return float(
            np.logaddexp(0, logits).sum() - errors @ logits + 0.5 * (precision * off * off).sum()
        )

    weights, least = mean, loss(mean)
    for _ in range(_N_STEPS):
        chance = _squash(inputs @ weights)
        slope = inputs.T @ (chance - errors) + precision * (weights - mean)
        bend = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + np.diag(precision)
        step = np.linalg.solve(bend, slope)
        tries = ((weights - share * step) for share in (1.0, 0.5, 0.25, 0.125))
        better = next(((w, cost) for w in tries if (cost := loss(w)) < least - 1e-10), None)
        if better is None:
            break
        weights, least = better
    return weights


def _squash(logits: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def _interleave(best: Ints, drawn: Ints, n_decided: int) -> tuple[Ints, NDArray[np.bool_]]:
    """The next of `drawn` at every RANDOM_EVERY-th place of the whole review, the next of `best`
    elsewhere."""
    n = len(best)
    places = np.empty(n, dtype=np.int64)
    at_random = (n_decided + np.arange(n)) % RANDOM_EVERY == RANDOM_EVERY - 1
    taken = np.zeros(int(best.max()) + 1 if n else 0, dtype=bool)
    sources = (iter(best.tolist()), iter(drawn.tolist()))
    for place, draws in enumerate(at_random.tolist()):
        row = next(row for row in sources[draws] if not taken[row])
        taken[row] = True
        places[place] = row
    return places, at_random


def _estimate(
    features: QueueFeatures, benefit: Floats, rows: Ints, outcomes: Ints, open_: NDArray[np.bool_]
) -> Estimate:
    """The rate of errors among the unseen, from the tracklets drawn first that the model would not
    have reached yet.

    All of the first ones in the order of the draw are decided; those of them whose benefit is no
    larger than that of the unseen differ from these in nothing but luck.
    """
    from scipy.special import betaincinv

    n_open, n_found = int(open_.sum()), int((outcomes == 1).sum())
    n_seen, n_all = len(rows), len(features.names)
    if not n_open:
        return Estimate(n_seen, n_all, n_found, 0, 1.0, 1.0, 1.0)
    undecided = np.flatnonzero(open_[features.draw])
    drawn = features.draw[: undecided[0]]
    outcome_of = np.full(n_all, -1, dtype=np.int64)
    outcome_of[rows] = outcomes
    alike = outcome_of[drawn[(benefit[drawn] <= benefit[open_].max()) & (outcome_of[drawn] >= 0)]]
    k, m = int(alike.sum()), len(alike)
    if not m or not n_found:
        return Estimate(n_seen, n_all, n_found, m, None, 0.0, 1.0)
    rate = (k + 0.5) / (m + 1)
    low, high = (float(betaincinv(k + 0.5, m - k + 0.5, share)) for share in (0.025, 0.975))
    middle, least, most = (
        n_found / (n_found + n_open * share) for share in (rate, high, low if k else 0.0)
    )
    return Estimate(n_seen, n_all, n_found, m, middle, least, most)
