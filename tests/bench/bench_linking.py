"""Linking on MOT sequences with their public detections: ours against its peers, scored alike.

    python tests/bench/bench_linking.py [--mot ../shared/data/mot15] [--out
    tests/bench/results/linking.json]

Prints every linker at its defaults, then the lower envelope of one sweep given to all of them
(minimal score, minimal length, gap), the speed against ultralytics' ByteTrack, and how the figures
hold on disturbed detections. A box counts as kept only with a detection behind it. "ours" is scored
with the smoothed boxes that `lpw link` writes and a dataset holds; the raw boxes and the peers with
the same smoothing are printed beside it.
"""

import argparse
import itertools
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from link_peers import PEERS
from machine import describe_machine

from lpw_toolkit.dataset.mot_text import (
    BoxRows,
    make_detections,
    read_boxes,
    read_detections,
    track_rows,
)
from lpw_toolkit.dataset.tables import boxes_of
from lpw_toolkit.files.listing import list_folder
from lpw_toolkit.files.writing import atomic_write_text
from lpw_toolkit.linking.config import PRESETS, LinkConfig
from lpw_toolkit.linking.linker import link
from lpw_toolkit.linking.smoothing import smooth_tracks
from lpw_toolkit.truth.cleanup_cost import Score, pool, score_tracklets

SCORES = (0.5, 0.6, 0.7, 0.8, 0.9)
LENGTHS = (8, 12, 20)
GAPS = (1, 3, 5, 30)
FEW_GAPS = 5
YIELDS = (0.52, 0.55)
BAR_YIELD = 0.524
OURS = {"ours": PRESETS["default"], "ours, preset low-cost": PRESETS["low-cost"]}


@dataclass(frozen=True)
class Sequence:
    name: str
    truth: BoxRows
    detections: pa.Table


Linker = Callable[[pa.Table], BoxRows]


def load(folder: Path) -> list[Sequence]:
    """Every sequence below `folder` that has ground truth and detections."""
    return [
        Sequence(
            path.name, read_boxes(path / "gt" / "gt.txt"), read_detections(path / "det" / "det.txt")
        )
        for path in list_folder(folder)
        if (path / "gt" / "gt.txt").is_file() and (path / "det" / "det.txt").is_file()
    ]


def link_ours(detections: pa.Table, config: LinkConfig, *, smooth: bool = True) -> BoxRows:
    tracks = link(detections, config)
    return track_rows(smooth_tracks(detections, tracks) if smooth else detections, tracks)


def smoothed(rows: BoxRows) -> BoxRows:
    """Any linker's output with our smoothing."""
    _, track = np.unique(rows.track, return_inverse=True)
    table = make_detections(rows.frame_index, rows.boxes, np.clip(rows.flag, 0, 1))
    return replace(rows, boxes=boxes_of(smooth_tracks(table, track.astype(np.int32))))


def at_least(detections: pa.Table, score: float) -> pa.Table:
    return detections.filter(pa.array(detections["score"].to_numpy() >= np.float32(score)))


def of_length(rows: BoxRows, n: int) -> BoxRows:
    _, inverse, counts = np.unique(rows.track, return_inverse=True, return_counts=True)
    return rows.select(counts[inverse] >= n)


def score_all(found: Iterable[BoxRows], sequences: list[Sequence]) -> list[Score]:
    return [
        score_tracklets(r, s.truth, detections=s.detections)
        for r, s in zip(found, sequences, strict=True)
    ]


def record(score: Score) -> dict[str, Any]:
    cost = score.cost_per_1000_s
    return {
        "cost_per_1000_s": round(cost, 1) if np.isfinite(cost) else None,
        "yield_frac": round(score.yield_frac, 4),
        "mixed_frac": round(score.mixed_frac, 4),
        "purity": round(score.purity, 4),
        "n_tracklets": score.n_tracklets,
        "fragments_per_identity": round(score.fragments_per_identity, 2),
    }


