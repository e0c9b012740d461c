"""The review page in headless Chromium: how fast it is, how much memory it takes, and what a
reviewer gets done in it.

    python tests/bench/review.py speed --work FOLDER [--sizes 10000 100000] [--presses 200]
    python tests/bench/review.py keys --work FOLDER [--seed 1] [--effort 0.2]

`speed` drives `lpw clean --review` over made datasets. Scripting is from the keydown event until
its last listener has run; `presented` is the browser's own Event Timing, from the key to the next
frame on the screen, in steps of 8 ms. `durable` is the time of one decision in the server until its
line is on the disk. PSS is the renderer's, as the kernel has it.

`keys`: a scripted reviewer who knows the truth cleans the first part of the queue of a synthetic
street in the page, by its keys alone. Seconds are by the keystroke model of Card, Moran and Newell
(1980): 1.35 s to make up one's mind for each tracklet and for each edit, 0.28 s for each key.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from machine import print_table, write_result
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))

from bench_suggest import open_street
from review_tools import Hand, make_many

from lpw_toolkit.cleaning.apply import apply
from lpw_toolkit.cleaning.state.base_tables import read_base
from lpw_toolkit.cleaning.state.resolve import OPEN, REJECTED
from lpw_toolkit.cleaning.state.review import open_review, read_union
from lpw_toolkit.dataset.dataset import Dataset, open_dataset
from lpw_toolkit.review_page.session import ReviewSession
from lpw_toolkit.review_page.suggestions import open_suggestions
from lpw_toolkit.truth.scripted_reviewer import (
    can_cut,
    count_people,
    find_cut,
    is_error,
    is_mixed,
    label_frames,
)

MIND_S, KEY_S = 1.35, 0.28
LIMITS = {
    "scripting_ms": 8,
    "presented_ms": 34,
    "other_ms": 50,
    "first_paint_ms": 1000,
    "pss_mb": 300,
    "durable_ms": 20,
}
#: Notes when a keydown begins and when its last listener has run, and what the browser says of its
#: frame.
WATCH = """
window.bench = { script: [], shown: [] };
addEventListener("keydown", (e) => { e.begun = performance.now(); }, { capture: true });
addEventListener("keydown", (e) => { bench.script.push(performance.now() - e.begun); });
new PerformanceObserver((list) => {
  for (const e of list.getEntries()) if (e.name === "keydown") bench.shown.push(e.duration);
}).observe({ type: "event", durationThreshold: 16 });
"""


@contextmanager
def serve(dataset: Dataset, state: Path) -> Iterator[str]:
    """`lpw clean --review` in a process of its own; gives the address."""
    command = [
        sys.executable,
        "-m",
        "lpw_cli",
        "clean",
        str(dataset.root),
        "--review",
        "--reviewer",
        "bench",
        "--no-open",
    ]
    process = subprocess.Popen([*command, "--state", str(state)], stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stderr.readline, "")
        yield next(m[0] for line in lines if (m := re.search(r"http://\S+token=\S+", line)))
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def spread(values: list[float]) -> dict[str, float]:
    found = np.percentile(values, [50, 95, 99]) if values else [np.nan] * 3
    return {
        name: round(float(value), 2)
        for name, value in zip(("p50", "p95", "p99"), found, strict=True)
    }


def press_all(hand: Hand, keys: list[str]) -> tuple[list[float], list[float]]:
    """Presses keys, each once the next tracklets are there; milliseconds of scripting and to the
    next frame."""
    hand.ask("bench.script = []; bench.shown = []; 0")
    for key in keys:
        hand.wait_seen()
        hand.wait_ahead(1)
        hand.press(key)
        hand.ask("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60)))")
    # What took less than 16 ms is not reported by the browser: it counts as 16.
    shown = hand.ask("bench.shown")
    return hand.ask("bench.script"), [*shown, *[16.0] * (len(keys) - len(shown))]


def read_pss_mb() -> float:
    """The largest renderer below this process."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True
    ).stdout
    pids = [line.split()[0] for line in listed.splitlines() if "--type=renderer" in line]
    sizes = []
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        sizes.append(int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1]) / 1024)
    return round(max(sizes), 1)


