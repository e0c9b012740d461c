"""Images per second of training and of extraction: the mode that the trial chooses, beside plain
eager PyTorch.

    python tests/bench/bench_training_speed.py [--backbone googlenet] [--size 224 224] [--rounds 5]
    [--seconds 20]

Plain is float32, contiguous, as anybody would write it; ours is the mode (precision, layout) of the
product's own trial, and the memory setting that training and embedding make. A step is the
product's: 3 sets of 8 frames (a released triplet), forward, losses, backward, optimiser. Extraction
is the product's describe_frames on 24 frames, without and with folded normalisation. Pixels are
there already, weights random: neither changes the speed. Each measurement has a process of its own;
plain and ours take turns, and the ratio is the median over the rounds of the ratios within a round.
--compiled measures steps through torch.compile as well.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from folding import fold_normalisation
from machine import describe_machine, print_table, write_result

from rqen.data.batches import Batch, Shard
from rqen.model.network import SetNetwork
from rqen.model.pixels import normalise
from rqen.recipe import Recipe, TrainRecipe, read_recipe
from rqen.run.malloc import keep_freed_memory
from rqen.run.speed_trial import PLAIN, Mode, choose_mode, list_modes, wait_for
from rqen.training.distributed import ProcessGroup
from rqen.training.job import TrainJob, build_network
from rqen.training.optimiser import make_optimiser
from rqen.training.train import Runner

BACKBONES = ("googlenet", "bn_inception", "resnet50", "efficientnet_lite0")
N_FRAMES, N_PERSONS = 8, 100
N_IMAGES = 3 * N_FRAMES  # of one triplet
CPU = torch.device("cpu")
ALL_MODES = TrainRecipe(precision="auto", channels_last="auto")


def make_recipe(backbone: str, size: tuple[int, int], *, compiled: bool = False) -> Recipe:
    changes = (
        f"data.height={size[0]}",
        f"data.width={size[1]}",
        f"train.compile={str(compiled).lower()}",
    )
    return read_recipe(
        "paper", (f'model.backbone="{backbone}"', 'model.weights="random"', *changes)
    )


def make_images(recipe: Recipe) -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    shape = (3 * recipe.data.n_triplets, N_FRAMES, 3, recipe.data.height, recipe.data.width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=draws)


def make_step(recipe: Recipe, network: SetNetwork, mode: Mode) -> Callable[[], Any]:
    """One whole step of training, on the network's device."""
    job = TrainJob(Path("none"), Path("none"), "rqen", recipe)
    team = ProcessGroup(Shard(), next(network.parameters()).device)
    runner = Runner(job, team, network, make_optimiser(network, recipe.optim), mode)
    batch = Batch(
        make_images(recipe), torch.tensor([0, 0, 1]).repeat_interleave(recipe.data.n_triplets)
    )
    return lambda: runner.step(batch, 0)


def make_extraction(recipe: Recipe, network: SetNetwork, mode: Mode) -> Callable[[], Any]:
    """Features and scores of 24 frames, as rqen.inference.embed asks for them."""
    network.eval()
    images = make_images(recipe).flatten(0, 1)

    @torch.no_grad()
    def describe() -> Any:
        pixels = mode.to_layout(normalise(images, network.backbone.pixels))
        with mode.autocast(pixels.device):
            return network.describe_frames(pixels)

    return describe


def choose(work: str, recipe: Recipe, network: SetNetwork) -> Mode:
    make = make_step if work == "training" else make_extraction
    return choose_mode(list_modes(ALL_MODES), network, functools.partial(make, recipe))


def measure(
    work: Callable[[], Any], seconds: float, n_images: int = N_IMAGES, device: torch.device = CPU
) -> float:
    """Images per second over at least `seconds` and three goes of `n_images`, after two to warm
    up."""
    work()
    work()
    wait_for(device)
    start, n = time.perf_counter(), 0
    while n < 3 or time.perf_counter() - start < seconds:
        work()
        n += 1
    wait_for(device)
    return n * n_images / (time.perf_counter() - start)