def at_defaults(sequences: list[Sequence], sort: Path | None) -> dict[str, dict[str, Any]]:
    """Per linker its pooled figures and, as `per_sequence`, its rows."""
    linkers: dict[str, Linker] = {
        "ours": lambda d: link_ours(d, PRESETS["default"]),
        "ours, preset low-cost": lambda d: link_ours(d, PRESETS["low-cost"]),
        "ours, raw boxes": lambda d: link_ours(d, PRESETS["default"], smooth=False),
        "ours, preset paper": lambda d: link_ours(d, PRESETS["paper"]),
        "ours, preset paper, raw boxes": lambda d: link_ours(d, PRESETS["paper"], smooth=False),
    }
    found = {name: [run(s.detections) for s in sequences] for name, run in linkers.items()}
    for name, peer in PEERS.items():
        found[name] = [peer(s.detections, None) for s in sequences]
    if sort is not None and all((sort / f"{s.name}.txt").is_file() for s in sequences):
        found["SORT, given output"] = [read_boxes(sort / f"{s.name}.txt") for s in sequences]
    for name in PEERS:
        found[f"{name} + our smoothing"] = [smoothed(rows) for rows in found[name]]
    out = {}
    for name, rows in found.items():
        scores = score_all(rows, sequences)
        each = {s.name: record(score) for s, score in zip(sequences, scores, strict=True)}
        out[name] = record(pool(scores)) | {"per_sequence": each}
    return out


Sweep = dict[tuple[float, int, int], list[Score]]


def sweep(name: str, sequences: list[Sequence]) -> Sweep:
    """Scores per sequence for every (minimal score, gap, minimal length)."""
    out: Sweep = {}
    for score, gap in itertools.product(SCORES, GAPS):
        if (
            name in OURS
            # the rules for whole tracklets are independent, so a longer minimum can be applied
            # later
        ):
            config = replace(OURS[name], min_score=score, max_gap=gap, min_length=min(LENGTHS))
            rows = [link_ours(s.detections, config) for s in sequences]
        else:
            rows = [PEERS[name](at_least(s.detections, score), gap) for s in sequences]
        for n in LENGTHS:
            out[score, gap, n] = score_all([of_length(r, n) for r in rows], sequences)
    return out


def best(
    found: Sweep, yield_frac: float, without: int | None = None
) -> tuple[float, int, int] | None:
    """The cheapest setting at this yield or more, over all sequences or all but one."""
    pooled = {k: pool(s for i, s in enumerate(v) if i != without) for k, v in found.items()}
    good = {k: s.cost_per_1000_s for k, s in pooled.items() if s.yield_frac >= yield_frac}
    return min(good, key=lambda k: good[k]) if good else None


def envelope(sweeps: dict[str, Sweep]) -> dict[str, dict[str, Any]]:
    """Per yield, range of gaps and linker the cheapest setting."""
    out: dict[str, dict[str, Any]] = {}
    for level, most in itertools.product(YIELDS, (FEW_GAPS, max(GAPS))):
        row = {}
        for name, found in sweeps.items():
            found = {key: scores for key, scores in found.items() if key[1] <= most}
            key = best(found, level)
            setting = dict(zip(("min_score", "gap", "min_length"), key or (), strict=False))
            row[name] = setting | record(pool(found[key])) if key else None
        out[f"{level:.0%}, gaps to {most}"] = row
    return out


def leave_one_out(found: Sweep) -> dict[str, Any]:
    """The sweep's setting chosen on all sequences but one and scored on that one, pooled."""
    n = len(next(iter(found.values())))
    chosen = [best(found, BAR_YIELD, without=i) for i in range(n)] if n > 1 else []
    held_out = [found[key][i] for i, key in enumerate(chosen) if key is not None]
    return record(pool(held_out)) | {"settings": [list(key) if key else None for key in chosen]}


