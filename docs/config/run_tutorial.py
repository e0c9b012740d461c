"""Runs docs/tutorial.ipynb in an empty folder and keeps its output without paths and clock times.

python docs/config/run_tutorial.py            runs it and writes it back with its output
python docs/config/run_tutorial.py --check    only runs it; an error in a cell is shown
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "tutorial.ipynb"
PICTURE = re.compile(r"data:image/jpeg;base64,([\w+/=]+)")


def run_notebook(folder: Path) -> nbformat.NotebookNode:
    """The notebook with fresh output, run in `folder`."""
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `lpw` of this Python
    )
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = tidy_outputs(cell.outputs, folder)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def tidy_outputs(outputs: list[nbformat.NotebookNode], folder: Path) -> list[nbformat.NotebookNode]:
    """What was printed in one piece, then each picture or value; no folder or clock time.

    A value that shows itself with a picture (a dataset) is its text, then the picture.
    """
    text, kept = "", []
    for output in outputs:
        if output.output_type == "stream":
            text += output.text if output.name == "stdout" else ""
        else:
            kind = next(
                kind for kind in ("image/jpeg", "image/png", "text/plain") if kind in output.data
            )
            kept.append(nbformat.v4.new_output("display_data", {kind: output.data[kind]}))
            kept += [
                nbformat.v4.new_output("display_data", {"image/jpeg": picture})
                for picture in PICTURE.findall(output.data.get("text/html", ""))
            ]
    text = re.sub(r" in \d+(\.\d+)? s\b", "", text.replace(f"{folder}/", ""))
    return [*([nbformat.v4.new_output("stream", text=text)] if text else []), *kept]


def main() -> None:
    """Runs, and unless it only checks writes, the notebook."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        notebook = run_notebook(Path(folder))
    if not check:
        nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
