"""Learning XQDA from as many tracklets as MARS has for training: 8,298 of 625 persons and 6
cameras, 1,024 dimensions.

    python tests/bench/bench_xqda.py [--runs 5]

"drawn pairs" is what `lpw eval --metric xqda` does: sampling as MARS' reference, fit, form. "all
tracklets" puts every tracklet into one of the two views, the most a fit of this size can be asked.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import print_table, write_result

from lpw_toolkit.evaluation.camera_pairs import TrainingVectors, Views
from lpw_toolkit.evaluation.learned_distance import LearningConfig, open_distance
from lpw_toolkit.evaluation.metric_learning.xqda import fit_xqda, xqda_distance

N_TRACKLETS, N_DIMS, N_PERSONS, N_CAMERAS = 8298, 1024, 625, 6
BAR_S = 2.0


def draw_training() -> TrainingVectors:
    rng = np.random.default_rng(0)
    person, camera = (
        rng.integers(0, N_PERSONS, N_TRACKLETS),
        rng.integers(0, N_CAMERAS, N_TRACKLETS),
    )
    centres = rng.standard_normal((N_PERSONS, N_DIMS))
    features = centres[person] + rng.standard_normal((N_TRACKLETS, N_DIMS))
    return TrainingVectors(
        (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32),
        person,
        camera,
    )


def fit_all(training: TrainingVectors, solver: Any) -> Any:
    half = N_TRACKLETS // 2
    features = training.features.astype(np.float64)
    views = Views(features[:half], training.person[:half], features[half:], training.person[half:])
    return xqda_distance(fit_xqda(views, solver=solver), solver)


def fit_drawn(training: TrainingVectors, solver: Any) -> Any:
    return open_distance(
        "xqda", training, rng=np.random.default_rng(0), config=LearningConfig(solver=solver)
    )


def time_runs(work: Callable[[], Any], n_runs: int) -> tuple[Any, list[float]]:
    seconds = []
    for _ in range(n_runs):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return result, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    training = draw_training()
    rows = []
    for solver in ("eigh", "svd"):
        for name, fit in (("drawn pairs", fit_drawn), ("all tracklets", fit_all)):
            distance, seconds = time_runs(
                lambda fit=fit, solver=solver: fit(training, solver), options.runs
            )
            median = round(statistics.median(seconds), 3)
            runs = [round(s, 3) for s in seconds]
            rows.append(
                {
                    "solver": solver,
                    "views": name,
                    "median_s": median,
                    "bar_s": BAR_S,
                    "runs_s": runs,
                }
            )
            rows[-1]["n_dims"] = len(distance.signs)
    print_table([list(rows[0]), *(list(row.values()) for row in rows)])
    facts = {"n_tracklets": N_TRACKLETS, "n_dims": N_DIMS, "numpy": np.__version__, "rows": rows}
    print(f"-> {write_result('xqda', facts)}")


if __name__ == "__main__":
    main()
