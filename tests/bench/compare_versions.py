"""Whether another checkout makes the same files: street, build, relink, import, eval, training.

    python tests/bench/compare_versions.py --old CHECKOUT [--work FOLDER] [--data ../shared/data]

Both checkouts run the same commands. Files are compared byte for byte; JSON and Parquet files that
differ are compared again after `tests/house/renames.json` was applied to the old ones, and digests
over such files are left out. What differs then is printed and ends the command with exit code 1.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from machine import write_result
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
RENAMES: dict[str, dict[str, str]] = json.loads((ROOT / "tests/house/renames.json").read_text())
KEYS = {**RENAMES["settings"], **RENAMES["columns"]}
#: Facts that follow from bytes of files with renamed keys, say which checkout ran, or are speeds.
DERIVED = {
    "manifest_sha256",
    "sha256",
    "settings_digest",
    "data_digest",
    "model_sha256",
    "versions",
    "images_per_s",
    "wait",
}
SMALL = (
    "model.last_stride=2", "data.height=64", "data.width=32", "data.n_persons=4", "data.n_sets=2",
    "data.n_frames=2", "data.crop=2", "train.iterations=20", "train.precision=float32",
    "train.channels_last=no",
)  # fmt: skip
STEPS = (
    "synth street --preset demo",
    "build-tracklets street/video --boxes street/detections --out built",
    "relink built --out relinked --preset paper",
    "import lpw {data}/mini_lpw --out lpw --allow-partial",
    "train rqen --data lpw --split 0 --recipe demo --out run --workers 0 "
    + " ".join(f"--set {change}" for change in SMALL),
    "embed run --data lpw --out embeddings.parquet --workers 0",
    "eval --embeddings embeddings.parquet --data lpw --protocol lpw --out result",
    "clean built --suggest",
)  # fmt: skip


def run_steps(checkout: Path, work: Path, data: Path) -> None:
    """Runs STEPS in `work` with the packages of `checkout`."""
    module = "lpw_cli" if (checkout / "cli" / "lpw_cli").is_dir() else "cli"
    path = os.pathsep.join(map(str, (checkout, checkout / "cli", checkout / "manifests")))
    environment = {**os.environ, "PYTHONPATH": path, "LPW_CONFIG": str(work / "configuration")}
    work.mkdir(parents=True)
    for step in STEPS:
        words = step.format(data=data).split()
        command = [sys.executable, "-m", module, *words]
        subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True)


def renamed(value: Any) -> Any:
    """A JSON value with the old keys and values replaced, without derived facts."""
    if isinstance(value, dict):
        return {KEYS.get(k, k): renamed(v) for k, v in value.items() if k not in DERIVED}
    if isinstance(value, list):
        return [renamed(item) for item in value]
    if isinstance(value, str):
        for old, new in RENAMES["values"].items():
            value = value.replace(old, new)
        # a model's digest: safetensors writes its metadata in random order
        value = re.sub(r"lite0 \([0-9a-f]{8}\)", "lite0", value)
    return value


def read(file: Path) -> Any:
    """What a file holds, with names of today."""
    if file.suffix in (".json", ".jsonl"):
        return (
            [renamed(json.loads(line)) for line in file.read_text().splitlines()]
            if (file.suffix == ".jsonl")
            else renamed(json.loads(file.read_text()))
        )
    if file.suffix == ".parquet":
        return renamed(pq.read_table(file).to_pydict())
    if file.suffix == ".csv":
        return renamed(list(csv.DictReader(file.read_text().splitlines())))
    if file.suffix == ".safetensors":  # its header is written in random order
        return {name: array.tobytes() for name, array in load_file(file).items()}
    return renamed(file.read_text("utf-8", "replace"))


def compare(old: Path, new: Path) -> tuple[dict[str, int], list[str]]:
    """Counts of files by how they agree, and a line for each that does not."""
    left, right = (
        {p.relative_to(root) for p in root.rglob("*") if p.is_file() and ".lpw" not in p.parts}
        for root in (old, new)
    )
    skipped = {name for name in left | right if name.parts[0] == "configuration"}
    faults = [f"only on one side: {name}" for name in sorted((left ^ right) - skipped)]
    counts = {"files": 0, "same bytes": 0, "same after the key map": 0}
    for name in sorted((left & right) - skipped):
        counts["files"] += 1
        if (old / name).read_bytes() == (new / name).read_bytes():
            counts["same bytes"] += 1
        elif read(old / name) == read(new / name):
            counts["same after the key map"] += 1
        else:
            faults.append(f"differs: {name}")
    return counts, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    work = args.work or Path(tempfile.mkdtemp())
    for name, checkout in (("old", args.old.resolve()), ("new", ROOT)):
        run_steps(checkout, work / name, args.data.resolve())
    counts, faults = compare(work / "old", work / "new")
    print(*(f"{name}: {n}" for name, n in counts.items()), *faults, sep="\n")
    commit = ["git", "-C", str(args.old), "rev-parse", "HEAD"]
    old = subprocess.run(commit, capture_output=True, text=True, check=True).stdout.strip()
    print(f"written: {write_result('compare_versions', {'old': old, **counts, 'faults': faults})}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
