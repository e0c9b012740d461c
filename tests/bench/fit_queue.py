"""Fits the forest of the queue (manifests/lpw_manifests/cleanup/queue_prior.json) on synthetic
streets and MOT15 sequences.

    pip install scikit-learn
    python tests/bench/fit_queue.py --work FOLDER [--data ../shared/data]

Fitted on the streets of STREETS, each with several draws of the detector's luck and linked by two
presets, and on all sequences, as they are and disturbed, by three presets. FOLDER/forests takes one
forest without each sequence, by which bench_suggest.py judges it; its streets are others. Every
tracklet of a street stands in the training set twice, once without the reasons that need pictures:
datasets differ in what can be judged. Real sequences are few, so each of their tracklets counts
OF_SEQUENCES times.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from bench_linking import disturb, load
from bench_suggest import SHARED, Case, link_sequence, open_street
from machine import print_table
from numpy.typing import NDArray
from scipy.stats import rankdata

from lpw_toolkit.cleaning.suggest.error_prior import NEUTRAL, lay_out, parse_forest
from lpw_toolkit.cleaning.suggest.queue import open_stock
from lpw_toolkit.cleaning.suggest.reasons import REASONS
from lpw_toolkit.files.writing import atomic_write_text, make_folder

Floats = NDArray[np.float64]
STREETS = (2, 4, 5, 6, 7, 8, 9)
VARIANTS = (("default", 0), ("default", 1), ("default", 2), ("default", 3), ("low-cost", 1))
OUT = (
    Path(__file__).resolve().parents[2]
    / "manifests"
    / "lpw_manifests"
    / "cleanup"
    / "queue_prior.json"
)
#: Reasons that need pictures or raw detections: hidden from the trees in the second copy of every
#: tracklet.
OF_LOOKS = (
    "identity_switch",
    "look_change",
    "sharp_change",
    "odd_frame",
    "look_meeting",
    "look_gap",
    "look_jump",
)
#: No evidence of an error in a tracklet, but of one to be merged or left out: up to the decisions.
LEFT_OUT = ("duplicate",)
OF_SEQUENCES = 2.0
N_TREES, N_LEAVES, RATE, DIGITS = 150, 8, 0.05, 4


def open_cases(work: Path, data: Path) -> dict[str, list[Case]]:
    """Cases by the group that is left out together when the fit is judged."""
    cases = {
        f"street {seed}": [open_street(work, seed, *variant) for variant in VARIANTS]
        for seed in STREETS
    }
    rng = np.random.default_rng(0)
    for sequence in load(data / "mot15"):
        worse = [
            disturb(sequence, kind, rng)
            for kind in ("jitter", "misses", "false boxes")
            for _ in range(2)
        ]
        cases[sequence.name] = [
            link_sequence(one, data / "mot15" / sequence.name, preset)
            for one in (sequence, *worse)
            for preset in ("default", "low-cost", "paper")
        ]
    return cases


def is_street(group: str) -> bool:
    return group.startswith("street")


def fit(inputs: Floats, errors: NDArray[np.bool_], weights: Floats, reasons: list[str]) -> str:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=N_TREES, learning_rate=RATE, max_leaf_nodes=N_LEAVES, l2_regularization=1.0,
        max_features=0.5,
        min_samples_leaf=20, early_stopping=False, random_state=0,
    )  # fmt: skip
    model.fit(inputs, errors, sample_weight=weights)
    trees = []
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        trees.append({
            "reason": np.where(leaf, -1, nodes["feature_idx"]).tolist(),
            "threshold": np.where(leaf, 0, nodes["num_threshold"]).round(DIGITS).tolist(),
            "low": nodes["left"].tolist(), "high": nodes["right"].tolist(),
            "value": np.where(leaf, nodes["value"], 0).round(DIGITS).tolist(),
        })  # fmt: skip
    held = {
        "source": "python tests/bench/fit_queue.py", "streets": STREETS,
        "reasons": reasons, "base": round(float(np.ravel(model._baseline_prediction)[0]), DIGITS),
        "trees": trees,
    }  # fmt: skip
    return json.dumps(held, separators=(",", ":")) + "\n"


def measure_auc(logits: Floats, errors: NDArray[np.bool_]) -> float:
    n = errors.sum()
    ranks = rankdata(logits)[errors].sum() - n * (n + 1) / 2
    return float(ranks / max(n * (len(errors) - n), 1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=SHARED)
    options = parser.parse_args()
    reasons = [name for name in REASONS if name not in LEFT_OUT]
    if not OUT.exists():
        atomic_write_text(
            OUT, json.dumps({"reasons": [], "base": 0.0, "trees": []})
        )  # what reads suggestions wants one
    rows: list[tuple[str, Floats, NDArray[np.bool_], Floats]] = []
    for group, cases in open_cases(options.work, options.data).items():
        for case in cases:
            stock = open_stock(case.table)
            inputs = lay_out(stock.reasons, stock.scores, reasons)
            blind = inputs.copy()
            blind[:, [reasons.index(name) for name in OF_LOOKS]] = NEUTRAL
            weight = np.full(
                len(inputs),
                1 / (2 * len(VARIANTS)) if is_street(group) else OF_SEQUENCES / len(cases),
            )
            rows += [(group, inputs, case.error, weight)]
            if is_street(group):
                rows += [(group, blind, case.error, weight)]
    groups = dict.fromkeys(group for group, *_ in rows)

    def fit_without(left_out: str | None) -> str:
        parts = [row[1:] for row in rows if row[0] != left_out]
        return fit(*(np.concatenate(column) for column in zip(*parts, strict=True)), reasons)

    forests = make_folder(options.work / "forests")
    table: list[list[Any]] = [["left out", "tracklets", "errors", "AUC"]]
    for group in groups:
        _, inputs, errors, _ = next(row for row in rows if row[0] == group)
        text = fit_without(group)
        atomic_write_text(forests / f"{group}.json", text)
        table.append(
            [
                group,
                len(errors),
                int(errors.sum()),
                measure_auc(parse_forest(text).predict(reasons, inputs), errors),
            ]
        )
    print_table(table)
    atomic_write_text(OUT, fit_without(None))
    print(f"written: {OUT.name}, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
