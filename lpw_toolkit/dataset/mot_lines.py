"""The lines of a MOT text as numbers, whoever wrote them: commas, semicolons, tabs or spaces
between the columns, a header, comments, trailing separators, any line end.

What is at fault is named by line and frame; nothing is decided here about frames, scores or
classes (`mot_text.py` does that).
"""

import io
import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lpw_toolkit.dataset.row_faults import HINT, NO_FAULTS, Fault, Faults
from lpw_toolkit.errors import LpwError
from lpw_toolkit.files.limits import explain_limit, limit
from lpw_toolkit.files.opening import read_text
from lpw_toolkit.files.writing import describe_os_error

COLUMNS = ("frame", "id", "left", "top", "width", "height", "score")
CLASS, VISIBILITY = 7, 8  # columns of ground truth, right of the seven
_N_MOST = 9  # columns that are read
_N_FEWEST = 6  # columns: the score may be missing
_MAX_COLUMNS = 64  # MOT has ten; a table of thousands would be read cell by cell
_BLOCK_CHARS = 1 << 18
_BLANK = re.compile(r"\s*+")
_N_DIGITS = 5  # smaller numbers are written without an exponent
_EXPONENT = re.compile(r"(\d+)\.?(\d+)?[eE]\+?(\d{1,3})")
_COMMENTS = ("#", "%", "//")
#: Names of columns by which a header says that the boxes are corners, not left, top and size.
_CORNERS = {"x2", "y2", "xmax", "ymax", "x_max", "y_max", "right", "bottom", "xbr", "ybr"}


@dataclass(frozen=True)
class MotRows:
    """The rows of a MOT text, in file order.

    Attributes:
        path: the file.
        text: its text, for the line numbers.
        values: (N, 7 to 9) the seven columns of MOT (a missing score is NaN) and, where the file
            has them, the next two, NaN where they hold no number.
        n_columns: columns of the file, without empty ones at the end.
        separator: between its columns; a space stands for any spaces and tabs.
        place: (N,) place of each row among the lines that hold one, None where all were kept.
        faults: rows that were left out so far.
        first_frame: the number that the file gives the first frame of the video.
    """

    path: Path
    text: str
    values: NDArray[np.float64]
    n_columns: int = 0
    separator: str = ","
    place: NDArray[np.int64] | None = None
    faults: Faults = NO_FAULTS
    first_frame: int = 1

    def __len__(self) -> int:
        return len(self.values)

    def name(self, row: int) -> str:
        """A row as the user finds it: `line 81 (frame 5)`."""
        place = row if self.place is None else int(self.place[row])
        lines = _iter_rows(self.path, self.text, self.separator)
        number = next(islice(lines, place, None))[0]
        return f"line {number} (frame {self.values[row, 0]:.10g})"

    def select(self, rows: NDArray[np.bool_]) -> "MotRows":
        """The rows that a mask picks."""
        place = np.arange(len(self)) if self.place is None else self.place
        return replace(self, values=self.values[rows], place=place[rows])

    def leave_out(
        self,
        bad: NDArray[np.bool_],
        what: tuple[str, NDArray[np.float64]],
        expected: str,
        *,
        strict: bool,
    ) -> "MotRows":
        """The rows that are not `bad`.

        Args:
            what: name and values (N,) of what is wrong with them.

        Errors: LpwError for the first one where `strict`.
        """
        if not bad.any():
            return self
        first = int(np.argmax(bad))
        fault = Fault(self.name(first), f"{what[0]} {what[1][first]:g}", expected)
        if strict:
            raise fault.error(self.path)
        return replace(self.select(~bad), faults=self.faults.add(fault, int(bad.sum())))

    def find_lost_digits(self, column: int) -> Fault | None:
        """The first row whose whole number was written with an exponent and too few digits.

        `%g` makes 3e+09 of 3000000001 and of 3000000002: two people have one number then.
        """
        large = np.abs(self.values[:, column]) >= 10**_N_DIGITS
        if not large.any() or "e" not in self.text.lower():
            return None
        for number, line in _iter_rows(self.path, self.text, self.separator):
            cell = _split(line, self.separator)[column]
            found = _EXPONENT.fullmatch(cell)
            if found and _N_DIGITS <= int(found[3]) >= len(found[1] + (found[2] or "")):
                got = f"{COLUMNS[column]} {cell[:40]}, which has lost digits"
                return Fault(f"line {number}", got, "the whole number", "write it out in full")
        return None


