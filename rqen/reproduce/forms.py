"""A report as text: for the terminal, Markdown, LaTeX or JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lpw_toolkit.evaluation.metrics_table import format_latex
from lpw_toolkit.names import json_text, latex_cell, markdown_cell, show_name


@dataclass(frozen=True)
class Grid:
    """Cells.

    Attributes:
        rows: the first one holds the titles.
        n_left: columns of text, from the left; the others are figures.
        caption: what it shows, where there are several; may be empty.
    """

    rows: Sequence[Sequence[str]]
    n_left: int = 1
    caption: str = ""


@dataclass(frozen=True)
class Report:
    """What is printed.

    Attributes:
        title: one line.
        head: sentences above the figures.
        grids: the figures.
        notes: sentences below them.
        facts: the same for machines.
    """

    title: str
    head: Sequence[str]
    grids: Sequence[Grid]
    notes: Sequence[str]
    facts: dict[str, Any]


def format_report(report: Report, form: str) -> str:
    """The report in one of FORMS."""
    return FORMS[form](report)


def _plain(text: str) -> str:
    return show_name(" ".join(text.split()))


def _cells(grid: Grid) -> list[list[str]]:
    return [[_plain(cell) for cell in row] for row in grid.rows]


def _format_text(report: Report) -> str:
    parts = ["\n".join(map(_plain, [report.title, *report.head]))]
    for grid in report.grids:
        rows = _cells(grid)
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        forms = [f"{{:{'<' if i < grid.n_left else '>'}{width}}}" for i, width in enumerate(widths)]
        lines = [
            "  ".join(form.format(cell) for form, cell in zip(forms, row, strict=True)).rstrip()
            for row in rows
        ]
        parts.append("\n".join([*([_plain(grid.caption)] if grid.caption else []), *lines]))
    return "\n\n".join([*parts, "\n".join(map(_plain, report.notes))]).rstrip()


def _format_markdown(report: Report) -> str:
    parts = [
        f"**{markdown_cell(report.title)}**",
        *([_list_markdown(report.head)] if report.head else []),
    ]
    for grid in report.grids:
        titles, *rows = [[markdown_cell(cell) for cell in row] for row in _cells(grid)]
        ruler = ["---" if i < grid.n_left else "---:" for i in range(len(titles))]
        table = "\n".join(f"| {' | '.join(row)} |" for row in (titles, ruler, *rows))
        parts += [*([markdown_cell(grid.caption)] if grid.caption else []), table]
    return "\n\n".join([*parts, *([_list_markdown(report.notes)] if report.notes else [])])


def _list_markdown(sentences: Sequence[str]) -> str:
    return "\n".join(f"* {markdown_cell(_plain(sentence))}" for sentence in sentences)


def _format_latex(report: Report) -> str:
    tables = []
    for place, grid in enumerate(report.grids):
        titles, *rows = [list(map(latex_cell, row)) for row in _cells(grid)]
        said = [*report.head, *report.notes] if place == 0 else []
        below = [f"{latex_cell(_plain(sentence))}.\\par" for sentence in said]
        caption = latex_cell(_plain(", ".join(filter(None, [report.title, grid.caption]))))
        tables.append(format_latex(titles, rows, grid.n_left, caption, below))
    return "\n".join(tables)


def _format_json(report: Report) -> str:
    record = {
        "title": report.title,
        "head": list(report.head),
        **report.facts,
        "notes": list(report.notes),
    }
    return json_text(record, indent=2)


FORMS: dict[str, Callable[[Report], str]] = {
    "table": _format_text,
    "markdown": _format_markdown,
    "latex": _format_latex,
    "json": _format_json,
}
