"""What README and the pages of docs/ hold: blocks of code, commands in them, links."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def list_pages() -> list[Path]:
    """README and every page written by hand, as a user reads them."""
    made = {DOCS / "code-map.md"}
    return [ROOT / "README.md", *(page for page in sorted(DOCS.glob("*.md")) if page not in made)]


def find_blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of that language, without their indentation."""
    found = _FENCE.findall(page.read_text("utf-8"))
    return [
        re.sub(f"^{indent}", "", text, flags=re.MULTILINE)
        for indent, kind, text in found
        if kind == language
    ]


def find_commands(page: Path) -> list[list[str]]:
    """Every `lpw` line of the shell blocks, without `lpw`; so is torchrun's `-m lpw_cli`."""
    text = "\n".join(find_blocks(page, "sh")).replace("\\\n", " ")
    words = [shlex.split(line, comments=True) for line in text.splitlines()]
    starts = {
        "lpw": lambda line: line[1:],
        "torchrun": lambda line: line[line.index("lpw_cli") + 1 :],
    }
    return [starts[line[0]](line) for line in words if line and line[0] in starts]
