"""CMC and mAP: ours against torchreid's Python evaluator and two ways to write it in NumPy.

    python tests/bench/bench_ranking.py [--pairs 3] [--threads N] [--no-large]

Inputs of all are the same distances (float32), person ids and camera ids; our time includes judging
who is a right answer. Runs alternate (ours, torchreid, NumPy, ours, ...); the medians are compared.
Each query has about 11 right answers, as on MARS. The last row ranks 10,000 queries against 100,000
items from features, which torchreid cannot hold.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import print_table, write_result
from numpy.typing import NDArray
from peak import measure_extra_mb

from lpw_toolkit.dataset.labels import Labels
from lpw_toolkit.evaluation.distance_blocks import DistanceBlocks
from lpw_toolkit.evaluation.distances import Cosine
from lpw_toolkit.evaluation.ranking import rank_queries
from lpw_toolkit.evaluation.relevance import judge_labels
from lpw_toolkit.evaluation.summary import Summary, summarise

SIZES = ((1980, 11_310), (1000, 100_000))
BARS = {(1980, 11_310): 180, (1000, 100_000): 220}
N_RIGHT, N_CAMERAS, MAX_RANK = 11, 6, 50
N_SHORT = 7  # runs of what takes seconds; torchreid takes minutes
LARGE, N_DIMS = (10_000, 100_000), 512

Ids = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def draw_ids(n_query: int, n_gallery: int, rng: np.random.Generator) -> Ids:
    """Persons and cameras in torchreid's order: q_pids, g_pids, q_camids, g_camids."""
    n_persons = n_gallery * (N_CAMERAS - 1) // (N_CAMERAS * N_RIGHT)
    persons = [rng.integers(0, n_persons, n) for n in (n_query, n_gallery)]
    cameras = [rng.integers(0, N_CAMERAS, n) for n in (n_query, n_gallery)]
    return persons[0], persons[1], cameras[0], cameras[1]


def draw_distances(ids: Ids, rng: np.random.Generator) -> NDArray[np.float32]:
    """Uniform, right answers nearer than others on average."""
    out = rng.random((len(ids[0]), len(ids[1])), dtype=np.float32)
    for row, person in zip(out, ids[0], strict=True):
        row[ids[1] == person] *= np.float32(0.4)
    return out


def rank_ours(
    distances: DistanceBlocks | NDArray[np.float32], ids: Ids, n_threads: int | None = None
) -> Summary:
    q_pids, g_pids, q_camids, g_camids = ids
    query = Labels(q_pids, q_camids, np.zeros(len(q_pids), dtype=np.int64))
    gallery = Labels(g_pids, g_camids, np.zeros(len(g_pids), dtype=np.int64))
    return summarise(
        rank_queries(distances, judge_labels(query, gallery), n_threads=n_threads),
        max_rank=MAX_RANK,
    )


def rank_whole(
    distances: NDArray[np.float32],
    q_pids: NDArray[np.int64],
    g_pids: NDArray[np.int64],
    q_camids: NDArray[np.int64],
    g_camids: NDArray[np.int64],
) -> tuple[NDArray[np.float64], float]:
    """CMC and mAP from the sorted matrix, 64 queries at once, as most people would write it."""
    precisions, firsts = [], []
    for i in range(0, len(q_pids), 64):
        rows = slice(i, i + 64)
        order = np.argsort(distances[rows], axis=1)
        same = g_pids[order] == q_pids[rows, None]
        seen = ~(same & (g_camids[order] == q_camids[rows, None]))
        right = same & seen
        rank, n_right = np.cumsum(seen, axis=1), np.cumsum(right, axis=1)
        answered = n_right[:, -1] > 0
        precision = np.where(right, n_right / np.maximum(rank, 1), 0).sum(axis=1)
        precisions.append((precision / np.maximum(n_right[:, -1], 1))[answered])
        firsts.append(np.where(right, rank, right.shape[1] + 1).min(axis=1)[answered])
    cmc = (np.concatenate(firsts)[:, None] <= np.arange(1, MAX_RANK + 1)).mean(axis=0)
    return cmc, float(np.concatenate(precisions).mean())


