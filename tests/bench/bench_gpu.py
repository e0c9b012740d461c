"""Training steps of a released recipe on a GPU: images per second by mode, beside what the card
could do at most.

    python tests/bench/bench_gpu.py [--triplets 1] [--triplets 8] [--rounds 3] [--seconds 3]
    [--compiled]

A step is the product's: images to the card, forward, losses, backward, optimiser, the loss read
back. The recipe is `released_pool2` on its own backbone, with random weights, which do not change
the speed. Modes take turns; a ratio is the median over the rounds of the ratios to plain float32
within a round.

The roofline: every convolution and matrix product of the bfloat16 step takes at least its
operations over the card's rate, and its operands, each moved once, over the card's bandwidth; both
are measured on the card, by an 8192^3 product and by a copy of 4 GiB. `floor` is the sum over these
alone, as if all else were fused into them; `eager` adds the bytes of every other operation, as
PyTorch runs them one by one.
"""

import argparse
import functools
import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_training_speed import N_IMAGES, N_PERSONS, make_step, measure
from machine import print_table, write_result
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from rqen.recipe import Recipe, read_recipe
from rqen.run.speed_trial import PLAIN, Mode, choose_mode, list_modes
from rqen.training.job import TrainJob, build_network

DEVICE = torch.device("cuda")
_PRODUCT_SIDE, _COPIED_BYTES = 8192, 1 << 32


@dataclass(frozen=True)
class Variant:
    """One way to run a step."""

    name: str
    mode: Mode
    tf32: bool = True
    tuned: bool = False
    compiled: bool = False


PLAIN_STEP = Variant("float32", PLAIN, tf32=False)
COUNTED = Variant("bfloat16, channels last", Mode("bfloat16", True, {}))
VARIANTS = [
    PLAIN_STEP,
    Variant("TF32 convolutions (PyTorch's default)", PLAIN),
    Variant("TF32, channels last", Mode("float32", True, {})),
    Variant("bfloat16", Mode("bfloat16", False, {})),
    COUNTED,
    Variant("bfloat16, channels last, cudnn.benchmark", Mode("bfloat16", True, {}), tuned=True),
    Variant("TF32, CUDA graph", Mode("float32", False, {}, cuda_graph=True)),
    Variant("TF32, channels last, CUDA graph", Mode("float32", True, {}, cuda_graph=True)),
    Variant("bfloat16, channels last, CUDA graph", Mode("bfloat16", True, {}, cuda_graph=True)),
]
COMPILED = [
    PLAIN_STEP,
    COUNTED,
    Variant("bfloat16, channels last, compiled", Mode("bfloat16", True, {}), compiled=True),
]


@contextmanager
def set_switches(variant: Variant) -> Iterator[None]:
    """The switches of PyTorch that a variant asks for."""
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = variant.tf32, variant.tuned
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = True, False


def make_recipe(n_triplets: int, *, compiled: bool = False) -> Recipe:
    changes = (
        'model.weights="random"',
        f"data.n_triplets={n_triplets}",
        f"train.compile={str(compiled).lower()}",
    )
    return read_recipe("released_pool2", changes)


def make_variant(variant: Variant, n_triplets: int) -> Callable[[], Any]:
    """The step of a variant, on a network of its own, warmed up."""
    torch.manual_seed(0)
    recipe = make_recipe(n_triplets, compiled=variant.compiled)
    network = build_network(TrainJob(Path("none"), Path("none"), "rqen", recipe), N_PERSONS).to(
        DEVICE
    )
    step = make_step(recipe, variant.mode.prepare(network), variant.mode)
    with set_switches(variant):
        for _ in range(5):
            step()
    return step


class Roofline(TorchDispatchMode):
    """Adds up the least time of every operation that runs inside.

    Args:
        rate: operations per second.
        bandwidth: bytes per second.
    """

    def __init__(self, rate: float, bandwidth: float) -> None:
        super().__init__()
        self.rate, self.bandwidth = rate, bandwidth
        self.floor_s = self.eager_s = self.n_operations = 0.0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        if any(
            r.alias_info is not None and not r.alias_info.is_write for r in function._schema.returns
        ):
            return found  # a view moves nothing
        tensors = [t for t in tree_leaves((args, kwargs, found)) if isinstance(t, torch.Tensor)]
        seconds = sum(t.nbytes for t in tensors) / self.bandwidth
        count = flop_registry.get(function._overloadpacket)
        if count is not None:
            n = count(*args, **(kwargs or {}), out_val=found)
            self.n_operations += n
            seconds = max(seconds, n / self.rate)
            self.floor_s += seconds
        self.eager_s += seconds
        return found


