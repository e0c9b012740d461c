"""The code itself, ours and what is installed of others: lengths, imports, docstrings, start,
size of an install, and the climbs of `lpw eval` and `lpw build-tracklets`.

    python tests/bench/bench_house.py [--no-install] [--no-climbs]

A climb is a call from a function of ours to another of ours that lies in a higher layer (contracts
of pyproject.toml), or that goes back: the caller has already been in a later stage's package. Each
pair of functions counts once; what is imported or defined meanwhile does not count.
"""

import argparse
import ast
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import grimp
from machine import print_table, write_result

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
from source_lines import PACKAGES, ROOT, find_package, iter_functions, list_layers

PEERS = ("torchreid", "supervision", "trackers", "boxmot", "deep_sort_realtime", "fastreid")
BARS = {"eval": 8, "build-tracklets": 3}
#: Layers that every stage stands on: going there is no way back.
GROUND = {
    f"lpw_toolkit.{name}"
    for name in ("dataset", "networks", "files", "plugins", "progress", "errors", "boxes", "names")
}


def measure_source(folders: list[Path]) -> dict[str, Any]:
    """Lengths, docstrings and private functions of the modules below `folders`."""
    lengths: list[int] = []
    n_public = n_told = n_examples = n_shapes = 0
    private: list[str] = []
    words: Counter[str] = Counter()
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    for file in files:
        text = file.read_text("utf-8", errors="replace")
        words.update(re.findall(r"[A-Za-z_]\w*", text))
        for node, n_lines in iter_functions(text):
            lengths.append(n_lines)
            if node.name.startswith("__"):
                continue
            if node.name.startswith("_"):
                private.append(node.name)
                continue
            told = ast.get_docstring(node) or ""
            n_public += 1
            n_told += bool(told)
            n_examples += ">>>" in told
            n_shapes += bool(re.search(r"\([A-Z]\b[^)]*\)|shape|\bdtype\b", told))
    lengths.sort()
    return {
        "modules": len(files),
        "modules directly in the package": len(list(folders[0].glob("*.py"))) - 1,
        "functions": len(lengths),
        "code lines, median": statistics.median(lengths),
        "code lines, p95": lengths[int(0.95 * len(lengths))],
        "functions over 50 lines": sum(n > 50 for n in lengths),
        "public functions": n_public,
        "with docstring": n_told,
        "with example": n_examples,
        "with shapes": n_shapes,
        "private functions": len(private),
        "used once, %": round(100 * sum(words[n] == 2 for n in private) / max(len(private), 1)),
    }


def measure_imports() -> dict[str, Any]:
    """Imports between our packages that go up, and the packages that import each other in a
    circle."""
    graph = grimp.build_graph("lpw_cli", "rqen", "lpw_toolkit", "lpw_manifests")
    rank = {name: i for i, names in enumerate(list_layers()) for name in names}
    arrows = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            one, two = (next((n for n in _prefixes(m) if n in rank), "") for m in (module, other))
            if one and two and one != two:
                arrows.add((one, two))
    reach = _close(arrows)
    circles = sorted({f"{a} <-> {b}" for a, b in reach if a < b and (b, a) in reach})
    up = sorted(f"{a} -> {b}" for a, b in arrows if rank[b] < rank[a])
    return {"arrows": len(arrows), "upward imports": up, "circles": circles}


def _prefixes(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in (2, 1) if n <= len(parts)]