def rank_by_query(
    distances: NDArray[np.float32],
    q_pids: NDArray[np.int64],
    g_pids: NDArray[np.int64],
    q_camids: NDArray[np.int64],
    g_camids: NDArray[np.int64],
) -> tuple[NDArray[np.float64], float]:
    """CMC and mAP in twelve lines, query by query, from sorted values: the fastest we know."""
    precisions, firsts = [], []
    for row, pid, camid in zip(distances, q_pids, q_camids, strict=True):
        same = g_pids == pid
        seen = ~(same & (g_camids == camid))
        right = np.sort(row[same & seen])
        if len(right):
            rank = np.searchsorted(np.sort(row[seen]), right) + 1
            precisions.append(np.mean(np.arange(1, len(right) + 1) / rank))
            firsts.append(rank[0])
    cmc = (np.array(firsts)[:, None] <= np.arange(1, MAX_RANK + 1)).mean(axis=0)
    return cmc, float(np.mean(precisions))


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def compare(n_query: int, n_gallery: int, n_pairs: int, n_threads: int | None) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchreid.reid.metrics.rank import evaluate_rank
    rng = np.random.default_rng(0)
    ids = draw_ids(n_query, n_gallery, rng)
    distances = draw_distances(ids, rng)
    _, extra_mb = measure_extra_mb(lambda: rank_ours(distances, ids, n_threads))
    peers: dict[str, Callable[[], tuple[Any, Any]]] = {
        "torchreid_python": lambda: evaluate_rank(
            distances, *ids, max_rank=MAX_RANK, use_cython=False
        ),
        "numpy_whole": lambda: rank_whole(distances, *ids),
        "numpy_by_query": lambda: rank_by_query(distances, *ids),
    }
    ours_s: list[float] = []
    peers_s: dict[str, list[float]] = {name: [] for name in peers}
    answers = {}
    for number in range(max(n_pairs, N_SHORT)):
        found, seconds = timed(lambda: rank_ours(distances, ids, n_threads))
        ours_s.append(seconds)
        for name, work in peers.items():
            if name == "torchreid_python" and number >= n_pairs:
                continue
            answers[name], seconds = timed(work)
            peers_s[name].append(seconds)
    ours = statistics.median(ours_s)
    theirs = {name: statistics.median(times) for name, times in peers_s.items()}
    cmc, mean = answers["torchreid_python"]
    return {
        "n_query": n_query,
        "n_gallery": n_gallery,
        "ours_s": round(ours, 4),
        **{f"{name}_s": round(seconds, 3) for name, seconds in theirs.items()},
        "times_faster": round(theirs["torchreid_python"] / ours, 1),
        "times_faster_numpy_whole": round(theirs["numpy_whole"] / ours, 1),
        "times_faster_numpy_by_query": round(theirs["numpy_by_query"] / ours, 1),
        "bar": BARS[n_query, n_gallery],
        "extra_mb": round(extra_mb, 1),
        "map": found.map,
        "map_difference": abs(float(mean) - found.map),
        "cmc_difference": float(np.abs(cmc - found.cmc).max()),
        "numpy_map_difference": max(
            abs(answers[n][1] - found.map) for n in ("numpy_whole", "numpy_by_query")
        ),
        "runs_ours_s": [round(s, 4) for s in ours_s],
        **{f"runs_{name}_s": [round(s, 3) for s in times] for name, times in peers_s.items()},
    }


def rank_large() -> dict[str, Any]:
    """10,000 x 100,000 from features, every distance computed."""
    rng = np.random.default_rng(0)
    ids = draw_ids(*LARGE, rng)
    centres = rng.standard_normal(
        (int(max(ids[0].max(), ids[1].max())) + 1, N_DIMS), dtype=np.float32
    )
    features = [
        centres[p] + 3 * rng.standard_normal((len(p), N_DIMS), dtype=np.float32) for p in ids[:2]
    ]

    def work() -> Summary:
        return rank_ours(Cosine().blocks(features[0], features[1]), ids)

    (found, seconds), extra_mb = measure_extra_mb(lambda: timed(work))
    inputs_mb = sum(f.nbytes for f in features) / 1e6
    return {
        "n_query": LARGE[0],
        "n_gallery": LARGE[1],
        "n_dims": N_DIMS,
        "seconds": round(seconds, 1),
        "extra_mb": round(extra_mb, 1),
        "features_mb": round(inputs_mb, 1),
        "bar_mb": 2000,
        "map": found.map,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3, help="runs of torchreid for each size")
    parser.add_argument("--threads", type=int, help="of ours, instead of its own choice")
    parser.add_argument("--no-large", action="store_true", help="without the row from features")
    options = parser.parse_args()
    facts: dict[str, Any] = {"numpy": np.__version__, "n_threads": options.threads or "default"}
    facts["rows"] = [compare(*size, options.pairs, options.threads) for size in SIZES]
    columns = [
        "n_query",
        "n_gallery",
        "ours_s",
        "torchreid_python_s",
        "times_faster",
        "bar",
        "extra_mb",
    ]
    columns += ["times_faster_numpy_whole", "times_faster_numpy_by_query"]
    columns += ["map_difference", "cmc_difference"]
    rows = [
        [f"{row[c]:.1e}" if c.endswith("difference") else row[c] for c in columns]
        for row in facts["rows"]
    ]
    print_table([columns, *rows])
    if not options.no_large:
        facts["from_features"] = rank_large()
        print_table([list(facts["from_features"]), list(facts["from_features"].values())])
    print(f"-> {write_result('ranking', facts)}")


if __name__ == "__main__":
    main()
