"""Reads who trains and who is tested from a file: a person and `train` or `test` in each line."""

import csv
from collections.abc import Collection
from pathlib import Path

from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.lines import LongLineError, iter_lines, read_table_text
from lpw_toolkit.splits.splits import Halves

_SIDES = ("train", "test")
_HEADINGS = ("person", "person_id", "name", "id")
_DO = "fix that line"


def read_sides(file: Path, known: Collection[str]) -> Halves:
    """The sides of `file`: CSV or text, such as `scen1/12,train` or `scen1/12 train`; empty lines
    and lines that begin with `#` do not count, nor does a first line whose side is a heading.

    Errors: LpwError with the line for an unknown person, a person named twice, and a side that is
    neither `train` nor `test`; LpwError for a file that cannot be read or names nobody.
    """
    lines: dict[str, int] = {}
    sides: dict[str, list[str]] = {side: [] for side in _SIDES}
    for number, person, side in _read_pairs(file):
        where = f"{file}, line {number}"
        if side not in _SIDES:
            if not lines and person.lower() in _HEADINGS and person not in known:
                continue
            raise LpwError(where, f"the side {side!r:.80}", "train or test", _DO)
        if person in lines:
            got = f"{person!r:.80}, already in line {lines[person]}"
            raise LpwError(where, got, "each person once", _DO)
        if person not in known:
            got, expected = f"the unknown person {person!r:.80}", f"one of {len(known):,} persons"
            raise LpwError(where, got, expected, _DO)
        lines[person] = number
        sides[side].append(person)
    if not lines:
        raise LpwError(file, "no person", "a person and train or test in each line", "fill it in")
    return Halves(tuple(sorted(sides["train"])), tuple(sorted(sides["test"])))


def _read_pairs(file: Path) -> list[tuple[int, str, str]]:
    """Line, person and side of each line. Errors: LpwError."""
    text = read_table_text(file, "a list that can be read")
    pairs = []
    number = 0
    try:
        for number, line in enumerate(iter_lines(text), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            cells = next(csv.reader([line.strip()], strict=True)) if "," in line else (
                line.strip().rsplit(None, 1)
            )  # fmt: skip
            if len(cells) != 2:
                got = f"{len(cells)} cells"
                raise LpwError(f"{file}, line {number}", got, "a person and a side", _DO)
            pairs.append((number, cells[0].strip(), cells[1].strip()))
    except (csv.Error, LongLineError) as error:
        where = f"{file}, line {number + 1 if isinstance(error, LongLineError) else number}"
        raise LpwError(where, str(error), "a person and a side", _DO) from error
    return pairs
