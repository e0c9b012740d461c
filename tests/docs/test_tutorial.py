"""The tutorial runs from its first cell to its last, and is committed with what it shows."""

import json
import re
import subprocess
import sys

from pages import DOCS, ROOT

NOTEBOOK = DOCS / "tutorial.ipynb"
MAX_BYTES = 3_000_000


def read_outputs() -> list[dict]:
    """What the committed cells show."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", ())]


def test_the_committed_output_holds_pictures_and_nothing_of_a_machine():
    outputs = read_outputs()
    assert (
        sum(kind.startswith("image/") for output in outputs for kind in output.get("data", ())) >= 4
    )
    assert not [output for output in outputs if output["output_type"] == "error"]
    text = NOTEBOOK.read_text("utf-8")
    plain = re.sub(r'"image/\w+": "[^"]*"', "", text)
    assert not re.findall(r"/tmp/|/home/|/root/|/work/|\d\d:\d\d:\d\d", plain)
    assert len(text) < MAX_BYTES


def test_the_tutorial_runs():
    command = [sys.executable, "docs/config/run_tutorial.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