def read_rows(path: Path, *, strict: bool) -> MotRows:
    """The rows of a MOT text as numbers; an empty file gives no rows.

    Args:
        strict: refuse the first row at fault; else it is left out and stands in `faults`.

    Errors: LpwError for a file that cannot be read, and for a row at fault where `strict`.
    """
    text = _read_text(path)
    first = next((line for _, line in _iter_lines(path, text) if not _is_comment(line)), None)
    if first is None:
        return MotRows(path, text, np.zeros((0, len(COLUMNS))))
    separator = next((mark for mark in ",;" if mark in first), " ")
    n_columns = len(first.split()) if separator == " " else first.count(separator) + 1
    if n_columns > _MAX_COLUMNS:
        raise LpwError(path, f"{n_columns} columns", f"at most {_MAX_COLUMNS}", HINT)
    _refuse_corners(path, _split(first, separator))
    values = _parse_fast(text) if separator == "," else None
    if values is None:
        return _Parser(path, text, separator, strict=strict).parse()
    return MotRows(path, text, _to_width(values, n_columns), n_columns)


def _parse_fast(text: str) -> NDArray[np.float64] | None:
    """All values, where the text holds finite numbers between commas and nothing else."""
    try:
        frame = pd.read_csv(io.BytesIO(text.encode()), header=None, dtype=np.float64)
    except (ValueError, pd.errors.ParserError, OverflowError):
        return None
    values = frame.to_numpy()
    return values if values.shape[1] >= _N_FEWEST and np.isfinite(values).all() else None


def _width(n_columns: int) -> int:
    return min(max(n_columns, len(COLUMNS)), _N_MOST)


def _to_width(values: NDArray[np.float64], n_columns: int) -> NDArray[np.float64]:
    """The columns that are read, NaN where there are none."""
    missing = max(_width(n_columns) - values.shape[1], 0)
    return np.pad(values[:, :_N_MOST], ((0, 0), (0, missing)), constant_values=np.nan)


class _Parser:
    """Reads block by block, so that only the blocks with something odd are read line by line."""

    def __init__(self, path: Path, text: str, separator: str, *, strict: bool) -> None:
        self._path, self._text, self._separator = path, text, separator
        self._strict = strict
        self._n_cells = 0  # of each line, with empty ones at the end
        self._n_columns = 0  # without them
        self._n_seen = 0  # lines that hold a row
        self._values: list[NDArray[np.float64]] = []
        self._places: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._faults = NO_FAULTS

    def parse(self) -> MotRows:
        """All rows. Errors: see `read_rows`."""
        text, number, start = self._text, 0, 0
        while start < len(text):
            end = text.find("\n", start + _BLOCK_CHARS) + 1 or len(text)
            block = text[start:end]
            if block.strip():
                values = self._parse_block(block)
                if values is None:
                    self._parse_lines(block, number)
                else:
                    self._keep(values, np.arange(len(values)), len(values))
            number, start = number + block.count("\n"), end
        none = np.zeros((0, _width(self._n_columns)))
        return MotRows(
            self._path,
            text,
            np.concatenate([none, *self._values]),
            self._n_columns,
            self._separator,
            np.concatenate(self._places) if self._faults.n else None,
            self._faults,
        )

    def _keep(self, values: NDArray[np.float64], places: NDArray[np.int64], n_lines: int) -> None:
        self._values.append(values)
        self._places.append(places + self._n_seen)
        self._n_seen += n_lines

    def _parse_block(self, block: str) -> NDArray[np.float64] | None:
        """The values, or None where pandas does not read each line as one row."""
        if not self._n_cells:  # the first block may begin with a header or comments
            return None
        spaced, own = self._separator == " ", min(self._n_cells, len(COLUMNS))
        try:
            frame = pd.read_csv(
                io.StringIO(block),
                header=None,
                sep=r"\s+" if spaced else self._separator,
                dtype=dict.fromkeys(range(own), np.float64),
            )
        except (ValueError, pd.errors.ParserError, OverflowError):
            return None
        is_whole = (
            frame.notna().all(axis=None)
            if spaced
            else block.count(self._separator) == len(frame) * (self._n_cells - 1)
        )
        if frame.shape[1] != self._n_cells or not is_whole:
            return None
        columns = [
            pd.to_numeric(frame[i], errors="coerce").to_numpy(np.float64)
            for i in range(min(self._n_cells, _width(self._n_columns)))
        ]
        values = _to_width(np.column_stack(columns), self._n_columns)
        return values if np.isfinite(values[:, :own]).all() else None

    def _parse_lines(self, block: str, n_before: int) -> None:
        numbers, places, n = array("d"), array("q"), 0
        for number, line in _iter_lines(self._path, block, n_before):
            if _is_comment(line):
                continue
            cells = _split(line, self._separator)
            if not self._n_cells:
                if n == 0 and _is_header(cells):
                    n_before = -1
                    continue
                self._n_cells, self._n_columns = len(cells), len(_without_empty(cells))
            row = self._parse_row(number, cells)
            if isinstance(row, Fault):
                if self._strict:
                    raise row.error(self._path)
                self._faults = self._faults.add(row)
            else:
                numbers.extend(row)
                places.append(n)
            n += 1
        values = np.array(numbers, dtype=np.float64).reshape(-1, _width(self._n_columns))
        self._keep(values, np.array(places, dtype=np.int64), n)

    def _parse_row(self, number: int, cells: list[str]) -> list[float] | Fault:
        row = f"line {number}"
        if _number(cells[0]) is not None:
            row += f" (frame {cells[0][:20]})"
        if len(cells) > self._n_cells:
            cells = cells[: max(self._n_cells, len(_without_empty(cells)))]
        if not max(self._n_columns, _N_FEWEST) <= len(cells) <= self._n_cells:
            kind = {",": "comma-separated ", ";": "semicolon-separated "}.get(self._separator, "")
            n = self._n_columns if self._n_columns >= _N_FEWEST else len(COLUMNS)
            return Fault(row, f"{len(cells)} columns", f"{n} {kind}columns ({','.join(COLUMNS)},…)")
        values = []
        for name, cell in zip(COLUMNS, cells, strict=False):
            value = math.nan if name == "score" and not cell else _number(cell)
            if value is None:
                return Fault(row, f"{name} {cell[:40]!r}", "a finite number")
            values.append(value)
        width = _width(self._n_columns)
        right = [_number(cell) for cell in cells[len(values) : width]]
        values += [math.nan if value is None else value for value in right]
        return values + [math.nan] * (width - len(values))


