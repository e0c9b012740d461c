"""Writes the generated pages: the command reference, the Python reference and the code map.

    python docs/config/generate.py            writes what is out of date, and names it
    python docs/config/generate.py --check    writes nothing; exit code 1 if a page is out of date

The commands come from click, the names of the Python reference from `__all__` of the packages, the
code map from the first line of each module's docstring.
"""

import argparse
import ast
import importlib
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

os.environ["COLUMNS"] = "100"
import click

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: Where each package is imported from, in the direction of imports.
PACKAGES = {"lpw_cli": "cli", "rqen": ".", "lpw_toolkit": ".", "lpw_manifests": "manifests"}
NOTE = "\n<!-- Made by docs/config/generate.py: change the source, then run it. -->\n"


class MarkdownFormatter(click.HelpFormatter):
    """Writes what click would print as help, headings and all, as Markdown."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The call in a block of its own."""
        self.write(f"```text\n{prog} {args}\n```\n\n")

    def write_heading(self, heading: str) -> None:
        """A group of options as a heading."""
        self.write(f"## {heading}\n\n")

    def write_text(self, text: str) -> None:
        """A paragraph."""
        self.write(f"{escape(text)}\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], *_: object, **__: object) -> None:
        """Options or commands as a definition list."""
        for term, text in rows:
            self.write(f"`{term.rstrip()}`\n:   {escape(text) or '-'}\n\n")


def escape(text: str) -> str:
    """Help as Markdown: paragraphs and code stay, other characters mean nothing."""
    lines = re.sub(r"(?<!\n)\n(?!\n)", " ", text.replace("\b", ""))
    parts = re.split(r"(`[^`]*`)", re.sub(r"[^\S\n]+", " ", lines).strip())
    marks = re.compile(r"([\\<>*_\[\]{}#])")
    return "".join(part if part.startswith("`") else marks.sub(r"\\\1", part) for part in parts)


def make_command_pages() -> dict[str, str]:
    """A page for each command, and one that lists them."""
    main: click.Group = importlib.import_module("lpw_cli.main").main
    context = click.Context(main, info_name="lpw", **main.context_settings)
    texts = {}
    pages = {"cli/index.md": f"# Commands\n\n{describe(main, context)}{NOTE}"}
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        if command is None:
            continue
        with click.Context(command, info_name=name, parent=context) as inner:
            parts = [f"# lpw {name}\n\n{describe(command, inner)}", *describe_inner(command, inner)]
            pages[f"cli/{name}.md"] = "\n".join(parts) + NOTE
        texts[name] = f"[`{name}`]({name}.md)"
    for name, link in texts.items():
        pages["cli/index.md"] = re.sub(
            rf"^`{name}`$", link, pages["cli/index.md"], flags=re.MULTILINE
        )
    return pages


def describe(command: click.Command, context: click.Context) -> str:
    """The help of a command as Markdown."""
    formatter = MarkdownFormatter()
    command.format_help(context, formatter)
    return re.sub(r"\n{3,}", "\n\n", formatter.getvalue()).rstrip() + "\n"


def describe_inner(command: click.Command, context: click.Context) -> Iterator[str]:
    """A section for each command of a group; nothing for what is no group."""
    for name, inner in getattr(command, "commands", {}).items():
        with click.Context(inner, info_name=name, parent=context) as own:
            text = describe(inner, own).replace("\n## ", "\n### ")
            yield f"## {own.command_path}\n\n{text}"


def make_api_pages() -> dict[str, str]:
    """A page for each of the two packages, with the names that its `__all__` hands out."""
    pages, rows = {}, []
    for package in ("lpw_toolkit", "rqen"):
        module = importlib.import_module(package)
        names = [n for n in getattr(module, "__all__", ()) if not n.startswith("__")]
        sections = [
            f"::: {find_source(module, n)}\n    options:\n      heading: {n}\n" for n in names
        ]
        text = "\n".join([*sections, NOTE])
        pages[f"api/{package}.md"] = f"# {package}\n\n{module.__doc__}\n\n{text}"
        first = (module.__doc__ or "").strip().partition("\n")[0]
        shown = ", ".join(f"`{name}`" for name in names)
        rows.append(f"| [`{package}`]({package}.md) | {first} | {shown} |")
    table = "\n".join(["| package | what it is for | names |", "|---|---|---|", *rows])
    intro = "These names are stable. Everything else is private and may change."
    return {"api/index.md": f"# Python\n\n{intro}\n\n{table}\n{NOTE}", **pages}


def find_source(module: ModuleType, name: str) -> str:
    """Where a name that a package hands out is defined: its docstring stands there."""
    value = getattr(module, name)
    return f"{getattr(value, '__module__', module.__name__)}.{getattr(value, '__qualname__', name)}"


def make_code_map() -> dict[str, str]:
    """A line for each module, by package, under the layers that import-linter keeps."""
    parts = ["# Code map\n", "## Layers\n"]
    parts += ["A layer may import those below it, never those above. import-linter checks it.\n"]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    for contract in settings["contracts"]:
        if contract["type"] == "layers":
            layers = [re.split(r"\s*[|:]\s*", str(layer)) for layer in contract["layers"]]
            rows = [f"1. {' · '.join(f'`{one}`' for one in layer)}" for layer in layers]
            parts.append(f"**{contract['name']}**\n\n" + "\n".join(rows) + "\n")
    for package, place in PACKAGES.items():
        parts.append(f"## {package}\n")
        root = ROOT / place
        for folder in sorted({file.parent for file in (root / package).rglob("*.py")}):
            files = sorted(
                folder.glob("*.py"), key=lambda file: (file.stem != "__init__", file.stem)
            )
            if folder != root / package:
                parts.append(f"### {'.'.join(folder.relative_to(root).parts)}\n")
            rows = [f"| `{file.name}` | {read_first_line(file)} |" for file in files]
            parts.append("\n".join(["| module | what it holds |", "|---|---|", *rows]) + "\n")
    return {"code-map.md": "\n".join([*parts, NOTE])}


def read_first_line(file: Path) -> str:
    """The first line of a module's docstring, fit for a cell of a table."""
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "-"
    line = escape(text.partition("\n\n")[0])
    return line.replace("|", "\\|")


def make_pages() -> dict[str, str]:
    """All generated pages by their path below docs/."""
    return {**make_command_pages(), **make_api_pages(), **make_code_map()}


def main() -> None:
    """Writes or compares the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    sys.path[:0] = [str(ROOT / place) for place in PACKAGES.values()]
    pages = make_pages()
    files = [*(DOCS / "cli").glob("*.md"), *(DOCS / "api").glob("*.md")]
    there = {file.relative_to(DOCS).as_posix() for file in files}
    old = {name: (DOCS / name).read_text("utf-8") for name in pages if (DOCS / name).is_file()}
    stale = {name for name, text in pages.items() if old.get(name) != text} | (there - set(pages))
    for name in sorted(stale):
        click.echo(f"docs/{name}: out of date" if check else f"docs/{name}")
        if not check and name in pages:
            (DOCS / name).parent.mkdir(exist_ok=True)
            (DOCS / name).write_text(pages[name], "utf-8")
        elif not check:
            (DOCS / name).unlink()
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
