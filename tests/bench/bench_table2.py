"""Table 2, or every method that the paper compares with, on real crops in LPW's layout: every row,
one seed after the other.

    python tests/bench/bench_table2.py --data DATASET --out FOLDER [--set train.iterations=900]
    [--seeds 0,1,2] [--rows methods]

Trains on scenes 2 and 3, tests on scene 1 (protocol `lpw`). What is done is kept in FOLDER and not
done again; after each row results/table2_mini_lpw.json (or methods_mini_lpw.json) holds all rows
that are there, and on a new machine or in a new FOLDER the rows in that file with the same settings
count as done. OSNet's weights are those of ../shared/data.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from machine import RESULTS, describe_machine, print_table, write_result

from rqen.inference.run_vectors import ScoringOptions
from rqen.reproduce.aggregate_results import summarise_rows
from rqen.reproduce.plan import ReproducePlan, ReproduceRequest, WorkItem, make_plan
from rqen.reproduce.record import Record, read_records, record_file, write_record
from rqen.reproduce.spread import measure_spread
from rqen.reproduce.spread_table import describe_spread
from rqen.reproduce.work import WorkOptions, run_plan
from rqen.run.run_folder import compare_settings
from rqen.training.distributed import open_process_group

OSNET = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "weights" / "osnet_x0_25_msmt17.onnx"
)
ORDER = (
    "untrained",
    "onnx",
    "baseline",
    "mean",
    "qan",
    "qfix",
    "more_params",
    "rqen",
    "ru",
    "rm",
    "rl",
)
#: Every method that the paper compares with, by its recipe for small data, and what follows it.
METHODS = (
    *("untrained", "onnx", "ide", "ide+xqda", "ide+kissme", "ide+xqda+rerank"),
    *("cnn_rnn", "trinet", "trinet+rerank", "tdl", "sta", "srm_tam", "cd"),
    *("baseline", "mean", "qan", "qfix", "rqen", "rqen+xqda+tuned", "rqen+xqda+rerank"),
)
METRICS = ("cmc@1", "cmc@5", "cmc@10", "cmc@20", "map")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="modern")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--method", dest="methods", action="append", default=[])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rows", choices=["table2", "methods"], default="table2")
    parser.add_argument("--name", help="of the result; by default ROWS_mini_lpw")
    given = parser.parse_args()
    given.name = given.name or f"{given.rows}_mini_lpw"
    places = {str(given.data): given.data.name, str(given.out): given.out.name}
    sys.argv = [
        places.get(word, word) for word in sys.argv
    ]  # the command in the result holds no place of this machine
    onnx = OSNET if OSNET.is_file() and (not given.methods or "onnx" in given.methods) else None
    order = ORDER if given.rows == "table2" else METHODS
    methods = tuple(given.methods) or tuple(name for name in order if name != "onnx" or onnx)
    seeds = tuple(int(seed) for seed in given.seeds.split(","))
    request = ReproduceRequest(
        "table2", given.data, given.out, recipe=given.recipe, changes=tuple(given.changes),
        methods=methods,
        seeds=seeds, onnx=onnx,
    )  # fmt: skip
    plan = make_plan(request)
    restore(plan, given.name)
    publish(plan, given.name)

    def report(item: WorkItem, record: Record) -> None:
        write_record(given.out, item, record | {"machine": describe_machine()})
        rank1, m_ap = 100 * record["metrics"]["cmc@1"], 100 * record["metrics"]["map"]
        print(f"{item.name}: {rank1:.1f} rank-1, {m_ap:.1f} mAP", flush=True)
        publish(plan, given.name)

    options = WorkOptions(ScoringOptions(n_workers=given.workers), n_workers=given.workers)
    with open_process_group() as team:
        run_plan(plan, team, options, report)
    lines = [[row["row"], *row["cells"], row["n"]] for row in publish(plan, given.name)]
    print_table([["row", *METRICS, "runs"], *lines])


def restore(plan: ReproducePlan, name: str) -> None:
    """Takes the rows of the committed result that were run with the settings asked for."""
    file = RESULTS / f"{name}.json"
    held = json.loads(file.read_text()) if file.is_file() else {"rows": []}
    for item in plan.items:
        same = [row for row in held["rows"] if not compare_settings(row["config"], item.config)]
        if same and not record_file(plan.request.out, item).exists():
            write_record(plan.request.out, item, {"machine": held["machine"]} | same[0])


def publish(plan: ReproducePlan, name: str) -> list[dict[str, Any]]:
    """Writes what is there of the plan, row by row and in the mean over seeds; returns the means as
    cells."""
    records = read_records(plan.request.out, plan.items)
    means = summarise_rows(plan, records)
    shown = []
    for row in plan.rows:
        found = means[row.name]
        cells = [found.show(metric) for metric in METRICS]
        shown.append({"row": row.name, "label": row.label, "n": found.n, "cells": cells})
    if not records:
        return shown
    facts = {
        "dataset_digest": plan.test.manifest["digest"], "counts": plan.test.manifest["counts"],
        "protocol": plan.protocol, "recipe": plan.recipe.values(),
        "seeds": list(plan.request.seeds),
        "mean_percent": [
            {
                "row": row.name, "n": means[row.name].n,
                **{m: round(100 * means[row.name].mean[m],
                2) for m in METRICS if means[row.name].n},
                **{f"{m} sd": round(100 * v, 2) for m,
                v in means[row.name].deviation.items() if m in METRICS},
            }
            for row in plan.rows
        ],
        "spread": describe_spread(measure_spread(plan, records)),
        "rows": [records[item.name] for item in plan.items if item.name in records],
    }  # fmt: skip
    write_result(name, facts)
    return shown


if __name__ == "__main__":
    main()
