"""One writer of tables: alignment, escapes, and cells that a line break of LaTeX would take."""

import doctest

import pytest

from lpw_toolkit.evaluation import table_writer
from lpw_toolkit.evaluation.metrics_table import MetricsLine, format_table
from lpw_toolkit.evaluation.table_writer import (
    TextTable,
    format_csv_table,
    format_latex,
    format_markdown,
    format_text,
)
from rqen.reproduce.forms import Report, format_report

TABLE = TextTable([["row", "ours"], ["[4] RQEN", "77.8"], ["*", "-"]], 1, "Table 2")


def test_examples() -> None:
    found = doctest.testmod(table_writer)
    assert found.attempted == 3 and found.failed == 0


def test_text() -> None:
    assert format_text(TABLE).splitlines() == ["row       ours", "[4] RQEN  77.8", "*            -"]


def test_markdown() -> None:
    assert format_markdown(TABLE).splitlines()[2:] == [r"| \[4\] RQEN | 77.8 |", r"| \* | - |"]


def test_csv_is_not_computed() -> None:
    assert format_csv_table([["a", "b"], ["=1+1", -1.5]]) == "a,b\n'=1+1,-1.5"


def test_latex_guards_what_a_line_break_would_take() -> None:
    shown = format_latex(TABLE, ["[a] is a note"]).splitlines()
    assert r"{}[4] RQEN & 77.8 \\" in shown and r"{}* & - \\" in shown
    assert r"{}[a] is a note.\par" in shown
    assert r"\caption{Table 2.}" in shown


@pytest.mark.parametrize("name", ["[a] model", "*model"])
def test_both_users_guard_it(name: str) -> None:
    report = Report("t", [], [TextTable([["row", "R-1"], [name, "1"]])], [], {})
    assert f"{{}}{name} & 1" in format_report(report, "latex")
    text = ("dataset_digest", "dataset", "protocol", "gallery", "junk_rule", "ap_form",
            "frames_used", "split_source", "splits", "distance", "split")  # fmt: skip
    counts = {"n_query": 1, "n_gallery": 1, "n_skipped": 0}
    line = MetricsLine({**dict.fromkeys(text, "x"), **counts, "model": name}, {"map": 0.5}, {})
    assert f"{{}}{name} & x & 50.0" in format_table([line], form="latex")
