"""Tables as aligned text, Markdown, LaTeX or CSV; every cell is escaped here and only here."""

from collections.abc import Sequence
from dataclasses import dataclass

from lpw_toolkit.names import format_csv, latex_cell, markdown_cell, show_name


@dataclass(frozen=True)
class TextTable:
    """A table of texts that are not escaped yet.

    Attributes:
        rows: the first one holds the titles.
        n_left: text columns, from the left; the others hold figures and are set flush right.
        caption: what the table shows; may be empty.
    """

    rows: Sequence[Sequence[str]]
    n_left: int = 1
    caption: str = ""


def format_text(table: TextTable) -> str:
    """Aligned columns for a terminal, the titles first.

    >>> print(format_text(TextTable([["model", "R-1"], ["a", "9.5"]])))
    model  R-1
    a      9.5
    """
    rows = [list(map(show_name, row)) for row in table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            f"{cell:{'<' if i < table.n_left else '>'}{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def format_markdown(table: TextTable) -> str:
    r"""A Markdown table.

    >>> print(format_markdown(TextTable([["model", "R-1"], ["a|b", "9.5"]])))
    | model | R-1 |
    | --- | ---: |
    | a\|b | 9.5 |
    """
    titles, *rows = [list(map(markdown_cell, row)) for row in table.rows]
    ruler = ["---" if i < table.n_left else "---:" for i in range(len(titles))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, ruler, *rows))


def format_markdown_list(sentences: Sequence[str]) -> str:
    """A Markdown list of sentences."""
    return "\n".join(f"* {markdown_cell(sentence)}" for sentence in sentences)


def format_latex(table: TextTable, below: Sequence[str] = ()) -> str:
    r"""A LaTeX table with its caption.

    A cell that begins with `[` or `*` is guarded: the line break before it would take it for its
    own argument.

    Args:
        below: sentences under the table, in small print, without their full stops.

    >>> print(format_latex(TextTable([["model", "R-1"], ["[a]", "9.5"]])).splitlines()[6])
    {}[a] & 9.5 \\
    """
    titles, *rows = [" & ".join(map(latex_cell, row)) for row in table.rows]
    lines = [
        r"\begin{table}",
        f"\\caption{{{latex_cell(table.caption)}.}}",
        f"\\begin{{tabular}}{{{'l' * table.n_left}{'r' * (len(table.rows[0]) - table.n_left)}}}",
        r"\hline",
        f"{titles} \\\\",
        r"\hline",
        *(f"{row} \\\\" for row in rows),
        r"\hline",
        r"\end{tabular}",
        *([r"\par\footnotesize"] if below else []),
        *(f"{latex_cell(sentence)}.\\par" for sentence in below),
        r"\end{table}",
    ]
    return "\n".join(lines)


def format_csv_table(rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated rows, titles first, without a last line feed; numbers stay numbers."""
    return format_csv(rows).rstrip("\n")
