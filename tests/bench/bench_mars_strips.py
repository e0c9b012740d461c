"""A second real test: real MARS query tracklets (`../shared/data/mars_strips`, 8 images each) of
persons who are not in training.

    python tests/bench/bench_mars_strips.py --out FOLDER [--seeds 0,1,2]

Half of the 298 persons, drawn with `--person-seed`, train together with all of `mini_lpw`; the
others are tested across cameras. RQEN against QFix, QAN and mean pooling, every method with every
seed; intervals resample persons and seeds together. OSNet x0.25, trained on MSMT17, is the honest
peer, the untrained backbone the easy one. The tracklets were chosen because a weak model missed
them, so they are harder than MARS; `mini_lpw` is Market-1501, filmed at the same place, and nobody
knows whether some of its people are tested here under other names.

What is done is kept in FOLDER and not done again, and the rows of results/mars_strips.json with the
same settings count as done; it is written anew after each row.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from bench_table2 import METRICS, OSNET, restore
from machine import describe_machine, print_table, write_result

from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.splits.config import SplitConfig
from lpw_toolkit.splits.split_version import write_split
from lpw_toolkit.versions.merging import MergeConfig, merge_datasets
from rqen.inference.run_vectors import ScoringOptions
from rqen.reproduce.aggregate_results import summarise_rows
from rqen.reproduce.plan import ReproducePlan, ReproduceRequest, WorkItem, make_plan
from rqen.reproduce.record import Record, read_records, write_record
from rqen.reproduce.spread import measure_spread
from rqen.reproduce.spread_table import describe_spread
from rqen.reproduce.work import WorkOptions, run_plan
from rqen.training.distributed import open_process_group

SHARED = OSNET.parents[1]
ROWS = ("untrained", "onnx", "mean", "qan", "qfix", "rqen")


def make_data(out: Path, person_seed: int) -> Dataset:
    """The dataset of the test: both sets as one, half of MARS's persons and all others in
    training."""
    target = out / f"data-{person_seed}"
    if target.is_dir():
        return open_dataset(target)
    parts = []
    for name, raw in (("mars", "mars_strips"), ("lpw", "mini_lpw")):
        config = ImportConfig(name, SHARED / raw, out / name, allow_partial=True)
        parts.append(import_benchmark(config).dataset)
    both = merge_datasets(MergeConfig((out / "mars", out / "lpw"), out / "both", None)).dataset
    persons = sorted(filter(None, parts[0].tracklets["person_id"].unique().to_pylist()))
    drawn = np.random.default_rng(person_seed).permutation(persons)
    tested = set(drawn[: len(drawn) // 2].tolist())
    names = sorted(filter(None, both.tracklets["person_id"].unique().to_pylist()))
    lines = [f"{name},{'test' if name in tested else 'train'}" for name in names]
    (out / "persons.csv").write_text("\n".join(lines) + "\n")
    config = SplitConfig(by="list", persons=out / "persons.csv", rule="cross_camera")
    return write_split(both, target, config)[0]


def publish(plan: ReproducePlan, person_seed: int) -> Path | None:
    """Writes what is there: means, intervals and every row."""
    records = read_records(plan.request.out, plan.items)
    means, spread = summarise_rows(plan, records), measure_spread(plan, records)
    cells = [[row.label, *map(means[row.name].show, METRICS), means[row.name].n]
             for row in plan.rows]  # fmt: skip
    print_table([["row", *METRICS, "runs"], *cells])
    for name, leads in spread.leads.items():
        lead = leads["cmc@1"]
        points = [f"{100 * value:+.1f}" for value in (lead.mean, lead.low, lead.high)]
        print(f"rqen over {name}, rank-1: {points[0]} [{points[1]}, {points[2]}]")
    if not records:
        return None
    kept = (
        "config",
        "row",
        "seed",
        "metrics",
        "n_query",
        "n_gallery",
        "distance",
        "queries",
        "machine",
    )
    rows = [
        {key: records[item.name][key] for key in kept if key in records[item.name]}
        for item in plan.items
        if item.name in records
    ]
    facts = {
        "dataset_digest": plan.test.digest, "counts": plan.test.manifest["counts"],
        "person_seed": person_seed, "protocol": plan.protocol, "recipe": plan.recipe.values(),
        "seeds": list(plan.request.seeds), "changes": list(plan.request.changes),
        "spread": describe_spread(spread), "rows": rows,
    }  # fmt: skip
    return write_result("mars_strips", json.loads(json.dumps(facts)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="modern")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--person-seed", type=int, default=0)
    parser.add_argument("--methods", default=",".join(ROWS))
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    data = make_data(given.out, given.person_seed)
    methods = tuple(given.methods.split(","))
    request = ReproduceRequest(
        "table2", data.root, given.out / "table", protocol="cross_camera", recipe=given.recipe,
        changes=tuple(given.changes), methods=methods,
        seeds=tuple(int(seed) for seed in given.seeds.split(",")),
        onnx=OSNET if "onnx" in methods else None,
    )  # fmt: skip
    plan = make_plan(request)
    restore(plan, "mars_strips")

    def report(item: WorkItem, record: Record) -> None:
        write_record(request.out, item, record | {"machine": describe_machine()["cpu"]})
        publish(plan, given.person_seed)

    options = WorkOptions(ScoringOptions(n_workers=given.workers), n_workers=given.workers)
    with open_process_group() as team:
        run_plan(plan, team, options, report)
    print(f"written: {publish(plan, given.person_seed)}")


if __name__ == "__main__":
    main()
