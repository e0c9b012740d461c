"""What a result file says of the machine, and how results are written: no host name, no path, no
clock."""

import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def describe_machine() -> dict[str, Any]:
    """CPU model and instruction sets that matter, cores, Python."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set(fields.get("flags", "").split())
    wanted = [
        flag
        for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
        if flag in flags
    ]
    model = f"{fields.get('vendor_id', '')} {fields.get('model name', platform.machine())}".strip()
    return {
        "cpu": model,
        "flags": wanted,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def write_result(name: str, facts: dict[str, Any]) -> Path:
    """Writes `tests/bench/results/NAME.json` with the command and the machine; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    command = shlex.join(["python", f"tests/bench/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    record = {"command": command, "machine": describe_machine(), **facts}
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps(record, indent=1) + "\n")
    return file


def print_table(rows: list[list[Any]]) -> None:
    """Prints rows of cells, the first row as head, columns aligned."""
    text = [
        [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows
    ]
    widths = [max(len(row[i]) for row in text) for i in range(len(text[0]))]
    for row in text:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
