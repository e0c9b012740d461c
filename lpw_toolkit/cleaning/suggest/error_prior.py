"""The probability of an error before any decision: a sum of small decision trees over the scores of
the reasons.

Which reasons matter together cannot be said by one weight for each: a jump is harmless alone, and
telling beside somebody else. The trees were fitted by tests/bench/fit_queue.py, which says on what,
and lie in manifests as numbers.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: The score of a reason that could not be judged: about what most tracklets have.
NEUTRAL = 0.35


@dataclass(frozen=True)
class Forest:
    """Trees over R reasons.

    Attributes:
        reasons: (R,) names.
        base: logit before the first tree.
        trees: each the columns of its M nodes, the root first: `reason` (its number, -1 at a leaf),
            `threshold`, `low` and `high` (the next node, where the score is at most the threshold
            or above it), `value` (logit).
    """

    reasons: list[str]
    base: float
    trees: list[dict[str, Any]]

    def predict(self, reasons: list[str], scores: Floats) -> Floats:
        """Logits (N,) of scores (N, R) of `reasons`; those that are not given count as NEUTRAL."""
        inputs = lay_out(reasons, scores, self.reasons)
        logits, rows = np.full(len(scores), self.base), np.arange(len(scores))
        for tree in self.trees:
            node = np.zeros(len(scores), dtype=np.int64)
            while (inner := tree["reason"][node] >= 0).any():
                at = node[inner]
                is_low = inputs[rows[inner], tree["reason"][at]] <= tree["threshold"][at]
                node[inner] = np.where(is_low, tree["low"][at], tree["high"][at])
            logits += tree["value"][node]
        return logits


def lay_out(reasons: list[str], scores: Floats, wanted: list[str]) -> Floats:
    """The columns `wanted` (N, W) of scores (N, R) of `reasons`; NEUTRAL where there is none."""
    inputs = np.full((len(scores), len(wanted)), NEUTRAL)
    for i, name in enumerate(wanted):
        if name in reasons:
            inputs[:, i] = scores[:, reasons.index(name)]
    return inputs


@cache
def read_forest() -> Forest:
    """The trees that come with the package."""
    return parse_forest((files("lpw_manifests.cleanup") / "queue_prior.json").read_text("utf-8"))


def parse_forest(text: str) -> Forest:
    """A forest from JSON as tests/bench/fit_queue.py writes it."""
    held = json.loads(text)
    numbers = {"threshold": np.float64, "value": np.float64}
    trees = [
        {name: np.array(values, numbers.get(name, np.int64)) for name, values in tree.items()}
        for tree in held["trees"]
    ]
    return Forest(held["reasons"], float(held["base"]), trees)
