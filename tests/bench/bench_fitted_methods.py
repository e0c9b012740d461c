"""Seconds and accuracy of the methods without gradients on a synthetic street: TDL and STA.

    python tests/bench/bench_fitted_methods.py --out FOLDER [--preset score] [--seed 1] [--seeds 0]

Draws the street of bench_street_methods.py, fits each method on half of its persons with its own
recipe, and tests it on the others (protocol `market`), beside mean colour and a random order. The
parts are kept in FOLDER, and fitted anew each time.
"""

import argparse
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_street_methods import METRICS, PROTOCOL, make_dataset, measure_colours
from machine import print_table, write_result

from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.embedding.embeddings import EmbeddingFacts, Embeddings
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.synth.street import STREETS
from rqen.inference.run_vectors import ScoringOptions, embed_run, make_embeddings
from rqen.model.method import METHODS, FittedMethod, open_method
from rqen.recipe import read_recipe
from rqen.run import run_folder
from rqen.training.distributed import ProcessGroup, Shard
from rqen.training.job import TrainJob
from rqen.training.train import train


def measure(dataset: Dataset, embeddings: Embeddings, metric: str) -> dict[str, float]:
    """Figures in percent."""
    rows = evaluate(dataset, embeddings, PROTOCOL, DistanceSettings(metric)).metrics.to_pylist()
    values = {row["metric"]: row["value"] for row in rows}
    return {name: round(100 * values[name], 2) for name in METRICS}


def draw_vectors(dataset: Dataset) -> Embeddings:
    """Random vectors: what chance reaches."""
    n = len(dataset.tracklets)
    vectors = np.random.default_rng(0).normal(size=(n, 64)).astype(np.float32)
    facts = EmbeddingFacts("random order", None, str(dataset.manifest["digest"]), "all")
    return Embeddings(vectors, np.ones(n, bool), facts, [])


def count_cpu_s() -> float:
    """Seconds of this process and of those that it waited for."""
    spent = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def run(method: str, dataset: Dataset, out: Path, seed: int) -> dict[str, Any]:
    """Fits and tests one method."""
    recipe = read_recipe(open_method(method).recipe, (f"train.seed={seed}",))
    shutil.rmtree(out, ignore_errors=True)
    began, cpu_s = time.perf_counter(), count_cpu_s()
    alone = ProcessGroup(Shard(), torch.device("cpu"))
    run = train(TrainJob(dataset.root, out, method, recipe, n_workers=1), alone)
    spent = {"fit_s": time.perf_counter() - began, "fit_cpu_s": count_cpu_s() - cpu_s}
    found = embed_run(run, dataset.root, ScoringOptions(n_workers=1))
    arrays = run_folder.read_model(run)[0].model
    small = {name: value.tolist() for name, value in arrays.items() if value.numel() <= 32}
    return {
        "method": method, "seed": seed, **{name: round(value, 1) for name, value in spent.items()},
        **measure(dataset, make_embeddings(found), "own"), "recorded": small,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="score", choices=sorted(STREETS))
    parser.add_argument("--seed", type=int, default=1, help="of the street and of the split")
    parser.add_argument("--seeds", default="0", help="of the fits")
    given = parser.parse_args()
    sys.argv = [given.out.name if word == str(given.out) else word for word in sys.argv]
    dataset = make_dataset(given.out, given.preset, given.seed)
    fitted = [m for m in METHODS.names() if isinstance(open_method(m), FittedMethod)]
    rows = [
        run(method, dataset, given.out / method, int(seed))
        for method in fitted
        for seed in given.seeds.split(",")
    ]
    peers = {"random order": measure(dataset, draw_vectors(dataset), "cosine"),
             **measure_colours(dataset)}  # fmt: skip
    facts = {
        "preset": given.preset, "street_seed": given.seed, "protocol": PROTOCOL,
        "dataset_digest": dataset.manifest["digest"], "counts": dataset.manifest["counts"],
        "peers_percent": peers, "fitted_percent": rows,
    }  # fmt: skip
    write_result("fitted_methods", facts)
    cells = [[name, "", "", *values.values()] for name, values in peers.items()]
    cells += [[r["method"], r["fit_s"], r["fit_cpu_s"], *(r[m] for m in METRICS)] for r in rows]
    print_table([["", "fit, s", "CPU, s", *METRICS], *cells])


if __name__ == "__main__":
    main()
