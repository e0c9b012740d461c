"""k-reciprocal re-ranking of 1,980 queries and 11,310 gallery items: ours against torchreid's, each
in its own process.

    python tests/bench/bench_rerank.py [--pairs 3] [--size 1980 11310]

Both get the same three float32 matrices of Euclidean distances. Memory is the rise of the resident
size above the state with those matrices loaded; the ratio with the matrices counted on both sides
is printed too. "from features" is our way that never holds the matrices.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from machine import print_table, write_result
from numpy.typing import NDArray
from peak import measure_extra_mb

from lpw_toolkit.evaluation.distances import Euclidean
from lpw_toolkit.evaluation.rerank import rerank_features, rerank_matrices

N_DIMS = 512
SIDES = ("ours", "torchreid", "from features")
BAR_TIMES, BAR_MEMORY = 10, 0.25

Features = NDArray[np.float32]


def draw_features(n_query: int, n_gallery: int) -> tuple[Features, Features]:
    """About 18 tracklets of each person, as on MARS, loosely around the person's centre."""
    rng = np.random.default_rng(0)
    n = n_query + n_gallery
    centres = rng.standard_normal((max(2, n // 18), N_DIMS), dtype=np.float32)
    features = centres[rng.integers(0, len(centres), n)] + 2 * rng.standard_normal(
        (n, N_DIMS), dtype=np.float32
    )
    return features[:n_query], features[n_query:]


def run_one(side: str, n_query: int, n_gallery: int, folder: Path) -> None:
    """Re-ranks in this process and prints seconds and memory; the result goes to `folder`."""
    query, gallery = draw_features(n_query, n_gallery)
    pairs = (
        [] if side == "from features" else [(query, query), (query, gallery), (gallery, gallery)]
    )
    matrices = [Euclidean().blocks(a, b).block(0, len(a)) for a, b in pairs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchreid.reid.utils.rerank import re_ranking

    def work() -> tuple[NDArray[Any], float]:
        start = time.perf_counter()
        if side == "ours":
            out = rerank_matrices(*matrices, squared=False)
        elif side == "torchreid":
            out = re_ranking(matrices[1], matrices[0], matrices[2])
        else:
            out = rerank_features(Euclidean(), query, gallery)
        return out, time.perf_counter() - start

    (out, seconds), extra_mb = measure_extra_mb(work)
    np.save(folder / f"{side}.npy", out)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "extra_mb": extra_mb,
                "input_mb": sum(m.nbytes for m in matrices) / 1e6,
            }
        )
    )


def start_one(side: str, size: list[int], folder: Path) -> dict[str, float]:
    command = [
        sys.executable,
        __file__,
        "--size",
        *map(str, size),
        "--one",
        side,
        "--folder",
        str(folder),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def compare(size: list[int], n_pairs: int, folder: Path) -> dict[str, Any]:
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(n_pairs):
        for side in SIDES:
            runs[side].append(start_one(side, size, folder))
    middle = {
        side: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for side, found in runs.items()
    }
    results = {side: np.load(folder / f"{side}.npy") for side in SIDES}
    ours, theirs = middle["ours"], middle["torchreid"]
    apart = {
        side: np.abs(results[side] - results["torchreid"]) for side in ("ours", "from features")
    }
    with_input = (ours["extra_mb"] + ours["input_mb"]) / (theirs["extra_mb"] + theirs["input_mb"])
    return {
        "size": size,
        "sides": {
            side: {key: round(value, 2) for key, value in found.items()}
            for side, found in middle.items()
        },
        "times_faster": round(theirs["seconds"] / ours["seconds"], 1),
        "bar_times": BAR_TIMES,
        "share_of_memory": round(ours["extra_mb"] / theirs["extra_mb"], 3),
        "share_of_memory_with_inputs": round(with_input, 3),
        "bar_memory": BAR_MEMORY,
        "largest_difference": {side: float(d.max()) for side, d in apart.items()},
        "share_beyond_1e-6": {side: float((d > 1e-6).mean()) for side, d in apart.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3, help="runs of each side, in turns")
    parser.add_argument(
        "--size", type=int, nargs=2, default=[1980, 11_310], help="queries and gallery items"
    )
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one, *options.size, options.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        facts = compare(options.size, options.pairs, Path(folder))
    print_table(
        [
            ["side", "seconds", "extra_mb"],
            *([s, f["seconds"], f["extra_mb"]] for s, f in facts["sides"].items()),
        ]
    )
    for key in (
        "times_faster",
        "share_of_memory",
        "share_of_memory_with_inputs",
        "largest_difference",
        "share_beyond_1e-6",
    ):
        print(f"{key}: {facts[key]}")
    print(f"-> {write_result('rerank', facts)}")


if __name__ == "__main__":
    main()