def measure_page(work: Path, size: int, n_presses: int) -> dict[str, Any]:
    root = work / f"many-{size}"
    dataset = open_dataset(root) if (root / "dataset.json").exists() else make_many(root, size, 12)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with serve(dataset, folder / "state") as address, Hand(folder / "profile") as hand:
            hand.review(address)
            hand.wait_ahead(5)
            paint = hand.ask("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            tracklet = hand.ask("performance.getEntriesByName('first-tracklet')[0].startTime")
            hand.ask(WATCH)
            accept = press_all(hand, ["Space"] * n_presses)
            others = press_all(
                hand,
                ["j", "k", "ArrowRight", "Shift+ArrowRight", "s", "Escape", "a", "a"]
                * (n_presses // 8),
            )
            pss = read_pss_mb()
    return {
        "n_tracklets": size,
        "first_paint_ms": round(paint),
        "first_tracklet_ms": round(tracklet),
        "accept_scripting_ms": spread(accept[0]),
        "accept_presented_ms": spread(accept[1]),
        "other_presented_ms": spread(others[1]),
        "pss_mb": pss,
    }


def measure_disk(root: Path, n: int) -> dict[str, float]:
    """Milliseconds from a request in the server to its line on the disk."""
    dataset = open_dataset(root)
    with (
        tempfile.TemporaryDirectory(dir=root.parent) as folder,
        open_review(dataset, "bench", Path(folder)) as review,
    ):
        session = ReviewSession(dataset, review, open_suggestions(dataset))
        names, spent = list(review.base.tracklets), []
        for i in range(n):
            entry = {
                "uuid": str(uuid.uuid4()),
                "operation": "accept",
                "tracklets": [names[i % len(names)]],
            }
            start = time.perf_counter()
            session.decide(entry | {"arguments": {}, "spent_ms": 1500})
            spent.append(1000 * (time.perf_counter() - start))
    return spread(spent)


def run_speed(work: Path, sizes: list[int], n_presses: int) -> None:
    pages = [measure_page(work, size, n_presses) for size in sizes]
    durable = {str(size): measure_disk(work / f"many-{size}", 1000) for size in sizes}
    heads = ["n_tracklets", "first_paint_ms", "first_tracklet_ms", "pss_mb"]
    spreads = ["accept_scripting_ms", "accept_presented_ms", "other_presented_ms"]
    rows = [
        [*(page[head] for head in heads), *(page[name]["p95"] for name in spreads)]
        for page in pages
    ]
    print_table([[*heads, *(f"{name} p95" for name in spreads)], *rows])
    print("durable_ms", durable)
    write_result("review_speed", {"limits": LIMITS, "pages": pages, "durable_ms": durable})


def clean_one(hand: Hand, labels: NDArray[np.int64]) -> list[str]:
    """Does with the tracklet on the page what the truth says; the keys that it took."""
    keys: list[str] = []

    def press(*names: str) -> None:
        hand.type(*names)
        keys.extend(names)

    def turn_to(place: int) -> None:
        now = hand.ask(
            "[...document.querySelectorAll('#pieces .piece')].findIndex((p) => "
            "p.classList.contains('now'))"
        )
        press(*["]" if place > now else "["] * abs(place - now))

    pieces = [(0, len(labels))]
    # Who changes once or twice is cut apart; a jumble is rejected: that takes two keys.
    while mixed := [
        i for i, (a, b) in enumerate(pieces) if is_mixed(labels[a:b]) and can_cut(labels[a:b])
    ]:
        start, stop = pieces[mixed[0]]
        turn_to(mixed[0])
        press("s")
        at = start + find_cut(labels[start:stop])
        off = at - int(re.search(r"split before (\d+)", hand.text("key-hints"))[1])
        arrow = "ArrowRight" if off > 0 else "ArrowLeft"
        press(*[f"Shift+{arrow}"] * (abs(off) // 10), *[arrow] * (abs(off) % 10), "Enter")
        pieces[mixed[0] : mixed[0] + 1] = [(start, at), (at, stop)]
    bad = [i for i, (a, b) in enumerate(pieces) if is_error(labels[a:b])]
    for place in bad:
        turn_to(place)
        press("x", "1")
    if len(pieces) > len(bad):
        press("Space")
    return keys


def measure_purity(
    dataset: Dataset, state: Path, labels: dict[str, NDArray[np.int64]], *, seen: bool
) -> float:
    """Share of kept frames that are their piece's person's; of the pieces that were judged, or of
    all."""
    right = total = 0
    for piece in apply(read_base(dataset), read_union(dataset, state)).iter_pieces():
        if piece.status != REJECTED and not (seen and piece.status in OPEN):
            mine = labels[piece.piece.tracklet][piece.kept]
            right += (count_people(mine) or [(0, 0)])[0][1]
            total += len(mine)
    return right / max(total, 1)


def run_keys(work: Path, seed: int, effort: float) -> None:
    case = open_street(work, seed)
    dataset = open_dataset(work / f"street-{seed}-data")
    labels = label_frames(dataset, work / f"street-{seed}" / "truth")
    n = round(effort * len(labels))
    keys: list[tuple[bool, int, int]] = []
    with tempfile.TemporaryDirectory() as temporary:
        state = Path(temporary)
        before = measure_purity(dataset, state, labels, seen=False)
        shutil.copytree(work / f"street-{seed}-suggestions", state / "suggestions")
        with serve(dataset, state) as address, Hand(state / "profile") as hand:
            hand.review(address)
            for _ in range(n):
                hand.wait_seen()
                mine = labels[hand.text("id")]
                pressed = clean_one(hand, mine)
                keys.append(
                    (is_error(mine), len(pressed), pressed.count("Enter") + pressed.count("x"))
                )
            hand.wait_saved()
        after = measure_purity(dataset, state, labels, seen=False)
        judged = measure_purity(dataset, state, labels, seen=True)
    found = [k for error, k, _ in keys if error]
    seconds = sum(MIND_S * (1 + n_edits) + KEY_S * k for _, k, n_edits in keys)
    facts = {
        "street_seed": seed,
        "n_tracklets": len(labels),
        "n_errors": int(case.error.sum()),
        "effort_frac": effort,
        "n_errors_fixed": len(found),
        "keys_per_error": round(float(np.mean(found)), 2) if found else None,
        "keys_per_clean": round(float(np.mean([k for error, k, _ in keys if not error])), 2),
        "seconds_per_tracklet": round(seconds / max(n, 1), 2),
        "purity_before": round(before, 4),
        "purity_after": round(after, 4),
        "purity_of_judged": round(judged, 4),
    }
    print_table([["", "value"], *([name, value] for name, value in facts.items())])
    write_result("review_keys", {"model": {"mind_s": MIND_S, "key_s": KEY_S}, **facts})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "keys"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--presses", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--effort", type=float, default=0.2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    work = options.work.absolute()
    if options.what == "speed":
        run_speed(work, options.sizes, options.presses)
    else:
        run_keys(work, options.seed, options.effort)


if __name__ == "__main__":
    main()
