"""Reads tables of names that a user writes: CSV with a heading, such as `dataset,person,new`."""

import csv
from collections.abc import Sequence
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.lines import LongLineError, iter_lines
from lpw_toolkit.files.opening import read_text
from lpw_toolkit.files.writing import describe_os_error
from lpw_toolkit.names import find_path_fault

MAX_NAME_CHARS = 200


def read_rows(table: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """The rows of `table`, each with its place (`names.csv, line 3`) for messages; empty lines do
    not count.

    Errors: LpwError for a file that cannot be read, other columns, a row with an empty cell or
    another number of cells, and a table without rows.
    """
    expected, do = f"the columns {','.join(columns)}", "correct the table"
    try:
        text = read_text(table, "table_text_bytes", encoding="utf-8-sig")
        lines = list(enumerate(csv.reader(iter_lines(text), strict=True), start=1))
    except OSError as error:
        raise LpwError(table, describe_os_error(error), expected, "check the path") from error
    except (csv.Error, LongLineError, UnicodeDecodeError) as error:
        raise LpwError(table, f"no CSV in UTF-8 ({error})", expected, do) from error
    lines = [(n, cells) for n, row in lines if any(cells := [cell.strip() for cell in row])]
    if not lines or sorted(lines[0][1]) != sorted(columns):
        got = f"the columns {','.join(lines[0][1])[:200]}" if lines else "an empty file"
        raise LpwError(table, got, expected, do)
    if len(lines) == 1:
        raise LpwError(table, "no rows", "one row for each name", "fill it in")
    rows = []
    for number, cells in lines[1:]:
        where = f"{table}, line {number}"
        if len(cells) != len(columns) or not all(cells):
            got = f"{len([*filter(None, cells)])} cells that are filled in"
            raise LpwError(where, got, f"{len(columns)}: {','.join(columns)}", do)
        rows.append((where, dict(zip(lines[0][1], cells, strict=True))))
    return rows


def check_name(where: str, name: str) -> str:
    """`name`, if every system takes it as a file name or as folders with one.

    Errors: LpwError that says what is wrong with it.
    """
    fault = find_path_fault(name)
    if len(name) > MAX_NAME_CHARS:
        fault = f"more than {MAX_NAME_CHARS} characters"
    if fault:
        raise LpwError(where, f"{name!r:.80}: {fault}", "a name like scen1/view2", "choose another")
    return name
