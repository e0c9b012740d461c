"""Chooses a value of a recipe on validation persons inside the training part, and records what it
was chosen on.

    python tests/bench/bench_recipe_choice.py --data DATASET --out FOLDER
        --choose loss.margin=0.1,0.3,0.6 [--method rqen] [--recipe modern] [--seeds 0,1,2]

Each value is trained with every seed while `train.validation` holds a share of the training persons
back; the seed draws them. Of each run the best iteration counts, the highest mean mAP is chosen, of
equals the first: both are on those persons, so the figures of the choice are better than those of
unseen ones. No tested person is looked at. Runs in FOLDER are not done again;
results/recipe_choice_KEY.json is written anew after each.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from machine import print_table, write_result

from lpw_toolkit.dataset.dataset import open_dataset
from rqen.recipe import read_recipe
from rqen.run import run_folder
from rqen.training.distributed import open_process_group
from rqen.training.job import TrainJob
from rqen.training.train import train


def validate_value(options: argparse.Namespace, change: str, seed: int) -> dict[str, float]:
    """mAP and rank-1 of the best iteration of one run, in percent, and its validation persons."""
    share = f"train.validation={options.validation}"
    recipe = read_recipe(options.recipe, (*options.changes, share, change, f"train.seed={seed}"))
    recipe = recipe.adapt(options.method)
    folder = options.out / f"{change.replace('=', '-')}-seed{seed}"
    if not (folder / run_folder.MODEL).is_file():
        with open_process_group() as team:
            train(TrainJob(options.data, folder, options.method, recipe, resume=True), team)
    said = run_folder.read_run(folder)
    kept = said["kept"]
    return {
        "map": round(100 * kept["map"], 2),
        "rank1": round(100 * kept["rank1"], 2),
        "iteration": kept["iteration"],
        "n_persons": len(said["validation"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--choose", required=True, metavar="SECTION.KEY=VALUE,VALUE")
    parser.add_argument("--method", default="rqen")
    parser.add_argument("--recipe", default="modern")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--validation", type=float, default=0.25)
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    key, _, values = options.choose.partition("=")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    found: list[dict[str, Any]] = []
    for value in values.split(","):
        runs = [validate_value(options, f"{key}={value}", seed) for seed in seeds]
        means = [
            float(np.mean([run["map"] for run in runs])),
            float(np.std([r["map"] for r in runs])),
        ]
        found.append({"value": value, "map_mean_sd": [round(m, 2) for m in means], "runs": runs})
        best = max(found, key=lambda one: one["map_mean_sd"][0])
        facts = {
            "dataset_digest": open_dataset(options.data).digest, "method": options.method,
            "recipe": options.recipe, "key": key, "chosen": best["value"],
            "chosen_by": "mean mAP on validation persons of the training part",
            "validation_share": options.validation, "seeds": seeds, "candidates": found,
        }  # fmt: skip
        file = write_result(f"recipe_choice_{key.replace('.', '_')}", facts)
    print_table([[key, "validation mAP", "sd"], *([f["value"], *f["map_mean_sd"]] for f in found)])
    print(f"chosen: {key}={best['value']}\nwritten: {file}")


if __name__ == "__main__":
    main()
