"""The paper's claim on real images: RQEN against QAN, fixed scores and mean pooling, where regions
are corrupted.

    python tests/bench/bench_planted_noise.py --data DATASET --out FOLDER [--set optim.lr=0.0005]
    [--seeds 0,1,2]

DATASET is `lpw import lpw mini_lpw --allow-partial`. One region is corrupted in floor(n / 2) frames
of each tracklet, in the training tracklets from one seed and in the test tracklets from ten others.
Every method is trained with every seed (all methods of the first seed come first), embeds the ten
corrupted test sets and the clean one, and each view of scene 1 is the query in turn: 314 queries.
Noise lies on RQEN's own regions, or with `--position random` off their borders; strengths are the
defaults unless they are given, and `--name` keeps studies of several kinds apart.

The result is written anew after every run, and results/NAME/ holds the hits of each: the same
command resumes, on another machine too. `--report NAME,NAME` trains nothing: it takes the hits that
are there, measures the intervals anew (persons and seeds resampled together) and prints the studies
side by side.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, describe_machine, print_table, write_result

from lpw_toolkit.dataset.dataset import open_dataset
from rqen.corruption.plan import KINDS, POSITIONS, CorruptionConfig
from rqen.corruption.study import (
    TRAIN_SEED,
    StudyResult,
    describe_lead,
    evaluate_run,
    make_corrupted_sets,
    measure_leads,
)
from rqen.inference.run_vectors import ScoringOptions
from rqen.recipe import Recipe, read_recipe
from rqen.training.distributed import open_process_group
from rqen.training.job import TrainJob
from rqen.training.train import train

METHODS = ("rqen", "qfix", "qan", "mean")
N_RESAMPLES = 10_000
#: 64 images a step: 8 persons x 2 sets x 4 frames, drawn anew where a tracklet is shorter.
SETS = ("data.n_persons=8", "data.n_sets=2", "data.n_frames=4", "data.sampling=random")


@dataclasses.dataclass(frozen=True)
class Found:
    """The result of one run, and its figures with the machine that found them."""

    result: StudyResult
    facts: dict[str, Any]


def read_found(file: Path, settings: dict[str, Any]) -> Found | None:
    """What a run of these settings found, on whatever machine it was."""
    if not file.is_file():
        return None
    with np.load(file) as held:
        if json.loads(str(held["settings"])) != settings:
            return None
        facts = json.loads(str(held["facts"]))
        spread = facts.get("score_mean_sd", (1.0, 0.0))
        arrays = held["person"], held["hit"], held["precision"]
        return Found(StudyResult(*arrays, facts.get("auc"), *spread), facts)


def write_found(file: Path, settings: dict[str, Any], found: Found) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    texts = {"settings": json.dumps(settings), "facts": json.dumps(found.facts)}
    np.savez_compressed(
        file,
        person=found.result.person.astype(np.int16),
        hit=found.result.hit.astype(bool),
        precision=found.result.precision,
        **texts,
    )


def compare_methods(found: dict[tuple[str, int], Found], ours: str) -> dict[str, Any]:
    """Leads of `ours` over the others, in points, over the seeds that both have."""
    leads = {}
    for other in dict.fromkeys(method for method, _ in found if method != ours):
        seeds = sorted(
            {seed for method, seed in found if method == ours and (other, seed) in found}
        )
        if not seeds:
            continue
        sides = ([found[method, seed].result for seed in seeds] for method in (ours, other))
        lead = measure_leads(*sides, n_resamples=N_RESAMPLES)
        leads[f"{ours} over {other}"] = {"seeds": seeds} | {
            name: describe_lead(value) for name, value in lead.items()
        }
    return leads


def summarise(found: dict[tuple[str, int], Found]) -> dict[str, Any]:
    runs = {key: value.facts for key, value in found.items()}
    methods = {}
    for name in dict.fromkeys(method for method, _ in runs):
        own = [facts for (method, _), facts in runs.items() if method == name]
        methods[name] = {"n_seeds": len(own)} | {
            key: [
                round(float(measure([facts[key] for facts in own])), 2)
                for measure in (np.mean, np.std)
            ]
            for key in ("rank1", "map", "clean_rank1", "clean_map")
        }
        if "auc" in own[0]:
            methods[name]["auc"] = {
                region: {
                    kind: round(float(np.mean([f["auc"][region][kind] for f in own])), 3)
                    for kind in kinds
                }
                for region, kinds in own[0]["auc"].items()
            }
    per_run = [{"method": method, "seed": seed, **facts} for (method, seed), facts in runs.items()]
    leads = {
        key: value
        for ours in ("rqen", "qan")
        for key, value in compare_methods(found, ours).items()
    }
    return {
        "methods_mean_sd_over_seeds": methods,
        "leads_points_95_percent": leads,
        "runs": per_run,
    }


def show(summary: dict[str, Any]) -> None:
    rows: list[list[Any]] = [
        ["method", "seeds", "rank-1", "mAP", "clean rank-1", "clean mAP", "AUC", *KINDS]
    ]
    for name, facts in summary["methods_mean_sd_over_seeds"].items():
        figures = [
            f"{facts[k][0]:.1f} +- {facts[k][1]:.1f}"
            for k in ("rank1", "map", "clean_rank1", "clean_map")
        ]
        auc = facts.get("auc", {}).get("all", {})
        rows.append(
            [
                name,
                facts["n_seeds"],
                *figures,
                *(f"{auc[k]:.2f}" if auc else "-" for k in ("all", *KINDS)),
            ]
        )
    print_table(rows)
    for name, lead in summary["leads_points_95_percent"].items():
        text = ", ".join(
            f"{k} {v['mean']:+.2f} [{v['low']:+.2f}, {v['high']:+.2f}]"
            for k, v in lead.items()
            if k in ("rank1", "map")
        )
        print(f"{name}: {text}", flush=True)


def make_recipe(options: argparse.Namespace, seed: int) -> Recipe:
    own = [f"train.iterations={options.iterations}"] if options.iterations is not None else []
    return read_recipe(options.recipe, (*SETS, *options.changes, *own, f"train.seed={seed}"))


def report(name: str) -> None:
    """Measures the intervals of a study anew from the hits of its runs, and prints it."""
    file = RESULTS / f"{name}.json"
    record = json.loads(file.read_text())
    found = {}
    for run in record["runs"]:
        with np.load(RESULTS / name / f"{run['method']}-{run['seed']}.npz") as held:
            settings = json.loads(str(held["settings"]))
        kept = read_found(RESULTS / name / f"{run['method']}-{run['seed']}.npz", settings)
        assert kept is not None
        found[run["method"], run["seed"]] = kept
    summary = summarise(found)
    noise = record["noise"]
    places = (noise.get("position", "regions"), noise["cover_width_frac"])
    print("\n{}: position {}, cover {:g}".format(name, *places), end="")
    print(f", blur {noise['blur_sigma_frac']:g}, darken {noise['darken_factor']:g}")
    show(summary)
    file.write_text(json.dumps(record | summary, indent=1) + "\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, help="datasets and runs; goes on where it was stopped")
    parser.add_argument("--report", help="names of studies that are there; trains nothing")
    parser.add_argument("--position", choices=POSITIONS, default="regions")
    parser.add_argument("--recipe", default="modern")
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE"
    )
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--draws", type=int, default=10, help="corrupted test sets")
    parser.add_argument(
        "--train-draws", type=int, default=1, help="times each tracklet stands in the training set"
    )
    parser.add_argument(
        "--name", default="planted_noise", help="of the file and the folder under results/"
    )
    for field in dataclasses.fields(CorruptionConfig):
        if field.type in ("float", float):
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", type=float, default=field.default
            )
    options = parser.parse_args()
    if not options.report and (options.data is None or options.out is None):
        parser.error("--data and --out are needed, or --report")
    return options


def main() -> None:
    options = read_options()
    if options.report:
        for name in options.report.split(","):
            report(name)
        return
    fractions = [f.name for f in dataclasses.fields(CorruptionConfig) if hasattr(options, f.name)]
    config = CorruptionConfig(**{name: getattr(options, name) for name in fractions})
    sets = make_corrupted_sets(
        options.data,
        options.out,
        config,
        n_tests=options.draws,
        n_train_draws=options.train_draws,
    )
    noise = config.settings() | {"train_seed": TRAIN_SEED, "n_train_draws": options.train_draws}
    noise |= {
        "test_seeds": list(range(1, options.draws + 1)),
        "frames": "floor(n/2) of each tracklet",
    }
    for name in ("seed", "n_draws"):
        del noise[name]
    digest = open_dataset(options.data).manifest["digest"]
    found: dict[tuple[str, int], Found] = {}
    for seed in map(int, options.seeds.split(",")):
        for method in options.methods.split(","):
            recipe = make_recipe(options, seed)
            settings = json.loads(
                json.dumps(
                    {"data": digest, "noise": noise, "method": method, "recipe": recipe.values()}
                )
            )
            kept = RESULTS / options.name / f"{method}-{seed}.npz"
            result = read_found(kept, settings)
            if result is None:
                with open_process_group() as team:
                    job = TrainJob(
                        sets.train,
                        options.out / "runs" / f"{method}-{seed}",
                        method,
                        recipe,
                        resume=True,
                    )
                    run = train(job, team)
                study = evaluate_run(run, sets, ScoringOptions())
                result = Found(study, study.describe() | {"machine": describe_machine()["cpu"]})
                write_found(kept, settings, result)
            found[method, seed] = result
            summary = summarise(found)
            values = recipe.values()
            del values["train"]["seed"]
            show(summary)
            file = write_result(
                options.name,
                {"dataset_digest": digest, "noise": noise, "recipe": values, **summary},
            )
    print(f"written: {file}")


if __name__ == "__main__":
    main()
