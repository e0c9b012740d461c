"""Writes the generated pages: the command reference, the Python reference and the code map.

    python docs/config/generate.py            writes what is out of date, and names it
    python docs/config/generate.py --check    writes nothing; exit code 1 where a page is out of date

The commands come from click, the names of the Python reference from `__all__` of the packages, the code map from the
first line of each module's docstring.
"""

import argparse
import ast
import importlib
import os
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

os.environ["COLUMNS"] = "100"
import click

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: Where each package is imported from, outermost first: the direction of imports.
PACKAGES = {"lpw_cli": "cli", "rqen": ".", "lpw_toolkit": ".", "lpw_manifests": "manifests"}
NOTE = "<!-- Made by docs/config/generate.py: change the source, then run it. -->\n\n"


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
            self.write(f"`{term}`\n:   {escape(text) or '-'}\n\n")


def escape(text: str) -> str:
    """Help as Markdown: paragraphs stay, code stays code, and no other character means anything."""
    lines = re.sub(r"[^\S\n]+", " ", re.sub(r"(?<!\n)\n(?!\n)", " ", text.replace("\b", ""))).strip()
    parts = re.split(r"(`[^`]*`)", lines)
    return "".join(p if p.startswith("`") else re.sub(r"([\\<>*_\[\]{}#])", r"\\\1", p) for p in parts)


def make_command_pages() -> dict[str, str]:
    """A page for each command, and one that lists them."""
    main: click.Group = importlib.import_module("lpw_cli.main").main
    context = click.Context(main, info_name="lpw")
    texts = {}
    pages = {"cli/index.md": f"{NOTE}# Commands\n\n{describe(main, context)}"}
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        with click.Context(command, info_name=name, parent=context) as inner:
            pages[f"cli/{name}.md"] = f"{NOTE}# lpw {name}\n\n{describe(command, inner)}"
        texts[name] = f"[`{name}`]({name}.md)"
    for name, link in texts.items():
        pages["cli/index.md"] = re.sub(rf"^`{name}`$", link, pages["cli/index.md"], flags=re.MULTILINE)
    return pages


def describe(command: click.Command, context: click.Context) -> str:
    """The help of a command as Markdown."""
    formatter = MarkdownFormatter()
    command.format_help(context, formatter)
    return re.sub(r"\n{3,}", "\n\n", formatter.getvalue()).rstrip() + "\n"


def make_api_pages() -> dict[str, str]:
    """A page for each package that says in `__all__` what it hands out."""
    rows, pages = [], {}
    for name in ("lpw_toolkit", "rqen", *sorted(find_packages())):
        module = importlib.import_module(name)
        public = [n for n in getattr(module, "__all__", ()) if not n.startswith("__")]
        if not public or (name.count(".") and not is_documented(module)):
            continue
        sections = [directive(name, n, getattr(module, n)) for n in public]
        summary = first_line((module.__doc__ or "").strip())
        pages[f"api/{name}.md"] = f"{NOTE}# {name}\n\n{module.__doc__ or ''}\n\n" + "\n".join(sections)
        rows.append(f"| [`{name}`]({name}.md) | {summary} | {', '.join(f'`{n}`' for n in public)} |")
    table = "\n".join(["| package | what it is for | names |", "|---|---|---|", *rows])
    intro = "Names on these pages are stable. Everything else may change without notice."
    pages["api/index.md"] = f"{NOTE}# Python\n\n{intro}\n\n{table}\n"
    return pages