def measure_card() -> dict[str, float]:
    """TFLOP/s of a bfloat16 product and TB/s of a copy, both read and written bytes counted."""
    a, b = (torch.randn(_PRODUCT_SIDE, _PRODUCT_SIDE, device=DEVICE).bfloat16() for _ in range(2))
    source = torch.empty(_COPIED_BYTES, dtype=torch.uint8, device=DEVICE).random_()
    target = torch.empty_like(source)
    product_s = time_events(lambda: a @ b)
    copy_s = time_events(lambda: target.copy_(source))
    return {
        "tflops": 2 * _PRODUCT_SIDE**3 / product_s / 1e12,
        "tbytes_per_s": 2 * _COPIED_BYTES / copy_s / 1e12,
    }


def time_events(work: Callable[[], Any], n: int = 20) -> float:
    """Median seconds on the card."""
    times = []
    for _ in range(n + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return statistics.median(times[3:])


def count_step(n_triplets: int, card: dict[str, float]) -> dict[str, float]:
    """What one bfloat16 step asks of the card: see the module."""
    step = make_variant(COUNTED, n_triplets)
    with Roofline(card["tflops"] * 1e12, card["tbytes_per_s"] * 1e12) as roof:
        step()
    n_images = n_triplets * N_IMAGES
    return {
        "gflop_per_image": roof.n_operations / n_images / 1e9,
        "floor_images_per_s": n_images / roof.floor_s,
        "eager_images_per_s": n_images / roof.eager_s,
    }


def ask_trial() -> dict[str, Any]:
    """What the product's own trial chooses on this card."""
    recipe = make_recipe(1)
    network = build_network(TrainJob(Path("none"), Path("none"), "rqen", recipe), N_PERSONS).to(
        DEVICE
    )
    modes = list_modes(recipe.train, can_record=True)
    return vars(choose_mode(modes, network, functools.partial(make_step, recipe)))


def compare(
    n_triplets: int, variants: list[Variant], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Images per second of each variant, in turn."""
    steps = {variant.name: make_variant(variant, n_triplets) for variant in variants}
    found: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds):
        for variant in variants if number % 2 == 0 else variants[::-1]:
            with set_switches(variant):
                speed = measure(steps[variant.name], seconds, n_triplets * N_IMAGES, DEVICE)
            found[variant.name].append(speed)
    plain = found[variants[0].name]
    rows = []
    for name, values in found.items():
        ratios = [value / base for value, base in zip(values, plain, strict=True)]
        rows.append({
            "batch": n_triplets * N_IMAGES, "mode": name,
            "images_per_s": round(statistics.median(values), 1),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--triplets",
        type=int,
        action="append",
        default=[],
        help="per step; 1 is the released recipe",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--compiled", action="store_true", help="compiled steps instead of all others (minutes)"
    )
    parser.add_argument("--name", default="gpu")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here")
    card = measure_card()
    facts = {
        "gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "seed": 0,
        "card": {name: round(value, 3) for name, value in card.items()}, "trial": ask_trial(),
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    roofs: list[dict[str, Any]] = []
    for n_triplets in given.triplets or [1, 8]:
        roofs.append({"batch": n_triplets * N_IMAGES, **count_step(n_triplets, card)})
        variants = COMPILED if given.compiled else VARIANTS
        for row in compare(n_triplets, variants, given.rounds, given.seconds):
            row["of_floor"] = round(row["images_per_s"] / roofs[-1]["floor_images_per_s"], 4)
            row["of_eager"] = round(row["images_per_s"] / roofs[-1]["eager_images_per_s"], 4)
            rows.append(row)
        write_result(given.name, {**facts, "roofline": roofs, "rows": rows})
    print(json.dumps({**facts, "roofline": roofs}))
    print_table([list(rows[0]), *([*row.values()] for row in rows)])


if __name__ == "__main__":
    main()
