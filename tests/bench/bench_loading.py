"""The share of a training step's time that is spent waiting for images.

    python tests/bench/bench_loading.py --data DATASET [--recipe modern] [--steps 60] [--workers 0
    1] [--set ...]

DATASET is `lpw import lpw mini_lpw --allow-partial`. Trains RQEN as `lpw train` does, from files
and, where the dataset is packed, from the pack, and reads `wait` from the log; the first lines, in
which processes start, do not count.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from machine import print_table, write_result

from lpw_toolkit.dataset.dataset import open_dataset
from rqen.recipe import Recipe, read_recipe
from rqen.run import run_folder
from rqen.training.distributed import open_process_group
from rqen.training.job import TrainJob
from rqen.training.train import train


def measure(data: Path, recipe: Recipe, n_workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, open_process_group() as team:
        run = train(TrainJob(data, Path(folder) / "run", "rqen", recipe, n_workers=n_workers), team)
        rows = run_folder.read_log(run, recipe.train.iterations)[1:]
        mode = run_folder.read_run(run)["mode"]
    counted = [row for row in rows if "wait" in row]
    mean = {
        key: round(sum(row[key] for row in counted) / len(counted), 4)
        for key in ("wait", "images_per_s")
    }
    return {"n_workers": n_workers, "n_lines": len(counted), **mean, "mode": mode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="modern")
    parser.add_argument(
        "--steps", type=int, default=60, help="40 or more: the log has a line every 20"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--name", default="loading")
    given = parser.parse_args()
    sys.argv = [
        given.data.name if word == str(given.data) else word for word in sys.argv
    ]  # no place of this machine
    recipe = read_recipe(given.recipe, (*given.changes, f"train.iterations={max(given.steps, 40)}"))
    dataset = open_dataset(given.data)
    rows = [measure(given.data, recipe, n_workers) for n_workers in given.workers]
    facts = {
        "dataset_digest": dataset.manifest["digest"],
        "packed": (given.data / "images.pack").is_file(),
        "recipe": recipe.values(), "threads": torch.get_num_threads(), "rows": rows,
    }  # fmt: skip
    write_result(given.name, facts)
    head = ["n_workers", "wait", "images_per_s"]
    print_table([head, *([row[key] for key in head] for row in rows)])


if __name__ == "__main__":
    main()