def measure_speed(sequences: list[Sequence], rounds: int) -> dict[str, Any]:
    """Processor seconds of the linking alone, run in turns; ratio above 1 = ours is faster."""
    pairs = []
    for _ in range(rounds):
        pair = []
        for run in (
            lambda d: link(d, PRESETS["default"]),
            lambda d: PEERS["ultralytics ByteTrack"](d, None),
        ):
            start = time.process_time()
            for s in sequences:
                run(s.detections)
            pair.append(time.process_time() - start)
        pairs.append(pair)
    n_frames = sum(
        int(s.detections["frame_index"].to_numpy().max(initial=-1)) + 1 for s in sequences
    )
    return {
        "rounds": rounds,
        "ours_s": round(statistics.median(p[0] for p in pairs), 2),
        "ultralytics_bytetrack_s": round(statistics.median(p[1] for p in pairs), 2),
        "ratio": round(statistics.median(p[1] / p[0] for p in pairs), 2),
        "frames_per_s": round(n_frames / statistics.median(p[0] for p in pairs)),
    }


def disturb(sequence: Sequence, kind: str, rng: np.random.Generator) -> Sequence:
    """The sequence with trembling, missing or false boxes, or with every second frame."""
    d = sequence.detections
    frame, boxes, score = (
        d["frame_index"].to_numpy(),
        boxes_of(d),
        d["score"].to_numpy().astype(np.float64),
    )
    truth = sequence.truth
    if kind == "jitter":
        boxes = boxes + rng.normal(0, 0.03, boxes.shape) * (boxes[:, 3] - boxes[:, 1])[:, None]
    elif kind == "misses":
        kept = rng.random(len(frame)) >= 0.1
        frame, boxes, score = frame[kept], boxes[kept], score[kept]
    elif kind == "false boxes":
        rows = rng.integers(0, len(frame), len(frame) // 10)
        moved = (
            boxes[rows]
            + rng.normal(0, 2, (len(rows), 2))[:, [0, 1, 0, 1]]
            * (boxes[rows, 2:] - boxes[rows, :2]).max()
        )
        frame = np.concatenate([frame, rng.permutation(frame)[: len(rows)]])
        boxes, score = (
            np.concatenate([boxes, moved]),
            np.concatenate([score, rng.permutation(score)[: len(rows)]]),
        )
        order = np.argsort(frame, kind="stable")
        frame, boxes, score = frame[order], boxes[order], score[order]
    elif kind == "half frame rate":
        even = frame % 2 == 0
        frame, boxes, score = frame[even] // 2, boxes[even], score[even]
        truth = truth.select(truth.frame_index % 2 == 0)
        truth = replace(truth, frame_index=truth.frame_index // 2)
    return Sequence(sequence.name, truth, make_detections(frame.astype(np.int32), boxes, score))


def on_disturbed(sequences: list[Sequence], seed: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for kind in ("jitter", "misses", "false boxes", "half frame rate"):
        rng = np.random.default_rng(seed)
        worse = [disturb(s, kind, rng) for s in sequences]
        out[kind] = {
            "ours": record(
                pool(score_all([link_ours(s.detections, PRESETS["default"]) for s in worse], worse))
            ),
            "SORT": record(
                pool(score_all([PEERS["SORT"](s.detections, None) for s in worse], worse))
            ),
        }
    return out


ABLATIONS: dict[str, dict[str, Any]] = {
    "no motion before the overlap": {"velocity_gain": 0.0},
    "no margin": {"margin": 0.0},
    "IoU 0.4": {"iou": 0.4},
    "no cuts where ambiguous": {"ambiguity_iou": 1.0},
    "no gap above 2 joined": {"max_gap": 2},
    "short gaps first": {"gap_in_rounds": True},
    "no rival test": {"gap_rival_ratio": 1.0},
    "outliers stay": {"outlier_iou": 0.0},
    "weak ends stay": {"end_score_quantile": 0.0},
    "weak tracklets stay": {"track_score_quantile": 0.0},
    "minimal length 8": {"min_length": 8},
    "minimal length 15": {"min_length": 15},
    "greedy": {"assignment": "greedy"},
}


def ablate(sequences: list[Sequence]) -> dict[str, Any]:
    """The default with one ingredient changed at a time."""
    out = {}
    for name, changed in ABLATIONS.items():
        config = replace(PRESETS["default"], **changed)
        out[name] = record(
            pool(score_all([link_ours(s.detections, config) for s in sequences], sequences))
        )
    return out


def bars(result: dict[str, Any]) -> dict[str, Any]:
    """What the issue asks for, and what was reached."""
    ours, sort = result["defaults"]["ours"], result["defaults"]["SORT"]
    out = {
        "a_below_sort_frac": round(1 - ours["cost_per_1000_s"] / sort["cost_per_1000_s"], 3),
        "a_yield_frac": ours["yield_frac"],
        "c_mixed_against_sort": round(ours["mixed_frac"] / sort["mixed_frac"], 3)
        if sort["mixed_frac"]
        else None,
    }
    for level, row in result.get("envelope", {}).items():
        peers = [r["cost_per_1000_s"] for name, r in row.items() if r and name not in OURS]
        for name in OURS:
            if row[name] and peers:
                out[f"b_below_envelope_at_{level}, {name}"] = round(
                    1 - row[name]["cost_per_1000_s"] / min(peers), 3
                )
    return out


def show(title: str, rows: dict[str, Any]) -> None:
    print(f"\n{title:38s} s/1000  yield  mixed  tracklets  frag/id")
    for name, r in rows.items():
        if r is None:
            print(f"{name:38s} never reaches it")
            continue
        cells = (
            f"{100 * r['yield_frac']:5.1f}% {100 * r['mixed_frac']:5.1f}% {r['n_tracklets']:10d}"
        )
        print(f"{name:38s} {r['cost_per_1000_s']!s:>6} {cells} {r['fragments_per_identity']:8.2f}")


def run(mot: Path, sort: Path | None, *, seed: int, rounds: int, sweeping: bool) -> dict[str, Any]:
    sequences = load(mot)
    result: dict[str, Any] = {
        "command": "python tests/bench/bench_linking.py",
        "seed": seed,
        "machine": describe_machine(),
        "sequences": [s.name for s in sequences],
        "config": asdict(PRESETS["default"]),
        "defaults": at_defaults(sequences, sort),
    }
    show("at defaults, all sequences", result["defaults"])
    for s in sequences:
        names = ("ours", "SORT", "plain rule")
        show(s.name, {n: result["defaults"][n]["per_sequence"][s.name] for n in names})
    result["speed"] = measure_speed(sequences, rounds)
    print(f"\nspeed: {result['speed']}")
    result["disturbed"] = on_disturbed(sequences, seed)
    for kind, rows in result["disturbed"].items():
        show(kind, rows)
    result["ablation"] = ablate(sequences)
    show("default, one ingredient changed", result["ablation"])
    if sweeping:
        sweeps = {name: sweep(name, sequences) for name in (*OURS, *PEERS)}
        result["sweep"] = {"min_score": SCORES, "gap": GAPS, "min_length": LENGTHS}
        result["envelope"] = envelope(sweeps)
        for level, rows in result["envelope"].items():
            show(f"sweep, yield of {level} or more", rows)
        result["leave_one_out"] = {name: leave_one_out(sweeps[name]) for name in OURS}
        show("sweep, left out one by one", result["leave_one_out"])
    result["bars"] = bars(result)
    print(f"\nbars: {result['bars']}")
    return result


def main() -> None:
    data = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--mot",
        type=Path,
        default=data / "mot15",
        help="folder of sequences with gt/gt.txt, det/det.txt",
    )
    parser.add_argument(
        "--sort", type=Path, default=data / "peers" / "sort", help="SORT's output, if there is one"
    )
    parser.add_argument("--out", type=Path, help="JSON to be written")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-sweep", action="store_true")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    result = run(
        args.mot, args.sort, seed=args.seed, rounds=args.rounds, sweeping=not args.no_sweep
    )
    if args.out:
        atomic_write_text(args.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