def _number(cell: str) -> float | None:
    """The finite number that a cell holds, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _split(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split(None, _MAX_COLUMNS)
    return [cell.strip() for cell in line.split(separator, _MAX_COLUMNS)]


def _without_empty(cells: list[str]) -> list[str]:
    """The cells without empty ones at the end."""
    n = len(cells)
    while n and not cells[n - 1]:
        n -= 1
    return cells[:n]


def _is_comment(line: str) -> bool:
    return line.startswith(_COMMENTS)


def _is_header(cells: list[str]) -> bool:
    own = cells[:_N_FEWEST]
    return len(own) == _N_FEWEST and all(cell and _number(cell) is None for cell in own)


def _refuse_corners(path: Path, cells: list[str]) -> None:
    """Errors: LpwError for a header that names the right and lower sides of boxes."""
    corner = next((cell for cell in cells if cell.strip("\"'<> ").lower() in _CORNERS), None)
    if corner is not None and _is_header(cells):
        do = "write left, top, width and height in the columns 3 to 6"
        raise LpwError(path, f"a header with the column {corner[:40]}", ",".join(COLUMNS), do)


def _iter_rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line that holds a row."""
    is_first = True
    for number, line in _iter_lines(path, text):
        if _is_comment(line) or (is_first and _is_header(_split(line, separator))):
            continue
        is_first = False
        yield number, line


def _read_text(path: Path) -> str:
    try:
        text = read_text(path, "mot_bytes", encoding="utf-8-sig")
    except OSError as error:
        raise LpwError(
            path, describe_os_error(error), "a readable MOT text file", "check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise LpwError(
            path, "bytes that are no text", "MOT text (comma-separated)", "check the path"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _iter_lines(path: Path, text: str, n_before: int = 0) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not empty; lines end with LF. Errors: LpwError for one
    that is too long."""
    start, number, most = 0, n_before, limit("line_bytes")
    while start < len(text):
        blank = cast(re.Match[str], _BLANK.match(text, start)).end()
        if (skipped := text.count("\n", start, blank)) > 0:  # many empty lines at once
            number, start = number + skipped, text.rfind("\n", start, blank) + 1
            continue
        end, number = text.find("\n", start), number + 1
        end = len(text) if end < 0 else end
        if end - start > most:
            got = explain_limit("line_bytes", f"{end - start} letters")
            raise LpwError(f"{path}, line {number}", got, "one box", HINT)
        if line := text[start:end].strip():
            yield number, line
        start = end + 1
