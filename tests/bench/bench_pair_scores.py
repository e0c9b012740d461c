"""Scores of pairs (CNN+SRM+TAM): seconds for 1,000 x 1,000 pairs, and memory, by the size of the
maps.

    python tests/bench/bench_pair_scores.py [--rounds 3] [--rows 20] [--mb 4 16 64]

Ours projects each map once and scores pairs in blocks of a fixed memory (`rqen.model.pair_scores`).
Plain is what the equations say, a row of the matrix at a time: the difference of raw maps, its
1 x 1 convolution, the recurrences. Both score `rows` x 1,000 pairs of maps of 256 channels in
turns, on one core, without a GPU; seconds are those of the processor, scaled to 1,000 rows. Memory
is the rise of the resident size. Grids are those of CaffeNet (6 x 6) and of EfficientNet-Lite0 at
128 x 64 (8 x 4, or 4 x 2 with a last stride of 2). --mb also tries other sizes of a block.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from machine import print_table, write_result
from numpy.typing import NDArray
from peak import measure_extra_mb

from lpw_toolkit.evaluation.pair_scorer import PairScorer
from lpw_toolkit.progress import set_style
from rqen.model import pair_scores
from rqen.model.pair_scores import PairScores
from rqen.model.spatial_recurrence import SpatialRecurrence

GRIDS = ((6, 6), (8, 4), (4, 2))
N_GALLERY, N_CHANNELS = 1000, 256


def draw_maps(n: int, grid: tuple[int, int], seed: int) -> torch.Tensor:
    return torch.randn(n, N_CHANNELS, *grid, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def open_ours(
    scorer: SpatialRecurrence, query: torch.Tensor, gallery: torch.Tensor
) -> Callable[[], NDArray[np.float32]]:
    """Scores all pairs through the product's scorer of pairs."""
    maps = scorer.project(torch.cat([query, gallery])).numpy()
    vectors = np.full((len(maps), 4), 0.5, np.float32)
    scores = PairScores(scorer, 0.0, vectors, maps)
    rows = np.arange(len(maps))
    n = len(query)

    def work() -> NDArray[np.float32]:
        pairs = PairScorer(scores.measure, "srm_tam", "pairs", n_pairs=scores.n_at_once)
        return pairs.blocks(rows[:n], rows[n:]).block(0, n)

    return work


@torch.inference_mode()
def score_plainly(
    scorer: SpatialRecurrence, query: torch.Tensor, gallery: torch.Tensor
) -> NDArray[np.float32]:
    rows = []
    for one in query:
        difference = scorer.project(one - gallery)
        rows.append(torch.sigmoid(-scorer(difference, torch.zeros_like(difference))).numpy())
    return np.stack(rows)


def time_once(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """CPU seconds, extra MB, and the result."""

    def timed() -> tuple[float, Any]:
        start = time.process_time()
        result = work()
        return time.process_time() - start, result

    (seconds, result), extra_mb = measure_extra_mb(timed)
    return seconds, extra_mb, result


def compare(grid: tuple[int, int], n_rows: int, n_rounds: int) -> dict[str, Any]:
    torch.manual_seed(0)
    scorer = SpatialRecurrence(N_CHANNELS, grid).eval()
    query, gallery = draw_maps(n_rows, grid, 1), draw_maps(N_GALLERY, grid, 2)
    work = open_ours(scorer, query, gallery)
    ours, plain = [], []
    for _ in range(n_rounds):
        ours.append(time_once(work))
        plain.append(time_once(lambda: score_plainly(scorer, query, gallery)))
    scale = 1000 / n_rows
    return {
        "seconds": round(scale * statistics.median(s for s, _, _ in ours), 1),
        "plain_seconds": round(scale * statistics.median(s for s, _, _ in plain), 1),
        "ratio": round(statistics.median(p[0] / o[0] for o, p in zip(ours, plain, strict=True)), 2),
        "extra_mb": round(max(mb for _, mb, _ in ours), 1),
        "plain_extra_mb": round(max(mb for _, mb, _ in plain), 1),
        "map_bytes": 4 * 64 * grid[0] * grid[1],
        "largest_difference": float(np.abs(ours[0][2] - plain[0][2]).max()),
    }


def try_blocks(grid: tuple[int, int], n_rows: int, sizes_mb: list[int]) -> dict[str, float]:
    """Seconds for 1,000 x 1,000 pairs by the size of a block in MB."""
    torch.manual_seed(0)
    scorer = SpatialRecurrence(N_CHANNELS, grid).eval()
    query, gallery = draw_maps(n_rows, grid, 1), draw_maps(N_GALLERY, grid, 2)
    found = {}
    for size in sizes_mb:
        pair_scores.PAIR_BYTES = size << 20
        work = open_ours(scorer, query, gallery)
        found[f"{size}"] = round(1000 / n_rows * time_once(work)[0], 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side, in turns")
    parser.add_argument("--rows", type=int, default=20, help="rows of the matrix that are scored")
    parser.add_argument("--mb", type=int, nargs="*", default=[], help="sizes of a block to try")
    options = parser.parse_args()
    torch.set_num_threads(1)
    set_style("none")
    rows = {f"{h} x {w}": compare((h, w), options.rows, options.rounds) for h, w in GRIDS}
    facts: dict[str, Any] = {"n_gallery": N_GALLERY, "n_rows": options.rows, "grids": rows}
    if options.mb:
        facts["seconds_by_block_mb"] = {
            f"{h} x {w}": try_blocks((h, w), options.rows, options.mb) for h, w in GRIDS
        }
    columns = ["seconds", "plain_seconds", "ratio", "extra_mb", "plain_extra_mb"]
    print_table(
        [["map", *columns], *([name, *(f[c] for c in columns)] for name, f in rows.items())]
    )
    print(facts.get("seconds_by_block_mb", ""))
    print(f"-> {write_result('pair_scores', facts)}")


if __name__ == "__main__":
    main()
