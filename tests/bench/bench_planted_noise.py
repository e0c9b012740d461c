"""The paper's claim on real images: RQEN against QAN, fixed scores and mean pooling, where regions
are spoiled.

    python tests/bench/bench_planted_noise.py --data DATASET --out FOLDER [--set optim.lr=0.0005]
    [--seeds 0,1,2]

DATASET is `lpw import lpw mini_lpw --allow-partial`. Noise is planted in floor(n / 2) frames of
each tracklet, in the training tracklets from one seed and in the test tracklets from ten others.
Every method is trained with every seed (all methods of the first seed come first), embeds the ten
noisy test sets and the clean one, and each view of scene 1 asks in turn: 314 queries. The result is
written anew after every run, and results/planted_noise/ holds the answers of each: the same command
goes on where it was stopped, on another machine too.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, describe_machine, print_table, write_result

from lpw_toolkit.dataset.dataset import open_dataset
from lpw_toolkit.dataset.labels import read_labels
from lpw_toolkit.evaluation.bootstrap import measure_lead
from lpw_toolkit.evaluation.trials import read_trials
from rqen.corruption.evaluate import ask_each_camera, compare_scores
from rqen.corruption.inject import plant_noise, read_mask
from rqen.corruption.plan import KINDS, NoiseConfig
from rqen.inference.run_vectors import ScoringOptions, embed_run
from rqen.recipe import Recipe, read_recipe
from rqen.training.distributed import open_process_group
from rqen.training.job import TrainJob
from rqen.training.train import train

METHODS = ("rqen", "qfix", "qan", "mean")
TRAIN_SEED, N_RESAMPLES = 1000, 10_000
#: 64 images a step: 8 persons x 2 sets x 4 frames, drawn anew where a tracklet is shorter.
SETS = ("data.n_persons=8", "data.n_sets=2", "data.n_frames=4", "data.sampling=random")


@dataclasses.dataclass(frozen=True)
class Found:
    """Answers of one run: the persons (Q,) who ask, hits and precisions (1 + draws, Q), the clean
    test set first."""

    person: np.ndarray
    hit: np.ndarray
    precision: np.ndarray
    facts: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Noisy:
    """The datasets: train, the clean test set within its source, and the noisy test sets."""

    source: Path
    train: Path
    test: list[Path]
    rows: np.ndarray


def plant_all(data: Path, out: Path, config: NoiseConfig, n_test: int, n_train: int) -> Noisy:
    trial = read_trials(open_dataset(data))[0]
    rows = np.union1d(trial.query, trial.gallery)
    learning = dataclasses.replace(config, seed=TRAIN_SEED, n_draws=n_train)
    train_set, tests = out / "train", []
    plant_noise(data, train_set, mask_of(train_set), learning)
    for seed in range(1, n_test + 1):
        tests.append(out / f"test{seed:02d}")
        plant_noise(
            data, tests[-1], mask_of(tests[-1]), dataclasses.replace(config, seed=seed), rows
        )
    return Noisy(data, train_set, tests, rows)


def mask_of(dataset: Path) -> Path:
    return dataset.with_name(f"{dataset.name}.mask.parquet")


def examine(run: Path, noisy: Noisy) -> Found:
    """Embeds the clean and the noisy test sets."""
    clean = embed_run(run, noisy.source, ScoringOptions(), noisy.rows)
    labels = read_labels(clean.dataset.tracklets).take(noisy.rows)
    answers, scores = [ask_each_camera(clean.vectors[noisy.rows], labels)], []
    for path in noisy.test:
        found = embed_run(run, path)
        answers.append(ask_each_camera(found.vectors, read_labels(found.dataset.tracklets)))
        scores.append(found.scores)
    people = np.array(clean.dataset.tracklets["person_id"].to_pylist())[noisy.rows]
    _, person = np.unique(people[answers[0].rows], return_inverse=True)
    hit = np.stack([answer.hit for answer in answers])
    precision = np.stack([answer.precision for answer in answers]).astype(np.float32)
    return Found(person, hit, precision, describe_run(hit, precision, np.stack(scores), noisy))


def describe_run(
    hit: np.ndarray, precision: np.ndarray, scores: np.ndarray, noisy: Noisy
) -> dict[str, Any]:
    hits, precisions = hit.mean(axis=1), precision.mean(axis=1)
    figures = {
        "rank1": hits[1:].mean(),
        "map": precisions[1:].mean(),
        "clean_rank1": hits[0],
        "clean_map": precisions[0],
    }
    facts: dict[str, Any] = {name: round(float(100 * value), 2) for name, value in figures.items()}
    facts["machine"] = describe_machine()["cpu"]
    if np.ptp(scores):
        masks = [read_mask(mask_of(path), open_dataset(path).frames) for path in noisy.test]
        region, kind = (np.concatenate(column) for column in zip(*masks, strict=True))
        auc = compare_scores(scores.reshape(len(region), -1), region, kind)
        facts["auc"] = {
            name: {k: round(v, 4) for k, v in values.items()} for name, values in auc.items()
        }
        facts["score_mean_sd"] = [round(float(value), 4) for value in (scores.mean(), scores.std())]
    return facts


def read_found(file: Path, settings: dict[str, Any]) -> Found | None:
    """What a run of these settings found, on whatever machine it was."""
    if not file.is_file():
        return None
    with np.load(file) as held:
        if json.loads(str(held["settings"])) != settings:
            return None
        return Found(held["person"], held["hit"], held["precision"], json.loads(str(held["facts"])))


def write_found(file: Path, settings: dict[str, Any], found: Found) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    texts = {"settings": json.dumps(settings), "facts": json.dumps(found.facts)}
    np.savez_compressed(
        file,
        person=found.person.astype(np.int16),
        hit=found.hit.astype(bool),
        precision=found.precision,
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
        person = found[ours, seeds[0]].person
        leads[f"{ours} over {other}"] = {"seeds": seeds} | {
            name: measure_points(
                person,
                *(
                    np.stack([getattr(found[m, s], key)[part] for s in seeds])
                    for m in (ours, other)
                ),
            )
            for name, key, part in (
                ("rank1", "hit", slice(1, None)),
                ("map", "precision", slice(1, None)),
                ("clean_rank1", "hit", slice(1)),
                ("clean_map", "precision", slice(1)),
            )
        }
    return leads


def measure_points(person: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    lead = measure_lead(person, ours, theirs, np.random.default_rng(0), n_resamples=N_RESAMPLES)
    values = {"mean": lead.mean, "low": lead.low, "high": lead.high}
    return {**{name: round(100 * value, 2) for name, value in values.items()}, "holds": lead.holds}


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


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="datasets and runs; goes on where it was stopped"
    )
    parser.add_argument("--recipe", default="modern")
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE"
    )
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--draws", type=int, default=10, help="noisy test sets")
    parser.add_argument(
        "--train-draws", type=int, default=1, help="times each tracklet stands in the training set"
    )
    parser.add_argument(
        "--name", default="planted_noise", help="of the file and the folder under results/"
    )
    for field in dataclasses.fields(NoiseConfig):
        if field.type in ("float", float):
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", type=float, default=field.default
            )
    return parser.parse_args()


def main() -> None:
    options = read_options()
    fractions = [f.name for f in dataclasses.fields(NoiseConfig) if hasattr(options, f.name)]
    config = NoiseConfig(**{name: getattr(options, name) for name in fractions})
    noisy = plant_all(options.data, options.out, config, options.draws, options.train_draws)
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
                        noisy.train,
                        options.out / "runs" / f"{method}-{seed}",
                        method,
                        recipe,
                        resume=True,
                    )
                    run = train(job, team)
                result = examine(run, noisy)
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