def _close(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    reach = set(arrows)
    while new := {(a, d) for a, b in reach for c, d in arrows if b == c} - reach:
        reach |= new
    return reach


def measure_help(n_times: int = 9) -> float:
    """Median seconds of `lpw --help`."""
    times = []
    for _ in range(n_times):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "lpw_cli", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return round(statistics.median(times), 3)


def measure_install(folder: Path) -> dict[str, float]:
    """MB of each distribution of `pip install .` in a fresh environment, the largest first."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", ROOT], check=True)
    code = (
        "import json, os\nfrom importlib.metadata import distributions\n"
        "print(json.dumps({d.name: sum(os.path.getsize(f.locate()) for f in d.files or [] "
        "if os.path.exists(f.locate())) / 1e6 for d in distributions()}))"
    )
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    sizes = ast.literal_eval(done.stdout)
    return {n: round(mb, 1) for n, mb in sorted(sizes.items(), key=lambda item: -item[1])}


class Climbs:
    """Watches the calls of a command; `found` holds each climb as text."""

    def __init__(self) -> None:
        self.rank = {name: i for i, names in enumerate(list_layers()) for name in names}
        self.found: list[str] = []
        self._known: dict[str, str | None] = {}
        self._seen: set[tuple[Any, Any]] = set()
        self._latest: dict[FrameType, int] = {}

    def __enter__(self) -> "Climbs":
        threading.setprofile(self._look)
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _find(self, frame: FrameType) -> str | None:
        file = frame.f_code.co_filename
        if file not in self._known:
            package = find_package(file) if file.endswith(".py") else None
            self._known[file] = package if package in self.rank else None
        return self._known[file]

    def _look(self, frame: FrameType, event: str, _: object) -> None:
        if event == "return":
            self._latest.pop(frame, None)
        if event != "call" or frame.f_code.co_name == "<module>":
            return
        package, caller = self._find(frame), frame.f_back
        if package is None:
            return
        while caller is not None and self._find(caller) is None:
            if "importlib" in caller.f_code.co_filename:
                return
            caller = caller.f_back
        if caller is None or caller.f_code.co_name == "<module>":
            return
        before = self._find(caller)
        pair = (caller.f_code, frame.f_code)
        if before is None or before == package or pair in self._seen:
            return
        self._seen.add(pair)
        up = self.rank[package] < self.rank[before]
        back = self._goes_back(caller, package)
        if up or back:
            ends = (f"{p}:{f.f_code.co_qualname}" for p, f in ((before, caller), (package, frame)))
            self.found.append(("up    " if up else "back  ") + " -> ".join(ends))

    def _goes_back(self, caller: FrameType, package: str) -> bool:
        if package in GROUND or not package.startswith("lpw_toolkit."):
            return False
        latest = self._latest.get(caller, len(self.rank))
        self._latest[caller] = min(latest, self.rank[package])
        return self.rank[package] > latest


def measure_climbs(folder: Path) -> dict[str, list[str]]:
    """The climbs of both commands on the street of `lpw demo`."""
    from lpw_cli.main import main

    def call(*words: object) -> None:
        main.main([str(word) for word in words], "lpw", standalone_mode=False)

    os.environ["LPW_CONFIG"] = str(folder / "configuration")
    demo = folder / "demo"
    call("demo", "--out", demo, "--preset", "demo", "--steps", "1")
    street, run = demo / "street", next(path.parent for path in demo.rglob("run.json"))
    commands = {
        "eval": ["eval", run, "--data", demo / "named", "--protocol", "market"],
        "build-tracklets": ["build-tracklets", street / "video",
                            "--boxes", street / "detections", "--out", folder / "out"],
    }  # fmt: skip
    found = {}
    for name, words in commands.items():
        with Climbs() as climbs:
            call(*words)
        found[name] = climbs.found
    return found


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-install", action="store_true", help="without the fresh environment")
    parser.add_argument("--no-climbs", action="store_true", help="without the two commands")
    arguments = parser.parse_args()
    projects = {"ours": [ROOT / name for name in PACKAGES]}
    for name in PEERS:
        spec = importlib.util.find_spec(name)
        if spec and spec.submodule_search_locations:
            projects[name] = [Path(spec.submodule_search_locations[0])]
    source = {name: measure_source(folders) for name, folders in projects.items()}
    print_table(
        [["", *source], *([key, *(s[key] for s in source.values())] for key in source["ours"])]
    )
    imports, help_s = measure_imports(), measure_help()
    readme = (ROOT / "README.md").stat().st_size
    print(f"README: {readme} bytes; lpw --help: {help_s} s; {imports['arrows']} arrows between")
    print(f"packages; upward: {imports['upward imports']}; circles: {imports['circles']}")
    facts: dict[str, Any] = {"source": source, "imports": imports}
    facts |= {"readme_bytes": readme, "help_s": help_s}
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.no_climbs:
            facts["climbs"] = measure_climbs(Path(folder))
            for command, found in facts["climbs"].items():
                print(f"\nlpw {command}: {len(found)} climbs, at most {BARS[command]}")
                print(*(f"  {line}" for line in found), sep="\n")
        if not arguments.no_install:
            facts["install_mb"] = sizes = measure_install(Path(folder))
            print(f"\npip install .: {sum(sizes.values()):.0f} MB")
            print_table([["distribution", "MB"], *([n, mb] for n, mb in sizes.items() if mb > 1)])
    print(f"\nwritten: {write_result('house', facts).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
