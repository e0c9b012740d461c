"""What mkdocs runs while it builds: folders join the navigation, the notebook becomes a page."""

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOK = "tutorial.ipynb"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """A target that ends in `/` stands for all pages of that folder, its index first."""
    config.nav = [expand_entry(entry, Path(config.docs_dir)) for entry in config.nav or ()]
    return config


def expand_entry(entry: dict[str, Any], docs: Path) -> dict[str, Any]:
    """The entry with its folders replaced by the list of their pages."""
    ((title, target),) = entry.items()
    if isinstance(target, list):
        return {title: [expand_entry(one, docs) for one in target]}
    if not target.endswith("/"):
        return entry
    pages = sorted((docs / target).glob("*.md"), key=lambda page: (page.stem != "index", page.stem))
    return {title: [f"{target}{page.name}" for page in pages]}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the notebook as a page with its pictures."""
    cells = json.loads((Path(config.docs_dir) / NOTEBOOK).read_text("utf-8"))["cells"]
    parts, pictures = [], 0
    for cell in cells:
        source = "".join(cell["source"])
        shell = source.removeprefix("%%sh -e\n")
        language = "python" if shell == source else "sh"
        parts.append(source if cell["cell_type"] == "markdown" else f"```{language}\n{shell}\n```")
        for output in cell.get("outputs", ()):
            kind = next(
                (kind for kind in output.get("data", ()) if kind.startswith("image/")), None
            )
            if kind:
                name = f"images/tutorial-{pictures}.{kind.removeprefix('image/')}"
                pictures += 1
                files.append(
                    File.generated(config, name, content=base64.b64decode(output["data"][kind]))
                )
                parts.append(f"![Output of the cell above]({name})")
            else:
                parts.append(f"```text\n{read_text(output).rstrip()}\n```")
    files.append(File.generated(config, "tutorial.md", content="\n\n".join(parts)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Sources link the notebook, so that links hold on a forge too; on the site it is a page."""
    return re.sub(rf"\]\(((?:\.\./)*){re.escape(NOTEBOOK)}\)", r"](\1tutorial.md)", markdown)


def read_text(output: dict[str, Any]) -> str:
    """What a cell printed or returned as text."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