def run_worker(given: argparse.Namespace) -> None:
    """Measures one thing in this process, and prints it."""
    torch.manual_seed(0)
    work, variant, mode = given.worker
    recipe = make_recipe(given.backbone[0], tuple(given.size), compiled=variant == "compiled")
    network = build_network(TrainJob(Path("none"), Path("none"), "rqen", recipe), N_PERSONS)
    if variant != "plain":
        keep_freed_memory()
    if variant == "choose":
        print(json.dumps(vars(choose(work, recipe, network))))
        return
    chosen = PLAIN if variant == "plain" else Mode(**json.loads(mode))
    if variant == "folded":
        size = recipe.data.height, recipe.data.width
        network.backbone = fold_normalisation(network.backbone, torch.randn(2, 3, *size))
    make = make_step if work == "training" else make_extraction
    print(json.dumps(measure(make(recipe, chosen.prepare(network), chosen), given.seconds)))


def ask_worker(given: argparse.Namespace, backbone: str, *what: str) -> Any:
    size = [str(side) for side in given.size]
    words = [
        "--backbone",
        backbone,
        "--size",
        *size,
        "--seconds",
        str(given.seconds),
        "--worker",
        *what,
    ]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def compare(given: argparse.Namespace, backbone: str, work: str) -> dict[str, Any]:
    """Ours and plain in turn; images per second, and ratios of medians and within rounds."""
    mode = ask_worker(given, backbone, work, "choose", "")
    variants = ["plain", "ours"] + (
        ["folded"] if work == "extraction" else ["compiled"] if given.compiled else []
    )
    found: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(given.rounds):
        for name in variants if number % 2 == 0 else variants[::-1]:
            found[name].append(ask_worker(given, backbone, work, name, json.dumps(mode)))
    ratios = {
        name: [ours / plain for ours, plain in zip(found[name], found["plain"], strict=True)]
        for name in variants[1:]
    }
    return {
        "backbone": backbone,
        "work": work,
        "mode": {"precision": mode["precision"], "channels_last": mode["channels_last"]},
        "trial_s": mode["seconds"],
        "images_per_s": {
            name: round(statistics.median(values), 2) for name, values in found.items()
        },
        "ratio": {name: round(statistics.median(values), 3) for name, values in ratios.items()},
        "ratio_range": {
            name: [round(min(values), 3), round(max(values), 3)] for name, values in ratios.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", action="append", default=[])
    parser.add_argument(
        "--size", type=int, nargs=2, default=[224, 224], help="height and width in pixels"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--work", choices=["training", "extraction"], action="append", default=[])
    parser.add_argument(
        "--compiled", action="store_true", help="also training by torch.compile (minutes to begin)"
    )
    parser.add_argument("--name", default="training_speed")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        run_worker(given)
        return
    rows: list[dict[str, Any]] = []
    facts = {
        "torch": torch.__version__, "threads": torch.get_num_threads(), "size": given.size,
        "batch": N_IMAGES, "bars_with_amx_bf16": {"training": 2.3, "extraction": 3.8},
        "has_amx_bf16": "amx_bf16" in describe_machine()["flags"],
    }  # fmt: skip
    for backbone in given.backbone or BACKBONES:
        for work in given.work or ("training", "extraction"):
            rows.append(compare(given, backbone, work))
            write_result(given.name, {**facts, "rows": rows})
            print(json.dumps(rows[-1]), flush=True)
    head = ["backbone", "work", "mode", "plain", "ours", "ratio", "folded or compiled", "ratio"]
    print_table([head, *map(list_cells, rows)])


def list_cells(row: dict[str, Any]) -> list[Any]:
    mode = (
        f"{row['mode']['precision']}, channels "
        f"{'last' if row['mode']['channels_last'] else 'first'}"
    )
    speed, ratio = row["images_per_s"], row["ratio"]
    cells = [row["backbone"], row["work"], mode, speed["plain"], speed["ours"], ratio["ours"]]
    third = "compiled" if "compiled" in speed else "folded"
    return [*cells, speed.get(third, "-"), ratio.get(third, "-")]


if __name__ == "__main__":
    main()
