"""Every method on a synthetic street, on persons never seen in training, beside what mean colour
alone reaches.

    python tests/bench/bench_street_methods.py --out FOLDER [--preset score] [--seed 1] [--recipe
    demo] [--seeds 0]
        [--set train.iterations=300] [--method rqen]

Draws the street (by default that of bench_street.py: 120 persons, 2 scenes of 3 cameras), builds a
dataset from its videos with simulated boxes, names the tracklets by the truth and splits the
persons in halves. Every method of rqen.model.methods is trained on one half and tested on
the other (protocol `market`: the other cameras answer). What is done is kept in FOLDER and not done
again; after each row results/street_methods.json holds all rows that are there.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from machine import print_table, write_result

from lpw_toolkit.build.build import BuildConfig, build_tracklets
from lpw_toolkit.dataset.clip_index import open_index
from lpw_toolkit.dataset.dataset import Dataset
from lpw_toolkit.detection.detector import DetectorOptions
from lpw_toolkit.embedding.mean_colour import REGIONS, describe_colours
from lpw_toolkit.evaluation.distance_choice import DistanceSettings
from lpw_toolkit.evaluation.evaluate import evaluate
from lpw_toolkit.evaluation.trials import read_trials
from lpw_toolkit.synth.street import STREETS, open_street, write_street
from lpw_toolkit.truth.name_by_ground_truth import NamingConfig, name_by_truth
from rqen.inference.run_vectors import ScoringOptions
from rqen.model.method import METHODS
from rqen.reproduce.aggregate_results import summarise_rows
from rqen.reproduce.plan import ReproducePlan, ReproduceRequest, WorkItem, make_plan
from rqen.reproduce.record import Record, read_records
from rqen.reproduce.work import WorkOptions, run_plan
from rqen.training.distributed import open_process_group

PROTOCOL = "market"
METRICS = ("cmc@1", "cmc@5", "cmc@10", "map")
#: Rows by the names of rqen.reproduce.rows; one region alone is a method too, trained alone.
ROWS = (
    "untrained",
    *(f"{name}_alone" if name in ("ru", "rm", "rl") else name for name in METHODS.names()),
)


def make_dataset(out: Path, preset: str, seed: int) -> Dataset:
    """The street's dataset with names and a split; what is there already is not made again."""
    street = out / "street"
    if not (street / "street.json").is_file():
        write_street(street, STREETS[preset], np.random.default_rng(seed))
    if open_street(street).config != STREETS[preset]:
        raise SystemExit(f"{street} is another street: choose another --out")
    options = DetectorOptions(boxes=street / "detections")
    build_tracklets(
        BuildConfig(root=street / "video", out=out / "built", detector="boxes", options=options)
    )
    return name_by_truth(out / "built", street / "truth", out / "dataset", NamingConfig(seed=seed))


def measure_colours(dataset: Dataset) -> dict[str, dict[str, float]]:
    """The figures of mean colour: of the whole body and of RQEN's regions, plain and centred for
    each camera."""
    index, trial = open_index(dataset.root), read_trials(dataset)[0]
    rows = np.union1d(trial.query, trial.gallery)
    found = {}
    for division in ((1.0,), REGIONS):
        for centred in (False, True):
            colours = describe_colours(index, rows, division=division, centred=centred)
            metrics = evaluate(
                dataset, colours, PROTOCOL, DistanceSettings("euclidean")
            ).metrics.to_pylist()
            found[colours.facts.model] = {
                row["metric"]: round(100 * row["value"], 2) for row in metrics
            }
    return {name: {metric: values[metric] for metric in METRICS} for name, values in found.items()}


def publish(
    plan: ReproducePlan, colours: dict[str, dict[str, float]], given: argparse.Namespace
) -> list[list[Any]]:
    """Writes what is there; returns rows of cells: figures in percent, and the lead in mAP over the
    best colours."""
    records = read_records(plan.request.out, plan.items)
    means, best = (
        summarise_rows(plan, records),
        {m: max(values[m] for values in colours.values()) for m in METRICS},
    )
    rows, cells = (
        [],
        [[name, 1, *(values[m] for m in METRICS), ""] for name, values in colours.items()],
    )
    for row in plan.rows:
        mean = means[row.name]
        if mean.n:
            values = {m: round(100 * mean.mean[m], 2) for m in METRICS}
            above = all(values[m] > best[m] for m in ("cmc@1", "map"))
            spread = {
                f"{m} sd": round(100 * v, 2) for m, v in mean.deviation.items() if m in METRICS
            }
            rows.append(
                {"row": row.name, "n": mean.n, **values, **spread, "above_every_mean_colour": above}
            )
            cells.append(
                [row.name, mean.n, *values.values(), f"{values['map'] - best['map']:+.1f}"]
            )
    facts = {
        "preset": given.preset, "street_seed": given.seed,
        "dataset_digest": plan.test.manifest["digest"],
        "counts": plan.test.manifest["counts"],
        "names": plan.test.manifest["settings"]["name_by_truth"],
        "protocol": plan.protocol, "recipe": plan.recipe.values(),
        "seeds": list(plan.request.seeds),
        "mean_colour_percent": colours, "methods_percent": rows,
        "runs": [records[item.name] for item in plan.items if item.name in records],
    }  # fmt: skip
    write_result(given.name, facts)
    return cells


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="score", choices=sorted(STREETS))
    parser.add_argument("--seed", type=int, default=1, help="of the street and of the split")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--seeds", default="0", help="of training")
    parser.add_argument("--method", dest="methods", action="append", default=[])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--name", default="street_methods")
    return parser.parse_args()


def main() -> None:
    given = parse()
    sys.argv = [
        given.out.name if word == str(given.out) else word for word in sys.argv
    ]  # no place of this machine
    dataset = make_dataset(given.out, given.preset, given.seed)
    colours = measure_colours(dataset)
    seeds = tuple(int(seed) for seed in given.seeds.split(","))
    request = ReproduceRequest(
        "table2", dataset.root, given.out / "work", protocol=PROTOCOL, recipe=given.recipe,
        changes=tuple(given.changes), methods=tuple(given.methods) or ROWS, seeds=seeds,
    )  # fmt: skip
    plan = make_plan(request)

    def report(item: WorkItem, record: Record) -> None:
        rank1, m_ap = 100 * record["metrics"]["cmc@1"], 100 * record["metrics"]["map"]
        print(f"{item.name}: {rank1:.1f} rank-1, {m_ap:.1f} mAP", flush=True)
        publish(plan, colours, given)

    with open_process_group() as team:
        run_plan(
            plan,
            team,
            WorkOptions(ScoringOptions(n_workers=given.workers), n_workers=given.workers),
            report,
        )
    print_table([["row", "runs", *METRICS, "lead in mAP"], *publish(plan, colours, given)])


if __name__ == "__main__":
    main()
