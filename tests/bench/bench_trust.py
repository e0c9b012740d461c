"""What it costs that nothing of a stranger's folder is believed: verification on opening, and the
doors, in pairs.

    python tests/bench/bench_trust.py --old CHECKOUT [--raw mini_lpw] [--images 590547] [--pairs 11]

First the seconds that `open_dataset` takes to verify an index of 590,547 images, over opening it
without, and those that opening the index of a small dataset takes more than before (bar of both: 20
ms). Then the same work with this checkout and with an older one (c363c30 opened no door), each in a
fresh process after its imports, in turns; the ratio of CPU seconds of each pair, new by old, and
its median (bar: 1.03). Each version works on a dataset that it made itself from the same raw tree;
files are in the page cache.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_open import draw_tables
from machine import print_table, write_result

ROOT = Path(__file__).resolve().parents[2]
BAR_VERIFY_S, BAR_RATIO = 0.020, 1.03
VERIFY = """
import sys, time
from pathlib import Path
from lpw_toolkit.dataset.dataset import open_dataset
root = Path(sys.argv[1])
open_dataset(root, verify=False)
began = time.perf_counter(); open_dataset(root, verify=False); plain = time.perf_counter() - began
began = time.perf_counter(); open_dataset(root); print(time.perf_counter() - began - plain)
"""
OPEN = """
import sys, time
from pathlib import Path
from lpw_toolkit.dataset.clip_index import open_index
root = Path(sys.argv[1])
open_index(root)
began = time.perf_counter()
for _ in range(20):
    open_index(root)
print((time.perf_counter() - began) / 20)
"""
MAKE = """
import sys
from pathlib import Path
from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark
import_benchmark(ImportConfig("lpw", Path(sys.argv[3]), Path(sys.argv[2]), allow_partial=True))
print(0)
"""
HEAD = """
import shutil, sys, time
from pathlib import Path
data, out = Path(sys.argv[1]), Path(sys.argv[2])
"""
TAIL = "print(time.process_time() - began)"
#: Work that users wait for; `data` is a dataset, `out` a free place.
WORK = {
    "check": "from lpw_toolkit.check.check import check_dataset\nbegan = "
             "time.process_time()\nreport = "
             "check_dataset(data)\n"
    "assert report.ok",
    "read and verify images": "from lpw_toolkit.dataset.clip_index import open_index\n"
    "images = open_index(data, source='files').images\nbegan = time.process_time()\n"
    "for row in range(len(images)):\n    images.read(row)",
    "decode images": "from lpw_toolkit.dataset.clip_index import open_index\nimages = "
                     "open_index(data, source='files').images\n"
    "began = time.process_time()\nfor row in range(len(images)):\n    images.decode(row, (256, "
    "128))",
    "pack": "from lpw_toolkit.dataset.dataset import open_dataset\nfrom lpw_toolkit.dataset.pack "
            "import "
            "write_pack\n"
    "began = time.process_time()\nwrite_pack(open_dataset(data))\nPath(data / "
    "'pack.parquet').unlink()\n"
    "Path(data / 'images.pack').unlink()",
    "export to a tree": "from lpw_toolkit.dataset.dataset import open_dataset\nfrom "
                        "lpw_toolkit.exports "
                        "import export_dataset\n"
    "began = time.process_time()\nexport_dataset(open_dataset(data), 'tree', "
    "out)\nshutil.rmtree(out)",
    "import": "from lpw_toolkit.benchmarks.importing import ImportConfig, import_benchmark\nraw = "
              "Path(sys.argv[3])\n"
    "began = time.process_time()\nimport_benchmark(ImportConfig('lpw', raw, out, "
    "allow_partial=True))\n"
    "shutil.rmtree(out)",
}  # fmt: skip


def run(checkout: Path, code: str, *words: Path) -> float:
    """What the code prints, run with the packages of `checkout`."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(
        command, env=environment, cwd=checkout, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


def measure_verification(n_images: int, repeats: int) -> list[float]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "large"
        root.mkdir()
        draw_tables(root, n_images, 7_694)
        return [run(ROOT, VERIFY, root) for _ in range(repeats)]


def measure_opening(old: Path, raw: Path, n_pairs: int) -> list[float]:
    """Seconds that opening the index of a small dataset takes more than before, in each pair."""
    with tempfile.TemporaryDirectory() as name:
        places = {old: Path(name) / "old", ROOT: Path(name) / "new"}
        for checkout, place in places.items():
            run(checkout, MAKE, Path(name), place, raw)
        seconds = [
            [run(checkout, OPEN, place) for checkout, place in places.items()]
            for _ in range(n_pairs)
        ]
    return [new - before for before, new in seconds]


def measure_pairs(old: Path, raw: Path, n_pairs: int) -> dict[str, list[float]]:
    """Ratios of CPU seconds, new by old, of each kind of work."""
    ratios: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        places = {checkout: Path(name) / label for checkout, label in ((old, "old"), (ROOT, "new"))}
        for checkout, place in places.items():
            run(checkout, MAKE, Path(name), place, raw)
        for work, code in WORK.items():
            whole = f"{HEAD}{code}\n{TAIL}"
            found = []
            for number in range(n_pairs + 1):
                seconds = {}
                for checkout in (old, ROOT) if number % 2 else (ROOT, old):
                    out = Path(name) / f"out-{number}"
                    seconds[checkout] = run(checkout, whole, places[checkout], out, raw)
                    shutil.rmtree(out, ignore_errors=True)
                found.append(seconds[ROOT] / seconds[old])
            ratios[work] = found[1:]  # the first pair warms the cache
    return ratios


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", type=Path, required=True, help="a checkout of an older version")
    parser.add_argument("--raw", type=Path, default=ROOT.parent / "shared" / "data" / "mini_lpw")
    parser.add_argument("--images", type=int, default=590_547)
    parser.add_argument("--pairs", type=int, default=11)
    given = parser.parse_args()
    verify = measure_verification(given.images, given.pairs)
    opening = measure_opening(given.old.resolve(), given.raw.resolve(), given.pairs)
    ratios = measure_pairs(given.old.resolve(), given.raw.resolve(), given.pairs)
    medians = {work: statistics.median(values) for work, values in ratios.items()}
    print(f"verification of {given.images} images: median {statistics.median(verify) * 1e3:.1f} ms")
    print(
        f"opening the index of {given.raw.name}: {statistics.median(opening) * 1e3:.1f} ms more "
        f"than before"
    )
    rows = [[work, medians[work], min(values), max(values)] for work, values in ratios.items()]
    print_table([["work", "median ratio", "least", "most"], *rows])
    facts = {
        "n_images": given.images,
        "n_pairs": given.pairs,
        "verify_s": verify,
        "median_verify_s": statistics.median(verify),
        "open_more_s": opening,
        "median_open_more_s": statistics.median(opening),
        "ratios": ratios,
        "median_ratios": medians,
        "bars": {"verify_s": BAR_VERIFY_S, "ratio": BAR_RATIO},
        "passed": max(statistics.median(verify), statistics.median(opening)) <= BAR_VERIFY_S
        and max(medians.values()) <= BAR_RATIO,
    }
    print(f"written: {write_result('trust', facts)}")


if __name__ == "__main__":
    main()
