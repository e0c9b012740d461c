"""Formats a report as text, Markdown, LaTeX or JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lpw_toolkit.evaluation.table_writer import (
    TextTable,
    format_latex,
    format_markdown,
    format_markdown_list,
    format_text,
)
from lpw_toolkit.names import json_text, markdown_cell, show_name


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
    grids: Sequence[TextTable]
    notes: Sequence[str]
    facts: dict[str, Any]


def format_report(report: Report, form: str) -> str:
    """The report in one of FORMS."""
    return FORMS[form](report)


def _join(text: str) -> str:
    """The text on one line."""
    return show_name(" ".join(text.split()))


def _join_cells(grid: TextTable) -> TextTable:
    rows = [[_join(cell) for cell in row] for row in grid.rows]
    return replace(grid, rows=rows, caption=_join(grid.caption))


def _format_text(report: Report) -> str:
    grids = [
        "\n".join(filter(None, [grid.caption, format_text(grid)]))
        for grid in map(_join_cells, report.grids)
    ]
    head, notes = ("\n".join(map(_join, of)) for of in ([report.title, *report.head], report.notes))
    return "\n\n".join([head, *grids, notes]).rstrip()


def _format_markdown(report: Report) -> str:
    parts = [
        f"**{markdown_cell(report.title)}**",
        format_markdown_list(list(map(_join, report.head))),
    ]
    for grid in map(_join_cells, report.grids):
        parts += [markdown_cell(grid.caption), format_markdown(grid)]
    return "\n\n".join(filter(None, [*parts, format_markdown_list(list(map(_join, report.notes)))]))


def _format_latex(report: Report) -> str:
    tables = []
    for place, grid in enumerate(map(_join_cells, report.grids)):
        caption = ", ".join(filter(None, [_join(report.title), grid.caption]))
        below = [] if place else list(map(_join, [*report.head, *report.notes]))
        tables.append(format_latex(replace(grid, caption=caption), below))
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
